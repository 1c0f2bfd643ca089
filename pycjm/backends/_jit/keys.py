"""Which rows hold the same key? Keys are partitioned by their hash, then numbered by hash tables that fit the cache.

A table holds numbers of keys and compares the keys themselves: the hash only says where to look.
"""

from __future__ import annotations

import numpy as np

from pycjm.backends._jit import Workers, kernel, mix

KEYS_PER_PARTITION = 8_192
MAX_PARTITIONS = 1024
_PARTITION_SHIFT = 40  # hash tables take the lower bits, so partition and slot do not depend on one another


@kernel
def partition_of(key, mask):
    """Return the partition a key belongs to."""
    return (mix(key) >> _PARTITION_SHIFT) & mask


@kernel
def _count_partitions(keys, lo, hi, mask, counts):
    for i in range(lo, hi):
        counts[partition_of(keys[i], mask)] += 1


def partition_places(workers: Workers, keys: np.ndarray, per_partition: int) -> tuple[int, list[tuple], np.ndarray]:
    """Return the mask of the partitions, for each range of rows its next place in each, and where partitions begin."""
    n = len(keys)
    partitions = 1
    while partitions < MAX_PARTITIONS and partitions * per_partition < n:
        partitions *= 2
    ranges = workers.ranges(n)
    counts = np.zeros((len(ranges), partitions), np.int64)
    workers.run(_count_partitions, [(keys, lo, hi, partitions - 1, counts[w]) for w, (lo, hi) in enumerate(ranges)])
    offsets = np.concatenate([[0], np.cumsum(counts.sum(axis=0))])
    places = offsets[:-1] + np.cumsum(counts, axis=0) - counts
    return partitions - 1, [(lo, hi, places[w]) for w, (lo, hi) in enumerate(ranges)], offsets


@kernel
def grow(table, known, n):
    """Return a table four times as large with the first `n` known keys in it."""
    mask = table.size * 4 - 1
    larger = np.full(mask + 1, -1, np.int32)
    for j in range(n):
        slot = mix(known[j]) & mask
        while larger[slot] >= 0:
            slot = (slot + 1) & mask
        larger[slot] = j
    return larger


@kernel
def number_key(table, known, n, key):
    """Return the number of `key` among the `n` known; a new one gets n in `table`, and the caller sets ``known[n]``."""
    mask = table.size - 1
    slot = mix(key) & mask
    while table[slot] >= 0 and known[table[slot]] != key:
        slot = (slot + 1) & mask
    if table[slot] >= 0:
        return np.int64(table[slot])
    table[slot] = n
    return np.int64(n)


@kernel
def _scatter_keys(keys, lo, hi, places, mask, keys_out, rows_out):
    for i in range(lo, hi):
        p = partition_of(keys[i], mask)
        at = places[p]
        places[p] = at + 1
        keys_out[at] = keys[i]
        rows_out[at] = i


@kernel
def largest(offsets, p0, p1):
    size = np.int64(0)
    for p in range(p0, p1):
        size = max(size, offsets[p + 1] - offsets[p])
    return size


@kernel
def _number_first(keys, rows, i, hi, table, known, first_row, n, first):
    """Number keys until the table is half full; return how far that came, and how many keys are known."""
    while i < hi and 2 * n < table.size:
        j = number_key(table, known, n, keys[i])
        if j == n:
            known[n], first_row[n] = keys[i], rows[i]
            n += 1
        first[rows[i]] = first_row[j]
        i += 1
    return i, n


@kernel
def _first_in_partitions(keys, rows, offsets, p0, p1, first):
    size = largest(offsets, p0, p1)
    table = np.full(1024, -1, np.int32)
    known, first_row = np.empty(size, keys.dtype), np.empty(size, np.int64)
    for p in range(p0, p1):
        i, n = offsets[p], 0
        table[:] = -1
        while i < offsets[p + 1]:
            i, n = _number_first(keys, rows, i, offsets[p + 1], table, known, first_row, n, first)
            if 2 * n >= table.size:
                table = grow(table, known, n)


def first_of(workers: Workers, keys: np.ndarray) -> np.ndarray:
    """Return for each position the first position that holds the same key."""
    mask, ranges, offsets = partition_places(workers, keys, KEYS_PER_PARTITION)
    keys_out, rows_out = np.empty_like(keys), np.empty(len(keys), np.int64)
    workers.run(_scatter_keys, [(keys, *task, mask, keys_out, rows_out) for task in ranges])
    first = np.empty(len(keys), np.int64)
    tasks = workers.groups(offsets, 4)
    workers.run(_first_in_partitions, [(keys_out, rows_out, offsets, p0, p1, first) for p0, p1 in tasks])
    return first
