"""``pycjm mine``: what do the journeys of a log look like in numbers?"""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

import click

from .. import _signals
from ._options import output_options, progress_options, run_arguments, run_options, scan_arguments, source_options

if TYPE_CHECKING:
    from ..log import EventLog
    from ..result import MiningResult

MEASURES = ("overview", "activities", "dfg", "variants", "durations", "cases")
SHOWN = 10
"""How many rows of a table a terminal shows."""


@click.command("mine")
@source_options
@click.option(
    "--measure",
    multiple=True,
    type=click.Choice(MEASURES),
    help="Repeatable.  [default: all but cases]",
)
@click.option("--percentile", multiple=True, type=float, metavar="P", help="Repeatable.  [default: 50, 90, 95, 99]")
@click.option(
    "--approx",
    type=float,
    metavar="E",
    help="Percentiles off by at most this share (0.01: one percent), with bounds.  [default: exact]",
)
@click.option(
    "--top", type=click.IntRange(min=1), metavar="N", help=f"Rows shown (default {SHOWN}), variants written (all)."
)
@click.option(
    "--out", type=click.Path(), metavar="DIR", help="Write one file per table and run.json into a new directory."
)
@click.option("--overwrite", is_flag=True, help="Replace what a former run has written to --out.")
@click.option(
    "--format",
    "form",
    type=click.Choice(["parquet", "csv", "json", "arrow"]),
    default="parquet",
    show_default=True,
    help="Of the files in --out.",
)
@run_options
@progress_options
@output_options
def command(
    measure: tuple[str, ...],
    percentile: tuple[float, ...],
    approx: float | None,
    top: int | None,
    out: str | None,
    overwrite: bool,
    form: str,
    as_json: bool,
    quiet: bool,
    **given: Any,
) -> None:
    """Compute measures of the log in SOURCE: a file, several, a directory, or a pattern.

    Without --out a summary is shown, or with --json all tables as one JSON document. With --out the tables are written
    as files, whole or not at all.

    \b
    pycjm mine log.parquet
    pycjm mine log.csv --case customer --activity touchpoint --timestamp date --timestamp time
    pycjm mine log.parquet --measure variants --top 20 --out result --format csv
    pycjm mine log.parquet --measure dfg --percentile 50 --approx 0.01
    """
    _signals.clean_up("pyarrow")
    import pycjm

    from .. import export
    from . import _output
    from ._progress import progress_bar

    if out is not None:
        export.check_target(out, overwrite=overwrite)
    elif overwrite:
        raise click.UsageError("--overwrite needs --out.")
    scan, run = scan_arguments(given), run_arguments(given)
    cut = _cut(measure, top, shows=out is None and not as_json)
    asked: dict[str, Any] = {"percentiles": percentile} if percentile else {}
    if approx is not None:
        asked["approx"] = approx
    began = time.monotonic()
    log = pycjm.scan(**scan)
    _output.say_guess(log, quiet=quiet)
    record = None
    with progress_bar(quiet=quiet) as progress:
        result = log.mine(*measure, top=cut, progress=progress, **asked, **run)
        if out is not None:
            percentiles = list(percentile or pycjm.measures.DEFAULT_PERCENTILES)
            mined = {"measures": list(result), "top": cut, "percentiles": percentiles, "approx": approx, **run}
            run_info = {
                "inputs": [file["path"] for file in log.describe().files],
                "options": {"scan": scan | _output.roles_of(log), "mine": mined},
                "run": {"seconds": round(time.monotonic() - began, 6)},
            }
            record = export.write_result(
                result, out, format=form, overwrite=overwrite, run_info=run_info, progress=progress
            )
    _output.say_naive(result.info, quiet=quiet)
    if record is not None:
        files = ", ".join(f"{table['file']} ({table['rows']:,})" for table in record["tables"])
        _output.say(f"Wrote to {out}: {files}, run.json", quiet=quiet)
        if as_json:
            _output.print_json(record)
    elif as_json:
        _print_json(log, result)
    else:
        from ._summary import summary

        _output.print_rich(*summary(result, top or SHOWN))


def _cut(measure: tuple[str, ...], top: int | None, *, shows: bool) -> int | None:
    """How many variants to compute: what is not shown need not be made."""
    if not measure or "variants" in measure:
        return (top or SHOWN) if shows else top
    if top is not None and not shows:
        raise click.UsageError("--top cuts the variants, and --measure leaves them out.")
    return None


def _print_json(log: EventLog, result: MiningResult) -> None:
    """All tables as one document, piece by piece: ``cases`` may be as long as the log."""
    import json

    from .._formats import json_pieces
    from . import _output

    head = {"roles": _output.roles_of(log), "guessed": list(log.guessed), "run": result.info}
    # default=str, because the engine may tell things that JSON has no word for.
    click.echo("{" + json.dumps(head, ensure_ascii=False, default=str)[1:-1] + ', "tables": {', nl=False)
    for position, (name, table) in enumerate(result.items()):
        click.echo((", " if position else "") + json.dumps(name) + ": ", nl=False)
        reader = table.to_reader()
        for piece in json_pieces(reader.schema, reader):
            click.echo(piece, nl=False)
    click.echo("}}")
