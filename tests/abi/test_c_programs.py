"""Does a C program get what the header promises, also when it makes mistakes?

``conventions``: NULLs, wrong documents, outputs. ``streams``: foreign streams, whole and broken. ``callbacks``: case
metrics. ``lifetimes``: what outlives what, and threads. Each program checks itself and ends with ``ok``.
"""

from __future__ import annotations

import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest


@pytest.mark.parametrize("name", ["conventions", "streams", "callbacks", "lifetimes"])
def test_a_program_finds_the_promises_kept(
    name: str, build: Callable[[Path], Path], sample: list[str], tmp_path: Path
) -> None:
    program = build(Path(__file__).with_name(f"{name}.c"))
    ran = subprocess.run([program, *sample], capture_output=True, text=True, timeout=60, cwd=tmp_path)
    assert ran.returncode == 0, ran.stderr
    assert ran.stdout == "ok\n"
    assert ran.stderr == "", "the library printed something"
