"""Which files does a source name, what is in them, and which reader takes them?

Parquet and XES go to the engine, CSV and Arrow IPC files are streamed to it. The extension says what a file is; only
without a known one are its first bytes looked at. A directory is what its files with a known extension are.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any

from . import csv_dialect, errors, file_search
from ._arrow import translate

if TYPE_CHECKING:
    import pyarrow as pa

_EXTENSIONS = {
    "parquet": (".parquet", ".pq"),
    "xes": (".xes", ".xes.gz"),
    "arrow": (".arrow", ".feather", ".ipc"),
    "csv": tuple(
        extension + packed for extension in csv_dialect.EXTENSIONS for packed in ("", *csv_dialect.COMPRESSED)
    ),
}


def is_path(source: Any) -> bool:
    """Whether a source names files: a path, or a list of paths."""
    if isinstance(source, (list, tuple)):
        return all(is_path(item) and not isinstance(item, (list, tuple)) for item in source)
    return isinstance(source, (str, bytes, os.PathLike))


def paths_of(source: Any) -> list[str]:
    """The paths that a source names, as text.

    Raises
    ------
    InvalidArgument
        There are none.
    Unsupported
        One is an address on the network.
    """
    given = source if isinstance(source, (list, tuple)) else [source]
    paths = [os.fsdecode(path) for path in given]
    if not paths or "" in paths:
        raise errors.InvalidArgument("the source names no file.", {"option": "source"})
    for path in paths:
        if "://" in path:
            raise errors.Unsupported(
                f"{path}: only files on this machine are read. Download it, or scan a pyarrow.dataset over it.",
                {"path": path},
            )
    return paths


def format_by_name(paths: Sequence[str]) -> str | None:
    """The format that the extensions say, or None where the files have to be looked at.

    Raises
    ------
    InvalidArgument
        They say different things.
    """
    formats = {_by_extension(path) for path in paths}
    if len(formats - {None}) > 1:
        named = ", ".join(sorted(form for form in formats if form))
        raise errors.InvalidArgument(
            f"the source mixes formats ({named}). Scan files of one format at a time.",
            {"formats": sorted(formats - {None})},
        )
    return formats.pop() if len(formats) == 1 else None


def find_format(paths: Sequence[str]) -> str:
    """The format of the files, looking into directories, and into files whose names do not say.

    Raises
    ------
    InvalidArgument
        They are of different formats, or a directory holds none.
    IoError
        A file is not there.
    """
    examples: dict[str, str] = {}
    for path in paths:
        for form, example in _formats_of(path):
            examples.setdefault(form, example)
    if len(examples) > 1:
        named = " and ".join(f"{form} ({examples[form]})" for form in sorted(examples))
        raise errors.InvalidArgument(
            f"the source mixes formats: {named}. Scan files of one format at a time, for instance by a pattern.",
            {"formats": sorted(examples)},
        )
    return next(iter(examples))


def expand(paths: Sequence[str], form: str) -> list[str]:
    """The files behind directories and shell patterns, sorted within each; existing files stand for themselves.

    Raises
    ------
    InvalidArgument
        A pattern matches nothing.
    """
    found = [file for path in paths for file in file_search.files(path)]
    return [file.path for file in found if file.named or _by_extension(file.path) == form]


def _formats_of(path: str) -> list[tuple[str, str]]:
    """The formats behind a path, each with a file that has it."""
    named, pattern = _by_extension(path), file_search.is_pattern(path)
    if named is not None and (pattern or not os.path.isdir(path)):
        return [(named, path)]
    files = file_search.files(path)
    found = [(form, file.path) for file in files if (form := _format_of(file)) is not None]
    if found:
        return found
    if named is not None:
        return [(named, path)]
    if pattern:
        raise errors.InvalidArgument(f"{path}: no file of a known format matches this pattern.", {"path": path})
    listed = ", ".join(extension for extensions in _EXTENSIONS.values() for extension in extensions[:2])
    raise errors.InvalidArgument(
        f"{path}: no file of a known format is there; their names end in {listed}, ...", {"path": path}
    )


def _format_of(file: file_search.Found) -> str | None:
    """By the name; only a file that was meant itself is looked into."""
    return _by_extension(file.path) or (_by_content(file.path) if file.named else None)


def _by_extension(path: str) -> str | None:
    lower = path.lower()
    for form, extensions in _EXTENSIONS.items():
        if lower.endswith(extensions):
            return form
    return None


def _by_content(path: str) -> str:
    try:
        csv_dialect.require_regular(path)
        with open(path, "rb") as file:
            head = file.read(8)
    except OSError as error:
        raise csv_dialect.io_error(path, error) from error
    if head.startswith(b"PAR1"):
        return "parquet"
    if head.startswith((b"ARROW1", b"FEA1", b"\xff\xff\xff\xff")):
        return "arrow"
    try:
        with csv_dialect.open_bytes(path) as stream:
            text = stream.read(256).removeprefix(b"\xef\xbb\xbf").lstrip()
    except OSError as error:
        raise csv_dialect.io_error(path, error) from error
    return "xes" if text.startswith((b"<?xml", b"<log", b"<!DOCTYPE")) else "csv"


class IpcSource:
    """Arrow IPC files (random access or streaming), read one after the other.

    Parameters
    ----------
    paths : list of str
        The files.
    """

    def __init__(self, paths: list[str]) -> None:
        self.paths = paths

    def schema(self) -> pa.Schema:
        """The schema of the first file."""
        return self._open(self.paths[0]).schema

    def rows(self) -> int | None:
        """The number of rows: these files do not tell without being read."""
        return None

    def batches(self, names: Sequence[str]) -> Iterator[pa.RecordBatch]:
        """The named columns of all files. Buffers are checked, since a file may hold anything."""
        first = None
        for path in self.paths:
            try:
                for batch in _batches(self._open(path)):
                    chosen = batch.select(list(names))
                    chosen.validate(full=True)
                    first = first or chosen.schema
                    if not chosen.schema.equals(first):
                        raise errors.InvalidData(f"{path}: its columns have other types than those of {self.paths[0]}.")
                    yield chosen
            except Exception as error:
                raise translate(error, path, {"path": path}) from error

    def _open(self, path: str) -> Any:
        """A reader over either kind of file."""
        import pyarrow as pa

        try:
            with open(path, "rb") as file:
                head = file.read(8)
        except OSError as error:
            raise csv_dialect.io_error(path, error) from error
        if head.startswith(b"FEA1"):
            raise errors.Unsupported(f"{path}: Feather version 1 is not read. Write it as version 2.", {"path": path})
        try:
            mapped = pa.memory_map(path)
            reader = pa.ipc.open_file(mapped) if head.startswith(b"ARROW1") else pa.ipc.open_stream(mapped)
            reader.schema.names  # noqa: B018 - names that are no text raise here, and so within this block
            return reader
        except Exception as error:
            raise translate(error, path, {"path": path}) from error


def _batches(reader: Any) -> Iterator[pa.RecordBatch]:
    if hasattr(reader, "get_batch"):
        return (reader.get_batch(idx) for idx in range(reader.num_record_batches))
    return iter(reader)
