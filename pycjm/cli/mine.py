"""``pycjm mine``: what do the journeys of a log look like in numbers?"""

from __future__ import annotations

import time
from typing import Any

import click

from . import _loading, _tables
from ._options import output_options, progress_options, run_arguments, run_options, scan_arguments, source_options

MEASURES = ("overview", "activities", "dfg", "variants", "durations", "cases")


@click.command("mine")
@source_options
@_tables.table_options(MEASURES, "all but cases")
@click.option(
    "--state-ids/--no-state-ids",
    default=True,
    show_default=True,
    help="Keep the ids of cases in it, so that merging finds those that are in two logs.",
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
    state: str | None,
    state_ids: bool,
    as_json: bool,
    quiet: bool,
    **given: Any,
) -> None:
    """Compute measures of the log in SOURCE: a file, several, a directory, or a pattern.

    Without --out a summary is shown, or with --json all tables as one JSON document. With --out the tables are written
    as files, whole or not at all. With --state, what pycjm merge needs is kept as well, in one file.

    \b
    pycjm mine log.parquet
    pycjm mine log.csv --case customer --activity touchpoint --timestamp date --timestamp time
    pycjm mine log.parquet --measure variants --top 20 --out result --format csv
    pycjm mine log.parquet --measure dfg --percentile 50 --approx 0.01
    """
    _loading.load(given["backend"])
    import pycjm

    from . import _output
    from ._progress import progress_bar

    _tables.check_targets(out, state, overwrite=overwrite)
    scan, run = scan_arguments(given), run_arguments(given)
    cut = _tables.cut(measure, top, shows=out is None and not as_json)
    asked: dict[str, Any] = {"percentiles": percentile} if percentile else {}
    if approx is not None:
        asked["approx"] = approx
    kept = {} if state is None else {"state": True, "state_ids": state_ids}
    began = time.monotonic()
    log = pycjm.scan(**scan)
    _output.say_guess(log, quiet=quiet)
    record = None
    with progress_bar(quiet=quiet) as progress:
        result = log.mine(*measure, top=cut, progress=progress, **asked, **kept, **run)
        if out is not None:
            percentiles = list(percentile or pycjm.measures.DEFAULT_PERCENTILES)
            mined = {"measures": list(result), "top": cut, "percentiles": percentiles, "approx": approx, **kept, **run}
            if state is not None:
                mined["state"] = state
            run_info = {
                "inputs": [file["path"] for file in log.describe().files],
                "options": {"scan": scan | _output.roles_of(log), "mine": mined},
                "run": {"seconds": round(time.monotonic() - began, 6)},
            }
            record = _tables.write(result, out, form, overwrite, run_info, progress)
        _tables.write_state(result, state)
    _output.say_naive(result.info, quiet=quiet)
    _tables.say_state(state, quiet=quiet)
    if record is not None:
        _tables.say_written(out, record, as_json=as_json, quiet=quiet)
    elif as_json:
        _tables.print_json(result, {"roles": _output.roles_of(log), "guessed": list(log.guessed)})
    else:
        from ._summary import summary

        _output.print_rich(*summary(result, top or _tables.SHOWN))
