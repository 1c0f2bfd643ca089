"""How do the tests of the C ABI find the library, the header and a compiler?"""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

import pycjm
from pycjm import _native

ROOT = Path(__file__).parents[2]

Build = Callable[[Path], Path]


@pytest.fixture(scope="session")
def crate() -> Path:
    """The source of the C ABI."""
    return ROOT / "engine_rs" / "capi"


@pytest.fixture(scope="session")
def header() -> Path:
    """The header as it is installed."""
    return Path(pycjm.get_include()) / "pycjm.h"


@pytest.fixture(scope="session")
def library() -> Path:
    """The library as it is installed."""
    found = [path for path in Path(_native.__file__).parent.iterdir() if path.suffix in {".so", ".dylib", ".dll"}]
    assert len(found) == 1, found
    return found[0]


@pytest.fixture(scope="session")
def build(tmp_path_factory: pytest.TempPathFactory, header: Path, library: Path) -> Build:
    """Compiles a C program against the installed header and library."""
    compiler = shutil.which("cc")
    if compiler is None:
        pytest.skip("no cc on this machine")
    folder = tmp_path_factory.mktemp("programs")

    def compile_(source: Path) -> Path:
        program = folder / source.stem
        warnings = ["-std=c11", "-Wall", "-Wextra", "-Wpedantic", "-Werror"]
        where = [f"-I{header.parent}", str(source), str(library), f"-Wl,-rpath,{library.parent}", "-pthread"]
        made = subprocess.run([compiler, *warnings, *where, "-o", str(program)], capture_output=True, text=True)
        assert made.returncode == 0, made.stderr
        return program

    return compile_


@pytest.fixture(scope="session")
def sample() -> list[str]:
    """The shipped sample as the C programs take it: its path and the columns of its roles."""
    path = Path(pycjm.__file__).parent / "sample_data" / "omnichannel.parquet"
    return [str(path), "journey_id", "touchpoint", "timestamp"]
