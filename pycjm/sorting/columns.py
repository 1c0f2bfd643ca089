"""Which columns do several files have together, how are they held while they are sorted, and how written?"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from .. import errors

if TYPE_CHECKING:
    import pyarrow as pa


def plain(kind: pa.DataType) -> pa.DataType:
    """The type in which values are held: dictionaries and views become ordinary arrays, which pyarrow can reorder."""
    import pyarrow as pa

    types = pa.types
    if types.is_dictionary(kind) or types.is_run_end_encoded(kind):
        return plain(kind.value_type)
    if types.is_string_view(kind):
        return pa.string()
    if types.is_binary_view(kind):
        return pa.binary()
    if types.is_struct(kind):
        return pa.struct([field.with_type(plain(field.type)) for field in kind])
    if types.is_map(kind):
        return pa.map_(kind.key_field.with_type(plain(kind.key_type)), kind.item_field.with_type(plain(kind.item_type)))
    if types.is_fixed_size_list(kind):
        return pa.list_(kind.value_field.with_type(plain(kind.value_type)), kind.list_size)
    if types.is_list(kind) or types.is_list_view(kind):
        return pa.list_(kind.value_field.with_type(plain(kind.value_type)))
    if types.is_large_list(kind) or types.is_large_list_view(kind):
        return pa.large_list(kind.value_field.with_type(plain(kind.value_type)))
    return kind


def written(kind: pa.DataType) -> pa.DataType:
    """The type in which a column of this type is written: its own, where Parquet gives that back."""
    import pyarrow as pa

    types = pa.types
    if types.is_dictionary(kind):
        values = kind.value_type
        if types.is_string(values) or types.is_large_string(values) or types.is_binary(values):
            # Together, files may have more values than the keys of one of them can tell apart.
            return pa.dictionary(pa.int32(), values, kind.ordered)
        return plain(values)
    return kind if types.is_string_view(kind) or types.is_binary_view(kind) else plain(kind)


def require_unique(names: Sequence[str], where: str) -> None:
    """Checks that no name occurs twice.

    Raises
    ------
    InvalidArgument
        One does.
    """
    for name in names:
        if names.count(name) > 1:
            raise errors.InvalidArgument(
                f"{where}: more than one column is named {name!r}. Rename one of them.", {"column": name}
            )


def unify(schemas: Sequence[tuple[str, pa.Schema]]) -> pa.Schema:
    """The columns of all files. What a file lacks will be null there; types widen as they do when a log is mined.

    Parameters
    ----------
    schemas : sequence of (str, pyarrow.Schema)
        Each file's path and schema.

    Raises
    ------
    InvalidArgument
        A file has two columns of one name.
    InvalidData
        A column has types that do not fit together.
    """
    import pyarrow as pa

    fields: dict[str, tuple[str, pa.Field]] = {}
    for path, schema in schemas:
        require_unique(schema.names, path)
        for field in schema:
            first, known = fields.get(field.name, (path, field))
            fields[field.name] = first, _common(known, field, first, path)
    return pa.schema([field for _, field in fields.values()], _metadata(schemas[0][1]))


def _common(known: pa.Field, field: pa.Field, first: str, path: str) -> pa.Field:
    import pyarrow as pa

    if known.type == field.type:
        return known.with_nullable(known.nullable or field.nullable)
    one, other = plain(known.type), plain(field.type)
    if pa.types.is_timestamp(one) and pa.types.is_timestamp(other) and one.tz and other.tz and one.tz != other.tz:
        one, other = (pa.timestamp(kind.unit, "UTC") for kind in (one, other))
    try:
        pair = [pa.schema([known.with_type(one)]), pa.schema([field.with_type(other)])]
        return pa.unify_schemas(pair, promote_options="permissive").field(0)
    except pa.ArrowException as error:
        raise errors.InvalidData(
            f"column {field.name!r} is {known.type} in {first} and {field.type} in {path}. Make them alike first.",
            {"column": field.name, "path": path},
        ) from error


def _metadata(schema: pa.Schema) -> dict[bytes, bytes] | None:
    """What a file says of itself, without pandas' index, which does not hold for other rows in another order."""
    kept = {key: value for key, value in (schema.metadata or {}).items() if key not in (b"pandas", b"ARROW:schema")}
    return kept or None


def held(schema: pa.Schema) -> pa.Schema:
    """The schema in which rows are held while they are sorted."""
    import pyarrow as pa

    return pa.schema([field.with_type(plain(field.type)).with_nullable(True) for field in schema], schema.metadata)


def aligned(batch: pa.RecordBatch, schema: pa.Schema, where: str) -> pa.RecordBatch:
    """A file's batch with the columns and types of `schema`.

    Raises
    ------
    Unsupported
        pyarrow cannot bring a column to its type.
    InvalidData
        A value does not fit the type.
    """
    import pyarrow as pa
    import pyarrow.compute as pc

    from .._arrow import translate

    columns = []
    for field in schema:
        at = batch.schema.get_field_index(field.name)
        if at < 0:
            columns.append(pa.nulls(batch.num_rows, field.type))
            continue
        column = batch.column(at)
        if column.type != field.type:
            try:
                if pa.types.is_run_end_encoded(column.type):
                    column = pc.run_end_decode(column)
                column = column.cast(field.type)
            except pa.ArrowException as error:
                text = f"{where}: column {field.name!r} of type {column.type} does not become {field.type}"
                raise translate(error, text, {"column": field.name}) from error
        columns.append(column)
    return pa.RecordBatch.from_arrays(columns, schema=schema)
