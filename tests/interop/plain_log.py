"""What is the one log of these tests, and what is its answer?

However the log is dressed - types, units, batches, files - its tables stay the same. Times are whole seconds, so that
every unit holds them, with many ties; cases are interleaved, and the expected tables come from the reference.
"""

from __future__ import annotations

import datetime
from functools import cache
from typing import Any

import numpy as np
import pyarrow as pa

import pycjm

N_EVENTS = 600
START_S = 1_767_600_000
MEASURES = ("overview", "activities", "dfg", "variants", "durations", "cases")
ROLES = {"case": "case", "activity": "activity", "timestamp": "at"}
ACTIVITIES = ["search", "view", "basket", "buy", "", "Ärger \U0001f600", "a\tb"]


@cache
def columns() -> dict[str, list[Any]]:
    """The log as Python values: small case numbers, activities, seconds since 1970."""
    rng = np.random.default_rng(20)
    case = (rng.random(N_EVENTS) ** 2 * 60).astype(int)
    activity = (rng.random(N_EVENTS) ** 2 * len(ACTIVITIES)).astype(int)
    seconds = START_S + np.sort(rng.integers(0, 200, N_EVENTS)) * 977
    return {
        "case": case.tolist(),
        "activity": [ACTIVITIES[i] for i in activity],
        "at": seconds.tolist(),
    }


def timestamps(kind: pa.DataType | None = None, seconds: list[int] | None = None) -> pa.Array:
    """The times, or others, as a timestamp column."""
    kind = kind or pa.timestamp("us", "UTC")
    ticks = {"s": 1, "ms": 10**3, "us": 10**6, "ns": 10**9}[kind.unit]
    return pa.array([second * ticks for second in (seconds or columns()["at"])], pa.int64()).cast(kind)


def table(**instead: Any) -> pa.Table:
    """The log as a plain table; columns may be given in another dress."""
    plain = columns()
    dressed = {"case": pa.array(plain["case"], pa.int64()), "activity": pa.array(plain["activity"], pa.utf8())}
    return pa.table(dressed | {"at": timestamps()} | instead)


def in_batches(whole: pa.Table, rows: int) -> pa.Table:
    """The table in batches of so many rows, with a dictionary of its own in each."""
    batches = []
    for begin in range(0, whole.num_rows, rows):
        part = whole.slice(begin, rows)
        arrays = []
        for column in part.columns:
            if pa.types.is_dictionary(column.type):
                # Values in another order, and only those that occur.
                arrays.append(pa.array(column.to_pylist()[::-1], column.type)[::-1].take(pa.array(range(len(column)))))
            else:
                arrays.append(column.combine_chunks())
        batches.append(pa.RecordBatch.from_arrays(arrays, schema=whole.schema))
    return pa.Table.from_batches(batches, whole.schema)


def mined(source: Any, *, backend: str = "native", threads: int | None = None, **options: Any) -> dict[str, Any]:
    """Every table as rows, in a form that does not depend on the types of case and time."""
    measures = MEASURES[:-1] if backend == "numba" else MEASURES
    result = pycjm.scan(source, **(ROLES | options)).mine(*measures, backend=backend, threads=threads)
    return {name: [_bare(row) for row in result[name].to_pyarrow().to_pylist()] for name in result}


def _bare(row: dict[str, Any]) -> dict[str, Any]:
    return {name: _moment(value) if name in ("first_ts", "last_ts") else value for name, value in row.items()}


def _moment(value: Any) -> Any:
    if value is None:
        return None
    if hasattr(value, "to_pydatetime"):
        value = value.to_pydatetime(warn=False)
    return value.replace(tzinfo=datetime.UTC) if value.tzinfo is None else value.astimezone(datetime.UTC)


@cache
def expected(unit: str = "us") -> dict[str, Any]:
    """What the reference says of the log; units differ in the last bit of a deviation only."""
    return mined(table(at=timestamps(pa.timestamp(unit, "UTC"))), backend="reference")


def assert_right(source: Any, *, unit: str = "us", case_ids: Any = lambda number: number, **options: Any) -> None:
    """Mines a dressed log natively and compares everything.

    Parameters
    ----------
    source : object
        What ``pycjm.scan`` takes.
    unit : str
        The unit of its times.
    case_ids : callable
        Gives a case id, as Python has it, of a case number.
    **options
        Of ``scan``.
    """
    found = mined(source, **options)
    wanted = dict(expected(unit))
    wanted["cases"] = [row | {"case": case_ids(row["case"])} for row in wanted["cases"]]
    for name in MEASURES:
        assert found[name] == wanted[name], name
