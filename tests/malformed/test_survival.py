"""Does every broken file end in an answer or a typed error: no crash, no hang, no swelling, no panic?"""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from shared_logs import shared_files
from watched import LIMIT_S, Watched

EVENT_LOG = {"case": "case:concept:name", "activity": "concept:name", "timestamp": "time:timestamp"}
EXIT_CODES = {0, 2, 3, 4, 5}
STATUS_CODES = {1, 2, 3, 4, 7}
"""Of what a file may be refused for: never as an INTERNAL error, and it is there, so no IO error either."""

BAD_WORDS = ("panicked", "Traceback (most recent call last)", "RUST_BACKTRACE", "thread '")


@pytest.fixture(scope="module")
def watched() -> Iterator[Watched]:
    """One child for all files of this module."""
    with Watched() as child:
        yield child


def _all_files(folder: Path) -> list[Path]:
    return [path for top in ("malformed", "ocel_examples") for path in (folder / top).rglob("*") if path.is_file()]


def _roles(path: Path) -> dict[str, Any] | None:
    """The true roles of the files that are event logs."""
    if path.suffix == ".xes":
        return EVENT_LOG
    if path.name == "example_log.csv":
        return {"case": "ocel:type:order", "activity": "ocel:activity", "timestamp": "ocel:timestamp"}
    if path.parent.name == "apromore_importer_tests" and path.suffix == ".csv" and "expected" not in path.name:
        return {"case": "case id", "activity": "activity", "timestamp": "completion time"}
    return None


def _other_name(path: Path) -> str | None:
    """The extension that a fuzzer's find lacks: under its own name alone it might be taken for something else."""
    parents = {parent.name for parent in path.parents}
    for name, extension in (("arrow-ipc-file", ".arrow"), ("arrow-ipc-stream", ".arrow"), ("parquet", ".parquet")):
        if name in parents:
            return path.name + extension
    if path.suffix in (".encrypted", ".xml", ".xmlocel"):
        return path.name + (".parquet" if path.suffix == ".encrypted" else ".xes")
    return None


def check(answer: dict[str, Any], watched: Watched, path: Path) -> None:
    """Nothing worse than a typed error."""
    assert "died" not in answer, f"the process ended with {answer['died']}: {answer['stderr'][-2000:]}"
    assert "hung" not in answer, f"no answer in {LIMIT_S} s"
    assert answer["stderr"] == ""
    for one in answer["tries"]:
        text = str(one.get("message", "")) + str(one.get("stderr", ""))
        assert not any(word in text for word in BAD_WORDS), one
        if "exit" in one:
            assert one["exit"] in EXIT_CODES, one
            assert one["crash"] is None, one
            assert (one["exit"] == 0) or "Error: " in one["stderr"], one
        elif "ok" not in one:
            assert one["code"] in STATUS_CODES, one
    assert answer["seconds"] <= LIMIT_S
    assert watched.excess(path, answer) <= 0, f"{answer['peak_bytes'] >> 20} MiB at the peak"


@pytest.mark.parametrize("path", shared_files(_all_files))
def test_a_file_is_survived(watched: Watched, tmp_path: Path, path: Path) -> None:
    check(watched.try_file(path, _roles(path)), watched, path)
    if name := _other_name(path):
        named = tmp_path / name
        named.symlink_to(path)
        check(watched.try_file(named, _roles(named)), watched, path)


def _one_of_each(folder: Path) -> list[Path]:
    chosen: dict[tuple[str, str], Path] = {}
    for path in sorted(_all_files(folder)):
        if path.suffix in (".csv", ".xes", ".parquet", ".gz", ".xml", ".fuzz", ".xlsx"):
            chosen.setdefault((path.parent.name, path.suffix), path)
    return list(chosen.values())


@pytest.mark.parametrize("path", shared_files(_one_of_each))
def test_the_program_ends_well(path: Path) -> None:
    """The same from a shell, for one file of each kind."""
    command = [sys.executable, "-m", "pycjm", "inspect", str(path)]
    done = subprocess.run(
        command,
        capture_output=True,
        encoding="utf-8",
        errors="replace",
        timeout=LIMIT_S + 20,
        env={**os.environ, "COLUMNS": "200", "PYTHONIOENCODING": "utf-8", "PYTHONSAFEPATH": "1"},
    )
    assert done.returncode in EXIT_CODES, done.stderr
    assert not any(word in done.stderr for word in BAD_WORDS), done.stderr
