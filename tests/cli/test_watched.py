"""Can a program watch a run, and can a person find out what it does?"""

from __future__ import annotations

import itertools
import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from click.testing import Result

import pycjm

Run = Callable[..., Result]

N_EVENTS = 8_000_000


def lines_of_json(stderr: str) -> list[dict[str, Any]]:
    return [json.loads(line) for line in stderr.splitlines() if line.startswith("{")]


@pytest.fixture(scope="module")
def long_log(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """So many events by time that each phase lasts longer than it takes to be told."""
    path = tmp_path_factory.mktemp("long") / "log.parquet"
    pycjm.write_synth(path, N_EVENTS, layout="time")
    return path


def test_progress_as_lines_of_json(shell: Any, long_log: Path, tmp_path: Path) -> None:
    source = long_log
    out = ["--out", tmp_path / "out", "--measure", "cases", "--measure", "dfg", "--measure", "overview"]
    done = shell.run("mine", source, "--progress", "json", "-q", "--memory", "64MB", "--threads", 1, *out)
    assert (done.returncode, done.stdout) == (0, "")
    first, *told, last = lines_of_json(done.stderr)
    assert len(lines_of_json(done.stderr)) == len(done.stderr.splitlines())
    assert first == {"event": "begin", "elapsed_s": 0.0}
    assert (last["event"], last["status"]) == ("end", "ok")
    assert {line["event"] for line in told} == {"progress"}
    phases = [line["phase"] for line in told]
    order = ["partitioning", "mining", "finishing", "writing"]
    assert [phase for phase in order if phase in phases] == list(dict.fromkeys(phases))
    assert {"partitioning", "mining"} <= set(phases)
    for line in told:
        assert line["total"] is None or 0 <= line["done"] <= line["total"]
        if line["phase"] in ("partitioning", "mining"):
            assert (line["unit"], line["total"], line["look"]) == ("rows", N_EVENTS, 1)
        if line["phase"] == "mining":
            assert line["parts_done"] <= line["parts_total"] == 256
    times = [line["elapsed_s"] for line in (first, *told, last)]
    assert times == sorted(times)
    throttled = [b["elapsed_s"] - a["elapsed_s"] for a, b in itertools.pairwise(told) if a["phase"] == b["phase"]]
    assert all(gap >= 0.249 for gap in throttled)


def test_progress_of_a_run_that_fails_or_is_not_wanted(shell: Any, golden: str) -> None:
    failed = shell.run("mine", golden, "--progress", "json", "--memory", "1kB", "-q")
    assert failed.returncode == 4
    assert [line.get("status") for line in lines_of_json(failed.stderr)][-1] == "failed"
    assert failed.stderr.splitlines()[-1].startswith("Error: the memory limit")
    assert shell.run("mine", golden, "-q", "--progress", "none").stderr == ""
    assert "rows" in shell.run("mine", golden, "-q", "--progress", "bar").stderr


@pytest.mark.parametrize("command", ["sort", "synth"])
def test_other_commands_tell_their_phases_too(run: Run, golden: str, tmp_path: Path, command: str) -> None:
    arguments = [golden] if command == "sort" else ["--events", "1000"]
    done = run(command, *arguments, "-o", tmp_path / "new.parquet", "--progress", "json", "-q")
    assert done.exit_code == 0
    told = lines_of_json(done.stderr)
    assert [line["phase"] for line in told if line["event"] == "progress"][-1] == "writing"


def test_the_log_says_what_is_done(shell: Any, golden: str, long_log: Path, tmp_path: Path) -> None:
    done = shell.run("mine", golden, "--log-level", "info", "-q", "--memory", "64MB", "--json")
    assert json.loads(done.stdout)["run"]["memory_limit_bytes"] == 64_000_000
    said = done.stderr
    for part in ("INFO source:", "1 files", "roles: case=case_id", "memory limit: 64000000 bytes", "layout case;"):
        assert part in said
    for phase in ("reading", "checking", "finishing"):
        assert re.search(rf"INFO {phase}: \d+\.\d+ s", said)
    assert "DEBUG" not in said
    spill = tmp_path / "spill"
    spill.mkdir()
    memory = ["--memory", "64MB", "--spill-dir", spill, "--threads", 2]
    said = shell.run("mine", long_log, "--measure", "dfg", "--log-level", "debug", *memory).stderr
    assert re.search(rf"DEBUG file: .*log\.parquet, \d+ bytes, {N_EVENTS} rows", said)
    assert re.search(r"DEBUG partitioning: put \d+ bytes aside on disk, \d+ so far", said)
    assert re.search(r"cases did not stand together: partitioned, 256 partitions", said)
    assert shell.run("mine", golden, "-q", "--log-level", "error").stderr == ""
