"""Do the engines agree on logs that are large enough to be split among threads and partitions?"""

from __future__ import annotations

import random
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pytest
from engines import MEASURES, PERCENTILES, THREADS, assert_equal, expected, ipc_bytes, mine, parquet, roles
from random_logs import CASE_IDS, LAYOUTS, draw_log, in_chunks

import pycjm

N_EVENTS = 30_000
IDS = ["int64", "uint64", "int32", "string", "large_string", "string_view", "dictionary", "uuid", "fixed"]


@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize("case_id", IDS)
def test_layouts_and_ids(tmp_path: Path, layout: str, case_id: str) -> None:
    assert case_id in CASE_IDS
    events = draw_log(1, 6000, n_cases=700, layout=layout, case_id=case_id, with_starts=case_id == "string")
    wanted = expected(events)
    assert wanted["overview"]["layout"][0].as_py() == layout
    of_memory = [ipc_bytes(mine(events, events, threads=threads)) for threads in THREADS]
    assert all(other == of_memory[0] for other in of_memory)
    for source in (events, in_chunks(events, 97), parquet(tmp_path, events, 500)):
        assert_equal(mine(source, events, threads=2), wanted)


@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize("time_range", [200, 10**9])
def test_threads_and_row_groups_change_no_byte(tmp_path: Path, layout: str, time_range: int) -> None:
    events = draw_log(
        4, N_EVENTS, n_cases=4000, layout=layout, time_range=time_range, with_starts=True, n_activities=30
    )
    wanted = expected(events)
    first = None
    for rows in (N_EVENTS, 7001, 512):
        path = parquet(tmp_path, events, rows)
        for threads in THREADS:
            result = mine(path, events, threads=threads)
            if first is None:
                first = ipc_bytes(result)
                assert_equal(result, wanted)
            assert ipc_bytes(result) == first, (rows, threads)


@pytest.mark.parametrize("layout", LAYOUTS)
def test_numba_and_native_and_reference(layout: str) -> None:
    pytest.importorskip("numba")
    events = draw_log(8, N_EVENTS, n_cases=3000, layout=layout, time_range=10**5, with_starts=True)
    log = pycjm.scan(events, **roles(events))
    asked = ("overview", "activities", "dfg", "variants", "durations")
    native = log.mine(*asked)
    for backend in ("numba", "reference"):
        other = log.mine(*asked, backend=backend)
        for name in asked:
            assert other[name].to_pyarrow().equals(native[name].to_pyarrow()), (backend, name)


@pytest.mark.parametrize("threads", THREADS)
def test_the_same_run_again_is_the_same(threads: int) -> None:
    events = draw_log(5, N_EVENTS, n_cases=9000, layout="none", n_activities=200)
    runs = [ipc_bytes(mine(events, events, threads=threads)) for _ in range(4)]
    assert all(run == runs[0] for run in runs)


@pytest.mark.parametrize("n_activities", [1, 255, 256, 257, 20_000])
def test_alphabets(n_activities: int) -> None:
    events = draw_log(6, N_EVENTS, n_cases=2000, n_activities=n_activities)
    assert_equal(mine(events, events, threads=7), expected(events))


@pytest.mark.parametrize("negative", ["keep", "zero"])
def test_many_edges_with_overlaps(tmp_path: Path, negative: str) -> None:
    """So many edges that their gaps are gathered; and under a limit, that they are told of them in between."""
    events = draw_log(9, N_EVENTS, n_cases=2000, n_activities=20_000, with_starts=True)
    wanted = expected(events, negative=negative)
    assert wanted["dfg"].num_rows > 20_000
    assert pc.sum(wanted["dfg"]["negatives"]).as_py() > 1000
    log = pycjm.scan(events, **roles(events), negative=negative)
    for limit in (None, 100 << 20, 40 << 20):
        result = log.mine(*MEASURES, percentiles=PERCENTILES, threads=2, memory_limit=limit, spill_dir=tmp_path)
        assert_equal(result, wanted, what=limit)
    if negative == "keep":
        with pytest.raises(pycjm.errors.InvalidData, match="ticks before"):
            pycjm.scan(events, **roles(events), negative="error").mine("dfg")


@pytest.mark.parametrize(("n_cases", "n_events"), [(1, 20_000), (20_000, 20_000), (2, 3)])
def test_shapes(n_cases: int, n_events: int) -> None:
    for layout in LAYOUTS:
        events = draw_log(2, n_events, n_cases=n_cases, n_activities=3, layout=layout)
        assert_equal(mine(events, events, threads=7), expected(events))


def test_a_case_that_comes_back_at_the_very_end(tmp_path: Path) -> None:
    """All but one row look contiguous; the layout is verified, never assumed."""
    n = 200_000
    case = np.append(np.repeat(np.arange(n // 4), 4), 3)
    at = pa.array(np.append(np.arange(n), 5), pa.timestamp("s"))
    activity = pa.array(np.array(["a", "b", "c"])[np.append(np.arange(n) % 3, 0)])
    events = pa.table({"case": case, "activity": activity, "timestamp": at.cast(pa.timestamp("us"))})
    for source in (events, parquet(tmp_path, events, 10_000)):
        result = mine(source, events, threads=2)
        (row,) = result["overview"].to_pyarrow().to_pylist()
        assert (row["cases"], row["layout"]) == (n // 4, "none")
        assert result["cases"].to_pyarrow()["events"].to_pylist()[3] == 5
    assert_equal(result, expected(events))


def test_cases_across_many_row_groups(tmp_path: Path) -> None:
    """A contiguous log whose cases span the seams of row groups, some of them many."""
    rng = np.random.default_rng(3)
    lengths = rng.choice([1, 2, 40, 900], 300)
    case = np.repeat(rng.permutation(300), lengths)
    at = np.concatenate([rng.integers(0, 500, length) for length in lengths])
    names = np.array(["a", "b", "c", "d"])[rng.integers(0, 4, len(case))]
    events = pa.table({"case": case, "activity": names, "timestamp": pa.array(at, pa.timestamp("us", "UTC"))})
    wanted = expected(events)
    assert wanted["overview"]["layout"][0].as_py() == "case"
    seen = set()
    for rows in (13, 100, 1000):
        path = parquet(tmp_path, events, rows)
        for threads in THREADS:
            result = mine(path, events, threads=threads)
            assert_equal(result, wanted, what=(rows, threads))
            seen.add(tuple(ipc_bytes(result).values()))
    assert len(seen) == 1


def test_equal_under_a_memory_limit_or_refused(tmp_path: Path) -> None:
    events = draw_log(12, N_EVENTS, n_cases=5000)
    path = parquet(tmp_path, events, 4096)
    wanted = ipc_bytes(mine(path, events))
    log = pycjm.scan(path, **roles(events))
    limits = (1 << 10, 1 << 18, 1 << 20, 1 << 22, 1 << 30)
    told = []
    for limit in limits:
        try:
            result = log.mine(*wanted, percentiles=(50, 90, 99.9, 0, 100), memory_limit=limit)
        except pycjm.errors.MemoryLimit as refused:
            told.append(refused.details)
        else:
            assert ipc_bytes(result) == wanted
    assert 0 < len(told) < len(limits)
    for limit, details in zip(limits, told, strict=False):
        assert details["limit_bytes"] == limit
        assert details["step"]


@pytest.mark.parametrize("layout", ["case", "none"])
def test_the_limit_that_is_named_soon_suffices(tmp_path: Path, layout: str) -> None:
    events = draw_log(14, N_EVENTS, n_cases=5000, layout=layout, case_id="text of 16 bytes")
    log = pycjm.scan(parquet(tmp_path, events, 4096), **roles(events))
    limits = [1]
    while len(limits) < 5:
        try:
            log.mine(memory_limit=limits[-1])
            break
        except pycjm.errors.MemoryLimit as refused:
            limits.append(refused.details["needed_bytes"])
    assert 2 <= len(limits) <= 4, limits
    assert limits[-1] < 300 * N_EVENTS


def test_shuffled_rows_change_nothing_without_ties() -> None:
    rng = np.random.default_rng(0)
    events = draw_log(13, N_EVENTS, n_cases=500, layout="case")
    times = pa.array(rng.permutation(N_EVENTS), pa.timestamp("us", "UTC"))
    events = events.set_column(2, "timestamp", times)
    wanted = mine(events, events)
    order = list(range(N_EVENTS))
    random.Random(0).shuffle(order)
    found = mine(events.take(order), events)
    for name in ("activities", "dfg", "variants", "durations"):
        assert found[name].to_pyarrow().equals(wanted[name].to_pyarrow()), name


@pytest.mark.parametrize("threads", THREADS)
@pytest.mark.parametrize("layout", ["case", "time"])
@pytest.mark.parametrize("drift", ["grows", "falls", "jumps"])
def test_gaps_that_change_in_kind_need_a_second_look_and_stay_exact(
    tmp_path: Path, layout: str, drift: str, threads: int
) -> None:
    """The windows set by the first gaps hold none of the later percentiles."""
    n_cases = 40_000
    base = {"grows": np.arange(n_cases), "falls": np.arange(n_cases)[::-1], "jumps": np.arange(n_cases) // 8000 * 10**6}
    gaps = base[drift] * 7 + np.arange(n_cases) % 5
    # Cases come one after the other, in time, too; every third case goes in a circle.
    begins = np.arange(n_cases) * 10**7
    times = np.stack([begins, begins + gaps, begins + 2 * gaps], axis=1).ravel()
    names = np.where(np.arange(n_cases)[:, None] % 3 == 0, [["a", "b", "a"]], [["a", "b", "c"]]).ravel()
    cases = np.repeat(np.arange(n_cases), 3)
    if layout == "time":
        # The last event of each case comes after the first of the next one.
        times[2::3] += 10**7
    order = np.argsort(times, kind="stable") if layout == "time" else slice(None)
    events = pa.table(
        {
            "case": cases[order],
            "activity": names[order],
            "timestamp": pa.array(times[order], pa.timestamp("us")),
        }
    )
    path = parquet(tmp_path, events, 20_000)
    asked = ("overview", "activities", "dfg", "variants", "durations")
    for source in (events, path):
        result = pycjm.scan(source, **roles(events)).mine(*asked, percentiles=(10, 50, 90, 99.9), threads=threads)
        assert result["overview"].to_pyarrow()["layout"][0].as_py() == layout
        if layout == "case":
            assert result.info["looks"] == 2
        table = result["dfg"].to_pyarrow().to_pydict()
        at = {pair: i for i, pair in enumerate(zip(table["source"], table["target"], strict=True))}
        first = table["p10_s"][at["a", "b"]], table["p50_s"][at["a", "b"]], table["p99_9_s"][at["a", "b"]]
        assert first == pytest.approx([np.percentile(gaps, p) / 1e6 for p in (10, 50, 99.9)], rel=1e-13)
        later = gaps + (10**7 if layout == "time" else 0)
        for target, those in (("a", np.arange(n_cases) % 3 == 0), ("c", np.arange(n_cases) % 3 != 0)):
            assert table["p90_s"][at["b", target]] == pytest.approx(np.percentile(later[those], 90) / 1e6, rel=1e-13)
        durations = 2 * gaps + (10**7 if layout == "time" else 0)
        (row,) = result["durations"].to_pyarrow().to_pylist()
        assert row["p90_s"] == pytest.approx(np.percentile(durations, 90) / 1e6, rel=1e-13)
        assert row["p50_s"] == pytest.approx(np.percentile(durations, 50) / 1e6, rel=1e-13)
        assert result["activities"].to_pyarrow().to_pydict()["events"] == sorted(
            np.unique(names, return_counts=True)[1].tolist(), reverse=True
        )
