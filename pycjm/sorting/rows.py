"""How are the rows of a log read with all their columns and, beside them, with what orders them?

The engine knows the rules: which rows a selection keeps, what a null does, when a text is a time. So each row goes to
the engine with its number, in the columns that have a role only, and comes back as an event with the number; rows whose
number does not come back are left out.
"""

from __future__ import annotations

import re
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from .. import _arrow, errors, roles
from .. import source as _source
from . import columns, files, order

if TYPE_CHECKING:
    import numpy as np
    import pyarrow as pa

    from ..roles import Roles
    from ..settings import Settings
    from ..source import Opened

NUMBER = "pycjm row number"
"""The column that takes a row's number through the engine."""


@dataclass
class Rows:
    """The rows of a log that are to be sorted.

    Attributes
    ----------
    schema : pyarrow.Schema
        The columns to be written, as the source has them.
    held : pyarrow.Schema
        The columns of the batches: those of `schema` in their types for sorting, then the time in ticks, then the
        `order_by` columns.
    case : list of int
        Where in `held` the columns of the case are.
    keys : list of int
        Where in `held` the columns are that order the rows: the case, the time, `order_by`.
    batches : iterator of pyarrow.RecordBatch
        In the order of the log.
    total : int or None
        How many rows the source has, where that is known.
    dropped : callable
        After the reading: the rows that nulls have cost, per role.
    """

    schema: pa.Schema
    held: pa.Schema
    case: list[int]
    keys: list[int]
    batches: Iterator[pa.RecordBatch]
    total: int | None
    dropped: Callable[[], dict[str, int]]


def read(source: Any, named: Roles, settings: Settings, batch_rows: int, *, threaded: bool) -> Rows:
    """The rows of a source.

    Parameters
    ----------
    source : Source
        Of an ``EventLog``.
    named : Roles
        All roles of the log.
    settings : Settings
        How its values are read.
    batch_rows : int
        How many rows to read at once, where that can be chosen.
    threaded : bool
        Whether columns may be decoded side by side.

    Raises
    ------
    InvalidArgument, InvalidData, Unsupported
        As when the log is mined; also for columns that are not in use.
    """
    if isinstance(source, _source.EngineFiles) and source.format == "xes":
        return _of_xes(source, named, settings)
    parsed: list[str] = []
    improve: Callable[[errors.PycjmError], errors.PycjmError] | None = None
    if isinstance(source, _source.EngineFiles):
        whole = files.of_parquet(source.facts(), named, batch_rows, threaded=threaded)
    elif isinstance(source, _source.IpcFiles):
        whole = files.of_ipc(source.source, named)
    elif isinstance(source, _source.CsvFiles):
        source.source.require(named)
        settings, inferred, offsets = source.inferred(named, settings)
        kinds = source.source.schema(named, source.integers(named, settings), settings.null_values)
        whole = files.of_csv(source.source, kinds, settings.null_values, named, offsets)
        parsed = _times_in_text(named, kinds)

        def improve(error: errors.PycjmError) -> errors.PycjmError:
            return source.improve(error, inferred, whole.starts)
    else:
        whole = _of_table(source, named)
    return _through_engine(whole, named, settings, parsed, improve or _at_its_file(whole), source.facts().rows)


def _times_in_text(named: Roles, kinds: pa.Schema) -> list[str]:
    """The columns of a CSV file that become timestamps: CSV has no types, so no type is lost by it."""
    import pyarrow as pa

    single = [names[0] for names in (named.timestamp, named.start_timestamp) if len(names) == 1]
    others = [*named.case, *named.activity, *named.order_by, *named.lifecycle]
    return [name for name in single if kinds.field(name).type == pa.string() and name not in others]


def _of_table(source: Any, named: Roles) -> files.Whole:
    names = [name for name, _ in source.source.columns()]
    roles.require(named, names, source.label)
    columns.require_unique(names, source.label)
    reader = source.source.reader(names)
    schema = columns.unify([(source.label, reader.schema)])
    held = columns.held(schema)
    return files.Whole(schema, (columns.aligned(batch, held, source.label) for batch in reader))


def _at_its_file(whole: files.Whole) -> Callable[[errors.PycjmError], errors.PycjmError]:
    """Adds the file to an error of the engine, which has seen one stream."""

    def improve(error: errors.PycjmError) -> errors.PycjmError:
        row = error.details.get("row")
        if not whole.paths or "path" in error.details or not isinstance(row, int):
            return error
        at = max((idx for idx, start in enumerate(whole.starts) if start < row), default=0)
        path = whole.paths[at]
        return type(error)(f"{path}: {error.message}", {**error.details, "path": path})

    return improve


def _with_row(error: errors.PycjmError) -> errors.PycjmError:
    """An error that has come through a stream, which passes on its text only, with the row that the text names."""
    found = re.search(r"\brow (\d+)", error.message)
    if "row" in error.details or found is None or not isinstance(error, (errors.InvalidData, errors.InvalidArgument)):
        return error
    return type(error)(error.message, {**error.details, "row": int(found[1])})


def _through_engine(
    whole: files.Whole,
    named: Roles,
    settings: Settings,
    parsed: Sequence[str],
    improve: Callable[[errors.PycjmError], errors.PycjmError],
    total: int | None,
) -> Rows:
    """The rows that the engine keeps, with what it says of their times."""
    import numpy as np
    import pyarrow as pa

    held = columns.held(whole.schema)
    for name in named.order_by:
        order.check_type(held.field(name).type, name)
    asked = pa.schema([*(held.field(name) for name in named.columns), pa.field(NUMBER, pa.int64())])
    waiting: deque[tuple[int, pa.RecordBatch]] = deque()
    aside = _arrow.Aside()

    def feed() -> Iterator[pa.RecordBatch]:
        rows = 0
        for batch in whole.batches:
            waiting.append((rows, batch))
            numbers = pa.array(np.arange(rows, rows + batch.num_rows))
            rows += batch.num_rows
            picked = [batch.column(held.get_field_index(name)) for name in named.columns]
            yield pa.RecordBatch.from_arrays([*picked, numbers], schema=asked)

    numbered = replace(named, order_by=(*named.order_by, NUMBER))
    reader = _arrow.guarded(asked, aside.watch(feed()), aside.note)
    handle = _source.from_stream(reader, settings.spec(numbered), aside)
    opened = _source.Opened(handle, aside, lambda error: improve(_with_row(error)))
    events = opened.events()
    schema = events.schema
    n_order = len(named.order_by)
    schema_out = whole.schema
    for role, names in (("timestamp", named.timestamp), ("start_timestamp", named.start_timestamp)):
        if names and names[0] in parsed:
            at = schema_out.get_field_index(names[0])
            schema_out = schema_out.set(at, pa.field(names[0], schema.field(role).type))
    keys = [pa.field("ticks", pa.int64()), *(schema.field(f"order_{i}") for i in range(n_order))]
    keys = [field.with_type(columns.plain(field.type)) for field in keys]
    held_out = pa.schema([*columns.held(schema_out), *keys])

    def batches() -> Iterator[pa.RecordBatch]:
        for event in events:
            numbers = event.column(f"order_{n_order}").to_numpy()
            done = 0
            while done < len(numbers):
                first, batch = waiting[0]
                until = int(np.searchsorted(numbers, first + batch.num_rows))
                if until > done:
                    part = event.slice(done, until - done)
                    yield _row_batch(_picked(batch, numbers[done:until] - first), part, named, parsed, held_out)
                done = until
                # Rows come in the order of the log: whatever is left of a batch was dropped.
                if done < len(numbers) or int(numbers[-1]) == first + batch.num_rows - 1:
                    waiting.popleft()

    return _rows(schema_out, held_out, batches(), named, settings, total, opened)


def _picked(batch: pa.RecordBatch, at: np.ndarray) -> pa.RecordBatch:
    """The rows of a batch at ascending positions, without a copy where they are neighbours."""
    if int(at[-1]) - int(at[0]) == len(at) - 1:
        return batch.slice(int(at[0]), len(at))
    return batch.take(at)


def _row_batch(
    batch: pa.RecordBatch, event: pa.RecordBatch, named: Roles, parsed: Sequence[str], held: pa.Schema
) -> pa.RecordBatch:
    import pyarrow as pa

    arrays = list(batch.columns)
    for role, names in (("timestamp", named.timestamp), ("start_timestamp", named.start_timestamp)):
        if names and names[0] in parsed:
            arrays[batch.schema.get_field_index(names[0])] = event.column(role)
    arrays.append(event.column("timestamp").view(pa.int64()))
    for i in range(len(held) - len(arrays)):
        column = event.column(f"order_{i}")
        kind = held.field(len(arrays)).type
        arrays.append(column if column.type == kind else column.cast(kind))
    return pa.RecordBatch.from_arrays(arrays, schema=held)


def _of_xes(source: Any, named: Roles, settings: Settings) -> Rows:
    """XES files: only the engine reads them, and it hands over whatever is named to be ordered by."""
    import pyarrow as pa

    names = [column.name for column in source.facts().columns]
    roles.require(named, names, source.label)
    asked = list(dict.fromkeys([*named.order_by, *names]))
    opened = source.open(replace(named, order_by=tuple(asked)), settings)
    events = opened.events()
    schema = events.schema
    place = {name: f"order_{i}" for i, name in enumerate(asked)}
    fields = [schema.field(place[name]).with_name(name) for name in names]
    keys = [schema.field(place[name]) for name in named.order_by]
    held = pa.schema([*fields, pa.field("ticks", pa.int64()), *keys])

    def batches() -> Iterator[pa.RecordBatch]:
        for event in events:
            arrays = [event.column(place[name]) for name in names]
            ticks = event.column("timestamp").view(pa.int64())
            ties = [event.column(place[name]) for name in named.order_by]
            yield pa.RecordBatch.from_arrays([*arrays, ticks, *ties], schema=held)

    return _rows(pa.schema(fields), held, batches(), named, settings, source.facts().rows, opened)


def _rows(
    schema: pa.Schema,
    held: pa.Schema,
    batches: Iterator[pa.RecordBatch],
    named: Roles,
    settings: Settings,
    total: int | None,
    opened: Opened,
) -> Rows:
    case = [schema.get_field_index(name) for name in named.case]
    keys = [*case, *range(len(schema), len(held))]
    return Rows(schema, held, case, keys, batches, total, lambda: _dropped(opened))


def _dropped(opened: Opened) -> dict[str, int]:
    told = opened.describe().get("dropped_rows") or {}
    return {role: int(count) for role, count in told.items()}
