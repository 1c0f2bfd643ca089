"""What does a signal do to the program: end it at once, or let it clean up first?

While the program starts, an exception would be the wrong answer: raised inside of an import it can be swallowed, or end
in a traceback. Nothing is written before the work begins, so until then the process just ends.
"""

from __future__ import annotations

import importlib
import os
import signal
from types import FrameType

_NAMES = ("SIGINT", "SIGTERM", "SIGHUP")

SAID = "Error: interrupted; nothing was written."
"""What an interrupted program says."""


class Terminated(KeyboardInterrupt):
    """A signal asked the program to end."""

    def __init__(self, number: int) -> None:
        super().__init__(signal.Signals(number).name)
        self.exit_code = 128 + number


def end_at_once() -> None:
    """From now on signals end the process; what a shell has switched off (nohup) stays so."""
    for name in _NAMES:
        number = getattr(signal, name, None)
        if number is not None and signal.getsignal(number) in (signal.SIG_DFL, signal.default_int_handler):
            signal.signal(number, _end)


def is_ours() -> bool:
    """Whether the process is the program's own, and has loaded nothing yet that takes long."""
    return signal.getsignal(signal.SIGINT) is _end


def clean_up(*modules: str) -> None:
    """From now on they raise :class:`Terminated`, for whoever has something to clean up.

    Without :func:`end_at_once` before it, this does nothing: the process is not ours.

    Parameters
    ----------
    *modules : str
        What the work needs, and takes long to load: loaded now, so that no import swallows an exception later.
    """
    if is_ours():
        for module in modules:
            importlib.import_module(module)
    for name in _NAMES:
        number = getattr(signal, name, None)
        if number is not None and signal.getsignal(number) is _end:
            signal.signal(number, _raise)


def ignore() -> None:
    """From now on they do nothing: the work is done, and while the interpreter goes away they would seem to stop it."""
    for name in _NAMES:
        number = getattr(signal, name, None)
        if number is not None and signal.getsignal(number) in (_end, _raise):
            signal.signal(number, signal.SIG_IGN)


def _end(number: int, frame: FrameType | None) -> None:
    try:
        os.write(2, f"{SAID}\n".encode())
    finally:
        os._exit(128 + number)


def _raise(number: int, frame: FrameType | None) -> None:
    raise Terminated(number)
