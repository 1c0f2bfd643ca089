"""What does one engine need for one question, in a process that does nothing else?

``python -m pycjm.bench.worker`` reads a job as JSON from stdin and writes what came of it to stdout. It asks about a
small log first, so that imports and compilers do not count.
"""

from __future__ import annotations

import gc
import json
import os
import resource
import sys
import time
from contextlib import suppress
from typing import Any

from .peers import BASELINE, BASELINES, ENGINES, Log, Means, load

COLUMNS = ["case_id", "activity", "timestamp"]


def main() -> None:
    """Do the job."""
    job = json.load(sys.stdin)
    # What libraries print must not be taken for the result.
    out = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)
    try:
        told = work(job)
    except MemoryError as error:
        told = {"status": "memory", "reason": _line(error)}
    except Exception as error:
        told = {"status": "failed", "reason": _line(error)}
    json.dump(told, out)
    out.close()
    # Some libraries hang or fall over when Python ends, and all that is to be told is told.
    os._exit(0)


def work(job: dict[str, Any]) -> dict[str, Any]:
    """Run a job.

    Parameters
    ----------
    job : dict
        ``engine``, ``question``, ``source``, ``layout``, ``threads``, ``memory_bytes``, ``log`` and ``warm`` (paths),
        and perhaps ``temp_dir``.

    Returns
    -------
    dict
        ``status``, ``wall_s``, ``load_s`` (of that, until the engine had the file in its own form), ``cpu_s``,
        ``peak_bytes``, ``before_bytes``, ``versions``, ``answers``.
    """
    engine, layout, path = job["engine"], job["layout"], job["log"]
    _limit_arrow(job["threads"])
    if engine in BASELINES:
        read = _read if engine == BASELINE else _read_batches
        read(job["warm"])
        return {"status": "ok", "versions": {}, **_timed(lambda: None, lambda _: read(path))[0]}
    if job.get("temp_dir"):
        # Where polars looks for a place to put things, once it is imported.
        os.environ["POLARS_TEMP_DIR"] = os.environ["TMPDIR"] = job["temp_dir"]
    kind = load(engine)
    small = kind(_log(job["warm"], job["source"], layout), Means(job["threads"]))
    small.ask(job["question"])
    del small
    means = Means(job["threads"], _left(job["memory_bytes"]), job.get("temp_dir"))
    if job["source"] == "arrow":
        # The table is held by nobody but an engine that works on it.
        peer = kind(_log(path, "arrow", layout), means)
        measured, told = _timed(lambda: peer, lambda peer: peer.ask(job["question"]))
    else:
        made: list[Any] = []

        def begin() -> Any:
            made.append(kind(_log(path, "parquet", layout), means))
            return made[0]

        measured, told = _timed(begin, lambda peer: peer.ask(job["question"]))
        (peer,) = made
    answers = peer.answers(job["question"], told).to_json()
    return {"status": "ok", "versions": _versions(engine), **measured, "answers": answers}


def _log(path: str, source: str, layout: str) -> Log:
    return Log(None, path, layout) if source == "parquet" else Log(_table(path), None, layout)


def _read(path: str) -> Any:
    import pyarrow.parquet as pq

    return pq.read_table(path, columns=COLUMNS)


def _read_batches(path: str) -> int:
    import pyarrow.dataset as ds

    # What is read ahead of a whole file is kept to its end.
    plain = ds.ParquetFragmentScanOptions(pre_buffer=False)
    scanner = ds.dataset(path).scanner(
        columns=COLUMNS, batch_readahead=4, fragment_readahead=1, fragment_scan_options=plain
    )
    return sum(batch.num_rows for batch in scanner.to_batches())


def _table(path: str) -> Any:
    """The log in memory, in one piece: activities as a dictionary."""
    import pyarrow.parquet as pq

    table = pq.read_table(path, columns=COLUMNS, read_dictionary=["activity"]).unify_dictionaries()
    return table.combine_chunks()


def _timed(begin: Any, ask: Any) -> tuple[dict[str, Any], Any]:
    import pyarrow as pa

    gc.collect()
    pa.default_memory_pool().release_unused()
    _forget_peak()
    before_bytes = _status_bytes("VmRSS")
    cpu_s, wall_s = _cpu_s(), time.perf_counter()
    begun = begin()
    loaded_s = time.perf_counter()
    told = ask(begun)
    ended_s = time.perf_counter()
    measured = {
        "wall_s": ended_s - wall_s,
        "load_s": loaded_s - wall_s,
        "cpu_s": _cpu_s() - cpu_s,
        "before_bytes": before_bytes,
        "peak_bytes": _peak_bytes(),
    }
    return measured, told


def _cpu_s() -> float:
    used = resource.getrusage(resource.RUSAGE_SELF)
    return used.ru_utime + used.ru_stime


def _forget_peak() -> None:
    """Linux counts the peak anew from here; elsewhere it is that of the whole process."""
    with suppress(OSError), open("/proc/self/clear_refs", "w", encoding="ascii") as file:
        file.write("5")


def _peak_bytes() -> int:
    found = _status_bytes("VmHWM")
    unit = 1 if sys.platform == "darwin" else 1024
    return found or resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit


def _status_bytes(name: str) -> int | None:
    with suppress(OSError), open("/proc/self/status", encoding="ascii", errors="replace") as file:
        for line in file:
            if line.startswith(f"{name}:"):
                return int(line.split()[1]) * 1024
    return None


def _left(memory_bytes: int | None) -> int | None:
    """What an engine may take, when the process may have `memory_bytes` in all: allocators take more than is asked."""
    if memory_bytes is None:
        return None
    return max(64 << 20, int(0.9 * (memory_bytes - (_status_bytes("VmRSS") or 0))))


def _limit_arrow(threads: int) -> None:
    import pyarrow as pa

    pa.set_cpu_count(threads)


def _versions(engine: str) -> dict[str, str]:
    from importlib.metadata import PackageNotFoundError, version

    found = {}
    for package in ENGINES[engine].packages if engine in ENGINES else ():
        with suppress(PackageNotFoundError):
            found[package] = version(package)
    return found


def _line(error: BaseException) -> str:
    text = " ".join(str(error).split())
    return f"{type(error).__name__}: {text}" if text else type(error).__name__


if __name__ == "__main__":
    main()
