"""How do CSV files become a stream of the columns that a log needs?

Streaming, through pyarrow's reader: case, activity and text timestamps stay text (so ``01`` and ``1`` remain two
cases), the engine parses the times. Files are opened anew for every reading.
"""

from __future__ import annotations

import bisect
import codecs
import os
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from . import csv_dialect, errors, roles, timestamp_format
from ._arrow import translate
from .csv_dialect import CsvOptions, Dialect

if TYPE_CHECKING:
    import pyarrow as pa

BLOCK_BYTES = 4 << 20
"""The most that one record may take."""

SAMPLE_VALUES = 1000
"""How many values a timestamp format is inferred from."""

_END = "\x02end\x03"
"""Written after the last record: it comes back as a record of its own unless a quote was left open."""

_UNCONVERTED = re.compile(r"In CSV column #(\d+): (?:Row #(\d+): )?CSV conversion error to (\w+): (.*)", re.DOTALL)


@dataclass
class CsvSource:
    """One or several CSV files, read one after the other.

    Parameters
    ----------
    paths : list of str
        The files, in the order of reading.
    options : CsvOptions
        What the caller said about them.
    wanted : tuple of str
        The columns that the caller named; they help to find the delimiter.
    """

    paths: list[str]
    options: CsvOptions
    wanted: tuple[str, ...] = ()
    _dialects: list[Dialect] = field(default_factory=list, repr=False)
    _seen: list[tuple[int, int]] = field(default_factory=list, repr=False)

    @property
    def dialects(self) -> list[Dialect]:
        """How each file is written. Looked at again when a file has changed, or its columns could be mistaken."""
        try:
            now = [(status.st_mtime_ns, status.st_size) for status in map(os.stat, self.paths)]
        except OSError as error:
            raise csv_dialect.io_error(str(error.filename), error) from error
        if now != self._seen:
            self._dialects = [csv_dialect.read(path, self.options, self.wanted) for path in self.paths]
            self._seen = now
        return self._dialects

    def columns(self) -> list[str]:
        """The header of the first file."""
        return self.dialects[0].columns

    def values(self, column: str, null_values: Sequence[str] = ()) -> list[str]:
        """The first values of a column over all files, without nulls."""
        nulls = {"", *null_values}
        found: list[str] = []
        for dialect in self.dialects:
            if column not in dialect.columns:
                continue
            idx = dialect.columns.index(column)
            found += [record[idx] for record in dialect.sample if idx < len(record) and record[idx] not in nulls]
        return found[:SAMPLE_VALUES]

    def timestamp_format(self, pairs: Sequence[Sequence[str]], null_values: Sequence[str]) -> str:
        """The one format of all timestamp columns; each is one column or a date and a time.

        Raises
        ------
        InvalidData
            The values do not prove a format.
        """
        singles = [names[0] for names in pairs if len(names) == 1]
        formats = set()
        try:
            if singles:
                values = [value for name in singles for value in self.values(name, null_values)]
                formats.add(timestamp_format.infer(values, singles[0]))
            for date, time in (names for names in pairs if len(names) == 2):
                day = timestamp_format.infer_date(self.values(date, null_values), date)
                formats.add(f"{day} {timestamp_format.infer_time(self.values(time, null_values), time)}")
        except errors.InvalidData as error:
            raise self._at_its_row(error) from None
        if len(formats) > 1:
            raise errors.InvalidData(
                f"timestamp and start_timestamp are written in different formats ({', '.join(sorted(formats))}). "
                "Bring them to one format, or use one of them.",
                {"formats": sorted(formats)},
            )
        return formats.pop()

    def _at_its_row(self, error: errors.InvalidData) -> errors.InvalidData:
        """The error of an inference, with the path and the row of its first sample."""
        column, sample = error.details["column"], error.details["samples"][0]
        for dialect in self.dialects:
            idx = dialect.columns.index(column)
            for row, record in enumerate(dialect.sample, start=1):
                if idx < len(record) and record[idx] == sample:
                    details = {**error.details, "path": dialect.path, "row": row}
                    return errors.InvalidData(f"{dialect.path}: row {row}: {error.message}", details)
        return error

    def looks_like_time(self, column: str, null_values: Sequence[str]) -> bool:
        """Whether the values of a column are timestamps, be it that day and month are not proven."""
        values = self.values(column, null_values)
        return not values or timestamp_format.readable(values)

    def finest_unit(self, pairs: Sequence[Sequence[str]], null_values: Sequence[str]) -> str | None:
        """``"ns"`` where values have more than six digits of a second, so that none is lost."""
        values = (value for names in pairs for name in names for value in self.values(name, null_values))
        return "ns" if any(re.search(r":\d{2}[.,]\d{7}", value) for value in values) else None

    def aware(self, pairs: Sequence[Sequence[str]], null_values: Sequence[str]) -> bool:
        """Whether every sampled time says its offset from UTC."""
        return all(timestamp_format.aware(self.values(names[-1], null_values)) for names in pairs)

    def schema(self, named: roles.Roles, integers: Sequence[str], null_values: Sequence[str]) -> pa.Schema:
        """The Arrow schema of the stream.

        Parameters
        ----------
        named : Roles
            Which columns are needed.
        integers : sequence of str
            Those to be read as 64-bit integers.
        null_values : sequence of str
            Text that means null.
        """
        import pyarrow as pa

        kinds = dict.fromkeys(named.columns, pa.string())
        for name in named.order_by:
            # As text, 10 would come before 9. Columns with another role keep the type of that role.
            if named.columns.index(name) >= len(named.columns) - len(named.order_by) - len(named.lifecycle):
                kinds[name] = self._number_type(self.values(name, null_values))
        return pa.schema(list((kinds | dict.fromkeys(integers, pa.int64())).items()))

    @staticmethod
    def _number_type(values: Sequence[str]) -> pa.DataType:
        import pyarrow as pa

        if values and all(re.fullmatch(r"[+-]?\d{1,18}", value) for value in values):
            return pa.int64()
        if values and all(re.fullmatch(r"[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?", value) for value in values):
            return pa.float64()
        return pa.string()

    def require(self, named: roles.Roles) -> None:
        """Checks that every file has every needed column.

        Raises
        ------
        InvalidArgument
            One lacks a column, or its name occurs twice.
        """
        for dialect in self.dialects:
            roles.require(named, dialect.columns, dialect.path)

    def batches(self, schema: pa.Schema, nulls: Sequence[str], starts: list[int]) -> Iterator[pa.RecordBatch]:
        """The needed columns of all files, batch by batch.

        Parameters
        ----------
        schema : pyarrow.Schema
            The needed columns and their types, from :meth:`schema`.
        nulls : sequence of str
            Text that means null, besides the empty field.
        starts : list of int
            Filled on the way: the number of rows before each file, for :meth:`locate`.

        Raises
        ------
        InvalidData
            A record is ragged, a value does not convert, bytes do not decode. The path and the row are named.
        """
        rows = 0
        for dialect in self.dialects:
            starts.append(rows)
            for batch in _Reading(dialect, schema, nulls).batches():
                rows += batch.num_rows
                yield batch

    def locate(self, row: int, starts: Sequence[int]) -> tuple[str, int]:
        """The file, and the row in it, of a row counted from 1 over all files."""
        idx = max(bisect.bisect_left(starts, row) - 1, 0)
        return self.paths[idx], row - (starts[idx] if starts else 0)


class _Feed:
    """What pyarrow reads: the file's text as UTF-8, then the end record."""

    closed = False

    def __init__(self, dialect: Dialect, end: str) -> None:
        self._raw: pa.NativeFile | None = csv_dialect.open_bytes(dialect.path)
        self._dialect = dialect
        self._decoder = None if dialect.encoding == "utf-8" else codecs.getincrementaldecoder(dialect.encoding)()
        self._end = end.encode()
        self._pending = b""

    def read(self, size: int = -1) -> bytes:
        """Exactly `size` bytes as long as there are so many: a short block could cut the header off."""
        while (file := self._raw) is not None and (size < 0 or len(self._pending) < size):
            raw = file.read(BLOCK_BYTES if size < 0 else size - len(self._pending))
            self._pending += self._as_utf8(raw)
            if not raw:
                self._pending, self._raw = self._pending + self._end, None
        given = self._pending if size < 0 else self._pending[:size]
        self._pending = self._pending[len(given) :]
        return given

    def _as_utf8(self, raw: bytes) -> bytes:
        if self._decoder is None:
            return raw
        try:
            return self._decoder.decode(raw, final=not raw).encode()
        except UnicodeError as error:
            raise csv_dialect.bad_encoding(self._dialect.path, self._dialect.encoding, "the file") from error

    def readable(self) -> bool:
        """Part of the file protocol."""
        return True

    def close(self) -> None:
        """Part of the file protocol; reading on gives nothing. A read that is under way keeps the file open."""
        self._pending, self._raw = b"", None


class _Reading:
    """One pass over one file."""

    def __init__(self, dialect: Dialect, schema: pa.Schema, nulls: Sequence[str]) -> None:
        self.dialect = dialect
        self.schema = schema
        self.nulls = nulls
        self.positions = [dialect.columns.index(name) for name in schema.names]
        self.rows = 0
        self.ragged: Any = None

    def batches(self) -> Iterator[pa.RecordBatch]:
        """Its batches; the end record is taken off again."""
        import pyarrow as pa

        feed = None
        try:
            feed = _Feed(self.dialect, self._end_record())
            held = None
            for batch in self._open(feed):
                if held is not None:
                    yield held
                if batch.num_rows:
                    held = pa.RecordBatch.from_arrays(batch.columns, schema=self.schema)
                    self.rows += held.num_rows
            yield self._without_end(held)
        except (pa.ArrowException, OSError, ValueError) as error:
            raise self._explain(error) from error
        finally:
            if feed is not None:
                feed.close()

    def _end_record(self) -> str:
        """A last record with text where text is read, and 0 where numbers are."""
        import pyarrow as pa

        fields = [_END] * len(self.dialect.columns)
        for position, column in zip(self.positions, self.schema, strict=True):
            if column.type != pa.string():
                fields[position] = "0"
        return "\n" + self.dialect.delimiter.join(fields) + "\n"

    def _open(self, feed: _Feed) -> Any:
        import pyarrow.csv as arrow_csv

        width = len(self.dialect.columns)
        names = [str(idx) for idx in range(width)]
        wanted = [names[idx] for idx in self.positions]
        return arrow_csv.open_csv(
            feed,
            read_options=arrow_csv.ReadOptions(
                # One thread here: it costs nothing in a stream, and only so the reader knows its row numbers.
                use_threads=False,
                block_size=BLOCK_BYTES,
                skip_rows=self.dialect.header_lines,
                # Positions, not names: a name that occurs twice matters only where it is used.
                column_names=names,
            ),
            parse_options=arrow_csv.ParseOptions(
                delimiter=self.dialect.delimiter,
                quote_char=self.dialect.quote or False,
                newlines_in_values=self.dialect.quote is not None,
                invalid_row_handler=self._note_ragged,
            ),
            convert_options=arrow_csv.ConvertOptions(
                include_columns=wanted,
                column_types=dict(zip(wanted, self.schema.types, strict=True)),
                strings_can_be_null=True,
                null_values=["", *self.nulls],
            ),
        )

    def _note_ragged(self, row: Any) -> str:
        self.ragged = row
        return "error"

    def _without_end(self, last: pa.RecordBatch | None) -> pa.RecordBatch:
        text = [idx for idx, kind in enumerate(self.schema.types) if str(kind) == "string"]
        if last is None or any(last.column(idx)[-1].as_py() != _END for idx in text):
            raise self._left_open(self.rows)
        return last.slice(0, last.num_rows - 1)

    def _left_open(self, row: int) -> errors.InvalidData:
        path = self.dialect.path
        return errors.InvalidData(
            f'{path}: a quote is opened in row {row} and never closed. Close it, or pass quote="" if quote '
            "characters are ordinary text in this file.",
            {"path": path, "row": row},
        )

    def _explain(self, error: BaseException) -> errors.PycjmError:
        path, text = self.dialect.path, str(error)
        if isinstance(error, errors.PycjmError):
            return error
        if isinstance(error, OSError):
            return csv_dialect.io_error(path, error)
        if self.ragged is not None and "CSV parse error" in text:
            row = self._row(self.ragged.number)
            if _END in self.ragged.text:
                return self._left_open(row)
            return errors.InvalidData(
                f"{path}: row {row} has {self.ragged.actual_columns} fields, the header has "
                f"{self.ragged.expected_columns}: {self.ragged.text[:80]!r}. Correct it, or pass delimiter= or "
                "quote= if the file is written otherwise than it looks.",
                {"path": path, "row": row, "fields": self.ragged.actual_columns},
            )
        if "straddling" in text:
            return errors.InvalidData(
                f"{path}: row {self.rows + 1} is longer than {BLOCK_BYTES} bytes; most likely a quote is "
                'opened and never closed. Close it, or pass quote="" if quote characters are ordinary text.',
                {"path": path, "row": self.rows + 1},
            )
        if match := _UNCONVERTED.search(text):
            return self._unconverted(*match.groups())
        return translate(error, path, {"path": path})

    def _unconverted(self, position: str, number: str | None, kind: str, reason: str) -> errors.InvalidData:
        """The error for a value that does not convert; pyarrow's positions are those of the whole file."""
        path, column = self.dialect.path, self.dialect.columns[int(position)]
        row = self._row(int(number)) if number else self.rows + 1
        where = f"column {column!r}, row {row}"
        details = {"path": path, "column": column, "row": row}
        if "UTF8" in reason:
            told = csv_dialect.bad_encoding(path, self.dialect.encoding, where)
            return errors.InvalidData(told.message, {**told.details, **details})
        return errors.InvalidData(
            f"{path}: {where}: {reason}, and {kind} is expected. Pass null_values=... if it means that there is none.",
            details,
        )

    def _row(self, number: int) -> int:
        """The number of a row, from 1 and without the header, out of pyarrow's, which counts skipped lines in."""
        return number - self.dialect.header_lines
