"""Do the engine and the reference agree on any small log, wherever it comes from?"""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from engines import THREADS, assert_equal, expected, ipc_bytes, mine, sources
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from random_logs import logs, reordered

from pycjm import errors

any_log = settings(max_examples=80, deadline=None, suppress_health_check=[HealthCheck.too_slow])


@any_log
@given(events=logs(), threads=st.sampled_from(THREADS), rows=st.integers(1, 45))
def test_every_source(events: pa.Table, threads: int, rows: int) -> None:
    wanted = expected(events)
    with tempfile.TemporaryDirectory() as folder:
        for name, source in sources(Path(folder), events, (1, rows)):
            assert_equal(mine(source, events, threads=threads), wanted, what=name)


@any_log
@given(events=logs())
def test_threads_change_no_byte(events: pa.Table) -> None:
    one, *others = (ipc_bytes(mine(events, events, threads=threads)) for threads in THREADS)
    assert all(other == one for other in others)


@any_log
@given(events=logs(with_starts=True), negative=st.sampled_from(["keep", "zero"]))
def test_starts(events: pa.Table, negative: str) -> None:
    assert_equal(mine(events, events, negative=negative), expected(events, negative=negative))


@any_log
@given(events=logs(with_starts=True))
def test_negative_gaps_can_be_refused(events: pa.Table) -> None:
    try:
        wanted = expected(events, negative="error")
    except errors.InvalidData:
        with pytest.raises(errors.InvalidData, match="negative"):
            mine(events, events, negative="error")
    else:
        assert_equal(mine(events, events, negative="error"), wanted)


@any_log
@given(events=logs(with_order=True))
def test_columns_that_break_ties(events: pa.Table) -> None:
    assert_equal(mine(events, events), expected(events))


@any_log
@given(events=logs(), holes=st.lists(st.sets(st.integers(0, 3)), max_size=40))
def test_nulls_are_dropped(events: pa.Table, holes: list[set[int]]) -> None:
    """Rows lose the values of the roles that are in `holes`; a row counts for the first null that it has."""
    named = [name for name in ("case", "activity", "timestamp", "start_timestamp") if name in events.column_names]
    holes = (holes + [set()] * events.num_rows)[: events.num_rows]
    holed, lost = events, dict.fromkeys(named, 0)
    for i, name in enumerate(named):
        missing = np.array([i in hole for hole in holes], bool)
        holed = holed.set_column(events.column_names.index(name), name, _without(events[name], missing))
    whole = []
    for row, hole in enumerate(holes):
        gone = next((name for i, name in enumerate(named) if i in hole), None)
        if gone is None:
            whole.append(row)
        else:
            lost[gone] += 1
    kept = reordered(events, np.array(whole, np.int64))
    assert_equal(mine(holed, events, on_null="drop"), expected(kept, dropped_rows=lost))
    with tempfile.TemporaryDirectory() as folder:
        for name, source in sources(Path(folder), holed, (1, 7)):
            assert_equal(mine(source, events, on_null="drop"), expected(kept, dropped_rows=lost), what=name)
    if sum(lost.values()):
        with pytest.raises(errors.InvalidData) as caught:
            mine(holed, events)
        told = caught.value.details
        rows = [row for row, hole in enumerate(holes, 1) if named.index(told["column"]) in hole]  # counted from 1
        assert (told["row"], told["count"]) == (rows[0], len(rows))


def _without(column: pa.ChunkedArray, missing: np.ndarray) -> pa.ChunkedArray:
    """The column with nulls where asked; every chunk keeps its size and type."""
    chunks, begin = [], 0
    for chunk in column.chunks:
        here = missing[begin : begin + len(chunk)]
        begin += len(chunk)
        chunks.append(_nulled(chunk, here))
    return pa.chunked_array(chunks, column.type)


def _nulled(chunk: pa.Array, missing: np.ndarray) -> pa.Array:
    if isinstance(chunk.type, pa.BaseExtensionType):
        return chunk.type.wrap_array(_nulled(chunk.storage, missing))
    if pa.types.is_dictionary(chunk.type):
        return pa.DictionaryArray.from_arrays(_nulled(chunk.indices, missing), chunk.dictionary)
    values: list[Any] = (chunk.cast(pa.int64()) if pa.types.is_timestamp(chunk.type) else chunk).to_pylist()
    return pa.array([None if gone else value for value, gone in zip(values, missing, strict=True)], chunk.type)
