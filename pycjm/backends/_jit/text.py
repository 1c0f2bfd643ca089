"""How are the bytes of a text hashed and compared? Eight at a time, where they lie in the Arrow buffer."""

from __future__ import annotations

import numpy as np
from llvmlite import ir
from numba import types
from numba.core import cgutils
from numba.extending import intrinsic

from pycjm.backends._jit import kernel, mix

_FACTOR = -7046029254386353131


@intrinsic
def _word(typing_context, data, at):
    """Load eight bytes of `data` from position `at` on, which need not be aligned."""

    def load(context, builder, signature, args):
        array = context.make_array(signature.args[0])(context, builder, args[0])
        address = cgutils.get_item_pointer(context, builder, signature.args[0], array, [args[1]], wraparound=False)
        return builder.load(builder.bitcast(address, ir.IntType(64).as_pointer()), align=1)

    return types.int64(data, types.intp), load


@kernel
def hash_text(offsets, data, row):
    """Hash the bytes of one row; the last eight may overlap those before."""
    lo, hi = np.int64(offsets[row]), np.int64(offsets[row + 1])
    h = mix(hi - lo)
    if hi - lo < 8:
        word = np.int64(0)
        for i in range(lo, hi):
            word = (word << 8) | data[i]
        return mix(h ^ word)
    while lo < hi:
        h = (h ^ _word(data, min(lo, hi - 8))) * _FACTOR
        h ^= h >> 32
        lo += 8
    return h


@kernel
def same_text(offsets, data, a, b):
    """Say whether two rows hold the same bytes."""
    begin, other = np.int64(offsets[a]), np.int64(offsets[b])
    n = np.int64(offsets[a + 1]) - begin
    if np.int64(offsets[b + 1]) - other != n:
        return False
    i = np.int64(0)
    if n < 8:
        while i < n and data[begin + i] == data[other + i]:
            i += 1
        return i == n
    while i < n:
        i = min(i, n - 8)
        if _word(data, begin + i) != _word(data, other + i):
            return False
        i += 8
    return True
