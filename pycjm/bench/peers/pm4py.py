"""How would one ask pm4py?"""

from __future__ import annotations

import warnings
from typing import Any

import pyarrow.parquet as pq

from ..answers import Answers
from . import Log, Means

with warnings.catch_warnings():
    warnings.simplefilter("ignore")
    import pm4py


class Pm4py:
    """A frame as pm4py wants it, formatted and so sorted by pm4py itself; then one function.

    pm4py adds columns to the frame it is given, so every question gets a frame of its own.
    """

    def __init__(self, log: Log, means: Means) -> None:
        table = log.table
        if table is None:
            table = pq.read_table(log.path, columns=["case_id", "activity", "timestamp"])
        frame = table.to_pandas()
        frame["activity"] = frame["activity"].astype(str)
        frame["case_id"] = frame["case_id"].astype(str)
        names = {"case_id": "case_id", "activity_key": "activity", "timestamp_key": "timestamp"}
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            self._frame = pm4py.format_dataframe(frame, **names)

    def ask(self, question: str) -> Any:
        """Three dictionaries."""
        if question != "counts":
            raise NotImplementedError("pm4py has no exact percentiles of gaps")
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            return pm4py.discover_dfg(self._frame.copy(deep=False))

    def answers(self, question: str, told: Any) -> Answers:
        """The dictionaries with plain numbers."""
        edges, starts, ends = told
        return Answers(
            {edge: int(n) for edge, n in edges.items()},
            {name: int(n) for name, n in starts.items()},
            {name: int(n) for name, n in ends.items()},
        )
