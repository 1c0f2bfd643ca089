"""What do the tests ask? Plans, and one call for both Python backends."""

from __future__ import annotations

import importlib
from typing import Any

import pyarrow as pa

ALL = ("overview", "activities", "dfg", "variants", "durations")
PERCENTILES = (50, 90, 95, 99)


def plan(*measures: str, percentiles: tuple[float, ...] = PERCENTILES, top: int | None = None) -> dict[str, Any]:
    """Return a plan for the measures named, or for all that every backend has."""
    asked = [{"measure": name, "percentiles": list(percentiles)} for name in measures or ALL]
    for measure in asked:
        if measure["measure"] == "variants":
            measure["top"] = top
    return {"version": 1, "measures": asked, "case_metrics": []}


def mine(backend: str, events: pa.Table, asked: dict[str, Any] | None = None, **info: Any) -> dict[str, pa.Table]:
    """Mine with a Python backend, as the public API does."""
    module = importlib.import_module(f"pycjm.backends.{backend}")
    return module.mine(events, asked or plan(), {"dropped_rows": {}, "negative": "keep", **info})


def values(table: pa.Table, column: str) -> list[Any]:
    """Return a column as a list; times as ticks, since Python's end with the year 9999."""
    held = table[column]
    return (held.cast(pa.int64()) if pa.types.is_timestamp(held.type) else held).to_pylist()


def rows(table: pa.Table, *names: str) -> list[tuple]:
    """Return the named columns as a list of tuples."""
    return list(zip(*(table[name].to_pylist() for name in names), strict=True))


def records(table: pa.Table) -> list[dict[str, Any]]:
    """Return a table as a list of dicts; times as ticks."""
    columns = [values(table, name) for name in table.column_names]
    return [dict(zip(table.column_names, row, strict=True)) for row in zip(*columns, strict=True)]


def assert_same(found: dict[str, pa.Table], expected: dict[str, pa.Table]) -> None:
    """Compare tables with their schemas, floats to the bit."""
    assert list(found) == list(expected)
    for name, table in expected.items():
        assert found[name].schema.equals(table.schema), name
        for column in table.column_names:
            assert values(found[name], column) == values(table, column), f"{name}.{column}"
        assert found[name].equals(table), name
