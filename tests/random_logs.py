"""Which logs must every backend agree on? Random ones, of every type and shape that the contract allows.

`draw_log` makes one from a seed, for sizes that matter; the strategy `logs` makes small ones that shrink, for laws.
Both give normalised events: ``case``, ``activity``, ``timestamp``, perhaps ``start_timestamp`` and ``order_N``.
"""

from __future__ import annotations

import uuid
from collections.abc import Callable
from typing import Any

import numpy as np
import pyarrow as pa
from hypothesis import strategies as st

LABELS = ["b", "a", "ab", "", "B", "ä", "zz", "\U0001d11e", "￿", "a\0", "a\0b", " a"]
"""Few of them sort alike in every order: by bytes, by UTF-16 units, by case, up to a zero byte."""

LAYOUTS = ("case", "time", "none")
UNITS = ("s", "ms", "us", "ns")
ZONES = (None, "UTC", "Europe/Berlin", "+05:45")

_TEXTS = [
    "",
    "c",
    "c\0",
    "case-00000000001",
    "case-00000000002",
    "a longer case id of more than 16 bytes",
    "ü",
    "12345678",
]


def _text(i: int) -> str:
    return _TEXTS[i % len(_TEXTS)] + "x" * (i // len(_TEXTS))


def _integer(bits: int, signed: bool) -> Callable[[int], int]:
    lowest = -(2 ** (bits - 1)) if signed else 0
    # both ends of the range, where a cast to another type would show
    return lambda i: lowest + i if i % 2 else lowest + 2**bits - 1 - i


CASE_IDS: dict[str, tuple[pa.DataType, Callable[[int], Any]]] = {
    **{str(t): (t, _integer(t.bit_width, True)) for t in (pa.int8(), pa.int16(), pa.int32(), pa.int64())},
    **{str(t): (t, _integer(t.bit_width, False)) for t in (pa.uint8(), pa.uint16(), pa.uint32(), pa.uint64())},
    **{str(t): (t, _text) for t in (pa.utf8(), pa.large_utf8(), pa.string_view())},
    "short text": (pa.utf8(), lambda i: ("c\0" + "0123456789abc"[: i % 13]) + chr(97 + i // 13 % 26) + "é" * (i > 337)),
    "text of 16 bytes": (pa.utf8(), lambda i: f"customer{i:08d}"),
    "dictionary": (pa.dictionary(pa.int32(), pa.utf8()), _text),
    "small dictionary": (pa.dictionary(pa.int8(), pa.int64()), _integer(64, True)),
    "fixed": (pa.binary(3), lambda i: i.to_bytes(3, "big")),
    "uuid": (pa.uuid(), lambda i: uuid.UUID(int=i << 64 | i).bytes),
}
ACTIVITY_TYPES = {
    **{str(t): t for t in (pa.utf8(), pa.large_utf8(), pa.string_view())},
    "dictionary": pa.dictionary(pa.int32(), pa.utf8()),
    "small dictionary": pa.dictionary(pa.int8(), pa.utf8()),
}
ORDER_TYPES = (pa.int16(), pa.float64(), pa.utf8(), pa.timestamp("ns"), pa.bool_())


def order_value(kind: pa.DataType, i: int | None) -> Any:
    """Return the i-th value of a column that breaks ties; None is null."""
    if i is None:
        return None
    if pa.types.is_floating(kind):
        return [-1.5, 0.0, -0.0, float("inf"), float("nan")][i % 5]
    return LABELS[i % len(LABELS)] if pa.types.is_string(kind) else bool(i % 2) if pa.types.is_boolean(kind) else i - 2


def column(values: list[Any], kind: pa.DataType) -> pa.Array:
    """Return an array of any type that a log may hold."""
    if isinstance(kind, pa.BaseExtensionType):
        return kind.wrap_array(pa.array(values, kind.storage_type))
    return pa.array(values, kind)


def in_layout(case: np.ndarray, time: np.ndarray, layout: str) -> np.ndarray:
    """Return an order of the rows that has a layout (or, for a log with few rows, a simpler one)."""
    if layout == "case":
        return np.argsort(case, kind="stable")
    return np.argsort(time, kind="stable") if layout == "time" else np.arange(len(case))


def draw_log(
    seed: int,
    n_events: int,
    *,
    n_cases: int,
    n_activities: int = 8,
    layout: str = "none",
    time_range: int = 10**6,
    case_id: str = "int64",
    with_starts: bool = False,
    sorted_cases: bool = True,
) -> pa.Table:
    """Return a random log; cases are of very different lengths, and a short `time_range` makes many ties."""
    rng = np.random.default_rng(seed)
    case = (rng.random(n_events) ** 2 * n_cases).astype(np.int64)
    time = rng.integers(0, time_range, n_events)
    activity = (rng.random(n_events) ** 1.5 * n_activities).astype(np.int64)
    order = np.argsort(time, kind="stable") if sorted_cases else np.arange(n_events)
    order = order[in_layout(case[order], time[order], layout)] if layout != "none" else rng.permutation(n_events)
    case, time, activity = case[order], time[order], activity[order]
    kind, value = CASE_IDS[case_id]
    names = [f"activity {i}" for i in range(n_activities)]
    columns = {
        "case": column([value(int(i)) for i in case], kind),
        "activity": pa.array([names[i] for i in activity]),
        "timestamp": pa.array(time, pa.timestamp("us", "UTC")),
    }
    if with_starts:
        columns["start_timestamp"] = pa.array(
            time - rng.integers(-5, time_range // 10 + 6, n_events), pa.timestamp("us", "UTC")
        )
    return pa.table(columns)


@st.composite
def logs(draw: st.DrawFn, *, with_starts: bool | None = None, with_order: bool | None = None) -> pa.Table:
    """Draw a small log of any type, layout and chunking, with ties more often than not."""
    n = draw(st.integers(0, 40))
    some = st.integers(0, draw(st.sampled_from([1, 3, 12])))
    case = np.array(draw(st.lists(some, min_size=n, max_size=n)), np.int64)
    activity = draw(st.lists(st.integers(0, draw(st.integers(0, len(LABELS) - 1))), min_size=n, max_size=n))
    ticks = draw(st.sampled_from([st.integers(0, 4), st.integers(-(10**6), 10**6), st.integers(-(2**61), 2**61)]))
    time = np.array(draw(st.lists(ticks, min_size=n, max_size=n)), np.int64)
    stamp = pa.timestamp(draw(st.sampled_from(UNITS)), draw(st.sampled_from(ZONES)))
    kind, value = CASE_IDS[draw(st.sampled_from(sorted(CASE_IDS)))]
    columns = {
        "case": column([value(int(i)) for i in case], kind),
        "activity": column(
            [LABELS[i] for i in activity], ACTIVITY_TYPES[draw(st.sampled_from(sorted(ACTIVITY_TYPES)))]
        ),
        "timestamp": pa.array(time, stamp),
    }
    if draw(st.booleans()) if with_starts is None else with_starts:
        lengths = np.array(draw(st.lists(st.integers(-3, 9), min_size=n, max_size=n)), np.int64)
        columns["start_timestamp"] = pa.array(time - lengths, stamp)
    if draw(st.booleans()) if with_order is None else with_order:
        for i in range(draw(st.integers(1, 2))):
            key = draw(st.sampled_from(ORDER_TYPES))
            ranks = draw(st.lists(st.none() | st.integers(0, 3), min_size=n, max_size=n))
            columns[f"order_{i}"] = pa.array([order_value(key, rank) for rank in ranks], key)
    events = pa.table(columns)
    return in_chunks(reordered(events, in_layout(case, time, draw(st.sampled_from(LAYOUTS)))), draw(st.integers(1, 7)))


def reordered(events: pa.Table, order: np.ndarray) -> pa.Table:
    """Return the rows of a log in another order, whatever the types of its columns."""
    return pa.table({name: _taken(events[name], pa.array(order, pa.int64())) for name in events.column_names})


def _taken(values: pa.ChunkedArray, rows: pa.Array) -> pa.ChunkedArray:
    if pa.types.is_string_view(values.type):  # pyarrow has no take for views
        return values.cast(pa.large_utf8()).take(rows).cast(pa.string_view())
    return values.take(rows)


def in_chunks(events: pa.Table, rows: int) -> pa.Table:
    """Return the log in chunks of so many rows, each with dictionaries of its own."""
    pieces = [events.slice(i, rows) for i in range(0, events.num_rows, rows)] or [events]
    return pa.table({name: _chunked([piece[name] for piece in pieces]) for name in events.column_names})


def _chunked(pieces: list[pa.ChunkedArray]) -> pa.ChunkedArray:
    kind = pieces[0].type
    if not pa.types.is_dictionary(kind):
        return pa.chunked_array([chunk for piece in pieces for chunk in piece.chunks], kind)
    return pa.chunked_array([pa.array(piece.to_pylist(), kind) for piece in pieces], kind)
