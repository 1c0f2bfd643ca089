"""How is a stream of record batches written as Parquet, Arrow IPC, CSV or JSON?

Batches are written as they come and forgotten, so that a table larger than memory can be written. Parquet and Arrow
keep the types. CSV and JSON have few of their own; both write the same texts for the others:

- times as ISO 8601 with all their digits, with ``Z`` where the column has a zone (brought to UTC) and bare where not;
  years that four digits cannot hold have a sign and six digits at least (``+010000-01-01``), as expanded years do;
- binary as hexadecimal digits, UUIDs in their usual form;
- in CSV a list or struct as its JSON text; in JSON as it is. A number that is not finite is null in JSON.
"""

from __future__ import annotations

import datetime
import json
import math
from collections.abc import Callable, Iterable, Iterator
from typing import TYPE_CHECKING, Any, BinaryIO

from . import errors

if TYPE_CHECKING:
    import pyarrow as pa

EXTENSIONS = {
    "parquet": (".parquet", ".pq"),
    "arrow": (".arrow", ".feather", ".ipc"),
    "csv": (".csv",),
    "json": (".json",),
}
"""The formats and the endings that mean them; the first is the one we give."""

_ROW_GROUP_ROWS = 1 << 16
_JSON_ROWS = 1 << 13

Writer = Callable[["pa.Schema", Iterable["pa.RecordBatch"], BinaryIO], None]


def check_format(name: str) -> str:
    """The name itself.

    Raises
    ------
    InvalidArgument
        There is no such format.
    """
    if name not in EXTENSIONS:
        raise errors.unknown("format", str(name), list(EXTENSIONS))
    return name


def format_of(path: str) -> str:
    """The format that the ending of a file's name means.

    Raises
    ------
    InvalidArgument
        It means none.
    """
    for name, endings in EXTENSIONS.items():
        if path.lower().endswith(endings):
            return name
    listed = ", ".join(ending for endings in EXTENSIONS.values() for ending in endings)
    message = f"{path}: the ending says no format. Use one of {listed}, or say format=."
    raise errors.InvalidArgument(message, {"path": path})


def write(name: str, schema: pa.Schema, batches: Iterable[pa.RecordBatch], file: BinaryIO) -> int:
    """Writes all batches.

    Parameters
    ----------
    name : str
        A key of ``EXTENSIONS``.
    schema : pyarrow.Schema
        The schema of the batches.
    batches : iterable of pyarrow.RecordBatch
        Taken one after the other.
    file : binary file
        Open for writing; left open.

    Returns
    -------
    int
        The number of rows.
    """
    rows = 0

    def counted() -> Iterator[pa.RecordBatch]:
        nonlocal rows
        for batch in batches:
            rows += batch.num_rows
            yield batch

    writers: dict[str, Writer] = {"parquet": _parquet, "arrow": _arrow, "csv": _csv, "json": _json}
    writers[name](schema, counted(), file)
    return rows


def _parquet(schema: pa.Schema, batches: Iterable[pa.RecordBatch], file: BinaryIO) -> None:
    import pyarrow as pa
    import pyarrow.parquet as pq

    with pq.ParquetWriter(file, schema, compression="zstd") as writer:
        for group in _grouped(batches, _ROW_GROUP_ROWS):
            writer.write_table(pa.Table.from_batches(group, schema))
            # Else this name would keep the group alive while the next one is collected.
            del group


def _grouped(batches: Iterable[pa.RecordBatch], n_rows: int) -> Iterator[list[pa.RecordBatch]]:
    """Batches together until they have enough rows: each group becomes a row group, and small ones cost the reader."""
    group: list[pa.RecordBatch] = []
    held_rows = 0
    for batch in batches:
        group.append(batch)
        held_rows += batch.num_rows
        del batch
        if held_rows >= n_rows:
            yield group
            group, held_rows = [], 0
    if group:
        yield group


def _arrow(schema: pa.Schema, batches: Iterable[pa.RecordBatch], file: BinaryIO) -> None:
    import pyarrow as pa

    # The IPC file format allows one dictionary per column in the whole file, and a stream's batches may differ.
    plain = pa.schema([_decoded(field) for field in schema], schema.metadata)
    with pa.ipc.new_file(file, plain) as writer:
        for batch in batches:
            writer.write_batch(batch if plain.equals(schema) else batch.cast(plain))


def _decoded(field: pa.Field) -> pa.Field:
    import pyarrow as pa

    return field.with_type(field.type.value_type) if pa.types.is_dictionary(field.type) else field


def _csv(schema: pa.Schema, batches: Iterable[pa.RecordBatch], file: BinaryIO) -> None:
    import pyarrow as pa
    import pyarrow.csv

    def texts(batch: pa.RecordBatch) -> pa.RecordBatch:
        columns = [_json_texts(column) if pa.types.is_nested(column.type) else column for column in _plain(batch)]
        return pa.RecordBatch.from_arrays(columns, names=schema.names)

    empty = texts(pa.RecordBatch.from_arrays([pa.array([], field.type) for field in schema], schema=schema))
    with pyarrow.csv.CSVWriter(file, empty.schema) as writer:
        for batch in batches:
            writer.write_batch(texts(batch))


def _json_texts(column: pa.Array) -> pa.Array:
    import pyarrow as pa

    values = (None if value is None else _dumps(value) for value in column.to_pylist())
    return pa.array(values, pa.utf8())


def _json(schema: pa.Schema, batches: Iterable[pa.RecordBatch], file: BinaryIO) -> None:
    for piece in json_pieces(schema, batches):
        file.write(piece.encode())
    file.write(b"\n")


def json_pieces(schema: pa.Schema, batches: Iterable[pa.RecordBatch]) -> Iterator[str]:
    """A JSON array with one object per row and line, in pieces; no line break at the end.

    Parameters
    ----------
    schema : pyarrow.Schema
        The schema of the batches.
    batches : iterable of pyarrow.RecordBatch
        Taken one after the other.

    Yields
    ------
    str
        Text to be joined.
    """
    before = "[\n"
    for batch in batches:
        for start in range(0, batch.num_rows, _JSON_ROWS):
            yield before + ",\n".join(map(_dumps, plain_rows(batch.slice(start, _JSON_ROWS))))
            before = ",\n"
    yield "[]" if before == "[\n" else "\n]"


def plain_column(column: pa.Array) -> list[Any]:
    """The values of one column as what JSON has a word for."""
    return _plain_column(column).to_pylist()


def plain_rows(batch: pa.RecordBatch) -> Iterator[dict[str, Any]]:
    """The rows as dictionaries of what JSON has a word for; floats may still be infinite."""
    columns = [_plain_values(column) for column in batch.columns]
    for row in zip(*columns, strict=True):
        yield dict(zip(batch.schema.names, row, strict=True))


_encode = json.JSONEncoder(ensure_ascii=False, allow_nan=False, check_circular=False).encode


def _dumps(value: Any) -> str:
    try:
        return _encode(value)
    except ValueError:
        return _encode(_finite(value))


def _finite(value: Any) -> Any:
    """JSON has no word for infinity and NaN."""
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, dict):
        return {key: _finite(item) for key, item in value.items()}
    if isinstance(value, list):
        return [_finite(item) for item in value]
    return value


_FEW = 1000


def _plain_values(column: pa.Array) -> list[Any]:
    """The values of ``_plain_column``; a few of them without pyarrow.compute and pandas, which take long to load."""
    import pyarrow as pa

    kind = column.type
    if pa.types.is_timestamp(kind) and len(column) <= _FEW:
        zone = "" if kind.tz is None else "Z"
        ticks = column.view(pa.int64()).to_pylist()
        return [None if tick is None else _moment(tick, _PER_SECOND[kind.unit]) + zone for tick in ticks]
    if pa.types.is_dictionary(kind) and pa.types.is_string(kind.value_type):
        return column.to_pylist()
    return _plain_column(column).to_pylist()


def _plain(batch: pa.RecordBatch) -> list[pa.Array]:
    """The columns with types that CSV and JSON have a word for."""
    return [_plain_column(column) for column in batch.columns]


def _plain_column(column: pa.Array) -> pa.Array:
    import pyarrow as pa

    kind = column.type
    if pa.types.is_dictionary(kind):
        return _plain_column(column.dictionary_decode())
    if isinstance(kind, pa.BaseExtensionType):
        return pa.array([None if value is None else str(value) for value in column.to_pylist()], pa.utf8())
    if pa.types.is_timestamp(kind):
        return _moments(column)
    if pa.types.is_date(kind):
        import pyarrow.compute as pc

        moments = _moments(column.cast(pa.timestamp("s" if kind == pa.date32() else "ms")))
        return pc.replace_substring_regex(moments, "T.*", "")
    if pa.types.is_temporal(kind):
        return column.cast(pa.utf8())
    if kind in (pa.binary(), pa.large_binary(), pa.binary_view()) or pa.types.is_fixed_size_binary(kind):
        return pa.array([None if value is None else value.hex() for value in column.to_pylist()], pa.utf8())
    if pa.types.is_string_view(kind):
        return column.cast(pa.large_utf8())
    return column


_PER_SECOND = {"s": 1, "ms": 10**3, "us": 10**6, "ns": 10**9}
_YEAR_0, _YEAR_10000 = -62_167_219_200, 253_402_300_800
"""The seconds at which these years begin."""


def _moments(column: pa.Array) -> pa.Array:
    """Timestamps as ISO 8601, whatever their year."""
    import pyarrow as pa
    import pyarrow.compute as pc

    kind = column.type
    in_utc = column if kind.tz is None else column.cast(pa.timestamp(kind.unit, "UTC"))
    texts = pc.replace_substring(in_utc.cast(pa.utf8()), " ", "T", max_replacements=1)
    if kind.unit == "ns":
        return texts  # 64 bits of nanoseconds do not leave the years of four digits
    ticks, per_second = column.cast(pa.int64()), _PER_SECOND[kind.unit]
    # As Arrow's own scalars: for plain numbers pyarrow loads pandas, to see whether they are its.
    first, end = (pa.scalar(year * per_second, pa.int64()) for year in (_YEAR_0, _YEAR_10000))
    is_far = pc.or_(pc.less(ticks, first), pc.greater_equal(ticks, end))
    is_far = is_far.fill_null(False)
    if not pc.any(is_far, min_count=0).as_py():
        return texts
    zone = "" if kind.tz is None else "Z"
    far = [_moment(tick, per_second) + zone for tick in ticks.filter(is_far).to_pylist()]
    return pc.replace_with_mask(texts, is_far, pa.array(far, pa.utf8()))


def _moment(tick: int, per_second: int) -> str:
    """A time in any year, also beyond those that Arrow or Python can write."""
    seconds, fraction = divmod(tick, per_second)
    days, second = divmod(seconds, 86_400)
    cycles, days = divmod(days, 146_097)  # the calendar repeats itself every 400 years
    near = datetime.datetime(1970, 1, 1) + datetime.timedelta(days, second)
    digits = f".{fraction:0{len(str(per_second)) - 1}d}" if per_second > 1 else ""
    year = near.year + 400 * cycles
    shown = f"{year:04d}" if 0 <= year <= 9999 else f"{year:+07d}"
    return f"{shown}{near:-%m-%dT%H:%M:%S}{digits}"
