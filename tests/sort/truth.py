"""What would a sorted log be? Plain Python's own sort on the values, and readers that are not ours."""

from __future__ import annotations

import math
import uuid
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import random_logs

import pycjm

TABLES = ("overview", "activities", "dfg", "variants", "durations")
TINY = 400_000
"""A memory limit with which logs of some thousand rows become many runs, and many parts that are merged."""


def plain_values(column: pa.ChunkedArray) -> list[Any]:
    """The values of a column as Python has them, in a form that compares."""
    values = column.to_pylist()
    return [value.bytes if isinstance(value, uuid.UUID) else value for value in values]


def ordered_values(column: pa.ChunkedArray) -> list[tuple[int, Any]]:
    """Values that sort as the contract says: nulls last, NaN just before them, text by its bytes."""

    def of(value: Any) -> tuple[int, Any]:
        if value is None:
            return 2, 0
        if isinstance(value, float) and math.isnan(value):
            return 1, 0
        return 0, value.encode() if isinstance(value, str) else value

    return [of(value) for value in plain_values(column)]


def expected(table: pa.Table, *, case: Sequence[str], timestamp: str, order_by: Sequence[str] = ()) -> pa.Table:
    """The rows in order. Those with a null in a role must be gone already."""
    names = [*case, timestamp, *order_by]
    keys = [
        table[name].cast(pa.int64()).to_pylist() if name == timestamp else ordered_values(table[name]) for name in names
    ]
    rows = sorted(range(table.num_rows), key=lambda row: (*(key[row] for key in keys), row))
    return random_logs.reordered(table, np.array(rows, np.int64))


def assert_same_rows(found: pa.Table, wanted: pa.Table) -> None:
    """Same columns, same values in the same rows; NaN equals NaN."""
    assert found.column_names == wanted.column_names
    for name in wanted.column_names:
        pair = [[repr(value) for value in plain_values(table[name])] for table in (found, wanted)]
        assert pair[0] == pair[1], name


def declared(path: Path) -> list[str]:
    """The columns that every row group of a file is declared to be sorted by, ascending."""
    meta = pq.ParquetFile(path).metadata
    leaves = [meta.schema.column(i).path for i in range(meta.num_columns)]
    told = {
        tuple((leaves[one.column_index], one.descending) for one in meta.row_group(i).sorting_columns)
        for i in range(meta.num_row_groups)
    }
    assert len(told) <= 1
    assert not any(descending for columns in told for _, descending in columns)
    return [name for columns in told for name, _ in columns]


def assert_declared_truly(path: Path) -> list[str]:
    """Checks that rows are sorted by the stored values of the columns that the file declares; gives them."""
    names, table = declared(path), pq.read_table(path)
    stored = []
    for name in names:
        column = table[name]
        is_time = pa.types.is_temporal(column.type)
        if is_time:
            column = column.cast(pa.int32() if pa.types.is_date32(column.type) else pa.int64())
        stored.append(ordered_values(column))
    rows = list(zip(*stored, strict=True))
    assert rows == sorted(rows)
    return names


def tables(log: pycjm.EventLog, *, without: Sequence[str] = ("layout", "dropped_rows")) -> dict[str, list[Any]]:
    """All tables of a log; of the overview only what does not depend on where the log comes from."""
    mined = log.mine(*TABLES)
    found = {name: mined[name].to_pyarrow() for name in TABLES}
    found["overview"] = found["overview"].drop_columns(list(without))
    return {name: table.to_pylist() for name, table in found.items()}


def many_columns(rng: np.random.Generator, n: int) -> dict[str, pa.Array]:
    """Columns of every kind that Parquet gives back, some with nulls."""
    numbers = rng.integers(-1000, 1000, n)

    def some(values: list[Any], kind: pa.DataType) -> pa.Array:
        return pa.array([None if rng.random() < 0.2 else value for value in values], kind)

    nested = pa.struct({"a": pa.int32(), "b": pa.list_(pa.string())})
    return {
        "nested": some([{"a": int(i), "b": [str(i)] * (i % 3)} for i in numbers], nested),
        "decimal": some([int(i) for i in numbers], pa.decimal128(12, 3)),
        "local": some([int(i) for i in numbers], pa.timestamp("ns", "Asia/Kathmandu")),
        "day": some([int(i) for i in numbers], pa.date32()),
        "flag": some([bool(i % 2) for i in numbers], pa.bool_()),
        "float": some([float("nan") if i % 7 == 0 else i / 3 for i in numbers], pa.float32()),
        "coded": some([f"channel {i % 5}" for i in numbers], pa.dictionary(pa.int8(), pa.string())),
        "bytes": some([str(i).encode() for i in numbers], pa.large_binary()),
        "map": some([[("k", int(i))] * (i % 2) for i in numbers], pa.map_(pa.string(), pa.int64())),
        "id": pa.uuid().wrap_array(some([int(i + 5000).to_bytes(16, "big") for i in numbers], pa.binary(16))),
        "text.with.dots": some([f"x{i}" for i in numbers], pa.string()),
        "nothing": pa.nulls(n),
    }  # fmt: skip


def log_table(seed: int, n: int, *, case_id: str, layout: str = "none", extra: bool = True) -> pa.Table:
    """A random log: the case's columns stand behind nested ones, there are ties, and columns to break them."""
    rng = np.random.default_rng(seed)
    events = random_logs.draw_log(
        seed, n, n_cases=max(n // 12, 1), case_id=case_id, layout=layout, time_range=max(n // 3, 1)
    )
    columns: dict[str, Any] = many_columns(rng, n) if extra else {}
    columns |= {name: events[name] for name in events.column_names}
    columns["rank"] = pa.array([None if i == 3 else int(i) for i in rng.integers(0, 4, n)], pa.int16())
    columns["weight"] = pa.array([random_logs.order_value(pa.float64(), int(i)) for i in rng.integers(0, 5, n)])
    columns["row"] = pa.array(np.arange(n))
    return pa.table(columns)
