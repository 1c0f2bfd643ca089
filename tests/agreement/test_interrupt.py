"""Does Ctrl-C stop a long run at once, and leave nothing behind?

200 ms are promised; a machine that runs other tests beside may need longer, so a second is allowed and the time is
printed.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

N_EVENTS = 2_500_000
ALLOWED_S = 1.0
PROGRAM = Path(__file__).with_name("interrupted.py")


@pytest.fixture(scope="module")
def large_log(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Some million events without order, with text ids: every phase of the engine takes its time."""
    rng = np.random.default_rng(1)
    ids = pa.array([f"customer-{i:07d}" for i in range(N_EVENTS // 8)])
    names = pa.array([f"activity {i}" for i in range(40)])
    table = pa.table(
        {
            "case": ids.take(pa.array(rng.integers(0, len(ids), N_EVENTS))),
            "activity": names.take(pa.array(rng.integers(0, 40, N_EVENTS))),
            "timestamp": pa.array(rng.integers(0, 2**40, N_EVENTS), pa.timestamp("us", "UTC")),
        }
    )
    path = tmp_path_factory.mktemp("large") / "log.parquet"
    pq.write_table(table, path, row_group_size=1 << 18, compression="zstd")
    return path


def interrupted(path: Path, phase: str, delay_s: float, *space: object) -> dict[str, Any]:
    """What the program tells of its interrupted run, with a memory limit and a directory where they are given."""
    command = [sys.executable, str(PROGRAM), str(path), phase, str(delay_s), *map(str, space)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr
    assert "panicked" not in done.stderr
    return json.loads(done.stdout)


@pytest.mark.parametrize("delay_s", [0.0, 0.15, 0.5])
def test_a_run_stops_and_nothing_is_left(large_log: Path, delay_s: float) -> None:
    told = interrupted(large_log, "any", delay_s)
    if "stopped_s" not in told:
        pytest.skip("the run was over before the signal came")
    print(f"stopped {1000 * told['stopped_s']:.0f} ms after the signal, in {told['phases'][-1]!r}")
    assert told["stopped_s"] < ALLOWED_S
    assert told["threads_left"] <= 0
    assert told["bytes_left"] < 200 << 20
    assert told["events_again"] == N_EVENTS


def test_every_phase_can_be_stopped(large_log: Path) -> None:
    """The signal comes as soon as a phase has been seen, for each phase that a whole run shows."""
    whole = interrupted(large_log, "no such phase", 0.0)
    assert whole["signals"] == 0
    print("phases:", whole["phases"])
    for phase in whole["phases"]:
        told = interrupted(large_log, phase, 0.0)
        if "stopped_s" in told:
            print(f"stopped {1000 * told['stopped_s']:.0f} ms after the signal, in {phase!r}")
            assert told["stopped_s"] < ALLOWED_S, phase


@pytest.mark.parametrize("limited", [False, True])
def test_a_run_stops_at_any_moment(large_log: Path, tmp_path: Path, limited: bool) -> None:
    """Moments spread over the whole run, at random; a machine under load is given two seconds."""
    space = (64_000_000, tmp_path) if limited else ()
    whole_s = interrupted(large_log, "no such phase", 0.0, *space)["took_s"]
    stopped = []
    for share in np.random.default_rng(7).uniform(0, 1, 6):
        told = interrupted(large_log, "any", share * whole_s, *space)
        if "stopped_s" not in told:
            continue
        stopped.append(told["phases"][-1])
        print(f"stopped {1000 * told['stopped_s']:.0f} ms after the signal, in {told['phases'][-1]!r}")
        assert told["stopped_s"] < 2 * ALLOWED_S
        assert told["threads_left"] <= 0
        assert told.get("files_left", []) == []
        assert told["events_again"] == N_EVENTS
    assert stopped, "every run was over before its signal came"


def test_the_program_leaves_no_file(large_log: Path, tmp_path: Path) -> None:
    out = tmp_path / "parent" / "out"
    roles = ["--case", "case", "--activity", "activity", "--timestamp", "timestamp", "--quiet"]
    command = [sys.executable, "-m", "pycjm", "mine", str(large_log), *roles, "--out", str(out), "--measure", "cases"]
    environment = {**os.environ, "PYTHONSAFEPATH": "1"}
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=environment)
    time.sleep(1.2)
    process.send_signal(signal.SIGINT)
    sent = time.monotonic()
    stdout, stderr = process.communicate(timeout=30)
    took_s = time.monotonic() - sent
    if process.returncode == 0:
        pytest.skip("the run was over before the signal came")
    print(f"ended {1000 * took_s:.0f} ms after the signal")
    assert (process.returncode, stdout) == (130, ""), stderr
    assert "Traceback" not in stderr
    assert took_s < ALLOWED_S + 0.5  # the interpreter ends, too
    assert not out.exists()
    assert not (out.parent.exists() and os.listdir(out.parent))
