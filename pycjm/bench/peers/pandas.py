"""How would one ask pandas?"""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from ..answers import PERCENTILES, TOP, Answers
from . import Log, Means
from .coding import coded

POINTS = [p / 100 for p in PERCENTILES]


class Pandas:
    """A frame of its own, with codes for activities; one stable sort, shifted columns, group-bys."""

    def __init__(self, log: Log, means: Means) -> None:
        table = log.table
        if table is None:
            table = pq.read_table(log.path, columns=["case_id", "activity", "timestamp"], read_dictionary=["activity"])
        self._labels, codes = coded(table)
        columns = {"case_id": table["case_id"], "code": codes, "us": table["timestamp"].cast(pa.int64())}
        self._log = pa.table(columns).to_pandas()
        self._sorts = {"case": [], "time": ["case_id"], "shuffled": ["us", "case_id"]}[log.layout]

    def ask(self, question: str) -> dict[str, Any]:
        """Frames and series by name."""
        log = self._log
        for key in self._sorts:
            log = log.sort_values(key, kind="stable", ignore_index=True)
        code, us = log["code"].to_numpy(), log["us"].to_numpy()
        case = log["case_id"]
        # With a value to fill in, large ids stay whole numbers; as floats, neighbours could become equal.
        begins = (case != case.shift(fill_value=case.iloc[0])).to_numpy(bool, copy=True)
        begins[0] = True
        firsts = np.flatnonzero(begins)
        lasts = np.append(firsts[1:], len(log))[: len(firsts)] - 1
        same = np.flatnonzero(~begins)
        edge = code[same - 1].astype(np.int64) * len(self._labels) + code[same]
        told: dict[str, Any] = {
            "starts": pd.Series(code[firsts]).value_counts(),
            "ends": pd.Series(code[lasts]).value_counts(),
        }
        if question == "counts":
            told["edges"] = pd.Series(edge).value_counts()
            return told
        gaps = pd.DataFrame({"edge": edge, "gap": us[same] - us[same - 1]}).groupby("edge")["gap"]
        told["edges"] = gaps.agg(["count", "mean", "min", "max"])
        told["quantiles"] = gaps.quantile(POINTS).unstack()
        durations = pd.Series(us[lasts] - us[firsts])
        told["durations"] = (len(durations), durations.mean(), *durations.quantile(POINTS))
        # Codes of one width, side by side, are a sequence; as bytes it can be counted.
        content, width = code.tobytes(), code.itemsize
        bounds = zip((firsts * width).tolist(), ((lasts + 1) * width).tolist(), strict=True)
        counted = pd.Series([content[start:stop] for start, stop in bounds], dtype=object).value_counts()
        told["variants"], told["top"] = len(counted), counted.head(TOP)
        return told

    def answers(self, question: str, told: dict[str, Any]) -> Answers:
        """Codes as labels."""
        label = self._labels

        def pair(edge: int) -> tuple[str, str]:
            source, target = divmod(edge, len(label))
            return label[source], label[target]

        edges = told["edges"]["count"] if question == "all" else told["edges"]
        found = Answers(
            {pair(edge): int(n) for edge, n in edges.items()},
            {label[code]: int(n) for code, n in told["starts"].items()},
            {label[code]: int(n) for code, n in told["ends"].items()},
        )
        if question == "all":
            statistics = told["edges"][["mean", "min", "max"]].join(told["quantiles"])
            found.gaps = {pair(row[0]): tuple(value / 1e6 for value in row[1:]) for row in statistics.itertuples()}
            n, *times = told["durations"]
            found.durations = (n, *(float(value) / 1e6 for value in times))
            found.variants = told["variants"]
            kind = self._log["code"].dtype
            found.top = [
                (tuple(label[code] for code in np.frombuffer(path, kind)), int(n)) for path, n in told["top"].items()
            ]
        return found
