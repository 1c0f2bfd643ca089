"""How are the bytes of a text hashed and compared? Eight at a time, where they lie in the Arrow buffer.

Texts are given by address and length: numbers cost nothing to hand over, arrays have their references counted. Nothing
here keeps a buffer alive; that is the caller's part.

A text of up to sixteen bytes is two numbers, and then those are compared instead: `key_of_short` makes a key that with
the second number, the witness, gives back the first.
"""

from __future__ import annotations

import numpy as np
from llvmlite import ir
from numba import types
from numba.extending import intrinsic

from pycjm.backends._jit import fold, kernel, mix

_FACTOR = -7046029254386353131


@intrinsic
def _word(typing_context, address):
    """Load the eight bytes at an address, which need not be aligned."""

    def load(context, builder, signature, args):
        return builder.load(builder.inttoptr(args[0], ir.IntType(64).as_pointer()), align=1)

    return types.int64(types.int64), load


@intrinsic
def _byte(typing_context, address):
    """Load the byte at an address, from 0 to 255."""

    def load(context, builder, signature, args):
        byte = builder.load(builder.inttoptr(args[0], ir.IntType(8).as_pointer()), align=1)
        return builder.zext(byte, ir.IntType(64))

    return types.int64(types.int64), load


@kernel
def hash_text(at, n):
    """Hash the n bytes at an address; the last eight may overlap those before."""
    h = mix(n)
    if n < 8:
        word = np.int64(0)
        for i in range(n):
            word = (word << 8) | _byte(at + i)
        return mix(h ^ word)
    i = np.int64(0)
    while i < n:
        h = fold((h ^ _word(at + min(i, n - 8))) * _FACTOR)
        i += 8
    return h


@kernel
def key_of_short(at, n, one_length):
    """Return key and witness of a text: of one length for all rows from 8 to 16 bytes, or of any up to 15."""
    if one_length:
        first, witness = _word(at), _word(at + n - 8)
    else:
        first, witness = np.int64(0), n  # the length stands above as many bytes as it tells
        for i in range(min(n, 8)):
            first = (first << 8) | _byte(at + i)
        for i in range(8, n):
            witness = (witness << 8) | _byte(at + i)
    return mix(first) ^ mix(witness + 1), witness


@kernel
def same_text(at, n, other_at, other_n):
    """Say whether two texts are equal."""
    if n != other_n:
        return False
    i = np.int64(0)
    if n < 8:
        while i < n and _byte(at + i) == _byte(other_at + i):
            i += 1
        return i == n
    while i < n:
        i = min(i, n - 8)
        if _word(at + i) != _word(other_at + i):
            return False
        i += 8
    return True
