"""``pycjm bench``: how fast is pycjm here, beside what one would use instead?"""

from __future__ import annotations

from typing import Any

import click

from .. import _signals
from ._options import Count, Size, output_options, progress_options


@click.command("bench")
@click.option("--events", type=Count(least=1), default="1M", show_default=True, metavar="N", help="Of the log.")
@click.option(
    "--layout",
    multiple=True,
    type=click.Choice(["case", "time", "shuffled"]),
    default=["case"],
    show_default=True,
    help="How the rows lie. Repeatable.",
)
@click.option(
    "--source",
    type=click.Choice(["arrow", "parquet"]),
    default="arrow",
    show_default=True,
    help="The log in memory, or in a file whose reading counts.",
)
@click.option(
    "--case-id", type=click.Choice(["int", "string"]), default="int", show_default=True, help="The type of case ids."
)
@click.option(
    "--activities", type=Count(least=1), default="40", show_default=True, metavar="N", help="Distinct activities."
)
@click.option("--seed", type=click.IntRange(min=0), default=1, show_default=True, help="Of the log.")
@click.option("--engine", multiple=True, metavar="NAME", help="Repeatable.  [default: all but reference]")
@click.option(
    "--question",
    type=click.Choice(["all", "counts"]),
    default="all",
    show_default=True,
    help="All measures, or edges, starts and ends, counted.",
)
@click.option("--threads", type=click.IntRange(min=1), help="Of every engine.  [default: all processors]")
@click.option("--rounds", type=click.IntRange(min=1), default=3, show_default=True, help="The median counts.")
@click.option("--memory", type=Size(), metavar="SIZE", help="The most a process may hold, like 4GiB.")
@click.option(
    "--timeout", type=click.FloatRange(min=0, min_open=True), default=600, show_default=True, help="Seconds of a run."
)
@click.option("--output", "-o", type=click.Path(), metavar="FILE", help="Write the report as JSON.")
@click.option("--plot", type=click.Path(), metavar="FILE", help="Draw the times: .svg, .png or .pdf.")
@click.option("--temp-dir", type=click.Path(), metavar="DIR", help="For the logs.  [default: the system's]")
@progress_options
@output_options
def command(
    layout: tuple[str, ...],
    engine: tuple[str, ...],
    memory: int | None,
    timeout: float,
    output: str | None,
    plot: str | None,
    as_json: bool,
    quiet: bool,
    **given: Any,
) -> None:
    """Compare pycjm with other tools on a synthetic log.

    Every run has a process of its own. Answers are compared before a time counts. Tools that are not installed are
    skipped; pip install "pycjm[bench]" installs all.

    \b
    pycjm bench
    pycjm bench --events 10M --layout time --layout shuffled --engine polars --engine duckdb --plot chart.svg
    """
    _signals.clean_up("pyarrow", "pyarrow.parquet")
    from .. import export
    from ..bench import chart, running
    from . import _output
    from ._progress import progress_bar

    if plot is not None:
        chart.check_plot(plot)
    for path in (output, plot):
        if path is not None:
            export.check_file(path)
    with progress_bar(quiet=quiet, unit="runs") as progress:
        report = running.run(
            layouts=layout,
            engines=engine or None,
            memory_limit=memory,
            timeout_s=timeout,
            progress=progress,
            **given,
        )
    # Shown first, so that nothing that goes wrong with the files takes it away.
    if as_json:
        _output.print_json(report)
    else:
        _output.print_rich(*_tables(report))
    if output is not None:
        _write(report, output)
    if plot is not None:
        chart.plot(report, plot)
    for path in (output, plot):
        if path is not None:
            _output.say(f"Wrote {path}", quiet=quiet)


def _write(report: dict[str, Any], path: str) -> None:
    import json

    from ..export import whole_file

    with whole_file(path) as file:
        file.write(json.dumps(report, indent=2, ensure_ascii=False).encode() + b"\n")


def _tables(report: dict[str, Any]) -> list[Any]:
    from .. import _human
    from . import _output

    settings, machine = report["settings"], report["machine"]
    where = "from Parquet, reading included" if settings["source"] == "parquet" else "in memory"
    head = {
        "log": f"{_human.count(settings['events'])} events {where}, {settings['case_id']} ids, seed {settings['seed']}",
        "question": settings["question"],
        "runs": f"rounds: {settings['rounds']}, threads: {settings['threads']}",
        "machine": f"{machine['cpu']}, {machine['processors']} processors, {_human.size(machine['memory_bytes'])}",
    }
    parts = [_output.pairs("Benchmark", head)]
    for layout in settings["layouts"]:
        rows = [_row(result, report["versions"]) for result in report["results"] if result["layout"] == layout]
        columns = ("engine", "version", "time", "x native", "events/s", "CPU", "peak memory", "note")
        parts += ["", _output.table(f"Layout {layout}", columns, rows, left=("engine", "note"))]
    return parts


def _row(result: dict[str, Any], versions: dict[str, Any]) -> tuple[str, ...]:
    from .. import _human

    engine = result["engine"]
    package = {"native": "pycjm", "reference": "pycjm", "polars-streaming": "polars", "pyarrow read": "pyarrow"}
    version = versions.get(package.get(engine, engine), "")
    version = version["package"] if isinstance(version, dict) else version
    if result["status"] != "ok":
        note = result["status"] + (f": {result['reason']}" if result["reason"] else "")
        return engine, version, "-", "-", "-", "-", "-", note
    return (
        engine,
        version,
        _human.duration(result["wall_s"]),
        f"{result['ratio']:.2f}" if "ratio" in result else "-",
        f"{result['events_per_s'] / 1e6:.2f} M",
        _human.duration(result["cpu_s"]),
        _human.size(int(result["peak_bytes"])),
        "reading alone" if engine == "pyarrow read" else "",
    )
