"""How would one ask polars, with its engine in memory and with its streaming engine?"""

from __future__ import annotations

from typing import Any, Literal

import polars as pl
import pyarrow as pa

from ... import errors
from ..answers import PERCENTILES, TOP, Answers
from . import Log, Means
from .coding import coded


class Polars:
    """A frame of its own, with codes for activities; all questions are one collected plan."""

    engine: Literal["in-memory", "streaming"] = "in-memory"

    def __init__(self, log: Log, means: Means) -> None:
        if pl.thread_pool_size() != means.threads:
            raise errors.InvalidArgument(
                f"polars has {pl.thread_pool_size()} threads, not {means.threads}: POLARS_MAX_THREADS has to be set "
                "before polars is imported."
            )
        self._labels: list[str] = []
        if log.table is not None:
            self._labels, codes = coded(log.table)
            columns = {"case_id": log.table["case_id"], "code": codes, "us": log.table["timestamp"].cast(pa.int64())}
            self._log = pl.from_arrow(pa.table(columns)).rechunk().lazy()
        else:
            self._log = self._scan(str(log.path))
        # Stable sorts, one key after the other (faster than both at once): events of the same time stay in the order of
        # the log.
        self._sorts = {"case": (), "time": ("case_id",), "shuffled": ("us", "case_id")}[log.layout]

    def _scan(self, path: str) -> pl.LazyFrame:
        codes = pl.col("activity").cast(pl.Categorical)
        columns = ("case_id", codes.to_physical().alias("code"), pl.col("timestamp").cast(pl.Int64).alias("us"))
        rows = pl.scan_parquet(path)
        # Categories are the same for the whole process, so the codes of one reading are those of the next.
        names = rows.select(codes.to_physical().alias("code"), "activity").unique()
        events = rows.select(*columns)
        if self.engine == "streaming":
            found = names.collect(engine="streaming")
        else:
            frame, found = pl.collect_all([events, names])
            events = frame.rechunk().lazy()
        by_code = dict(found.rows())
        self._labels = [by_code.get(code, "") for code in range(max(by_code, default=-1) + 1)]
        return events

    def ask(self, question: str) -> list[pl.DataFrame]:
        """Frames, in a fixed order."""
        # Sorted at once, not lazily: the plans below would each sort for themselves.
        ordered = self._log
        for key in self._sorts:
            ordered = ordered.sort(key, maintain_order=True).collect(engine=self.engine).lazy()
        code, us, case = pl.col("code"), pl.col("us"), pl.col("case_id")
        events = ordered.select(
            case,
            code,
            us,
            target=code.shift(-1),
            same=case.shift(-1) == case,
            first=(case.shift(1) != case).fill_null(True),
        )
        if question == "counts":
            return pl.collect_all(
                [
                    events.filter("same").group_by("code", "target").len(),
                    events.filter("first").group_by("code").len(),
                    events.filter(~pl.col("same").fill_null(False)).group_by("code").len(),
                ],
                engine=self.engine,
            )
        gap = (us.shift(-1) - us).alias("gap")
        points = [pl.col("gap").quantile(p / 100, "linear").alias(f"p{p}") for p in PERCENTILES]
        edges = (
            events.with_columns(gap)
            .filter("same")
            .group_by("code", "target")
            .agg(
                pl.len(), pl.mean("gap").alias("mean"), pl.min("gap").alias("low"), pl.max("gap").alias("high"), *points
            )
        )
        # Runs of equal ids are numbered, and such numbers are grouped faster than ids in random order.
        cases = ordered.group_by(case.rle_id()).agg(code.alias("path"), duration=us.last() - us.first())
        paths = cases.group_by("path").len()
        duration = pl.col("duration")
        return pl.collect_all(
            [
                edges,
                events.filter("first").group_by("code").len(),
                events.filter(~pl.col("same").fill_null(False)).group_by("code").len(),
                cases.select(
                    pl.len(),
                    duration.mean().alias("mean"),
                    *(duration.quantile(p / 100, "linear").alias(f"p{p}") for p in PERCENTILES),
                ),
                paths.select(pl.len()),
                paths.top_k(TOP, by="len").sort("len", descending=True),
            ],
            engine=self.engine,
        )

    def answers(self, question: str, told: list[Any]) -> Answers:
        """Codes as labels."""
        label = self._labels
        edges = told[0].rows()
        found = Answers(
            {(label[row[0]], label[row[1]]): row[2] for row in edges},
            {label[code]: n for code, n in told[1].rows()},
            {label[code]: n for code, n in told[2].rows()},
        )
        if question == "all":
            found.gaps = {(label[row[0]], label[row[1]]): tuple(value / 1e6 for value in row[3:]) for row in edges}
            n, *times = told[3].row(0)
            found.durations = (n, *(value / 1e6 for value in times))
            found.variants = told[4].item()
            found.top = [(tuple(label[code] for code in path), n) for path, n in told[5].rows()]
        return found


class Streaming(Polars):
    """The same plans with the streaming engine; a file is read by them."""

    engine = "streaming"
