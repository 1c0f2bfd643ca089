"""How is one CSV file read, so that no broken record passes for a row and no error comes without its place?

pyarrow splits and converts. What it does not do is added here: a quote that is never closed is noticed, its errors get
the path, the row and a remedy, and its reading thread is gone when the reading ends.
"""

from __future__ import annotations

import atexit
import codecs
import csv
import io
import re
import sys
import time
import weakref
from collections.abc import Iterable, Iterator, Sequence
from typing import TYPE_CHECKING, Any

from . import csv_dialect, errors
from ._arrow import translate

if TYPE_CHECKING:
    import numpy as np
    import pyarrow as pa

    from .csv_dialect import Dialect

BLOCK_BYTES = 2 << 20
"""The most that one record may take. pyarrow reads up to 32 blocks ahead."""

LET_GO_S = 5.0
"""How long the end of a reading waits for the thread that reads ahead; a block takes some milliseconds."""

AT_EXIT_S = 1.0
"""The same at the interpreter's end, where nobody waits for data any more."""

_END = "\x02end\x03"
"""Written after the last record: it comes back as a record of its own unless a quote was left open."""

_UNCONVERTED = re.compile(r"In CSV column #(\d+): (?:Row #(\d+): )?CSV conversion error to (\w+): (.*)", re.DOTALL)


_STEP = 1 << 16


class _Feed:
    """What pyarrow reads: the file's text as UTF-8, then the end record.

    pyarrow reads ahead in a thread of its own, and that thread calls `read`. It must not do so while the interpreter
    goes away: see :func:`_end`. That is why only pyarrow holds a feed, and everybody else a weak reference.
    """

    closed = False

    def __init__(self, dialect: Dialect, end: str) -> None:
        self._raw: pa.NativeFile | None = csv_dialect.open_bytes(dialect.path)
        self._dialect = dialect
        self._decoder = None if dialect.encoding == "utf-8" else codecs.getincrementaldecoder(dialect.encoding)()
        self._end = end.encode()
        self._pending = b""
        self._quotes = _Quotes(dialect)
        self.ended = False
        _OPEN.add(self)

    @property
    def suspicious(self) -> bool:
        """Whether there was a quote that neither opens nor closes a field, nor is doubled."""
        return self._quotes.stray

    def read(self, size: int = -1) -> bytes:
        """Exactly `size` bytes as long as there are so many: a short block could cut the header off."""
        self.ended = False
        try:
            given = self._take(size)
        except BaseException:
            self.ended = True
            raise
        self.ended = not given
        return given

    def _take(self, size: int) -> bytes:
        while (file := self._raw) is not None and (size < 0 or len(self._pending) < size):
            raw = file.read(BLOCK_BYTES if size < 0 else size - len(self._pending))
            text = self._as_utf8(raw)
            if not raw:
                text, self._raw = text + self._end, None
            self._quotes.look(text)
            self._pending += text
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
        self._end, self._pending, self._raw = b"", b"", None


class _Quotes:
    """Looks for quotes inside of fields.

    In an unquoted field that is ordinary text (``5" disk``). Behind a closing quote (``"say "hi" now"``) it is a
    mistake that pyarrow, like most readers, turns into a value with some quotes gone. Telling the two apart needs a
    parser; that there is none of either can be seen from the neighbours of every quote, at little cost.
    """

    def __init__(self, dialect: Dialect) -> None:
        self.stray = False
        self._quote = dialect.quote.encode() if dialect.quote else b""
        self._delimiter = dialect.delimiter.encode()
        self._edge = b"\n\n"

    def look(self, text: bytes) -> None:
        """Takes the next piece of the file."""
        if not self._quote or self.stray or not text:
            return
        # A quote at the very end has its neighbour in the next piece.
        self.stray = self._any_stray(self._edge + text[:2]) or self._any_stray(text)
        self._edge = (self._edge + text[-2:])[-2:]

    def _any_stray(self, text: bytes) -> bool:
        if self._quote not in text:
            return False
        import numpy as np

        data = np.frombuffer(text, np.uint8)
        # In steps whose masks stay in the cache; they overlap by the two neighbours of a quote.
        return any(self._stray_among(data[start : start + _STEP + 2]) for start in range(0, len(data), _STEP))

    def _stray_among(self, data: np.ndarray) -> bool:
        quotes = data == self._quote[0]
        usual = quotes.copy()
        for char in (*b"\r\n", self._delimiter[0]):
            usual |= data == char
        return bool((quotes[1:-1] > (usual[:-2] | usual[2:])).any())


_OPEN: weakref.WeakSet[_Feed] = weakref.WeakSet()
_READING: weakref.WeakSet[Reading] = weakref.WeakSet()


def _end(feeds: Iterable[weakref.ref[_Feed]], wait_s: float) -> None:
    """Closes feeds and waits for the thread that reads ahead: until it has let go of them, or has come to their end."""
    if sys.is_finalizing():
        return  # that thread gets no GIL any more, so it would be waited for in vain
    deadline = time.monotonic() + wait_s
    for reference in feeds:
        while (feed := reference()) is not None and time.monotonic() < deadline:
            feed.close()
            ended = feed.ended
            del feed  # or this very reference would keep it
            if ended:
                break
            time.sleep(0.001)


@atexit.register
def _end_all() -> None:
    """Ends the readings that nobody has ended when the interpreter goes away.

    The reader has to go first: its thread rests when it has read ahead enough, and only the reader's end wakes it.
    Later would be too late: a thread that asks for the GIL of an interpreter that goes away is unwound out of C++
    code, which takes the process down.
    """
    for reading in list(_READING):
        reading.drop_reader()
    _end([weakref.ref(feed) for feed in _OPEN], AT_EXIT_S)


class Reading:
    """One pass over one file."""

    def __init__(self, dialect: Dialect, schema: pa.Schema, nulls: Sequence[str]) -> None:
        self.dialect = dialect
        self.schema = schema
        self.nulls = nulls
        self.positions = [dialect.columns.index(name) for name in schema.names]
        self.rows = 0
        self.ragged: Any = None
        self._reader: Any = None
        self._feeds: list[weakref.ref[_Feed]] = []

    def batches(self) -> Iterator[pa.RecordBatch]:
        """Its batches; the end record is taken off again."""
        import pyarrow as pa

        try:
            self._reader = self._open()
            _READING.add(self)
            held = None
            while (batch := self._next()) is not None:
                if held is not None:
                    yield held
                if batch.num_rows:
                    held = pa.RecordBatch.from_arrays(batch.columns, schema=self.schema)
                    self.rows += held.num_rows
            last = self._without_end(held)
            if any((feed := reference()) is not None and feed.suspicious for reference in self._feeds):
                self._check_quotes()
            yield last
        except (pa.ArrowException, OSError, ValueError) as error:
            raise self._explain(error) from error
        finally:
            self.drop_reader()
            _end(self._feeds, LET_GO_S)

    def _next(self) -> pa.RecordBatch | None:
        # No name for the reader here: the traceback of an error would keep it alive.
        if self._reader is None:
            raise errors.Cancelled("the interpreter is going away")
        try:
            return self._reader.read_next_batch()
        except StopIteration:
            return None

    def drop_reader(self) -> None:
        """Gives pyarrow's reader up, and its thread with it; reading on is an error."""
        self._reader = None

    def _end_record(self) -> str:
        """A last record with text where text is read, and 0 where numbers are."""
        import pyarrow as pa

        fields = [_END] * len(self.dialect.columns)
        for position, column in zip(self.positions, self.schema, strict=True):
            if column.type != pa.string():
                fields[position] = "0"
        return "\n" + self.dialect.delimiter.join(fields) + "\n"

    def _feed(self) -> _Feed:
        feed = _Feed(self.dialect, self._end_record())
        self._feeds.append(weakref.ref(feed))
        return feed

    def _open(self) -> Any:
        import pyarrow.csv as arrow_csv

        width = len(self.dialect.columns)
        names = [str(idx) for idx in range(width)]
        wanted = [names[idx] for idx in self.positions]
        return arrow_csv.open_csv(
            self._feed(),
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

    def _check_quotes(self) -> None:
        """Reads the file again, with a slow and strict parser, to see whether text stands behind a closing quote."""
        dialect, row = self.dialect, -1
        with csv_dialect.open_bytes(dialect.path) as raw:
            text = io.TextIOWrapper(io.BufferedReader(raw), dialect.encoding, errors="replace", newline="")
            records = csv.reader(text, delimiter=dialect.delimiter, quotechar=dialect.quote, strict=True)
            try:
                for record in records:
                    row += bool(record)
            except csv.Error as error:
                if "expected after" not in str(error):
                    return  # a field beyond the csv module's limit: no more can be said
                raise errors.InvalidData(
                    f"{dialect.path}: row {row + 1}: text stands behind a closing quote. Double the quotes inside of a "
                    'quoted field, or pass quote="" if quote characters are ordinary text in this file.',
                    {"path": dialect.path, "row": row + 1},
                ) from error

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
            f"{path}: {where}: {reason}, and {kind} is expected, by the first values or by what was asked. Pass "
            "null_values=... if it means that there is none; to order by text, scan a table of pyarrow.csv.read_csv.",
            details,
        )

    def _row(self, number: int) -> int:
        """The number of a row, from 1 and without the header, out of pyarrow's, which counts skipped lines in."""
        return number - self.dialect.header_lines
