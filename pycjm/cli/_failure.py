"""What does a failure say on stderr, and with which code does the program end?"""

from __future__ import annotations

import errno
import os
import re
import signal
import sys

import click

EXIT_CODES = {1: 2, 2: 3, 3: 4, 4: 5, 5: 130, 6: 70, 7: 3, 8: 70}
"""The exit code of each code of :mod:`pycjm.errors`."""
USAGE, DATA, MEMORY, IO, BUG, INTERRUPTED = 2, 3, 4, 5, 70, 130
BROKEN_PIPE = 128 + 13
"""What a shell reports of a program that SIGPIPE has ended."""

_OPTIONS = (
    "case|activity|timestamp|start_timestamp|order_by|timestamp_format|timestamp_unit|timezone|delimiter|quote|encoding|"
    "lifecycle|null_values|on_null|joiner|negative|threads|backend|top|percentiles|memory_limit|format|"
    "temp_dir"
)


class Terminated(KeyboardInterrupt):
    """Another signal than Ctrl-C asked the program to end."""

    def __init__(self, number: int) -> None:
        super().__init__(signal.Signals(number).name)
        self.exit_code = 128 + number


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
    if code == BROKEN_PIPE:
        # Python flushes stdout once more at its end, and would complain about the pipe again.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return code
    if debug:
        import traceback

        click.echo("".join(traceback.format_exception(error)), err=True)
    click.echo(f"Error: {message}", err=True)
    return code


def _explain(error: BaseException) -> tuple[int, str]:
    from ..errors import PycjmError

    if isinstance(error, KeyboardInterrupt):
        return getattr(error, "exit_code", INTERRUPTED), "interrupted; nothing was written."
    if isinstance(error, PycjmError):
        hint = " Please report it; --debug shows more." if error.code == 8 else ""
        return EXIT_CODES.get(error.code, BUG), _printable(as_options(error.message)) + hint
    if isinstance(error, OSError):
        if error.errno == errno.EPIPE:
            return BROKEN_PIPE, ""
        where = f"{error.filename}: " if error.filename else ""
        return IO, _printable(f"{where}{error.strerror or error}")
    if isinstance(error, MemoryError):
        return MEMORY, "the memory of this machine does not suffice."
    if isinstance(error, SystemExit):
        return (error.code if isinstance(error.code, int) else 1), "the program was ended."
    kind = type(error).__name__
    return BUG, _printable(f"a bug in pycjm ({kind}: {error}). Please report it; --debug shows more.")


def as_options(message: str) -> str:
    """A message that speaks of Python arguments, speaking of options: ``case=...`` becomes ``--case ...``."""
    message = message.replace("overwrite=True", "--overwrite")
    given = re.compile(rf"(?<![\w.'\"/-])({_OPTIONS})=(?=\.\.\.|['\"\d]|[:;,.]?(?:\s|$))")
    return given.sub(lambda found: "--" + _OPTION_OF.get(found[1], found[1].replace("_", "-")) + " ", message)


_OPTION_OF = {"null_values": "null-value", "percentiles": "percentile", "memory_limit": "memory"}


def _printable(message: str) -> str:
    """Without what a terminal would obey: a message may quote the log."""
    return "".join(char if char.isprintable() or char == "\n" else repr(char)[1:-1] for char in message)
