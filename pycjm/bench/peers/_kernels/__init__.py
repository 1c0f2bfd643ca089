"""How do the kernels of the peer `numba-kernel` run? Compiled by numba, one loop of `prange` over the threads for each.

Each thread takes the next task from a counter that all share, so that a thread that is kept waiting by the rest of the
machine does not keep the others waiting. What a task writes has its own place, or a place taken from such a counter
where the order does not matter.

Kernels that loop take their arrays as arguments: numba would count references in every turn. Positions in hot loops are
unsigned, which saves the look whether an index is negative. The cache of a kernel looks at its own file only: after a
change to a kernel that others call, remove ``__pycache__``.
"""

from __future__ import annotations

import numpy as np
from numba import njit, types
from numba.extending import intrinsic

serial = njit(cache=True, error_model="numpy")
parallel = njit(cache=True, error_model="numpy", parallel=True)

ODD = -7046029254386353131  # 2^64 / golden ratio, as a signed number


@intrinsic
def take(typing_context, counters, k, n):
    """Add `n` to ``counters[k]`` and return what it was before, as one step that no other thread can interrupt."""

    def add(context, builder, signature, args):
        array = context.make_array(signature.args[0])(context, builder, args[0])
        return builder.atomic_rmw("add", builder.gep(array.data, [args[1]]), args[2], "monotonic")

    return types.int64(counters, types.int64, types.int64), add


def counters() -> np.ndarray:
    """Two counters from zero, not in one cache line."""
    return np.zeros(16, np.int64)


def cut(n: int, pieces: int) -> np.ndarray:
    """The bounds of equal pieces of ``range(n)``, no more than there are elements."""
    pieces = max(1, min(pieces, n))
    return np.array([n * i // pieces for i in range(pieces + 1)], np.int64)
