"""Which options do the commands share, and how do they become arguments of ``scan``?"""

from __future__ import annotations

import re
from collections.abc import Callable
from decimal import Decimal
from typing import Any, TypeVar

import click

from . import _log
from ._progress import MODES

Command = TypeVar("Command", bound=Callable[..., Any])


class Size(click.ParamType):
    """A number of bytes with a unit: ``4GiB``, ``512 MB``, ``1000000``."""

    name = "size"
    _FORM = re.compile(r"\s*(\d+(?:\.\d+)?)\s*([kmgt]?)(i?)b?\s*", re.IGNORECASE)

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> int:
        if isinstance(value, int):
            return value
        found = self._FORM.fullmatch(value)
        if found is None:
            self.fail(f"{value!r} is no size; write it like 4GiB or 512MB.", param, ctx)
        power = " kmgt".index(found[2].lower() or " ")
        n_bytes = int(float(found[1]) * (1024 if found[3] else 1000) ** power)
        if n_bytes < 1:
            self.fail(f"{value!r} is no size above zero.", param, ctx)
        return n_bytes


class Memory(Size):
    """A size, or ``none`` for no limit."""

    name = "memory"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        return value if value == "none" else super().convert(value, param, ctx)


class Count(click.ParamType):
    """A whole number, with a unit if it is large: ``10M``, ``1G``, ``1_000_000``, ``2.5k``."""

    name = "count"
    _FORM = re.compile(r"\s*(\d+(?:_\d+)*(?:\.\d+)?)\s*([kmgt]?)\s*", re.IGNORECASE | re.ASCII)

    def __init__(self, least: int = 0) -> None:
        self._least = least

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> int:
        if isinstance(value, int):
            return value
        found = self._FORM.fullmatch(value)
        if found is None:
            self.fail(f"{value!r} is no number; write it like 10M, 1G or 1_000_000.", param, ctx)
        number = Decimal(found[1]) * 1000 ** " kmgt".index(found[2].lower() or " ")
        if number != int(number) or number < self._least:
            self.fail(f"{value!r} is no whole number of at least {self._least}.", param, ctx)
        return int(number)


def _debug(ctx: click.Context, param: click.Parameter, value: bool) -> None:
    ctx.ensure_object(dict)["debug"] = value


def _log_level(ctx: click.Context, param: click.Parameter, value: str | None) -> None:
    if value is not None and not ctx.resilient_parsing:
        ctx.with_resource(_log.shown(value))


_SOURCE = [
    click.argument("source", nargs=-1, required=True, type=click.Path()),
    click.option(
        "--case", multiple=True, metavar="COLUMN", help="The case. Given more than once: columns to be joined."
    ),
    click.option("--activity", multiple=True, metavar="COLUMN", help="The activity. Repeatable like --case."),
    click.option("--timestamp", multiple=True, metavar="COLUMN", help="The time. Given twice: a date and a time."),
    click.option(
        "--start-timestamp", multiple=True, metavar="COLUMN", help="When an event began; --timestamp is its end."
    ),
    click.option("--order-by", multiple=True, metavar="COLUMN", help="Orders events of the same time. Repeatable."),
    click.option("--timestamp-format", metavar="FORMAT", help='How text is read: iso8601, or like "%d.%m.%Y %H:%M".'),
    click.option("--timestamp-unit", type=click.Choice(["s", "ms", "us", "ns"]), help="Of integers since 1970 UTC."),
    click.option("--timezone", metavar="ZONE", help="Of times that have none, like Europe/Berlin.  [default: UTC]"),
    click.option("--delimiter", metavar="CHAR", help="Of CSV files.  [default: inferred]"),
    click.option("--quote", metavar="CHAR", help="Of CSV files; an empty text for none.  [default: inferred]"),
    click.option("--encoding", metavar="NAME", help="Of CSV files.  [default: inferred]"),
    click.option("--lifecycle", metavar="NAME", help="Keep events of this transition only, like complete."),
    click.option(
        "--null-value", "--null-values", "null_values", multiple=True, metavar="TEXT", help="Means null. Repeatable."
    ),
    click.option(
        "--on-null", type=click.Choice(["error", "drop"]), default="error", show_default=True, help="In a role."
    ),
    click.option(
        "--joiner", default="+", show_default=True, metavar="TEXT", help="Between the parts of joined columns."
    ),
    click.option(
        "--negative",
        type=click.Choice(["keep", "zero", "error"]),
        default="keep",
        show_default=True,
        help="What a negative gap becomes, with --start-timestamp.",
    ),
]

_RUN = [
    click.option("--threads", type=click.IntRange(min=1), help="[default: as many as the machine has]"),
    click.option("--backend", type=click.Choice(["native", "numba", "reference"]), default="native", show_default=True),
    click.option(
        "--memory",
        type=Memory(),
        metavar="SIZE",
        help="The most the run may hold, like 4GiB; none: anything.  [default: half of the machine's or container's]",
    ),
    click.option(
        "--spill-dir", type=click.Path(), metavar="DIR", help="Where rows beyond that go.  [default: as TMPDIR says]"
    ),
    click.option("--spill-limit", type=Size(), metavar="SIZE", help="The most that may go there."),
]


def _keep_progress(ctx: click.Context, param: click.Parameter, value: str) -> None:
    ctx.ensure_object(dict)["progress"] = value


_PROGRESS = [
    click.option(
        "--progress",
        type=click.Choice(MODES),
        default="auto",
        show_default=True,
        expose_value=False,
        callback=_keep_progress,
        help="On stderr: a bar, or a JSON object a line. auto: a bar on a terminal.",
    ),
]

_OUTPUT = [
    click.option("--json", "as_json", is_flag=True, help="Write JSON to stdout."),
    click.option("--quiet", "-q", is_flag=True, help="Nothing on stderr but errors."),
    click.option(
        "--debug", is_flag=True, expose_value=False, callback=_debug, is_eager=True, help="Errors with tracebacks."
    ),
    click.option(
        "--log-level",
        type=click.Choice(_log.LEVELS),
        expose_value=False,
        callback=_log_level,
        help="Tell on stderr what is being done.",
    ),
]


def all_of(options: list[Callable[[Command], Command]]) -> Callable[[Command], Command]:
    """Several options as one decorator, in their order."""

    def decorate(function: Command) -> Command:
        for option in reversed(options):
            function = option(function)
        return function

    return decorate


source_options = all_of(_SOURCE)
"""The log: paths, roles, and how its values are read."""
run_options = all_of(_RUN)
"""How a run works."""
progress_options = all_of(_PROGRESS)
"""How a command shows how far it is."""
output_options = all_of(_OUTPUT)
"""How a command talks."""

_NAMES = ("case", "activity", "timestamp", "start_timestamp", "order_by", "null_values")


def scan_arguments(given: dict[str, Any]) -> dict[str, Any]:
    """Takes the options of the source out of a command's arguments, as arguments of ``pycjm.scan``.

    Parameters
    ----------
    given : dict
        What click has parsed; the source's options are removed from it.

    Returns
    -------
    dict
        Those that were given or differ from null.
    """
    names = ["source", *(option for option in _scan_names())]
    taken = {name: given.pop(name) for name in names}
    for name in _NAMES:
        taken[name] = list(taken[name]) or None
    taken["source"] = list(taken["source"])
    return {name: value for name, value in taken.items() if value is not None}


def run_arguments(given: dict[str, Any]) -> dict[str, Any]:
    """Takes the options of the run out of a command's arguments, as arguments of ``EventLog.mine``."""
    named = {"memory_limit": "memory"}
    names = ("threads", "backend", "memory_limit", "spill_dir", "spill_limit")
    return {name: given.pop(named.get(name, name)) for name in names}


def _scan_names() -> list[str]:
    return [
        "case", "activity", "timestamp", "start_timestamp", "order_by", "timestamp_format", "timestamp_unit",
        "timezone", "delimiter", "quote", "encoding", "lifecycle", "null_values", "on_null", "joiner", "negative",
    ]  # fmt: skip
