"""How do the numba kernels run? Compiled once and cached on disk, without the GIL, on as many threads as asked.

Threads are Python's own and not numba's `parallel=True`: any number can be asked for (numba refuses more than the
machine has), two callers may mine at once (numba's work queue may not be entered twice), and the kernels compile in a
fraction of the time. Every task writes to places of its own, so the number of threads never shows in a result.

Kernels that loop take their arrays as arguments and never rebind one: numba would count references in every turn. They
stay with signed 64-bit integers, for numba turns a mix of signed and unsigned into floats. The cache of a kernel looks
at its own file only: after a change to a kernel that others call, remove ``__pycache__``.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from itertools import pairwise
from typing import Any

import numpy as np
from numba import njit

kernel = njit(nogil=True, cache=True, error_model="numpy")

_ODD_1 = -7046029254386353131  # 2^64 / golden ratio, as a signed number
_ODD_2 = -4417276706812531889


@kernel
def fold(h: int) -> int:
    """Bring the upper half of a number into the lower; the mask makes the shift one without a sign."""
    return h ^ ((h >> 32) & 0xFFFFFFFF)


@kernel
def mix(key: int) -> int:
    """Spread the bits of a key over 64; equal keys give equal results, and no two different keys do."""
    h = fold(key * _ODD_1) * _ODD_2
    return fold(h)


class Workers:
    """A pool of threads for kernels."""

    def __init__(self, threads: int) -> None:
        self.threads = threads
        self._pool = ThreadPoolExecutor(threads) if threads > 1 else None

    def __enter__(self) -> Workers:
        return self

    def __exit__(self, *_: object) -> None:
        if self._pool:
            self._pool.shutdown()

    def run(self, function: Callable[..., Any], tasks: Iterable[tuple]) -> list[Any]:
        """Call `function` with each tuple of arguments; return the results in the order of the tasks."""
        tasks = list(tasks)
        if self._pool is None or len(tasks) < 2:
            return [function(*task) for task in tasks]
        return [future.result() for future in [self._pool.submit(function, *task) for task in tasks]]

    def ranges(self, n: int, pieces_per_thread: int = 1) -> list[tuple[int, int]]:
        """Cut ``range(n)`` into one or more equal pieces for each thread."""
        pieces = max(1, min(self.threads * pieces_per_thread, n))
        bounds = [n * i // pieces for i in range(pieces + 1)]
        return list(pairwise(bounds))

    def groups(self, offsets: np.ndarray, pieces_per_thread: int = 1) -> list[tuple[int, int]]:
        """Cut groups with these `offsets` into ranges of groups that hold about equally many elements each."""
        n_groups = len(offsets) - 1
        pieces = max(1, self.threads * pieces_per_thread)
        marks = [offsets[-1] * i // pieces for i in range(1, pieces)]
        bounds = [0, *np.searchsorted(offsets, marks).tolist(), n_groups]
        return [(a, b) for a, b in pairwise(bounds) if a < b]
