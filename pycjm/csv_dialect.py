"""How is a CSV file written: compression, encoding, delimiter, header?

Only the head of the file is read. What the caller says wins over what the head suggests.
"""

from __future__ import annotations

import codecs
import csv
import errno
import io
import os
import stat
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from . import errors

if TYPE_CHECKING:
    import pyarrow as pa

HEAD_BYTES = 1 << 18
"""How much of a file the inference sees: enough for a thousand wide records."""

DELIMITERS = (",", ";", "\t", "|")
EXTENSIONS = (".csv", ".tsv", ".txt")
COMPRESSED = (".gz", ".zst", ".zstd", ".bz2")

_MAGIC = {b"\x1f\x8b": "gzip", b"\x28\xb5\x2f\xfd": "zstd", b"BZh": "bz2"}
_NOT_CSV = {
    b"PAR1": "a Parquet file; name it .parquet",
    b"ARROW1": "an Arrow IPC file; name it .arrow",
    b"PK\x03\x04": "a zip archive, perhaps a spreadsheet; save it as CSV or Parquet",
    b"\xd0\xcf\x11\xe0": "an old office document; save it as CSV or Parquet",
    b"\xfd7zXZ": "compressed with xz; use gzip, zstd or bz2",
    b"7z\xbc\xaf": "a 7-Zip archive; use gzip, zstd or bz2",
}
_BOMS = (
    (codecs.BOM_UTF32_LE, "utf-32"),
    (codecs.BOM_UTF32_BE, "utf-32"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
)


@dataclass(frozen=True)
class CsvOptions:
    """What the caller said about CSV files; None means: find out.

    Attributes
    ----------
    delimiter, quote, encoding : str or None
        ``quote=""`` means that quotes have no meaning.
    """

    delimiter: str | None = None
    quote: str | None = None
    encoding: str | None = None

    @property
    def quote_char(self) -> str | None:
        """The quote character, or None where quotes have no meaning."""
        return '"' if self.quote is None else self.quote or None


@dataclass(frozen=True)
class Dialect:
    """How one file is to be read.

    Attributes
    ----------
    path : str
        The file.
    encoding, delimiter : str
        As given or found.
    quote : str or None
        None where quotes have no meaning.
    columns : list of str
        The header.
    header_lines : int
        Physical lines up to the end of the header.
    sample : list of list of str
        The first records.
    """

    path: str
    encoding: str
    delimiter: str
    quote: str | None
    columns: list[str]
    header_lines: int
    sample: list[list[str]]


def require_regular(path: str) -> None:
    """Checks that a path is a file that can be read again.

    Raises
    ------
    OSError
        It is not there, or a directory.
    InvalidArgument
        It is a pipe or a device.
    """
    mode = os.stat(path).st_mode
    if stat.S_ISDIR(mode):
        raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR), path)
    if not stat.S_ISREG(mode):
        raise errors.InvalidArgument(
            f"{path}: not a regular file. A log is read more than once; save it to a file first.", {"path": path}
        )


def open_bytes(path: str) -> pa.NativeFile:
    """The file as a stream of uncompressed bytes. What it is compressed with is seen from its first bytes.

    Raises
    ------
    IoError
        It cannot be opened.
    InvalidData
        It is empty, or its first bytes are those of another format.
    """
    import pyarrow as pa

    try:
        require_regular(path)
        with open(path, "rb") as file:
            head = file.read(8)
        raw = pa.OSFile(path)
    except OSError as error:
        raise io_error(path, error) from error
    if not head:
        raise errors.InvalidData(f"{path}: the file is empty; not even a header is there.", {"path": path})
    for magic, what in _NOT_CSV.items():
        if head.startswith(magic):
            raise errors.InvalidData(f"{path}: this is not CSV but {what}.", {"path": path})
    for magic, codec in _MAGIC.items():
        if head.startswith(magic):
            return pa.CompressedInputStream(raw, codec)
    return raw


def io_error(path: str, error: OSError) -> errors.PycjmError:
    """The exception for a failed read: one without an errno comes from decompressing, so the data is broken."""
    if isinstance(error, errors.PycjmError):
        return error
    if error.errno is None:
        return errors.InvalidData(f"{path}: cannot be decompressed: {error}", {"path": path})
    reason = os.strerror(error.errno)
    return errors.IoError(f"{path}: {reason}", {"path": path, "errno": error.errno})


def read(path: str, options: CsvOptions, wanted: Sequence[str] = ()) -> Dialect:
    """Looks at the head of a file.

    Parameters
    ----------
    path : str
        The file.
    options : CsvOptions
        What is known already.
    wanted : sequence of str
        Columns that the header should have; they decide between delimiters.

    Returns
    -------
    Dialect

    Raises
    ------
    InvalidData
        The file is empty, is no text, or its header cannot be decoded or is longer than the head.
    """
    try:
        with open_bytes(path) as stream:
            head = stream.read(HEAD_BYTES + 1)
    except OSError as error:
        raise io_error(path, error) from error
    whole = len(head) <= HEAD_BYTES
    encoding = options.encoding or _encoding(head, path)
    everything, broken = _decode(head[:HEAD_BYTES], encoding, whole)
    quote = options.quote_char
    # In a cut head the last line may be cut as well; a record that it opens is left out with it.
    text = everything if whole else everything[: max(everything.rfind("\n"), everything.rfind("\r")) + 1]
    candidates = (options.delimiter,) if options.delimiter else DELIMITERS
    tries = [(delimiter, *_records(text, delimiter, quote, whole)) for delimiter in candidates]
    delimiter, header_lines, records = max(tries, key=lambda found: _score(found[2], wanted))
    if not records:
        if everything.strip():
            raise errors.InvalidData(
                f"{path}: the header does not end within {HEAD_BYTES} bytes. Is a quote left open, or is this no CSV?",
                {"path": path},
            )
        raise errors.InvalidData(f"{path}: the file is empty; not even a header is there.", {"path": path})
    header = records[0]
    if broken and any("\ufffd" in name for name in header):
        raise bad_encoding(path, encoding, "the header")
    return Dialect(path, encoding, delimiter, quote, header, header_lines, records[1:])


def bad_encoding(path: str, encoding: str, where: str) -> errors.InvalidData:
    """The error for bytes that the encoding does not know, with the remedy."""
    other = 'encoding="latin-1"' if encoding == "utf-8" else "the right encoding"
    return errors.InvalidData(
        f"{path}: {where} is not {encoding.upper()}. Pass {other} if the file was written so (Windows and older "
        'programs often write "cp1252" or "latin-1").',
        {"path": path, "encoding": encoding},
    )


def _encoding(head: bytes, path: str) -> str:
    for bom, encoding in _BOMS:
        if head.startswith(bom):
            return encoding
    for order, where in (("le", 1), ("be", 0)):
        start = head[:64].decode(f"utf-16-{order}", "replace")
        zeros = head[where:64:2].count(0)
        if zeros >= 2 and zeros >= len(start) // 2 and all(char.isprintable() or char.isspace() for char in start):
            raise errors.InvalidData(
                f'{path}: this looks like UTF-16 without a byte order mark. Pass encoding="utf-16-{order}".',
                {"path": path},
            )
    if head.count(0) > len(head) // 50:
        raise errors.InvalidData(f"{path}: this is no text, for it is full of zero bytes.", {"path": path})
    return "utf-8"


def _decode(head: bytes, encoding: str, whole: bool) -> tuple[str, bool]:
    """The text of the head, and whether some bytes had to be replaced."""
    broken = False
    for handling in ("strict", "replace"):
        try:
            text = codecs.getincrementaldecoder(encoding)(handling).decode(head, final=whole)
            return text.removeprefix("\ufeff"), broken
        except UnicodeError:
            broken = True
    return "", True


def _records(text: str, delimiter: str, quote: str | None, whole: bool) -> tuple[int, list[list[str]]]:
    """How many lines the header ends after, and the records of a text, blank lines left out."""
    format_options: dict[str, Any] = {"quotechar": quote} if quote else {"quoting": csv.QUOTE_NONE}
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=delimiter, **format_options)
    records: list[list[str]] = []
    header_lines = 0
    try:
        for record in reader:
            if record:
                header_lines = header_lines or reader.line_num
                records.append(record)
    except csv.Error:
        return header_lines, records  # a field beyond the csv module's limit: what came before it will do
    if not whole and records and reader.line_num and not _closed(records[-1], quote):
        records.pop()
    return header_lines, records


def _closed(record: list[str], quote: str | None) -> bool:
    """Whether a record at the end of a cut head is certain to be complete: no line end inside its last field."""
    return quote is None or not record[-1].endswith(("\n", "\r"))


def _score(records: list[list[str]], wanted: Sequence[str]) -> tuple[int, float, int]:
    """How well a delimiter explains the head: columns found, records as wide as the header, width."""
    if not records:
        return (0, 0.0, 0)
    header, rows = records[0], records[1:51]
    even = sum(len(row) == len(header) for row in rows) / len(rows) if rows else 1.0
    found = sum(name in header for name in wanted)
    return (found, round(even, 1) if len(header) > 1 else 0.0, len(header))
