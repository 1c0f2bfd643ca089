"""How is a state kept in a file, and how is it found out whether the file is still what was written?"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from typing import TYPE_CHECKING, BinaryIO

from . import errors

if TYPE_CHECKING:
    import pyarrow as pa

    from .table import Table

_MAGIC = b"ARROW1"

_DIGEST = b"pycjm.state.file"
"""Where a file has the SHA-256 of itself, with zeros in place of its digits.

It tells of any change at all; the engine's own checksum, which a state has also where it is no file, tells of those
that mean something.
"""
_KIND = b"sha256:"
_DIGITS = re.compile(_KIND + rb"([0-9a-f]{64})")
_WINDOW = 1 << 16
"""How far from both ends of a file its schema lies, which it has twice."""
_CHUNK = 1 << 20


def write(state: Table, path: str | os.PathLike[str]) -> None:
    """Writes a state to a compressed Arrow IPC file, which appears whole or not at all."""
    import shutil
    import tempfile

    import pyarrow as pa

    from . import export

    reader = state.to_reader()
    schema = reader.schema.with_metadata({**(reader.schema.metadata or {}), _DIGEST: _KIND + b"0" * 64})
    # Written beside, since a pipe cannot be gone back in.
    with export.whole_file(path) as file, tempfile.TemporaryFile(dir=_folder(path)) as content:
        options = pa.ipc.IpcWriteOptions(compression="zstd")
        with pa.ipc.new_file(pa.PythonFile(content, "w"), schema, options=options) as writer:
            for batch in reader:
                writer.write_batch(batch.replace_schema_metadata(schema.metadata))
        places = [place for place, _ in _digests(content)]
        digits = _sha256(content, places).encode()
        for place in places:
            content.seek(place)
            content.write(digits)
        content.seek(0)
        shutil.copyfileobj(content, file, _CHUNK)


def _folder(path: str | os.PathLike[str]) -> str | None:
    folder = os.path.dirname(os.path.realpath(path))
    return folder if os.access(folder, os.W_OK) and not os.fspath(path).startswith("/dev/") else None


def _digests(file: BinaryIO) -> list[tuple[int, bytes]]:
    """Where a file has its digest, and what it says."""
    size = file.seek(0, os.SEEK_END)
    found: dict[int, bytes] = {}
    for start in {0, max(0, size - _WINDOW)}:
        file.seek(start)
        found.update((start + match.start(1), match[1]) for match in _DIGITS.finditer(file.read(_WINDOW)))
    return sorted(found.items())


def _sha256(file: BinaryIO, places: list[int]) -> str:
    """The digest of a file with zeros in place of its own."""
    import hashlib

    digest = hashlib.sha256()
    file.seek(0)
    for place in [*places, None]:
        left = None if place is None else place - file.tell()
        while left is None or left > 0:
            chunk = file.read(_CHUNK if left is None else min(left, _CHUNK))
            if not chunk:
                break
            digest.update(chunk)
            left = None if left is None else left - len(chunk)
        if place is not None:
            digest.update(b"0" * 64)
            file.seek(place + 64)
    return digest.hexdigest()


def is_state(path: str | os.PathLike[str]) -> bool:
    """Whether a file was written as a state, damaged or not."""
    try:
        with open(path, "rb") as file:
            return file.read(len(_MAGIC)) == _MAGIC and bool(_digests(file))
    except OSError:
        return False


def open_state(path: str | os.PathLike[str]) -> tuple[pa.Schema, Iterator[pa.RecordBatch]]:
    """Schema and checked batches of a file."""
    import pyarrow as pa

    name = os.fsdecode(path)
    try:
        with open(path, "rb") as file:
            begins_well = file.read(len(_MAGIC)) == _MAGIC
            digests = _digests(file) if begins_well else []
            digits = {digits for _, digits in digests}
            whole = not digests or digits == {_sha256(file, [place for place, _ in digests]).encode()}
    except OSError as error:
        details = {"path": name, "errno": error.errno}
        raise errors.IoError(f"cannot read {name}: {error.strerror or error}.", details) from error
    if not begins_well:
        text = f"{name} is no state of pycjm: not even an Arrow file; states are made with mine(..., state=path)."
        raise errors.InvalidData(text, {"path": name})
    if not whole:
        raise damaged("its digest is not that of its content", name)
    try:
        reader = pa.ipc.open_file(pa.OSFile(name))
    except (pa.ArrowException, OSError, ValueError, MemoryError) as error:
        raise unreadable(error, name) from error

    def batches() -> Iterator[pa.RecordBatch]:
        for number in range(reader.num_record_batches):
            batch = reader.get_batch(number)
            # In full: what the engine is given has no lengths of its own to check.
            batch.validate(full=True)
            yield batch

    return reader.schema, batches()


def unreadable(error: BaseException, name: str) -> errors.PycjmError:
    """The error for a file that pyarrow cannot read to its end."""
    if isinstance(error, OSError) and error.errno is not None:
        return errors.IoError(f"cannot read {name}: {error.strerror or error}.", {"path": name, "errno": error.errno})
    return damaged(str(error).splitlines()[0] if str(error) else type(error).__name__, name)


def damaged(why: str, name: str) -> errors.InvalidData:
    """The error for a state that is not whole."""
    text = f"{name}: this state is damaged ({why}); make it anew from its log, or take another copy of it"
    return errors.InvalidData(text, {"path": name})
