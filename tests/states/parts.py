"""How is a log cut by case, and when are two results the same?"""

from __future__ import annotations

from typing import Any

import numpy as np
import pyarrow as pa
from random_logs import reordered

import pycjm

PERCENTILES = (50, 33.3, 99.9, 0, 100)


def keys(events: pa.Table) -> list[Any]:
    """The case of every event as a value that compares; a uuid is its bytes."""
    return [getattr(value, "bytes", value) for value in events["case"].to_pylist()]


def parts(events: pa.Table, n: int) -> list[pa.Table]:
    """The log in `n` logs that have no case in common, some perhaps empty."""
    found = keys(events)
    place = {case: i % n for i, case in enumerate(dict.fromkeys(found))}
    of_row = np.array([place[case] for case in found], np.int64)
    return [reordered(events, np.flatnonzero(of_row == part)) for part in range(n)]


def log(events: pa.Table, **options: Any) -> pycjm.EventLog:
    """A normalised log, ready to be mined."""
    roles: dict[str, Any] = {name: name for name in ("case", "activity", "timestamp")}
    if "start_timestamp" in events.column_names:
        roles["start_timestamp"] = "start_timestamp"
    roles["order_by"] = [name for name in events.column_names if name.startswith("order_")]
    return pycjm.scan(events, **(roles | options))


def mine(events: pa.Table, **options: Any) -> pycjm.MiningResult:
    """All that a state can tell, and the state."""
    return log(events, **options).mine(percentiles=PERCENTILES, state=True)


def merge(*states: Any, **options: Any) -> pycjm.MiningResult:
    """The same of several logs, from their states."""
    return pycjm.merge(states, percentiles=PERCENTILES, state=True, **options)


def ipc_bytes(table: Any) -> bytes:
    """A table as one batch of an Arrow stream: equal bytes are equal to the bit."""
    whole = pa.table(table).combine_chunks()
    sink = pa.BufferOutputStream()
    with pa.ipc.new_stream(sink, whole.schema) as writer:
        writer.write_table(whole)
    return sink.getvalue().to_pybytes()


def assert_same(found: pycjm.MiningResult, wanted: pycjm.MiningResult, *, layout: bool = True) -> None:
    """Every table to the byte; `layout` says whether that counts, too."""
    assert list(found) == list(wanted)
    for name in wanted:
        one, other = found[name].to_pyarrow(), wanted[name].to_pyarrow()
        if name == "overview" and not layout:
            one, other = one.drop_columns("layout"), other.drop_columns("layout")
        assert one.equals(other), name
        assert ipc_bytes(one) == ipc_bytes(other), name
