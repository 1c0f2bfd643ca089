"""``pycjm synth``: where does a log of any size come from?"""

from __future__ import annotations

import click

from .. import _signals
from ._options import Count, output_options, progress_options


@click.command("synth")
@click.option("--events", type=Count(), default="1M", show_default=True, metavar="N", help="Rows, like 10M or 1G.")
@click.option(
    "--layout",
    type=click.Choice(["case", "time", "shuffled"]),
    default="case",
    show_default=True,
    help="How the rows lie.",
)
@click.option(
    "--case-id", type=click.Choice(["int", "string"]), default="int", show_default=True, help="The type of case ids."
)
@click.option(
    "--activities", type=Count(least=1), default="40", show_default=True, metavar="N", help="Distinct activities."
)
@click.option("--seed", type=click.IntRange(min=0), default=1, show_default=True, help="Same seed, same rows.")
@click.option("--output", "-o", required=True, type=click.Path(), metavar="FILE", help="The Parquet file to write.")
@click.option("--overwrite", is_flag=True, help="Replace the file if it is there.")
@click.option("--temp-dir", type=click.Path(), metavar="DIR", help="For temporary files.  [default: beside FILE]")
@progress_options
@output_options
def command(
    events: int,
    layout: str,
    case_id: str,
    activities: int,
    seed: int,
    output: str,
    overwrite: bool,
    temp_dir: str | None,
    as_json: bool,
    quiet: bool,
) -> None:
    """Write a synthetic log: seeded journeys with heavy-tailed lengths and gaps.

    The rows are the same on every machine, and the events the same in every layout. Memory does not grow with the log.

    \b
    pycjm synth --events 10M -o log.parquet
    pycjm synth --events 1G --layout shuffled --case-id string -o large.parquet
    """
    _signals.clean_up("pyarrow", "pyarrow.parquet")
    import time

    import pycjm

    from .. import _human
    from . import _output
    from ._progress import progress_bar

    began = time.monotonic()
    with progress_bar(quiet=quiet) as progress:
        n_bytes = pycjm.write_synth(
            output,
            events,
            layout=layout,
            case_id=case_id,
            activities=activities,
            seed=seed,
            temp_dir=temp_dir,
            overwrite=overwrite,
            progress=progress,
        )
    seconds = time.monotonic() - began
    if as_json:
        made = {"layout": layout, "case_id": case_id, "activities": activities, "seed": seed}
        _output.print_json({"path": output, "events": events, **made, "bytes": n_bytes, "seconds": round(seconds, 3)})
    else:
        click.echo(output)
        told = f"{_human.count(events)} events, {_human.size(n_bytes)}, in {_human.duration(seconds)}"
        _output.say(f"{told}. Now try: pycjm mine {output}", quiet=quiet)
