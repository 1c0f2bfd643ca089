"""Which cases follow the same sequence of activities, and in which order do the sequences stand?

Sequences are grouped by a hash and then compared, each with the first of its group: a hash alone is no identity. Should
two different sequences meet in one hash, other seeds are tried, and at last the sequences themselves are the keys.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise

import numpy as np

from pycjm.backends._jit import Workers, fold, kernel, mix
from pycjm.backends._jit.grouping import Cases
from pycjm.backends._jit.keys import first_of

SEEDS = (1, 2, 3)
HASH_MASK = -1  # all bits; tests narrow it until sequences collide
_FACTOR = -7046029254386353131


@kernel
def _hash_sequences(codes, offsets, c0, c1, seed, mask, hashes):
    for c in range(c0, c1):
        h = mix(seed)
        for i in range(offsets[c], offsets[c + 1]):
            h = fold((h ^ (np.int64(codes[i]) + 1)) * _FACTOR)
        hashes[c] = h & mask


@kernel
def _count_impostors(codes, offsets, first, c0, c1):
    """Count the cases whose sequence is not that of the first case of their group."""
    impostors = 0
    for c in range(c0, c1):
        lo, other = offsets[c], offsets[first[c]]
        if lo == other:
            continue
        n = offsets[c + 1] - lo
        same = offsets[first[c] + 1] - other == n
        i = 0
        while same and i < n:
            same = codes[lo + i] == codes[other + i]
            i += 1
        impostors += not same
    return impostors


@dataclass
class Variants:
    """``of_case[c]`` is the variant of case c; a variant is known by the first of its ``cases`` in number."""

    of_case: np.ndarray
    first_case: np.ndarray
    cases: np.ndarray

    def __len__(self) -> int:
        return len(self.cases)


def group_variants(workers: Workers, cases: Cases) -> Variants:
    """Group the cases by their sequences."""
    first = _first_of_sequence(workers, cases)
    is_first = first == np.arange(len(first))
    number = np.cumsum(is_first) - 1
    of_case = number[first]
    first_case = np.flatnonzero(is_first)
    return Variants(of_case, first_case, np.bincount(of_case, minlength=len(first_case)))


def _first_of_sequence(workers: Workers, cases: Cases) -> np.ndarray:
    ranges = workers.groups(cases.offsets)
    hashes = np.empty(len(cases), np.int64)
    for seed in SEEDS:
        workers.run(_hash_sequences, [(cases.codes, cases.offsets, *task, seed, HASH_MASK, hashes) for task in ranges])
        first = first_of(workers, hashes)
        if not any(workers.run(_count_impostors, [(cases.codes, cases.offsets, first, *task) for task in ranges])):
            return first
    known: dict[bytes, int] = {}
    bounds = cases.offsets.tolist()
    sequences = (cases.codes[lo:hi].tobytes() for lo, hi in pairwise(bounds))
    return np.array([known.setdefault(sequence, c) for c, sequence in enumerate(sequences)], np.int64)


@kernel
def _pack_prefixes(codes, offsets, chosen, bits, prefixes):
    """Pack the first activities of each case chosen into one number that sorts as they do."""
    length = 63 // bits
    for v in range(chosen.size):
        lo = offsets[chosen[v]]
        n = min(length, offsets[chosen[v] + 1] - lo)
        packed = np.int64(0)
        for i in range(n):
            packed = (packed << bits) | (np.int64(codes[lo + i]) + 1)
        prefixes[v] = packed << (bits * (length - n))


def rank_variants(cases: Cases, variants: Variants, n_activities: int, top: int | None) -> np.ndarray:
    """Return the variants with most cases first and equal ones by their labels, no more than `top` of them."""
    top = len(variants) if top is None else min(top, len(variants))
    if top == 0:
        return np.empty(0, np.int64)
    repeated = np.flatnonzero(variants.cases > 1)  # most variants of a long log are followed once
    chosen = repeated if len(repeated) >= top else np.arange(len(variants))
    counts = variants.cases[chosen]
    least = np.partition(counts, len(counts) - top)[len(counts) - top]
    chosen = chosen[counts >= least]
    bits = int(n_activities).bit_length()
    prefixes = np.empty(len(chosen), np.int64)
    _pack_prefixes(cases.codes, cases.offsets, variants.first_case[chosen], bits, prefixes)
    at_least = variants.cases[chosen] == least
    missing = top - np.count_nonzero(~at_least)
    if missing < np.count_nonzero(at_least):
        keep = ~at_least | (prefixes <= np.partition(prefixes[at_least], missing - 1)[missing - 1])
        chosen, prefixes = chosen[keep], prefixes[keep]
    order = np.lexsort((prefixes, -variants.cases[chosen]))
    chosen, prefixes = chosen[order], prefixes[order]
    _order_equal_prefixes(cases, variants, chosen, prefixes, top)
    return chosen[:top]


def _order_equal_prefixes(cases: Cases, variants: Variants, chosen: np.ndarray, prefixes: np.ndarray, top: int) -> None:
    """Order in place, by their whole sequences, the variants that agree in count and prefix and end before `top`."""
    counts = variants.cases[chosen]
    differs = (counts[1:] != counts[:-1]) | (prefixes[1:] != prefixes[:-1])
    bounds = np.concatenate([[0], np.flatnonzero(differs) + 1, [len(chosen)]])
    runs = np.flatnonzero((np.diff(bounds) > 1) & (bounds[:-1] < top))
    big_endian = cases.codes.dtype.newbyteorder(">")

    def sequence(variant: int) -> bytes:
        case = variants.first_case[variant]
        return cases.codes[cases.offsets[case] : cases.offsets[case + 1]].astype(big_endian).tobytes()

    for run in runs:
        lo, hi = bounds[run], bounds[run + 1]
        chosen[lo:hi] = sorted(chosen[lo:hi], key=sequence)


@kernel
def _scatter_values(values, groups, slot_of_group, places, out):
    for i in range(values.size):
        slot = slot_of_group[groups[i]]
        if slot >= 0:
            out[places[slot]] = values[i]
            places[slot] += 1


def values_by_variant(values: np.ndarray, variants: Variants, ranked: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return the cases' values with those of a variant together, for the `ranked` ones, and where each begins."""
    slot_of_variant = np.full(len(variants), -1, np.int64)
    slot_of_variant[ranked] = np.arange(len(ranked))
    offsets = np.concatenate([[0], np.cumsum(variants.cases[ranked])])
    out = np.empty(offsets[-1], np.int64)
    _scatter_values(values, variants.of_case, slot_of_variant, offsets[:-1].copy(), out)
    return out, offsets
