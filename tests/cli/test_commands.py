"""Do the other commands say what they should, and does the program know all its options?"""

from __future__ import annotations

import inspect
import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import click
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from click.testing import Result

import pycjm
from pycjm.cli import COMMANDS, cli

Run = Callable[..., Result]


def test_inspect_shows_columns_roles_and_figures(run: Run, golden: str) -> None:
    done = run("inspect", golden)
    assert done.exit_code == 0
    lines = [line.split() for line in done.stdout.splitlines()]
    assert any(line[:1] == ["case_id"] and line[-2:] == ["case", "(guessed)"] for line in lines)
    for facts in (
        ["events", "17"],
        ["cases", "6"],
        ["first", "2026-01-05", "08:00:00", "UTC"],
        ["ties", "1", "in", "1", "cases"],
    ):
        assert facts in lines
    assert any(line[:2] == ["layout", "case"] for line in lines)
    assert "Guessed" in done.stderr


def test_inspect_as_json(run: Run, golden: str) -> None:
    found = json.loads(run("inspect", golden, "--json").stdout)
    assert [column["name"] for column in found["columns"]] == ["case_id", "activity", "timestamp"]
    assert found["rows"] == 17
    assert found["roles"] == {"case": ["case_id"], "activity": ["activity"], "timestamp": ["timestamp"]}
    assert found["guessed"] == ["case", "activity", "timestamp"]
    assert (found["overview"]["events"], found["overview"]["layout"]) == (17, "case")


def test_inspect_without_roles_shows_the_columns_and_says_what_to_pass(
    run: Run, make_golden: Callable[..., pa.Table], tmp_path: Path
) -> None:
    pq.write_table(make_golden(case_id="wer", activity="was", timestamp="wann"), tmp_path / "log.parquet")
    done = run("inspect", tmp_path / "log.parquet")
    assert done.exit_code == 0
    assert all(name in done.stdout for name in ("wer", "was", "wann"))
    assert "--case ..." in done.stderr
    found = json.loads(run("inspect", tmp_path / "log.parquet", "--json").stdout)
    assert (found["roles"], found["overview"]) == (None, None)
    assert "case" in found["problem"]


def test_inspect_counts_nulls_instead_of_refusing_them(
    run: Run, make_golden: Callable[..., pa.Table], tmp_path: Path
) -> None:
    table = make_golden()
    with_nulls = table.set_column(0, "case_id", pa.array([None, None, *table["case_id"].to_pylist()[2:]]))
    pq.write_table(with_nulls, tmp_path / "log.parquet")
    assert "case 2" in run("inspect", tmp_path / "log.parquet").stdout
    refused = run("mine", tmp_path / "log.parquet")
    assert refused.exit_code == 3
    assert "case_id" in refused.stderr


def test_map_writes_dot_and_mermaid(run: Run, golden: str) -> None:
    dot = run("map", golden, "--quiet")
    assert dot.exit_code == 0
    assert dot.stdout.startswith("digraph")
    assert 'label="21 h 15 min"' in run("map", golden, "-q", "--metric", "mean_s").stdout
    mermaid = run("map", golden, "-q", "--format", "mermaid", "--max-nodes", 2, "--rankdir", "TB").stdout
    assert mermaid.startswith("flowchart TB\n")
    assert mermaid.count("[") == 2


def test_map_writes_a_file(run: Run, golden: str, tmp_path: Path) -> None:
    done = run("map", golden, "-q", "--output", tmp_path / "map.dot")
    assert (done.exit_code, done.stdout) == (0, "")
    assert (tmp_path / "map.dot").read_text() == run("map", golden, "-q").stdout
    assert json.loads(run("map", golden, "-q", "--json").stdout)["text"] == (tmp_path / "map.dot").read_text()
    assert run("map", golden, "--output", tmp_path / "nowhere" / "map.dot").exit_code == 5


def test_map_refuses_an_unknown_metric(run: Run, golden: str) -> None:
    done = run("map", golden, "--metric", "p50")
    assert done.exit_code == 2
    assert "p50_s" in done.stderr


def test_sample_can_be_mined_without_options(run: Run, tmp_path: Path) -> None:
    written = run("sample", tmp_path / "new")
    assert written.stdout.strip() == str(tmp_path / "new" / "omnichannel.parquet")
    assert "pycjm mine" in written.stderr
    done = run("mine", written.stdout.strip(), "--json", "--measure", "overview")
    (overview,) = json.loads(done.stdout)["tables"]["overview"]
    assert 3_000 <= overview["events"] <= 4_000
    assert overview["layout"] == "time"
    again = run("sample", tmp_path / "new")
    assert again.exit_code == 5
    assert "exists" in again.stderr


def test_versions(run: Run) -> None:
    found = json.loads(run("versions", "--json").stdout)
    assert found | pycjm.versions() == found
    assert found["pyarrow"] == pa.__version__
    assert f"python    {found['python']}" in run("versions").stdout
    assert pycjm.__version__ in run("--version").stdout


@pytest.mark.parametrize("name", ["inspect", "map", "mine"])
def test_a_command_has_every_option_of_scan_and_mine(name: str) -> None:
    context = click.Context(cli)
    command = cli.get_command(context, name)
    options = {parameter.name for parameter in command.params}
    scan = set(inspect.signature(pycjm.scan).parameters)
    assert scan <= options
    mine = set(inspect.signature(pycjm.EventLog.mine).parameters) - {"self", "asked", "progress", "memory_limit"}
    assert mine - {"percentiles", "approx", "top", "state", "state_ids"} <= options
    parsed = command.make_context(name, ["log.parquet"], resilient_parsing=False).params
    for parameter in inspect.signature(pycjm.scan).parameters.values():
        if parameter.name != "source":
            assert (parsed[parameter.name] or None) == (parameter.default or None), parameter.name


@pytest.mark.parametrize("name", COMMANDS)
def test_every_command_helps_and_is_listed(run: Run, name: str) -> None:
    assert name in run("--help").stdout
    done = run(name, "--help")
    assert done.exit_code == 0
    assert done.stdout.startswith(f"Usage: pycjm {name}")
    assert cli.get_command(click.Context(cli), name).name == name


def test_help_loads_nothing_heavy(shell: Any) -> None:
    script = (
        "import sys\nfrom pycjm.cli import cli\n"
        "try:\n    cli(['--help'], prog_name='pycjm')\nexcept SystemExit:\n    pass\n"
        "print(sorted({'pyarrow', 'numpy', 'rich', 'pandas', 'polars', 'numba'} & set(sys.modules)), file=sys.stderr)"
    )
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, env=shell.environment(), timeout=60
    )
    assert done.stderr.strip() == "[]"


def test_a_mistyped_command_is_guessed(run: Run) -> None:
    done = run("mien")
    assert done.exit_code == 2
    assert "Did you mean 'mine'?" in done.stderr


def test_the_shell_can_complete(shell: Any) -> None:
    assert "#compdef pycjm" in shell.run(env={"_PYCJM_COMPLETE": "zsh_source"}).stdout
    asked = {"_PYCJM_COMPLETE": "bash_complete", "COMP_WORDS": "pycjm mine --me", "COMP_CWORD": "2"}
    assert "--measure" in shell.run(env=asked).stdout


def test_the_program_runs_as_a_module(shell: Any, golden: str) -> None:
    done = shell.run("mine", golden, "--json", "--quiet")
    assert done.returncode == 0
    assert json.loads(done.stdout)["tables"]["overview"][0]["events"] == 17
    assert done.stderr == ""


def test_a_label_outside_the_terminals_encoding_does_no_harm(shell: Any, tmp_path: Path) -> None:
    table = pa.table({"case_id": ["x"], "activity": ["✓"], "timestamp": pa.array([0], pa.timestamp("s", "UTC"))})
    pq.write_table(table, tmp_path / "log.parquet")
    done = shell.run("mine", tmp_path / "log.parquet", env={"PYTHONIOENCODING": "latin-1"})
    assert done.returncode == 0, done.stderr
    assert "\\u2713" in done.stdout
