"""What does a comparison look like: the table, the JSON, the picture?"""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import pytest
from click.testing import CliRunner, Result

import pycjm
from pycjm import errors
from pycjm.bench import chart, running
from pycjm.cli import cli

SVG = "{http://www.w3.org/2000/svg}"


def result(engine: str, wall_s: float, layout: str = "case") -> dict[str, Any]:
    measured = {"wall_s": wall_s, "load_s": 0.0, "cpu_s": 2 * wall_s, "before_bytes": 1 << 20, "peak_bytes": 300 << 20}
    numbers = measured | {"events_per_s": 2e6 / wall_s, "ratio": wall_s / 0.5, "rounds": [measured]}
    return {"layout": layout, "engine": engine, "status": "ok", **numbers}


REPORT = {
    "made_by": "pycjm bench",
    "version": 1,
    "machine": {"cpu": "Some CPU", "processors": 2, "memory_bytes": 8 << 30, "os": "Linux x86_64", "python": "3.12.1"},
    "versions": {"pycjm": pycjm.versions(), "polars": "9.8.7", "pyarrow": "30.0"},
    "commit": None,
    "settings": {
        "events": 2_000_000,
        "layouts": ["case", "shuffled"],
        "case_id": "int",
        "activities": 40,
        "seed": 1,
        "question": "all",
        "source": "parquet",
        "threads": 2,
        "memory_bytes": None,
        "engines": ["native", "polars", "duckdb", "chdb"],
        "rounds": 1,
        "timeout_s": 600,
    },
    "results": [
        result("native", 0.5),
        result("polars", 1.25),
        {"layout": "case", "engine": "duckdb", "status": "different answer", "reason": "edge a -> b: 2, native says 1"},
        {"layout": "case", "engine": "chdb", "status": "skipped", "reason": "not installed: pip install chdb"},
        result("pyarrow read", 0.1),
        result("native", 0.5, "shuffled"),
        {"layout": "shuffled", "engine": "polars", "status": "timeout", "reason": "longer than 600 s"},
    ],
}


@pytest.fixture
def bench(monkeypatch: pytest.MonkeyPatch) -> Callable[..., Result]:
    """Runs the command, which finds the report above; ``bench.given`` has what it asked for."""

    def run(**given: Any) -> dict[str, Any]:
        command.given = given
        return REPORT

    def command(*arguments: object) -> Result:
        return CliRunner().invoke(cli, ["bench", *map(str, arguments)], prog_name="pycjm")

    monkeypatch.setattr(running, "run", run)
    return command


def test_the_table(bench: Callable[..., Result]) -> None:
    done = bench()
    assert done.exit_code == 0, done.output
    lines = [line.split() for line in done.stdout.splitlines()]
    assert ["polars", "9.8.7", "1.2", "s", "2.50", "1.60", "M", "2.5", "s", "300.0", "MiB"] in lines
    assert "duckdb" in done.stdout
    flat = " ".join(done.stdout.split())
    assert "different answer: edge" in flat
    assert "pip install chdb" in flat
    assert "reading alone" in flat
    assert "Layout shuffled" in flat
    assert "2,000,000 events from Parquet, reading included, int ids, seed 1" in flat
    assert "Some CPU, 2 processors, 8.0 GiB" in flat


def test_options_are_arguments(bench: Callable[..., Result], tmp_path: Path) -> None:
    bench("--events", "10M", "--layout", "time", "--layout", "shuffled", "--engine", "polars", "--memory", "2GiB",
          "--timeout", 5, "--rounds", 7, "--threads", 3, "--source", "parquet", "--case-id", "string", "--seed", 4,
          "--question", "counts", "--activities", "1k", "--temp-dir", tmp_path, "--quiet")  # fmt: skip
    assert bench.given == {
        "events": 10_000_000,
        "layouts": ("time", "shuffled"),
        "engines": ("polars",),
        "memory_limit": 2 << 30,
        "timeout_s": 5.0,
        "rounds": 7,
        "threads": 3,
        "source": "parquet",
        "case_id": "string",
        "seed": 4,
        "question": "counts",
        "activities": 1000,
        "temp_dir": str(tmp_path),
        "progress": None,
    }
    bench()
    assert bench.given["engines"] is None
    assert bench.given["layouts"] == ("case",)


def test_the_json(bench: Callable[..., Result], tmp_path: Path) -> None:
    path = tmp_path / "report.json"
    done = bench("--output", path)
    assert json.loads(path.read_text(encoding="utf-8")) == REPORT
    assert done.stderr == f"Wrote {path}\n"
    assert json.loads(bench("--json", "--quiet").stdout) == REPORT


def texts(path: Path) -> list[str]:
    root = ElementTree.parse(path).getroot()
    assert root.tag == f"{SVG}svg"
    return ["".join(element.itertext()).strip() for element in root.iter(f"{SVG}text")]


def test_the_picture_says_what_it_shows(bench: Callable[..., Result], tmp_path: Path) -> None:
    pytest.importorskip("matplotlib")
    path = tmp_path / "chart.svg"
    assert bench("--plot", path).exit_code == 0
    shown = texts(path)
    assert any("2,000,000 events from Parquet, 2 threads" in text for text in shown)
    assert any("seconds" in text and "logarithmic" in text for text in shown)
    for text in ("rows by case", "rows shuffled", "native", "polars", "0.5 s", "1.25 s  (2.5 x native)"):
        assert text in shown, text
    assert "duckdb" not in shown, "a bar without a time"
    before = path.read_bytes()
    pycjm.bench.plot(REPORT, path)
    assert path.read_bytes() == before
    pycjm.bench.plot(REPORT, tmp_path / "chart.png")
    assert (tmp_path / "chart.png").read_bytes().startswith(b"\x89PNG")


def test_what_cannot_be_drawn_is_told_before_anything_is_run(
    bench: Callable[..., Result], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    done = bench("--plot", tmp_path / "chart.gif")
    assert done.exit_code == 2
    assert ".svg" in done.stderr
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    done = bench("--plot", tmp_path / "chart.svg")
    assert done.exit_code == 3
    assert "pip install matplotlib" in done.stderr
    assert not hasattr(bench, "given")


def test_without_times_there_is_no_picture(tmp_path: Path) -> None:
    pytest.importorskip("matplotlib")
    with pytest.raises(errors.InvalidArgument, match="nothing to draw"):
        chart.plot(REPORT | {"results": [REPORT["results"][2]]}, tmp_path / "chart.svg")
    assert list(tmp_path.iterdir()) == []


def test_an_unknown_engine_is_guessed() -> None:
    done = CliRunner().invoke(cli, ["bench", "--engine", "polar"], prog_name="pycjm")
    assert done.exit_code == 2
    assert "Did you mean 'polars'?" in done.stderr


@pytest.mark.parametrize("option", ["--output", "--plot"])
def test_a_file_that_cannot_be_written_is_told_before_the_work(option: str, tmp_path: Path) -> None:
    name = "missing/report.json" if option == "--output" else "missing/chart.svg"
    command = [sys.executable, "-m", "pycjm", "bench", "--events", "1G", "--engine", "native", option, tmp_path / name]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    assert (done.returncode, done.stdout) == (5, "")
    assert name in done.stderr
