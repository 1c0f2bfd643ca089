"""Does a process stay near its memory limit, with a log of more than ten times that size, and say the same?"""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
import pytest

import pycjm

pytestmark = pytest.mark.skipif(not sys.platform.startswith("linux"), reason="the peak is read from /proc")

LIMIT = 12 << 20
BEYOND = 64 << 20
"""What does not grow with the log: see docs/large-logs.md."""
MOST = int(LIMIT * 1.1) + BEYOND
CHEAP = ("overview", "activities", "dfg", "durations")

RUN = """
import hashlib, json, re, sys
import pycjm

def status(name):
    return int(re.search(name + r":\\s+(\\d+) kB", open("/proc/self/status").read())[1]) * 1024

path, limit, spill_dir, asked, percentiles = json.loads(sys.argv[1])
log = pycjm.scan(path, case="case_id", activity="activity", timestamp="timestamp")
log.describe()
before = status("VmRSS")
space = {"memory_limit": limit, "spill_dir": spill_dir} if limit else {"memory_limit": "none"}
result = log.mine(*asked, threads=2, percentiles=percentiles, **space)
digest, rows = hashlib.sha256(), 0
for name in asked:
    for batch in result[name].to_reader():
        rows += batch.num_rows
        for column in batch.columns:
            for buffer in column.buffers():
                if buffer is not None:
                    digest.update(buffer)
print(json.dumps([status("VmHWM") - before, result.info["spilled_bytes"], rows, digest.hexdigest()]))
"""


def run(path: Path, limit: int, asked: tuple[str, ...], percentiles: Sequence[float]) -> Any:
    """Bytes that the process took, bytes on disk, rows and a hash of all tables."""
    told = json.dumps([str(path), limit, str(path.parent), asked, list(percentiles)])
    done = subprocess.run([sys.executable, "-c", RUN, told], capture_output=True, text=True, check=True)
    return json.loads(done.stdout)


def check(path: Path, asked: tuple[str, ...], *, is_larger: bool, percentiles: Sequence[float] = ()) -> None:
    free, nothing, *wanted = run(path, 0, asked, percentiles)
    peak, spilled, *told = run(path, LIMIT, asked, percentiles)
    assert (told, nothing) == (wanted, 0)
    assert spilled > 0
    assert peak <= MOST, f"{peak / 2**20:.0f} MiB"
    # A limit that nobody needs would prove nothing.
    assert not is_larger or free > MOST, f"{free / 2**20:.0f} MiB"


@pytest.mark.parametrize("layout", ["case", "time", "shuffled"])
@pytest.mark.parametrize("case_id", ["int", "string"])
def test_large_logs(tmp_path: Path, layout: str, case_id: str) -> None:
    """Their rows take ten times the limit in memory: 17 bytes each, or 42 with their ids."""
    path = tmp_path / "log.parquet"
    pycjm.write_synth(path, 7_500_000 if case_id == "int" else 3_500_000, layout=layout, case_id=case_id, seed=3)
    check(path, CHEAP, is_larger=layout != "case")


@pytest.mark.parametrize("layout", ["case", "shuffled"])
def test_all_variants_and_all_cases(tmp_path: Path, layout: str) -> None:
    """A third of a million variants are listed, and each case has the rank of its own."""
    path = tmp_path / "log.parquet"
    pycjm.write_synth(path, 7_500_000, layout=layout, seed=3)
    check(path, ("variants", "cases"), is_larger=True)


def test_many_percentiles_of_all_variants(tmp_path: Path) -> None:
    path = tmp_path / "log.parquet"
    pycjm.write_synth(path, 2_000_000, layout="case", seed=3)
    check(path, ("variants",), is_larger=True, percentiles=range(0, 101, 2))


@pytest.mark.parametrize("cases", [500, 2_500_000])
@pytest.mark.parametrize("activities", [2, 300])
def test_few_and_many_cases_and_activities(tmp_path: Path, cases: int, activities: int) -> None:
    """Few cases are long ones, and many have an event or two; with many, what is known of each case is large, too."""
    n, rng = 7_500_000, np.random.default_rng(5)
    path, step = tmp_path / "log.parquet", 250_000
    kinds = pa.array([f"step {i}" for i in range(activities)])
    with pq.ParquetWriter(path, _schema()) as writer:
        for first in range(0, n, step):
            times = np.arange(first, first + step)
            case = rng.integers(0, cases, step)
            # Of many activities, each case sees a few.
            activity = (case + rng.integers(0, 2, step)) % activities
            columns = [pa.array(case), pc.take(kinds, pa.array(activity)), pa.array(times).cast(pa.timestamp("s"))]
            writer.write_table(pa.table(columns, schema=_schema()), row_group_size=step)
    check(
        path, ("activities", "dfg", "durations") if cases < 1000 else ("overview", "cases", "durations"), is_larger=True
    )


def _schema() -> pa.Schema:
    return pa.schema([("case_id", pa.int64()), ("activity", pa.string()), ("timestamp", pa.timestamp("s"))])
