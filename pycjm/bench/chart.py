"""How is a comparison drawn?"""

from __future__ import annotations

import os
from typing import Any

from .. import errors, export

FORMATS = ("svg", "png", "pdf")
QUESTIONS = {
    "all": "edges with percentiles, variants and case durations",
    "counts": "edges, starts and ends, counted",
}


def check_plot(path: str | os.PathLike[str]) -> str:
    """The format that a picture's name asks for.

    Raises
    ------
    InvalidArgument
        The name has no such ending.
    Unsupported
        matplotlib is not installed.
    """
    from importlib.util import find_spec

    ending = os.path.splitext(os.fspath(path))[1].lower().lstrip(".")
    if ending not in FORMATS:
        message = f"{path}: a picture's name ends with {', '.join('.' + name for name in FORMATS)}."
        raise errors.InvalidArgument(message, {"path": os.fspath(path)})
    if find_spec("matplotlib") is None:
        raise errors.Unsupported("a picture needs matplotlib: pip install matplotlib", {"package": "matplotlib"})
    return ending


def plot(report: dict[str, Any], path: str | os.PathLike[str]) -> None:
    """Draws the times of a comparison as bars, one panel for each layout.

    Parameters
    ----------
    report : dict
        What :func:`pycjm.bench.run` gave.
    path : path-like
        The picture: SVG, PNG or PDF by its ending. It appears whole or not at all.

    Raises
    ------
    InvalidArgument
        Another ending, or no engine has a time.
    Unsupported
        matplotlib is not installed.
    """
    form = check_plot(path)
    timed = [result for result in report["results"] if result["status"] == "ok"]
    if not timed:
        raise errors.InvalidArgument("no engine has a time: there is nothing to draw.")
    from matplotlib import rc_context
    from matplotlib.figure import Figure

    layouts = list(dict.fromkeys(result["layout"] for result in timed))
    engines = list(dict.fromkeys(result["engine"] for result in timed))
    # Text stays text in an SVG, and nothing in it depends on the time or on chance.
    with rc_context({"svg.fonttype": "none", "svg.hashsalt": "pycjm", "font.size": 10}):
        figure = Figure(figsize=(8, 1.3 + len(layouts) * (0.7 + 0.33 * len(engines))), layout="constrained")
        panels = figure.subplots(len(layouts), 1, sharex=True, squeeze=False)[:, 0]
        for panel, layout in zip(panels, layouts, strict=True):
            _bars(panel, [result for result in timed if result["layout"] == layout], layout)
        most = max(result["wall_s"] for result in timed)
        least = min(result["wall_s"] for result in timed)
        panels[0].set_xlim(least / 2, most * 6)
        panels[-1].set_xlabel("seconds, logarithmic (median of rounds; less is better)")
        figure.suptitle(_title(report["settings"]), fontsize=11)
        metadata = {"svg": {"Date": None}, "pdf": {"CreationDate": None}}.get(form)
        with export.whole_file(path) as file:
            figure.savefig(file, format=form, dpi=150, metadata=metadata)


def _bars(panel: Any, results: list[dict[str, Any]], layout: str) -> None:
    results = sorted(results, key=lambda result: -result["wall_s"])
    names = [result["engine"] for result in results]
    colors = ["#c4501b" if name == "native" else "#bbbbbb" if name == "pyarrow read" else "#4a7ba6" for name in names]
    drawn = panel.barh(names, [result["wall_s"] for result in results], color=colors, height=0.7)
    panel.set_xscale("log")
    labels = [f"{result['wall_s']:.3g} s" + _times(result) for result in results]
    panel.bar_label(drawn, labels, padding=4, fontsize=9)
    panel.set_title({"case": "rows by case", "time": "rows by time"}.get(layout, "rows shuffled"), fontsize=10)
    panel.spines[["top", "right"]].set_visible(False)


def _times(result: dict[str, Any]) -> str:
    ratio = result.get("ratio")
    return "" if ratio is None or result["engine"] == "native" else f"  ({ratio:.3g} x native)"


def _title(settings: dict[str, Any]) -> str:
    where = "from Parquet" if settings["source"] == "parquet" else "in memory"
    threads = f"{settings['threads']} thread" + ("" if settings["threads"] == 1 else "s")
    return f"{settings['events']:,} events {where}, {threads}:\n{QUESTIONS[settings['question']]}"
