"""Which exception does a failure raise, and what can a caller read from it?

One class per status code of the C ABI. Each is also the built-in exception that fits, so ``except ValueError`` and
``except MemoryError`` work without importing this module.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any


class PycjmError(Exception):
    """Base of every error that pycjm raises on purpose.

    Parameters
    ----------
    message : str
        What is wrong, where, and what to do.
    details : mapping, optional
        The same facts for a program: ``column``, ``row``, ``count``, ``path``, ``errno``, ``step``, ...

    Attributes
    ----------
    code : int
        The status code of the C ABI (1 to 8; 0 only on this base class).
    status : str
        The name of the status in the C header, without its prefix.
    details : dict
        A copy of the facts given.

    Examples
    --------
    >>> import pycjm
    >>> try:
    ...     pycjm.sample().mine("dgf")
    ... except pycjm.errors.PycjmError as error:
    ...     print(error.code, error.details["nearest"])
    1 dfg
    """

    code: int = 0
    status: str = "OK"

    def __init__(self, message: str, details: Mapping[str, Any] | None = None) -> None:
        super().__init__(message)
        self.details: dict[str, Any] = dict(details or {})

    @property
    def message(self) -> str:
        """The text without any prefix."""
        return str(self.args[0])

    def __str__(self) -> str:
        # OSError would print "[Errno 2] None" in front of a text that already says it.
        return self.message

    def __reduce__(self) -> tuple[Any, ...]:
        # The default recipe loses `details`, and errors have to come back whole from a worker process.
        return (type(self), (self.message, self.details))


class InvalidArgument(PycjmError, ValueError):
    """The caller's mistake: an unknown name, a wrong option, a column that is not there."""

    code = 1
    status = "INVALID_ARGUMENT"


class InvalidData(PycjmError, ValueError):
    """The log breaks a rule. ``details`` name the column and the row where they are known."""

    code = 2
    status = "INVALID_DATA"


class MemoryLimit(PycjmError, MemoryError):
    """The memory limit does not suffice. ``details`` name the step and the smallest limit that would do."""

    code = 3
    status = "MEMORY_LIMIT"


class IoError(PycjmError, OSError):
    """Reading or writing failed. ``errno`` and ``filename`` are set where the system gave them."""

    code = 4
    status = "IO"

    def __init__(self, message: str, details: Mapping[str, Any] | None = None) -> None:
        super().__init__(message, details)
        self.errno = self.details.get("errno")
        self.filename = self.details.get("path")


class Cancelled(PycjmError, RuntimeError):
    """The call was stopped from outside; nothing was produced."""

    code = 5
    status = "CANCELLED"


class CallbackError(PycjmError, RuntimeError):
    """A case metric failed. Run it with ``backend="reference"`` to see its own exception."""

    code = 6
    status = "CALLBACK"


class Unsupported(PycjmError, NotImplementedError):
    """Understood, but not built, or an optional package is missing. The text names which."""

    code = 7
    status = "UNSUPPORTED"


class InternalError(PycjmError, RuntimeError):
    """A bug in pycjm. Please report it with the text of the error and ``pycjm.versions()``."""

    code = 8
    status = "INTERNAL"


BY_CODE: dict[int, type[PycjmError]] = {
    kind.code: kind
    for kind in (
        InvalidArgument,
        InvalidData,
        MemoryLimit,
        IoError,
        Cancelled,
        CallbackError,
        Unsupported,
        InternalError,
    )
}
"""The exception class of each status code of the C ABI."""


def from_code(code: int, message: str, details: Mapping[str, Any] | None = None) -> PycjmError:
    """The exception for a status code; an unknown code is a bug and says so.

    Parameters
    ----------
    code : int
        A status of the C ABI other than 0.
    message : str
        The engine's text.
    details : mapping, optional
        The engine's details.

    Returns
    -------
    PycjmError
        An exception to raise.
    """
    kind = BY_CODE.get(code)
    if kind is None:
        return InternalError(f"unknown status {code}: {message}", {**(details or {}), "status": code})
    return kind(message, details)


def unknown(what: str, given: str, known: list[str], details: Mapping[str, Any] | None = None) -> InvalidArgument:
    """The error for a name that is not among the known ones: it lists them and names the nearest.

    Parameters
    ----------
    what : str
        The kind of thing, such as ``"column"``.
    given : str
        The name that was not found.
    known : list of str
        The names that are accepted.
    details : mapping, optional
        Further facts.

    Returns
    -------
    InvalidArgument
        An exception to raise.
    """
    near = nearest(given, known)
    hint = f" Did you mean {near!r}?" if near else ""
    listed = ", ".join(repr(name) for name in known[:40]) or "none"
    more = f", ... ({len(known)} in all)" if len(known) > 40 else ""
    message = f"unknown {what} {given!r}; there are {listed}{more}.{hint}"
    return InvalidArgument(message, {**(details or {}), "given": given, "known": known, "nearest": near})


def nearest(given: str, known: list[str]) -> str | None:
    """The known name that is most like the given one, or None when none is close."""
    import difflib

    folded = {name.casefold(): name for name in reversed(known)}
    match = difflib.get_close_matches(given.casefold(), folded, n=1, cutoff=0.6)
    return folded[match[0]] if match else None
