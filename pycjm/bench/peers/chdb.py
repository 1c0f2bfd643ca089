"""How would one ask ClickHouse, in this process?"""

from __future__ import annotations

from typing import Any

import chdb
import pyarrow as pa

from ..answers import PERCENTILES, TOP, Answers, added
from . import Log, Means
from .coding import numbered

NO_CODE = (1 << 24) - 1
"""Stands for the end of a case; codes are below."""


class Chdb:
    """A table of its own, with the position of each row in it and codes for activities; one sorted array per case.

    Time, position and code of an event are one whole number of 128 bits, because such numbers are sorted about twice as
    fast as tuples.
    """

    def __init__(self, log: Log, means: Means) -> None:
        self._db = chdb.connect(":memory:")
        self._settings = f" settings max_threads = {means.threads}"
        if means.memory_bytes is not None:
            self._settings += f", max_memory_usage = {means.memory_bytes}"
        if means.memory_bytes is not None and means.temp_dir is not None:
            half = means.memory_bytes // 2
            self._settings += f", max_bytes_before_external_group_by = {half}, max_bytes_before_external_sort = {half}"
        for name in ("log", "cases"):
            self._run(f"drop table if exists {name}")
        if log.table is not None:
            self._take(log.table)
        else:
            self._open(str(log.path))

    def _take(self, table: pa.Table) -> None:
        self._labels, given = numbered(table)
        # Arrow columns come in as nullable, which would cost it twice the time.
        columns = ", ".join(f"assumeNotNull({name}) as {name}" for name in given.column_names)
        # ClickHouse finds the table by the name of this variable.
        self._db.query(f"create table log engine = Memory as select {columns} from Python(given)" + self._settings)

    def _open(self, path: str) -> None:
        file = "file('" + path.replace("\\", "\\\\").replace("'", "\\'") + "', Parquet)"
        self._labels = self._rows(f"select distinct activity from {file} order by activity")[0]
        listed = ", ".join("'" + name.replace("\\", "\\\\").replace("'", "\\'") + "'" for name in self._labels)
        code = f"transform(activity, [{listed}], range(toUInt32({len(self._labels)})), toUInt32(0))"
        self._run(
            f"create view log as select case_id, {code} as code, toUnixTimestamp64Micro(timestamp) as us,"
            f" _row_number as pos from {file}"
        )

    def ask(self, question: str) -> dict[str, list[list[Any]]]:
        """Columns by name."""
        packed = "bitShiftLeft(toInt128(us), 64) + bitShiftLeft(toInt128(pos), 24) + code"
        sorted_events = f"select arraySort(groupArray({packed})) as events from log group by case_id"
        codes = "arrayMap(e -> toUInt32(bitAnd(e, 16777215)), events) as codes"
        if question == "counts":
            return {
                "edges": self._rows(
                    f"select source, target, count(), countIf(place = 1) from (select {codes} from ({sorted_events}))"
                    f" array join codes as source, arrayPushBack(arrayPopFront(codes), {NO_CODE}) as target,"
                    " arrayEnumerate(codes) as place group by source, target"
                )
            }
        times = "arrayMap(e -> toInt64(bitShiftRight(e, 64)), events) as times"
        self._run("drop table if exists cases")
        self._run(f"create table cases engine = Memory as select {codes}, {times} from ({sorted_events})")
        points = ", ".join(str(p / 100) for p in PERCENTILES)
        # The percentile between two values, as numpy and the others have it.
        quantiles = f"quantilesExactInclusive({points})"
        return {
            "edges": self._rows(
                f"select source, target, count(), avg(gap), min(gap), max(gap), {quantiles}(gap) from cases"
                " array join arrayPopBack(codes) as source, arrayPopFront(codes) as target,"
                " arrayPopFront(arrayDifference(times)) as gap group by source, target"
            ),
            "ends": self._rows("select codes[1] as first, codes[-1] as last, count() from cases group by first, last"),
            "durations": self._rows(
                "select count(), avg(duration), " + f"{quantiles}(duration)"
                " from (select times[-1] - times[1] as duration from cases)"
            ),
            "variants": self._rows("select count() from (select codes from cases group by codes)"),
            "top": self._rows(f"select codes, count() as n from cases group by codes order by n desc limit {TOP}"),
        }

    def _run(self, query: str) -> None:
        self._db.query(query + (self._settings if " as select " in query else ""))

    def _rows(self, query: str) -> list[list[Any]]:
        table = self._db.query(query + self._settings, "ArrowTable")
        return [column.to_pylist() for column in table.columns]

    def answers(self, question: str, told: dict[str, list[list[Any]]]) -> Answers:
        """Codes as labels."""
        label = self._labels
        edges = list(zip(*told["edges"], strict=True))
        if question == "counts":
            return Answers(
                {(label[s], label[t]): n for s, t, n, _ in edges if t != NO_CODE},
                added((label[source], begun) for source, _, _, begun in edges),
                {label[s]: n for s, t, n, _ in edges if t == NO_CODE},
            )
        ends = list(zip(*told["ends"], strict=True))
        ((n, mean, points),) = zip(*told["durations"], strict=True)
        return Answers(
            {(label[s], label[t]): count for s, t, count, *_ in edges},
            added((label[first], n) for first, _, n in ends),
            added((label[last], n) for _, last, n in ends),
            {
                (label[s], label[t]): tuple(value / 1e6 for value in (avg, low, high, *quantiles))
                for s, t, _, avg, low, high, quantiles in edges
            },
            (n, mean / 1e6, *(point / 1e6 for point in points)),
            told["variants"][0][0],
            [(tuple(label[code] for code in path), n) for path, n in zip(*told["top"], strict=True)],
        )
