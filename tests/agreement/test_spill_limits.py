"""Does every way of running out end as it should: of memory for one case, of disk, of expectations about the size?"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from engines import THREADS

import pycjm

ASKED = ("overview", "activities", "dfg", "durations", pycjm.measures.variants(top=20))
ROLES = {"case": "case", "activity": "activity", "timestamp": "timestamp"}


def said(result: pycjm.MiningResult) -> dict[str, pa.Table]:
    """All tables, to be compared."""
    return {name: result[name].to_pyarrow() for name in result}


def log_with_a_large_case(layout: str, n_events: int = 600_000, share: float = 0.6) -> pa.Table:
    """One case has a share of all events, some thousand others the rest."""
    rng = np.random.default_rng(5)
    case = np.where(rng.random(n_events) < share, 0, rng.integers(1, 20_000, n_events))
    time = rng.integers(0, 2**40, n_events)
    rows = {"case": np.lexsort((time, case)), "time": np.argsort(time, kind="stable"), "none": np.arange(n_events)}
    names = pa.array([f"activity {i}" for i in range(6)])
    table = pa.table(
        {
            "case": case,
            "activity": names.take(pa.array(rng.integers(0, 6, n_events))),
            "timestamp": pa.array(time, pa.timestamp("us", "UTC")),
        }
    )
    return table.take(pa.array(rows[layout]))


@pytest.mark.parametrize("layout", ["case", "time", "none"])
def test_one_large_case_names_a_limit_that_is_enough(tmp_path: Path, layout: str) -> None:
    path, spill = tmp_path / "log.parquet", tmp_path / "spill"
    spill.mkdir()
    pq.write_table(log_with_a_large_case(layout), path, row_group_size=50_000)
    log = pycjm.scan(path, **ROLES)
    wanted = said(log.mine(*ASKED, threads=1))
    for threads in THREADS:
        options = {"threads": threads, "spill_dir": spill}
        with pytest.raises(pycjm.errors.MemoryLimit, match="too small for the largest case") as caught:
            log.mine(*ASKED, memory_limit=8_000_000, **options)
        details = caught.value.details
        assert (details["step"], details["limit_bytes"]) == ("the largest case", 8_000_000)
        enough = log.mine(*ASKED, memory_limit=details["needed_bytes"], **options)
        assert enough.info["peak_reserved_bytes"] <= details["needed_bytes"]
        assert said(enough) == wanted, threads
        assert list(spill.iterdir()) == []


def test_a_stream_that_does_not_say_how_long_it_is(tmp_path: Path) -> None:
    """It is many times as large as the memory, which shows only on the way."""
    rng = np.random.default_rng(6)
    n_events = 2_000_000
    table = pa.table(
        {
            "case": rng.integers(0, 700_000, n_events),
            "activity": pa.array(["a", "b", "c"]).take(pa.array(rng.integers(0, 3, n_events))),
            "timestamp": pa.array(np.arange(n_events), pa.timestamp("s")),
        }
    )

    def mined(**space: Any) -> pycjm.MiningResult:
        stream = pa.RecordBatchReader.from_batches(table.schema, table.to_batches(max_chunksize=10_000))
        return pycjm.scan(stream, **ROLES).mine("activities", "durations", **space)

    wanted = said(mined())
    for threads in (1, 2):
        result = mined(threads=threads, memory_limit=4_000_000 * threads, spill_dir=tmp_path)
        assert said(result) == wanted
        # A packed row takes 3 bytes for the case, 3 for the second, 1 for the activity: all rows went to disk.
        assert result.info["spilled_bytes"] > n_events * 7
        assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("role", ["case", "order_by"])
def test_texts_that_get_longer_than_the_first_rows_say(tmp_path: Path, role: str) -> None:
    """What was thought to fit goes to disk when it does not: no limit fails where a smaller one is enough."""
    rng = np.random.default_rng(7)
    n_events, short = 30_000, 2_000
    case = rng.integers(0, 5_000, n_events)
    long_text = ["" if row < short else "x" * 1_000 for row in range(n_events)]
    ids = [f"{number}{text}" for number, text in zip(case, long_text, strict=True)]
    order = [f"{text}{row}" for row, text in enumerate(long_text)]
    table = pa.table(
        {
            "case": ids if role == "case" else case,
            "activity": pa.array(["a", "b", "c"]).take(pa.array(rng.integers(0, 3, n_events))),
            "timestamp": pa.array(rng.integers(0, 1_000, n_events), pa.timestamp("us")),
            "order": order if role == "order_by" else np.arange(n_events),
        }
    )
    path, spill = tmp_path / "log.parquet", tmp_path / "spill"
    spill.mkdir()
    pq.write_table(table, path, row_group_size=short)
    log = pycjm.scan(path, **ROLES, order_by="order")
    wanted = said(log.mine(*ASKED, threads=1))
    spilled = []
    for megabytes in (12, 30, 50, 60, 70, 80, 90, 120, 200):
        for threads in (1, 2):
            result = log.mine(*ASKED, threads=threads, memory_limit=megabytes * 1_000_000, spill_dir=spill)
            assert said(result) == wanted, (megabytes, threads)
            spilled.append(result.info["spilled_bytes"] > 0)
            assert list(spill.iterdir()) == []
    assert spilled[0]
    assert not spilled[-1]


@pytest.mark.parametrize("distinct", [1, 5, 300])
def test_gaps_that_repeat_take_little(tmp_path: Path, distinct: int) -> None:
    """Equal gaps are kept as one with a number, long before they are many."""
    rng = np.random.default_rng(8)
    n_events = 1_500_000
    table = pa.table(
        {
            "case": rng.integers(0, 50_000, n_events),
            "activity": pa.array(["a", "b", "c", "d"]).take(pa.array(rng.integers(0, 4, n_events))),
            "timestamp": pa.array(rng.integers(0, distinct, n_events) * 60, pa.timestamp("s")),
        }
    )
    log = pycjm.scan(table, **ROLES)
    wanted = said(log.mine("dfg", threads=1))
    for threads in (1, 2):
        result = log.mine("dfg", threads=threads, memory_limit=6_500_000, spill_dir=tmp_path)
        assert said(result) == wanted


OUT_OF_DISK = """
import json, os, resource, sys
import pycjm
source, spill, how = sys.argv[1:]
if how == "file size":
    resource.setrlimit(resource.RLIMIT_FSIZE, (300_000, resource.RLIM_INFINITY))
log = pycjm.scan(source, case="case", activity="activity", timestamp="timestamp")
def mine(spill):
    return log.mine("activities", "durations", threads=2, memory_limit=8_000_000, spill_dir=spill)
try:
    mine(spill)
except pycjm.errors.IoError as error:
    told = {"message": str(error), "errno": error.errno, **error.details}
told["left"] = [os.listdir(spill), [fd for fd in os.listdir("/proc/self/fd") if "spill" in
    (os.path.realpath(f"/proc/self/fd/{fd}"))]]
if how == "file size":
    resource.setrlimit(resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
again = mine(spill if how == "file size" else os.path.dirname(source))
told["again"] = [again.info["spilled_bytes"] > 0, sum(again["activities"].to_pyarrow()["events"].to_pylist())]
print(json.dumps(told))
"""


@pytest.fixture(scope="module")
def small_log(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A log that puts more than a few megabytes aside."""
    path = tmp_path_factory.mktemp("log") / "log.parquet"
    pq.write_table(log_with_a_large_case("none", share=0.0), path, row_group_size=50_000)
    return path


def out_of_disk(command: list[str], path: Path, spill: Path, how: str) -> dict[str, Any]:
    """What a program tells that ran out of disk and tried again elsewhere."""
    program = [sys.executable, "-c", OUT_OF_DISK, os.fspath(path), os.fspath(spill), how]
    done = subprocess.run([*command, *program], capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr
    told = json.loads(done.stdout)
    assert told["path"] == os.fspath(spill)
    assert told["needed_bytes"] > 100_000
    assert f"{told['needed_bytes']} bytes are needed there by now" in told["message"]
    assert told["left"] == [[], []]
    assert told["again"] == [True, 600_000]
    return told


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="the program looks into /proc")
def test_a_file_that_may_not_grow(small_log: Path, tmp_path: Path) -> None:
    spill = tmp_path / "spill"
    spill.mkdir()
    told = out_of_disk([], small_log, spill, "file size")
    assert told["errno"] == 27  # file too large
    assert told["free_bytes"] > 300_000


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="only Linux lets a test have a disk of its own")
def test_a_full_disk(small_log: Path, tmp_path: Path) -> None:
    spill = tmp_path / "spill"
    spill.mkdir()
    mount = f'mount -t tmpfs -o size=1m tmpfs "{spill}"'
    own = ["unshare", "--map-root-user", "--mount", "sh", "-c"]
    if subprocess.run([*own, mount], capture_output=True).returncode != 0:
        pytest.skip("this machine does not let a test mount a file system")
    told = out_of_disk([*own, f'{mount} && exec "$@"', "sh"], small_log, spill, "disk")
    assert told["errno"] == 28  # no space left on device
    assert told["free_bytes"] < 1 << 20
