"""How are the tables of a result shown in a terminal?"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from .. import _human
from . import _output

if TYPE_CHECKING:
    from rich.console import RenderableType

    from ..result import MiningResult
    from ..table import Table

ARROW = " → "


def summary(result: MiningResult, top: int) -> Iterator[RenderableType]:
    """The result in tables that fit a terminal, the most frequent first.

    Parameters
    ----------
    result : MiningResult
        What was mined.
    top : int
        Most rows of each table.
    """
    totals = _first_row(result["overview"]) if "overview" in result else {}
    shapes = {
        "overview": lambda table: _overview(totals),
        "activities": lambda table: _activities(table, top),
        "dfg": lambda table: _edges(table, top),
        "variants": lambda table: _variants(table, top, totals.get("variants")),
        "durations": lambda table: _durations(_first_row(table)),
        "cases": lambda table: _cases(table, top),
    }
    for position, name in enumerate(result):
        if name in shapes:
            if position:
                yield ""
            yield shapes[name](result[name])


def _rows(table: Table, top: int) -> list[dict[str, Any]]:
    """The first rows, without reading more of the table than they need."""
    from .._formats import plain_rows

    rows: list[dict[str, Any]] = []
    for batch in table.to_reader():
        rows.extend(plain_rows(batch.slice(0, top - len(rows))))
        if len(rows) == top:
            break
    return rows


def _first_row(table: Table) -> dict[str, Any]:
    return _rows(table, 1)[0]


def _overview(row: dict[str, Any]) -> RenderableType:
    facts = {name: _human.count(row[name]) for name in ("events", "cases", "activities", "variants", "edges")}
    if row["first_ts"] is not None:
        facts["time"] = f"{_human.moment(row['first_ts'])} to {_human.moment(row['last_ts'])}"
    if row["tied_pairs"]:
        facts["ties"] = f"{_human.count(row['tied_pairs'])} in {_human.count(row['cases_with_ties'])} cases"
    dropped = {role: n for role, n in row["dropped_rows"].items() if n}
    if dropped:
        facts["dropped"] = ", ".join(f"{_human.count(n)} rows without {role}" for role, n in dropped.items())
    return _output.pairs("Overview", facts)


def _title(name: str, shown: int, total: int | None) -> str:
    """Whether rows were left out, and how many there are where that is known."""
    if total is None or shown == total:
        return name
    return f"{name} (the first {_human.count(shown)} of {_human.count(total)})"


def _activities(table: Table, top: int) -> RenderableType:
    counts = ("events", "cases", "starts", "ends", "rework_cases")
    rows = [(row["activity"], *(_human.count(row[name]) for name in counts)) for row in _rows(table, top)]
    heads = ("activity", *(name.replace("_", " ") for name in counts))
    return _output.table(_title("Activities", len(rows), len(table)), heads, rows, left=heads[:1])


def _times(columns: list[str]) -> list[str]:
    """Mean and percentiles: the times that tell most in little space. Bounds are told with their percentile."""
    bounds = {bound for name in columns for bound in _human.bounds_of(name, columns)}
    percentiles = [name for name in columns if name.startswith("p") and name.endswith("_s")]
    return [name for name in columns if name == "mean_s" or (name in percentiles and name not in bounds)]


def _time(row: dict[str, Any], name: str) -> str:
    """A duration, with its bounds where it has some."""
    bounds = _human.bounds_of(name, row)
    return _human.within(row[name], *(row[bound] for bound in bounds)) if bounds else _human.duration(row[name])


def _head(name: str) -> str:
    return name.removesuffix("_s").replace("_", ".")


def _edges(table: Table, top: int) -> RenderableType:
    rows = _rows(table, top)
    edges = [row["source"] + ARROW + row["target"] for row in rows]
    widest = max(map(len, edges), default=0)
    times = _fitting(_times(table.columns), widest, counts_width=20, least=3, bounded=_bounded(table.columns))
    cells = [
        (edge, _human.count(row["count"]), _human.count(row["cases"]), *(_time(row, name) for name in times))
        for edge, row in zip(edges, rows, strict=True)
    ]
    heads = ("edge", "count", "cases", *map(_head, times))
    return _output.table(_title("Edges", len(rows), len(table)), heads, cells, left=heads[:1])


def _bounded(columns: list[str]) -> bool:
    return any(_human.bounds_of(name, columns) for name in columns)


def _fitting(times: list[str], label_width: int, *, counts_width: int, least: int, bounded: bool) -> list[str]:
    """As many of the times as leave the labels on one line; the last percentiles go first.

    `least` of them are shown where labels can be broken to make room. A time takes up to 11 columns and 3 between; one
    with bounds 11 more, and 3 before them. The first time is the mean, which has none.
    """
    room = _output.width() - counts_width
    width = 28 if bounded else 14

    def fit(room: int) -> int:
        return (room - 14) // width + 1

    n_beside_lines, n_beside_broken = fit(room - min(label_width, 60)), fit(room - _output.LABEL_WIDTH)
    return times[: max(n_beside_lines, min(least, n_beside_broken), 0)]


def _variants(table: Table, top: int, total: int | None) -> RenderableType:
    times = [name for name in _times(table.columns) if name in ("mean_s", "p50_s")]
    times = _fitting(times, 60, counts_width=30, least=2, bounded=_bounded(table.columns))
    rows = [
        (
            _human.count(row["rank"]),
            ARROW.join(row["activities"]),
            _human.count(row["cases"]),
            _human.share(row["share"]),
            _human.share(row["cumulative_share"]),
            *(_time(row, name) for name in times),
        )
        for row in _rows(table, top)
    ]
    heads = ("#", "variant", "cases", "share", "so far", *map(_head, times))
    return _output.table(_title("Variants", len(rows), total), heads, rows, left=("variant",))


def _durations(row: dict[str, Any]) -> RenderableType:
    bounds = {bound for name in row for bound in _human.bounds_of(name, row)}
    facts = {_head(name): _time(row, name) for name in row if name.endswith("_s") and name not in bounds}
    return _output.pairs("Case durations", facts)


def _cases(table: Table, top: int) -> RenderableType:
    rows = [
        (
            str(row["case"]),
            _human.count(row["events"]),
            _human.moment(row["first_ts"]),
            _human.moment(row["last_ts"]),
            _human.duration(row["duration_s"]),
            _human.count(row["variant_rank"]),
        )
        for row in _rows(table, top)
    ]
    heads = ("case", "events", "first", "last", "duration", "variant")
    title = "Cases" if len(rows) < top else f"Cases (the first {_human.count(top)})"
    return _output.table(title, heads, rows, left=heads[:1])
