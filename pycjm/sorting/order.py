"""In which order do rows stand, given the columns that order them?

Ascending, nulls last and NaN just before them, -0.0 like 0.0; what is equal keeps its place. Every column becomes
integers first, which numpy sorts several times as fast as a comparison of whole rows would.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from .. import errors

if TYPE_CHECKING:
    import numpy as np
    import pyarrow as pa


def positions(keys: Sequence[pa.Array]) -> np.ndarray:
    """The positions of the rows in order; rows that are equal in all keys keep their order.

    Parameters
    ----------
    keys : sequence of pyarrow.Array
        The columns, the most important first, all of one length. None is a dictionary.

    Returns
    -------
    numpy.ndarray
        Of int64. Takes O(n log n) time, and some 40 bytes per row on the way.
    """
    import numpy as np

    order = None
    # From the least important key to the most important one, each time stable.
    for key in reversed(keys):
        codes = _ranks(key)
        lined = codes if order is None else codes[order]
        # Logs mostly come in the order of time, so that there is nothing to do for it.
        if (lined[1:] >= lined[:-1]).all():
            continue
        step = _stable_argsort(lined)
        order = step if order is None else order[step]
    return np.arange(len(keys[0])) if order is None else order


def check_type(kind: pa.DataType, column: str, *, role: str = "order_by") -> None:
    """Checks that rows can be ordered by a column.

    Raises
    ------
    Unsupported
        It is nested.
    """
    import pyarrow as pa

    if pa.types.is_nested(kind):
        raise errors.Unsupported(
            f"{role}: column {column!r} is {kind}, and nothing is sorted by nested columns. Name another one.",
            {"column": column, "type": str(kind)},
        )


def _ranks(key: pa.Array) -> np.ndarray:
    """Integers that are ordered as the values are."""
    import numpy as np
    import pyarrow as pa

    if isinstance(key, pa.ExtensionArray):
        key = key.storage
    kind = key.type
    if key.null_count == 0:
        if pa.types.is_integer(kind):
            return key.to_numpy()
        if pa.types.is_timestamp(kind) or pa.types.is_time64(kind) or pa.types.is_duration(kind):
            return key.view(pa.int64()).to_numpy()
    if pa.types.is_null(kind):
        return np.zeros(len(key), np.int64)
    runs = None
    if pa.types.is_string(kind) or pa.types.is_binary(kind) or pa.types.is_large_string(kind):
        key, runs = _without_repeats(key)
    codes = _ranks_of_distinct(key)
    return codes if runs is None else np.repeat(codes, runs)


def _without_repeats(key: pa.Array) -> tuple[pa.Array, np.ndarray | None]:
    """Each run of equal values once, and how long the runs are, where that saves work."""
    import numpy as np
    import pyarrow.compute as pc

    if len(key) < 2 or key.null_count:
        return key, None
    begins = pc.not_equal(key[1:], key[:-1]).to_numpy(zero_copy_only=False)
    starts = np.concatenate(([0], np.flatnonzero(begins) + 1))
    if 2 * len(starts) > len(key):
        return key, None
    return key.take(starts), np.diff(starts, append=len(key))


def _ranks_of_distinct(key: pa.Array) -> np.ndarray:
    import numpy as np
    import pyarrow as pa
    import pyarrow.compute as pc

    if pa.types.is_floating(key.type):
        # -0.0 becomes 0.0; half floats have no order in pyarrow.
        key = pc.add(key.cast(pa.float64()), 0.0)
    coded = key.dictionary_encode()
    ordered = pc.sort_indices(coded.dictionary).to_numpy()
    ranks = np.empty(len(ordered) + 1, np.int64)
    ranks[ordered] = np.arange(len(ordered))
    ranks[-1] = len(ordered)  # of nulls
    indices: Any = coded.indices
    return ranks[indices.fill_null(len(ordered)).to_numpy() if key.null_count else indices.to_numpy()]


def _stable_argsort(values: np.ndarray) -> np.ndarray:
    """Like ``numpy.argsort(kind="stable")``; value and position are sorted as one integer where both fit into it."""
    import numpy as np

    low, high = int(values.min()), int(values.max())
    shift = (len(values) - 1).bit_length()
    if (high - low).bit_length() + shift > 64:
        return np.argsort(values, kind="stable")
    # Modulo 2^64, so that differences beyond 2^63 come out right, too.
    packed = values.astype(np.uint64) - np.uint64(low % (1 << 64))
    packed <<= np.uint64(shift)
    packed |= np.arange(len(values), dtype=np.uint64)
    packed.sort()
    packed &= np.uint64((1 << shift) - 1)
    return packed.view(np.int64)
