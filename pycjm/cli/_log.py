"""Where does what the package says of its work go, if somebody wants to see it? To stderr, a line at a time."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from contextlib import contextmanager

from . import _failure

LEVELS = ("debug", "info", "warning", "error")


class _Stderr(logging.Handler):
    """Writes where stderr is now, and takes a closed one as it comes."""

    def emit(self, record: logging.LogRecord) -> None:
        _failure.say(_failure.printable(self.format(record)))


@contextmanager
def shown(level: str) -> Iterator[None]:
    """Shows messages of the logger ``pycjm`` from `level` on, until the command is over.

    Parameters
    ----------
    level : str
        One of :data:`LEVELS`.
    """
    logger, handler = logging.getLogger("pycjm"), _Stderr()
    handler.setFormatter(logging.Formatter("%(asctime)s %(levelname)s %(message)s"))
    before = logger.level
    logger.setLevel(level.upper())
    logger.addHandler(handler)
    try:
        yield
    finally:
        logger.removeHandler(handler)
        logger.setLevel(before)
