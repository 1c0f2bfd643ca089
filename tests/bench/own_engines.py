"""Engines of the tests' own: one that is wrong, one that is slow, and those that fail in one way each."""

from __future__ import annotations

import os
import time
from typing import Any

from pycjm.bench.answers import Answers
from pycjm.bench.peers import Log, Means
from pycjm.bench.peers.mine import Native


class Right(Native):
    """An engine under another name."""


class Wrong(Native):
    """Off by one in one place."""

    def answers(self, question: str, told: Any) -> Answers:
        found = super().answers(question, told)
        edge = sorted(found.counts)[3]
        found.counts[edge] += 1
        return found


class Slow:
    def __init__(self, log: Log, means: Means) -> None:
        time.sleep(120)


class Greedy:
    def __init__(self, log: Log, means: Means) -> None:
        self.held = bytearray(os.urandom(1) * (1 << 30))
        time.sleep(120)


class Failing:
    def __init__(self, log: Log, means: Means) -> None:
        print("not a result")
        raise OSError(f"no such thing in /home/somebody/secret/place.txt or {log.path}")


class Dying:
    def __init__(self, log: Log, means: Means) -> None:
        os.abort()


class Full:
    def __init__(self, log: Log, means: Means) -> None:
        raise MemoryError("too much")
