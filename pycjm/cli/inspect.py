"""``pycjm inspect``: what is in a log, and which column would be what?"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from . import _loading
from ._options import output_options, progress_options, run_arguments, run_options, scan_arguments, source_options

if TYPE_CHECKING:
    from rich.console import RenderableType

    from ..log import EventLog, LogDescription


@click.command("inspect")
@source_options
@run_options
@progress_options
@output_options
def command(as_json: bool, quiet: bool, **given: Any) -> None:
    """Show the columns of the log in SOURCE, which of them have a role, and what is in it.

    Rows with a null in a role are counted, not refused. Where the roles cannot be told, only the columns are shown.
    """
    _loading.load(given["backend"])
    import pycjm

    from . import _failure, _output
    from ._progress import progress_bar

    log = pycjm.scan(**{**scan_arguments(given), "on_null": "drop"})
    about = log.describe()
    overview = None
    if not as_json:
        _output.print_rich(*_columns(about))
    if about.roles is not None:
        _output.say_guess(log, quiet=quiet)
        with progress_bar(quiet=quiet) as progress:
            result = log.mine("overview", progress=progress, **run_arguments(given))
        overview = _overview(result)
        _output.say_naive(result.info, quiet=quiet)
    if as_json:
        _output.print_json(_document(log, about, overview))
    elif overview is not None:
        _output.print_rich(_output.pairs("Events", _facts(overview)))
    else:
        _output.say(_failure.as_options(_output.clean(about.problem or "")), quiet=quiet)


def _overview(result: Any) -> dict[str, Any]:
    from .._formats import plain_rows

    (batch,) = result["overview"].to_pyarrow().combine_chunks().to_batches()
    return next(plain_rows(batch))


def _role_names(about: LogDescription) -> dict[str, str]:
    """What stands beside a column: its role, and whether that was guessed."""
    names: dict[str, str] = {}
    if about.roles is not None:
        for role in ("case", "activity", "timestamp", "start_timestamp", "order_by"):
            for column in getattr(about.roles, role):
                names[column] = role + (" (guessed)" if role in about.guessed else "")
    return names


def _columns(about: LogDescription) -> list[RenderableType]:
    from .. import _human
    from . import _output

    roles = _role_names(about)
    rows = [(column.name, column.type, roles.get(column.name, "")) for column in about.columns]
    heads = ("column", "type", "role")
    known = [n for file in about.files if (n := file.get("bytes")) is not None]
    facts = {
        "source": about.source,
        "format": about.format,
        "files": f"{_human.count(len(about.files))} ({_human.size(sum(known))})" if about.files else "",
        "row groups": "" if about.row_groups is None else _human.count(about.row_groups),
        "rows": "" if about.rows is None else _human.count(about.rows),
    }
    shown = _output.pairs("Log", {name: value for name, value in facts.items() if value})
    return [shown, "", _output.table("Columns", heads, rows, left=heads)]


def _facts(overview: dict[str, Any]) -> dict[str, str]:
    from .. import _human

    dropped = overview["dropped_rows"]
    layouts = {
        "case": "case (rows of a case stand together)",
        "time": "time (rows in the order of time)",
        "none": "none",
    }
    lost = ", ".join(f"{role} {_human.count(n)}" for role, n in dropped.items() if n)
    return {
        "events": _human.count(overview["events"]),
        "cases": _human.count(overview["cases"]),
        "activities": _human.count(overview["activities"]),
        "variants": _human.count(overview["variants"]),
        "edges": _human.count(overview["edges"]),
        "first": _human.moment(overview["first_ts"]),
        "last": _human.moment(overview["last_ts"]),
        "ties": f"{_human.count(overview['tied_pairs'])} in {_human.count(overview['cases_with_ties'])} cases",
        "rows with a null": f"{lost} (a row counts for the first of its nulls)" if lost else "0",
        "layout": layouts.get(overview["layout"], overview["layout"]),
    }


def _document(log: EventLog, about: LogDescription, overview: dict[str, Any] | None) -> dict[str, Any]:
    from . import _output

    return {
        "source": about.source,
        "format": about.format,
        "rows": about.rows,
        "row_groups": about.row_groups,
        "files": list(about.files),
        "columns": [{"name": column.name, "type": column.type} for column in about.columns],
        "roles": None if about.roles is None else _output.roles_of(log),
        "guessed": list(about.guessed),
        "problem": about.problem,
        "overview": overview,
    }
