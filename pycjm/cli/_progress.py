"""How is the progress of a run shown while somebody is looking?"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager

Report = Callable[[str, int, "int | None"], None]


@contextmanager
def progress_bar(*, quiet: bool, unit: str = "rows") -> Iterator[Report | None]:
    """A bar on stderr with the phase, rows or other units, rate and remaining time; it disappears at the end.

    Parameters
    ----------
    quiet : bool
        Show none.
    unit : str
        What is counted.

    Yields
    ------
    callable or None
        For ``EventLog.mine(progress=...)``. None where stderr is no terminal.
    """
    if quiet or not sys.stderr.isatty():
        yield None
        return
    from rich.console import Console
    from rich.progress import BarColumn, Progress, ProgressColumn, Task, TextColumn, TimeRemainingColumn
    from rich.text import Text

    class Rows(ProgressColumn):
        def render(self, task: Task) -> Text:
            total = f" of {task.total:,.0f}" if task.total else ""
            return Text(f"{task.completed:,.0f}{total} {unit}")

    class Rate(ProgressColumn):
        def render(self, task: Task) -> Text:
            # Runs differ too much for a rate.
            speed = (task.finished_speed or task.speed) if unit == "rows" else None
            return Text(f"{speed / 1e6:,.1f} M/s" if speed and speed >= 1e5 else f"{speed:,.0f}/s" if speed else "")

    columns = (TextColumn("{task.description}"), BarColumn(), Rows(), Rate(), TimeRemainingColumn())
    with Progress(*columns, console=Console(stderr=True), transient=True) as bar:
        task = bar.add_task("opening", total=None)
        now = "opening"

        def report(phase: str, rows_done: int, rows_total: int | None) -> None:
            nonlocal now
            if phase != now and unit == "rows":
                # Each phase has its own rate; that of the one before would spoil the estimate.
                bar.reset(task, total=rows_total)
            now = phase
            bar.update(task, description=phase, completed=rows_done, total=rows_total)

        yield report
