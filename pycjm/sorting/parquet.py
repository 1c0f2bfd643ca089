"""How are sorted rows written as Parquet that says truthfully how it is sorted?"""

from __future__ import annotations

import io
from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, BinaryIO

from .. import errors
from . import columns

if TYPE_CHECKING:
    import pyarrow as pa
    import pyarrow.parquet as pq

COMPRESSIONS = ("zstd", "snappy", "gzip", "lz4", "none")
ROW_GROUP_ROWS = 1 << 18
"""Small enough for every thread to get some, and for statistics that exclude most of them."""


@dataclass(frozen=True)
class Layout:
    """How a schema is written.

    Attributes
    ----------
    schema : pyarrow.Schema
        The columns in the types in which they are written.
    leaves : list of int
        How many columns each column is in Parquet; nested ones are several.
    coded : list of str
        The Parquet columns that get a dictionary. Times and decimal fractions hardly repeat: it would only cost time.
    """

    schema: pa.Schema
    leaves: list[int]
    coded: list[str]


def layout(schema: pa.Schema) -> Layout:
    """How a schema is written.

    Raises
    ------
    Unsupported
        Parquet has no such type.
    """
    import pyarrow as pa
    import pyarrow.parquet as pq

    schema = pa.schema([field.with_type(columns.written(field.type)) for field in schema], schema.metadata)
    leaves, coded = [], []
    for field in schema:
        file = io.BytesIO()
        one = pa.schema([field])
        try:
            pq.write_table(one.empty_table(), file)
        except pa.ArrowException as error:
            raise errors.Unsupported(
                f"column {field.name!r} is {field.type}, which cannot be written as Parquet ({error}). Cast it, or "
                "leave it out.",
                {"column": field.name, "type": str(field.type)},
            ) from error
        found = pq.ParquetFile(file).schema
        leaves.append(len(found.names))
        coded += [found.column(i).path for i in range(len(found.names)) if _repeats(found.column(i))]
    return Layout(schema, leaves, coded)


def _repeats(column: Any) -> bool:
    return column.physical_type not in ("FLOAT", "DOUBLE", "BOOLEAN") and column.logical_type.type != "TIMESTAMP"


class Writer:
    """Writes a Parquet file with row groups of one size; a context manager.

    Parameters
    ----------
    file : binary file
        Where to.
    layout : Layout
        The columns.
    sorted_by : list of str
        The columns that order the rows, ascending.
    compression : str
        One of ``COMPRESSIONS``.
    group_rows : int
        The rows of a row group.
    """

    def __init__(
        self, file: BinaryIO, layout: Layout, sorted_by: list[str], *, compression: str, group_rows: int
    ) -> None:
        import pyarrow.parquet as pq

        self.layout = layout
        self.group_rows = group_rows
        self.n_groups = 0
        self._writer: pq.ParquetWriter = pq.ParquetWriter(
            file,
            layout.schema,
            compression=compression,
            use_dictionary=layout.coded or False,
            sorting_columns=[self._sorting(name) for name in sorted_by],
        )

    def __enter__(self) -> Writer:
        return self

    def __exit__(self, *raised: object) -> None:
        self._writer.close()

    def _sorting(self, name: str) -> pq.SortingColumn:
        import pyarrow.parquet as pq

        at = self.layout.schema.get_field_index(name)
        return pq.SortingColumn(sum(self.layout.leaves[:at]))

    def write(self, tables: Iterator[pa.Table]) -> Iterator[int]:
        """Writes all tables; gives the number of rows so far after each row group."""
        import pyarrow as pa

        held: list[pa.Table] = []
        held_rows = rows = 0
        for table in tables:
            held.append(table.select(range(len(self.layout.schema))))
            held_rows += table.num_rows
            del table
            if held_rows < self.group_rows:
                continue
            whole = pa.concat_tables(held)
            held.clear()
            full = held_rows - held_rows % self.group_rows
            for start in range(0, full, self.group_rows):
                self._write_group(whole.slice(start, self.group_rows))
                rows += self.group_rows
                yield rows
            held_rows -= full
            if held_rows:
                held.append(whole.slice(full))
            del whole
        if held_rows:
            self._write_group(pa.concat_tables(held))
            yield rows + held_rows

    def _write_group(self, table: pa.Table) -> None:
        # In one piece: pages are cut anew where a piece ends, and bytes must not depend on how the rows have come.
        self._writer.write_table(self._typed(table.combine_chunks()), row_group_size=self.group_rows)
        self.n_groups += 1

    def _typed(self, table: pa.Table) -> pa.Table:
        import pyarrow as pa

        typed = []
        for field, column in zip(self.layout.schema, table.columns, strict=True):
            if column.type != field.type:
                if pa.types.is_dictionary(field.type):
                    column = column.dictionary_encode()
                column = column.cast(field.type)
            typed.append(column)
        return pa.Table.from_arrays(typed, schema=self.layout.schema)
