"""What has to be written beside a result so that it can be told later where it came from?

``run.json``: the inputs with a fingerprint, the options, the versions, the time and memory it took, the tables.
"""

from __future__ import annotations

import hashlib
import os
import platform
from collections.abc import Iterable, Mapping
from contextlib import suppress
from datetime import UTC, datetime
from typing import Any

FILE = "run.json"
MADE_BY = "pycjm"
RECORD_VERSION = 1
FINGERPRINT = "sha256 of the size and the first and last MiB"
_MIB = 1 << 20


def record(tables: list[dict[str, Any]], info: Mapping[str, Any], run_info: Mapping[str, Any]) -> dict[str, Any]:
    """The content of ``run.json``.

    Parameters
    ----------
    tables : list of dict
        ``name``, ``file``, ``format``, ``rows``, ``bytes`` of each table written.
    info : mapping
        What the engine says of the run: layout, looks, rows, threads, phases with their seconds, memory limit, peak
        memory, what was put aside and where.
    run_info : mapping
        ``inputs``: paths of the files read; ``options``: how they were read and what was asked; ``run``: more on how it
        went; ``versions``. All may be missing.

    Returns
    -------
    dict
        Ready for ``json.dump``.
    """
    return {
        "made_by": MADE_BY,
        "record_version": RECORD_VERSION,
        "created_at": _iso(datetime.now(UTC).timestamp()),
        "inputs": inputs(run_info.get("inputs") or ()),
        "options": dict(run_info.get("options") or {}),
        "run": {**info, **(run_info.get("run") or {}), "process_peak_memory_bytes": _peak_memory_bytes()},
        "tables": tables,
        "versions": _versions(run_info.get("versions")),
    }


def inputs(paths: Iterable[str | os.PathLike[str]]) -> list[dict[str, Any]]:
    """Path, size, time of the last change and fingerprint of each file; a file that is gone by now says so."""
    return [_input(os.path.abspath(path)) for path in paths]


def _input(path: str) -> dict[str, Any]:
    try:
        with open(path, "rb") as file:
            stat = os.fstat(file.fileno())
            digest = hashlib.sha256(stat.st_size.to_bytes(8, "little"))
            digest.update(file.read(_MIB))
            file.seek(max(0, stat.st_size - _MIB))
            digest.update(file.read(_MIB))
    except OSError as error:
        return {"path": path, "error": error.strerror or str(error)}
    return {
        "path": path,
        "bytes": stat.st_size,
        "modified_at": _iso(stat.st_mtime),
        "fingerprint": {"method": FINGERPRINT, "value": digest.hexdigest()},
    }


def _peak_memory_bytes() -> int | None:
    """The most memory this process ever held, everything included; None where the system does not tell."""
    # Linux counts in the other figure what the parent held when this process was made.
    with suppress(OSError, ValueError), open("/proc/self/status", encoding="ascii", errors="replace") as file:
        for line in file:
            if line.startswith("VmHWM:"):
                return int(line.split()[1]) * 1024
    try:
        import resource
    except ImportError:
        return None
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak if platform.system() == "Darwin" else peak * 1024


def _iso(seconds: float) -> str:
    return datetime.fromtimestamp(seconds, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def _versions(given: Mapping[str, Any] | None) -> dict[str, Any]:
    import pyarrow as pa

    if given is None:
        import pycjm

        given = pycjm.versions()
    return {**given, "pyarrow": pa.__version__, "python": platform.python_version(), "platform": platform.platform()}
