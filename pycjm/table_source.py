"""How do tables in memory, or behind an Arrow stream, become a stream of the columns that a log needs?

Every known kind has one row in a table: how to see its columns, how to read some of them, and whether it can be read
again. No library is imported to find out what an object is.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from . import errors
from ._arrow import as_reader, translate

if TYPE_CHECKING:
    import pyarrow as pa

Columns = list[tuple[str, str]]
"""Names and types of columns, in order; names may repeat."""


@dataclass(frozen=True)
class Kind:
    """One kind of table.

    Attributes
    ----------
    name : str
        For people.
    columns : callable
        ``columns(table)`` gives names and Arrow types.
    reader : callable
        ``reader(table, names)`` gives a pyarrow reader over those columns, or over more where that is cheaper.
    rows : callable
        ``rows(table)`` gives the number of rows, or None.
    repeatable : bool
        Whether every call of `reader` begins at the first row.
    resident : bool
        Whether its batches lie in memory anyway, so that the engine may hold on to them.
    """

    name: str
    columns: Callable[[Any], Columns]
    reader: Callable[[Any, list[str]], pa.RecordBatchReader]
    rows: Callable[[Any], int | None] = lambda table: None
    repeatable: bool = True
    resident: bool = False


class TableSource:
    """A table in memory or a stream.

    Parameters
    ----------
    table : object
        Anything that :func:`kind_of` knows.
    kind : Kind
        What it is.
    """

    def __init__(self, table: Any, kind: Kind) -> None:
        self.table = table
        self.kind = kind
        self._columns: Columns | None = None
        self._first: pa.RecordBatchReader | None = None
        self._used = False

    @property
    def rows(self) -> int | None:
        """The number of rows, where it is known without reading."""
        return self.kind.rows(self.table)

    def columns(self) -> Columns:
        """Names and types, seen once."""
        if self._columns is None:
            if self.kind.repeatable:
                self._columns = self.kind.columns(self.table)
            else:
                # Its schema lies in the stream, and the stream can be taken once: it is kept for the reading.
                self._first = self.kind.reader(self.table, [])
                self._columns = _of_schema(self._first.schema)
        return self._columns

    def reader(self, names: list[str]) -> pa.RecordBatchReader:
        """A reader that holds at least these columns.

        Raises
        ------
        InvalidArgument
            A stream was read already.
        """
        if self.kind.repeatable:
            return self._read(names)
        if self._used:
            raise errors.InvalidArgument(
                f"this {self.kind.name} was read already, and a stream can be read once. Ask for all measures in one "
                "mine(), or scan something that can be read again, such as a table (reader.read_all()) or a file.",
                {"kind": self.kind.name},
            )
        self._used = True
        first, self._first = self._first, None
        return self._read(names) if first is None else first

    def _read(self, names: list[str]) -> pa.RecordBatchReader:
        import pyarrow as pa

        try:
            return self.kind.reader(self.table, names)
        except pa.ArrowException as error:
            raise translate(error, self.kind.name) from error


def kind_of(table: Any) -> Kind | None:
    """The kind of an object, or None for what is no table."""
    for base in type(table).__mro__:
        known = _KNOWN.get((base.__module__.partition(".")[0], base.__name__))
        if known is not None:
            return known
    if hasattr(table, "__arrow_c_stream__") or hasattr(table, "__arrow_c_array__"):
        # A table has a length, a stream has none; where that cannot be told apart, reading once is the safe answer.
        return _ARROW_TABLE if hasattr(table, "__len__") else _ARROW_STREAM
    return None


def _of_schema(schema: pa.Schema) -> Columns:
    return [(field.name, str(field.type)) for field in schema]


def _select(table: pa.Table, names: list[str]) -> pa.RecordBatchReader:
    return table.select(names).to_reader()


def _of_batch(batch: pa.RecordBatch) -> pa.Table:
    import pyarrow as pa

    return pa.Table.from_batches([batch])


def _duckdb_read(relation: Any, names: list[str]) -> pa.RecordBatchReader:
    quoted = ", ".join('"' + name.replace('"', '""') + '"' for name in names)
    return as_reader(relation.project(quoted))


def _pandas_columns(frame: Any) -> Columns:
    """Types as Arrow would have them; a column that Arrow does not take shows pandas' own name."""
    import pyarrow as pa

    found: Columns = []
    for idx, name in enumerate(frame.columns):
        column = frame.iloc[:, idx]
        try:
            kind = str(pa.Array.from_pandas(column.iloc[:100]).type)
        except (pa.ArrowException, TypeError, ValueError):
            kind = str(column.dtype)
        found.append((str(name), kind))
    return found


def _pandas_read(frame: Any, names: list[str]) -> pa.RecordBatchReader:
    import pyarrow as pa

    positions = [idx for idx, name in enumerate(frame.columns) if str(name) in names]
    try:
        return pa.Table.from_pandas(frame.iloc[:, positions], preserve_index=False).to_reader()
    except (pa.ArrowException, TypeError, ValueError) as error:
        raise errors.InvalidData(
            f"pandas DataFrame: {'; '.join(str(part) for part in error.args)}. Give the column one type, for instance "
            'with frame["column"].astype(str).',
            {"columns": names},
        ) from error


def _polars_columns(frame: Any) -> Columns:
    """Types as Arrow would have them, column by column: one type that Arrow lacks must not hide the others."""
    import pyarrow as pa

    found: Columns = []
    for name, dtype in frame.collect_schema().items():
        empty = frame.select(name).head(0)
        try:
            kind = str(as_reader(empty.collect() if hasattr(empty, "collect") else empty).schema.field(0).type)
        except (pa.ArrowException, errors.PycjmError):
            kind = str(dtype)
        found.append((name, kind))
    return found


def _generic(table: Any, names: list[str]) -> pa.RecordBatchReader:
    return as_reader(table)


_ARROW_TABLE = Kind("Arrow table", lambda table: _of_schema(as_reader(table).schema), _generic)
_ARROW_STREAM = Kind("Arrow stream", lambda table: _of_schema(as_reader(table).schema), _generic, repeatable=False)

_KNOWN: dict[tuple[str, str], Kind] = {
    ("pyarrow", "Table"): Kind(
        "pyarrow Table", lambda t: _of_schema(t.schema), _select, lambda t: t.num_rows, resident=True
    ),
    ("pyarrow", "RecordBatch"): Kind(
        "pyarrow RecordBatch",
        lambda b: _of_schema(b.schema),
        lambda b, names: _select(_of_batch(b), names),
        lambda b: b.num_rows,
        resident=True,
    ),
    ("pyarrow", "Dataset"): Kind(
        "pyarrow Dataset",
        lambda d: _of_schema(d.schema),
        lambda d, names: d.scanner(columns=names).to_reader(),
    ),
    ("pyarrow", "Scanner"): Kind(
        "pyarrow Scanner", lambda s: _of_schema(s.projected_schema), lambda s, names: s.to_reader()
    ),
    ("polars", "DataFrame"): Kind(
        "polars DataFrame",
        _polars_columns,
        lambda f, names: as_reader(f.select(names)),
        lambda f: f.height,
        resident=True,
    ),
    ("polars", "LazyFrame"): Kind(
        "polars LazyFrame", _polars_columns, lambda f, names: as_reader(f.select(names).collect())
    ),
    ("duckdb", "DuckDBPyRelation"): Kind(
        "duckdb relation", lambda r: _of_schema(as_reader(r.limit(0)).schema), _duckdb_read
    ),
    ("_duckdb", "DuckDBPyRelation"): Kind(
        "duckdb relation", lambda r: _of_schema(as_reader(r.limit(0)).schema), _duckdb_read
    ),
    ("pandas", "DataFrame"): Kind("pandas DataFrame", _pandas_columns, _pandas_read, len, resident=True),
    ("pycjm", "EventLog"): Kind("pycjm EventLog", lambda log: _of_schema(log.events().schema), _generic),
}
"""By the top module and the name of the class, so that subclasses are known as well."""
