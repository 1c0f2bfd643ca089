"""How is a result table used: by any Arrow consumer, and by eye?

A table is read again for every use, so that ``cases``, which may be as long as the log, is never held by pycjm.
"""

from __future__ import annotations

import datetime
from collections.abc import Callable
from os import PathLike
from typing import TYPE_CHECKING, Any

from . import _arrow, _formats, errors

if TYPE_CHECKING:
    import pandas as pd
    import polars as pl
    import pyarrow as pa

SHOWN_ROWS = 10
SHOWN_WIDTH = 120
CELL_WIDTH = 48


class Table:
    """One table of a result.

    It has ``__arrow_c_stream__``, so polars, duckdb, pandas and pyarrow take it as it is.

    Parameters
    ----------
    name : str
        The measure it belongs to.
    open_reader : callable
        Gives a fresh ``pyarrow.RecordBatchReader`` at each call.
    streamed : bool
        Whether it may be too long to be kept.

    Examples
    --------
    >>> import pycjm
    >>> table = pycjm.sample().mine("activities")["activities"]
    >>> table.columns
    ['activity', 'events', 'cases', 'starts', 'ends', 'rework_cases']
    >>> table.to_pyarrow().num_rows == len(table)
    True
    """

    def __init__(self, name: str, open_reader: Callable[[], pa.RecordBatchReader], *, streamed: bool = False) -> None:
        self.name = name
        self._open_reader = open_reader
        self._streamed = streamed
        self._kept: pa.Table | None = None
        self._length: int | None = None
        self._schema: pa.Schema | None = None

    @property
    def schema(self) -> pa.Schema:
        """The Arrow schema."""
        if self._schema is None:
            self._schema = self.to_reader().schema
        return self._schema

    @property
    def columns(self) -> list[str]:
        """The names of the columns, in order."""
        return list(self.schema.names)

    def to_reader(self) -> pa.RecordBatchReader:
        """A fresh reader over the table, batch by batch.

        Returns
        -------
        pyarrow.RecordBatchReader
            Its errors are those of :mod:`pycjm.errors`.
        """
        if self._kept is not None:
            return self._kept.to_reader()
        reader = self._open_reader()
        return _arrow.guarded(reader.schema, iter(reader), _arrow.from_engine)

    def to_pyarrow(self) -> pa.Table:
        """The whole table as a ``pyarrow.Table``. All but ``cases`` and ``variants`` is kept for the next use."""
        import pyarrow as pa

        if self._kept is not None:
            return self._kept
        reader = self.to_reader()
        # Neither read_all() nor list() would let an interrupt through before the end.
        batches = [batch for batch in reader]  # noqa: C416
        table = pa.Table.from_batches(batches, reader.schema)
        self._length = table.num_rows
        if not self._streamed:
            self._kept = table
        return table

    def to_pandas(self) -> pd.DataFrame:
        """The whole table as a ``pandas.DataFrame``.

        Raises
        ------
        Unsupported
            pandas is not installed.
        """
        _need("pandas")
        return self.to_pyarrow().to_pandas()

    def to_polars(self) -> pl.DataFrame:
        """The whole table as a ``polars.DataFrame``.

        Raises
        ------
        Unsupported
            polars is not installed.
        """
        return _need("polars").from_arrow(self.to_pyarrow())

    def write(self, path: str | PathLike[str], format: str | None = None) -> None:
        """Writes the table to a file, which appears whole or not at all.

        Parameters
        ----------
        path : path-like
            The file.
        format : {"parquet", "arrow", "csv", "json"}, optional
            By the extension if not given.
        """
        from .export import write_table

        write_table(self, path, format=format)

    def __arrow_c_stream__(self, requested_schema: object | None = None) -> object:
        """The table as an Arrow C stream in a PyCapsule."""
        return self.to_reader().__arrow_c_stream__(requested_schema)

    def __len__(self) -> int:
        if self._length is None:
            if self._streamed:
                self._length = sum(batch.num_rows for batch in self.to_reader())
            else:
                self._length = self.to_pyarrow().num_rows
        return self._length

    def __bool__(self) -> bool:
        # Without this, `if table:` would count the rows of a stream, and an empty table would be false.
        return True

    def __repr__(self) -> str:
        head, title = self._head()
        names, rows = _cells(head)
        right = _right(head.schema)
        widths = [max(map(len, column)) for column in zip(names, *rows, strict=True)]
        shown = _that_fit(widths)
        lines = [title]
        for cells in (names, *rows):
            pairs = [(cells[i].rjust(widths[i]) if right[i] else cells[i].ljust(widths[i])) for i in shown]
            lines.append("  ".join(pairs).rstrip())
        if hidden := [names[i] for i in range(len(names)) if i not in shown]:
            lines.append(f"... and {len(hidden)} more columns: {', '.join(hidden)}")
        return "\n".join(lines)

    def _repr_html_(self) -> str:
        import html

        head, title = self._head()
        names, rows = _cells(head)
        align = [' style="text-align: right"' if is_number else "" for is_number in _right(head.schema)]

        def line(tag: str, cells: list[str]) -> str:
            return "".join(f"<{tag}{how}>{html.escape(cell)}</{tag}>" for cell, how in zip(cells, align, strict=True))

        body = "".join(f"<tr>{line('td', cells)}</tr>" for cells in rows)
        head_html = f"<thead><tr>{line('th', names)}</tr></thead>"
        return f"<div><p>{html.escape(title)}</p><table>{head_html}<tbody>{body}</tbody></table></div>"

    def _head(self) -> tuple[pa.Table, str]:
        """The first rows and the title; of a stream no more is read than shown."""
        import pyarrow as pa

        if self._streamed and self._length is None:
            reader = self.to_reader()
            batches, rows = [], 0
            for batch in reader:
                batches.append(batch.slice(0, SHOWN_ROWS))
                rows += batch.num_rows
                if rows > SHOWN_ROWS:
                    break
            head = pa.Table.from_batches(batches, reader.schema).slice(0, SHOWN_ROWS)
            size = f"more than {SHOWN_ROWS}" if rows > SHOWN_ROWS else str(rows)
        else:
            size = f"{len(self):,}"
            head = self.to_pyarrow().slice(0, SHOWN_ROWS)
        first = f", the first {SHOWN_ROWS}" if head.num_rows == SHOWN_ROWS and size != str(SHOWN_ROWS) else ""
        return head, f"{self.name}: {size} rows x {head.num_columns} columns{first}"


def _cells(table: pa.Table) -> tuple[list[str], list[list[str]]]:
    """Names and values as text."""
    columns = [[_cell(value) for value in _values(column)] for column in table.columns]
    return list(table.column_names), [list(row) for row in zip(*columns, strict=True)]


def _values(column: pa.ChunkedArray) -> list[Any]:
    """Python's values, or text where Python has none: its years have four digits."""
    try:
        return column.to_pylist()
    except (OverflowError, ValueError):
        return [value for chunk in column.chunks for value in _formats.plain_column(chunk)]


def _cell(value: Any) -> str:
    """One value on one line: floats with six digits, lists as a path, long text cut."""
    if value is None:
        return "-"
    if isinstance(value, float):
        text = f"{value:,.0f}" if abs(value) >= 1e6 else f"{value:.6g}"
    elif isinstance(value, bool):
        text = str(value)
    elif isinstance(value, int):
        text = f"{value}"
    elif isinstance(value, list):
        text = " > ".join(map(str, value))
    elif isinstance(value, dict):
        text = ", ".join(f"{key} {item}" for key, item in value.items())
    elif isinstance(value, datetime.datetime):
        text = value.isoformat(sep=" ")
    else:
        text = str(value)
    # Control characters would break the lines, or the terminal.
    text = "".join(char if char.isprintable() else repr(char)[1:-1] for char in text)
    return text if len(text) <= CELL_WIDTH else text[: CELL_WIDTH - 3] + "..."


def _right(schema: pa.Schema) -> list[bool]:
    """Which columns are numbers and stand on the right."""
    return [str(column.type).startswith(("int", "uint", "double", "float")) for column in schema]


def _that_fit(widths: list[int]) -> list[int]:
    """As many columns as fit on a line, the first always."""
    shown, used = [], 0
    for idx, width in enumerate(widths):
        used += width + 2
        if shown and used > SHOWN_WIDTH:
            break
        shown.append(idx)
    return shown


def _need(package: str) -> Any:
    import importlib

    try:
        return importlib.import_module(package)
    except ImportError as error:
        raise errors.Unsupported(
            f"{package} is not installed: pip install {package}. to_pyarrow() needs nothing more.", {"package": package}
        ) from error
