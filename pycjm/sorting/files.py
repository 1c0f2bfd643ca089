"""How are the files of a log read with all their columns, one after the other?"""

from __future__ import annotations

import functools
import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING
from urllib.parse import unquote

from .. import file_source, roles
from .._arrow import translate
from ..csv_source import held_to
from . import columns

if TYPE_CHECKING:
    import pyarrow as pa

    from ..csv_source import CsvSource
    from ..csv_zones import Offsets
    from ..roles import Roles
    from ..source import Facts

_NULL_FOLDER = "__HIVE_DEFAULT_PARTITION__"


@dataclass
class Whole:
    """All columns of a source.

    Attributes
    ----------
    schema : pyarrow.Schema
        As the source has them.
    batches : iterator of pyarrow.RecordBatch
        The rows, with the types of ``columns.held(schema)``.
    starts : list of int
        Filled on the way: the number of rows before each file.
    paths : list of str
        The files; none for tables.
    """

    schema: pa.Schema
    batches: Iterator[pa.RecordBatch]
    starts: list[int] = field(default_factory=list)
    paths: list[str] = field(default_factory=list)


@dataclass
class _File:
    path: str
    schema: pa.Schema
    batches: Callable[[], Iterator[pa.RecordBatch]]


def of_parquet(facts: Facts, named: Roles, batch_rows: int, *, threaded: bool) -> Whole:
    """Parquet files; the ``key=value`` folders above them are columns.

    Parameters
    ----------
    facts : Facts
        The files in order, and the types of the columns of folders.
    named : Roles
        The columns that every file must have.
    batch_rows : int
        How many rows to read at once.
    threaded : bool
        Whether columns may be decoded side by side.
    """
    kinds = {column.name: column.type for column in facts.columns}
    files = []
    for told in facts.files:
        path = told["path"]
        schema, folders = _parquet_schema(path), _folders(path, kinds)
        added = [key for key in folders if schema.get_field_index(key) < 0]
        for key in added:
            schema = schema.append(folders[key][0])
        batches = functools.partial(
            _parquet_batches, path, [folders[key] for key in added], batch_rows, threaded=threaded
        )
        files.append(_File(path, schema, batches))
    return _together(files, named)


def of_ipc(source: file_source.IpcSource, named: Roles) -> Whole:
    """Arrow IPC files."""
    files = []
    for path in source.paths:
        one = file_source.IpcSource([path])
        schema = one.schema()
        files.append(_File(path, schema, functools.partial(one.batches, schema.names)))
    return _together(files, named)


def of_csv(
    source: CsvSource, kinds: pa.Schema, null_values: Sequence[str], named: Roles, offsets: Offsets | None
) -> Whole:
    """CSV files.

    Parameters
    ----------
    source : CsvSource
        The files.
    kinds : pyarrow.Schema
        The types of the columns in use; all others are text.
    null_values : sequence of str
        Text that means null.
    named : Roles
        The columns that every file must have.
    offsets : Offsets, optional
        What every time is held to.
    """
    import pyarrow as pa

    files = []
    for dialect in source.dialects:
        fields = [(name, kinds.field(name).type if name in kinds.names else pa.string()) for name in dialect.columns]
        schema = pa.schema(fields)
        files.append(_File(dialect.path, schema, functools.partial(held_to, offsets, dialect, schema, null_values)))
    return _together(files, named)


def _together(files: list[_File], named: Roles) -> Whole:
    for file in files:
        roles.require(named, file.schema.names, file.path)
    schema = columns.unify([(file.path, file.schema) for file in files])
    held = columns.held(schema)
    whole = Whole(schema, iter(()), paths=[file.path for file in files])

    def batches() -> Iterator[pa.RecordBatch]:
        rows = 0
        for file in files:
            whole.starts.append(rows)
            for batch in file.batches():
                rows += batch.num_rows
                yield columns.aligned(batch, held, file.path)

    whole.batches = batches()
    return whole


def _parquet_schema(path: str) -> pa.Schema:
    import pyarrow.parquet as pq

    try:
        return pq.read_schema(path)
    except Exception as error:
        raise translate(error, path, {"path": path}) from error


def _parquet_batches(
    path: str, added: list[tuple[pa.Field, str | int | None]], batch_rows: int, *, threaded: bool
) -> Iterator[pa.RecordBatch]:
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        # Buffered, because a row group may be larger than the memory there is.
        with pq.ParquetFile(path, buffer_size=1 << 20) as file:
            for batch in file.iter_batches(batch_rows, use_threads=threaded):
                for kind, value in added:
                    constant = pa.repeat(pa.scalar(value, kind.type), batch.num_rows)
                    batch = batch.append_column(kind, constant)
                yield batch
    except GeneratorExit:
        raise
    except Exception as error:
        raise translate(error, path, {"path": path}) from error


def _folders(path: str, kinds: dict[str, str]) -> dict[str, tuple[pa.Field, str | int | None]]:
    """The columns that the folders above a file are: type and value of each key."""
    import pyarrow as pa

    found: dict[str, tuple[pa.Field, str | int | None]] = {}
    for folder in path.split("/")[:-1]:
        key, equals, text = folder.partition("=")
        if not (key and equals):
            continue
        key, value = unquote(key), None if text == _NULL_FOLDER else unquote(text)
        if kinds.get(key, "").lower() == "int64" and (value is None or re.fullmatch(r"-?\d+", value)):
            found.setdefault(key, (pa.field(key, pa.int64()), None if value is None else int(value)))
        else:
            found.setdefault(key, (pa.field(key, pa.string()), value))
    return found
