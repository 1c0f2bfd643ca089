"""How do results become files, whole or not at all?

Everything is written beside its target under another name, brought to the disk, and renamed at the end. Whatever fails
before that, an interrupt included, leaves the target as it was and removes what was begun. Only a process that is
killed outright leaves something: a hidden file or directory whose name contains ``.pycjm-``, which the next run that
writes into the same directory sweeps away (:mod:`pycjm._temporary`).
A pipe or a device cannot be renamed to: it gets the content when that is whole.
"""

from __future__ import annotations

import errno
import io
import json
import os
import re
import shutil
import stat
import tempfile
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING, Any, BinaryIO

from . import _formats, _rename, _run_record, _temporary, errors

if TYPE_CHECKING:
    import pyarrow as pa

    Path = str | os.PathLike[str]


def write_table(table: Any, path: Path, format: str | None = None) -> int:
    """Write one table to a file; a file that is there is replaced in one step.

    Parameters
    ----------
    table : object
        With ``to_reader()`` or ``__arrow_c_stream__``; read batch by batch.
    path : path
        Where to.
    format : {"parquet", "arrow", "csv", "json"}, optional
        Default: by the ending of `path`.

    Returns
    -------
    int
        The number of rows written.

    Raises
    ------
    InvalidArgument
        No such format, or `path` is a directory.
    IoError
        The system refused; ``errno`` says why. The target is as it was.
    """
    chosen = _formats.check_format(format) if format is not None else _formats.format_of(os.path.realpath(path))
    with whole_file(path) as file:
        return _write(table, chosen, file)


def write_result(
    result: Mapping[str, Any],
    directory: Path,
    *,
    format: str = "parquet",
    overwrite: bool = False,
    run_info: Mapping[str, Any] | None = None,
    progress: Callable[[str, int, int | None], object] | None = None,
) -> dict[str, Any]:
    """Write all tables of a result and ``run.json`` as one new directory.

    Parameters
    ----------
    result : mapping
        Tables by name; its ``info``, if there is one, goes into ``run.json``.
    directory : path
        To be created, with its parents.
    format : {"parquet", "arrow", "csv", "json"}
        Of the tables.
    overwrite : bool
        Replace `directory` if a former call has written it, and nobody has put anything else into it.
    run_info : mapping, optional
        ``inputs`` (paths of the files read), ``options`` (what was asked), ``run`` (more on how it went),
        ``versions``.
    progress : callable, optional
        ``progress("writing", rows_done, None)``, with the rows of all tables so far. Raising in it stops the writing.

    Returns
    -------
    dict
        The content of ``run.json``.

    Raises
    ------
    InvalidArgument
        No such format, or `directory` exists and may not be replaced.
    IoError
        The system refused; ``errno`` says why. The target is as it was.
    """
    _formats.check_format(format)
    began = time.monotonic()
    with _whole_directory(directory, overwrite) as temporary:
        tables: list[dict[str, Any]] = []
        for name in result:
            done = sum(table["rows"] for table in tables)
            tables.append(_write_named(name, result[name], temporary, format, _told(progress, done)))
        info = dict(getattr(result, "info", None) or {})
        writing = {"writing_s": round(time.monotonic() - began, 6)}
        content = _run_record.record(tables, info | writing, run_info or {})
        with _file(os.path.join(temporary, _run_record.FILE), shown=directory) as file:
            file.write(json.dumps(content, indent=2, ensure_ascii=False, default=str).encode() + b"\n")
    return content


def check_target(directory: Path, *, overwrite: bool = False) -> None:
    """Tell before the work whether ``write_result`` may write to `directory`.

    Raises
    ------
    InvalidArgument
        It exists, and either `overwrite` is false or something in it was not written by ``write_result``.
    IoError
        What should hold it is not a directory.
    """
    target = os.path.realpath(directory)
    if not os.path.lexists(target):
        with explained(directory):
            _missing_parents(os.path.dirname(target))
        return
    details = {"path": os.fspath(directory)}
    if not os.path.isdir(target):
        raise errors.InvalidArgument(f"{directory} exists and is not a directory. Name another one.", details)
    if not overwrite:
        message = f"{directory} exists. Name another directory, or replace it with overwrite=True."
        raise errors.InvalidArgument(message, details)
    strangers = _strangers(target)
    if strangers:
        raise errors.InvalidArgument(
            f"{directory} is not overwritten, because it holds {strangers[0]!r}, which pycjm did not write there. Name "
            "another directory, or move what is in it.",
            {**details, "strangers": strangers},
        )


def _strangers(target: str) -> list[str]:
    """What is in a directory besides the files that its ``run.json`` lists."""
    found = sorted(os.listdir(target))
    own = {_run_record.FILE}
    try:
        with open(os.path.join(target, _run_record.FILE), encoding="utf-8") as file:
            content = json.load(file)
        if content["made_by"] != _run_record.MADE_BY:
            return found
        own.update(table["file"] for table in content["tables"])
    except (OSError, ValueError, LookupError, TypeError):
        return found
    return [name for name in found if name not in own]


def _told(progress: Callable[[str, int, int | None], object] | None, before: int) -> Callable[[int], object]:
    """What is told of a table's rows, when so many were written before it."""
    return lambda rows: progress("writing", before + rows, None) if progress is not None else None


def _write_named(
    name: str, table: Any, directory: str, format: str, written: Callable[[int], object]
) -> dict[str, Any]:
    file_name = name + _formats.EXTENSIONS[format][0]
    with _file(os.path.join(directory, file_name), shown=file_name) as file:
        rows = _write(table, format, file, written)
    n_bytes = os.path.getsize(os.path.join(directory, file_name))
    return {"name": name, "file": file_name, "format": format, "rows": rows, "bytes": n_bytes}


def _write(table: Any, format: str, file: BinaryIO, written: Callable[[int], object] = lambda rows: None) -> int:
    reader = _reader(table)
    return _formats.write(format, reader.schema, _reading(reader, written), file)


def _reader(table: Any) -> pa.RecordBatchReader:
    import pyarrow as pa

    if isinstance(table, pa.RecordBatchReader):
        return table
    return table.to_reader() if hasattr(table, "to_reader") else pa.RecordBatchReader.from_stream(table)


class _ReadFailed(BaseException):
    """Carries an error of the table being read past the handler that takes every OSError for one of the target's."""


def _reading(batches: Iterable[pa.RecordBatch], written: Callable[[int], object]) -> Iterator[pa.RecordBatch]:
    rows = 0
    try:
        for batch in batches:
            yield batch
            rows += batch.num_rows
            written(rows)
    except Exception as error:
        raise _ReadFailed(error) from error


def check_file(path: Path) -> None:
    """Tell before the work whether :func:`whole_file` may write to `path`.

    Raises
    ------
    InvalidArgument
        It is a directory, a disk or a socket.
    IoError
        The directory that should hold it is not there.
    """
    target = os.path.realpath(path)
    if os.path.isdir(target):
        raise errors.InvalidArgument(f"{path} is a directory; name a file in it.", {"path": os.fspath(path)})
    if not _is_special(path):
        parent = os.path.dirname(target)
        with explained(path):
            if not stat.S_ISDIR(os.stat(parent).st_mode):
                raise NotADirectoryError(errno.ENOTDIR, os.strerror(errno.ENOTDIR), parent)


def check_new_log(path: Path, what: str, *, overwrite: bool) -> None:
    """Tell before the work whether a log may be written to `path` as Parquet; `what` says what kind of log.

    Raises
    ------
    InvalidArgument
        The name does not end as that of a Parquet file, or it is taken and `overwrite` is false, or a directory.
    IoError
        The directory that should hold it is not there.
    """
    details = {"path": os.fspath(path)}
    if not os.fsdecode(path).lower().endswith(_formats.EXTENSIONS["parquet"]):
        raise errors.InvalidArgument(f"{path}: {what} is a Parquet file; name it *.parquet.", details)
    check_file(path)
    if os.path.lexists(path) and not overwrite:
        raise errors.InvalidArgument(f"{path} exists. Name another file, or replace it with overwrite=True.", details)


@contextmanager
def whole_file(path: Path, *, overwrite: bool = True) -> Iterator[BinaryIO]:
    """A binary file that takes the name `path` when the block ends well, and disappears when it does not.

    Parameters
    ----------
    path : path
        A file that is there is replaced. A pipe, a terminal and the program's own output stay what they are: they get
        the content when it is whole.
    overwrite : bool
        False where a file that has appeared in the meantime is to stay.

    Raises
    ------
    InvalidArgument
        `path` is a directory, a disk or a socket.
    IoError
        The system refused.
    """
    check_file(path)
    target = os.path.realpath(path)
    if _is_special(path):
        with explained(path), tempfile.TemporaryFile() as content:
            yield content
            content.seek(0)
            with _open_special(path) as file:
                shutil.copyfileobj(content, file)
        return
    temporary = None
    try:
        with explained(path):
            parent = os.path.dirname(target)
            _temporary.sweep(parent)
            temporary = _temporary.Temporary(target, directory=False)
        with _file(temporary.path, shown=path, mode="wb") as file:
            yield file
        with explained(path):
            # Only its owner could read it until now; a result is an ordinary file.
            os.chmod(temporary.path, 0o666 & ~_umask())
            if overwrite:
                os.replace(temporary.path, target)
            else:
                _rename.rename_new(temporary.path, target)
            _sync_directory(parent)
    finally:
        if temporary is not None:
            temporary.discard()


def _is_special(path: Path) -> bool:
    """Whether a path names something that must not be replaced by a file: a device, a pipe, our own output.

    Raises
    ------
    InvalidArgument
        It names what nobody means to write a table to.
    """
    try:
        mode = os.stat(path).st_mode
    except OSError:
        return False  # not there, or writing will tell why not
    if stat.S_ISFIFO(mode) or stat.S_ISCHR(mode):
        return True
    if stat.S_ISREG(mode):
        # By a path such as /proc/self/fd/1 a file is meant as it is open, with its position, and not its name.
        return _own_output(path) is not None
    what = "a disk" if stat.S_ISBLK(mode) else "a socket"
    raise errors.InvalidArgument(f"{path} is {what}, not a file. Name another one.", {"path": os.fspath(path)})


def _own_output(path: Path) -> int | None:
    """Which of stdout and stderr a path leads to through the system's directory of open files, if it does."""
    text = os.path.abspath(path)
    for _ in range(40):  # as many links as the system follows
        if re.fullmatch(r"/proc/(self|thread-self|\d+)/fd/\d+|/dev/fd/\d+", text):
            found = os.stat(text)
            return next((number for number in (1, 2) if _is_open_as(number, found)), None)
        if not os.path.islink(text):
            return None
        text = os.path.join(os.path.dirname(text), os.readlink(text))
    return None


def _is_open_as(number: int, found: os.stat_result) -> bool:
    try:
        return os.path.samestat(os.fstat(number), found)
    except OSError:
        return False


def _open_special(path: Path) -> BinaryIO:
    own = _own_output(path)
    return open(path if own is None else os.dup(own), "wb")


STEP_BYTES = 16 << 20
"""Bytes of a file that are brought to the disk at once."""


class _InSteps(io.FileIO):
    """A file whose bytes are brought to the disk step by step, so that none of the waits is long.

    Nothing interrupts a process that waits for the disk: with all of a large file left to the end, that would be for
    seconds.
    """

    _waiting = 0

    def write(self, data: Any) -> int:
        """Write at most as much as is brought to the disk at once; the buffer in front comes with the rest again."""
        written = super().write(memoryview(data).cast("B")[: STEP_BYTES - self._waiting]) or 0
        self._waiting += written
        if self._waiting >= STEP_BYTES:
            os.fsync(self.fileno())
            self._waiting = 0
        return written


@contextmanager
def _file(path: str, *, shown: Path, mode: str = "xb") -> Iterator[BinaryIO]:
    """A file that is on the disk when the block ends. Its errors name `shown`, not the temporary path."""
    with explained(shown), io.BufferedWriter(_InSteps(path, mode)) as file:
        yield file
        file.flush()
        os.fsync(file.fileno())


@contextmanager
def _whole_directory(directory: Path, overwrite: bool) -> Iterator[str]:
    """A new empty directory that takes the name `directory` when the block ends well, and disappears when not."""
    check_target(directory, overwrite=overwrite)
    target = os.path.realpath(directory)
    parent = os.path.dirname(target)
    temporary = None
    created: list[str] = []
    try:
        with explained(directory):
            created = _make_parents(parent)
            _temporary.sweep(parent)
            temporary = _temporary.Temporary(target, directory=True)
        yield temporary.path
        with explained(directory):
            os.chmod(temporary.path, 0o777 & ~_umask())
            _sync_directory(temporary.path)
            _swap(temporary.path, target, overwrite)
            for path in (parent, *map(os.path.dirname, created)):
                _sync_directory(path)
            created = []
    finally:
        if temporary is not None:
            temporary.discard()
        for path in reversed(created):
            with suppress(OSError):
                os.rmdir(path)


def _make_parents(path: str) -> list[str]:
    """Creates the missing directories down to `path`; those created, outermost first."""
    missing = _missing_parents(path)
    for parent in missing:
        os.mkdir(parent)
    return missing


def _missing_parents(path: str) -> list[str]:
    """The directories down to `path` that are not there yet, outermost first."""
    missing: list[str] = []
    while not os.path.isdir(path):
        if os.path.lexists(path):
            raise NotADirectoryError(errno.ENOTDIR, os.strerror(errno.ENOTDIR), path)
        missing.append(path)
        path = os.path.dirname(path)
    return missing[::-1]


def _swap(temporary: str, target: str, overwrite: bool) -> None:
    """Renames `temporary` to `target`; what was there has that name afterwards, or is gone."""
    if not overwrite or not os.path.lexists(target):
        os.rename(temporary, target)
        return
    # Writing may have taken hours, in which somebody may have put something there.
    check_target(target, overwrite=True)
    if _rename.exchange(temporary, target):
        return
    # Not in one step here: what was there is put aside first and removed last, and a sweeper knows where it belongs.
    old = _temporary.Temporary(target, directory=True, kind="old")
    aside = os.path.join(old.path, os.path.basename(target))
    try:
        os.rename(target, aside)
        os.rename(temporary, target)
    except BaseException:
        if not os.path.lexists(target) and os.path.lexists(aside):
            os.rename(aside, target)
        raise
    finally:
        old.discard()


def _sync_directory(path: str) -> None:
    """Brings a directory's names to the disk, where the system can open directories."""
    if not hasattr(os, "O_DIRECTORY"):
        return
    handle = os.open(path, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def _umask() -> int:
    current = os.umask(0)
    os.umask(current)
    return current


@contextmanager
def explained(path: Path) -> Iterator[None]:
    """Turns the system's errors of writing to `path` into ours, and lets those of the table being read through."""
    try:
        yield
    except errors.PycjmError:
        raise
    except _ReadFailed as carrier:
        raise carrier.args[0] from None
    except OSError as error:
        raise _io_error(error, path) from error


_REMEDIES = {
    errno.ENOSPC: "the disk is full. Free some space, or write to another disk.",
    errno.EDQUOT: "your disk quota is used up. Free some space, or write to another disk.",
    errno.EFBIG: "the file would be larger than the system allows. Write to another disk, or lift the limit.",
    errno.EACCES: "you may not write there. Name a place that you may write to.",
    errno.EPERM: "you may not write there. Name a place that you may write to.",
    errno.EROFS: "that file system is read-only. Name a place that you may write to.",
    errno.ENOENT: "its directory does not exist. Create it, or name another one.",
    errno.ENOTDIR: "a part of the path is not a directory. Name another place.",
    errno.ENOTEMPTY: "it has appeared in the meantime. Name another directory.",
    errno.EEXIST: "it has appeared in the meantime. Name another one.",
    errno.ENAMETOOLONG: "the name is too long. Name another one.",
}


def _io_error(error: OSError, path: Path) -> errors.IoError:
    remedy = _REMEDIES.get(error.errno or 0, f"{error.strerror or error}.")
    details: dict[str, Any] = {"path": os.fspath(path), "errno": error.errno}
    if error.errno in (errno.ENOSPC, errno.EDQUOT):
        details["disk_full"] = True
    return errors.IoError(f"cannot write {path}: {remedy} Nothing was changed.", details)
