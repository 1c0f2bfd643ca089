"""What would an expert's kernel take, written by hand for this very question, over arrays that are made for it?

The log is brought into dense arrays before the clock starts: ids as 64-bit integers (texts are numbered), codes of the
smallest type, times in microseconds. How the rows lie is found out, not believed. The kernels are in ``_kernels``. The
number of variants is exact: the key of a short sequence of activities is the sequence, and a long one is compared with
the first that has the same hash.
"""

from __future__ import annotations

from typing import Any

import numba
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from ... import errors
from ..answers import PERCENTILES, TOP, Answers
from . import Log, Means
from ._kernels import folding, grouping, percentiles, sequences
from .coding import coded

MAX_CODES = 1_024
HASH_SEEDS = 4


class NumbaKernel:
    """Arrays of its own; kernels for these questions and no others."""

    def __init__(self, log: Log, means: Means) -> None:
        # numba has as many threads as it had when it was imported: for a worker those that were asked for.
        self._threads = min(means.threads, numba.config.NUMBA_NUM_THREADS)
        table = log.table
        if table is None:
            table = pq.read_table(log.path, columns=["case_id", "activity", "timestamp"], read_dictionary=["activity"])
        self._labels, codes = coded(table)
        if len(self._labels) > MAX_CODES:
            raise errors.Unsupported(f"tables of {len(self._labels):,} by {len(self._labels):,} activities")
        self._ids = _numbers(table["case_id"])
        self._codes = codes.to_numpy()
        self._times = table["timestamp"].cast(pa.int64()).to_numpy()
        # To numba, arrays that may be written to are another type. Whether those that come from Arrow are depends on
        # their chunks, and a large log must not need other kernels than the small one that is asked about first.
        for array in (self._ids, self._codes, self._times):
            array.flags.writeable = False

    def ask(self, question: str) -> dict[str, Any]:
        """Arrays by name."""
        numba.set_num_threads(self._threads)
        try:
            return self._asked(question, self._as_they_lie() or self._partitioned())
        except folding.UnorderedError:
            return self._asked(question, self._partitioned())

    def _as_they_lie(self) -> grouping.Cases | None:
        """The log as it is, if the rows of each case are together."""
        for ids in (self._ids[: grouping.SAMPLE_ROWS], self._ids):
            offsets = grouping.runs(self._threads, ids)
            cases = grouping.Cases(offsets, self._codes, self._times)
            keys = grouping.ids_of_runs(self._threads, ids, offsets)
            if not sequences.Keys(self._threads, keys).are_different(cases):
                return None
        return cases

    def _partitioned(self) -> grouping.Cases:
        bits = max(len(self._labels) - 1, 1).bit_length()
        return grouping.partitioned(self._threads, self._ids, self._codes, self._times, bits)

    def _asked(self, question: str, cases: grouping.Cases) -> dict[str, Any]:
        fold = folding.Fold(self._threads, cases, len(self._labels))
        if question == "counts":
            counts, ends = fold.count()
            edges = np.flatnonzero(counts)
            return {"edges": edges, "n": counts[edges], "ends": ends}
        for seed in range(HASH_SEEDS):
            bins = fold.bins()
            folded = fold.fold(bins, seed)
            keys = sequences.Keys(self._threads, folded.keys)
            if (variants := keys.sequences(cases, TOP)) is not None:
                break
        else:
            raise errors.InternalError("different sequences of activities have one hash, again and again")
        n = percentiles.merge(self._threads, bins)
        n[-2] = 0
        rows = np.flatnonzero(n)
        n, sums = n[rows], folded.sums[rows]
        ranks, parts = np.divmod((n - 1)[:, None] * np.array(PERCENTILES), 100)
        ranks = np.concatenate([ranks, np.minimum(ranks + 1, (n - 1)[:, None]), 0 * n[:, None], n[:, None] - 1], axis=1)
        order = np.argsort(ranks, axis=1)
        found = np.empty_like(ranks)
        sorted_ranks = np.take_along_axis(ranks, order, axis=1)
        np.put_along_axis(found, order, percentiles.at_ranks(fold, bins, rows, sorted_ranks), axis=1)
        k = len(PERCENTILES)
        points = found[:, :k] + parts / 100 * (found[:, k : 2 * k] - found[:, :k])
        times = np.column_stack([sums / n, found[:, -2:], points]) / 1e6
        number, firsts, top = variants
        return {
            "edges": bins.edges[rows[:-1]],
            "n": n[:-1],
            "ends": folded.ends,
            "gaps": times[:-1],
            "durations": (n[-1], times[-1, 0], *times[-1, 3:]),
            "variants": number,
            "top": [
                (cases.codes[cases.offsets[c] : cases.offsets[c + 1]], k) for c, k in zip(firsts, top, strict=True)
            ],
        }

    def answers(self, question: str, told: dict[str, Any]) -> Answers:
        """Codes as labels."""
        label = self._labels
        pairs = [(label[edge // len(label)], label[edge % len(label)]) for edge in told["edges"]]
        starts, ends = ({label[k]: int(n) for k, n in enumerate(counts) if n} for counts in told["ends"])
        found = Answers(dict(zip(pairs, told["n"].tolist(), strict=True)), starts, ends)
        if question == "all":
            found.gaps = dict(zip(pairs, map(tuple, told["gaps"].tolist()), strict=True))
            n, *times = told["durations"]
            found.durations = (int(n), *(float(value) for value in times))
            found.variants = told["variants"]
            found.top = [(tuple(label[code] for code in path), int(n)) for path, n in told["top"]]
        return found


def _numbers(ids: pa.ChunkedArray) -> np.ndarray:
    """Whole numbers as they are; others by their place among the different ones."""
    if pa.types.is_integer(ids.type):
        return ids.cast(pa.int64()).to_numpy()
    return ids.dictionary_encode().combine_chunks().indices.to_numpy().astype(np.int64)
