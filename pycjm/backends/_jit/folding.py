"""Which steps and activities do the cases hold, and how long is every gap?

Two passes over cases in order. The first counts in tables of each thread's own, dense where the alphabet is small and
numbered by a hash table where it is large; the second puts each gap beside those of its edge (a counting sort).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from pycjm.backends._jit import Workers, kernel
from pycjm.backends._jit.grouping import Cases
from pycjm.backends._jit.keys import grow, number_key

MAX_DENSE_ACTIVITIES = 512
COUNT, CASES, LAST_CASE = 0, 1, 2  # columns of the table of edges
STARTS, ENDS, IN_CASES, REWORK, MARK = 0, 1, 2, 3, 4  # columns of the table of activities


@kernel
def _number_some(codes, i, hi, n_activities, table, known, n, numbers):
    """Number the edges into the events of one case until the table is half full; return how far that came."""
    while i < hi and 2 * n < table.size:
        key = np.int64(codes[i - 1]) * n_activities + codes[i]
        j = number_key(table, known, n, key)
        if j == n:
            known[n] = key
            n += 1
        numbers[i] = j
        i += 1
    return i, n


@kernel
def _number_edges(codes, offsets, c0, c1, n_activities, numbers):
    """Number the distinct edges of a range of cases as they come; return their keys, source by target."""
    table = np.full(1024, -1, np.int32)
    known = np.empty(512, np.int64)
    n = np.int64(0)
    for c in range(c0, c1):
        i = offsets[c] + 1
        while i < offsets[c + 1]:
            i, n = _number_some(codes, i, offsets[c + 1], n_activities, table, known, n, numbers)
            if 2 * n >= table.size:
                table = grow(table, known, n)
                larger = np.empty(table.size // 2, np.int64)
                larger[:n] = known[:n]
                known = larger
    return known[:n].copy()


@kernel
def _edge(source, target, i, n_activities, numbers, number_to_edge):
    """Return the edge from `source` to `target`, the code of event i."""
    if number_to_edge.size > 0:
        return np.uintp(number_to_edge[numbers[i]])  # unsigned: saves the look whether an index is negative
    return np.uintp(np.int64(source) * n_activities + target)


@kernel
def _mark_activity(activities, code, c):
    """Count an event for its activity, without branches: nobody can predict whether it is its first in the case."""
    mark = activities[code, MARK]
    activities[code, IN_CASES] += mark < 2 * c
    activities[code, REWORK] += mark == 2 * c
    activities[code, MARK] = max(mark + (mark == 2 * c), 2 * c)


@kernel
def _count(codes, times, starts, offsets, c0, c1, n_activities, numbers, number_to_edge, edges, activities, durations):
    """Count a range of cases; return tied pairs, cases with ties, the first time and the last."""
    tied_pairs, tied_cases = 0, 0
    first, last = np.int64(0x7FFFFFFFFFFFFFFF), np.int64(-0x7FFFFFFFFFFFFFFF)
    for c in range(c0, c1):
        lo, hi = offsets[c], offsets[c + 1]
        ties, begin, source, time = 0, starts[lo], codes[lo], times[lo]
        activities[source, STARTS] += 1
        _mark_activity(activities, source, c)
        for i in range(np.uintp(lo + 1), np.uintp(hi)):
            target = codes[i]
            _mark_activity(activities, target, c)
            edge = _edge(source, target, i, n_activities, numbers, number_to_edge)
            edges[edge, COUNT] += 1
            edges[edge, CASES] += edges[edge, LAST_CASE] != c
            edges[edge, LAST_CASE] = c
            ties += times[i] == time
            begin = min(begin, starts[i])
            source, time = target, times[i]
        activities[source, ENDS] += 1
        tied_pairs += ties
        tied_cases += ties > 0
        first, last = min(first, begin), max(last, time)
        durations[c] = time - begin
    return tied_pairs, tied_cases, first, last


@kernel
def _scatter_gaps(codes, times, starts, offsets, c0, c1, n_activities, numbers, number_to_edge, places, gaps):
    for c in range(c0, c1):
        lo, hi = offsets[c], offsets[c + 1]
        source, time = codes[lo], times[lo]
        for i in range(np.uintp(lo + 1), np.uintp(hi)):
            edge = _edge(source, codes[i], i, n_activities, numbers, number_to_edge)
            at = places[edge]
            places[edge] = at + 1
            gaps[np.uintp(at)] = starts[i] - time
            source, time = codes[i], times[i]


def _places_of(values: np.ndarray, ascending: np.ndarray) -> np.ndarray:
    """Return where each value stands among the ascending ones; looked up in order, for neighbours share the cache."""
    order = np.argsort(values)
    places = np.empty(len(values), np.int64)
    places[order] = np.searchsorted(ascending, values[order])
    return places


@dataclass
class Folded:
    """What the first pass counted; edges in ascending order of source and target."""

    edge_keys: np.ndarray
    edge_counts: np.ndarray
    edge_cases: np.ndarray
    activities: np.ndarray
    durations: np.ndarray
    tied_pairs: int
    cases_with_ties: int
    first: int
    last: int


class Folder:
    """Folds over the cases of one log; `gaps` repeats the ranges of `count`, whose tables say where they belong."""

    def __init__(self, workers: Workers, cases: Cases, n_activities: int) -> None:
        self._workers, self._n_activities = workers, n_activities
        starts = cases.starts if len(cases.starts) else cases.times
        self._events = (cases.codes, cases.times, starts, cases.offsets)
        self._n_cases = len(cases)
        ranges = workers.groups(cases.offsets) or [(0, 0)]
        if n_activities <= MAX_DENSE_ACTIVITIES:
            none = np.empty(0, np.int32), np.empty(0, np.int64)
            self._ranges = [(c0, c1, n_activities, *none) for c0, c1 in ranges]
            self._edge_keys = np.arange(n_activities * n_activities)
        else:
            numbers = np.empty(len(cases.codes), np.int32)
            tasks = [(cases.codes, cases.offsets, c0, c1, n_activities, numbers) for c0, c1 in ranges]
            keys = workers.run(_number_edges, tasks)
            merged = np.sort(np.concatenate(keys))
            self._edge_keys = merged[np.r_[True, merged[1:] != merged[:-1]]] if len(merged) else merged
            lookups = workers.run(_places_of, [(own, self._edge_keys) for own in keys])
            self._ranges = [
                # a range without edges has no lookup to use, and an empty one would say that edges are dense
                (c0, c1, n_activities, numbers, lookup if len(lookup) else np.zeros(1, np.int64))
                for (c0, c1), lookup in zip(ranges, lookups, strict=True)
            ]
        self._tables: list[np.ndarray] = []

    def count(self) -> Folded:
        """Run the first pass."""
        self._tables = [np.zeros((len(self._edge_keys), 3), np.int64) for _ in self._ranges]
        activities = [np.zeros((self._n_activities, 5), np.int64) for _ in self._ranges]
        for edges, own in zip(self._tables, activities, strict=True):
            edges[:, LAST_CASE] = -1
            own[:, MARK] = -1
        durations = np.empty(self._n_cases, np.int64)
        tables = zip(self._ranges, self._tables, activities, strict=True)
        ends = self._workers.run(_count, [(*self._events, *task, edges, own, durations) for task, edges, own in tables])
        edges = sum(self._tables)
        used = np.flatnonzero(edges[:, COUNT])
        return Folded(
            edge_keys=self._edge_keys[used],
            edge_counts=edges[used, COUNT],
            edge_cases=edges[used, CASES],
            activities=sum(activities),
            durations=durations,
            tied_pairs=sum(end[0] for end in ends),
            cases_with_ties=sum(end[1] for end in ends),
            first=min(end[2] for end in ends),
            last=max(end[3] for end in ends),
        )

    def gaps(self) -> tuple[np.ndarray, np.ndarray]:
        """Run the second pass; return all gaps with those of an edge together, and where each edge's begin."""
        counts = np.array([edges[:, COUNT] for edges in self._tables])
        totals = counts.sum(axis=0)
        offsets = np.concatenate([[0], np.cumsum(totals)])
        places = offsets[:-1] + np.cumsum(counts, axis=0) - counts
        gaps = np.empty(offsets[-1], np.int64)
        tasks = zip(self._ranges, places, strict=True)
        self._workers.run(_scatter_gaps, [(*self._events, *task, own, gaps) for task, own in tasks])
        return gaps, np.append(offsets[:-1][totals > 0], offsets[-1])
