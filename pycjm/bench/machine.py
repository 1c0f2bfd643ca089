"""On what was it measured: which machine, which versions, which commit? Nothing here names a machine or its user."""

from __future__ import annotations

import platform
import subprocess
from contextlib import suppress
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

from .. import _machine


def machine() -> dict[str, Any]:
    """Processor, number of processors, memory, system, Python."""
    return {
        "cpu": _cpu(),
        "processors": _machine.processors(),
        "memory_bytes": _machine.memory_bytes(),
        "os": f"{platform.system()} {platform.machine()}",
        "python": platform.python_version(),
    }


def _cpu() -> str:
    with suppress(OSError), open("/proc/cpuinfo", encoding="utf-8", errors="replace") as file:
        for line in file:
            if line.startswith(("model name", "Model")):
                return line.partition(":")[2].strip()
    with suppress(OSError, subprocess.SubprocessError):
        asked = ["sysctl", "-n", "machdep.cpu.brand_string"]
        done = subprocess.run(asked, capture_output=True, text=True, timeout=10, check=True)
        return done.stdout.strip()
    return platform.processor() or "unknown"


def versions(packages: list[str]) -> dict[str, Any]:
    """Of pycjm and its engine, and of packages; those that are not installed are left out."""
    import pycjm

    found: dict[str, Any] = {"pycjm": pycjm.versions()}
    for name in packages:
        with suppress(PackageNotFoundError):
            found[name] = version(name)
    return found


def commit() -> dict[str, Any] | None:
    """The commit that the package is run from; None where it is not run from a checkout."""
    package = Path(__file__).resolve().parents[1]
    # An installed package may lie inside of a checkout of something else; that one does not track it.
    if _git(package, "ls-files", "--error-unmatch", "__init__.py") is None:
        return None
    return {"id": _git(package, "rev-parse", "HEAD"), "dirty": bool(_git(package, "status", "--porcelain"))}


def _git(folder: Path, *arguments: str) -> str | None:
    with suppress(OSError, subprocess.SubprocessError):
        asked = ["git", "-C", str(folder), *arguments]
        return subprocess.run(asked, capture_output=True, text=True, timeout=30, check=True).stdout.strip()
    return None
