"""How would somebody without pycjm ask the same questions, in the best form known for each tool?

A peer gets the log as an Arrow table (``case_id`` int64, ``activity`` as a dictionary, ``timestamp`` in microseconds)
and may bring it into its own form before the clock runs. ``ask`` is what is timed; ``Answers`` is what is compared.

Rows of one case and one time keep the order of the log. In SQL that needs a number per row: without it the answers look
right and are not.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any, Literal, Protocol

import pyarrow as pa
import pyarrow.compute as pc

Question = Literal["all", "counts"]
"""``all``: edges with statistics of their gaps, starts and ends, case durations, the 100 most frequent variants and how
many there are. ``counts``: edges, starts and ends, counted."""

PERCENTILES = (50, 90, 95, 99)
TOP = 100

Edge = tuple[str, str]


@dataclass
class Answers:
    """The answers in one form. Times are in seconds."""

    counts: dict[Edge, int]
    starts: dict[str, int]
    ends: dict[str, int]
    gaps: dict[Edge, tuple[float, ...]] = field(default_factory=dict)
    """Mean, minimum, maximum and the percentiles."""
    durations: tuple[float, ...] = ()
    """Number of cases, mean and the percentiles."""
    variants: int = 0
    top: list[tuple[tuple[str, ...], int]] = field(default_factory=list)


class Peer(Protocol):
    """One tool, with one log."""

    name: str

    def ask(self, question: Question) -> Any:
        """Answers in the tool's own form: this is timed."""

    def answers(self, question: Question, told: Any) -> Answers:
        """What `ask` gave, in the common form."""


class Pycjm:
    """pycjm with one of its backends."""

    def __init__(self, table: pa.Table, layout: str, threads: int, backend: str) -> None:
        import pycjm

        self.name = f"pycjm {backend}"
        self._log = pycjm.scan(table, case="case_id", activity="activity", timestamp="timestamp")
        self._run = {"backend": backend, "threads": threads}

    def ask(self, question: Question) -> Any:
        if question == "counts":
            result = self._log.mine("activities", "dfg", percentiles=[], **self._run)
        else:
            asked = ("overview", "activities", "dfg", "variants", "durations")
            result = self._log.mine(*asked, percentiles=PERCENTILES, top=TOP, **self._run)
        return {name: table.to_pyarrow() for name, table in result.items()}

    def answers(self, question: Question, told: dict[str, pa.Table]) -> Answers:
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


class Duckdb:
    """duckdb on a table of its own, with the position of each row in it and codes for activities."""

    name = "duckdb"

    def __init__(self, table: pa.Table, layout: str, threads: int) -> None:
        import duckdb

        self._labels, codes = _coded(table)
        numbered = pa.table(
            {
                "case_id": table["case_id"],
                "code": codes,
                "us": table["timestamp"].cast(pa.int64()),
                "pos": pa.array(range(len(table)), pa.int64()),
            }
        )
        self._db = duckdb.connect(config={"threads": threads})
        self._db.register("given", numbered)
        self._db.execute("create table log as select * from given order by pos")
        self._db.unregister("given")
        self._grouped = layout == "case"

    def _events(self, *columns: str) -> str:
        """Every event with its neighbours, as a subquery.

        In the order of cases the next row is the next event: that streams, which a window for each case does not, and
        sorting first is still the faster way where rows lie otherwise.
        """
        rows = "log"
        if not self._grouped:
            self._db.execute("create or replace temp table sorted as select * from log order by case_id, us, pos")
            rows = "sorted"
        shifted = ", ".join(f"lead({name}) over () as next_{name}" for name in columns)
        return f"(select *, {shifted}, lag(case_id) over () as prev_case from {rows})"

    def ask(self, question: Question) -> Any:
        ask = self._db.execute
        if question == "counts":
            events = self._events("code", "case_id")
            return {
                "edges": ask(
                    "select code, case when next_case_id = case_id then next_code end as target, count(*),"
                    f" count(*) filter (where prev_case is distinct from case_id) from {events} group by all"
                ).fetchall()
            }
        events = self._events("code", "us", "case_id")
        ask(f"create or replace temp table events as select *, next_us - us as gap from {events}")
        # Without an order inside list(), threads would mix the events of a case.
        ask(
            "create or replace temp table cases as select list(code order by us, pos) as path,"
            " max(us) - min(us) as duration from events group by case_id"
        )
        points = [p / 100 for p in PERCENTILES]
        statistics = "avg({0}), min({0}), max({0}), quantile_cont({0}, {1})"
        return {
            "edges": ask(
                f"select code, next_code, count(*), {statistics.format('gap', points)} from events"
                " where next_case_id = case_id group by all"
            ).fetchall(),
            "ends": ask("select path[1], path[-1], count(*) from cases group by all").fetchall(),
            "durations": ask(
                f"select count(*), avg(duration), quantile_cont(duration, {points}) from cases"
            ).fetchone(),
            "variants": ask("select count(distinct path) from cases").fetchone(),
            "top": ask(f"select path, count(*) as n from cases group by path order by n desc limit {TOP}").fetchall(),
        }

    def answers(self, question: Question, told: dict[str, Any]) -> Answers:
        label = self._labels
        if question == "counts":
            starts: dict[str, int] = {}
            for source, _, _, begun in told["edges"]:
                starts[label[source]] = starts.get(label[source], 0) + begun
            return Answers(
                {(label[s], label[t]): n for s, t, n, _ in told["edges"] if t is not None},
                {name: n for name, n in starts.items() if n},
                {label[s]: n for s, t, n, _ in told["edges"] if t is None},
            )
        edges = told["edges"]
        n, mean, points = told["durations"]
        return Answers(
            {(label[s], label[t]): count for s, t, count, *_ in edges},
            _added((label[first], n) for first, _, n in told["ends"]),
            _added((label[last], n) for _, last, n in told["ends"]),
            {
                (label[s], label[t]): tuple(value / 1e6 for value in (avg, low, high, *quantiles))
                for s, t, _, avg, low, high, quantiles in edges
            },
            (n, mean / 1e6, *(point / 1e6 for point in points)),
            told["variants"][0],
            [(tuple(label[code] for code in path), n) for path, n in told["top"]],
        )


class Polars:
    """polars on a frame of its own, with codes for activities; all questions are one collected plan."""

    name = "polars"

    def __init__(self, table: pa.Table, layout: str, threads: int) -> None:
        import polars as pl

        if pl.thread_pool_size() != threads:
            raise RuntimeError(f"polars has {pl.thread_pool_size()} threads, not {threads}: it was imported too early")
        self._labels, codes = _coded(table)
        frame = pa.table({"case_id": table["case_id"], "code": codes, "us": table["timestamp"].cast(pa.int64())})
        self._log = pl.from_arrow(frame).rechunk()
        # Stable sorts, one key after the other (faster than both at once): events of the same time stay in the order of
        # the log.
        self._sorts = {"case": (), "time": ("case_id",), "shuffled": ("us", "case_id")}[layout]

    def ask(self, question: Question) -> Any:
        import polars as pl

        # Sorted at once, not lazily: the plans below would each sort for themselves.
        log = self._log
        for key in self._sorts:
            log = log.sort(key, maintain_order=True)
        ordered = log.lazy()
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
                ]
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
            ]
        )

    def answers(self, question: Question, told: list[Any]) -> Answers:
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


def _coded(table: pa.Table) -> tuple[list[str], pa.ChunkedArray]:
    """The labels of a dictionary column, and its codes in the smallest type that holds them."""
    column = table["activity"].unify_dictionaries()
    labels = column.chunk(0).dictionary.to_pylist()
    kind = pa.uint8() if len(labels) <= 256 else pa.uint32()
    return labels, pa.chunked_array([pc.cast(chunk.indices, kind) for chunk in column.chunks])


def _added(counts: Iterable[tuple[str, int]]) -> dict[str, int]:
    total: dict[str, int] = {}
    for name, n in counts:
        total[name] = total.get(name, 0) + n
    return total
