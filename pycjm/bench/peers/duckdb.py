"""How would one ask duckdb?"""

from __future__ import annotations

from typing import Any

import duckdb
import pyarrow as pa

from ..answers import PERCENTILES, TOP, Answers, added
from . import Log, Means
from .coding import numbered


class Duckdb:
    """A table of its own, with the position of each row in it and codes for activities.

    A file of grouped rows is read where it lies; that streams.
    """

    def __init__(self, log: Log, means: Means) -> None:
        config: dict[str, Any] = {"threads": means.threads}
        if means.memory_bytes is not None:
            config["memory_limit"] = f"{means.memory_bytes}B"
        if means.temp_dir is not None:
            config["temp_directory"] = means.temp_dir
        self._db = duckdb.connect(config=config)
        self._grouped = log.layout == "case"
        if log.table is not None:
            self._take(log.table)
        else:
            self._open(str(log.path))

    def _take(self, table: pa.Table) -> None:
        self._labels, given = numbered(table)
        self._db.register("given", given)
        self._db.execute("create table log as select * from given order by pos")
        self._db.unregister("given")

    def _open(self, path: str) -> None:
        source = "read_parquet($path, file_row_number = true)"
        names = self._db.execute(f"select distinct activity from {source} order by all", {"path": path}).fetchall()
        self._labels = [name for (name,) in names]
        listed = ", ".join("'" + name.replace("'", "''") + "'" for name in self._labels)
        self._db.execute(f"create type label as enum ({listed})")
        kind = "view" if self._grouped else "table"
        quoted = source.replace("$path", "'" + path.replace("'", "''") + "'")
        self._db.execute(
            f"create {kind} log as select case_id, enum_code(activity::label) as code, epoch_us(timestamp) as us,"
            f" file_row_number as pos from {quoted}"
        )

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

    def ask(self, question: str) -> dict[str, Any]:
        """Rows by name."""
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

    def answers(self, question: str, told: dict[str, Any]) -> Answers:
        """Codes as labels."""
        label = self._labels
        edges = told["edges"]
        if question == "counts":
            return Answers(
                {(label[s], label[t]): n for s, t, n, _ in edges if t is not None},
                added((label[source], begun) for source, _, _, begun in edges),
                {label[s]: n for s, t, n, _ in edges if t is None},
            )
        n, mean, points = told["durations"]
        return Answers(
            {(label[s], label[t]): count for s, t, count, *_ in edges},
            added((label[first], n) for first, _, n in told["ends"]),
            added((label[last], n) for _, last, n in told["ends"]),
            {
                (label[s], label[t]): tuple(value / 1e6 for value in (avg, low, high, *quantiles))
                for s, t, _, avg, low, high, quantiles in edges
            },
            (n, mean / 1e6, *(point / 1e6 for point in points)),
            told["variants"][0],
            [(tuple(label[code] for code in path), n) for path, n in told["top"]],
        )
