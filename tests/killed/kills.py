"""What is left when a run is killed outright at some moment, and does the next one succeed?

``python tests/killed/kills.py --kills 100`` kills each writing command that often; the tests take a few moments.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import os
import random
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pyarrow.compute as pc
import pyarrow.parquet as pq

ROOT = Path(__file__).resolve().parents[2]
ROWS = 200_000


@dataclass(frozen=True)
class Job:
    """A command whose output is to be whole or not there.

    Attributes
    ----------
    arguments : callable
        The command line for a folder: inputs in ``in``, outputs in ``out``, what waits on disk in ``spill``.
    output : str
        The file or directory in ``out`` that appears.
    layout : str
        Of the log.
    before : callable
        Makes what it needs besides the log.
    overwrite : bool
        Whether it replaces what is there.
    spills : bool
        Whether its ``run.json`` has to say that rows were put aside.
    """

    arguments: Callable[[Path], list[object]]
    output: str
    layout: str = "time"
    before: Callable[[Path], None] = lambda folder: None
    overwrite: bool = False
    spills: bool = False


def _mine(folder: Path, *more: object) -> list[object]:
    # So little memory that rows are put aside.
    measures = [word for name in ("overview", "dfg", "durations") for word in ("--measure", name)]
    memory = ["--memory", "8MB", "--spill-dir", folder / "spill"]
    return ["mine", folder / "in" / "log.parquet", "--out", folder / "out" / "result", *measures, *memory, *more]


def _states(folder: Path) -> None:
    """The states of two logs without a case in common: those with even ids, and those with odd ones."""
    log = pq.read_table(folder / "in" / "log.parquet")
    odd = pc.equal(pc.bit_wise_and(log["case_id"], 1), 1)
    for name, rows in (("even", pc.invert(odd)), ("odd", odd)):
        part = folder / "in" / f"{name}.parquet"
        pq.write_table(log.filter(rows), part)
        _finish(["mine", part, "--state", part.with_suffix(".state")])


def _merge(folder: Path, *more: object) -> list[object]:
    return ["merge", *sorted((folder / "in").glob("*.state")), *more]


JOBS = {
    "mine": Job(_mine, "result", spills=True),
    "mine --overwrite": Job(lambda folder: _mine(folder, "--overwrite", "--format", "csv"), "result", overwrite=True),
    "mine cases": Job(
        lambda folder: [
            "mine",
            folder / "in" / "log.parquet",
            "--out",
            folder / "out" / "result",
            "--measure",
            "cases",
        ],
        "result",
        layout="case",
    ),
    "mine --state": Job(
        lambda folder: ["mine", folder / "in" / "log.parquet", "--state", folder / "out" / "log.state"],
        "log.state",
        layout="case",
    ),
    "merge": Job(lambda folder: _merge(folder, "--out", folder / "out" / "result"), "result", before=_states),
    "merge --state": Job(
        lambda folder: _merge(folder, "--state", folder / "out" / "both.state"), "both.state", before=_states
    ),
    "sort": Job(
        lambda folder: [
            *("sort", folder / "in" / "log.parquet", "-o", folder / "out" / "sorted.parquet"),
            *("--memory", "16MB", "--spill-dir", folder / "spill"),
        ],
        "sorted.parquet",
    ),
    "synth": Job(
        # Enough events to be put aside in files.
        lambda folder: [
            *("synth", "--events", "4M", "--layout", "shuffled", "-o", folder / "out" / "synth.parquet"),
            *("--temp-dir", folder / "spill"),
        ],
        "synth.parquet",
    ),
}


@dataclass
class Account:
    """What came of the kills of one command."""

    whole_s: float = 0.0
    killed: int = 0
    ended_before: int = 0
    left_orphans: int = 0
    moments_s: list[float] = field(default_factory=list)


def run(name: str, folder: Path, kills: int, rng: random.Random) -> Account:
    """Kills a command at random moments of its run.

    Parameters
    ----------
    name : str
        Of one of :data:`JOBS`.
    folder : Path
        An empty directory.
    kills : int
        How often.
    rng : random.Random
        For the moments: one in each of as many equal parts of the time that a whole run takes.

    Returns
    -------
    Account

    Raises
    ------
    AssertionError
        Something was to be seen of a killed run, or the next run failed, differed, or left something.
    """
    job = JOBS[name]
    for part in ("in", "out", "spill"):
        (folder / part).mkdir()
    _finish(["synth", "--events", str(ROWS), "--layout", job.layout, "-o", folder / "in" / "log.parquet", "-q"])
    job.before(folder)
    began = time.monotonic()
    _finish(job.arguments(folder))
    account = Account(whole_s=time.monotonic() - began)
    if job.spills:
        told = json.loads((folder / "out" / job.output / "run.json").read_text(encoding="utf-8"))
        assert told["run"]["spilled_bytes"] > ROWS, "nothing was put aside"
    expected = _content(folder / "out" / job.output)
    for part in range(kills):
        if not job.overwrite:
            _clear(folder / "out" / job.output)
        before = _content(folder / "out" / job.output)
        at_s = account.whole_s * (part + rng.random()) / kills
        account.moments_s.append(round(at_s, 3))
        ended = _killed(job.arguments(folder), at_s)
        account.killed += not ended
        account.ended_before += ended
        visible = [entry.name for entry in (folder / "out").iterdir() if not entry.name.startswith(".")]
        assert set(visible) <= {job.output}, f"killed after {at_s:.3f} s: {visible}"
        found = _content(folder / "out" / job.output)
        assert found in (before, expected), f"killed after {at_s:.3f} s: what is there is neither old nor whole"
        account.left_orphans += bool(_hidden(folder))
        if found is not None and not job.overwrite:
            _clear(folder / "out" / job.output)
        _finish(job.arguments(folder))
        assert _content(folder / "out" / job.output) == expected, f"after the kill at {at_s:.3f} s: another result"
        assert _hidden(folder) == [], f"killed after {at_s:.3f} s: the next run left {_hidden(folder)}"
    return account


def environment() -> dict[str, str]:
    """One in which a child finds the pycjm that is installed, wherever it is started."""
    return {**os.environ, "PYTHONSAFEPATH": "1"}


def _command(arguments: list[object]) -> list[str]:
    return [sys.executable, "-m", "pycjm", *map(str, arguments)]


def _finish(arguments: list[object]) -> None:
    done = subprocess.run(_command(arguments), capture_output=True, text=True, env=environment(), timeout=600)
    assert done.returncode == 0, done.stderr


def _killed(arguments: list[object], at_s: float) -> bool:
    """Kills a command after so long; whether it had ended before."""
    process = subprocess.Popen(
        _command(arguments), stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, env=environment(), text=True
    )
    try:
        process.wait(at_s)
    except subprocess.TimeoutExpired:
        process.send_signal(signal.SIGKILL)
    _, said = process.communicate(timeout=60)
    assert process.returncode in (0, -signal.SIGKILL), said
    return process.returncode == 0


def _hidden(folder: Path) -> list[str]:
    """What a run has left: beside its output, and where things wait on disk."""
    beside = [entry.name for entry in (folder / "out").iterdir() if entry.name.startswith(".")]
    return sorted(beside) + sorted(entry.name for entry in (folder / "spill").iterdir())


def _clear(output: Path) -> None:
    for path in _files(output):
        path.unlink()
    if output.is_dir():
        output.rmdir()


def _files(output: Path) -> list[Path]:
    return sorted(output.iterdir()) if output.is_dir() else [output] if output.exists() else []


def _content(output: Path) -> dict[str, str] | None:
    """What is there, by file: None for nothing. Of ``run.json`` the tables that it lists, since times differ."""
    if not output.exists():
        return None

    def told() -> Iterator[tuple[str, str]]:
        for path in _files(output):
            if path.name == "run.json":
                yield path.name, str(json.loads(path.read_text(encoding="utf-8"))["tables"])
            else:
                yield path.name, hashlib.sha256(path.read_bytes()).hexdigest()

    return dict(told())


def main() -> None:
    """Kills every command, or those named."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--kills", type=int, default=100, help="of each command (default 100)")
    parser.add_argument("--seed", type=int, default=None, help="of the moments (default: another one each time)")
    parser.add_argument("--job", action="append", choices=list(JOBS), help="repeatable (default: all)")
    chosen = parser.parse_args()
    seed = random.SystemRandom().randrange(1 << 32) if chosen.seed is None else chosen.seed
    print(f"seed {seed}")
    for name in chosen.job or JOBS:
        with tempfile.TemporaryDirectory(prefix="pycjm-kills-") as folder:
            account = run(name, Path(folder), chosen.kills, random.Random(f"{seed} {name}"))
        print(
            f"{name}: a whole run takes {account.whole_s:.2f} s; killed {account.killed} times, "
            f"{account.ended_before} had ended before, {account.left_orphans} left something hidden; all well",
            flush=True,
        )


if __name__ == "__main__":
    main()
