"""Which files does a path mean: one file, a directory with all below it, or a shell pattern?

As the engine does for Parquet: sorted, each file once, hidden names and those starting with ``_`` only where they are
spelled out, and no link followed back to a directory on the way, since its files would come again and again.
"""

from __future__ import annotations

import glob
import os
from collections.abc import Iterator, Sequence
from typing import NamedTuple

from . import csv_dialect, errors


class Found(NamedTuple):
    """A file, and whether the path means this very file or a directory that it lies in."""

    path: str
    named: bool


def is_pattern(path: str) -> bool:
    """Whether a path is a shell pattern; a file of exactly this name would win."""
    return glob.has_magic(path) and not os.path.lexists(path)


def files(path: str) -> list[Found]:
    """The files that a path means.

    Raises
    ------
    InvalidArgument
        A pattern matches nothing.
    IoError
        A directory cannot be listed.
    """
    if not is_pattern(path):
        return list(_below(path, (os.path.realpath(path),))) if os.path.isdir(path) else [Found(path, True)]
    from pathlib import Path

    parts = Path(path).parts
    spelled = next(at for at, part in enumerate(parts) if glob.has_magic(part))
    matches = sorted(_matches(path))
    if not parts[-1].startswith("_"):
        aside = {match for match in matches if os.path.basename(match).startswith("_")}
        matches = [match for match in matches if aside.isdisjoint([match, *map(str, Path(match).parents)])]
    if not matches:
        raise errors.InvalidArgument(f"{path}: no file matches this pattern.", {"path": path})
    found: dict[str, Found] = {}
    for match in matches:
        folder = os.path.isdir(match)
        way = _way(match if folder else os.path.dirname(match), spelled)
        if way is None:
            continue
        for file in _below(match, way) if folder else [Found(match, True)]:
            # What a pattern names, and a directory that it names holds, too, is named.
            if file.named or file.path not in found:
                found[file.path] = file
    return list(found.values())


def _matches(pattern: str) -> set[str]:
    """What a pattern matches. The library's own ``**`` would run through links in circles."""
    from pathlib import Path

    parts = Path(pattern).parts
    if "**" not in parts:
        return set(glob.glob(pattern))
    at = parts.index("**")
    before, after = os.path.join("", *parts[:at]), os.path.join("", *parts[at + 1 :])
    bases = sorted(glob.glob(before)) if glob.has_magic(before) else [before]
    found: set[str] = set()
    for base in bases:
        if os.path.isdir(base or os.curdir):
            folders = [base, *_folders(base, (os.path.realpath(base),))] if after else []
            inner = [_matches(os.path.join(glob.escape(folder), after)) for folder in folders]
            found |= set().union(*inner) if after else {base}
    return found


def _folders(folder: str, above: tuple[str, ...]) -> Iterator[str]:
    """All directories below one that are not hidden."""
    for path in _listed(folder):
        if not os.path.basename(path).startswith(".") and (real := _enter(path, above)) is not None:
            yield path
            yield from _folders(path, (*above, real))


def _below(folder: str, above: tuple[str, ...]) -> Iterator[Found]:
    """All files below a directory."""
    for path in _listed(folder):
        if os.path.basename(path).startswith((".", "_")):
            continue
        if not os.path.isdir(path):
            yield Found(path, False)
        elif (real := _enter(path, above)) is not None:
            yield from _below(path, (*above, real))


def _listed(folder: str) -> list[str]:
    try:
        return [os.path.join(folder, name) for name in sorted(os.listdir(folder or os.curdir))]
    except OSError as error:
        raise csv_dialect.io_error(folder, error) from error


def _way(folder: str, spelled: int) -> tuple[str, ...] | None:
    """The real directories on the way to one, the first `spelled` as one; None where the way goes in circles."""
    from pathlib import Path

    parts = Path(folder).parts
    at = os.path.join("", *parts[:spelled])
    above = (os.path.realpath(at),)
    for part in parts[spelled:]:
        at = os.path.join(at, part)
        real = _enter(at, above)
        if real is None:
            return None
        above = (*above, real)
    return above


def _enter(path: str, above: Sequence[str]) -> str | None:
    """What is behind a directory; None where it is none, or a link back to what holds one of `above`."""
    if not os.path.isdir(path):
        return None
    real = os.path.realpath(path)
    circle = os.path.islink(path) and any(os.path.commonpath([real, other]) == real for other in above)
    return None if circle else real
