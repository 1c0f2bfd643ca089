"""What is refused, and what is left of a run that fails, is stopped or is killed?"""

from __future__ import annotations

import contextlib
import errno
import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import random_logs
import truth
from click.testing import CliRunner, Result

import pycjm
from pycjm import _lib, errors
from pycjm.cli import cli
from pycjm.sorting import runs

ROLES = {"case": "case", "activity": "activity", "timestamp": "timestamp"}


def run(*args: object) -> Result:
    return CliRunner().invoke(cli, [str(arg) for arg in args], prog_name="pycjm")


@pytest.fixture
def source(tmp_path: Path) -> Path:
    path = tmp_path / "log.parquet"
    pq.write_table(truth.log_table(31, 3000, case_id="int64", extra=False), path)
    return path


def test_the_command(source: Path) -> None:
    target = source.with_name("sorted.parquet")
    done = run("sort", source, "-o", target, "--json", "--memory", "400kB", "--order-by", "rank")
    assert done.exit_code == 0, done.stderr
    told = json.loads(done.stdout)
    assert (told["rows"], told["sorted_by"], told["runs"] > 3) == (3000, ["case", "timestamp"], True)
    assert told["bytes"] == target.stat().st_size
    assert "3,000 rows" in done.stderr
    wanted = truth.expected(pq.read_table(source), case=["case"], timestamp="timestamp", order_by=["rank"])
    truth.assert_same_rows(pq.read_table(target), wanted)
    assert truth.assert_declared_truly(target) == ["case", "timestamp"]
    before = target.read_bytes()
    done = run("sort", source, "-o", target)
    assert (done.exit_code, "replace it with --overwrite" in done.stderr) == (2, True)
    assert target.read_bytes() == before
    done = run("sort", source, "-o", target, "--overwrite", "--quiet", "--compression", "snappy")
    assert (done.exit_code, done.stdout, done.stderr) == (0, "", "")
    assert pq.ParquetFile(target).metadata.row_group(0).column(0).compression == "SNAPPY"
    assert target.read_bytes() != before


def test_what_is_refused_before_any_work(source: Path, tmp_path: Path) -> None:
    log = pycjm.scan(source, **ROLES)
    for path, options, text in (
        (source, {"overwrite": True}, "is a file of the log itself"),
        (tmp_path / "link.parquet", {"overwrite": True}, "is a file of the log itself"),
        (tmp_path / "log.csv", {}, "name it"),
        (tmp_path / "new.parquet", {"compression": "zst"}, "'zstd'"),
        (tmp_path / "new.parquet", {"row_group_rows": 0}, "row_group_rows"),
        (tmp_path / "new.parquet", {"memory_limit": -1}, "memory_limit"),
        (tmp_path / "new.parquet", {"threads": True}, "threads"),
    ):
        if path.name == "link.parquet":
            path.symlink_to(source)
        with pytest.raises(errors.InvalidArgument, match=text):
            log.sort(path, **options)
    (tmp_path / "folder.parquet").mkdir()
    with pytest.raises(errors.InvalidArgument, match="directory"):
        log.sort(tmp_path / "folder.parquet", overwrite=True)
    for folder, options in ((tmp_path / "missing", {}), (tmp_path, {"spill_dir": tmp_path / "missing"})):
        with pytest.raises(errors.IoError, match="missing") as caught:
            log.sort(folder / "new.parquet", memory_limit=truth.TINY, **options)
        assert caught.value.errno == errno.ENOENT
    assert sorted(path.name for path in tmp_path.iterdir()) == ["folder.parquet", "link.parquet", "log.parquet"]


def test_types_that_cannot_be_sorted_or_written(tmp_path: Path) -> None:
    table = truth.log_table(32, 50, case_id="int64")
    path = tmp_path / "sorted.parquet"
    with pytest.raises(errors.Unsupported, match="order_by: column 'nested'"):
        pycjm.scan(table, **ROLES, order_by="nested").sort(path)
    with pytest.raises(errors.Unsupported, match="'weight' is double"):
        pycjm.scan(table, **ROLES | {"case": ["case", "weight"]}).sort(path)
    months = pa.array([(1, 2, 3)] * 50, pa.month_day_nano_interval())
    with pytest.raises(errors.Unsupported, match=r"'months'.*cannot be written as Parquet"):
        pycjm.scan(table.append_column("months", months), **ROLES).sort(path)
    twice = pa.Table.from_arrays([*table.columns, table["row"]], [*table.column_names, "row"])
    with pytest.raises(errors.InvalidArgument, match="more than one column is named 'row'"):
        pycjm.scan(twice, **ROLES).sort(path)
    assert list(tmp_path.iterdir()) == []


def test_joined_values_that_could_be_mistaken(tmp_path: Path) -> None:
    table = pa.table(
        {"a": ["x+y", "x"], "b": ["z", "y+z"], "activity": ["1", "2"], "timestamp": pa.array([1, 2], pa.timestamp("s"))}
    )
    roles = {"case": ["a", "b"], "activity": "activity", "timestamp": "timestamp"}
    path = tmp_path / "sorted.parquet"
    with pytest.raises(errors.InvalidArgument, match=r'row 1: column "a" holds "x\+y", and that contains the joiner'):
        pycjm.scan(table, **roles).sort(path)
    assert not path.exists()
    assert pycjm.scan(table, **roles, joiner="|").sort(path)["rows"] == 2


def test_too_little_memory_names_enough(source: Path, tmp_path: Path) -> None:
    log = pycjm.scan(source, **ROLES)
    with pytest.raises(errors.MemoryLimit) as caught:
        log.sort(tmp_path / "sorted.parquet", memory_limit=20_000)
    enough = caught.value.details["needed_bytes"]
    assert 20_000 < enough < 2_000_000
    done = run("sort", source, "-o", tmp_path / "sorted.parquet", "--memory", "20kB")
    assert (done.exit_code, "--memory" in done.stderr) == (4, True)
    assert list(tmp_path.iterdir()) == [source]
    assert log.sort(tmp_path / "sorted.parquet", memory_limit=enough)["rows"] == 3000


class FullDisk:
    """A file on a disk that has room for so many bytes."""

    def __init__(self, file: Any, room: int) -> None:
        self._file, self._room = file, room

    def write(self, data: Any) -> int:
        self._room -= len(data)
        if self._room < 0:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        return self._file.write(data)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._file, name)


def test_a_full_disk_is_told_apart(source: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import tempfile

    make = tempfile.TemporaryFile
    monkeypatch.setattr(tempfile, "TemporaryFile", lambda **given: FullDisk(make(**given), 20_000))
    spill = tmp_path / "spill"
    spill.mkdir()
    with pytest.raises(errors.IoError, match="spill: the disk is full") as caught:
        pycjm.scan(source, **ROLES).sort(tmp_path / "sorted.parquet", memory_limit=truth.TINY, spill_dir=spill)
    assert caught.value.details["disk_full"] is True
    assert sorted(tmp_path.iterdir()) == [source, spill]
    assert list(spill.iterdir()) == []


LIMITED = """
import resource, sys
import pycjm
resource.setrlimit(resource.RLIMIT_FSIZE, (9_000, 9_000))
import signal
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
try:
    pycjm.scan(sys.argv[1], case="case", activity="activity", timestamp="timestamp").sort(sys.argv[2])
except pycjm.errors.IoError as error:
    print(error.errno, error.details["path"])
"""


def test_a_file_that_grows_too_large_leaves_nothing(source: Path, tmp_path: Path) -> None:
    target = tmp_path / "sorted.parquet"
    done = subprocess.run(
        [sys.executable, "-c", LIMITED, source, target], capture_output=True, text=True, timeout=60, env=environment()
    )
    assert done.stdout.split() == [str(errno.EFBIG), str(target)], done.stderr
    assert list(tmp_path.iterdir()) == [source]


def test_a_broken_source_leaves_nothing(tmp_path: Path) -> None:
    table = truth.log_table(33, 4000, case_id="int64", extra=False)
    first, second = tmp_path / "1.parquet", tmp_path / "2.parquet"
    pq.write_table(table, first)
    pq.write_table(table, second, compression="none", use_dictionary=False)
    damaged = bytearray(second.read_bytes())
    damaged[4:40] = b"\xff" * 36  # the head of the first page
    second.write_bytes(damaged)

    def batches() -> Any:
        yield from table.to_batches(max_chunksize=500)
        raise RuntimeError("the database went away")

    broken = pa.RecordBatchReader.from_batches(table.schema, batches())
    for source, kind in (([first, second], errors.PycjmError), (broken, Exception)):
        with pytest.raises(kind):
            pycjm.scan(source, **ROLES).sort(tmp_path / "sorted.parquet", memory_limit=truth.TINY, spill_dir=tmp_path)
        assert sorted(tmp_path.iterdir()) == [first, second]


@pytest.mark.parametrize("phase", ["reading", "writing"])
def test_a_progress_callback_that_raises_stops_it(source: Path, tmp_path: Path, phase: str) -> None:
    seen: list[tuple[str, int, int | None]] = []

    def stop(*told: Any) -> None:
        seen.append(told)
        if told[0] == phase and told[1]:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        pycjm.scan(source, **ROLES).sort(
            tmp_path / "sorted.parquet", memory_limit=truth.TINY, row_group_rows=500, progress=stop
        )
    assert seen[-1][0] == phase
    assert list(tmp_path.iterdir()) == [source]


def test_progress_reaches_the_end(source: Path, tmp_path: Path) -> None:
    seen: list[tuple[str, int, int | None]] = []
    pycjm.scan(source, **ROLES).sort(tmp_path / "sorted.parquet", progress=lambda *told: seen.append(told))
    assert [told for told in seen if told[1]] == [("reading", 3000, 3000), ("writing", 3000, 3000)]


def environment() -> dict[str, str]:
    root = str(Path(pycjm.__file__).parents[1])
    return os.environ | {"PYTHONPATH": os.pathsep.join(filter(None, (root, os.environ.get("PYTHONPATH"))))}


@pytest.mark.skipif(not os.path.exists("/proc/self/fd"), reason="needs /proc")
@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143), (signal.SIGKILL, -9)])
def test_a_signal_leaves_nothing(tmp_path: Path, number: signal.Signals, code: int) -> None:
    source, out, spill = (tmp_path / name for name in ("log.parquet", "out", "spill"))
    out.mkdir()
    spill.mkdir()
    # Long enough to be caught while runs are put aside.
    pq.write_table(random_logs.draw_log(34, 400_000, n_cases=40_000, case_id="text of 16 bytes"), source)
    command = [sys.executable, "-m", "pycjm", "sort", source, "-o", out / "sorted.parquet"]
    command += ["--memory", "8MB", "--spill-dir", spill]
    process = subprocess.Popen(command, stderr=subprocess.PIPE, text=True, env=environment())
    until = time.monotonic() + 30
    while process.poll() is None and time.monotonic() < until:
        if any(str(spill) in path for path in _open_files(process)):
            break
        time.sleep(0.01)
    assert process.poll() is None, "it ended before it could be stopped"
    process.send_signal(number)
    _, said = process.communicate(timeout=30)
    assert process.returncode == code, said
    assert list(spill.iterdir()) == []
    left = [path.name for path in out.iterdir()]
    if number == signal.SIGKILL:
        assert all(name.startswith(".sorted.parquet.pycjm-tmp-") for name in left)
    else:
        assert left == []
        assert "interrupted; nothing was written" in said


def _open_files(process: subprocess.Popen[str]) -> list[str]:
    """The files that a process has open; what it closes meanwhile is left out."""
    found = []
    folder = f"/proc/{process.pid}/fd"
    for name in os.listdir(folder) if os.path.exists(folder) else ():
        with contextlib.suppress(OSError):
            found.append(os.readlink(f"{folder}/{name}"))
    return found


@pytest.mark.parametrize(("auto", "budget"), [(300_000_000, 300_000_000), (2**50, 4 << 30), (None, None)])
def test_the_memory_it_takes_by_default_is_what_a_run_would_take_or_4_gib(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, auto: int | None, budget: int | None
) -> None:
    """The engine knows containers; where it knows nothing, the machine's memory counts."""
    taken = []
    real = runs.Budget

    def noted(memory: int) -> runs.Budget:
        taken.append(memory)
        return real(memory)

    monkeypatch.setattr("pycjm._lib.auto_memory_limit", lambda: auto)
    monkeypatch.setattr("pycjm._machine.memory_bytes", lambda: 5_000_000_000)
    monkeypatch.setattr(runs, "Budget", noted)
    pycjm.sample().sort(tmp_path / "sorted.parquet")
    assert taken == [budget or 2_500_000_000]


def test_the_engine_says_the_same_limit_as_a_run() -> None:
    info = pycjm.sample().mine("overview").info
    assert _lib.auto_memory_limit() == info["memory_limit_bytes"]
