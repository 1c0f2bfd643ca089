"""How does one name change hands in a single step: taken only if it is free, or exchanged with another?

Linux and macOS can; elsewhere the caller does it in two steps.
"""

from __future__ import annotations

import ctypes
import errno
import os
import sys
from functools import cache
from typing import Any

_AT_FDCWD = {"linux": -100, "darwin": -2}
_FUNCTION = {"linux": "renameat2", "darwin": "renameatx_np"}
_NO_REPLACE = {"linux": 1, "darwin": 4}
_EXCHANGE = {"linux": 2, "darwin": 2}
_UNKNOWN = {errno.ENOSYS, errno.EINVAL, errno.ENOTSUP}
"""What a system or a file system says that cannot do it."""


def exchange(one: str, other: str) -> bool:
    """Gives each of two paths the other's name; False where that cannot be done in one step.

    Raises
    ------
    OSError
        The system refused.
    """
    return _renamed(one, other, _EXCHANGE)


def rename_new(source: str, target: str) -> None:
    """Renames a file to a name that is free.

    Raises
    ------
    FileExistsError
        It is not.
    OSError
        The system refused.
    """
    if _renamed(source, target, _NO_REPLACE):
        return
    # A file with two names for a moment; the second one is refused if it is taken.
    os.link(source, target)
    os.unlink(source)


def _renamed(source: str, target: str, flags: dict[str, int]) -> bool:
    function = _function()
    if function is None:
        return False
    here = _AT_FDCWD[sys.platform]
    if function(here, os.fsencode(source), here, os.fsencode(target), flags[sys.platform]) == 0:
        return True
    number = ctypes.get_errno()
    if number in _UNKNOWN:
        return False
    raise OSError(number, os.strerror(number), source, None, target)


@cache
def _function() -> Any:
    if sys.platform not in _FUNCTION:
        return None
    function = getattr(ctypes.CDLL(None, use_errno=True), _FUNCTION[sys.platform], None)
    if function is not None:
        function.argtypes = [ctypes.c_int, ctypes.c_char_p, ctypes.c_int, ctypes.c_char_p, ctypes.c_uint]
    return function
