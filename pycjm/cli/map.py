"""``pycjm map``: how do the journeys of a log look as a map?"""

from __future__ import annotations

from typing import Any

import click

from . import _loading
from ._options import output_options, progress_options, run_arguments, run_options, scan_arguments, source_options


@click.command("map")
@source_options
@click.option("--format", "form", type=click.Choice(["dot", "mermaid"]), default="dot", show_default=True)
@click.option("--max-nodes", type=click.IntRange(min=1), default=30, show_default=True, help="Most activities shown.")
@click.option("--max-edges", type=click.IntRange(min=1), default=60, show_default=True, help="Most edges shown.")
@click.option("--metric", default="count", show_default=True, help="At the edges: count, cases, mean_s, p50_s, ...")
@click.option("--rankdir", type=click.Choice(["LR", "TB", "RL", "BT"]), default="LR", show_default=True)
@click.option("--output", "-o", type=click.Path(), metavar="FILE", help="Write to a file instead of stdout.")
@run_options
@progress_options
@output_options
def command(
    form: str,
    max_nodes: int,
    max_edges: int,
    metric: str,
    rankdir: str,
    output: str | None,
    as_json: bool,
    quiet: bool,
    **given: Any,
) -> None:
    """Draw the process map of the log in SOURCE: the frequent activities and edges, from start to end.

    \b
    pycjm map log.parquet | dot -Tsvg > map.svg
    pycjm map log.parquet --format mermaid --metric p50_s
    """
    _loading.load(given["backend"])
    import pycjm

    from . import _output
    from ._progress import progress_bar

    log = pycjm.scan(**scan_arguments(given))
    _output.say_guess(log, quiet=quiet)
    with progress_bar(quiet=quiet) as progress:
        result = log.mine("activities", "dfg", progress=progress, **run_arguments(given))
    _output.say_naive(result.info, quiet=quiet)
    draw = result.to_dot if form == "dot" else result.to_mermaid
    text = draw(max_nodes=max_nodes, max_edges=max_edges, metric=metric, rankdir=rankdir)
    if output is not None:
        from ..export import whole_file

        with whole_file(output) as file:
            file.write(text.encode())
        _output.say(f"Wrote {output}", quiet=quiet)
    if as_json:
        _output.print_json({"roles": _output.roles_of(log), "format": form, "output": output, "text": text})
    elif output is None:
        click.echo(text, nl=False)
