"""Under which conditions is a benchmark run, and what is noted of them?

The build has to be a release build. The JSON of a run holds the machine, the versions and the commit, and nothing that
names the machine or its users.
"""

from __future__ import annotations

import os
import platform
import subprocess
from importlib.metadata import version
from pathlib import Path
from typing import Any

import pytest

HERE = Path(__file__).resolve().parent

PACKAGES = ("pycjm", "pyarrow", "numpy", "numba", "polars", "duckdb", "pytest-benchmark")


def pytest_addoption(parser: pytest.Parser) -> None:
    group = parser.getgroup("pycjm")
    group.addoption("--events", type=int, default=1_000_000, help="events of a log (default: 1000000)")
    group.addoption("--threads", type=int, default=_cpus(), help="threads of every engine (default: all processors)")


def pytest_configure(config: pytest.Config) -> None:
    import pycjm

    if pycjm.versions()["profile"] != "release":
        raise pytest.UsageError("this is a debug build of pycjm; benchmarks need a release build: pip install .")
    # polars reads it once, when it is imported.
    os.environ["POLARS_MAX_THREADS"] = str(config.getoption("--threads"))


def _cpus() -> int:
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


@pytest.fixture(scope="session")
def events(request: pytest.FixtureRequest) -> int:
    return request.config.getoption("--events")


@pytest.fixture(scope="session")
def threads(request: pytest.FixtureRequest) -> int:
    return request.config.getoption("--threads")


def pytest_benchmark_update_machine_info(config: pytest.Config, machine_info: dict[str, Any]) -> None:
    cpu = machine_info.get("cpu", {})
    machine_info.clear()
    machine_info.update(
        {
            "cpu": cpu.get("brand_raw") or platform.processor(),
            "processors": _cpus(),
            "memory_bytes": os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES"),
            "caches_bytes": {name: cpu[name] for name in cpu if name.endswith("cache_size")},
            "system": f"{platform.system()} {platform.machine()}",
            "python": platform.python_version(),
        }
    )


def pytest_benchmark_update_commit_info(config: pytest.Config, commit_info: dict[str, Any]) -> None:
    told = {"id": _git("rev-parse", "HEAD"), "dirty": bool(_git("status", "--porcelain"))}
    commit_info.clear()
    commit_info.update(told)


def _git(*arguments: str) -> str:
    done = subprocess.run(["git", *arguments], cwd=HERE, capture_output=True, text=True, check=False)
    return done.stdout.strip() if done.returncode == 0 else ""


def pytest_benchmark_update_json(config: pytest.Config, benchmarks: list[Any], output_json: dict[str, Any]) -> None:
    import pycjm

    output_json["versions"] = {**{name: version(name) for name in PACKAGES}, "engine": pycjm.versions()}
    output_json["settings"] = {name: config.getoption(f"--{name}") for name in ("events", "threads")}
