"""How is one log put to the engine in every way, and to the reference?

The reference gets the events as they are, past everything that reads and normalises them, so that this is tested too.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

import pycjm
from pycjm.backends import reference

MEASURES = ("overview", "activities", "dfg", "variants", "durations", "cases")
PERCENTILES = (50, 90, 99.9, 0, 100)
THREADS = (1, 2, 7)
FLAT = "abcdefghijklmnopqrstuvwxyz"


def roles(events: pa.Table) -> dict[str, Any]:
    """The arguments of ``scan`` for a normalised log."""
    named: dict[str, Any] = {name: name for name in ("case", "activity", "timestamp")}
    if "start_timestamp" in events.column_names:
        named["start_timestamp"] = "start_timestamp"
    return named | {"order_by": [name for name in events.column_names if name.startswith("order_")]}


def mine(source: Any, events: pa.Table, *, threads: int | None = None, **options: Any) -> pycjm.MiningResult:
    """Mines natively; `events` says which columns there are."""
    log = pycjm.scan(source, **(roles(events) | options))
    return log.mine(*MEASURES, percentiles=PERCENTILES, threads=threads)


def expected(
    events: pa.Table, *, negative: str = "keep", dropped_rows: dict[str, int] | None = None
) -> dict[str, pa.Table]:
    """What the reference says."""
    measures = [{"measure": name, "percentiles": list(PERCENTILES)} for name in MEASURES]
    for measure in measures:
        if measure["measure"] == "variants":
            measure["top"] = None
    plan = {"version": 1, "measures": measures, "case_metrics": []}
    return reference.mine(events, plan, {"dropped_rows": dropped_rows or {}, "negative": negative})


def assert_equal(result: pycjm.MiningResult, tables: dict[str, pa.Table], *, what: object = "") -> None:
    """Every value of every table, floats to the bit; the type of the case ids is told by whoever reads them."""
    for name, table in tables.items():
        found, wanted = _plain(result[name].to_pyarrow()), _plain(table)
        assert found.schema.names == wanted.schema.names, (name, what)
        for column in wanted.column_names:
            assert found.schema.field(column).type.equals(wanted.schema.field(column).type), (name, column, what)
            assert _ticks(found[column]) == _ticks(wanted[column]), (name, column, what)


def _plain(table: pa.Table) -> pa.Table:
    """Without dictionaries and extension types, whose form is not part of the values."""
    for i, field in enumerate(table.schema):
        column = table.column(i)
        if pa.types.is_dictionary(field.type):
            column = column.cast(field.type.value_type)
        if isinstance(column.type, pa.BaseExtensionType):
            column = column.cast(column.type.storage_type)
        table = table.set_column(i, field.name, column)
    return table


def _ticks(column: pa.ChunkedArray) -> list[Any]:
    """Values for comparison: times as ticks, since Python's end with the year 9999, and -0.0 told from 0.0."""
    if pa.types.is_timestamp(column.type):
        return column.cast(pa.int64()).to_pylist()
    if pa.types.is_floating(column.type):
        return [None if value is None else value.hex() for value in column.to_pylist()]
    return column.to_pylist()


def ipc_bytes(result: pycjm.MiningResult) -> dict[str, bytes]:
    """Each table as the bytes of an Arrow IPC stream, batch by batch as the engine gives it."""
    found = {}
    for name in MEASURES:
        sink = pa.BufferOutputStream()
        reader = result[name].to_reader()
        with pa.ipc.new_stream(sink, reader.schema) as writer:
            for batch in reader:
                writer.write_batch(batch)
        found[name] = sink.getvalue().to_pybytes()
    return found


def parquet(folder: Path, events: pa.Table, rows: int) -> Path:
    """The log as a Parquet file with row groups of so many rows."""
    path = folder / f"log-{rows}.parquet"
    pq.write_table(events, path, row_group_size=max(rows, 1))
    return path


def fits_parquet(events: pa.Table) -> bool:
    """Whether a Parquet file gives the same log back: it has no seconds, only milliseconds, and fewer of those."""
    stamps = [field.type for field in events.schema if pa.types.is_timestamp(field.type)]
    return all(stamp.unit != "s" for stamp in stamps)


def sources(folder: Path, events: pa.Table, row_group_sizes: tuple[int, ...]) -> Iterator[tuple[str, Any]]:
    """The log in memory as it comes and in one piece, as a stream, and in files."""
    yield "as it comes", events
    yield "one batch", events.combine_chunks()
    yield "stream", events.to_reader(max_chunksize=3)
    if fits_parquet(events):
        for rows in row_group_sizes:
            yield f"row groups of {rows}", parquet(folder, events, rows)
