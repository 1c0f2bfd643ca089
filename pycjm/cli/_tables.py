"""How do commands that compute tables take their wishes, and give the tables: shown, as JSON, as files?"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

import click

from . import _options

if TYPE_CHECKING:
    from ..result import MiningResult

SHOWN = 10
"""How many rows of a table a terminal shows."""


def table_options(measures: Sequence[str], default: str) -> Callable[[_options.Command], _options.Command]:
    """The options of a command that computes some of these measures, `default` if none is named."""
    return _options.all_of(
        [
            click.option(
                "--measure", multiple=True, type=click.Choice(measures), help=f"Repeatable.  [default: {default}]"
            ),
            click.option(
                "--percentile", multiple=True, type=float, metavar="P", help="Repeatable.  [default: 50, 90, 95, 99]"
            ),
            click.option(
                "--approx",
                type=float,
                metavar="E",
                help="Percentiles off by at most this share (0.01: one percent), with bounds.  [default: exact]",
            ),
            click.option(
                "--top",
                type=click.IntRange(min=1),
                metavar="N",
                help=f"Rows shown (default {SHOWN}), variants written (all).",
            ),
            click.option(
                "--out",
                type=click.Path(),
                metavar="DIR",
                help="Write one file per table and run.json into a new directory.",
            ),
            click.option(
                "--overwrite", is_flag=True, help="Replace what a former run has written to --out or --state."
            ),
            click.option(
                "--format",
                "form",
                type=click.Choice(["parquet", "csv", "json", "arrow"]),
                default="parquet",
                show_default=True,
                help="Of the files in --out.",
            ),
            click.option(
                "--state", type=click.Path(), metavar="FILE", help="Keep the state for pycjm merge in this file."
            ),
        ]
    )


def check_targets(out: str | None, state: str | None, *, overwrite: bool) -> None:
    """Tells before the work whether the results can be written where they are wanted."""
    if out is None and state is None:
        if overwrite:
            raise click.UsageError("--overwrite needs --out or --state.")
        return
    import os

    from .. import export, state_files
    from ..errors import InvalidArgument

    if out is not None:
        export.check_target(out, overwrite=overwrite)
    if state is not None:
        export.check_file(state)
        if os.path.isfile(state) and not overwrite:
            text = f"{state} exists. Name another file, or replace it with overwrite=True."
            raise InvalidArgument(text, {"path": state})
        if os.path.isfile(state) and not state_files.is_state(state):
            text = f"{state} is no state of pycjm, and is not replaced. Name another file."
            raise InvalidArgument(text, {"path": state})


def cut(measure: tuple[str, ...], top: int | None, *, shows: bool) -> int | None:
    """How many variants to compute: what is not shown need not be made."""
    if not measure or "variants" in measure:
        return (top or SHOWN) if shows else top
    if top is not None and not shows:
        raise click.UsageError("--top cuts the variants, and --measure leaves them out.")
    return None


def write(
    result: MiningResult, out: str, form: str, overwrite: bool, run_info: dict[str, Any], progress: Any
) -> dict[str, Any]:
    """The tables as files; returns the record of the run."""
    from .. import export

    return export.write_result(result, out, format=form, overwrite=overwrite, run_info=run_info, progress=progress)


def say_written(out: str, record: dict[str, Any], *, as_json: bool, quiet: bool) -> None:
    """What was written."""
    from . import _output

    files = ", ".join(f"{table['file']} ({table['rows']:,})" for table in record["tables"])
    _output.say(f"Wrote to {out}: {files}, run.json", quiet=quiet)
    if as_json:
        _output.print_json(record)


def write_state(result: MiningResult, state: str | None) -> None:
    """The state, where a file for it was named: last, so that a run that fails before leaves a former one alone."""
    from .. import state_files

    if state is not None:
        state_files.write(result.state, state)


def say_state(state: str | None, *, quiet: bool) -> None:
    """That a state was kept, where one was asked for."""
    import os

    from .. import _human
    from . import _output

    if state is not None:
        size = f" ({_human.size(os.path.getsize(state))})" if os.path.isfile(state) else ""
        _output.say(f"Kept the state in {state}{size}", quiet=quiet)


def print_json(result: MiningResult, head: dict[str, Any]) -> None:
    """All tables as one document, piece by piece: ``cases`` may be as long as the log."""
    import json

    from .._formats import json_pieces

    # default=str, because the engine may tell things that JSON has no word for.
    head = head | {"run": result.info}
    click.echo("{" + json.dumps(head, ensure_ascii=False, default=str)[1:-1] + ', "tables": {', nl=False)
    for position, (name, table) in enumerate(result.items()):
        click.echo((", " if position else "") + json.dumps(name) + ": ", nl=False)
        reader = table.to_reader()
        for piece in json_pieces(reader.schema, reader):
            click.echo(piece, nl=False)
    click.echo("}}")
