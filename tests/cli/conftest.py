"""The logs that the tests of the command line use, and the two ways to run it."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from click.testing import CliRunner, Result

import pycjm

GOLDEN = """A a 05T08:00 A b 05T08:00 A c 05T09:00 A b 05T10:00 A d 06T09:00
B a 09T16:00 B c 12T08:00 B c 12T08:30 B d 12T12:00 C a 05T08:00 C d 07T18:00
D a 06T08:00 D d 06T09:00 E a 06T08:00 E d 06T10:00 F a 06T08:00 F d 07T08:00"""


def golden_table(**names: str) -> pa.Table:
    """The golden log; columns may be renamed."""
    words = GOLDEN.split()
    times = (
        pa.array([f"2026-01-{word}:00" for word in words[2::3]]).cast(pa.timestamp("s")).cast(pa.timestamp("us", "UTC"))
    )
    columns = {"case_id": pa.array(words[::3]), "activity": pa.array(words[1::3]), "timestamp": times}
    return pa.table({names.get(name, name): column for name, column in columns.items()})


@pytest.fixture
def golden(tmp_path: Path) -> str:
    """A Parquet file with the golden log, whose roles can be guessed."""
    path = tmp_path / "golden.parquet"
    pq.write_table(golden_table(), path)
    return str(path)


@pytest.fixture
def run() -> Callable[..., Result]:
    """Runs a command in this process: ``run("mine", path)``."""

    def invoke(*args: object, env: dict[str, str] | None = None) -> Result:
        from pycjm.cli import cli

        return CliRunner().invoke(cli, [str(arg) for arg in args], prog_name="pycjm", env=env)

    return invoke


class Shell:
    """The program in a process of its own."""

    def command(self, *args: object) -> list[str]:
        """The command line as a child's arguments."""
        return [sys.executable, "-m", "pycjm", *map(str, args)]

    def environment(self, **more: str) -> dict[str, str]:
        """One in which a child finds this pycjm, and that has nothing of ours that changes the output."""
        ours = {name: value for name, value in os.environ.items() if name not in ("NO_COLOR", "COLUMNS", "FORCE_COLOR")}
        root = str(Path(pycjm.__file__).parents[1])
        paths = [root, *ours.get("PYTHONPATH", "").split(os.pathsep)]
        return {**ours, "PYTHONPATH": os.pathsep.join(path for path in paths if path), "TERM": "xterm-256color", **more}

    def run(self, *args: object, env: dict[str, str] | None = None) -> subprocess.CompletedProcess[str]:
        """Runs a command; stdout and stderr apart."""
        environment = self.environment(**(env or {}))
        return subprocess.run(self.command(*args), capture_output=True, text=True, timeout=60, env=environment)


@pytest.fixture
def shell() -> Shell:
    """Runs the program as a shell does."""
    return Shell()


@pytest.fixture
def make_golden() -> Callable[..., pa.Table]:
    """Gives the golden log as a table, its columns renamed if asked."""
    return golden_table
