"""Which values stand at given ranks of each row of bins? Those of the bins with the ranks are gathered and selected.

No value is approximated: a bin only tells which few of the values can be the ones that are asked for.
"""

from __future__ import annotations

import numpy as np
from numba import prange

from pycjm.backends._jit.selection import nth

from . import counters, parallel, serial, take
from .folding import Bins, Fold, bin_gaps, bin_of, block_end, find_edges, find_gaps

NEXT, SLOTS, VALUES = 0, 1, 2  # counters


@serial
def _merge_row(bins):
    """Add the bins of all threads to those of the first; return how many values they hold and a bound of their sum."""
    for w in range(1, bins.shape[0]):
        for b in range(bins.shape[1]):
            bins[0, b] += bins[w, b]
    n, bound, end, parts = np.int64(0), 0.0, 1.0, bins.shape[1] // 64
    for octave in range(64):
        width = end / parts
        for b in range(octave * parts, (octave + 1) * parts):
            end += width
            n += np.int64(bins[0, b])
            bound += end * bins[0, b]
    return n, bound


@serial
def _merge_worker(tables, width, n, bounds, cursor):
    while True:
        row = take(cursor, NEXT, 1)
        if row >= n.size:
            break
        n[row], bounds[row] = _merge_row(tables[:, row * width : (row + 1) * width])


@parallel
def _merge(threads, tables, width, n, bounds, cursor):
    for _ in prange(threads):
        _merge_worker(tables, width, n, bounds, cursor)


@serial
def _find_bins(bins, ranks, bin_of_rank, at):
    """Find the bins of ascending ranks, and the place of each among the values of its bin."""
    b, seen = 0, np.int64(0)
    for r in range(ranks.size):
        while seen + np.int64(bins[b]) <= ranks[r]:
            seen += np.int64(bins[b])
            b += 1
        bin_of_rank[r], at[r] = b, ranks[r] - seen


@serial
def _give_slots(bins, bin_of_rank, slot_of_rank, slots, totals):
    """Give a slot to each of the bins. What is left in `bins` is the number of the slot plus one, or zero.

    ``slots[s, 0]`` is where the values of slot s begin and ``slots[s, 1]`` where the next of them is to be put.
    """
    for r in range(bin_of_rank.size):
        if r and bin_of_rank[r] == bin_of_rank[r - 1]:
            slot_of_rank[r] = slot_of_rank[r - 1]
            continue
        slot = take(totals, SLOTS, 1)
        begin = take(totals, VALUES, np.int64(bins[bin_of_rank[r]]))
        slot_of_rank[r], slots[slot, 0], slots[slot, 1] = slot, begin, begin
    bins[:] = 0
    for r in range(bin_of_rank.size):
        bins[bin_of_rank[r]] = slot_of_rank[r] + 1


@serial
def _slots_worker(table, width, rows, ranks, slot_of_rank, at, slots, totals):
    bin_of_rank = np.empty(ranks.shape[1], np.int64)
    while True:
        k = take(totals, NEXT, 1)
        if k >= rows.size:
            break
        bins = table[rows[k] * width : (rows[k] + 1) * width]
        _find_bins(bins, ranks[k], bin_of_rank, at[k])
        _give_slots(bins, bin_of_rank, slot_of_rank[k], slots, totals)


@parallel
def _slots(threads, table, width, rows, ranks, slot_of_rank, at, slots, totals):
    for _ in prange(threads):
        _slots_worker(table, width, rows, ranks, slot_of_rank, at, slots, totals)


@serial
def _choose(keys, slot_of_bin, chosen):
    """Write which events' gaps lie in a bin with a slot; say how many."""
    n = np.uint64(0)
    for i in range(1, keys.size):
        chosen[n] = i
        n += np.uint64(slot_of_bin[keys[i]] != 0)
    return np.int64(n)


@serial
def _put(value, slot, slots, values):
    values[np.uint64(take(slots, 2 * np.int64(slot) - 1, 1))] = value


@serial
def _gather_durations(offsets, times, binning, keys, slot_of_bin, slots, values):
    """Put the durations that lie in bins with a slot, and write over the keys of first events."""
    n_edges, _, bits = binning
    none, durations = np.uint32(n_edges) << np.uint32(6 + bits), np.uint32(n_edges + 1) << np.uint32(6 + bits)
    base = offsets[0]
    for c in range(offsets.size - 1):
        lo, last = np.uint64(offsets[c] - base), np.uint64(offsets[c + 1] - base - 1)
        keys[lo] = none
        duration = times[last] - times[lo]
        slot = slot_of_bin[durations | bin_of(duration, bits)]
        if slot:
            _put(duration, slot, slots, values)


@serial
def _gather_worker(log, binning, slot_of_bin, slots, values, cursor):
    offsets, all_codes, all_times, tasks, size, n_codes = log
    _, rows, bits = binning
    keys, edges, gaps = np.empty(size, np.uint32), np.empty(size, np.uint32), np.empty(size, np.int64)
    chosen = np.empty(size, np.int64)
    while True:
        t = take(cursor, NEXT, 1)
        if t >= tasks.size - 1:
            break
        c, c1 = tasks[t], tasks[t + 1]
        while c < c1:
            end = block_end(offsets, c, c1)
            lo, hi = offsets[c], offsets[end]
            times, m = all_times[lo:hi], hi - lo
            find_edges(all_codes[lo:hi], n_codes, edges)
            find_gaps(times, gaps)
            bin_gaps(gaps, edges[:m], rows, bits, keys)
            _gather_durations(offsets[c : end + 1], times, binning, keys, slot_of_bin, slots, values)
            n = _choose(keys[:m], slot_of_bin, chosen)
            for k in range(n):
                i = np.uint64(chosen[k])
                _put(gaps[i], slot_of_bin[keys[i]], slots, values)
            c = end


@parallel
def _gather(threads, log, binning, slot_of_bin, slots, values, cursor):
    for _ in prange(threads):
        _gather_worker(log, binning, slot_of_bin, slots, values, cursor)


@serial
def _select_worker(slot_of_rank, at, slots, values, found, cursor):
    while True:
        k = take(cursor, NEXT, 1)
        if k >= found.shape[0]:
            break
        for r in range(found.shape[1]):
            begin, end = slots[slot_of_rank[k, r], 0], slots[slot_of_rank[k, r], 1]
            lo = begin
            if r and slot_of_rank[k, r] == slot_of_rank[k, r - 1]:
                # What stands before a rank that is found already is not larger.
                lo += at[k, r - 1]
            found[k, r] = nth(values, lo, end, begin + at[k, r])


@parallel
def _select(threads, slot_of_rank, at, slots, values, found, cursor):
    for _ in prange(threads):
        _select_worker(slot_of_rank, at, slots, values, found, cursor)


def merge(threads: int, bins: Bins) -> np.ndarray:
    """Add up the tables of all threads; return how many values each row holds.

    Raises
    ------
    OverflowError
        The values of a row may add up to more than 63 bits hold.
    """
    n, bounds = np.zeros(len(bins.edges) + 2, np.int64), np.zeros(len(bins.edges) + 2)
    _merge(threads, bins.table, 64 << bins.bits, n, bounds, counters())
    if bounds.max() >= 2.0**63:
        raise OverflowError("the gaps of an edge, or the durations, add up to more than 63 bits hold")
    return n


def at_ranks(fold: Fold, bins: Bins, rows: np.ndarray, ranks: np.ndarray) -> np.ndarray:
    """The values of some `rows` that stand at ``ranks[k]`` in ascending order; the bins are used up.

    Parameters
    ----------
    fold : Fold
        The log.
    bins : Bins
        Merged.
    rows : numpy.ndarray
        Each with at least one value.
    ranks : numpy.ndarray
        Ascending, for each of the rows.
    """
    threads, width, totals = fold.threads, 64 << bins.bits, counters()
    slot_of_rank, at, found = np.empty_like(ranks), np.empty_like(ranks), np.empty_like(ranks)
    slots = np.empty((ranks.size, 2), np.int64)
    table = bins.table[0]
    # The bins of what is no gap are filled as well, and must not be taken for slots.
    table[len(bins.edges) * width : (len(bins.edges) + 1) * width] = 0
    _slots(threads, table, width, rows, ranks, slot_of_rank, at, slots, totals)
    values = np.empty(totals[VALUES], np.int64)
    _gather(threads, fold.log, bins.binning, table, slots.reshape(-1), values, counters())
    _select(threads, slot_of_rank, at, slots, values, found, counters())
    return found
