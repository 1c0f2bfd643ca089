"""How is pycjm itself asked, with each of its backends?"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pyarrow as pa

import pycjm

from ..answers import PERCENTILES, TOP, Answers
from . import Log, Means


def answers(question: str, told: Mapping[str, pa.Table]) -> Answers:
    """What tables of pycjm say, in the common form."""
    edges, ends = told["dfg"].to_pylist(), told["activities"].to_pylist()
    found = Answers(
        {(row["source"], row["target"]): row["count"] for row in edges},
        {row["activity"]: row["starts"] for row in ends if row["starts"]},
        {row["activity"]: row["ends"] for row in ends if row["ends"]},
    )
    if question == "all":
        names = ("mean_s", "min_s", "max_s", *(f"p{p}_s" for p in PERCENTILES))
        found.gaps = {(row["source"], row["target"]): tuple(row[name] for name in names) for row in edges}
        (case,) = told["durations"].to_pylist()
        found.durations = (case["n"], case["mean_s"], *(case[f"p{p}_s"] for p in PERCENTILES))
        found.variants = told["overview"]["variants"][0].as_py()
        found.top = [(tuple(row["activities"]), row["cases"]) for row in told["variants"].to_pylist()]
    return found


class Native:
    """The engine in Rust; it is not told how the rows lie."""

    backend = "native"

    def __init__(self, log: Log, means: Means) -> None:
        source = log.path if log.table is None else log.table
        self._log = pycjm.scan(source, case="case_id", activity="activity", timestamp="timestamp")
        self._run: dict[str, Any] = {"backend": self.backend, "threads": means.threads}
        if self.backend == "native":
            self._run["memory_limit"] = means.memory_bytes

    def ask(self, question: str) -> dict[str, pa.Table]:
        """The tables."""
        if question == "counts":
            result = self._log.mine("activities", "dfg", percentiles=[], **self._run)
        else:
            asked = ("overview", "activities", "dfg", "variants", "durations")
            result = self._log.mine(*asked, percentiles=PERCENTILES, top=TOP, **self._run)
        return {name: table.to_pyarrow() for name, table in result.items()}

    def answers(self, question: str, told: dict[str, pa.Table]) -> Answers:
        """The rows."""
        return answers(question, told)


class Numba(Native):
    """Kernels compiled by numba, fed by the engine's own reading."""

    backend = "numba"


class Reference(Native):
    """Plain Python on whole numbers."""

    backend = "reference"
