"""How is a job run in a process of its own, within limits of time and memory?"""

from __future__ import annotations

import json
import os
import re
import resource
import signal
import subprocess
import sys
import time
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

POLL_S = 0.05


def run_job(job: dict[str, Any], timeout_s: float) -> dict[str, Any]:
    """Run ``pycjm.bench.worker`` with a job.

    Returns
    -------
    dict
        What the worker told; or ``status`` "timeout", "memory" or "failed" with the ``reason``.
    """
    command = [sys.executable, "-m", "pycjm.bench.worker"]
    pipes = dict.fromkeys(("stdin", "stdout", "stderr"), subprocess.PIPE)
    child = subprocess.Popen(command, **pipes, env=_environment(job["threads"]), text=True, errors="replace")
    try:
        told, complaints, ended = _attend(child, json.dumps(job), timeout_s, job["memory_bytes"], Peaks())
    finally:
        # Whatever happened here, an interrupt included, nothing goes on running.
        child.kill()
        child.wait()
        for pipe in (child.stdin, child.stdout, child.stderr):
            with suppress(OSError):
                pipe.close()
    if ended is not None:
        return ended
    if child.returncode == 0:
        with suppress(ValueError):
            return _clean(json.loads(told), job)
    if child.returncode == -signal.SIGKILL:
        return {"status": "memory", "reason": "killed by the system, which it does when memory runs out"}
    last = next((line for line in reversed(complaints.splitlines()) if line.strip()), "it said nothing")
    return _clean({"status": "failed", "reason": f"exit code {child.returncode}: {last.strip()}"}, job)


def run_command(command: list[str], timeout_s: float, *, threads: int, memory_bytes: int | None) -> dict[str, Any]:
    """Run a program of its own, in the same environment and within the same limits.

    Returns
    -------
    dict
        ``status`` "ok", ``wall_s`` from its start to its end, ``cpu_s``, ``peak_bytes`` (the most that it and what it
        has started had resident, each at its highest) and ``peak_own_bytes`` (at once, without pages of files that are
        mapped); or ``status`` "timeout", "memory" or "failed" with the ``reason`` and the ``wall_s`` it took.
    """
    pipes = dict.fromkeys(("stdout", "stderr"), subprocess.PIPE)
    cpu_s, wall_s = _children_cpu_s(), time.perf_counter()
    child = subprocess.Popen(
        command, stdin=subprocess.DEVNULL, **pipes, env=_environment(threads), text=True, errors="replace"
    )
    peaks = Peaks()
    try:
        _, complaints, ended = _attend(child, None, timeout_s, memory_bytes, peaks)
    finally:
        child.kill()
        child.wait()
        for pipe in (child.stdout, child.stderr):
            with suppress(OSError):
                pipe.close()
    measured = {"wall_s": time.perf_counter() - wall_s}
    if ended is not None:
        return ended | measured
    if child.returncode:
        last = next((line for line in reversed(complaints.splitlines()) if line.strip()), "it said nothing")
        reason = _without_paths(f"exit code {child.returncode}: {last.strip()}")
        return {"status": "failed", "reason": reason} | measured
    measured["cpu_s"] = _children_cpu_s() - cpu_s
    return {"status": "ok", **measured, "peak_bytes": peaks.resident_bytes, "peak_own_bytes": peaks.own_bytes}


@dataclass
class Peaks:
    """The most memory that a process and its children were seen with."""

    resident_bytes: int = 0
    own_bytes: int = 0

    def look(self, pid: int) -> None:
        """Takes a look at them."""
        statuses = [_status(one) for one in _tree(pid)]
        resident = sum(status.get("VmHWM", 0) for status in statuses)
        own = sum(status.get("RssAnon", 0) + status.get("RssShmem", 0) for status in statuses)
        self.resident_bytes = max(self.resident_bytes, resident)
        self.own_bytes = max(self.own_bytes, own)


def _attend(
    child: subprocess.Popen[str], text: str | None, timeout_s: float, memory_bytes: int | None, peaks: Peaks
) -> tuple[str, str, dict[str, Any] | None]:
    deadline = time.monotonic() + timeout_s
    given = text
    while True:
        try:
            told, complaints = child.communicate(given, timeout=POLL_S)
            return told, complaints, None
        except subprocess.TimeoutExpired:
            given = None
            if time.monotonic() > deadline:
                return "", "", {"status": "timeout", "reason": f"longer than {timeout_s:g} s"}
            peaks.look(child.pid)
            # The pages of a file that is mapped are the system's to keep or to drop.
            if memory_bytes is not None and peaks.own_bytes > memory_bytes:
                reason = f"took {peaks.own_bytes >> 20} MiB, more than the {memory_bytes >> 20} MiB allowed"
                return "", "", {"status": "memory", "reason": reason}


def _tree(pid: int) -> list[int]:
    """A process and all that it has started, where the system tells."""
    found = [pid]
    for one in found:
        with suppress(OSError, ValueError):
            for thread in os.listdir(f"/proc/{one}/task"):
                with open(f"/proc/{one}/task/{thread}/children", encoding="ascii") as file:
                    found += [int(word) for word in file.read().split()]
    return found


def _status(pid: int) -> dict[str, int]:
    """The sizes, in bytes, that the system tells of a process."""
    found = {}
    with suppress(OSError), open(f"/proc/{pid}/status", encoding="ascii", errors="replace") as file:
        for line in file:
            name, _, value = line.partition(":")
            if value.endswith("kB\n"):
                found[name] = int(value.split()[0]) * 1024
    return found


def _children_cpu_s() -> float:
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def _environment(threads: int) -> dict[str, str]:
    """Where the worker finds this very package, and how many threads libraries may use that ask the environment."""
    limits = ("POLARS_MAX_THREADS", "NUMBA_NUM_THREADS", "OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS")
    root = str(Path(__file__).resolve().parents[2])
    paths = [path for path in os.environ.get("PYTHONPATH", "").split(os.pathsep) if path]
    if not root.endswith(("site-packages", "dist-packages")) and root not in paths:
        paths.insert(0, root)
    # Files of the current directory must not be taken for the engines.
    found = {**os.environ, **dict.fromkeys(limits, str(threads)), "PYTHONSAFEPATH": "1"}
    return found | ({"PYTHONPATH": os.pathsep.join(paths)} if paths else {})


def _clean(told: dict[str, Any], job: dict[str, Any]) -> dict[str, Any]:
    """Without the paths of this machine."""
    if "reason" in told:
        text = told["reason"].replace(job["warm"], "a small log").replace(job["log"], "the log")
        told["reason"] = _without_paths(text)
    return told


def _without_paths(text: str) -> str:
    text = re.sub(r"(?<![\w.])(?:~|[A-Za-z]:)?(?:[/\\][\w.+@-]+){2,}[/\\]?", "...", text)
    return text if len(text) <= 300 else text[:297] + "..."
