"""What is asked of every engine, in which form are answers compared, and when are two the same?"""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

QUESTIONS = ("all", "counts")
"""``all``: edges with count, mean, minimum, maximum and percentiles of their gaps; starts and ends; number, mean and
percentiles of the case durations; the number of variants and the 100 most frequent. ``counts``: edges, starts and ends,
counted."""
PERCENTILES = (50, 90, 95, 99)
TOP = 100

Edge = tuple[str, str]


@dataclass
class Answers:
    """The answers in one form. Times are in seconds."""

    counts: dict[Edge, int]
    starts: dict[str, int]
    ends: dict[str, int]
    gaps: dict[Edge, tuple[float, ...]] = field(default_factory=dict)
    """Mean, minimum, maximum and the percentiles."""
    durations: tuple[float, ...] = ()
    """Number of cases, mean and the percentiles."""
    variants: int = 0
    top: list[tuple[tuple[str, ...], int]] = field(default_factory=list)

    def to_json(self) -> dict[str, Any]:
        """As JSON has it: without tuples as keys."""
        return {
            "counts": [[*edge, n] for edge, n in self.counts.items()],
            "starts": self.starts,
            "ends": self.ends,
            "gaps": [[*edge, values] for edge, values in self.gaps.items()],
            "durations": self.durations,
            "variants": self.variants,
            "top": self.top,
        }

    @staticmethod
    def from_json(told: dict[str, Any]) -> Answers:
        """The inverse of :meth:`to_json`."""
        return Answers(
            {(source, target): n for source, target, n in told["counts"]},
            told["starts"],
            told["ends"],
            {(source, target): tuple(values) for source, target, values in told["gaps"]},
            tuple(told["durations"]),
            told["variants"],
            [(tuple(path), n) for path, n in told["top"]],
        )


def difference(found: Answers, known: Answers) -> str | None:
    """The first thing in which answers differ from the right ones, or None.

    Counts have to be equal, times equal but for the last digits: other tools divide and add floats, where pycjm rounds
    once. Where there are more variants than are listed, those with the smallest count are not compared, because the cut
    through them is arbitrary.
    """
    return (
        _first("edge", found.counts, known.counts)
        or _first("start", found.starts, known.starts)
        or _first("end", found.ends, known.ends)
        or _first("gaps of", found.gaps, known.gaps)
        or (None if _same(found.durations, known.durations) else _told("case durations", found, known, "durations"))
        or (None if found.variants == known.variants else _told("number of variants", found, known, "variants"))
        or _top(found.top, known.top, is_cut=known.variants > TOP)
    )


def added(counts: Iterable[tuple[str, int]]) -> dict[str, int]:
    """The sums by name, without zeros."""
    total: dict[str, int] = {}
    for name, n in counts:
        total[name] = total.get(name, 0) + n
    return {name: n for name, n in total.items() if n}


def _first(what: str, found: dict[Any, Any], known: dict[Any, Any]) -> str | None:
    for key in sorted(found.keys() | known.keys()):
        one, other = found.get(key), known.get(key)
        if one is None or other is None or not _same(one, other):
            name = " -> ".join(key) if isinstance(key, tuple) else key
            return f"{what} {name}: {one}, native says {other}"
    return None


def _same(one: Any, other: Any) -> bool:
    if one is None or other is None or isinstance(one, int) or isinstance(other, int):
        return one == other
    if len(one) != len(other):
        return False
    return all(_close(a, b) for a, b in zip(one, other, strict=True))


def _close(one: float | None, other: float | None) -> bool:
    if one is None or other is None:
        return one is other
    return math.isclose(one, other, rel_tol=1e-9, abs_tol=1e-9)


def _told(what: str, found: Answers, known: Answers, name: str) -> str:
    return f"{what}: {getattr(found, name)}, native says {getattr(known, name)}"


def _top(
    found: list[tuple[tuple[str, ...], int]], known: list[tuple[tuple[str, ...], int]], *, is_cut: bool
) -> str | None:
    one, other = ([n for _, n in top] for top in (found, known))
    if one != other:
        place = next((k for k, (a, b) in enumerate(zip(one, other, strict=False)) if a != b), min(len(one), len(other)))
        return f"variant {place + 1}: {one[place:][:1]} cases, native says {other[place:][:1]}"
    # Where the list is cut, which variants of the last count are in it is arbitrary.
    sets = ({(tuple(path), n) for path, n in top if not is_cut or n > top[-1][1]} for top in (found, known))
    apart = sorted(set.symmetric_difference(*sets))
    return f"only one of the two has the variant {' -> '.join(apart[0][0])} ({apart[0][1]} cases)" if apart else None
