"""What are the exact sums and order statistics of many groups of whole numbers?

Sums and sums of squares are kept in parts of 32 bits that cannot overflow below 2^29 values. Order statistics are
found without sorting a large group: a histogram over the leading bits tells which few values can hold the ranks asked
for, and only those are partitioned.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from pycjm.backends._jit import Workers, kernel

_INT64_MAX = 2**63 - 1
_LOW = 0xFFFFFFFF
_SORTED_ROWS = 256
_BUCKET_BITS = 6  # 64 buckets for each doubling of a value
_BUCKETS = 66 << _BUCKET_BITS
_FIRST_BUCKET = 1023 << _BUCKET_BITS  # what 1.0 has in its leading bits


@kernel
def _bucket(value, lowest):
    """Return a number that never falls as `value` rises: the exponent and leading bits of the distance to `lowest`."""
    distance = np.float64(value) - lowest + 1.0
    return (np.float64(distance).view(np.int64) >> (52 - _BUCKET_BITS)) - _FIRST_BUCKET


@kernel
def nth(values, lo, hi, k):
    """Return what ``values[k]`` is when ``values[lo:hi]`` is sorted, and put it there: none before it is larger."""
    state = hi - lo
    while hi - lo > 16:
        state = state * 6364136223846793005 + 1442695040888963407
        a, b, c = values[lo], values[lo + ((state >> 33) & 0x3FFFFFFF) % (hi - lo)], values[hi - 1]
        pivot = max(min(a, b), min(max(a, b), c))
        below, i, above = lo, lo, hi
        while i < above:
            value = values[i]
            if value < pivot:
                values[i], values[below] = values[below], value
                below += 1
                i += 1
            elif value > pivot:
                above -= 1
                values[i], values[above] = values[above], value
            else:
                i += 1
        if k < below:
            hi = below
        elif k >= above:
            lo = above
        else:
            return values[k]
    values[lo:hi].sort()
    return values[k]


@kernel
def _sum_group(values, clamp, with_squares, sums, squares, extremes):
    """Write the parts of the sums, the extremes; return how many values are negative (zeroed where asked)."""
    negatives = 0
    for i in range(values.size):
        negatives += values[i] < 0
    if clamp and negatives > 0:
        for i in range(values.size):
            values[i] = max(values[i], np.int64(0))
    low, high = np.int64(0), np.int64(0)
    smallest, largest = values[0], values[0]
    for i in range(values.size):
        value = values[i]
        low += value & _LOW
        high += value >> 32
        smallest = min(smallest, value)
        largest = max(largest, value)
    sums[0], sums[1] = low, high
    extremes[0], extremes[1] = smallest, largest
    if with_squares:
        s0, s1, s2, s3, s4, s5 = np.int64(0), np.int64(0), np.int64(0), np.int64(0), np.int64(0), np.int64(0)
        for i in range(values.size):
            a, b = values[i] >> 32, values[i] & _LOW
            bb, ab, aa = b * b, a * b, a * a  # value^2 = aa 2^64 + 2 ab 2^32 + bb; bb is read as unsigned
            s0 += bb & _LOW
            s1 += (bb >> 32) & _LOW
            s2 += ab & _LOW
            s3 += ab >> 32
            s4 += aa & _LOW
            s5 += aa >> 32
        squares[0], squares[1], squares[2], squares[3], squares[4], squares[5] = s0, s1, s2, s3, s4, s5
    return negatives


@kernel
def _select_large(values, lowest, ranks, found, histogram, slots):
    """Write to `found` the values of the `ranks` of a group too large to sort."""
    histogram[:] = 0
    slots[:] = -1
    base = np.float64(lowest)
    for i in range(values.size):
        histogram[_bucket(values[i], base)] += 1
    starts = np.empty(ranks.size, np.int64)  # where a slot's values begin in the gathered ones
    before = np.empty(ranks.size, np.int64)  # how many of the group come before a slot's
    of_rank = np.empty(ranks.size, np.int64)
    n_slots, gathered, bucket, seen = 0, 0, 0, 0
    order = np.argsort(ranks)
    for r in order:
        while seen + histogram[bucket] <= ranks[r]:
            seen += histogram[bucket]
            bucket += 1
        if slots[bucket] < 0:
            slots[bucket] = n_slots
            starts[n_slots], before[n_slots] = gathered, seen
            gathered += histogram[bucket]
            n_slots += 1
        of_rank[r] = slots[bucket]
    few = np.empty(gathered, np.int64)
    nexts = starts.copy()
    for i in range(values.size):
        slot = slots[_bucket(values[i], base)]
        if slot >= 0:
            few[nexts[slot]] = values[i]
            nexts[slot] += 1
    for r in range(ranks.size):
        slot = of_rank[r]
        found[r] = nth(few, starts[slot], nexts[slot], starts[slot] + ranks[r] - before[slot])


@kernel
def _summarize(values, offsets, g0, g1, parts, wholes, clamp, with_squares, sums, squares, extremes, negatives, found):
    histogram, slots = np.empty(_BUCKETS, np.int32), np.empty(_BUCKETS, np.int16)
    ranks = np.empty(2 * parts.size, np.int64)
    for g in range(g0, g1):
        group = values[offsets[g] : offsets[g + 1]]
        n = group.size
        negatives[g] = _sum_group(group, clamp, with_squares, sums[g], squares[g], extremes[g])
        for p in range(parts.size):
            ranks[2 * p] = (n - 1) * parts[p] // wholes[p]
            ranks[2 * p + 1] = min(ranks[2 * p] + 1, n - 1)
        if n > _SORTED_ROWS and extremes[g, 0] < extremes[g, 1]:
            _select_large(group, extremes[g, 0], ranks, found[g], histogram, slots)
            continue
        if n > 1 and extremes[g, 0] < extremes[g, 1]:
            group.sort()
        for r in range(ranks.size):
            found[g, r] = group[ranks[r]]


@dataclass
class Summaries:
    """What there is to say of each group, in ticks.

    ``total`` is exact, in Python integers where 64 bits do not hold all of them. ``neighbours[g, 2 p]`` and
    ``[g, 2 p + 1]`` are the sorted values on both sides of percentile p.
    """

    n: np.ndarray
    total: np.ndarray
    extremes: np.ndarray
    negatives: np.ndarray
    neighbours: np.ndarray
    square_parts: np.ndarray

    def squares(self, groups: np.ndarray) -> np.ndarray:
        """Return the exact sums of the squares of some groups."""
        s0, s1, s2, s3, s4, s5 = self.square_parts[groups].T
        return _joined(np.stack([s0, s1 + 2 * s2, 2 * s3 + s4, s5], axis=1))


def _joined(parts: np.ndarray) -> np.ndarray:
    """Return the sum over i of ``parts[:, i] << 32 i``, exactly."""
    largest = np.abs(parts).max(axis=0, initial=0).tolist()
    if sum(part << 32 * i for i, part in enumerate(largest)) <= _INT64_MAX:
        return parts[:, 0] + (parts[:, 1] << 32)  # the rest is zero
    whole = parts[:, 0].astype(object)
    for i in range(1, parts.shape[1]):
        if largest[i]:
            whole += parts[:, i].astype(object) << 32 * i
    return whole


def summarize(
    workers: Workers,
    values: np.ndarray,
    offsets: np.ndarray,
    percentiles: list[tuple[int, int]],
    *,
    clamp: bool = False,
    with_squares: bool = True,
) -> Summaries:
    """Summarise the groups ``values[offsets[g]:offsets[g + 1]]``, none of them empty.

    `values` are put in another order, and with `clamp` negative ones become zero. A percentile is given as `part` of
    `whole`.
    """
    n_groups = len(offsets) - 1
    parts = np.array([part for part, _ in percentiles], np.int64)
    wholes = np.array([whole for _, whole in percentiles], np.int64)
    sums, squares = np.zeros((n_groups, 2), np.int64), np.zeros((n_groups, 6), np.int64)
    extremes, negatives = np.zeros((n_groups, 2), np.int64), np.zeros(n_groups, np.int64)
    found = np.zeros((n_groups, 2 * len(parts)), np.int64)
    fixed = (parts, wholes, clamp, with_squares, sums, squares, extremes, negatives, found)
    workers.run(_summarize, [(values, offsets, g0, g1, *fixed) for g0, g1 in workers.groups(offsets, 16)])
    return Summaries(np.diff(offsets), _joined(sums), extremes, negatives, found, squares)
