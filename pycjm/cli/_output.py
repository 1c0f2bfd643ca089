"""How does a command talk: data on stdout, everything else on stderr?

Tables are as wide as the terminal, or as ``COLUMNS`` says. Text is plain where stdout is no terminal and where
``NO_COLOR`` is set. Text of a log never reaches the terminal as markup or control characters.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import click

from . import _failure

if TYPE_CHECKING:
    from rich.console import RenderableType

    from ..log import EventLog

UNKNOWN_WIDTH = 100
"""The width of tables that go to a file or a pipe."""

LABEL_WIDTH = 12
"""What is left to a column of labels in a narrow terminal; longer ones are broken."""


def say(message: str, *, quiet: bool) -> None:
    """A message to the user on stderr."""
    if not quiet:
        _failure.say(message)


def print_json(value: Any) -> None:
    """A JSON document on stdout."""
    click.echo(json.dumps(value, indent=2, ensure_ascii=False, default=str))


def width() -> int:
    """How many columns a table may have."""
    import os
    import shutil

    if not sys.stdout.isatty() and "COLUMNS" not in os.environ:
        return UNKNOWN_WIDTH
    return shutil.get_terminal_size().columns


def print_rich(*parts: RenderableType) -> None:
    """Tables and texts on stdout."""
    import os

    from rich.console import Console
    from rich.measure import measure_renderables

    # rich's own reading of NO_COLOR leaves bold and dim, whose codes are as unwelcome in a captured text.
    colors = None if os.environ.get("NO_COLOR") else "auto"
    console = Console(file=sys.stdout, width=width(), color_system=colors, highlight=False, markup=False, emoji=False)
    with console.capture() as capture:
        for part in parts:
            # Where a terminal is narrower than the figures it breaks the lines; rich would leave figures out.
            needed = measure_renderables(console, console.options.update(width=10_000), [part]).minimum
            console.width = max(width(), needed)
            console.print(part)
    text = capture.get()
    if not console.is_terminal:
        text = "".join(line.rstrip() + "\n" for line in text.splitlines())
    click.echo(text, nl=False)


def table(
    title: str, columns: Sequence[str], rows: Iterable[Sequence[str]], *, left: Sequence[str] = ()
) -> RenderableType:
    """A table of texts.

    Parameters
    ----------
    title : str
        Above the table.
    columns : sequence of str
        The heads.
    rows : iterable of sequences of str
        The cells.
    left : sequence of str
        The heads of the columns that hold text; the others hold numbers, which stand on the right and are never broken.
    """
    from rich import box
    from rich.console import Group
    from rich.table import Table
    from rich.text import Text

    made = Table(box=box.SIMPLE_HEAD, pad_edge=False, show_edge=False)
    cells = [[Text(clean(cell)) for cell in row] for row in rows]
    for at, name in enumerate(columns):
        widest = max((row[at].cell_len for row in [[Text(head) for head in columns], *cells]), default=0)
        if name in left:
            made.add_column(Text(name), overflow="fold", min_width=min(widest, LABEL_WIDTH))
        else:
            # Of a given width: rich need not measure every cell once more.
            made.add_column(Text(name), justify="right", no_wrap=True, width=widest)
    for row in cells:
        made.add_row(*row)
    # A title inside the table would be broken to the table's width.
    return Group(Text(title, "bold"), made)


def pairs(title: str, values: Mapping[str, str]) -> RenderableType:
    """Names and values below each other; a title only if it is not empty."""
    from rich.console import Group
    from rich.table import Table
    from rich.text import Text

    made = Table(box=None, show_header=False, pad_edge=False)
    made.add_column(style="dim", no_wrap=True)
    made.add_column(overflow="fold")
    for name, value in values.items():
        made.add_row(Text(name), Text(clean(value)))
    return Group(Text(title, "bold"), made) if title else made


def clean(text: str) -> str:
    """Text of a log with everything that a terminal would obey made visible."""
    return "".join(char if char.isprintable() else repr(char)[1:-1] for char in text)


def roles_of(log: EventLog) -> dict[str, list[str]]:
    """The columns of each role that has any."""
    names = ("case", "activity", "timestamp", "start_timestamp", "order_by")
    return {name: list(columns) for name in names if (columns := getattr(log.roles, name))}


def say_guess(log: EventLog, *, quiet: bool) -> None:
    """Which roles were guessed, and how to say otherwise."""
    guessed = [f"--{role} {clean(' '.join(getattr(log.roles, role)))}" for role in log.guessed]
    if guessed:
        say(f"Guessed from the names of the columns: {', '.join(guessed)}", quiet=quiet)


def say_naive(info: Mapping[str, Any], *, quiet: bool) -> None:
    """That times without a zone were taken as UTC."""
    if info.get("naive_timestamps"):
        say("The timestamps have no zone and were taken as UTC; --timezone says otherwise.", quiet=quiet)
