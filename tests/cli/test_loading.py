"""Does the program load only what a command needs, and is the answer the same for that?"""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pyarrow.csv
import pyarrow.parquet as pq
import pytest

# As the program begins, and then what it has loaded.
PROGRAM = """
import sys
from pycjm.__main__ import main
sys.argv = ["pycjm", *sys.argv[1:]]
try:
    main()
finally:
    print([name for name in ("numpy", "pandas", "numba") if name in sys.modules], file=sys.stderr)
"""


def run(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-c", PROGRAM, *arguments], capture_output=True, text=True, timeout=120, check=True
    )


@pytest.mark.parametrize("command", ["inspect", "mine", "map"])
def test_native_commands_do_without_numpy(command: str, golden: str) -> None:
    assert run(command, golden, "--quiet").stderr.splitlines()[-1] == "[]"


def test_cycles_are_collected_while_a_command_works() -> None:
    code = """
import gc, sys
import pycjm.cli
from pycjm.__main__ import main
pycjm.cli.main = lambda: print(gc.isenabled(), gc.get_freeze_count() > 0)
main()
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=120, check=True)
    assert done.stdout.split() == ["True", "True"]


def test_other_backends_load_numpy_and_say_the_same(golden: str) -> None:
    alone, with_numpy = (run("mine", golden, "--quiet", "--backend", name) for name in ("native", "reference"))
    assert "numpy" in with_numpy.stderr.splitlines()[-1]
    assert alone.stdout == with_numpy.stdout


@pytest.mark.parametrize("form", ["csv", "json", "arrow", "parquet"])
def test_every_format_is_written(form: str, golden: str, tmp_path: Path) -> None:
    done = run("mine", golden, "--quiet", "--out", str(tmp_path / "out"), "--format", form)
    # What writes CSV loads numpy itself.
    assert done.stderr.splitlines()[-1] == ("['numpy']" if form == "csv" else "[]")
    assert (tmp_path / "out" / f"dfg.{form}").stat().st_size > 0


def test_text_is_read_as_with_numpy(golden: str, tmp_path: Path) -> None:
    pyarrow.csv.write_csv(pq.read_table(golden), tmp_path / "log.csv")
    found = [run("mine", str(path), "--quiet", "--json").stdout for path in (tmp_path / "log.csv", golden)]
    tables = [{name: json.loads(text)["tables"][name] for name in ("dfg", "variants", "durations")} for text in found]
    assert tables[0] == tables[1]


def test_who_calls_the_commands_keeps_numpy(golden: str) -> None:
    code = """
import sys
from click.testing import CliRunner
from pycjm.cli import cli
assert CliRunner().invoke(cli, ["mine", sys.argv[1], "--quiet"]).exit_code == 0
import pyarrow as pa
print(pa.array([1, 2]).to_numpy().sum())
"""
    done = subprocess.run([sys.executable, "-c", code, golden], capture_output=True, text=True, timeout=120, check=True)
    assert done.stdout.split() == ["3"]
