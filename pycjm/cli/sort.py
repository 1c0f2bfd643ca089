"""``pycjm sort``: how is a log laid out so that every question to it is a mere scan?"""

from __future__ import annotations

import time
from typing import Any

import click

from .. import _signals
from ._options import Size, output_options, progress_options, scan_arguments, source_options


@click.command("sort")
@source_options
@click.option("--output", "-o", type=click.Path(), metavar="FILE", required=True, help="The Parquet file to write.")
@click.option("--overwrite", is_flag=True, help="Replace a file that is there.")
@click.option(
    "--compression",
    type=click.Choice(["zstd", "snappy", "gzip", "lz4", "none"]),
    default="zstd",
    show_default=True,
    help="Of the file.",
)
@click.option("--threads", type=click.IntRange(min=1), help="[default: as many as the machine has]")
@click.option(
    "--memory",
    type=Size(),
    metavar="SIZE",
    help="The most to hold.  [default: 4GiB, or half of the machine's or container's]",
)
@click.option(
    "--spill-dir", type=click.Path(), metavar="DIR", help="Where larger logs are put aside.  [default: as TMPDIR says]"
)
@progress_options
@output_options
def command(
    output: str,
    overwrite: bool,
    compression: str,
    threads: int | None,
    memory: int | None,
    spill_dir: str | None,
    as_json: bool,
    quiet: bool,
    **given: Any,
) -> None:
    """Write the log in SOURCE in case order, as one Parquet file that is mined fastest.

    All columns are kept, and the rows that are mined. The file appears whole or not at all.

    \b
    pycjm sort 'logs/*.parquet' -o sorted.parquet
    pycjm sort log.csv --case customer -o sorted.parquet --memory 2GiB --spill-dir /scratch
    """
    _signals.clean_up("pyarrow", "pyarrow.parquet")
    import pycjm

    from .. import _human
    from . import _output
    from ._progress import progress_bar

    began = time.monotonic()
    log = pycjm.scan(**scan_arguments(given))
    with progress_bar(quiet=quiet) as progress:
        written = log.sort(
            output,
            overwrite=overwrite,
            compression=compression,
            threads=threads,
            memory_limit=memory,
            spill_dir=spill_dir,
            progress=progress,
        )
    _output.say_guess(log, quiet=quiet)
    if lost := sum(written["dropped_rows"].values()):
        _output.say(f"Left out: {_human.count(lost)} rows with a null in a role", quiet=quiet)
    rows, n_bytes = _human.count(written["rows"]), _human.size(written["bytes"])
    _output.say(f"Wrote {output}: {rows} rows ({n_bytes}), sorted by {', '.join(written['sorted_by'])}", quiet=quiet)
    if as_json:
        seconds = round(time.monotonic() - began, 6)
        _output.print_json({"roles": _output.roles_of(log), **written, "seconds": seconds})
