"""Does the C example compile, and does it print what Python finds in the same log?"""

from __future__ import annotations

import subprocess
from collections.abc import Callable
from pathlib import Path

import pycjm


def test_the_example_mines_cancels_and_reports(
    build: Callable[[Path], Path], crate: Path, sample: list[str], tmp_path: Path
) -> None:
    program = build(crate / "examples" / "embed.c")
    ran = subprocess.run([program, *sample], capture_output=True, text=True, timeout=60, cwd=tmp_path)
    assert (ran.returncode, ran.stderr) == (0, ""), ran.stdout

    edges = pycjm.sample().mine("dfg")["dfg"].to_pyarrow().slice(0, 5).to_pylist()
    expected = [
        f"  {edge['source']} -> {edge['target']}: {edge['count']} times, {edge['mean_s']:.1f} s on average"
        for edge in edges
    ]
    assert ran.stdout.splitlines() == [
        "the file:",
        *expected,
        "the stream:",
        "  visit -> buy: 2 times, 90.0 s on average",
        "a cancelled run:",
        "mining: status 5: the run was cancelled; no result was made",
        "  details: {}",
        "an error:",
        *ran.stdout.splitlines()[-3:-1],
        "done",
    ]
    assert "status 4" in ran.stdout.splitlines()[-3]
    assert "no-such-file.parquet" in ran.stdout.splitlines()[-3]


def test_the_example_says_how_it_is_used(build: Callable[[Path], Path], crate: Path) -> None:
    ran = subprocess.run([build(crate / "examples" / "embed.c")], capture_output=True, text=True, timeout=60)
    assert ran.returncode == 2
    assert ran.stderr.startswith("usage: ")
