"""How much does an event cost in a log of another shape, by another number of threads, in a log ten times as long?

Every shape is mined in fresh processes, which take turns, from a table in memory, with all questions of
``pycjm bench``; beside it files of two sizes, and the start of the command line. The report has every round.

    python benchmarks/shapes.py
    python benchmarks/shapes.py --events 1M --rounds 3 --part shapes
"""

from __future__ import annotations

import json
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from statistics import median
from typing import Any

import click
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

import pycjm
from pycjm import _machine, export
from pycjm.bench import machine
from pycjm.bench.answers import PERCENTILES, TOP
from pycjm.bench.running import LAYOUTS
from pycjm.cli._options import Count

RESULTS = Path(__file__).parent / "results"
MEASURES = ("overview", "activities", "dfg", "variants", "durations")
ROLES = {"case": "case_id", "activity": "activity", "timestamp": "timestamp"}
PARTS = ("shapes", "growth", "start")
SMALL_EVENTS = 10_000
GROWTH = 10
INSIDE = 3
"""How often a process mines its table: the first time has memory to touch that the others find there."""


def _table(events: int, **how: Any) -> pa.Table:
    table = pycjm.synth(events, **how).read_all().select(list(ROLES.values()))
    return table.set_column(1, "activity", table["activity"].dictionary_encode()).unify_dictionaries()


def _with_ids(table: pa.Table, ids: pa.Array | pa.ChunkedArray) -> pa.Table:
    return table.set_column(0, "case_id", ids)


def _coded(table: pa.Table) -> pa.Table:
    return _with_ids(table, table["case_id"].dictionary_encode()).unify_dictionaries()


def _one_case(events: int) -> pa.Table:
    """The activities of a log by case, so that nearly the same edges are taken, at times that never fall."""
    table = _with_ids(_table(events), pa.array(np.full(events, 7)))
    times = np.sort(table["timestamp"].cast(pa.int64()).to_numpy())
    return table.set_column(2, "timestamp", pa.array(times).cast(table["timestamp"].type))


def _single_events(events: int) -> pa.Table:
    return _with_ids(_table(events, layout="time"), pa.array(np.random.default_rng(1).permutation(events)))


SHAPES: dict[str, tuple[str, Callable[[int], pa.Table]]] = {
    "case": ("", lambda n: _table(n)),
    "time": ("", lambda n: _table(n, layout="time")),
    "shuffled": ("", lambda n: _table(n, layout="shuffled")),
    "text ids, case": ("case", lambda n: _table(n, case_id="string")),
    "text ids, time": ("time", lambda n: _table(n, case_id="string", layout="time")),
    "text ids, shuffled": ("shuffled", lambda n: _table(n, case_id="string", layout="shuffled")),
    "text ids in a dictionary, case": ("case", lambda n: _coded(_table(n, case_id="string"))),
    "text ids in a dictionary, shuffled": (
        "shuffled",
        lambda n: _coded(_table(n, case_id="string", layout="shuffled")),
    ),
    "100,000 activities, case": ("case", lambda n: _table(n, activities=100_000)),
    "one case": ("case", _one_case),
    "cases of one event": ("case", _single_events),
}
"""Each shape: which one it is compared with, and how its table is made."""
NAMES = (*SHAPES, *(f"{layout}, one thread" for layout in LAYOUTS))


def _mine(source: Any, threads: int) -> dict[str, Any]:
    begin, cpu = time.perf_counter(), time.process_time()
    result = pycjm.scan(source, **ROLES).mine(*MEASURES, percentiles=PERCENTILES, top=TOP, threads=threads)
    for table in result.values():
        table.to_pyarrow()
    return {"wall_s": time.perf_counter() - begin, "cpu_s": time.process_time() - cpu, "looks": result.info["looks"]}


def _kib(name: str) -> int:
    status = Path("/proc/self/status").read_text(encoding="ascii")
    return int(next(line.split()[1] for line in status.splitlines() if line.startswith(name)))


def _child(job: dict[str, Any]) -> dict[str, Any]:
    """What one process found."""
    if "file" in job:
        return {"rounds": [_mine(job["file"], job["threads"])], "peak_bytes": _kib("VmHWM") << 10}
    table = SHAPES[job["shape"]][1](job["events"])
    pa.default_memory_pool().release_unused()
    # From here on the highest moment is that of the mining.
    Path("/proc/self/clear_refs").write_text("5", encoding="ascii")
    before = _kib("VmRSS")
    first = _mine(table, job["threads"])
    grown = _kib("VmHWM") - before
    rounds = [first, *(_mine(table, job["threads"]) for _ in range(INSIDE - 1))]
    return {"rounds": rounds, "table_bytes": table.nbytes, "grown_bytes": grown << 10}


def _in_process(job: dict[str, Any]) -> dict[str, Any]:
    command = [sys.executable, __file__, "--job", json.dumps(job)]
    return json.loads(subprocess.run(command, check=True, capture_output=True, text=True).stdout)


def _taking_turns(jobs: dict[str, dict[str, Any]], rounds: int) -> dict[str, list[dict[str, Any]]]:
    told: dict[str, list[dict[str, Any]]] = {name: [] for name in jobs}
    for _ in range(rounds):
        for name, job in jobs.items():
            told[name].append(_in_process(job))
    return told


def _shapes(events: int, threads: int, rounds: int, wanted: tuple[str, ...]) -> list[dict[str, Any]]:
    jobs = {name: {"shape": name, "events": events, "threads": threads} for name in SHAPES}
    jobs |= {f"{name}, one thread": jobs[name] | {"threads": 1} for name in LAYOUTS}
    against = {name: of for name, (of, _) in SHAPES.items()}
    against |= {name: jobs[name]["shape"] for name in jobs if name not in against}
    if wanted:
        # With what they are compared with.
        kept = {*wanted, *(against[name] for name in wanted)}
        jobs = {name: job for name, job in jobs.items() if name in kept}
    told = _taking_turns(jobs, rounds)
    results = []
    for name, processes in told.items():
        result = {"name": name, "against": against[name] or None, "processes": processes}
        result["wall_s"] = median(process["rounds"][0]["wall_s"] for process in processes)
        result["again_s"] = median(one["wall_s"] for process in processes for one in process["rounds"][1:])
        result["grown_of_table"] = median(process["grown_bytes"] / process["table_bytes"] for process in processes)
        results.append(result)
    by_name = {result["name"]: result for result in results}
    for result in results:
        if result["against"]:
            result |= {f"times_{key}": result[key] / by_name[result["against"]][key] for key in ("wall_s", "again_s")}
    return results


def _growth(events: int, threads: int, rounds: int, folder: Path) -> list[dict[str, Any]]:
    results = []
    for layout in LAYOUTS:
        jobs = {}
        for n in (events, events * GROWTH):
            path = folder / f"{layout}-{n}.parquet"
            pycjm.write_synth(path, n, layout=layout)
            jobs[str(n)] = {"file": str(path), "threads": threads}
        told = _taking_turns(jobs, rounds)
        walls = ([one["rounds"][0]["wall_s"] for one in processes] for processes in told.values())
        small, large = map(median, walls)
        peak = max(one["peak_bytes"] for one in told[str(events * GROWTH)])
        results.append(
            {"name": layout, "times_per_event": large / small / GROWTH, "peak_bytes": peak, "processes": told}
        )
        for path in folder.iterdir():
            path.unlink()
    return results


def _start(rounds: int, folder: Path) -> list[dict[str, Any]]:
    log = folder / "small.parquet"
    pq.write_table(pycjm.synth(SMALL_EVENTS).read_all(), log)
    commands = {
        "an interpreter": ["-c", ""],
        "import pycjm": ["-c", "import pycjm"],
        "pycjm --help": ["-m", "pycjm", "--help"],
        f"pycjm mine, {SMALL_EVENTS:,} events": ["-m", "pycjm", "mine", str(log), "-q"],
    }
    told: dict[str, list[dict[str, float]]] = {name: [] for name in commands}
    for _ in range(rounds * 5):
        for name, words in commands.items():
            before, begin = resource.getrusage(resource.RUSAGE_CHILDREN), time.perf_counter()
            # Not what happens to lie in the current directory.
            subprocess.run([sys.executable, "-P", *words], check=True, capture_output=True)
            wall_s, after = time.perf_counter() - begin, resource.getrusage(resource.RUSAGE_CHILDREN)
            cpu_s = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
            told[name].append({"wall_s": wall_s, "cpu_s": cpu_s})
    results = []
    for name, starts in told.items():
        walls, cpus = ([one[key] for one in starts] for key in ("wall_s", "cpu_s"))
        results.append({"name": name, "wall_s": median(walls), "least_s": min(walls), "cpu_s": median(cpus)})
        results[-1]["rounds"] = starts
    return results


@click.command(help=__doc__.split("\n\n")[0])
@click.option("--events", type=Count(least=1), default="10M", show_default=True, help="Of each log in memory.")
@click.option("--threads", type=click.IntRange(min=1), default=_machine.processors(), show_default=True)
@click.option("--rounds", type=click.IntRange(min=1), default=5, show_default=True, help="Processes for each shape.")
@click.option("--part", "parts", multiple=True, type=click.Choice(PARTS), default=PARTS, show_default=True)
@click.option("--shape", "wanted", multiple=True, type=click.Choice(NAMES), help="Repeatable.  [default: all]")
@click.option("--output", "-o", type=click.Path(), help="The report.  [default: in benchmarks/results]")
@click.option("--job", hidden=True, help="What a process that is measured has to do.")
def main(parts: tuple[str, ...], wanted: tuple[str, ...], output: str | None, job: str | None, **settings: Any) -> None:
    """Parses the command line."""
    if job is not None:
        click.echo(json.dumps(_child(json.loads(job))))
        return
    target = output or RESULTS / f"{datetime.now(UTC):%Y-%m-%d}-shapes-{settings['events']}.json"
    export.check_file(target)
    versions = machine.versions(["pyarrow", "numpy"])
    if versions["pycjm"]["profile"] != "release":
        raise click.ClickException("This is a debug build. Install a release build: pip install .")
    report: dict[str, Any] = {
        "made_by": "benchmarks/shapes.py",
        "version": 1,
        "created_at": f"{datetime.now(UTC):%Y-%m-%dT%H:%M:%SZ}",
        "machine": machine.machine(),
        "versions": versions,
        "commit": machine.commit(),
        "settings": settings | {"percentiles": list(PERCENTILES), "top": TOP, "mined_by_each_process": INSIDE},
    }
    events, threads, rounds = settings["events"], settings["threads"], settings["rounds"]
    with tempfile.TemporaryDirectory() as folder:
        for part in parts:
            match part:
                case "shapes":
                    found = _shapes(events, threads, rounds, wanted)
                case "growth":
                    found = _growth(events, threads, rounds, Path(folder))
                case _:
                    found = _start(rounds, Path(folder))
            report[part] = found
            for result in found:
                figures = (f"{key} {value:.3g}" for key, value in result.items() if isinstance(value, float))
                click.echo(f"{result['name']}: {', '.join(figures)}")
            with export.whole_file(target) as file:
                file.write(json.dumps(report, indent=1, ensure_ascii=False).encode() + b"\n")
    click.echo(str(target))


if __name__ == "__main__":
    main()
