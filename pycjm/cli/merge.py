"""``pycjm merge``: what do logs that were mined apart look like together?"""

from __future__ import annotations

import time
from typing import Any

import click

from . import _loading, _tables
from ._options import Memory, output_options, progress_options

MEASURES = ("overview", "activities", "dfg", "variants", "durations")


@click.command("merge")
@click.argument("states", nargs=-1, required=True, type=click.Path(), metavar="STATE...")
@_tables.table_options(MEASURES, "all")
@click.option("--threads", type=click.IntRange(min=1), help="[default: as many as the machine has]")
@click.option(
    "--memory",
    type=Memory(),
    metavar="SIZE",
    help="The most to hold, like 4GiB; none: anything. States have to fit.  [default: half of the machine's or"
    " container's]",
)
@progress_options
@output_options
def command(
    states: tuple[str, ...],
    measure: tuple[str, ...],
    percentile: tuple[float, ...],
    approx: float | None,
    top: int | None,
    out: str | None,
    overwrite: bool,
    form: str,
    state: str | None,
    threads: int | None,
    memory: int | str | None,
    as_json: bool,
    quiet: bool,
) -> None:
    """Compute measures of several logs together, from the states that pycjm mine --state has kept of them.

    The logs must have no case in common. The answers are exactly those of mining all logs at once, whatever each was
    asked; only single cases cannot be had.

    \b
    pycjm mine january.parquet --state january.arrow
    pycjm mine february.parquet --state february.arrow
    pycjm merge january.arrow february.arrow --out result --state both.arrow
    """
    _loading.load()
    import pycjm

    from . import _output
    from ._progress import progress_bar

    _tables.check_targets(out, state, overwrite=overwrite)
    cut = _tables.cut(measure, top, shows=out is None and not as_json)
    percentiles = list(percentile or pycjm.measures.DEFAULT_PERCENTILES)
    asked: dict[str, Any] = {
        "percentiles": percentiles,
        "approx": approx,
        "top": cut,
        "threads": threads,
        "memory_limit": memory,
    }
    began, record = time.monotonic(), None
    with progress_bar(quiet=quiet) as progress:
        result = pycjm.merge(list(states), *measure, progress=progress, state=state is not None, **asked)
        if out is not None:
            run_info = {
                "inputs": list(states),
                "options": {"merge": {"measures": list(result), **asked}},
                "run": {"seconds": round(time.monotonic() - began, 6)},
            }
            record = _tables.write(result, out, form, overwrite, run_info, progress)
        _tables.write_state(result, state)
    _tables.say_state(state, quiet=quiet)
    if record is not None:
        _tables.say_written(out, record, as_json=as_json, quiet=quiet)
    elif as_json:
        _tables.print_json(result, {"states": list(states)})
    else:
        from ._summary import summary

        _output.print_rich(*summary(result, top or _tables.SHOWN))
