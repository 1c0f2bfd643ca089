"""How is a job run in a process of its own, within limits of time and memory?"""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import time
from contextlib import suppress
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
        told, complaints, ended = _attend(child, json.dumps(job), timeout_s, job["memory_bytes"])
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


def _attend(
    child: subprocess.Popen[str], text: str, timeout_s: float, memory_bytes: int | None
) -> tuple[str, str, dict[str, Any] | None]:
    deadline = time.monotonic() + timeout_s
    given: str | None = text
    while True:
        try:
            told, complaints = child.communicate(given, timeout=POLL_S)
            return told, complaints, None
        except subprocess.TimeoutExpired:
            given = None
            if time.monotonic() > deadline:
                return "", "", {"status": "timeout", "reason": f"longer than {timeout_s:g} s"}
            held = _resident_bytes(child.pid)
            if memory_bytes is not None and held > memory_bytes:
                reason = f"took {held >> 20} MiB, more than the {memory_bytes >> 20} MiB allowed"
                return "", "", {"status": "memory", "reason": reason}


def _resident_bytes(pid: int) -> int:
    with suppress(OSError, ValueError, IndexError), open(f"/proc/{pid}/statm", encoding="ascii") as file:
        return int(file.read().split()[1]) * os.sysconf("SC_PAGE_SIZE")
    return 0


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
        text = re.sub(r"(?<![\w.])(?:~|[A-Za-z]:)?(?:[/\\][\w.+@-]+){2,}[/\\]?", "...", text)
        told["reason"] = text if len(text) <= 300 else text[:297] + "..."
    return told
