"""Are synthetic logs written whole or not at all, and in memory that does not grow with them?"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from click.testing import CliRunner, Result

import pycjm
from pycjm import errors
from pycjm.cli import cli

LAYOUTS = ("case", "time", "shuffled")


def run(*arguments: object) -> Result:
    return CliRunner().invoke(cli, ["synth", *map(str, arguments)], prog_name="pycjm")


def environment() -> dict[str, str]:
    """One in which a child finds this pycjm."""
    return os.environ | {"PYTHONPATH": str(Path(pycjm.__file__).parents[1])}


@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize("case_id", ["int", "string"])
def test_a_file_holds_the_rows_of_the_stream(layout: str, case_id: str, tmp_path: Path) -> None:
    path = tmp_path / "log.parquet"
    done = run("--events", "30k", "--layout", layout, "--case-id", case_id, "--seed", 4, "-o", path)
    assert done.exit_code == 0, done.output
    assert done.stdout == f"{path}\n"
    assert "30,000 events" in done.stderr
    # Names and types are those that any reader finds in the file.
    found = pq.ParquetFile(path).read()
    assert found.equals(pycjm.synth(30_000, layout=layout, case_id=case_id, seed=4).read_all())
    assert [entry.name for entry in tmp_path.iterdir()] == ["log.parquet"]


def test_row_groups_are_of_a_good_size_and_compressed(tmp_path: Path) -> None:
    path = tmp_path / "log.parquet"
    size = pycjm.write_synth(path, 2_300_000, layout="time")
    meta = pq.ParquetFile(path).metadata
    groups = [meta.row_group(k) for k in range(meta.num_row_groups)]
    assert [group.num_rows for group in groups] == [1 << 20, 1 << 20, 2_300_000 - (2 << 20)]
    assert {group.column(k).compression for group in groups for k in range(4)} == {"ZSTD"}
    assert size == path.stat().st_size < 30e6


def test_a_file_that_is_there_is_replaced_only_when_asked(tmp_path: Path) -> None:
    path = tmp_path / "log.parquet"
    path.write_text("precious")
    done = run("--events", 10, "-o", path)
    assert done.exit_code == 2
    assert "--overwrite" in done.stderr
    assert path.read_text() == "precious"
    assert run("--events", 10, "-o", path, "--overwrite", "--quiet").exit_code == 0
    assert pq.read_table(path).num_rows == 10
    assert run("--events", 10, "-o", tmp_path).exit_code == 2
    assert run("--events", 10, "-o", tmp_path / "no" / "log.parquet").exit_code == 5


@pytest.mark.parametrize(
    ("text", "events"), [("1_000", 1000), ("2k", 2000), ("0.5K", 500), (" 7 ", 7), ("0", 0), ("0.002M", 2000)]
)
def test_numbers_may_have_units(text: str, events: int, tmp_path: Path) -> None:
    done = run("--events", text, "-o", tmp_path / "log.parquet", "--json")
    assert json.loads(done.stdout)["events"] == events
    assert pq.read_metadata(tmp_path / "log.parquet").num_rows == events


@pytest.mark.parametrize("text", ["many", "-1", "1.5", "1__0", "10MB", "1e6", ""])
def test_what_is_no_number_is_refused(text: str, tmp_path: Path) -> None:
    done = run(f"--events={text}", "-o", tmp_path / "log.parquet")
    assert done.exit_code == 2
    assert "--events" in done.stderr
    assert list(tmp_path.iterdir()) == []


def test_progress_ends_with_all_rows(tmp_path: Path) -> None:
    told: list[tuple[str, int, int | None]] = []
    path = tmp_path / "log.parquet"
    pycjm.write_synth(path, 300_000, layout="shuffled", progress=lambda *now: told.append(now))
    assert [phase for phase, *_ in told] == sorted(phase for phase, *_ in told)
    assert told[-1] == ("writing", 300_000, 300_000)
    assert ("drawing", 300_000, 300_000) in told

    def stop(*now: object) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        pycjm.write_synth(path, 300_000, layout="time", progress=stop, overwrite=True)
    assert pq.read_metadata(path).num_rows == 300_000
    assert [entry.name for entry in tmp_path.iterdir()] == ["log.parquet"]


def test_temporary_files_that_cannot_be_are_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("pycjm._synth.buckets.HELD_BYTES", 0)
    with pytest.raises(errors.IoError, match="temp_dir="):
        pycjm.synth(1_000, layout="time", temp_dir=tmp_path / "nowhere").read_all()
    done = run("--events", "1k", "--layout", "time", "-o", tmp_path / "x.parquet", "--temp-dir", tmp_path / "nowhere")
    assert done.exit_code == 5
    assert "--temp-dir" in done.stderr
    assert list(tmp_path.iterdir()) == []


@pytest.mark.skipif(sys.platform == "win32", reason="signals of POSIX")
def test_an_interrupt_leaves_nothing_behind(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "pycjm", "synth", "--events", "1G", "--layout", "shuffled", "-o", "log.parquet"]
    child = subprocess.Popen(command, cwd=tmp_path, env=environment(), stderr=subprocess.PIPE, text=True)
    try:
        deadline = time.monotonic() + 60
        while not any(entry.is_dir() and any(entry.iterdir()) for entry in tmp_path.iterdir()):
            assert child.poll() is None, child.communicate()[1]
            assert time.monotonic() < deadline, "nothing was spilled"
            time.sleep(0.05)
        child.send_signal(signal.SIGINT)
        told = child.communicate(timeout=60)[1]
    finally:
        child.kill()
    assert child.returncode == 130, told
    assert told == "Error: interrupted; nothing was written.\n"
    assert list(tmp_path.iterdir()) == []


PEAK = """
import resource, sys
import pycjm
from pycjm._synth import buckets, layouts
buckets.HELD_BYTES, layouts.BUCKET_EVENTS = 8 << 20, 1 << 17
assert sum(batch.num_rows for batch in pycjm.synth(int(sys.argv[1]), layout=sys.argv[2])) == int(sys.argv[1])
peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
print(peak * (1 if sys.platform == "darwin" else 1024))
"""


@pytest.mark.skipif(sys.platform == "win32", reason="asks POSIX for the peak")
@pytest.mark.parametrize("layout", LAYOUTS)
def test_memory_does_not_grow_with_the_log(layout: str) -> None:
    def peak(events: int) -> int:
        command = [sys.executable, "-c", PEAK, str(events), layout]
        return int(subprocess.run(command, env=environment(), capture_output=True, check=True, timeout=120).stdout)

    # The six million events more are 120 MB, even in the form in which they wait.
    assert peak(7_000_000) - peak(1_000_000) < 50e6


def test_the_log_can_be_mined_by_guessing(tmp_path: Path) -> None:
    path = tmp_path / "log.parquet"
    pycjm.write_synth(path, 5_000)
    found = pycjm.scan(path).mine("overview")["overview"].to_pyarrow().to_pylist()[0]
    assert found["events"] == 5_000
    assert found["activities"] == 40
    assert pycjm.scan(pa.Table.from_batches(pycjm.synth(5_000))).mine("overview")["overview"].to_pyarrow()[
        "variants"
    ].to_pylist() == [found["variants"]]
