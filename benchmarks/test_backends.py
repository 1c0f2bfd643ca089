"""How long does each engine take for the same questions about the same log, once all have given the same answers?

See README.md beside this file for how to run it and how to read it.
"""

from __future__ import annotations

import math
from functools import cache
from typing import Any

import pyarrow as pa
import pytest
from peers import Answers, Duckdb, Peer, Polars, Pycjm, Question

import pycjm

ROUNDS = 5
ENGINES = ("native", "numba", "polars", "duckdb")
LAYOUTS = ("case", "time", "shuffled")


@cache
def log(layout: str, n_events: int) -> pa.Table:
    """The log in memory: int64 ids, activities as a dictionary, microseconds."""
    table = pycjm.synth(n_events, layout=layout).read_all().select(["case_id", "activity", "timestamp"])
    column = table["activity"].dictionary_encode().combine_chunks()
    return table.set_column(1, "activity", column).combine_chunks()


@cache
def peer(engine: str, layout: str, n_events: int, threads: int) -> Peer:
    """An engine with the log in its own form."""
    table = log(layout, n_events)
    if engine in ("native", "numba"):
        return Pycjm(table, layout, threads, engine)
    return {"polars": Polars, "duckdb": Duckdb}[engine](table, layout, threads)


@cache
def truth(question: Question, layout: str, n_events: int, threads: int) -> Answers:
    """What all the others are compared with: two engines have to be wrong in the same way to go unnoticed."""
    native = peer("native", layout, n_events, threads)
    return native.answers(question, native.ask(question))


def close(one: tuple[float, ...], other: tuple[float, ...]) -> bool:
    """Equal but for the last digits: the peers divide and add floats, where pycjm rounds once."""
    return all(math.isclose(a, b, rel_tol=1e-9, abs_tol=1e-9) for a, b in zip(one, other, strict=True))


def above(top: list[tuple[tuple[str, ...], int]]) -> set[tuple[tuple[str, ...], int]]:
    """The variants above the last count, where the cut is arbitrary."""
    return {(path, n) for path, n in top if n > top[-1][1]}


def compare(found: Answers, known: Answers) -> None:
    assert found.counts == known.counts
    assert found.starts == known.starts
    assert found.ends == known.ends
    assert found.gaps.keys() == known.gaps.keys()
    for edge, values in known.gaps.items():
        assert close(found.gaps[edge], values), f"{edge}: {found.gaps[edge]} and {values}"
    assert close(found.durations, known.durations)
    assert found.variants == known.variants
    assert [n for _, n in found.top] == [n for _, n in known.top]
    if known.top:
        assert above(found.top) == above(known.top)


@pytest.mark.parametrize("engine", ENGINES)
@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize("question", ["all", "counts"])
def test_questions(benchmark: Any, question: Question, layout: str, engine: str, events: int, threads: int) -> None:
    asked = peer(engine, layout, events, threads)
    # The first answer is compared and not timed; it also warms up compilers and caches.
    compare(asked.answers(question, asked.ask(question)), truth(question, layout, events, threads))
    benchmark.group = f"{question} questions, layout {layout}, {events:,} events, {threads} threads"
    benchmark.extra_info |= {"engine": asked.name, "question": question, "layout": layout, "events": events}
    benchmark.pedantic(asked.ask, args=(question,), rounds=ROUNDS, iterations=1)
    benchmark.extra_info["events_per_s"] = round(events / benchmark.stats.stats.median)
