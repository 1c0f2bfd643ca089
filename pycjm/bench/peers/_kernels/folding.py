"""How often is each edge taken, in which bins do its gaps lie, and which key has the sequence of each case?

Two passes over cases in order. The first counts gaps in bins: for each edge the powers of two, cut into equal parts.
They tell in which bins the ranks lie that are asked for; the second pass gathers the gaps of those bins, and the values
are selected among these few. Case durations are one more group of values beside the edges.

Both passes go block by block, each of whole cases: gaps and bins for all its events without a branch, the first event
of each case put aside afterwards.

Kernels take as one argument what goes together. ``log``: offsets, codes and times of the cases, the bounds of the
tasks (in cases), the events of the largest block, the number of codes. ``binning``: the number of edges with a row, the
row of each edge, the bits that cut a power of two. ``hashing``: a number for each code, powers of the base, the bits of
a code.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numba import prange

from . import counters, parallel, serial, take
from .grouping import Cases

EVENTS_PER_BLOCK = 2_048
EVENTS_PER_TASK = 65_536
BIN_BITS = 4  # sixteen bins for each power of two
TABLE_BINS = 1 << 22
MAX_DENSE_CODES = 64


@parallel
def _longest(threads, offsets, longest):
    for w in prange(threads):
        most = np.int64(0)
        for c in range((offsets.size - 1) * w // threads, (offsets.size - 1) * (w + 1) // threads):
            most = max(most, offsets[c + 1] - offsets[c])
        longest[w] = most


@serial
def bin_of(value, bits):
    """Return a number that never falls as `value` rises: the exponent of it plus one, and the leading bits."""
    pattern = np.float32(value + 1).view(np.int32)
    return np.uint32((pattern >> np.int32(23 - bits)) - np.int32(127 << bits))


@serial
def find_edges(codes, n_codes, edges):
    for i in range(1, codes.size):
        edges[i] = np.uint32(codes[i - 1]) * np.uint32(n_codes) + np.uint32(codes[i])


@serial
def find_gaps(times, gaps):
    for i in range(1, times.size):
        gaps[i] = times[i] - times[i - 1]


@serial
def bin_gaps(gaps, edges, rows, bits, keys):
    """Write the bin of each event's gap."""
    shift = np.uint32(6 + bits)
    if rows.size:
        for i in range(1, edges.size):
            keys[i] = (rows[edges[i]] << shift) | bin_of(max(gaps[i], np.int64(0)), bits)
    else:
        for i in range(1, edges.size):
            keys[i] = (edges[i] << shift) | bin_of(max(gaps[i], np.int64(0)), bits)


@serial
def block_end(offsets, c, c1):
    """Return the end of the block that begins with case c: so many cases as fit it, at least one."""
    end = c + 1
    while end < c1 and offsets[end + 1] - offsets[c] <= EVENTS_PER_BLOCK:
        end += 1
    return end


@serial
def _count_keys(keys, gaps, shift, bins, sums):
    """Count the bins and add up the gaps; what is returned is negative if one of them is."""
    signs = np.int64(0)
    for i in range(1, keys.size):
        key = keys[i]
        bins[key] += np.uint32(1)
        sums[key >> shift] += gaps[i]
        signs |= gaps[i]
    return signs


@serial
def _hash_codes(codes, values, odd, code_bits, hashes, windows):
    """Write the hash of the first i codes to ``hashes[i]``, and to ``windows[i]`` the last of them, as many as fit."""
    total, window = np.uint64(0), np.uint64(0)
    hashes[0] = total
    for i in range(codes.size):
        total = total * odd + values[codes[i]]
        window = (window << code_bits) | np.uint64(codes[i])
        hashes[i + 1], windows[i + 1] = total, window


@serial
def _key(hashes, windows, powers, code_bits, lo, hi):
    """Return the key of a case's codes: a positive one is the codes themselves, below a bit that tells how many."""
    bits = (hi - lo) * code_bits
    if bits < 63:
        end = np.int64(1) << bits
        return (np.int64(windows[hi]) & (end - 1)) | end
    return np.int64(hashes[hi] - hashes[lo] * powers[hi - lo]) | np.int64(-0x8000000000000000)


@serial
def _fold_cases(offsets, codes, times, binning, hashing, keys, gaps, hashes, windows, tables, sequences):
    """Count the first and last events of the cases of a block, and their durations; write the keys of their codes."""
    bins, sums, ends = tables
    n_edges, _, bits = binning
    _, powers, code_bits = hashing
    none, durations = np.uint32(n_edges) << np.uint32(6 + bits), np.uint32(n_edges + 1) << np.uint32(6 + bits)
    base, total = offsets[0], np.int64(0)
    for c in range(sequences.size):
        lo, hi = np.uint64(offsets[c] - base), np.uint64(offsets[c + 1] - base)
        last = hi - np.uint64(1)
        keys[lo], gaps[lo] = none, 0
        ends[0, codes[lo]] += 1
        ends[1, codes[last]] += 1
        duration = times[last] - times[lo]
        total += duration
        bins[durations | bin_of(max(duration, np.int64(0)), bits)] += np.uint32(1)
        sequences[c] = _key(hashes, windows, powers, code_bits, lo, hi)
    sums[n_edges + 1] += total


@serial
def _fold_worker(log, binning, hashing, tables, sequences, cursor):
    offsets, all_codes, all_times, tasks, size, n_codes = log
    _, rows, bits = binning
    values, powers, code_bits = hashing
    keys, edges, gaps = np.empty(size, np.uint32), np.empty(size, np.uint32), np.empty(size, np.int64)
    hashes, windows = np.empty(size + 1, np.uint64), np.empty(size + 1, np.uint64)
    signs = np.int64(0)
    while True:
        t = take(cursor, 0, 1)
        if t >= tasks.size - 1:
            break
        c, c1 = tasks[t], tasks[t + 1]
        while c < c1:
            end = block_end(offsets, c, c1)
            lo, hi = offsets[c], offsets[end]
            codes, times, m = all_codes[lo:hi], all_times[lo:hi], hi - lo
            find_edges(codes, n_codes, edges)
            find_gaps(times, gaps)
            bin_gaps(gaps, edges[:m], rows, bits, keys)
            _hash_codes(codes, values, powers[1], code_bits, hashes, windows)
            block = offsets[c : end + 1], codes, times
            _fold_cases(*block, binning, hashing, keys, gaps, hashes, windows, tables, sequences[c:end])
            signs |= _count_keys(keys[:m], gaps, np.uint32(6 + bits), tables[0], tables[1])
            c = end
    return signs


@parallel
def _fold(threads, log, binning, hashing, bins, sums, ends, sequences, signs, cursor):
    for w in prange(threads):
        signs[w] = _fold_worker(log, binning, hashing, (bins[w], sums[w], ends[w]), sequences, cursor)


@serial
def _count_edges(edges, gaps, counts):
    signs = np.int64(0)
    for i in range(1, edges.size):
        counts[edges[i]] += 1
        signs |= gaps[i]
    return signs


@serial
def _ends_of_cases(offsets, codes, none, edges, gaps, ends):
    base = offsets[0]
    for c in range(offsets.size - 1):
        lo, last = np.uint64(offsets[c] - base), np.uint64(offsets[c + 1] - base - 1)
        edges[lo], gaps[lo] = none, 0
        ends[0, codes[lo]] += 1
        ends[1, codes[last]] += 1


@serial
def _count_worker(log, counts, ends, cursor):
    offsets, codes, times, tasks, size, n_codes = log
    edges, gaps = np.empty(size, np.uint32), np.empty(size, np.int64)
    none, signs = np.uint32(n_codes * n_codes), np.int64(0)
    while True:
        t = take(cursor, 0, 1)
        if t >= tasks.size - 1:
            break
        c, c1 = tasks[t], tasks[t + 1]
        while c < c1:
            end = block_end(offsets, c, c1)
            lo, hi = offsets[c], offsets[end]
            find_edges(codes[lo:hi], n_codes, edges)
            find_gaps(times[lo:hi], gaps)
            _ends_of_cases(offsets[c : end + 1], codes[lo:hi], none, edges, gaps, ends)
            signs |= _count_edges(edges[: hi - lo], gaps, counts)
            c = end
    return signs


@parallel
def _count(threads, log, counts, ends, signs, cursor):
    for w in prange(threads):
        signs[w] = _count_worker(log, counts[w], ends[w], cursor)


@dataclass
class Bins:
    """A table of bins for each thread: a row for each of the `edges`, one for what is no gap, one for the durations.

    ``rows[edge]`` is the row of an edge; it is empty where that is the edge itself.
    """

    edges: np.ndarray
    rows: np.ndarray
    bits: int
    table: np.ndarray

    @property
    def binning(self) -> tuple[int, np.ndarray, int]:
        """As kernels take it."""
        return len(self.edges), self.rows, self.bits


@dataclass
class Folded:
    """What one pass found: by row the sum of its values, by activity first and last events, by case a key."""

    sums: np.ndarray
    ends: np.ndarray
    keys: np.ndarray


class UnorderedError(Exception):
    """The rows of a case are not in order of time."""


class Fold:
    """Passes over the cases of one log."""

    def __init__(self, threads: int, cases: Cases, n_codes: int) -> None:
        self.threads, self._n_codes, self._n_cases = threads, n_codes, len(cases.offsets) - 1
        marks = np.arange(0, len(cases.codes), EVENTS_PER_TASK)
        tasks = np.unique(np.append(np.searchsorted(cases.offsets, marks), self._n_cases))
        longest = np.zeros(threads, np.int64)
        _longest(threads, cases.offsets, longest)
        self._block = max(EVENTS_PER_BLOCK, int(longest.max()))
        self.log = cases.offsets, cases.codes, cases.times, tasks, self._block, n_codes

    def count(self) -> tuple[np.ndarray, np.ndarray]:
        """How often each edge is taken, source by target, and how often each activity is the first and the last."""
        counts = np.zeros((self.threads, self._n_codes**2 + 1), np.int64)
        ends, signs = self._ends()
        _count(self.threads, self.log, counts, ends, signs, counters())
        return counts.sum(axis=0)[:-1], self._checked(ends, signs)

    def bins(self) -> Bins:
        """Empty bins for the gaps of each edge, and for the durations."""
        if self._n_codes <= MAX_DENSE_CODES:
            edges, rows = np.arange(self._n_codes**2), np.empty(0, np.uint32)
        else:
            # Bins for all edges that could be would be too many: only those that there are get some.
            counts, _ = self.count()
            edges, rows = np.flatnonzero(counts), np.zeros(len(counts), np.uint32)
            rows[edges] = np.arange(len(edges))
        bits = BIN_BITS
        while bits and (len(edges) + 2) << (6 + bits) > TABLE_BINS:
            bits -= 1
        return Bins(edges, rows, bits, np.zeros((self.threads, (len(edges) + 2) << (6 + bits)), np.uint32))

    def fold(self, bins: Bins, seed: int) -> Folded:
        """Fill the bins; find the keys of the sequences, whose hash begins with a `seed`."""
        generator = np.random.default_rng(seed)
        values = generator.integers(1, 1 << 64, self._n_codes, np.uint64)
        powers = np.full(self._block + 1, generator.integers(1 << 62, 1 << 63, dtype=np.uint64) | np.uint64(1))
        powers[0] = 1
        # Products wrap around at 2^64, as the hashes do.
        hashing = values, np.cumprod(powers), np.uint64(max(self._n_codes - 1, 1).bit_length())
        sums, keys = np.zeros((self.threads, len(bins.edges) + 2), np.int64), np.empty(self._n_cases, np.int64)
        ends, signs = self._ends()
        _fold(self.threads, self.log, bins.binning, hashing, bins.table, sums, ends, keys, signs, counters())
        return Folded(sums.sum(axis=0), self._checked(ends, signs), keys)

    def _ends(self) -> tuple[np.ndarray, np.ndarray]:
        return np.zeros((self.threads, 2, self._n_codes), np.int64), np.zeros(self.threads, np.int64)

    def _checked(self, ends: np.ndarray, signs: np.ndarray) -> np.ndarray:
        if signs.min() < 0:
            raise UnorderedError
        return ends.sum(axis=0)
