"""Do the program's files and its printed summary say what is known of real logs?"""

from __future__ import annotations

import csv
import json
import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from known_views import VIEWS, View
from truth_check import ALL, WITHOUT_CASES, Rows, check

SMALL = [view for view in VIEWS if view.log in ("sepsis", "callcenter", "bpic2016_complaints", "receipt")]
MEASURES = [word for name in ALL for word in ("--measure", name)]


def run(*args: object, columns: int = 200) -> subprocess.CompletedProcess[str]:
    """Runs the program; it has to end well and without complaint."""
    # The safe path: the installed package is run, whatever the folder that the tests are started in.
    environment = {**os.environ, "COLUMNS": str(columns), "NO_COLOR": "1", "PYTHONSAFEPATH": "1"}
    done = subprocess.run(
        [sys.executable, "-m", "pycjm", *map(str, args)],
        capture_output=True,
        text=True,
        encoding="utf-8",
        timeout=120,
        env={**environment, "PYTHONIOENCODING": "utf-8"},
    )
    assert done.returncode == 0, done.stderr
    assert "Traceback" not in done.stderr
    assert "panicked" not in done.stderr
    return done


def read_rows(path: Path) -> Rows:
    """The rows of a written table, whatever its format."""
    if path.suffix == ".parquet":
        return pq.read_table(path).to_pylist()
    if path.suffix == ".arrow":
        with pa.OSFile(str(path)) as file:
            return pa.ipc.open_file(file).read_all().to_pylist()
    if path.suffix == ".json":
        return json.loads(path.read_text(encoding="utf-8"))
    csv.field_size_limit(1 << 24)  # a variant of some ten thousand steps is one field
    with path.open(encoding="utf-8", newline="") as file:
        return [{name: _value(name, text) for name, text in row.items()} for row in csv.DictReader(file)]


TEXTS = {"activity", "source", "target", "case", "layout", "first_ts", "last_ts"}


def _value(name: str, text: str) -> Any:
    """A CSV field as its column has it: lists and structs are JSON, and so are numbers."""
    if name in TEXTS:
        return text
    return json.loads(text) if text else None


def read_tables(folder: Path, form: str) -> dict[str, Rows]:
    """All tables of a written result."""
    return {path.stem: read_rows(path) for path in folder.glob(f"*.{form}") if path.stem != "run"}


@pytest.mark.parametrize("view", VIEWS, ids=str)
def test_written_files(shared_data: Path, tmp_path: Path, view: View) -> None:
    path = view.path(shared_data)
    # The formats take turns: each is checked on several logs.
    form = ("parquet", "csv", "json", "arrow")[VIEWS.index(view) % 4]
    done = run("mine", path, *view.arguments(), *MEASURES, "--out", tmp_path / "out", "--format", form)
    assert done.stdout == ""
    tables = read_tables(tmp_path / "out", form)
    assert set(tables) == set(ALL)
    check(tables, view.truth(shared_data))
    record = json.loads((tmp_path / "out" / "run.json").read_text(encoding="utf-8"))
    (source,) = record["inputs"]
    assert (source["path"], source["bytes"]) == (str(path), path.stat().st_size)


@pytest.mark.parametrize("backend", ["reference", "numba"])
@pytest.mark.parametrize("view", SMALL[:2], ids=str)
def test_backends(shared_data: Path, tmp_path: Path, view: View, backend: str) -> None:
    if backend == "numba":
        pytest.importorskip("numba")
    run("mine", view.path(shared_data), *view.arguments(), "--out", tmp_path / "out", "--backend", backend)
    tables = read_tables(tmp_path / "out", "parquet")
    assert set(tables) == set(WITHOUT_CASES)
    check(tables, view.truth(shared_data))


@pytest.mark.parametrize("view", SMALL, ids=str)
def test_printed_summary(shared_data: Path, view: View) -> None:
    done = run("mine", view.path(shared_data), *view.arguments())
    truth = view.truth(shared_data)
    order = truth["time_order"]
    for name, number in (
        ("events", truth["n_events"]),
        ("cases", truth["n_cases"]),
        ("activities", truth["n_activities"]),
        ("variants", order["n_variants"]),
        ("edges", order["n_dfg_edges"]),
    ):
        assert re.search(rf"(?m)^\W*{name}\s+{number:,}\W*$", done.stdout), name
    lines = [re.sub(r"\s+", " ", line) for line in done.stdout.splitlines()]
    for source, target, count in order["top10_edges"]:
        assert any(f"{source} → {target} {count:,} " in line for line in lines), (source, target)
    for activity, count in truth["activity_counts_top25"][:10]:
        assert any(f"{activity} {count:,} " in line for line in lines), activity


@pytest.mark.parametrize("view", SMALL[:3], ids=str)
def test_json_document(shared_data: Path, view: View) -> None:
    done = run("mine", view.path(shared_data), *view.arguments(), *MEASURES, "--json", "--quiet")
    assert done.stderr == ""
    check(json.loads(done.stdout)["tables"], view.truth(shared_data))


@pytest.mark.parametrize("view", SMALL, ids=str)
def test_inspect(shared_data: Path, view: View) -> None:
    done = run("inspect", view.path(shared_data), *view.arguments(), "--json")
    truth = view.truth(shared_data)
    overview = json.loads(done.stdout)["overview"]
    assert (overview["events"], overview["cases"]) == (truth["n_events"], truth["n_cases"])
    assert overview["tied_pairs"] == truth["quality"]["steps_tied_in_time_order"]
