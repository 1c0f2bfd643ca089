"""Does ``pycjm mine`` give the right figures, in the right place, whole or not at all?"""

from __future__ import annotations

import csv
import json
import os
from collections.abc import Callable
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from click.testing import Result

Run = Callable[..., Result]
BACKENDS = ("native", "numba", "reference")


@pytest.mark.parametrize("backend", BACKENDS)
def test_the_golden_log_as_json(run: Run, golden: str, backend: str) -> None:
    done = run("mine", golden, "--json", "--backend", backend)
    assert done.exit_code == 0, done.stderr
    found = json.loads(done.stdout)
    tables = found["tables"]
    assert found["roles"] == {"case": ["case_id"], "activity": ["activity"], "timestamp": ["timestamp"]}
    assert list(tables) == ["overview", "activities", "dfg", "variants", "durations"]
    assert {row["source"] + row["target"]: row["count"] for row in tables["dfg"]} == {
        "ad": 4, "ab": 1, "ac": 1, "bc": 1, "bd": 1, "cb": 1, "cc": 1, "cd": 1,
    }  # fmt: skip
    edge = tables["dfg"][0]
    expected = {
        "mean_s": 76500,
        "p50_s": 46800,
        "min_s": 3600,
        "max_s": 208800,
        "total_s": 306000,
        "p90_s": 172080,
        "p95_s": 190440,
    }
    assert {name: edge[name] for name in expected} == expected
    assert [(row["activities"], row["cases"]) for row in tables["variants"]] == [
        (["a", "d"], 4), (["a", "b", "c", "b", "d"], 1), (["a", "c", "c", "d"], 1),
    ]  # fmt: skip
    assert tables["overview"][0]["tied_pairs"] == 1
    assert tables["overview"][0]["first_ts"] == "2026-01-05T08:00:00.000000Z"


def test_options_of_the_measures(run: Run, golden: str) -> None:
    done = run(
        "mine",
        golden,
        "--json",
        "--measure",
        "variants",
        "--measure",
        "durations",
        "--top",
        1,
        "--percentile",
        "99.9",
        "--percentile",
        50,
    )
    tables = json.loads(done.stdout)["tables"]
    assert list(tables) == ["variants", "durations"]
    assert len(tables["variants"]) == 1
    assert list(tables["durations"][0])[-2:] == ["p99_9_s", "p50_s"]
    assert tables["durations"][0]["p50_s"] == 88200


def test_the_cases_are_streamed_into_the_document(run: Run, golden: str) -> None:
    tables = json.loads(run("mine", golden, "--json", "--measure", "cases").stdout)["tables"]
    assert [(row["case"], row["events"], row["duration_s"]) for row in tables["cases"]] == [
        ("A", 5, 90000), ("B", 4, 244800), ("C", 2, 208800), ("D", 2, 3600), ("E", 2, 7200), ("F", 2, 86400),
    ]  # fmt: skip


def test_the_summary_is_on_stdout_and_the_guess_on_stderr(run: Run, golden: str) -> None:
    done = run("mine", golden, env={"COLUMNS": "120"})
    assert done.exit_code == 0
    for line in (
        "events      17",
        "cases       6",
        "time        2026-01-05 08:00:00 UTC to 2026-01-12 12:00:00 UTC",
        "ties        1 in 1 cases",
    ):
        assert line in done.stdout
    (edge,) = [line for line in done.stdout.splitlines() if line.startswith("a → d ")]
    assert edge.split("  ")[0] == "a → d"
    assert [part.strip() for part in edge.split("  ") if part.strip()] == [
        "a → d", "4", "4", "21 h 15 min", "13 h", "2 d", "2 d 5 h", "2 d 9 h",
    ]  # fmt: skip
    assert "Guessed" not in done.stdout
    assert "--case case_id, --activity activity, --timestamp timestamp" in done.stderr


def test_quiet_and_named_roles_say_nothing(run: Run, golden: str) -> None:
    assert run("mine", golden, "--quiet").stderr == ""
    named = run("mine", golden, "--case", "case_id", "--activity", "activity", "--timestamp", "timestamp")
    assert (named.exit_code, named.stderr) == (0, "")


def test_percentiles_within_bounds(run: Run, golden: str, tmp_path: Path) -> None:
    asked = ("--measure", "dfg", "--measure", "durations", "--percentile", 50, "--approx", 0.01)
    done = run("mine", golden, *asked, env={"COLUMNS": "120"})
    (edge,) = [line for line in done.stdout.splitlines() if line.startswith("a → d ")]
    assert [part.strip() for part in edge.split("  ") if part.strip()] == [
        "a → d", "4", "4", "21 h 15 min", "13 h ± 5 min 16 s",
    ]  # fmt: skip
    assert "p50.lo" not in done.stdout
    assert [line.split()[0] for line in done.stdout.partition("Case durations")[2].split("\n") if line] == [
        "mean", "min", "max", "std", "p50",
    ]  # fmt: skip
    assert "±" in done.stdout.partition("Case durations")[2]
    (row,) = json.loads(run("mine", golden, *asked, "--json").stdout)["tables"]["durations"]
    assert list(row)[-3:] == ["p50_s", "p50_lo_s", "p50_hi_s"]
    assert row["p50_lo_s"] <= 88200 <= row["p50_hi_s"]
    run("mine", golden, *asked, "--out", tmp_path / "out")
    assert json.loads((tmp_path / "out" / "run.json").read_text())["options"]["mine"]["approx"] == 0.01


@pytest.mark.parametrize("asked", [["--approx", 0], ["--approx", 0.6], ["--approx", 0.01, "--measure", "activities"]])
def test_an_approximation_that_is_none(run: Run, golden: str, asked: list[object]) -> None:
    done = run("mine", golden, *asked)
    assert done.exit_code == 2
    assert "approx" in done.stderr


def test_the_summary_says_how_much_it_left_out(run: Run, golden: str) -> None:
    done = run("mine", golden, "--top", 2)
    assert "Edges (the first 2 of 8)" in done.stdout
    assert "Variants (the first 2 of 3)" in done.stdout
    assert "Activities (the first 2 of 4)" in done.stdout
    everything = run("mine", golden)
    assert "(the first" not in everything.stdout
    assert "Cases (the first 2)" in run("mine", golden, "--measure", "cases", "--top", 2).stdout


@pytest.mark.parametrize("width", [60, 80, 100, 160])
def test_the_summary_fits_the_width(run: Run, width: int, tmp_path: Path) -> None:
    names = [f"a touchpoint with the long name number {n:02}" for n in range(8)]
    table = pa.table(
        {"case_id": ["x"] * 8, "activity": names, "timestamp": pa.array(range(8), pa.timestamp("s", "UTC"))}
    )
    pq.write_table(table, tmp_path / "log.parquet")
    done = run("mine", tmp_path / "log.parquet", env={"COLUMNS": str(width)})
    assert done.exit_code == 0
    assert max(map(len, done.stdout.splitlines())) <= width
    assert "…" not in done.stdout, "a label was cut"


@pytest.mark.parametrize("width", [1, 20, 40, 58])
def test_a_narrow_terminal_breaks_lines_and_loses_no_figure(run: Run, golden: str, width: int) -> None:
    lines = run("mine", golden, env={"COLUMNS": str(width)}).stdout.splitlines()
    cells = [[cell.strip() for cell in line.split("  ") if cell.strip()] for line in lines]
    assert ["a → d", "4", "4"] in [row[:3] for row in cells]
    assert ["1", "a → d", "4", "66.7 %", "66.7 %"] in [row[:5] for row in cells]


@pytest.mark.parametrize(
    "label", ["\x1b[31mred\x1b[0m", "[bold]loud[/bold]", ":smile:", "two\nlines", "tab\there", "\u202eback"]
)
def test_a_label_cannot_command_the_terminal(run: Run, label: str, tmp_path: Path) -> None:
    table = pa.table(
        {"case_id": ["x", "x"], "activity": [label, "b"], "timestamp": pa.array([0, 1], pa.timestamp("s", "UTC"))}
    )
    pq.write_table(table, tmp_path / "log.parquet")
    done = run("mine", tmp_path / "log.parquet", env={"COLUMNS": "200"})
    shown = "".join(char if char.isprintable() else repr(char)[1:-1] for char in label)
    assert any(line.startswith(f"{shown} ") for line in done.stdout.splitlines())
    assert not set(done.stdout) & {"\x1b", "\t", "\u202e"}


@pytest.mark.parametrize("form", ["parquet", "csv", "json", "arrow"])
def test_out_writes_one_file_per_table_and_the_record(run: Run, golden: str, tmp_path: Path, form: str) -> None:
    out = tmp_path / "out"
    done = run(
        "mine", golden, "--out", out, "--format", form, "--measure", "dfg", "--measure", "cases", "--percentile", 50
    )
    assert (done.exit_code, done.stdout) == (0, "")
    assert f"Wrote to {out}: dfg.{form} (8), cases.{form} (6), run.json" in done.stderr
    assert sorted(os.listdir(out)) == sorted([f"dfg.{form}", f"cases.{form}", "run.json"])
    path = out / f"dfg.{form}"
    if form == "parquet":
        rows = pq.read_table(path).to_pylist()
    elif form == "arrow":
        rows = pa.ipc.open_file(path).read_all().to_pylist()
    elif form == "json":
        rows = json.loads(path.read_text())
    else:
        rows = list(csv.DictReader(path.open()))
    assert [row["source"] + row["target"] for row in rows] == ["ad", "ab", "ac", "bc", "bd", "cb", "cc", "cd"]
    assert float(rows[0]["p50_s"]) == 46800
    record = json.loads((out / "run.json").read_text())
    assert record["inputs"][0]["path"] == golden
    assert record["inputs"][0]["bytes"] == os.path.getsize(golden)
    assert record["options"]["scan"]["case"] == ["case_id"]
    assert record["options"]["mine"]["percentiles"] == [50.0]
    assert record["options"]["mine"]["measures"] == ["dfg", "cases"]
    assert record["run"]["seconds"] > 0


def test_out_with_json_prints_the_record(run: Run, golden: str, tmp_path: Path) -> None:
    done = run("mine", golden, "--out", tmp_path / "out", "--json", "--quiet")
    assert json.loads(done.stdout) == json.loads((tmp_path / "out" / "run.json").read_text())
    assert done.stderr == ""


def test_an_existing_directory_is_refused_before_the_work(run: Run, tmp_path: Path) -> None:
    (tmp_path / "out").mkdir()
    done = run("mine", tmp_path / "there is no such log.parquet", "--out", tmp_path / "out")
    assert done.exit_code == 2
    assert f"Error: {tmp_path / 'out'} exists. Name another directory, or replace it with --overwrite." in done.stderr


def test_overwrite_replaces_only_what_pycjm_wrote(run: Run, golden: str, tmp_path: Path) -> None:
    out = tmp_path / "out"
    assert run("mine", golden, "--out", out).exit_code == 0
    assert run("mine", golden, "--out", out, "--measure", "dfg").exit_code == 2
    assert run("mine", golden, "--out", out, "--measure", "dfg", "--overwrite").exit_code == 0
    assert sorted(os.listdir(out)) == ["dfg.parquet", "run.json"]
    (out / "mine.txt").write_text("precious")
    assert run("mine", golden, "--out", out, "--overwrite").exit_code == 2
    assert (out / "mine.txt").read_text() == "precious"
    assert sorted(os.listdir(tmp_path)) == ["golden.parquet", "out"]


def test_overwrite_alone_is_a_mistake(run: Run, golden: str) -> None:
    done = run("mine", golden, "--overwrite")
    assert done.exit_code == 2
    assert "--overwrite needs --out" in done.stderr


def test_several_files_and_a_pattern(run: Run, make_golden: Callable[..., pa.Table], tmp_path: Path) -> None:
    table = make_golden()
    pq.write_table(table.slice(0, 7), tmp_path / "part-0.parquet")
    pq.write_table(table.slice(7), tmp_path / "part-1.parquet")
    paths = [tmp_path / "part-0.parquet", tmp_path / "part-1.parquet"]
    for source in (paths, [tmp_path / "part-*.parquet"], [tmp_path]):
        tables = json.loads(run("mine", *source, "--json", "--measure", "dfg").stdout)["tables"]
        assert [(row["source"] + row["target"], row["count"]) for row in tables["dfg"]][:2] == [("ad", 4), ("ab", 1)]


def test_options_of_the_log_reach_it(run: Run, tmp_path: Path) -> None:
    (tmp_path / "log.csv").write_text(
        "who;what;day;clock\n1;a;01.02.26;10:00\n1;b;01.02.26;10:30\nNA;b;01.02.26;10:30\n2;a;02.02.26;09:00\n"
    )
    roles = ["--case", "who", "--activity", "what", "--timestamp", "day", "--timestamp", "clock"]
    reading = ["--timestamp-format", "%d.%m.%y %H:%M", "--timezone", "Europe/Berlin", "--delimiter", ";"]
    nulls = ["--null-value", "NA", "--on-null", "drop"]
    measures = ["--json", "--measure", "overview", "--measure", "dfg"]
    done = run("mine", tmp_path / "log.csv", *roles, *reading, *nulls, *measures)
    assert done.exit_code == 0, done.stderr
    tables = json.loads(done.stdout)["tables"]
    assert tables["overview"][0]["first_ts"].startswith("2026-02-01T09:00:00")
    assert tables["overview"][0]["dropped_rows"]["case"] == 1
    assert (tables["dfg"][0]["source"], tables["dfg"][0]["mean_s"]) == ("a", 1800)


def test_joined_columns(run: Run, tmp_path: Path) -> None:
    table = pa.table(
        {
            "a": ["x", "x"],
            "b": ["1", "1"],
            "c": ["p", "q"],
            "d": ["r", "s"],
            "ts": pa.array([0, 5], pa.timestamp("s", "UTC")),
        }
    )
    pq.write_table(table, tmp_path / "log.parquet")
    roles = ["--case", "a", "--case", "b", "--activity", "c", "--activity", "d", "--joiner", " / ", "--timestamp", "ts"]
    tables = json.loads(run("mine", tmp_path / "log.parquet", *roles, "--json", "--measure", "dfg").stdout)["tables"]
    assert (tables["dfg"][0]["source"], tables["dfg"][0]["target"]) == ("p / r", "q / s")
