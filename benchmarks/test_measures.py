"""What does each measure cost alone, and each type of case id, beside all measures together?

Asked alone a measure pays for reading and grouping by itself: what it adds is the difference to ``counting``, the
cheapest of all. See README.md beside this file for how to run it and how to read it.
"""

from __future__ import annotations

from functools import cache
from typing import Any

import pyarrow as pa
import pytest

import pycjm
from pycjm import measures

ROUNDS = 5
LAYOUTS = ("case", "time", "shuffled")
ASKED: dict[str, tuple[Any, ...]] = {
    "counting": ("activities",),
    "overview": ("overview",),
    "dfg without percentiles": (measures.dfg(percentiles=[]),),
    "dfg": ("dfg",),
    "variants": (measures.variants(top=100),),
    "durations": ("durations",),
    "cases": ("cases",),
    "all but cases": ("overview", "activities", "dfg", measures.variants(top=100), "durations"),
}


@cache
def log(layout: str, case_id: str, n_events: int) -> pa.Table:
    """The log in memory, activities as a dictionary."""
    table = pycjm.synth(n_events, layout=layout, case_id=case_id).read_all()
    column = table["activity"].dictionary_encode().combine_chunks()
    return table.set_column(table.schema.get_field_index("activity"), "activity", column).combine_chunks()


def mine(table: pa.Table, asked: tuple[Any, ...], threads: int, **options: Any) -> int:
    """Rows of all tables, so that each of them is made."""
    source = pycjm.scan(table, case="case_id", activity="activity", timestamp="timestamp")
    result = source.mine(*asked, threads=threads, **options)
    return sum(result[name].to_pyarrow().num_rows for name in result)


@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize("name", ASKED)
def test_measures(benchmark: Any, name: str, layout: str, events: int, threads: int) -> None:
    benchmark.group = f"measures, layout {layout}, {events:,} events, {threads} threads"
    benchmark.pedantic(mine, args=(log(layout, "int", events), ASKED[name], threads), rounds=ROUNDS, warmup_rounds=1)
    benchmark.extra_info["events_per_s"] = round(events / benchmark.stats.stats.median)


@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize("case_id", ["int", "string"])
def test_case_ids(benchmark: Any, case_id: str, layout: str, events: int, threads: int) -> None:
    benchmark.group = f"case ids, layout {layout}, {events:,} events, {threads} threads"
    table = log(layout, case_id, events)
    benchmark.pedantic(mine, args=(table, ASKED["all but cases"], threads), rounds=ROUNDS, warmup_rounds=1)
    benchmark.extra_info["events_per_s"] = round(events / benchmark.stats.stats.median)


@pytest.mark.parametrize("layout", LAYOUTS)
def test_spilling(benchmark: Any, layout: str, events: int, threads: int, tmp_path: Any) -> None:
    """All measures with room for a part of the rows only."""
    benchmark.group = f"spilling, layout {layout}, {events:,} events, {threads} threads"
    space = {"memory_limit": events * 8, "spill_dir": tmp_path}
    args = (log(layout, "int", events), ASKED["all but cases"], threads)
    benchmark.pedantic(mine, args=args, kwargs=space, rounds=ROUNDS, warmup_rounds=1)
