"""What has a name only until it is whole, and how is it told from what a killed process has left?

Whoever makes such a file or directory holds a lock on it (``flock``) until it has its name or is gone. The system
gives the lock back when the process ends, however it ends: so what nobody locks is an orphan and may be removed, by
whoever next writes into the same place, and what is locked belongs to a living process, of whatever container or
machine, as far as they share locks. Where the system knows no such locks, nothing is swept.
"""

from __future__ import annotations

import errno
import logging
import os
import re
import secrets
import shutil
import stat
from contextlib import suppress

try:
    import fcntl
except ImportError:
    fcntl = None  # type: ignore[assignment]  # Windows

_NAME = re.compile(r"\.(?P<target>.+)\.pycjm-(?P<kind>tmp|old)-[0-9a-f]{16}", re.DOTALL)
_TRIES = 100
"""How often a new name is tried, should sweepers take it for an orphan before it is locked."""
_LONGEST = 100
"""Characters of the target's name that are kept, so that the name is not too long for the system."""


class Temporary:
    """A new file or directory with a lock, to be renamed or discarded.

    Parameters
    ----------
    target : str
        The path that it is to become; it is made beside it.
    directory : bool
        A directory, not a file.
    kind : {"tmp", "old"}
        What is being made, or what has been there and is put aside.

    Raises
    ------
    OSError
        It cannot be made there.
    """

    def __init__(self, target: str, *, directory: bool, kind: str = "tmp") -> None:
        parent, name = os.path.split(target)
        for _ in range(_TRIES):
            self.path = os.path.join(parent, f".{name[:_LONGEST]}.pycjm-{kind}-{secrets.token_hex(8)}")
            self._handle: int | None = _made(self.path, directory=directory)
            if self._handle is None or (_lock(self._handle) is not False and _is_at(self._handle, self.path)):
                return
            self.close()
        raise FileExistsError(errno.EEXIST, os.strerror(errno.EEXIST), self.path)

    def close(self) -> None:
        """Gives the lock back, once the name is gone or another one."""
        if self._handle is not None:
            os.close(self._handle)
            self._handle = None

    def discard(self) -> None:
        """Removes it, as far as it is there, and gives the lock back."""
        _remove(self.path)
        self.close()


def sweep(parent: str) -> list[str]:
    """Removes what killed processes have left in a directory, and gives back what was there before.

    Parameters
    ----------
    parent : str
        The directory. Nothing below it is looked at.

    Returns
    -------
    list of str
        The paths removed.
    """
    if fcntl is None:
        return []
    try:
        with os.scandir(parent) as entries:
            found = [(entry.path, match) for entry in entries if (match := _NAME.fullmatch(entry.name))]
    except OSError:
        return []
    swept = [path for path, match in sorted(found, key=lambda item: item[0]) if _swept(path, match)]
    for path in swept:
        logging.getLogger("pycjm").debug("swept what a killed run had left: %s", path)
    return swept


def _swept(path: str, match: re.Match[str]) -> bool:
    try:
        mode = os.lstat(path).st_mode
        if not stat.S_ISREG(mode) and not stat.S_ISDIR(mode):
            return False
        handle = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK)
    except OSError:
        return False  # gone, or of somebody else
    try:
        if _lock(handle) is not True or not _is_at(handle, path):
            return False
        if match["kind"] == "old":
            _give_back(path)
        _remove(path)
        return not os.path.lexists(path)
    finally:
        os.close(handle)


def _give_back(path: str) -> None:
    """What was there goes back to its place, if the killed process had put nothing else there."""
    parent = os.path.dirname(path)
    with suppress(OSError):
        for name in os.listdir(path):
            target = os.path.join(parent, name)
            if not os.path.lexists(target):
                os.rename(os.path.join(path, name), target)


def _remove(path: str) -> None:
    with suppress(OSError):
        if stat.S_ISDIR(os.lstat(path).st_mode):
            shutil.rmtree(path, ignore_errors=True)
        else:
            os.unlink(path)


def _made(path: str, *, directory: bool) -> int | None:
    """Makes it; an open handle to lock it by, where directories have one."""
    if not directory:
        # Only its owner may write; rights of an ordinary file come with its name.
        return os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL | getattr(os, "O_BINARY", 0), 0o600)
    os.mkdir(path, 0o700)
    return os.open(path, os.O_RDONLY) if fcntl is not None else None


def _lock(handle: int) -> bool | None:
    """Whether the lock was free and is ours now; None where the system has no locks."""
    if fcntl is None:
        return None
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    except OSError:
        return None
    return True


def _is_at(handle: int, path: str) -> bool:
    """Whether a path still leads to what was opened."""
    try:
        return os.path.samestat(os.fstat(handle), os.lstat(path))
    except OSError:
        return False
