"""Does the command line keep, merge and refuse states as Python does?"""

from __future__ import annotations

import json
from pathlib import Path

import pyarrow.parquet as pq
import pytest
from click.testing import CliRunner, Result
from parts import parts
from random_logs import draw_log

from pycjm.cli import cli

EVENTS = draw_log(21, 400, n_cases=60, layout="case")


def run(*args: object) -> Result:
    return CliRunner().invoke(cli, [str(arg) for arg in args], prog_name="pycjm")


@pytest.fixture
def logs(tmp_path: Path) -> list[Path]:
    """Three logs without common cases, as files."""
    found = []
    for i, part in enumerate(parts(EVENTS, 3)):
        pq.write_table(part, tmp_path / f"log-{i}.parquet")
        found.append(tmp_path / f"log-{i}.parquet")
    return found


@pytest.fixture
def states(logs: list[Path], tmp_path: Path) -> list[Path]:
    """Their states, made while other things were asked."""
    for i, log in enumerate(logs):
        done = run("mine", log, "--measure", "overview", "--state", tmp_path / f"{i}.arrow")
        assert done.exit_code == 0, done.output
        assert f"Kept the state in {tmp_path / f'{i}.arrow'} (" in done.stderr
    return [tmp_path / f"{i}.arrow" for i in range(3)]


def test_merged_files_are_those_of_mining_together(logs: list[Path], states: list[Path], tmp_path: Path) -> None:
    assert run("mine", *logs, "--out", tmp_path / "mined").exit_code == 0
    done = run("merge", *states, "--out", tmp_path / "merged", "--state", tmp_path / "all.arrow")
    assert done.exit_code == 0, done.output
    for name in ("overview", "activities", "dfg", "variants", "durations"):
        file = f"{name}.parquet"
        assert (tmp_path / "merged" / file).read_bytes() == (tmp_path / "mined" / file).read_bytes(), name
    record = json.loads((tmp_path / "merged" / "run.json").read_text())
    assert [file["path"] for file in record["inputs"]] == [str(state) for state in states]
    assert record["options"]["merge"]["measures"] == list(json.loads(run("merge", *states, "--json").stdout)["tables"])
    assert record["run"]["states"] == 3
    # Merging by and by gives the same file.
    assert run("merge", *states[1:], "--state", tmp_path / "two.arrow", "--quiet").exit_code == 0
    assert run("merge", tmp_path / "two.arrow", states[0], "--state", tmp_path / "again.arrow").exit_code == 0
    assert (tmp_path / "again.arrow").read_bytes() == (tmp_path / "all.arrow").read_bytes()


def test_a_summary_is_shown_and_json_written(logs: list[Path], states: list[Path]) -> None:
    shown = run("merge", *states, "--top", 3)
    assert shown.exit_code == 0
    assert shown.stdout == run("mine", *logs, "--top", 3).stdout
    told = json.loads(run("merge", *states, "--json", "--measure", "dfg", "--percentile", "12.5").stdout)
    mined = json.loads(run("mine", *logs, "--json", "--measure", "dfg", "--percentile", "12.5").stdout)
    assert told["tables"] == mined["tables"]
    assert told["states"] == [str(state) for state in states]


def test_nothing_is_overwritten_unless_told(logs: list[Path], states: list[Path]) -> None:
    before = states[0].read_bytes()
    for args in (["mine", logs[1]], ["merge", states[1]]):
        done = run(*args, "--state", states[0])
        assert done.exit_code == 2
        assert "--overwrite" in done.stderr
    assert states[0].read_bytes() == before
    assert run("merge", states[1], "--state", states[0], "--overwrite", "--quiet").exit_code == 0
    assert states[0].read_bytes() == states[1].read_bytes()
    done = run("merge", states[1], "--overwrite")
    assert done.exit_code == 2
    assert "--overwrite needs --out or --state" in done.stderr


def test_failures_have_their_exit_codes(logs: list[Path], states: list[Path], tmp_path: Path) -> None:
    damaged = tmp_path / "damaged.arrow"
    damaged.write_bytes(states[0].read_bytes()[:-50])
    overlapping = tmp_path / "overlapping.arrow"
    assert run("mine", logs[0], "--measure", "dfg", "--state", overlapping).exit_code == 0
    for args, code, words in [
        ([damaged, states[1]], 3, "damaged"),
        ([logs[0]], 3, "no state of pycjm"),
        ([states[0], overlapping], 3, "no case in common"),
        ([states[0], states[0]], 2, "given twice"),
        ([tmp_path / "nowhere.arrow"], 5, "nowhere.arrow"),
        ([states[0], "--memory", "1kB"], 4, "the state"),
        ([states[0], "--measure", "cases"], 2, "cases"),
        ([states[0], "--state", tmp_path / "nowhere" / "x.arrow"], 5, "nowhere"),
        ([], 2, "STATE"),
    ]:
        done = run("merge", *args, "--quiet")
        assert (done.exit_code, done.stdout) == (code, ""), (args, done.output)
        assert words in done.stderr, (args, done.stderr)


def test_ids_can_be_left_out(logs: list[Path], states: list[Path], tmp_path: Path) -> None:
    silent = tmp_path / "silent.arrow"
    assert run("mine", logs[0], "--state", silent, "--no-state-ids", "--quiet").exit_code == 0
    done = run("merge", silent, states[0], "--json", "--measure", "overview")
    assert done.exit_code == 0
    done = run("mine", logs[0], "--state", tmp_path / "x.arrow", "--backend", "reference")
    assert (done.exit_code, (tmp_path / "x.arrow").exists()) == (2, False)
