"""How are files tried in a child process that may hang, die or swell?"""

from __future__ import annotations

import json
import os
import select
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

LIMIT_S = 60.0
"""The longest that a file may take, all tries together: it tells a hang from an answer, also on a busy machine."""

SPARE_BYTES = 256 << 20
FACTOR = 4
"""A file may cost this much memory: the spare bytes, and so many times its own size."""

WORKER = Path(__file__).with_name("worker.py")


class Watched:
    """A child that tries one file at a time and is replaced when it hangs or dies."""

    def __init__(self) -> None:
        self._process: subprocess.Popen[str] | None = None
        self._stderr: Any = None
        self.idle_bytes = 0

    def __enter__(self) -> Watched:
        return self

    def __exit__(self, *exc: object) -> None:
        self.stop()

    def start(self) -> None:
        """Starts a fresh child, and learns what it holds while it does nothing."""
        self.stop()
        # Held as long as the child; no block of code is.
        self._stderr = tempfile.TemporaryFile("w+", encoding="utf-8", errors="replace")  # noqa: SIM115
        self._process = subprocess.Popen(
            [sys.executable, str(WORKER)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self._stderr,
            text=True,
            encoding="utf-8",
            env={**os.environ, "PYTHONIOENCODING": "utf-8", "NO_COLOR": "1"},
        )
        self.idle_bytes = self._answer(60.0)["idle_bytes"]

    def stop(self) -> None:
        """Ends the child."""
        if self._process is not None:
            self._process.kill()
            self._process.communicate()
            self._stderr.close()
            self._process = None

    def try_file(self, path: Path, roles: dict[str, Any] | None = None) -> dict[str, Any]:
        """What the child says of a file; ``died`` or ``hung`` if it cannot say.

        The memory is measured again in a fresh child if it seems too much: what former files have left behind counts
        for none.
        """
        answer = self._ask(path, roles)
        if "peak_bytes" in answer and self.excess(path, answer) > 0:
            self.start()
            answer = self._ask(path, roles)
        return answer

    def excess(self, path: Path, answer: dict[str, Any]) -> int:
        """By how many bytes a file has cost more memory than it may."""
        return answer["peak_bytes"] - (self.idle_bytes + SPARE_BYTES + FACTOR * path.stat().st_size)

    def _ask(self, path: Path, roles: dict[str, Any] | None) -> dict[str, Any]:
        if self._process is None or self._process.poll() is not None:
            self.start()
        said_before = self._stderr.seek(0, os.SEEK_END)
        self._process.stdin.write(json.dumps({"path": str(path), "roles": roles}) + "\n")
        self._process.stdin.flush()
        answer = self._answer(LIMIT_S)
        if "hung" in answer:
            self._process.kill()
        self._stderr.seek(said_before)
        answer["stderr"] = self._stderr.read()
        if "died" in answer or "hung" in answer:
            self.stop()
        return answer

    def _answer(self, limit_s: float) -> dict[str, Any]:
        end = time.monotonic() + limit_s
        while (left := end - time.monotonic()) > 0:
            ready, _, _ = select.select([self._process.stdout], [], [], left)
            if ready:
                line = self._process.stdout.readline()
                return json.loads(line) if line else {"died": self._process.wait()}
        return {"hung": limit_s}
