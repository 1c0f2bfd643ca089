"""Does the script for logs larger than memory record what it says, also of those that fail?"""

from __future__ import annotations

import importlib.util
import json
import os
import subprocess
import sys
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("polars")

ROOT = Path(__file__).resolve().parents[2]


def billion(tmp_path: Path, *more: object) -> dict[str, Any]:
    output = tmp_path / "report.json"
    script = ROOT / "benchmarks" / "billion.py"
    command = [sys.executable, script, "--events", "20k", "--folder", tmp_path, "-o", output, "--threads", "2", *more]
    done = subprocess.run([str(word) for word in command], capture_output=True, text=True, timeout=300, check=False)
    assert done.returncode == 0, done.stderr
    assert done.stdout.strip() == str(output)
    return json.loads(output.read_text())


def test_all_that_was_asked_is_in_the_report(tmp_path: Path) -> None:
    report = billion(
        *(tmp_path, "--layout", "shuffled", "--read-rounds", 2, "--engine", "polars-streaming", "--memory", "2GiB"),
        "--cold",
    )
    assert report["settings"]["cold"] is True
    assert list(report) == [
        *("made_by", "version", "created_at", "machine", "versions", "commit", "settings", "results"),
    ]
    results = {result["engine"]: result for result in report["results"]}
    assert list(results) == ["pycjm synth", "pycjm mine", "pyarrow batches", "polars-streaming"]
    assert {name: result["status"] for name, result in results.items()} == dict.fromkeys(results, "ok")
    assert results["pycjm synth"]["bytes"] > 100_000
    (one,) = results["pycjm mine"]["rounds"]
    assert one["run"]["rows"] == 20_000
    assert {phase["name"] for phase in one["run"]["phases"]} >= {"mining", "finishing"}
    assert len(results["pyarrow batches"]["rounds"]) == 2
    assert [path.name for path in tmp_path.iterdir()] == ["report.json"]


@pytest.mark.skipif(not hasattr(os, "RWF_NOWAIT"), reason="this system does not tell what it has cached")
def test_what_is_cold_is_not_cached(tmp_path: Path) -> None:
    spec = importlib.util.spec_from_file_location("billion", ROOT / "benchmarks" / "billion.py")
    assert spec is not None
    assert spec.loader is not None
    script = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(script)
    path, other = tmp_path / "log", tmp_path / "other"
    for written in (path, other):
        with written.open("wb") as file:
            file.write(bytes(1 << 20))
            file.flush()
            os.fsync(file.fileno())

    def is_cached(file: Path) -> bool:
        with file.open("rb") as opened, suppress(BlockingIOError):
            return os.preadv(opened.fileno(), [bytearray(1)], 1 << 19, os.RWF_NOWAIT) == 1
        return False

    with other.open("rb") as file:
        os.posix_fadvise(file.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)
    if is_cached(other) or not is_cached(path):
        pytest.skip("this file system keeps what it is told to forget, or nothing")
    script._make_ready(path, {"cold": False})
    assert is_cached(path)
    script._make_ready(path, {"cold": True})
    assert not is_cached(path)


@pytest.mark.skipif(not os.path.isdir("/dev/shm"), reason="no file system in memory is known here")
def test_a_log_in_memory_cannot_be_cold(tmp_path: Path) -> None:
    script = ROOT / "benchmarks" / "billion.py"
    command = [sys.executable, script, "--events", "1k", "--cold", "--folder", "/dev/shm", "-o", tmp_path / "report"]
    done = subprocess.run([str(word) for word in command], capture_output=True, text=True, timeout=300, check=False)
    assert (done.returncode, "--cold needs" in done.stderr) == (2, True), done.stderr
    assert list(tmp_path.iterdir()) == []


def test_what_has_no_time_has_a_reason(tmp_path: Path) -> None:
    report = billion(tmp_path, "--layout", "case", "--timeout", 0.01, "--engine", "none", "--keep")
    results = {result["engine"]: result for result in report["results"]}
    # Writing the log has twice the time, which does not suffice either: nothing is left to be asked about.
    assert list(results) == ["pycjm synth"]
    assert (results["pycjm synth"]["status"], results["pycjm synth"]["reason"]) == ("timeout", "longer than 0.02 s")
