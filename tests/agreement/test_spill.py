"""Does a run that puts rows aside give the very same tables, and leave nothing behind?"""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pyarrow as pa
import pytest
from engines import MEASURES, PERCENTILES, THREADS, assert_equal, expected, ipc_bytes, parquet, roles
from random_logs import draw_log

import pycjm

IDS = ["int64", "string", "dictionary", "uuid"]


def mined(events: pa.Table, source: object, threads: int = 2, **options: object) -> pycjm.MiningResult:
    return pycjm.scan(source, **roles(events)).mine(*MEASURES, percentiles=PERCENTILES, threads=threads, **options)


def narrow_log(seed: int, **options: object) -> pa.Table:
    """Many short cases with few activities: the rows take more memory than what is known of them."""
    return draw_log(seed, 60_000, n_cases=25_000, n_activities=3, **options)


@pytest.mark.parametrize("layout", ["time", "none"])
@pytest.mark.parametrize("case_id", IDS)
@pytest.mark.parametrize("with_starts", [False, True])
def test_spilled_is_what_is_held(tmp_path: Path, layout: str, case_id: str, with_starts: bool) -> None:
    """Rows, ids and starts go to disk and come back."""
    events = narrow_log(3, layout=layout, case_id=case_id, with_starts=with_starts)
    path = parquet(tmp_path, events, 4000)
    held = mined(events, path)
    assert held.info["spilled_bytes"] == 0
    spill = tmp_path / "spill"
    spill.mkdir()
    # Every thread has measures of its own, which are not put aside.
    limit = held.info["peak_reserved_bytes"] * 3 // 2
    for threads in THREADS:
        spilled = mined(events, path, threads, memory_limit=limit, spill_dir=spill)
        assert threads < 7 or spilled.info["spilled_bytes"] > 0, "the test has to spill"
        assert ipc_bytes(spilled) == ipc_bytes(held), threads
        assert list(spill.iterdir()) == []


def test_more_activities_than_a_byte_holds(tmp_path: Path) -> None:
    """Some batches have few of them, others many: both meet in one partition."""
    n = 200_000
    case = [i % 50_000 for i in range(n)]
    events = pa.table(
        {
            "case": case,
            "activity": [f"a{c % 7 if i < n // 2 else c % 700}" for i, c in enumerate(case)],
            "timestamp": pa.array(range(n), pa.timestamp("s")),
        }
    )
    log = pycjm.scan(events, **roles(events))
    asked = ("activities", "dfg")
    held = log.mine(*asked, threads=1)
    spilled = log.mine(*asked, threads=1, memory_limit=4_000_000, spill_dir=tmp_path)
    assert spilled.info["spilled_bytes"] > 0
    for name in asked:
        assert spilled[name].to_pyarrow().equals(held[name].to_pyarrow())


def test_spilled_rows_with_ties_and_a_stream_equal_the_reference(tmp_path: Path) -> None:
    events = narrow_log(5, layout="none", time_range=50)
    rows = pa.chunked_array([pa.array(range(events.num_rows, 0, -1))])
    events = events.append_column("order_0", rows)
    wanted = expected(events)
    stream = pa.RecordBatchReader.from_batches(events.schema, events.to_batches(max_chunksize=999))
    for source in (parquet(tmp_path, events, 4000), stream):
        result = mined(events, source, threads=7, memory_limit=5_000_000, spill_dir=tmp_path)
        assert result.info["spilled_bytes"] > 0
        assert_equal(result, wanted)


@pytest.mark.parametrize("layout", ["case", "time"])
@pytest.mark.parametrize("top", [1, 25])
def test_variants_and_case_keys_are_put_aside_in_every_layout(tmp_path: Path, layout: str, top: int) -> None:
    """Most variants are rare, so that the first ones are told by their labels; and percentiles need their cases."""
    events = draw_log(6, 200_000, n_cases=60_000, layout=layout, n_activities=9)
    path = parquet(tmp_path, events, 9000)
    spill = tmp_path / "spill"
    spill.mkdir()

    def mined(threads: int, **space: object) -> pycjm.MiningResult:
        asked = (
            "overview",
            "durations",
            pycjm.measures.variants(top=top, percentiles=[50, 90]),
        )
        return pycjm.scan(path, **roles(events)).mine(*asked, threads=threads, **space)

    held = mined(2)
    variants = held["overview"].to_pyarrow()["variants"][0].as_py()
    assert variants > 15_000
    for threads in THREADS:
        spilled = mined(threads, memory_limit=6_000_000, spill_dir=spill)
        assert spilled.info["spilled_bytes"] > 0
        for name in ("overview", "durations", "variants"):
            assert spilled[name].to_pyarrow().equals(held[name].to_pyarrow()), (name, threads)
        assert list(spill.iterdir()) == []


def test_a_full_spill_directory_is_told_from_a_small_memory(tmp_path: Path) -> None:
    events = narrow_log(3, layout="none")
    source, spill = parquet(tmp_path, events, 4000), tmp_path / "spill"
    spill.mkdir()
    with pytest.raises(pycjm.errors.IoError, match="raise spill_limit") as caught:
        mined(events, source, threads=7, memory_limit=3_000_000, spill_dir=spill, spill_limit=1000)
    assert caught.value.details["limit_bytes"] == 1000
    with pytest.raises(pycjm.errors.IoError, match="nowhere"):
        mined(events, source, threads=7, memory_limit=3_000_000, spill_dir=tmp_path / "nowhere")
    with pytest.raises(pycjm.errors.MemoryLimit, match="raise memory_limit"):
        mined(events, source, memory_limit=300_000, spill_dir=spill)
    assert list(spill.iterdir()) == []
    with pytest.raises(pycjm.errors.InvalidArgument, match="only backend"):
        mined(events, source, spill_dir=spill, backend="reference")


PEAK = """
import re, sys
import pycjm
def peak():  # of this program, not of the one that has started it
    return int(re.search(r"VmHWM:\\s+(\\d+) kB", open("/proc/self/status").read())[1])
options = {"memory_limit": int(sys.argv[2]), "spill_dir": sys.argv[3]} if sys.argv[2] != "0" else {}
log = pycjm.scan(sys.argv[1], case="case_id", activity="activity", timestamp="timestamp")
before = peak()
result = log.mine("activities", "dfg", "durations", threads=2, **options)
counts = result["dfg"].to_pyarrow()["count"].to_pylist()[:5]
print((peak() - before) * 1024, result.info["spilled_bytes"], counts)
"""


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="the peak is read from /proc")
def test_the_process_stays_near_the_limit(tmp_path: Path) -> None:
    """Several times as much as fits: the rows of a log that is not grouped."""
    path = tmp_path / "log.parquet"
    pycjm.write_synth(path, 6_000_000, layout="time", seed=4)
    limit = 32 << 20

    def run(limit: int) -> tuple[int, int, str]:
        args = [sys.executable, "-c", PEAK, os.fspath(path), str(limit), os.fspath(tmp_path)]
        peak, spilled, counts = subprocess.run(args, capture_output=True, text=True, check=True).stdout.split(" ", 2)
        return int(peak), int(spilled), counts

    free, _, counts = run(0)
    peak, spilled, same = run(limit)
    assert (same, spilled > limit) == (counts, True)
    # Decoding the file and the allocator's slack come on top.
    assert peak < limit * 1.1 + (64 << 20) < free, (peak, free)
