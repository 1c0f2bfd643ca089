"""Do percentiles within bounds keep their promise, and is it the same answer however a log is mined?"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from engines import THREADS, parquet, roles
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from random_logs import draw_log, in_chunks, logs, reordered
from test_found import ROLES, pairs
from within import assert_within

import pycjm

ASKED = (0, 10, 50, 90, 99.9, 100)
APPROX = (0.0001, 0.001, 0.01, 0.1, 0.5)
TABLES = ("dfg", "variants", "durations")
law = settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.too_slow])


def mine(source: Any, events: pa.Table, *, negative: str = "keep", **options: Any) -> dict[str, pa.Table]:
    """The tables with percentiles; `negative` is for logs with start times."""
    named = roles(events)
    if "start_timestamp" in named:
        named["negative"] = negative
    result = pycjm.scan(source, **named).mine(*TABLES, percentiles=ASKED, **options)
    return {name: result[name].to_pyarrow() for name in TABLES}


@law
@given(
    events=logs(), approx=st.sampled_from(APPROX) | st.floats(0.0001, 0.5), negative=st.sampled_from(["keep", "zero"])
)
def test_all_backends_give_the_same_bounds(events: pa.Table, approx: float, negative: str) -> None:
    found = mine(events, events, approx=approx, negative=negative, threads=1)
    exact = mine(events, events, negative=negative, threads=1)
    for backend in ("reference", "numba"):
        others = mine(events, events, approx=approx, negative=negative, backend=backend)
        for name in TABLES:
            assert _bits(found[name]) == _bits(others[name]), (backend, name)
    for name in TABLES:
        assert_within(found[name], exact[name], approx)


def _bits(table: pa.Table) -> list[list[Any]]:
    """All values, floats to the bit."""
    columns = [(field.name, table[field.name].to_pylist()) for field in table.schema]
    return [
        [name, *(value.hex() if isinstance(value, float) else value for value in values)] for name, values in columns
    ]


@law
@given(events=logs(), size=st.integers(1, 9), seed=st.integers(0, 1000), threads=st.sampled_from(THREADS))
def test_batches_threads_and_the_order_of_cases_do_not_show(
    events: pa.Table, size: int, seed: int, threads: int
) -> None:
    """Rows of a case keep their order; the cases change places."""
    ids = events["case"].combine_chunks().cast(_plain(events["case"].type)).dictionary_encode().indices.to_numpy()
    places = np.random.default_rng(seed).permutation(ids.max(initial=-1) + 1)
    shuffled = reordered(events, np.argsort(places[ids], kind="stable")) if len(ids) else events
    before = mine(events, events, approx=0.01, threads=1)
    for source in (in_chunks(events, size), shuffled):
        after = mine(source, events, approx=0.01, threads=threads)
        assert all(after[name].equals(before[name]) for name in TABLES)


def _plain(kind: pa.DataType) -> pa.DataType:
    """A type of the same values that can be encoded."""
    if isinstance(kind, pa.BaseExtensionType):
        kind = kind.storage_type
    if pa.types.is_dictionary(kind):
        kind = kind.value_type
    return {pa.string_view(): pa.utf8(), pa.binary_view(): pa.binary()}.get(kind, kind)


@pytest.mark.parametrize("layout", ["case", "time", "none"])
@pytest.mark.parametrize("with_starts", [False, True])
def test_threads_memory_and_disk_give_the_same_bounds(tmp_path: Path, layout: str, with_starts: bool) -> None:
    events = draw_log(5, 60_000, n_cases=25_000, n_activities=3, layout=layout, with_starts=with_starts)
    path = parquet(tmp_path, events, 7000)
    exact, first = mine(events, events), mine(events, events, approx=0.01, threads=1)
    for name in TABLES:
        assert_within(first[name], exact[name], 0.01)
    for threads in THREADS:
        for options in ({}, {"memory_limit": 8_000_000, "spill_dir": tmp_path}):
            found = mine(path, events, approx=0.01, threads=threads, **options)
            assert all(found[name].equals(first[name]) for name in TABLES), (threads, options)


def test_many_activities_give_the_same_bounds() -> None:
    """More edges than bins, each with few gaps, which are listed and not yet counted by bucket."""
    events = draw_log(8, 60_000, n_cases=3_000, n_activities=400, layout="case")
    exact, first = mine(events, events), mine(events, events, approx=0.01, threads=1)
    assert first["dfg"].num_rows > 10_000
    for name in TABLES:
        assert_within(first[name], exact[name], 0.01)
    for threads in THREADS[1:]:
        found = mine(events, events, approx=0.01, threads=threads)
        assert all(found[name].equals(first[name]) for name in TABLES), threads


@pytest.mark.parametrize("threads", THREADS)
def test_one_look_and_little_memory_whatever_the_order(threads: int) -> None:
    """Exact percentiles of these gaps need a second look, and room for a million of them."""
    generator = np.random.default_rng(2)
    gaps = np.concatenate([generator.integers(0, 1000, 1100), generator.integers(10**9, 2 * 10**9, 1_000_000)])
    log = pycjm.scan(pairs(gaps), **ROLES)
    exact = log.mine("dfg", "durations", percentiles=[0.05, 50, 99])
    within = log.mine("dfg", "durations", percentiles=[0.05, 50, 99], approx=0.01, threads=threads)
    assert (exact.info["looks"], within.info["looks"]) == (2, 1)
    for name in ("dfg", "durations"):
        assert_within(within[name].to_pyarrow(), exact[name].to_pyarrow(), 0.01)
    few = log.mine("dfg", percentiles=[50], approx=0.01, threads=threads).info["peak_reserved_bytes"]
    none = log.mine("dfg", percentiles=[], threads=threads).info["peak_reserved_bytes"]
    assert few - none < 40_000 * threads


@pytest.mark.parametrize("backend", ["native", "numba", "reference"])
def test_a_percentile_between_gaps_of_both_signs(backend: str) -> None:
    """It may be next to zero, of which no share is left: its bounds are as far apart as those of its neighbours."""
    gaps = [-5000, -1000, 1001, 5000]
    begins = [second for gap in gaps for second in (0, 10_000 + gap)]
    log = pa.table(
        {
            "case": np.repeat(np.arange(4), 2),
            "activity": ["a", "b"] * 4,
            "begin": pa.array(begins, pa.timestamp("s")),
            "end": pa.array([10_000, 20_000] * 4, pa.timestamp("s")),
        }
    )
    named = {"case": "case", "activity": "activity", "timestamp": "end", "start_timestamp": "begin"}
    result = pycjm.scan(log, **named).mine("dfg", percentiles=[0, 50, 100], approx=0.01, backend=backend)
    (row,) = result["dfg"].to_pyarrow().to_pylist()
    # -1000 has the bucket from -1007 to -1000, and 1001 that from 1000 to 1007.
    assert [row[f"p50{end}_s"] for end in ("", "_lo", "_hi")] == [0, -3.5, 3.5]
    for p, extreme in ((0, -5000), (100, 5000)):
        assert {row[f"p{p}{end}_s"] for end in ("", "_lo", "_hi")} == {extreme}
    assert row["negatives"] == 2


def test_a_measure_may_be_exact_beside_one_within_bounds() -> None:
    generator = np.random.default_rng(3)
    gaps = np.concatenate([generator.integers(0, 1000, 1100), generator.integers(10**9, 2 * 10**9, 100_000)])
    log = pycjm.scan(pairs(gaps), **ROLES)
    exact = log.mine("dfg", "durations", percentiles=[50])
    mixed = log.mine("dfg", pycjm.measures.durations(approx=0.1), percentiles=[50])
    assert mixed["dfg"].to_pyarrow().equals(exact["dfg"].to_pyarrow())
    assert_within(mixed["durations"].to_pyarrow(), exact["durations"].to_pyarrow(), 0.1)
    other = log.mine(pycjm.measures.dfg(approx=0.1), "durations", percentiles=[50])
    assert other["durations"].to_pyarrow().equals(exact["durations"].to_pyarrow())
    assert_within(other["dfg"].to_pyarrow(), exact["dfg"].to_pyarrow(), 0.1)
