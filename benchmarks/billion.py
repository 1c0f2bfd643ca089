"""What does a log take that is larger than memory: pycjm, a bare read, and what one would use instead?

Writes the logs with ``pycjm synth``, mines each with ``pycjm mine`` in a fresh process, reads its three columns with
pyarrow batch by batch, and asks polars, duckdb and ClickHouse the same questions. All have the same memory: a process
that holds more is ended, and told so. The report is written again after every layout.

    python benchmarks/billion.py --folder /scratch
    python benchmarks/billion.py --events 100k --memory 512MiB --folder /scratch
"""

from __future__ import annotations

import json
import os
import platform
import shutil
import sys
import tempfile
from collections.abc import Iterator
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path
from statistics import median
from typing import Any

import click
import pyarrow.parquet as pq

from pycjm import _machine, export
from pycjm.bench import machine
from pycjm.bench.answers import PERCENTILES, TOP, Answers
from pycjm.bench.peers import BATCHES, ENGINES, mine
from pycjm.bench.process import run_command, run_job
from pycjm.bench.running import LAYOUTS, WARM_EVENTS, judged, missing, private_folder, summary
from pycjm.cli._options import Count, Size

RESULTS = Path(__file__).parent / "results"
MEASURES = ("overview", "activities", "dfg", "variants", "durations")
PEERS = ("polars-streaming", "duckdb", "chdb")
BARE_BYTES = 128 << 20
"""What an interpreter with its libraries holds before it has read a row."""
TOLD = (
    *("layout", "rows", "grouping", "partitions", "looks", "phases", "writing_s", "memory_limit_bytes"),
    *("peak_reserved_bytes", "spilled_bytes", "process_peak_memory_bytes"),
)
"""What is taken from ``run.json``."""
IN_MEMORY = ("tmpfs", "ramfs")
FOLDER = click.Path(exists=True, file_okay=False)


@click.command(help=__doc__.split("\n\n")[0])
@click.option("--events", type=Count(least=1), default="1G", show_default=True, help="Of each log.")
@click.option("--layout", "layouts", multiple=True, type=click.Choice(LAYOUTS), default=LAYOUTS, show_default=True)
@click.option("--memory", type=Size(), default="4GiB", show_default=True, help="Of a process, all included.")
@click.option("--threads", type=click.IntRange(min=1), default=_machine.processors(), show_default=True)
@click.option("--rounds", type=click.IntRange(min=1), default=1, show_default=True, help="Of pycjm mine.")
@click.option("--read-rounds", type=click.IntRange(min=1), default=3, show_default=True, help="Of the bare read.")
@click.option("--engine", "engines", multiple=True, help=f"Repeatable; 'none' for none.  [default: {', '.join(PEERS)}]")
@click.option("--timeout", type=float, default=3600, show_default=True, help="Seconds of a run.")
@click.option("--seed", type=click.IntRange(min=0), default=1, show_default=True, help="Of the logs.")
@click.option("--folder", type=FOLDER, help="Where logs and spilled rows lie.  [default: the system's]")
@click.option("--spill-dir", type=FOLDER, help="Where spilled rows lie.  [default: a folder in --folder]")
@click.option("--cold", is_flag=True, help="Have every run read the log from the disk, also one that is in the cache.")
@click.option("--keep", is_flag=True, help="Keep the logs in --folder, for another time.")
@click.option("--output", "-o", type=click.Path(), help="The report.  [default: in benchmarks/results]")
def main(folder: str | None, spill_dir: str | None, keep: bool, output: str | None, **given: Any) -> None:
    """Parses the command line."""
    if keep and folder is None:
        raise click.UsageError("--keep needs --folder.")
    log_on = _file_system(folder or tempfile.gettempdir())
    if given["cold"] and (not hasattr(os, "posix_fadvise") or log_on in IN_MEMORY):
        raise click.UsageError("--cold needs a system that forgets a file, and a --folder that is not in memory.")
    settings = given | {"engines": [name for name in given["engines"] or PEERS if name != "none"]}
    settings["layouts"] = list(given["layouts"])
    settings["log_on"] = log_on
    settings["spill_on"] = _file_system(spill_dir or folder or tempfile.gettempdir())
    for name in settings["engines"]:
        if name not in ENGINES:
            raise click.UsageError(f"{name!r} is none of {', '.join(ENGINES)}.")
    target = output or RESULTS / f"{datetime.now(UTC):%Y-%m-%d}-billion-{settings['events']}-{settings['memory']}.json"
    export.check_file(target)
    with private_folder(folder) as private, private_folder(spill_dir or private) as spill:
        report = _head(settings)
        for layout in settings["layouts"]:
            click.echo(f"{layout}: ", err=True)
            folders = Path(private), Path(folder) if keep else Path(private), Path(spill)
            for result in _measured(layout, settings, *folders):
                report["results"].append(result)
                click.echo(f"  {_line(result)}", err=True)
            # What took hours is not lost with what comes after it.
            with export.whole_file(target) as file:
                file.write(json.dumps(report, indent=2, ensure_ascii=False).encode() + b"\n")
    click.echo(str(target))


def _head(settings: dict[str, Any]) -> dict[str, Any]:
    packages = {package for name in settings["engines"] for package in ENGINES[name].packages}
    return {
        "made_by": "benchmarks/billion.py",
        "version": 1,
        "created_at": f"{datetime.now(UTC):%Y-%m-%dT%H:%M:%SZ}",
        "machine": machine.machine(),
        "versions": machine.versions(sorted(packages | {"pyarrow", "numpy"})),
        "commit": machine.commit(),
        "settings": {
            **settings,
            "mine_memory": _left(settings["memory"]),
            "question": "all",
            "percentiles": list(PERCENTILES),
            "top": TOP,
            "kernel": platform.release(),
        },
        "results": [],
    }


def _left(memory: int) -> int:
    """What a run may reserve where the process may hold `memory`: as much as other engines are told."""
    return max(memory // 4, int(0.9 * (memory - BARE_BYTES)))


def _file_system(folder: str) -> str:
    """What kind of file system a folder is on: "tmpfs" is memory."""
    try:
        lines = Path("/proc/self/mounts").read_text(encoding="utf-8").splitlines()
    except OSError:
        return "unknown"
    kinds = {line.split()[1]: line.split()[2] for line in lines}
    path = Path(folder).resolve()
    return next((kinds[str(at)] for at in (path, *path.parents) if str(at) in kinds), "unknown")


def _measured(
    layout: str, settings: dict[str, Any], private: Path, logs: Path, spill: Path
) -> Iterator[dict[str, Any]]:
    """One result for the writing of the log, and one for each that reads it."""
    log, warm = logs / f"{_name(layout, settings)}.parquet", private / "warm.parquet"
    made = {"layout": layout, "engine": "pycjm synth"}
    if log.exists():
        yield made | {"status": "ok", "reason": "kept from another time", "bytes": log.stat().st_size}
    else:
        written = _synth(log, settings["events"], layout, settings)
        yield made | written | ({"bytes": log.stat().st_size} if written["status"] == "ok" else {})
        if written["status"] != "ok":
            return
    _synth(warm, min(settings["events"], WARM_EVENTS), layout, settings)
    own, known = _mined(log, settings, private / "mined", spill)
    yield {"layout": layout, "engine": "pycjm mine", **own}
    job = {
        "question": "all",
        "source": "parquet",
        "layout": layout,
        "threads": settings["threads"],
        "memory_bytes": settings["memory"],
        "temp_dir": str(spill),
        "log": str(log),
        "warm": str(warm),
    }
    rounds = [_run(job | {"engine": BATCHES}, settings) for _ in range(settings["read_rounds"])]
    worst = next((one for one in rounds if one["status"] != "ok"), None)
    read = {key: worst[key] for key in ("status", "reason")} if worst else summary(rounds, settings["events"])
    yield {"layout": layout, "engine": BATCHES, **read}
    for engine in settings["engines"]:
        yield {"layout": layout, "engine": engine, **_asked(job | {"engine": engine}, known, settings)}
        for path in spill.iterdir():
            # What an engine that was ended has left must not take the next one's room.
            _remove(path)
    if logs == private:
        log.unlink()
    warm.unlink()


def _name(layout: str, settings: dict[str, Any]) -> str:
    return f"synth-{settings['events']}-{layout}-{settings['seed']}"


def _pycjm(*arguments: object) -> list[str]:
    return [sys.executable, "-m", "pycjm", *map(str, arguments)]


def _synth(log: Path, events: int, layout: str, settings: dict[str, Any]) -> dict[str, Any]:
    command = _pycjm("synth", "--events", events, "--layout", layout, "--seed", settings["seed"], "-o", log, "-q")
    return run_command(command, settings["timeout"] * 2, threads=settings["threads"], memory_bytes=None)


def _mined(log: Path, settings: dict[str, Any], out: Path, spill: Path) -> tuple[dict[str, Any], Answers | None]:
    """All questions to pycjm, in as many fresh processes as there are rounds; the answers of the last."""
    asked = [word for name in MEASURES for word in ("--measure", name)]
    asked += [word for percentile in PERCENTILES for word in ("--percentile", percentile)]
    space = ["--memory", _left(settings["memory"]), "--spill-dir", spill, "--threads", settings["threads"]]
    command = _pycjm("mine", log, "--out", out, "--overwrite", "--top", TOP, *asked, *space, "-q")
    rounds: list[dict[str, Any]] = []
    for _ in range(settings["rounds"]):
        _make_ready(log, settings)
        one = run_command(command, settings["timeout"], threads=settings["threads"], memory_bytes=settings["memory"])
        if one["status"] != "ok":
            return one, None
        told = json.loads((out / "run.json").read_text(encoding="utf-8"))["run"]
        one["run"] = {name: told[name] for name in TOLD if name in told}
        # The process itself has seen its highest moment, should nobody have looked then.
        one["peak_bytes"] = max(one["peak_bytes"], told["process_peak_memory_bytes"] or 0)
        rounds.append(one)
    wall_s, cpu_s = (median(one[name] for one in rounds) for name in ("wall_s", "cpu_s"))
    highest = {name: max(one[name] for one in rounds) for name in ("peak_bytes", "peak_own_bytes")}
    spilled = {"spilled_bytes": max(one["run"].get("spilled_bytes", 0) for one in rounds)}
    result = {"status": "ok", "wall_s": wall_s, "cpu_s": cpu_s, **highest, **spilled}
    result |= {"events_per_s": settings["events"] / wall_s, "rounds": rounds}
    return result, mine.answers("all", {name: pq.read_table(out / f"{name}.parquet") for name in MEASURES})


def _run(job: dict[str, Any], settings: dict[str, Any]) -> dict[str, Any]:
    _make_ready(Path(job["log"]), settings)
    return run_job(job, settings["timeout"])


def _make_ready(log: Path, settings: dict[str, Any]) -> None:
    """Has the system forget what it has cached of the log, if every run is to read it from the disk.

    A log that is larger than the memory is read from the disk anyhow. What an event costs in it can only be compared
    with what one costs in a small log if that is, too.
    """
    if settings["cold"]:
        with log.open("rb") as file:
            os.posix_fadvise(file.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)


def _asked(job: dict[str, Any], known: Answers | None, settings: dict[str, Any]) -> dict[str, Any]:
    """What came of one peer, whose answers are compared with pycjm's."""
    package = missing(job["engine"])
    if package is not None:
        return {"status": "skipped", "reason": f"not installed: pip install {package}"}
    told = _run(job, settings)
    if known is None and told["status"] == "ok":
        return {"status": "skipped", "reason": "pycjm gave no answers to compare with"}
    return summary([judged(told, known, job["engine"])[0]], settings["events"])


def _remove(path: Path) -> None:
    with suppress(OSError):
        if path.is_dir():
            shutil.rmtree(path)
        else:
            os.unlink(path)


def _line(result: dict[str, Any]) -> str:
    if "wall_s" not in result or result["status"] != "ok":
        return f"{result['engine']}: {result['status']}, {result.get('reason', '')}"
    held = (result.get("peak_bytes") or 0) >> 20
    spilled = f", {result['spilled_bytes'] >> 20} MiB put aside" if "spilled_bytes" in result else ""
    return f"{result['engine']}: {result['wall_s']:.2f} s, {held} MiB at most{spilled}"


if __name__ == "__main__":
    main()
