"""How many different keys are there, and how many different sequences of activities among the cases?

Keys are scattered to partitions by their hash and numbered there by tables that compare them. The key of a short
sequence is the sequence itself. That of a long one, which is negative, is a hash, and a hash alone is no identity: the
sequence is compared with the first one that has its key.
"""

from __future__ import annotations

import numpy as np
from numba import prange

from . import counters, cut, parallel, serial, take
from .grouping import Cases, count_partitions, hash_key, number_all, partition_bits, places_of

KEYS_PER_PARTITION = 6_144
NEXT, DIFFERENT, LISTED, IMPOSTORS = 0, 1, 2, 3  # counters


@parallel
def _count(threads, keys, bounds, shift, counts):
    for w in prange(threads):
        for t in range(w, counts.shape[0], threads):
            count_partitions(keys[bounds[t] : bounds[t + 1]], shift, counts[t])


@serial
def _scatter_keys(keys, lo, hi, shift, places, out_keys, out_rows):
    for i in range(lo, hi):
        p = hash_key(keys[i]) >> shift
        at = np.uint64(places[p])
        places[p] = at + np.uint64(1)
        out_keys[at] = keys[i]
        out_rows[at] = i


@parallel
def _scatter(threads, keys, bounds, shift, places, out_keys, out_rows):
    for w in prange(threads):
        for t in range(w, places.shape[0], threads):
            _scatter_keys(keys, bounds[t], bounds[t + 1], shift, places[t], out_keys, out_rows)


@serial
def _same(codes, a, b, n):
    i = 0
    while i < n and codes[np.uint64(a + i)] == codes[np.uint64(b + i)]:
        i += 1
    return i == n


@serial
def _impostors(codes, offsets, keys, rows, local, firsts):
    """Write the first case of each key to `firsts`; count the cases whose sequence is another than that one's."""
    impostors = 0
    for i in range(rows.size):
        j, c = np.uint64(local[i]), np.uint64(rows[i])
        if firsts[j] < 0:
            firsts[j] = rows[i]
        elif keys[i] < 0:
            first = np.uint64(firsts[j])
            n = offsets[c + np.uint64(1)] - offsets[c]
            same = offsets[first + np.uint64(1)] - offsets[first] == n
            if not (same and _same(codes, offsets[c], offsets[first], n)):
                impostors += 1
    return impostors


@serial
def _list(firsts, counts, n, least, totals, out_firsts, out_counts):
    """List the sequences of at least so many cases."""
    many = np.int64(0)
    for j in range(n):
        many += counts[j] >= least
    at = take(totals, LISTED, many)
    for j in range(n):
        if counts[j] >= least:
            out_firsts[at], out_counts[at] = firsts[j], counts[j]
            at += 1


@serial
def _number_worker(keys, rows, places, form, log, totals, out_firsts, out_counts):
    size, shift = form
    codes, offsets, least = log
    table, numbers = np.empty(16_384, keys.dtype), np.empty(16_384, np.int32)
    known, local, counts = np.empty(size, keys.dtype), np.empty(size, np.int32), np.empty(size, np.int64)
    firsts = np.empty(size, np.int64)
    while True:
        p = take(totals, NEXT, 1)
        if p >= places.size - 1:
            break
        lo, hi = places[p], places[p + 1]
        n, table, numbers = number_all(keys[lo:hi], shift, table, numbers, known, local, counts)
        take(totals, DIFFERENT, n)
        if least:
            firsts[:n] = -1
            take(totals, IMPOSTORS, _impostors(codes, offsets, keys[lo:hi], rows[lo:hi], local, firsts))
            _list(firsts, counts, n, least, totals, out_firsts, out_counts)


@parallel
def _number(threads, keys, rows, places, form, log, totals, out_firsts, out_counts):
    for _ in prange(threads):
        _number_worker(keys, rows, places, form, log, totals, out_firsts, out_counts)


class Keys:
    """Keys in partitions, with the places they come from."""

    def __init__(self, threads: int, keys: np.ndarray) -> None:
        self._threads = threads
        bits = partition_bits(len(keys), KEYS_PER_PARTITION)
        bounds, shift = cut(len(keys), threads), np.uint64(64 - bits)
        counts = np.zeros((len(bounds) - 1, 1 << bits), np.int64)
        _count(threads, keys, bounds, shift, counts)
        offsets, places = places_of(counts)
        out_keys, out_rows = np.empty_like(keys), np.empty(len(keys), np.int64)
        _scatter(threads, keys, bounds, shift, places, out_keys, out_rows)
        # The slot comes from other bits of the hash than the partition does.
        self._partitions = out_keys, out_rows, offsets, (int(np.diff(offsets).max()), np.uint64(32 - bits))

    def _number(self, cases: Cases, least: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Number the keys; list the sequences of at least so many cases, or take no look at them if that is zero."""
        totals = counters()
        n = len(self._partitions[0]) // least if least else 0
        firsts, counts = np.empty(n, np.int64), np.empty(n, np.int64)
        log = cases.codes, cases.offsets, least
        _number(self._threads, *self._partitions, log, totals, firsts, counts)
        return totals, firsts[: totals[LISTED]], counts[: totals[LISTED]]

    def are_different(self, cases: Cases) -> bool:
        """Whether no key appears twice."""
        return self._number(cases, 0)[0][DIFFERENT] == len(self._partitions[0])

    def sequences(self, cases: Cases, top: int) -> tuple[int, np.ndarray, np.ndarray] | None:
        """How many sequences there are, and of the `top` most frequent the first case and the number of cases.

        None if two different sequences have one key.
        """
        # Most sequences of a long log are followed once, and none of those is listed if enough others are.
        for least in (2, 1):
            totals, firsts, counts = self._number(cases, least)
            if totals[IMPOSTORS]:
                return None
            if len(counts) >= top:
                break
        if len(counts) > top:
            chosen = np.argpartition(-counts, top - 1)[:top]
            firsts, counts = firsts[chosen], counts[chosen]
        order = np.argsort(-counts, kind="stable")
        return int(totals[DIFFERENT]), firsts[order], counts[order]
