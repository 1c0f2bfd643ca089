"""How long does each engine take for the same questions about the same log, once all have given the same answers?

See README.md beside this file for how to run it and how to read it.
"""

from __future__ import annotations

from functools import cache
from typing import Any

import pyarrow as pa
import pytest

import pycjm
from pycjm.bench.answers import Answers, difference
from pycjm.bench.peers import Log, Means, Peer, load

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
    return load(engine)(Log(log(layout, n_events), None, layout), Means(threads))


@cache
def truth(question: str, layout: str, n_events: int, threads: int) -> Answers:
    """What all the others are compared with: two engines have to be wrong in the same way to go unnoticed."""
    native = peer("native", layout, n_events, threads)
    return native.answers(question, native.ask(question))


@pytest.mark.parametrize("engine", ENGINES)
@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize("question", ["all", "counts"])
def test_questions(benchmark: Any, question: str, layout: str, engine: str, events: int, threads: int) -> None:
    asked = peer(engine, layout, events, threads)
    # The first answer is compared and not timed; it also warms up compilers and caches.
    assert difference(asked.answers(question, asked.ask(question)), truth(question, layout, events, threads)) is None
    benchmark.group = f"{question} questions, layout {layout}, {events:,} events, {threads} threads"
    benchmark.extra_info |= {"engine": engine, "question": question, "layout": layout, "events": events}
    benchmark.pedantic(asked.ask, args=(question,), rounds=ROUNDS, iterations=1)
    benchmark.extra_info["events_per_s"] = round(events / benchmark.stats.stats.median)
