"""How do the rows of a log come to lie by case and time?

Where each case's rows lie together they are left as they are. Otherwise rows are scattered to partitions by a hash of
the case, as two numbers: the id, and the time with the code below it. A partition fits the cache; its cases are
numbered by a hash table that compares the ids themselves, and put in place by a counting sort. Both are stable, so that
nothing is left to be sorted where times never fall; else the events of a case are ranked by time and position.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numba import prange

from . import ODD, counters, cut, parallel, serial, take

TASKS_PER_THREAD = 4
ROWS_PER_PARTITION = 24_576
MAX_PARTITION_BITS = 9  # with more, the places to write at no longer fit the first cache
SAMPLE_ROWS = 32_768
RANKED_EVENTS = 256  # the longest case whose events are ranked by comparing all with all
RANK_BITS = 8


@dataclass
class Cases:
    """A log by case: case c holds the events ``offsets[c]`` up to ``offsets[c + 1]``."""

    offsets: np.ndarray
    codes: np.ndarray
    times: np.ndarray

    def __post_init__(self) -> None:
        # One type for numba, wherever the arrays come from.
        self.codes.flags.writeable = self.times.flags.writeable = False


@serial
def hash_key(key):
    """Spread a key: the upper bits tell the partition, those below them the slot."""
    return (np.uint64(key) ^ (np.uint64(key) >> np.uint64(32))) * np.uint64(ODD)


@serial
def _find_heads(ids, lo, hi, heads):
    """Write the rows of `lo` up to `hi` that begin a run of one id; say how many."""
    n = np.uint64(0)
    for i in range(lo, hi):
        heads[n] = i
        n += np.uint64(ids[i] != ids[i - 1])
    return np.int64(n)


@serial
def _heads_worker(ids, bounds, heads, n_heads, cursor):
    while True:
        t = take(cursor, 0, 1)
        if t >= n_heads.size:
            break
        lo, hi = bounds[t], bounds[t + 1]
        begin = 0
        if lo == 0:
            heads[0], begin = 0, 1
        # One place more than rows: the last is written before it is known to be none.
        n_heads[t] = begin + _find_heads(ids, max(lo, 1), hi, heads[lo + t + begin : hi + t + 1])


@parallel
def _heads(threads, ids, bounds, heads, n_heads, cursor):
    for _ in prange(threads):
        _heads_worker(ids, bounds, heads, n_heads, cursor)


@parallel
def _gather(threads, starts, sources, places, gathered):
    for w in prange(threads):
        for t in range(w, sources.size, threads):
            n = places[t + 1] - places[t]
            gathered[places[t] : places[t + 1]] = starts[sources[t] : sources[t] + n]


@parallel
def _take_ids(threads, ids, offsets, bounds, taken):
    for w in prange(threads):
        for c in range(bounds[w], bounds[w + 1]):
            taken[c] = ids[offsets[c]]


@serial
def _count_worker(ids, times, bounds, shift, counts, extremes, cursor):
    while True:
        t = take(cursor, 0, 1)
        if t >= counts.shape[0]:
            break
        count_partitions(ids[bounds[t] : bounds[t + 1]], shift, counts[t])
        _find_extremes(times[bounds[t] : bounds[t + 1]], extremes[t])


@serial
def count_partitions(ids, shift, counts):
    for i in range(ids.size):
        counts[hash_key(ids[i]) >> shift] += 1


@serial
def _find_extremes(times, extremes):
    """Write the first and the last time, and whether times fall."""
    low, high, falls = times[0], times[0], np.int64(0)
    for i in range(1, times.size):
        low = min(low, times[i])
        high = max(high, times[i])
        falls |= np.int64(times[i] < times[i - 1])
    extremes[0], extremes[1], extremes[2] = low, high, falls


@parallel
def _count(threads, ids, times, bounds, shift, counts, extremes, cursor):
    for _ in prange(threads):
        _count_worker(ids, times, bounds, shift, counts, extremes, cursor)


@serial
def _scatter_rows(ids, times, codes, form, places, out_ids, out_words):
    first, code_bits, shift = form
    for i in range(ids.size):
        p = hash_key(ids[i]) >> shift
        at = np.uint64(places[p])
        places[p] = at + np.uint64(1)
        out_ids[at] = ids[i]
        out_words[at] = ((times[i] - first) << code_bits) | np.int64(codes[i])


@serial
def _scatter_worker(ids, times, codes, bounds, form, places, out_ids, out_words, cursor):
    while True:
        t = take(cursor, 0, 1)
        if t >= places.shape[0]:
            break
        lo, hi = bounds[t], bounds[t + 1]
        _scatter_rows(ids[lo:hi], times[lo:hi], codes[lo:hi], form, places[t], out_ids, out_words)


@parallel
def _scatter(threads, ids, times, codes, bounds, form, places, out_ids, out_words, cursor):
    for _ in prange(threads):
        _scatter_worker(ids, times, codes, bounds, form, places, out_ids, out_words, cursor)


@serial
def number_some(keys, i, shift, table, numbers, known, local, counts, n):
    """Number keys from `i` on as they first appear, until the table is half full; say how far that came, and how many.

    The slot is taken from the bits of the hash above `shift`.
    """
    mask = np.uint64(table.size - 1)
    while i < keys.size and 2 * n < table.size:
        key = keys[i]
        slot = (hash_key(key) >> shift) & mask
        while numbers[slot] >= 0 and table[slot] != key:
            slot = (slot + np.uint64(1)) & mask
        j = numbers[slot]
        if j < 0:
            j = np.int32(n)
            table[slot], numbers[slot], known[n], counts[n] = key, j, key, 0
            n += 1
        local[i] = j
        counts[np.uint64(j)] += 1
        i += 1
    return i, n


@serial
def grown(known, n, shift, size):
    """Return a table of another size with the first `n` known keys."""
    table, numbers = np.empty(size, known.dtype), np.full(size, -1, np.int32)
    mask = np.uint64(size - 1)
    for j in range(n):
        slot = (hash_key(known[j]) >> shift) & mask
        while numbers[slot] >= 0:
            slot = (slot + np.uint64(1)) & mask
        table[slot], numbers[slot] = known[j], j
    return table, numbers


@serial
def number_all(keys, shift, table, numbers, known, local, counts):
    """Number all keys; return how many are different, and the table, which may have grown."""
    numbers[:] = -1
    i, n = 0, 0
    while i < keys.size:
        i, n = number_some(keys, i, shift, table, numbers, known, local, counts, n)
        if i < keys.size:
            table, numbers = grown(known, n, shift, 4 * table.size)
    return n, table, numbers


@serial
def _place_by_case(words, local, places, placed):
    for i in range(words.size):
        j = np.uint64(local[i])
        at = np.uint64(places[j])
        places[j] = at + np.uint64(1)
        placed[at] = words[i]


@serial
def _falls(words, code_bits):
    falls = 0
    for i in range(1, words.size):
        falls |= (words[i] >> code_bits) < (words[i - 1] >> code_bits)
    return falls


@serial
def _rank(keys, copy, m, words):
    """Put the words of a case in the order of their m keys, without a branch; m fills whole registers."""
    for i in range(words.size):
        rank = np.uint64(0)
        for j in range(m):
            rank += np.uint64(keys[j] < keys[i])
        words[rank] = copy[i]


@serial
def _rank_few(keys, copy, words):
    for i in range(words.size):
        rank = np.uint64(0)
        for j in range(8):
            rank += np.uint64(keys[j] < keys[i])
        words[rank] = copy[i]


@serial
def _sort_case(words, code_bits, keys, copy):
    """Sort a case's words by time, equal times as they are."""
    n = words.size
    for i in range(n):
        keys[i], copy[i] = ((words[i] >> code_bits) << RANK_BITS) | i, words[i]
    m = (n + 7) & ~7
    for i in range(n, m):
        keys[i] = np.int64(0x7FFFFFFFFFFFFFFF)
    if n <= 8:
        _rank_few(keys, copy, words)
    else:
        _rank(keys, copy, m, words)


@serial
def _sort_cases(words, begins, n, code_bits, can_rank, keys, copy):
    for c in range(n):
        lo, hi = begins[c], begins[c + 1]
        if can_rank and hi - lo <= RANKED_EVENTS:
            if hi - lo > 1:
                _sort_case(words[lo:hi], code_bits, keys, copy)
        elif _falls(words[lo:hi], code_bits):
            order = np.argsort(words[lo:hi] >> code_bits, kind="mergesort")
            words[lo:hi] = words[lo:hi][order]


@serial
def _unpack(words, first, code_bits, times, codes):
    mask = (np.int64(1) << code_bits) - 1
    for i in range(words.size):
        times[i] = (words[i] >> code_bits) + first
        codes[i] = words[i] & mask


@serial
def _order_worker(ids, words, offsets, form, codes, n_cases, cursor):
    """Order the words of partitions. In the place of ids, which are used up, come the beginnings of the cases."""
    size, first, code_bits, falls, can_rank, shift = form
    table, numbers = np.empty(16_384, ids.dtype), np.empty(16_384, np.int32)
    known, local, counts = np.empty(size, ids.dtype), np.empty(size, np.int32), np.empty(size, np.int64)
    begins, placed = np.empty(size + 1, np.int64), np.empty(size, np.int64)
    keys, copy = np.empty(RANKED_EVENTS, np.int64), np.empty(RANKED_EVENTS, np.int64)
    while True:
        p = take(cursor, 0, 1)
        if p >= n_cases.size:
            break
        lo, hi = offsets[p], offsets[p + 1]
        m = hi - lo
        n, table, numbers = number_all(ids[lo:hi], shift, table, numbers, known, local, counts)
        total = np.int64(0)
        for j in range(n):
            begins[j], ids[lo + j] = total, lo + total
            total, counts[j] = total + counts[j], total
        begins[n] = total
        _place_by_case(words[lo:hi], local[:m], counts, placed)
        if falls:
            _sort_cases(placed, begins, n, code_bits, can_rank, keys, copy)
        _unpack(placed[:m], first, code_bits, words[lo:hi], codes[lo:hi])
        n_cases[p] = n


@parallel
def _order(threads, ids, words, offsets, form, codes, n_cases, cursor):
    for _ in prange(threads):
        _order_worker(ids, words, offsets, form, codes, n_cases, cursor)


def runs(threads: int, ids: np.ndarray) -> np.ndarray:
    """Where runs of one id begin, and at last the number of rows."""
    # Few pieces: a large page is filled with zeros as soon as one number of it is written.
    bounds = cut(len(ids), TASKS_PER_THREAD * threads)
    heads, n_heads = np.empty(len(ids) + len(bounds), np.int64), np.zeros(len(bounds) - 1, np.int64)
    _heads(threads, ids, bounds, heads, n_heads, counters())
    return _joined(threads, heads, bounds[:-1] + np.arange(len(n_heads)), n_heads, len(ids))


def ids_of_runs(threads: int, ids: np.ndarray, offsets: np.ndarray) -> np.ndarray:
    """The id of each run."""
    n = len(offsets) - 1
    bounds = np.array([n * w // threads for w in range(threads + 1)], np.int64)
    taken = np.empty(n, ids.dtype)
    _take_ids(threads, ids, offsets, bounds, taken)
    return taken


def _joined(threads: int, starts: np.ndarray, sources: np.ndarray, counts: np.ndarray, end: int) -> np.ndarray:
    """The starts that lie in pieces, one after the other, and the end."""
    places = np.concatenate([[0], np.cumsum(counts)])
    gathered = np.empty(places[-1] + 1, np.int64)
    _gather(threads, starts, sources, places, gathered)
    gathered[-1] = end
    return gathered


def partitioned(threads: int, ids: np.ndarray, codes: np.ndarray, times: np.ndarray, code_bits: int) -> Cases:
    """Bring the rows of cases together and into order.

    Raises
    ------
    OverflowError
        Times lie so far apart that 63 bits do not hold a time and a code.
    """
    n = len(ids)
    bits = partition_bits(n, ROWS_PER_PARTITION)
    shift = np.uint64(64 - bits)
    bounds = cut(n, TASKS_PER_THREAD * threads)
    counts, extremes = np.zeros((len(bounds) - 1, 1 << bits), np.int64), np.zeros((len(bounds) - 1, 3), np.int64)
    _count(threads, ids, times, bounds, shift, counts, extremes, counters())
    first, range_bits = int(extremes[:, 0].min()), int(extremes[:, 1].max() - extremes[:, 0].min()).bit_length()
    if range_bits + code_bits > 63:
        raise OverflowError("times lie too far apart to share 63 bits with the code of an activity")
    falls = bool(extremes[:, 2].any() or np.any(times[bounds[1:-1]] < times[bounds[1:-1] - 1]))
    offsets, places = places_of(counts)
    out_ids, words = np.empty_like(ids), np.empty(n, np.int64)
    _scatter(threads, ids, times, codes, bounds, (first, code_bits, shift), places, out_ids, words, counters())
    sorted_codes, n_cases = np.empty_like(codes), np.zeros(1 << bits, np.int64)
    can_rank = range_bits + RANK_BITS <= 63
    # The slot comes from other bits of the hash than the partition does.
    form = int(np.diff(offsets).max()), first, code_bits, falls, can_rank, np.uint64(32 - bits)
    _order(threads, out_ids, words, offsets, form, sorted_codes, n_cases, counters())
    return Cases(_joined(threads, out_ids, offsets[:-1], n_cases, n), sorted_codes, words)


def partition_bits(n: int, per_partition: int) -> int:
    """How many bits of a hash tell the partition."""
    return min(max((n // per_partition).bit_length(), 1), MAX_PARTITION_BITS)


def places_of(counts: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Where partitions begin, and where in them each task begins to write; `counts` are by task and partition."""
    totals = counts.sum(axis=0)
    offsets = np.concatenate([[0], np.cumsum(totals)])
    return offsets, (offsets[:-1] + np.cumsum(counts, axis=0) - counts).astype(np.uint64)
