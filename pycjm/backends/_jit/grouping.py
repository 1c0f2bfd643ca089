"""How do rows become cases? Runs of one key are found as they lie, or rows are partitioned by key and ordered.

A partition is small enough for the cache: its keys are numbered by a hash table that compares the keys themselves, its
rows are put by case with a counting sort, and a case is sorted by time only where its rows are not in order already.
Every step is stable, so rows that tie stay in the order of the input.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from pycjm.backends._jit import Workers, kernel
from pycjm.backends._jit.keys import first_of, grow, largest, number_key, partition_of, partition_places
from pycjm.backends._jit.text import same_text

ROWS_PER_PARTITION = 32_768
SAMPLE_ROWS = 65_536
_INSERTION_ROWS = 64
_QUICKSORT_ROWS = 512


@kernel
def _scan(keys, times, row, heads):
    """Write where runs of equal keys begin to `heads`; count them, falls of time, and falls inside a run.

    The arrays begin at `row`, whose own beginning is known to the range before (or is that of the log).
    """
    n_heads, falls, falls_in_run = 0, 0, 0
    for i in range(1, keys.size):
        head, fall = keys[i] != keys[i - 1], times[i] < times[i - 1]
        heads[n_heads] = row + i
        n_heads += head
        falls += fall
        falls_in_run += fall & (not head)
    return n_heads, falls, falls_in_run


def scan_runs(workers: Workers, keys: np.ndarray, times: np.ndarray) -> tuple[np.ndarray, int, int]:
    """Return the first row of every run of equal keys, how often time falls, and how often inside a run."""
    before = [(max(lo - 1, 0), hi) for lo, hi in workers.ranges(len(keys))]
    tasks = [(keys[lo:hi], times[lo:hi], lo, np.empty(hi - lo, np.int64)) for lo, hi in before]
    found = workers.run(_scan, tasks)
    heads = [task[-1][: counts[0]] for task, counts in zip(tasks, found, strict=True)]
    first = np.zeros(min(len(keys), 1), np.int64)
    return np.concatenate([first, *heads]), sum(counts[1] for counts in found), sum(counts[2] for counts in found)


@kernel
def _scatter_rows(
    keys, times, starts, codes, witnesses, lo, hi, places, mask, out_keys, out_times, out_starts, out_codes, evidence
):
    """Copy rows to their partitions, with what tells whether they are of their key's case: a witness or the row."""
    has_starts, has_evidence, has_witnesses = starts.size > 0, evidence.size > 0, witnesses.size > 0
    for i in range(lo, hi):
        p = partition_of(keys[i], mask)
        at = places[p]
        places[p] = at + 1
        out_keys[at] = keys[i]
        out_times[at] = times[i]
        out_codes[at] = codes[i]
        if has_starts:
            out_starts[at] = starts[i]
        if has_evidence:
            evidence[at] = witnesses[i] if has_witnesses else i


@kernel
def _sort_rows(times, lo, hi, smallest, largest, order):
    """Write the order of the rows of a case by time, equal ones as they are, to `order`."""
    n, bits = hi - lo, 1
    while n >> bits:
        bits += 1
    if n > _QUICKSORT_ROWS or (largest - smallest) >> (62 - bits):
        _sort_by_digits(times[lo:hi], smallest, largest, order[:n])
        return
    # time and place share a number: one array to sort, and ties stay in their order
    if n <= _INSERTION_ROWS:
        for i in range(n):
            value, j = ((times[lo + i] - smallest) << bits) | i, i
            while j > 0 and order[j - 1] > value:
                order[j] = order[j - 1]
                j -= 1
            order[j] = value
    else:
        for i in range(n):
            order[i] = ((times[lo + i] - smallest) << bits) | i
        order[:n].sort()
    for i in range(n):
        order[i] &= (1 << bits) - 1


@kernel
def _sort_by_digits(times, smallest, largest, order):
    """Sort a long case, or one whose times lie far apart: a byte at a time, from the lowest up."""
    keys, other_keys = times - smallest, np.empty_like(times)
    rows, other_rows = np.arange(times.size), np.empty_like(times)
    counts = np.empty(256, np.int64)
    shift = 0
    while shift < 64 and (largest - smallest) >> shift:
        _sort_by_digit(keys, rows, shift, counts, other_keys, other_rows)
        keys, other_keys, rows, other_rows = other_keys, keys, other_rows, rows
        shift += 8
    order[:] = rows


@kernel
def _sort_by_digit(keys, rows, shift, counts, keys_out, rows_out):
    counts[:] = 0
    for i in range(keys.size):
        counts[(keys[i] >> shift) & 255] += 1
    total = 0
    for digit in range(256):
        total, counts[digit] = total + counts[digit], total
    for i in range(keys.size):
        digit = (keys[i] >> shift) & 255
        keys_out[counts[digit]], rows_out[counts[digit]] = keys[i], rows[i]
        counts[digit] += 1


@kernel
def _copy_cases(times, codes, starts, begins, base, end, order, out_times, out_codes, out_starts):
    """Copy cases in order of time. Case c begins at ``begins[c] - base``; the last one ends at `end`."""
    has_starts = out_starts.size > 0
    for c in range(begins.size):
        lo = begins[c] - base
        hi = begins[c + 1] - base if c + 1 < begins.size else end
        smallest, largest, falls = times[lo], times[lo], 0
        for i in range(lo + 1, hi):
            falls += times[i] < times[i - 1]
            smallest, largest = min(smallest, times[i]), max(largest, times[i])
        if falls:
            _sort_rows(times, lo, hi, smallest, largest, order)
            for i in range(lo, hi):
                row = lo + order[i - lo]
                out_times[i], out_codes[i] = times[row], codes[row]
                if has_starts:
                    out_starts[i] = starts[row]
        else:
            for i in range(lo, hi):
                out_times[i], out_codes[i] = times[i], codes[i]
                if has_starts:
                    out_starts[i] = starts[i]


@kernel
def _number_cases(keys, i, hi, table, known, n, local, counts):
    """Number the cases of rows until the table is half full; return how far that came, and how many are known."""
    while i < hi and 2 * n < table.size:
        j = number_key(table, known, n, keys[i])
        if j == n:
            known[n], counts[n] = keys[i], 0
            n += 1
        local[i] = j
        counts[j] += 1
        i += 1
    return i, n


@kernel
def _count_impostors(evidence, is_witness, text_offsets, text, local, first):
    """Count rows that are not of the case of the first row with their key. Evidence is a witness, or the row itself."""
    impostors, base = 0, np.int64(text.ctypes.data)
    seen = np.zeros(first.size, np.bool_)
    for i in range(evidence.size):
        j = local[i]
        if not seen[j]:
            seen[j], first[j] = True, evidence[i]
        elif first[j] != evidence[i]:
            if is_witness:
                impostors += 1
            else:
                at, other = np.int64(text_offsets[evidence[i]]), np.int64(text_offsets[first[j]])
                length = np.int64(text_offsets[evidence[i] + 1]) - at
                other_length = np.int64(text_offsets[first[j] + 1]) - other
                impostors += not same_text(base + at, length, base + other, other_length)
    return impostors


@kernel
def _gather_by_case(times, codes, starts, local, places, out_times, out_codes, out_starts):
    for i in range(times.size):
        at = places[local[i]]
        places[local[i]] = at + 1
        out_times[at] = times[i]
        out_codes[at] = codes[i]
        if out_starts.size > 0:
            out_starts[at] = starts[i]


@kernel
def _order_partitions(
    keys, times, starts, codes, evidence, offsets, p0, p1, is_witness, text_offsets, text, case_starts, n_cases
):
    """Put the rows of partitions by case and time, in place; count rows whose key is right and whose id is not.

    `case_starts` gets where the cases of a partition begin, from the place of the partition's first row on.
    """
    has_starts, has_evidence = starts.size > 0, evidence.size > 0
    size = largest(offsets, p0, p1)
    table = np.full(1024, -1, np.int32)
    known, local, places = np.empty(size, keys.dtype), np.empty(size, np.int32), np.empty(size, np.int64)
    first = np.empty(size if has_evidence else 0, np.int64)
    own_times, own_codes, order = np.empty(size, np.int64), np.empty(size, codes.dtype), np.empty(size, np.int64)
    own_starts = np.empty(size if has_starts else 0, np.int64)
    impostors = 0
    for p in range(p0, p1):
        lo, hi = offsets[p], offsets[p + 1]
        m, i, n = hi - lo, np.int64(0), np.int64(0)
        table[:] = -1
        while i < m:
            i, n = _number_cases(keys[lo:hi], i, m, table, known, n, local, places)
            if 2 * n >= table.size:
                table = grow(table, known, n)
        if has_evidence:
            impostors += _count_impostors(evidence[lo:hi], is_witness, text_offsets, text, local, first[:n])
        total = np.int64(0)
        for j in range(n):
            case_starts[lo + j] = lo + total
            total, places[j] = total + places[j], total
        part_starts = starts[lo:hi] if has_starts else starts
        _gather_by_case(times[lo:hi], codes[lo:hi], part_starts, local, places, own_times, own_codes, own_starts)
        begins = case_starts[lo : lo + n]
        target = times[lo:hi], codes[lo:hi], part_starts
        _copy_cases(own_times, own_codes, own_starts, begins, lo, m, order, *target)
        n_cases[p] = n
    return impostors


@kernel
def _adjacent_impostors(keys, witnesses, offsets, text, lo, hi):
    """Count rows that have the key of the row before and another id."""
    impostors, base = 0, np.int64(text.ctypes.data)
    if witnesses.size > 0:
        for i in range(max(lo, 1), hi):
            impostors += (keys[i] == keys[i - 1]) & (witnesses[i] != witnesses[i - 1])
        return impostors
    for i in range(max(lo, 1), hi):
        if keys[i] == keys[i - 1]:
            before, at, end = np.int64(offsets[i - 1]), np.int64(offsets[i]), np.int64(offsets[i + 1])
            impostors += not same_text(base + before, at - before, base + at, end - at)
    return impostors


@kernel
def _count_same(witnesses, offsets, text, rows, others):
    """Count the pairs of rows with one id."""
    same, base = 0, np.int64(text.ctypes.data)
    for i in range(rows.size):
        a, b = rows[i], others[i]
        if witnesses.size > 0:
            same += witnesses[a] == witnesses[b]
        else:
            at, other = np.int64(offsets[a]), np.int64(offsets[b])
            same += same_text(base + at, np.int64(offsets[a + 1]) - at, base + other, np.int64(offsets[b + 1]) - other)
    return same


class KeyCollisionError(Exception):
    """Two different case ids have the same key: the keys have to be made another way."""


@dataclass
class Rows:
    """The rows of a log as arrays: a row's key stands for its case id.

    A key alone is an identity, unless there are `witnesses` or `text` with `text_offsets`: then two rows with one key
    are of one case only if those agree. Without them the arrays are empty.
    `starts` is empty for a log without start times. `codes` are positions in the sorted labels.
    """

    keys: np.ndarray
    witnesses: np.ndarray
    text_offsets: np.ndarray
    text: np.ndarray
    times: np.ndarray
    starts: np.ndarray
    codes: np.ndarray

    @property
    def identity(self) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """What decides between rows with one key."""
        return self.witnesses, self.text_offsets, self.text

    @property
    def has_exact_keys(self) -> bool:
        return len(self.witnesses) == len(self.text_offsets) == 0

    def take(self, order: np.ndarray) -> Rows:
        """Return the rows in another order; only for exact keys."""
        starts = self.starts[order] if len(self.starts) else self.starts
        return Rows(self.keys[order], *self.identity, self.times[order], starts, self.codes[order])


@dataclass
class Cases:
    """A log by case: case c holds the events ``offsets[c]`` up to ``offsets[c + 1]``, in order."""

    offsets: np.ndarray
    times: np.ndarray
    starts: np.ndarray
    codes: np.ndarray
    layout: str

    def __len__(self) -> int:
        return len(self.offsets) - 1


def group(workers: Workers, rows: Rows) -> Cases:
    """Find the cases of a log and bring their events into order.

    Raises
    ------
    KeyCollisionError
        Two different ids have one key.
    """
    heads, falls, falls_in_run = scan_runs(workers, rows.keys, rows.times)
    if not rows.has_exact_keys:
        tasks = [(rows.keys, *rows.identity, lo, hi) for lo, hi in workers.ranges(len(rows.keys))]
        if any(workers.run(_adjacent_impostors, tasks)):
            raise KeyCollisionError
    if not _repeats(workers, rows, heads[:SAMPLE_ROWS]) and not _repeats(workers, rows, heads):
        return _as_they_lie(workers, rows, heads, falls_in_run > 0)
    return _partitioned(workers, rows, "none" if falls else "time")


def _repeats(workers: Workers, rows: Rows, heads: np.ndarray) -> bool:
    """Say whether two of the runs that begin at `heads` are of one case."""
    keys = rows.keys[heads]
    if len(keys) < 2 or np.all(keys[1:] > keys[:-1]):
        return False
    first = first_of(workers, keys)
    again = np.flatnonzero(first != np.arange(len(first)))
    if len(again) == 0:
        return False
    if not rows.has_exact_keys and not _count_same(*rows.identity, heads[again], heads[first[again]]):
        raise KeyCollisionError
    return True


def _as_they_lie(workers: Workers, rows: Rows, heads: np.ndarray, unordered: bool) -> Cases:
    offsets = np.append(heads, len(rows.keys))
    times, starts, codes = rows.times, rows.starts, rows.codes
    if unordered:
        times, starts, codes = np.empty_like(times), np.empty_like(starts), np.empty_like(codes)
        order = [np.empty(np.diff(offsets).max(), np.int64) for _ in range(workers.threads)]
        tasks = zip(workers.groups(offsets), order, strict=False)
        source, target = (rows.times, rows.codes, rows.starts), (times, codes, starts)
        workers.run(_copy_cases, [(*source, heads[c0:c1], 0, offsets[c1], own, *target) for (c0, c1), own in tasks])
    return Cases(offsets, times, starts, codes, "case")


def _partitioned(workers: Workers, rows: Rows, layout: str) -> Cases:
    n = len(rows.keys)
    mask, ranges, offsets = partition_places(workers, rows.keys, ROWS_PER_PARTITION)
    keys, times, codes = np.empty_like(rows.keys), np.empty(n, np.int64), np.empty_like(rows.codes)
    starts = np.empty(len(rows.starts), np.int64)
    evidence = np.empty(0 if rows.has_exact_keys else n, np.int64)
    source = rows.keys, rows.times, rows.starts, rows.codes, rows.witnesses
    target = keys, times, starts, codes, evidence
    workers.run(_scatter_rows, [(*source, *task, mask, *target) for task in ranges])
    case_starts, n_cases = np.empty(n, np.int64), np.zeros(mask + 1, np.int64)
    fixed = len(rows.witnesses) > 0, rows.text_offsets, rows.text, case_starts, n_cases
    tasks = [(*target, offsets, p0, p1, *fixed) for p0, p1 in workers.groups(offsets, 8)]
    if any(workers.run(_order_partitions, tasks)):
        raise KeyCollisionError
    begins = [case_starts[offsets[p] : offsets[p] + n_cases[p]] for p in range(mask + 1)]
    return Cases(np.concatenate([*begins, [n]]), times, starts, codes, layout)
