"""How are engines compared: which runs are made, and when does a time count?"""

from __future__ import annotations

import os
import tempfile
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from importlib.util import find_spec
from statistics import median
from typing import Any

from .. import _machine, _temporary, errors
from . import machine
from .answers import QUESTIONS, Answers, difference
from .peers import BASELINE, BASELINES, ENGINES, check
from .process import run_job

LAYOUTS = ("case", "time", "shuffled")
SOURCES = ("arrow", "parquet")
MEASURED = ("wall_s", "load_s", "cpu_s", "before_bytes", "peak_bytes")
WARM_EVENTS = 100_000
"""Of the log that is asked about first: so many that it comes in more than one batch, like a larger one."""

Progress = Callable[[str, int, "int | None"], object]


def run(
    events: int = 1_000_000,
    *,
    layouts: Iterable[str] = ("case",),
    source: str = "arrow",
    case_id: str = "int",
    activities: int = 40,
    engines: Iterable[str] | None = None,
    question: str = "all",
    threads: int | None = None,
    rounds: int = 3,
    seed: int = 1,
    memory_limit: int | None = None,
    timeout_s: float = 600,
    temp_dir: str | os.PathLike[str] | None = None,
    progress: Progress | None = None,
) -> dict[str, Any]:
    """Compares engines on a synthetic log: same questions, same answers, each run in a fresh process.

    Parameters
    ----------
    events : int
        Of the log (:func:`pycjm.synth`), at least 1.
    layouts : iterable of {"case", "time", "shuffled"}
        How its rows lie; one comparison for each.
    source : {"arrow", "parquet"}
        The log in memory as an Arrow table, in the engine's own form when the clock starts; or a file, when reading
        counts.
    case_id, activities, seed
        As in :func:`pycjm.synth`.
    engines : iterable of str, optional
        Names in :data:`ENGINES`, or ``module:Class`` for one of your own; all but ``reference`` by default. ``native``
        is always among them, because its answers are what others are compared with.
    question : {"all", "counts"}
        What is asked.
    threads : int, optional
        Of every engine; by default all processors.
    rounds : int
        Of each engine; the median counts.
    memory_limit : int, optional
        Bytes that a process may have resident; it is ended above. Engines that can be told are told.
    timeout_s : float
        Of one run, all included; the engine's later rounds are left out.
    temp_dir : path-like, optional
        Where the logs are written for the time of the comparison.
    progress : callable, optional
        ``progress(what, runs_done, runs_in_all)``. Raising in it stops the comparison.

    Returns
    -------
    dict
        ``machine``, ``versions``, ``commit``, ``settings`` and ``results``: for each layout and engine the ``status``
        ("ok", "different answer", "timeout", "memory", "failed", "skipped"), the ``reason`` if it is not "ok",
        otherwise the medians, ``ratio`` to native, and all ``rounds``.

    Raises
    ------
    InvalidArgument
        A value is not among the accepted ones, or the engine is a debug build.

    Examples
    --------
    >>> import pycjm
    >>> report = pycjm.bench.run(1_000, engines=["native"], rounds=1)
    >>> report["results"][0]["status"]
    'ok'
    """
    layouts, named = _distinct(layouts), _distinct(engines or (name for name in ENGINES if name != "reference"))
    named = _distinct(("native", *named))
    threads = _machine.processors() if threads is None else threads
    _check(events, layouts, source, question, named, threads=threads, rounds=rounds)
    if timeout_s <= 0:
        raise errors.InvalidArgument(f"timeout_s is above zero, not {timeout_s!r}.", {"option": "timeout_s"})
    common = {"question": question, "source": source, "threads": threads, "memory_bytes": memory_limit}
    made = {"case_id": case_id, "activities": activities, "seed": seed}
    results: list[dict[str, Any]] = []
    with private_folder(temp_dir) as folder:
        counted = _counted(progress, len(layouts) * (len(named) * rounds + 1))
        for layout in layouts:
            job = common | {"layout": layout, **_logs(folder, events, layout, made)}
            runs = [*named, BASELINE] if source == "parquet" else named
            results += _compared(job, runs, events, rounds, timeout_s, counted)
            os.unlink(job["log"])
            os.unlink(job["warm"])
    packages = sorted({package for name in named for package in _packages(name)} | {"pyarrow", "numpy"})
    return {
        "made_by": "pycjm bench",
        "version": 1,
        "machine": machine.machine(),
        "versions": machine.versions(packages),
        "commit": machine.commit(),
        "settings": {
            "events": events,
            "layouts": list(layouts),
            **made,
            **common,
            "engines": list(named),
            "rounds": rounds,
            "timeout_s": timeout_s,
        },
        "results": results,
    }


@contextmanager
def private_folder(temp_dir: str | os.PathLike[str] | None) -> Iterator[str]:
    """A private directory for logs, which is gone at the end."""
    parent = os.path.realpath(temp_dir or tempfile.gettempdir())
    _temporary.sweep(parent)
    made = _temporary.Temporary(os.path.join(parent, "bench"), directory=True)
    try:
        yield made.path
    finally:
        made.discard()


def missing(engine: str) -> str | None:
    """The package that an engine needs and that is not installed; None if it has all."""
    return next((package for package in _packages(engine) if find_spec(package) is None), None)


def _packages(engine: str) -> tuple[str, ...]:
    return ENGINES[engine].packages if engine in ENGINES else ()


def _distinct(names: Iterable[str]) -> tuple[str, ...]:
    return tuple(dict.fromkeys((names,) if isinstance(names, str) else names))


def _check(
    events: int, layouts: tuple[str, ...], source: str, question: str, engines: tuple[str, ...], **numbers: int
) -> None:
    import pycjm

    if pycjm.versions()["profile"] != "release":
        raise errors.InvalidArgument(
            "this is a debug build of pycjm's engine, whose times mean nothing. Install a release build: pip install ."
        )
    for name, given in {"events": events, **numbers}.items():
        if isinstance(given, bool) or not hasattr(given, "__index__") or given < 1:
            message = f"{name} is a whole number of at least 1, not {given!r}."
            raise errors.InvalidArgument(message, {"option": name})
    chosen = [("layout", layout, LAYOUTS) for layout in layouts]
    for name, given, known in (*chosen, ("source", source, SOURCES), ("question", question, QUESTIONS)):
        if given not in known:
            raise errors.unknown(name, str(given), list(known), {"option": name})
    for engine in engines:
        check(engine)


def _logs(folder: str, events: int, layout: str, made: dict[str, Any]) -> dict[str, str]:
    """The log as a file, and a small one of the same form."""
    from ..synth import write_synth

    paths = {name: os.path.join(folder, f"{name}.parquet") for name in ("log", "warm")}
    for name, n in (("log", events), ("warm", min(events, WARM_EVENTS))):
        write_synth(paths[name], n, layout=layout, **made)
    return paths


def _counted(progress: Progress | None, total: int) -> Callable[[str, int], None]:
    done = 0

    def count(what: str, runs: int) -> None:
        nonlocal done
        done += runs
        if progress is not None:
            progress(what, min(done, total), total)

    return count


def _compared(
    job: dict[str, Any],
    engines: Iterable[str],
    events: int,
    rounds: int,
    timeout_s: float,
    counted: Callable[[str, int], None],
) -> Iterator[dict[str, Any]]:
    """One result per engine; the first is native, which knows the answers."""
    known: Answers | None = None
    native_s: float | None = None
    for engine in engines:
        result = {"layout": job["layout"], "engine": engine}
        reason = _left_out(engine, job["question"], events)
        if reason is None and known is None and engine not in ("native", *BASELINES):
            reason = "native gave no answers to compare with"
        if reason is not None:
            yield result | {"status": "skipped", "reason": reason}
            counted(engine, rounds)
            continue
        told: list[dict[str, Any]] = []
        for n in range(rounds):
            counted(f"{job['layout']}: {engine}, round {n + 1}", 0)
            one = run_job(job | {"engine": engine}, timeout_s)
            counted(engine, 1)
            one, known = judged(one, known, engine)
            told.append(one)
            if one["status"] != "ok":
                counted(engine, rounds - n - 1)
                break
        result |= summary(told, events)
        if engine == "native":
            native_s = result.get("wall_s")
        if native_s and "wall_s" in result:
            result["ratio"] = result["wall_s"] / native_s
        yield result


def _left_out(engine: str, question: str, events: int) -> str | None:
    """Why an engine is not asked, or None."""
    package = missing(engine)
    if package is not None:
        return f"not installed: pip install {package}"
    told = ENGINES.get(engine)
    if told is None:
        return None
    if told.only not in (None, question):
        return f"answers only --question {told.only}: {told.why}"
    if told.most_events is not None and events > told.most_events:
        return f"left out above {told.most_events:,} events" + (f": {told.why}" if told.only is None else "")
    return None


def judged(one: dict[str, Any], known: Answers | None, engine: str) -> tuple[dict[str, Any], Answers | None]:
    """A run without its answers, and those that are known; its times are gone if its own are not the right ones."""
    told = one.pop("answers", None)
    if one["status"] != "ok" or engine in BASELINES:
        return one, known
    answers = Answers.from_json(told)
    if known is None:
        return one, answers
    apart = difference(answers, known)
    return ({"status": "different answer", "reason": apart} if apart else one), known


def summary(told: list[dict[str, Any]], events: int) -> dict[str, Any]:
    """What is told of the rounds of one engine: their medians, or why there are none."""
    last = told[-1]
    if last["status"] != "ok":
        return {"status": last["status"], "reason": last["reason"]}
    rounds = [{name: one[name] for name in MEASURED} for one in told]
    medians = {name: _median([one[name] for one in rounds]) for name in MEASURED}
    return {"status": "ok", **medians, "events_per_s": events / medians["wall_s"], "rounds": rounds}


def _median(values: list[Any]) -> Any:
    """Of bytes, again whole bytes; None where nothing was measured."""
    if None in values:
        return None
    return int(median(values)) if isinstance(values[0], int) else median(values)
