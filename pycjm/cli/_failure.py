"""What does a failure say on stderr, and with which code does the program end?"""

from __future__ import annotations

import errno
import os
import re
import sys
from contextlib import suppress
from typing import TextIO

import click

from .. import _signals

EXIT_CODES = {1: 2, 2: 3, 3: 4, 4: 5, 5: 130, 6: 70, 7: 3, 8: 70}
"""The exit code of each code of :mod:`pycjm.errors`."""
USAGE, DATA, MEMORY, IO, BUG, INTERRUPTED = 2, 3, 4, 5, 70, 130
BROKEN_PIPE = 128 + 13
"""What a shell reports of a program that SIGPIPE has ended."""

_OPTIONS = (
    "case|activity|timestamp|start_timestamp|order_by|timestamp_format|timestamp_unit|timezone|delimiter|quote|encoding|"
    "lifecycle|null_values|on_null|joiner|negative|threads|backend|top|percentiles|approx|memory_limit|format|spill_dir|"
    "spill_limit|temp_dir|state"
)


def open_streams() -> None:
    """Gives the numbers of closed streams (``>&-``) to nobody else: a file opened next would get what is printed."""
    for number in range(3):
        try:
            os.fstat(number)
        except OSError:
            # The lowest free number is given. Not to be written to, so that stdout fails as a closed one should.
            os.open(os.devnull, os.O_WRONLY if number == 2 else os.O_RDONLY)
    if sys.stdout is None:
        sys.stdout = os.fdopen(1, "w", encoding="utf-8", closefd=False)
    if sys.stderr is None:
        sys.stderr = os.fdopen(2, "w", encoding="utf-8", closefd=False)


def flush() -> None:
    """Writes out what stdout still holds."""
    sys.stdout.flush()


def say(message: str) -> None:
    """A line on stderr. That nobody can be told is no reason to fail, nor to end with another code."""
    try:
        click.echo(message, err=True)
    except OSError:
        _mute(sys.stderr)


def show(error: click.ClickException) -> int:
    """Writes what click says about a mistake in the command line; the exit code."""
    try:
        error.show()
    except OSError:
        _mute(sys.stderr)
    return error.exit_code


def _mute(stream: TextIO) -> None:
    """Lets a stream that has failed go nowhere: Python flushes it once more at its end, and would complain again."""
    with suppress(OSError, ValueError):  # no file behind it
        os.dup2(os.open(os.devnull, os.O_WRONLY), stream.fileno())


def tell(error: BaseException, *, debug: bool = False) -> int:
    """Writes one message about an error to stderr.

    Parameters
    ----------
    error : BaseException
        Whatever ended a command.
    debug : bool
        Show the traceback too.

    Returns
    -------
    int
        The exit code.
    """
    code, message = _explain(error)
    try:
        flush()
    except OSError:
        _mute(sys.stdout)
    if code == BROKEN_PIPE:
        return code
    if debug:
        import traceback

        say("".join(traceback.format_exception(error)))
    say(f"Error: {message}")
    return code


def _explain(error: BaseException) -> tuple[int, str]:
    from ..errors import PycjmError

    if isinstance(error, KeyboardInterrupt):
        return getattr(error, "exit_code", INTERRUPTED), _signals.SAID.removeprefix("Error: ")
    if isinstance(error, PycjmError):
        hint = " Please report it; --debug shows more." if error.code == 8 else ""
        return EXIT_CODES.get(error.code, BUG), printable(as_options(error.message)) + hint
    if isinstance(error, OSError):
        if error.errno == errno.EPIPE:
            return BROKEN_PIPE, ""
        if error.errno == errno.EBADF and not error.filename:
            return IO, "stdout is closed, so nothing could be written there."
        where = f"{error.filename}: " if error.filename else ""
        return IO, printable(f"{where}{error.strerror or error}")
    if isinstance(error, MemoryError):
        return MEMORY, "the memory of this machine does not suffice."
    if isinstance(error, SystemExit):
        return (error.code if isinstance(error.code, int) else 1), "the program was ended."
    kind = type(error).__name__
    return BUG, printable(f"a bug in pycjm ({kind}: {error}). Please report it; --debug shows more.")


def as_options(message: str) -> str:
    """A message that speaks of Python arguments, speaking of options: ``case=...`` becomes ``--case ...``."""
    message = message.replace("overwrite=True", "--overwrite")
    # A value stands apart from its option; where there is none, the sentence goes on.
    given = re.compile(rf"(?<![\w.'\"/-])({_OPTIONS})=(?:(?=\.\.\.|['\"\d])|(?=[:;,.]?(?:\s|$))(?P<bare>))")
    message = given.sub(lambda found: _option(found[1]) + ("" if found["bare"] is not None else " "), message)
    # The engine names these without a value as well; they mean nothing else.
    return re.sub(
        r"(?<![\w.'\"/-])(memory_limit|spill_limit|spill_dir|timestamp_format|timestamp_unit|null_values|on_null)(?![\w'\"/=])",
        lambda found: _option(found[1]),
        message,
    )


def _option(name: str) -> str:
    return "--" + _OPTION_OF.get(name, name.replace("_", "-"))


_OPTION_OF = {"null_values": "null-value", "percentiles": "percentile", "memory_limit": "memory"}


def printable(message: str) -> str:
    """A message without what a terminal would obey: it may quote the log."""
    return "".join(char if char.isprintable() or char == "\n" else repr(char)[1:-1] for char in message)
