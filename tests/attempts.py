"""What came of a call that may be refused: its value, or the typed error?"""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

from pycjm import errors

Value = TypeVar("Value")

REFUSALS = (errors.InvalidArgument, errors.InvalidData, errors.Unsupported)
"""What data may be refused with."""


def attempt(action: Callable[[], Value]) -> tuple[Value | None, errors.PycjmError | None]:
    """The value and None, or None and the error; an error of any other kind is a failure and goes on."""
    try:
        return action(), None
    except REFUSALS as refused:
        return None, refused
