"""When does a time count, and what is told where there is none?"""

from __future__ import annotations

import importlib
import json
import os
import re
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import pycjm
from pycjm import errors
from pycjm.bench import process, running
from pycjm.bench.peers import BASELINE, ENGINES

Fake = Callable[[dict[str, Any]], dict[str, Any]]

NUMBERS = {"wall_s": 1.0, "load_s": 0.5, "cpu_s": 2.0, "before_bytes": 100, "peak_bytes": 1000}
ANSWERS = {
    "counts": [["a", "b", 2]],
    "starts": {"a": 1},
    "ends": {"b": 1},
    "gaps": [],
    "durations": [],
    "variants": 0,
    "top": [],
}


def ok(wall_s: float = 1.0, **answers: Any) -> dict[str, Any]:
    return {"status": "ok", **NUMBERS, "wall_s": wall_s, "versions": {}, "answers": ANSWERS | answers}


@pytest.fixture
def faked(monkeypatch: pytest.MonkeyPatch) -> Callable[..., dict[str, Any]]:
    """Compares with runs that are made up: ``faked(fake, engines=...)``; the results by layout and engine."""

    def compare(fake: Fake, **options: Any) -> dict[str, Any]:
        monkeypatch.setattr(running, "run_job", lambda job, timeout_s: fake(job))
        report = running.run(100, **options)
        return {(result["layout"], result["engine"]): result for result in report["results"]}

    return compare


@pytest.fixture
def own(monkeypatch: pytest.MonkeyPatch) -> None:
    """Workers find the tests' own engines."""
    paths = [str(Path(__file__).parent), *filter(None, [os.environ.get("PYTHONPATH")])]
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join(paths))


@pytest.fixture
def job(tmp_path: Path) -> dict[str, Any]:
    path = str(tmp_path / "log.parquet")
    pycjm.write_synth(path, 500)
    return {
        "question": "counts",
        "source": "parquet",
        "layout": "case",
        "threads": 1,
        "memory_bytes": None,
        "log": path,
        "warm": path,
    }


# ---- with real processes ----


def test_a_wrong_engine_gets_no_time(own: None, tmp_path: Path) -> None:
    engines = ["own_engines:Right", "own_engines:Wrong"]
    told: list[tuple[str, int, int | None]] = []
    report = pycjm.bench.run(
        3_000,
        layouts=["shuffled"],
        source="parquet",
        engines=engines,
        rounds=1,
        temp_dir=tmp_path,
        threads=1,
        progress=lambda *now: told.append(now),
    )
    assert list(tmp_path.iterdir()) == []
    assert told[-1][1:] == (4, 4)
    native, right, wrong, read = report["results"]
    assert [result["engine"] for result in report["results"]] == ["native", *engines, BASELINE]
    for result in (native, right, read):
        assert result["status"] == "ok", result
        assert result["wall_s"] > result["load_s"] >= 0
        assert result["cpu_s"] > 0
        assert result["peak_bytes"] > 10e6
        assert result["ratio"] == result["wall_s"] / native["wall_s"]
        assert len(result["rounds"]) == 1
        assert "answers" not in result["rounds"][0]
    assert wrong["status"] == "different answer"
    assert re.fullmatch(r"edge .+ -> .+: (\d+), native says (\d+)", wrong["reason"])
    assert set(wrong) == {"layout", "engine", "status", "reason"}


@pytest.mark.parametrize(
    ("engine", "status", "reason"),
    [
        ("Failing", "failed", "OSError: no such thing in ... or a small log"),
        ("Dying", "failed", "exit code -6"),
        ("Full", "memory", "MemoryError: too much"),
        ("Absent", "failed", "AttributeError"),
    ],
)
def test_what_ends_a_run_is_told(own: None, job: dict[str, Any], engine: str, status: str, reason: str) -> None:
    job |= {"warm": job["log"] + ".warm"}
    Path(job["log"]).rename(job["warm"])
    told = process.run_job(job | {"engine": f"own_engines:{engine}"}, 60)
    assert told["status"] == status
    assert reason in told["reason"]
    assert "secret" not in told["reason"]
    assert str(Path(job["log"]).parent) not in told["reason"]


def test_a_run_may_not_take_for_ever(own: None, job: dict[str, Any]) -> None:
    told = process.run_job(job | {"engine": "own_engines:Slow"}, 0.5)
    assert told == {"status": "timeout", "reason": "longer than 0.5 s"}


def test_a_program_of_its_own_is_measured_and_held_to_its_limits() -> None:
    def run(code: str, timeout_s: float = 60, memory_bytes: int | None = None) -> dict[str, Any]:
        return process.run_command([sys.executable, "-c", code], timeout_s, threads=1, memory_bytes=memory_bytes)

    done = run("import time; held = bytearray(b'x' * (200 << 20)); time.sleep(1)")
    assert done["status"] == "ok"
    assert done["wall_s"] >= 1
    assert done["cpu_s"] > 0
    failed = run("import sys; sys.exit('nothing at /home/somebody/secret')")
    assert (failed["status"], failed["reason"]) == ("failed", "exit code 1: nothing at ...")
    late = run("import time; time.sleep(60)", timeout_s=0.3)
    assert (late["status"], late["reason"]) == ("timeout", "longer than 0.3 s")
    if Path("/proc/self/status").exists():
        assert done["peak_bytes"] >= done["peak_own_bytes"] >= 200 << 20
        code = "import subprocess, sys; subprocess.run([sys.executable, '-c', sys.argv[0]])"
        child = "import time; held = bytearray(b'x' * (200 << 20)); time.sleep(60)"
        greedy = run(code.replace("sys.argv[0]", repr(child)), memory_bytes=100 << 20)
        assert greedy["status"] == "memory"


@pytest.mark.skipif(not Path("/proc/self/statm").exists(), reason="the size of a process is read from /proc")
def test_a_run_may_not_take_more_memory_than_allowed(own: None, job: dict[str, Any]) -> None:
    told = process.run_job(job | {"engine": "own_engines:Greedy", "memory_bytes": 600 << 20}, 60)
    assert told["status"] == "memory"
    assert re.fullmatch(r"took \d+ MiB, more than the 600 MiB allowed", told["reason"])


# ---- with made-up runs ----


def test_medians_and_ratios(faked: Callable[..., Any]) -> None:
    times = {"native": iter([4.0, 2.0, 9.0]), "own_engines:Right": iter([1.0, 8.0, 10.0])}
    found = faked(lambda job: ok(next(times[job["engine"]])), engines=["own_engines:Right"], rounds=3)
    assert found["case", "native"]["wall_s"] == 4.0
    assert found["case", "native"]["ratio"] == 1.0
    assert found["case", "native"]["events_per_s"] == 25.0
    assert found["case", "own_engines:Right"]["ratio"] == 2.0
    assert [one["wall_s"] for one in found["case", "own_engines:Right"]["rounds"]] == [1.0, 8.0, 10.0]


def test_an_answer_that_changes_from_round_to_round_is_no_answer(faked: Callable[..., Any]) -> None:
    answers = iter([ok(), ok(starts={"b": 1})])
    found = faked(lambda job: ok() if job["engine"] == "native" else next(answers), engines=["a:B"], rounds=2)
    result = found["case", "a:B"]
    assert (result["status"], result["reason"]) == ("different answer", "start a: None, native says 1")
    assert "wall_s" not in result


def test_after_a_failure_there_are_no_more_rounds(faked: Callable[..., Any]) -> None:
    asked: list[str] = []

    def fake(job: dict[str, Any]) -> dict[str, Any]:
        asked.append(job["engine"])
        return ok() if job["engine"] == "native" else {"status": "timeout", "reason": "long"}

    found = faked(fake, engines=["a:B"], rounds=3, layouts=["case", "time"])
    assert asked == ["native"] * 3 + ["a:B"] + ["native"] * 3 + ["a:B"]
    assert found["time", "a:B"] == {"layout": "time", "engine": "a:B", "status": "timeout", "reason": "long"}


def test_without_answers_of_native_nobody_is_asked(faked: Callable[..., Any]) -> None:
    found = faked(lambda job: {"status": "failed", "reason": "why"}, engines=["a:B"])
    assert found["case", "native"]["reason"] == "why"
    assert found["case", "a:B"]["status"] == "skipped"
    assert "native" in found["case", "a:B"]["reason"]


def test_an_interrupt_leaves_nothing(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    def interrupted(job: dict[str, Any], timeout_s: float) -> dict[str, Any]:
        assert list(tmp_path.iterdir())
        raise KeyboardInterrupt

    monkeypatch.setattr(running, "run_job", interrupted)
    with pytest.raises(KeyboardInterrupt):
        running.run(100, temp_dir=tmp_path)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.skipif(not Path("/proc/self/statm").exists(), reason="looks for the process in /proc")
def test_an_interrupt_ends_the_worker(own: None, job: dict[str, Any], monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[int] = []

    def interrupted(self: process.Peaks, pid: int) -> None:
        seen.append(pid)
        raise KeyboardInterrupt

    monkeypatch.setattr(process.Peaks, "look", interrupted)
    with pytest.raises(KeyboardInterrupt):
        process.run_job(job | {"engine": "own_engines:Slow"}, 60)
    assert not Path(f"/proc/{seen[0]}").exists()


def test_what_is_not_installed_or_not_asked_is_skipped(
    faked: Callable[..., Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(running, "find_spec", lambda name: None if name == "duckdb" else object())
    found = faked(lambda job: ok(), engines=["duckdb", "pm4py"], rounds=1)
    assert found["case", "duckdb"]["reason"] == "not installed: pip install duckdb"
    assert "--question counts" in found["case", "pm4py"]["reason"]
    assert {found["case", name]["status"] for name in ("duckdb", "pm4py")} == {"skipped"}
    assert running._left_out("pm4py", "counts", 5_000_001).startswith("left out above 5,000,000 events")
    assert running._left_out("pm4py", "counts", 5_000_000) is None


def test_the_report_is_plain_and_names_nobody(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(running, "run_job", lambda job, timeout_s: ok())
    report = pycjm.bench.run(100, rounds=2, threads=3, seed=9, memory_limit=1 << 30)
    text = json.dumps(report)
    assert json.loads(text) == report
    assert set(report) == {"made_by", "version", "machine", "versions", "commit", "settings", "results"}
    assert set(report["machine"]) == {"cpu", "processors", "memory_bytes", "os", "python"}
    assert report["machine"]["memory_bytes"] > 1 << 28
    assert report["versions"]["pycjm"] == pycjm.versions()
    assert {"pyarrow", "numpy"} <= set(report["versions"])
    assert report["commit"] is None or re.fullmatch(r"[0-9a-f]{40}", report["commit"]["id"])
    settings = report["settings"]
    assert settings["engines"] == [name for name in ENGINES if name != "reference"]
    assert (settings["rounds"], settings["threads"], settings["seed"]) == (2, 3, 9)
    for result in report["results"]:
        assert set(result) >= {"layout", "engine", "status"}
        if result["status"] == "ok":
            assert set(result["rounds"][0]) == set(running.MEASURED)
    assert os.uname().nodename not in text
    assert not re.search(r'"/|/home|\\\\Users|/tmp', text)


def test_a_debug_build_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    known = pycjm.versions()
    monkeypatch.setattr(pycjm, "versions", lambda: known | {"profile": "debug"})
    with pytest.raises(errors.InvalidArgument, match="debug build"):
        pycjm.bench.run(100)


@pytest.mark.parametrize(
    "wrong",
    [
        {"events": 0},
        {"layouts": ["cases"]},
        {"source": "csv"},
        {"question": "some"},
        {"engines": ["duckbd"]},
        {"threads": 0},
        {"rounds": 0},
        {"timeout_s": 0},
        {"seed": -1},
    ],
)
def test_wrong_arguments_are_told(wrong: dict[str, Any], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(running, "run_job", lambda job, timeout_s: pytest.fail("it was run"))
    with pytest.raises(errors.InvalidArgument):
        running.run(**({"events": 100} | wrong))


def test_the_package_does_not_load_it_by_itself() -> None:
    import subprocess
    import sys

    code = "import sys, pycjm; print('pycjm.bench' in sys.modules, pycjm.bench.ENGINES['native'].form)"
    environment = os.environ | {"PYTHONPATH": str(Path(pycjm.__file__).parents[1])}
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, env=environment, check=True)
    assert done.stdout.startswith("False pycjm's engine")
    assert importlib.import_module("pycjm.bench") is pycjm.bench
    assert not hasattr(pycjm, "bensh")
