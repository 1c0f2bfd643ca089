"""Does every failure end with one clear message, the right exit code, and nothing left behind?"""

from __future__ import annotations

import errno
import json
import os
import pty
import select
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from click.testing import Result

import pycjm
from pycjm import errors
from pycjm.cli import _failure, _options

Run = Callable[..., Result]

CODES = [
    (errors.InvalidArgument("said wrongly"), 2),
    (errors.InvalidData("row 7 of x.csv has no time", {"row": 7}), 3),
    (errors.Unsupported("lists are not read"), 3),
    (errors.MemoryLimit("100 MiB would do"), 4),
    (errors.IoError("x: gone", {"errno": errno.ENOENT, "path": "x"}), 5),
    (errors.Cancelled("stopped"), 130),
    (errors.CallbackError("metric failed"), 70),
    (errors.InternalError("index out of range"), 70),
    (OSError(errno.EIO, "Input/output error", "x"), 5),
    (MemoryError(), 4),
    (ZeroDivisionError("division by zero"), 70),
    (KeyboardInterrupt(), 130),
]


@pytest.mark.parametrize(("error", "code"), CODES, ids=lambda value: type(value).__name__)
@pytest.mark.parametrize("name", ["inspect", "mine", "map"])
def test_each_error_has_its_code_and_one_message(
    run: Run, monkeypatch: pytest.MonkeyPatch, name: str, error: BaseException, code: int
) -> None:
    def scan(*args: object, **options: object) -> None:
        raise error

    monkeypatch.setattr(pycjm, "scan", scan)
    done = run(name, "log.parquet")
    assert done.exit_code == code
    assert done.stdout == ""
    assert done.stderr.startswith("Error: ")
    assert done.stderr.count("\n") == 1
    if isinstance(error, errors.PycjmError):
        assert error.message in done.stderr
    with_traceback = run(name, "log.parquet", "--debug")
    assert with_traceback.exit_code == code
    assert "Traceback (most recent call last)" in with_traceback.stderr


def test_every_status_has_an_exit_code() -> None:
    assert _failure.EXIT_CODES.keys() == errors.BY_CODE.keys()


def test_an_interrupt_says_that_nothing_was_written(
    run: Run, golden: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def mine(*args: object, **options: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(pycjm.EventLog, "mine", mine)
    done = run("mine", golden, "--quiet", "--out", tmp_path / "out")
    assert (done.exit_code, done.stderr) == (130, "Error: interrupted; nothing was written.\n")
    assert os.listdir(tmp_path) == ["golden.parquet"]


@pytest.mark.parametrize(
    "args",
    [
        ["mine"],
        ["mine", "GOLDEN", "--nonsense"],
        ["mine", "GOLDEN", "--measure", "dgf"],
        ["mine", "GOLDEN", "--threads", "0"],
        ["mine", "GOLDEN", "--percentile", "101"],
        ["mine", "GOLDEN", "--percentile", "50", "--percentile", "50"],
        ["mine", "GOLDEN", "--top", "0"],
        ["mine", "GOLDEN", "--top", "5", "--measure", "dfg", "--json"],
        ["mine", "GOLDEN", "--memory", "lots"],
        ["mine", "GOLDEN", "--case", "nobody"],
        ["mine", "GOLDEN", "--delimiter", ";"],
        ["map", "GOLDEN", "--max-nodes", "0"],
        ["inspect", "GOLDEN", "--timestamp-unit", "h"],
    ],
    ids=" ".join,
)
def test_mistakes_of_the_caller_are_usage(run: Run, golden: str, args: list[str]) -> None:
    done = run(*[golden if arg == "GOLDEN" else arg for arg in args])
    assert done.exit_code == 2
    assert done.stdout == "" or args[0] == "inspect"
    assert "Error: " in done.stderr
    assert "Traceback" not in done.stderr


def test_a_near_column_is_named(run: Run, golden: str) -> None:
    done = run("mine", golden, "--case", "caseid")
    assert done.exit_code == 2
    assert "Did you mean 'case_id'?" in done.stderr


def test_a_missing_file_is_a_matter_of_files(run: Run, tmp_path: Path) -> None:
    done = run("mine", tmp_path / "gone.parquet")
    assert done.exit_code == 5
    assert "gone.parquet" in done.stderr


def test_a_broken_file_is_a_matter_of_data(run: Run, tmp_path: Path) -> None:
    (tmp_path / "broken.parquet").write_bytes(b"PAR1 this is none PAR1")
    done = run("mine", tmp_path / "broken.parquet")
    assert done.exit_code == 3
    assert "broken.parquet" in done.stderr
    assert "panic" not in done.stderr


@pytest.mark.parametrize(
    ("message", "shown"),
    [
        ("Say which: case=...", "Say which: --case ..."),
        ("pass null_values='NA' or on_null=\"drop\"", "pass --null-value 'NA' or --on-null \"drop\""),
        ("top= has no use", "--top has no use"),
        ("replace it with overwrite=True.", "replace it with --overwrite."),
        ("folder x/case=3/y", "folder x/case=3/y"),
        ("lower_case=... stays", "lower_case=... stays"),
        ("needs start_timestamp=: without it", "needs --start-timestamp: without it"),
        ("name start_timestamp=.", "name --start-timestamp."),
        ("are needed; raise memory_limit", "are needed; raise --memory"),
        ("pass a finer timestamp_unit.", "pass a finer --timestamp-unit."),
        ("unknown column 'timestamp_unit'", "unknown column 'timestamp_unit'"),
    ],
)
def test_messages_speak_of_options(message: str, shown: str) -> None:
    assert _failure.as_options(message) == shown


def test_a_directory_below_a_file_is_told_before_the_work(run: Run, golden: str, tmp_path: Path) -> None:
    (tmp_path / "t.csv").write_text("a")
    done = run("mine", "gone.parquet", "--out", tmp_path / "t.csv" / "x" / "y")
    assert done.exit_code == 5
    assert "a part of the path is not a directory" in done.stderr


@pytest.mark.parametrize(
    ("text", "n_bytes"),
    [
        ("1000", 1000),
        ("4GiB", 4 << 30),
        ("4 gib", 4 << 30),
        ("512MB", 512_000_000),
        ("1.5k", 1500),
        ("2TiB", 2 << 40),
        ("7b", 7),
    ],
)
def test_sizes(text: str, n_bytes: int) -> None:
    assert _options.Size().convert(text, None, None) == n_bytes


# In a process of its own

# A signal that the tests' own parent ignores, as nohup does, would be ignored by the command, too, as it should.
STOPPING = """
import signal, sys, time
for number in (signal.SIGTERM, signal.SIGHUP):
    signal.signal(number, signal.SIG_DFL)
import pycjm.cli, pycjm.export
marker = sys.argv.pop()
def slow(*args, **options):
    open(marker, "w").close()
    time.sleep(60)
pycjm.export._write = slow
pycjm.cli.main()
"""


@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143), (signal.SIGHUP, 129)])
def test_a_signal_in_the_middle_of_writing(shell: Any, golden: str, tmp_path: Path, number: int, code: int) -> None:
    marker, out = tmp_path / "marker", tmp_path / "parent" / "out"
    args = [sys.executable, "-c", STOPPING, "mine", golden, "--quiet", "--out", str(out), str(marker)]
    process = subprocess.Popen(args, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=shell.environment())
    until(marker.exists)
    assert list((tmp_path / "parent").iterdir()), "the test has to hit the writing"
    process.send_signal(number)
    stdout, stderr = process.communicate(timeout=20)
    assert (process.returncode, stdout, stderr) == (code, "", "Error: interrupted; nothing was written.\n")
    assert sorted(os.listdir(tmp_path)) == ["golden.parquet", "marker"]


def until(condition: Callable[[], bool], limit_s: float = 30) -> None:
    end = time.monotonic() + limit_s
    while not condition():
        assert time.monotonic() < end, "waited in vain"
        time.sleep(0.02)


def test_a_reader_that_goes_away_is_no_error(shell: Any, golden: str) -> None:
    process = subprocess.Popen(
        shell.command("mine", golden, "--json"),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        env=shell.environment(),
        text=True,
    )
    process.stdout.close()
    told = process.stderr.read()
    assert process.wait(timeout=60) == 141
    assert "Error" not in told
    assert "Traceback" not in told
    assert "Broken" not in told


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="needs /dev/full")
def test_a_full_disk_under_stdout_is_told(shell: Any, golden: str) -> None:
    command, env = shell.command("mine", golden, "-q"), shell.environment()
    with open("/dev/full", "w") as full:
        done = subprocess.run(command, stdout=full, stderr=subprocess.PIPE, text=True, env=env, timeout=60)
    assert done.returncode == 5
    assert "No space left on device" in done.stderr
    assert "Traceback" not in done.stderr


CLOSED = [
    (["mine", "GOLDEN"], 5),
    (["mine", "GOLDEN", "--json"], 5),
    (["mine", "GOLDEN", "--out", "OUT"], 0),
    (["map", "GOLDEN", "-o", "OUT"], 0),
    (["--help"], 5),
]


@pytest.mark.parametrize(("args", "code"), CLOSED, ids=lambda value: " ".join(value) if isinstance(value, list) else "")
def test_a_closed_stdout(shell: Any, golden: str, tmp_path: Path, args: list[str], code: int) -> None:
    out = tmp_path / "out"
    args = [{"GOLDEN": golden, "OUT": str(out)}.get(arg, arg) for arg in args]
    command = ["sh", "-c", 'exec "$@" >&-', "sh", *shell.command(*args, *(["-q"] if len(args) > 1 else []))]
    done = subprocess.run(command, stderr=subprocess.PIPE, text=True, env=shell.environment(), timeout=60)
    told = "" if code == 0 else "Error: stdout is closed, so nothing could be written there.\n"
    assert (done.returncode, done.stderr) == (code, told)
    assert out.exists() == (str(out) in args)


def test_a_closed_stderr_changes_nothing(shell: Any, golden: str) -> None:
    command = ["sh", "-c", 'exec "$@" 2>&-', "sh", *shell.command("mine", golden, "--json")]
    done = subprocess.run(command, stdout=subprocess.PIPE, text=True, env=shell.environment(), timeout=60)
    assert done.returncode == 0
    assert json.loads(done.stdout)["tables"]["overview"][0]["events"] == 17


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="needs /dev/full")
@pytest.mark.parametrize("option", ["--help", "--version"])
def test_help_on_a_full_disk(shell: Any, option: str) -> None:
    with open("/dev/full", "w") as full:
        done = subprocess.run(
            shell.command(option), stdout=full, stderr=subprocess.PIPE, text=True, env=shell.environment(), timeout=60
        )
    assert (done.returncode, done.stderr) == (5, "Error: No space left on device\n")


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="needs /dev/full")
@pytest.mark.parametrize(("args", "code"), [(["mine", "gone.parquet"], 5), (["mien"], 2), (["mine", "GOLDEN"], 0)])
def test_messages_that_cannot_be_written_change_no_exit_code(
    shell: Any, golden: str, args: list[str], code: int
) -> None:
    command = shell.command(*[golden if arg == "GOLDEN" else arg for arg in args])
    with open("/dev/full", "w") as full:
        done = subprocess.run(command, stdout=subprocess.PIPE, stderr=full, env=shell.environment(), timeout=60)
    assert done.returncode == code


# An exception inside of a destructor is swallowed by Python.
SIGNAL_WHERE_EXCEPTIONS_ARE_SWALLOWED = """
import os, signal, sys, time

class Last:
    def __del__(self):
        os.kill(os.getpid(), int(sys.argv.pop()))
        time.sleep(0.01)

class Importing:
    def find_spec(self, name, path=None, target=None):
        if name == "{module}":
            Last()

sys.meta_path.insert(0, Importing())
from pycjm.__main__ import main
main()
"""


@pytest.mark.parametrize("module", ["click", "pycjm.cli.mine", "pyarrow"])
@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_a_signal_while_the_program_starts(
    shell: Any, golden: str, tmp_path: Path, module: str, number: int, code: int
) -> None:
    program = SIGNAL_WHERE_EXCEPTIONS_ARE_SWALLOWED.replace("{module}", module)
    args = [sys.executable, "-c", program, "mine", golden, "--out", str(tmp_path / "out"), str(int(number))]
    done = subprocess.run(args, capture_output=True, text=True, env=shell.environment(), timeout=60)
    assert (done.returncode, done.stdout, done.stderr) == (code, "", "Error: interrupted; nothing was written.\n")
    assert not (tmp_path / "out").exists()


# On a terminal


def on_terminal(shell: Any, args: list[str], *, stream: str, **env: str) -> str:
    """What a command writes to a stream that is a terminal; the other stream is a pipe."""
    ours, theirs = pty.openpty()
    streams = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL, stream: theirs}
    process = subprocess.Popen(shell.command(*args), env=shell.environment(**env), **streams)
    os.close(theirs)
    found = b""
    end = time.monotonic() + 60
    while time.monotonic() < end:
        ready, _, _ = select.select([ours], [], [], 0.1)
        if ready:
            try:
                piece = os.read(ours, 65536)
            except OSError:
                break
            if not piece:
                break
            found += piece
    process.wait(timeout=10)
    os.close(ours)
    assert process.returncode == 0
    return found.decode()


def test_colours_only_where_they_are_welcome(shell: Any, golden: str) -> None:
    assert "\x1b[" in on_terminal(shell, ["mine", golden], stream="stdout")
    assert "\x1b" not in on_terminal(shell, ["mine", golden], stream="stdout", NO_COLOR="1")


def test_the_progress_bar_is_on_a_terminal_only(shell: Any, golden: str) -> None:
    assert "rows" in on_terminal(shell, ["mine", golden], stream="stderr")
    assert on_terminal(shell, ["mine", golden, "--quiet"], stream="stderr") == ""
    assert shell.run("mine", golden).stderr.count("\n") == 1
