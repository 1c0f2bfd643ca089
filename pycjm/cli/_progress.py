"""How is the progress of a run shown: as a bar to somebody who looks, or as lines of JSON to a program?

Both go to stderr. Rates and estimates are rich's own: of the last half minute of a phase, because each phase has a rate
of its own.
"""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import click

from . import _failure

if TYPE_CHECKING:
    from rich.progress import Progress, Task

Report = Callable[..., None]

MODES = ("auto", "bar", "json", "none")
EVERY_S = 0.25
"""The least time between two lines of one phase."""


@contextmanager
def progress_bar(*, quiet: bool, unit: str = "rows") -> Iterator[Report | None]:
    """What ``--progress`` asks for; a bar disappears at the end.

    Parameters
    ----------
    quiet : bool
        Show none, unless it was asked for by name.
    unit : str
        What is counted.

    Yields
    ------
    callable or None
        For ``EventLog.mine(progress=...)``. None where nothing is shown.
    """
    mode = (click.get_current_context().find_object(dict) or {}).get("progress", "auto")
    if mode == "auto":
        mode = "bar" if sys.stderr.isatty() and not quiet else "none"
    if mode == "none":
        yield None
    elif mode == "json":
        with _lines(unit) as report:
            yield report
    else:
        with _bar(unit) as report:
            yield report


class Shown:
    """The phase of a run as a task of rich's, which keeps rate and estimate."""

    def __init__(self, progress: Progress, unit: str) -> None:
        self._progress = progress
        self._unit = unit
        self._id = progress.add_task("opening", total=None)
        self.unit = unit
        self.phase = "opening"
        self.details: dict[str, int] = {}
        self._step: tuple[Any, ...] = ()

    @property
    def task(self) -> Task:
        """The task."""
        return self._progress.tasks[0]

    def update(self, phase: str, done: int, total: int | None, details: dict[str, int]) -> bool:
        """Takes in what a run tells; returns whether the phase is another one."""
        parts = details.get("parts_total", 0)
        # A phase without rows counts its parts; with rows, its parts are told beside them.
        counts_parts = bool(parts) and not done and not total
        self.unit = "parts" if counts_parts else self._unit
        if counts_parts:
            done, total = details["parts_done"], parts
        step = (phase, details.get("look"), self.unit, total if counts_parts else None)
        changed = step[:2] != self._step[:2]
        # Runs of other programs have no common rate; theirs is of no use, but their estimate is.
        if step != self._step and (self._unit == "rows" or not self._step):
            # Each phase has its own rate; that of the one before would spoil the estimate.
            self._progress.reset(self._id, total=total)
        self._step, self.phase, self.details = step, phase, details
        self._progress.update(self._id, description=self._described(parts, counts_parts), completed=done, total=total)
        if total is None:
            # Which rich takes for "as before".
            self.task.total = None
        return changed

    def _described(self, parts: int, counts_parts: bool) -> str:
        again = ", second look" if self.details.get("look", 1) > 1 else ""
        place = f" partition {self.details['parts_done']:,} of {parts:,}" if parts and not counts_parts else ""
        return f"{self.phase}{place}{again}"

    @property
    def rate(self) -> float | None:
        """Units a second, where a rate means something."""
        return None if self._unit == "runs" else (self.task.finished_speed or self.task.speed)

    @property
    def left_s(self) -> float | None:
        """An estimate of the seconds that this phase still takes; ``finishing`` goes step by step and has none."""
        return None if self.phase == "finishing" else self.task.time_remaining


@contextmanager
def _bar(unit: str) -> Iterator[Report]:
    from rich.console import Console
    from rich.progress import BarColumn, Progress, ProgressColumn, TextColumn, TimeElapsedColumn
    from rich.text import Text

    from .. import _human

    class Counted(ProgressColumn):
        def render(self, task: Task) -> Text:
            total = f" of {task.total:,.0f}" if task.total else ""
            return Text(f"{task.completed:,.0f}{total} {shown.unit}")

    class Rate(ProgressColumn):
        def render(self, task: Task) -> Text:
            rate = shown.rate
            return Text(f"{rate / 1e6:,.1f} M/s" if rate and rate >= 1e5 else f"{rate:,.0f}/s" if rate else "")

    class Left(ProgressColumn):
        def render(self, task: Task) -> Text:
            left_s, spilled = shown.left_s, shown.details.get("spilled_bytes", 0)
            left = f"{_human.duration(left_s)} left" if left_s else ""
            return Text(f"{left}  {_human.size(spilled)} on disk" if spilled else left)

    columns = (TextColumn("{task.description}"), BarColumn(), Counted(), Rate(), Left(), TimeElapsedColumn())
    # Asked for by name, it is drawn wherever stderr leads to.
    progress = Progress(*columns, console=Console(stderr=True, force_terminal=True), transient=True)
    # The columns ask it as soon as they are drawn.
    shown = Shown(progress, unit)
    with progress:

        def report(phase: str, done: int, total: int | None, **details: int) -> None:
            shown.update(phase, done, total, details)

        yield report


@contextmanager
def _lines(unit: str) -> Iterator[Report]:
    from rich.progress import Progress

    shown = Shown(Progress(disable=True), unit)
    began = phase_began = told = time.monotonic()

    def say(event: str, **more: Any) -> None:
        nonlocal told
        told = time.monotonic()
        _failure.say(json.dumps({"event": event, "elapsed_s": round(told - began, 3), **more}))

    def report(phase: str, done: int, total: int | None, **details: int) -> None:
        nonlocal phase_began
        changed, now = shown.update(phase, done, total, details), time.monotonic()
        if changed:
            phase_began = now
        if changed or now - told >= EVERY_S:
            task = shown.task
            say(
                "progress",
                phase=shown.phase,
                phase_s=round(now - phase_began, 3),
                unit=shown.unit,
                done=int(task.completed),
                total=None if task.total is None else int(task.total),
                rate_per_s=_rounded(shown.rate),
                left_s=_rounded(shown.left_s),
                **shown.details,
            )

    say("begin")
    try:
        yield report
    except BaseException as error:
        say("end", status="interrupted" if isinstance(error, KeyboardInterrupt) else "failed")
        raise
    say("end", status="ok")


def _rounded(value: float | None) -> float | None:
    return None if value is None else round(value, 3)
