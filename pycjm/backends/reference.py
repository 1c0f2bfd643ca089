"""What should every figure be? The oracle of the tests: plain Python on whole numbers, clear before fast.

Each table is computed the way its definition reads: order the events, cut them into cases, list the gaps, sort them,
look up the ranks. All sums are Python integers, so nothing overflows and nothing is rounded before the last step; a
few million events are its limit, and it uses nothing of the engines it judges.
"""

from __future__ import annotations

import math
import operator
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from functools import reduce
from itertools import pairwise
from typing import Any

import numpy as np
import pyarrow as pa

from pycjm.backends import _tables
from pycjm.backends._refusals import refuse_far_times, refuse_negative_gaps, refuse_order_type
from pycjm.backends._tables import Percentile, percentiles_of, step_bits_of


def mine(events: pa.Table, plan: dict[str, Any], info: dict[str, Any]) -> dict[str, pa.Table]:
    """Mine a normalised log in memory.

    Parameters
    ----------
    events : pyarrow.Table
        No nulls; columns ``case`` (any integer, text, bytes, uuid or a dictionary of those), ``activity`` (text or a
        dictionary of text), ``timestamp``, optional ``start_timestamp``, optional ``order_0``, ``order_1``, ... which
        break ties of the timestamp, ascending and nulls last, before the row's position does.
    plan : dict
        The plan of the C ABI, version 1.
    info : dict
        ``dropped_rows`` by role, ``negative`` ("keep", "zero" or "error"), and ``case_metrics``: for each metric of the
        plan ``callable(activities, times, start_times) -> float`` on one case.

    Returns
    -------
    dict of str to pyarrow.Table
        One table for each measure of the plan, in its order.

    Raises
    ------
    pycjm.errors.InvalidData
        A gap is negative and `info` has ``negative="error"``, or times lie 2^63 ticks or more apart.
    """
    log = _Log.from_events(events, info.get("negative", "keep"))
    return {name: _TABLES[name](log, measure, plan, info) for name, measure in _tables.measures_of(plan).items()}


@dataclass
class _Case:
    """One case in order. `activities` are positions in the sorted labels, times are ticks."""

    row: int
    activities: tuple[int, ...]
    starts: list[int]
    ends: list[int]

    @property
    def first(self) -> int:
        return min(self.starts)

    @property
    def last(self) -> int:
        return self.ends[-1]

    @property
    def duration(self) -> int:
        return self.last - self.first

    def ties(self) -> int:
        return sum(a == b for a, b in pairwise(self.ends))

    def steps(self) -> Iterator[tuple[tuple[int, int], int]]:
        """Yield each directly-follows pair with its gap: start of the target minus end of the source."""
        for i in range(len(self.activities) - 1):
            yield (self.activities[i], self.activities[i + 1]), self.starts[i + 1] - self.ends[i]


@dataclass
class _Log:
    """The ordered log. `cases` lie in the order of their first rows; `labels` are sorted by their bytes."""

    events: pa.Table
    labels: list[str]
    cases: list[_Case]
    layout: str
    gaps: dict[tuple[int, int], list[int]]
    negatives: Counter[tuple[int, int]]
    metrics: dict[str, list[float]] = field(default_factory=dict)

    @classmethod
    def from_events(cls, events: pa.Table, negative: str) -> _Log:
        names = _text(events["activity"])
        labels = sorted(set(names))  # code points sort as UTF-8 bytes do
        rank = {label: i for i, label in enumerate(labels)}
        ends = events["timestamp"].cast(pa.int64()).to_pylist()
        has_starts = "start_timestamp" in events.column_names
        starts = events["start_timestamp"].cast(pa.int64()).to_pylist() if has_starts else ends
        if ends:
            refuse_far_times(min(*ends, *starts), max(*ends, *starts))
        rows_of = defaultdict(list)
        case_ids = events["case"].to_pylist()
        for row, case in enumerate(case_ids):
            rows_of[case].append(row)
        ties_broken_by = _order_keys(events)
        cases = []
        for rows in rows_of.values():
            ordered = sorted(rows, key=lambda row: (ends[row], *(key[row] for key in ties_broken_by), row))
            cases.append(
                _Case(
                    row=rows[0],
                    activities=tuple(rank[names[row]] for row in ordered),
                    starts=[starts[row] for row in ordered],
                    ends=[ends[row] for row in ordered],
                )
            )
        gaps, negatives = _gaps(cases, negative)
        return cls(events, labels, cases, _layout(case_ids, ends), gaps, negatives if has_starts else Counter())

    @property
    def ticks_per_second(self) -> int:
        return _tables.TICKS_PER_SECOND[self.timestamp.unit]

    @property
    def timestamp(self) -> pa.TimestampType:
        return self.events.schema.field("timestamp").type

    def variants(self) -> list[tuple[tuple[int, ...], list[_Case]]]:
        """Return each distinct sequence with its cases: most cases first, then by the labels."""
        followers = defaultdict(list)
        for case in self.cases:
            followers[case.activities].append(case)
        return sorted(followers.items(), key=lambda variant: (-len(variant[1]), variant[0]))


def _text(column: pa.ChunkedArray) -> list[str]:
    if pa.types.is_dictionary(column.type):
        column = column.cast(column.type.value_type)
    return column.to_pylist()


def _order_keys(events: pa.Table) -> list[list[tuple[bool, Any]]]:
    """Return one sortable value for each row and each ``order_N`` column: nulls after values, NaN just before nulls."""
    keys = []
    while f"order_{len(keys)}" in events.column_names:
        column = events[f"order_{len(keys)}"]
        refuse_order_type(len(keys), column.type, "reference")
        if pa.types.is_temporal(column.type):
            column = column.cast(pa.int32() if column.type.bit_width == 32 else pa.int64())
        keys.append([_order_key(value) for value in column.to_pylist()])
    return keys


def _order_key(value: Any) -> tuple[int, Any]:
    if value is None:
        return 2, 0
    if isinstance(value, float) and math.isnan(value):
        return 1, 0
    return 0, value


def _layout(case_ids: list[Any], times: list[int]) -> str:
    """Say how the rows came: a case all in one run, else in order of time, else neither."""
    runs = sum(i == 0 or case_ids[i] != case_ids[i - 1] for i in range(len(case_ids)))
    if runs == len(set(case_ids)):
        return "case"
    return "time" if all(a <= b for a, b in pairwise(times)) else "none"


def _gaps(cases: list[_Case], negative: str) -> tuple[dict[tuple[int, int], list[int]], Counter[tuple[int, int]]]:
    gaps, negatives = defaultdict(list), Counter()
    for case in cases:
        for edge, gap in case.steps():
            negatives[edge] += gap < 0
            gaps[edge].append(max(gap, 0) if negative == "zero" else gap)
    if negative == "error":
        refuse_negative_gaps(negatives.total())
    return gaps, negatives


def _statistics(
    ticks: list[int], tps: int, percentiles: list[Percentile], step_bits: int | None
) -> dict[str, float | None]:
    """Return the figures in seconds of exact durations in ticks; Python rounds a quotient of integers once.

    With `step_bits`, percentiles come with bounds.
    """
    n = len(ticks)
    if n == 0:
        return defaultdict(lambda: None)
    ticks, total = sorted(ticks), sum(ticks)
    squares = sum(tick * tick for tick in ticks)
    row = {
        "total_s": total / tps,
        "mean_s": total / (n * tps),
        "min_s": ticks[0] / tps,
        "max_s": ticks[-1] / tps,
        "std_s": None,
    }
    if n > 1:
        row["std_s"] = math.sqrt(float(n * squares - total * total) / float(n * (n - 1))) / float(tps)
    if step_bits is not None:
        least, most = zip(*(_bucket(ticks, rank, step_bits) for rank in range(n)), strict=True)
    for percentile in percentiles:
        whole = 100 * percentile.scale
        if step_bits is None:
            row[percentile.name + "_s"] = _times_whole(ticks, percentile) / (whole * tps)
            continue
        lo, hi = _times_whole(least, percentile), _times_whole(most, percentile)
        row[percentile.name + "_s"] = (lo + hi) / (2 * whole * tps)
        row[percentile.name + "_lo_s"] = lo / (whole * tps)
        row[percentile.name + "_hi_s"] = hi / (whole * tps)
    return row


def _times_whole(ticks: Sequence[int], percentile: Percentile) -> int:
    """Return the percentile of sorted ticks, times ``100 * scale`` to be a whole number."""
    lo, rest = percentile.position(len(ticks))
    numerator = ticks[lo] * 100 * percentile.scale
    if rest:
        numerator += rest * (ticks[lo + 1] - ticks[lo])
    return numerator


def _bucket(ticks: list[int], rank: int, step_bits: int) -> tuple[int, int]:
    """Return the least and the most that the value at `rank` of sorted ticks can be, of which the bucket is known.

    Between a power of two and the next there are 2^k equal buckets; below 2^(k+1) each whole number is one; below zero
    it is the same. The extremes are known themselves.
    """
    if rank in (0, len(ticks) - 1):
        return ticks[rank], ticks[rank]
    size = abs(ticks[rank])
    width = 2 ** max(size.bit_length() - 1 - step_bits, 0)
    near = size // width * width
    far = near + width - 1
    least, most = (near, far) if ticks[rank] >= 0 else (-far, -near)
    return max(least, ticks[0]), min(most, ticks[-1])


def _table(rows: list[dict[str, Any]], schema: pa.Schema) -> pa.Table:
    columns = [pa.array([row[column.name] for row in rows], column.type) for column in schema]
    return pa.Table.from_arrays(columns, schema=schema)


def _overview(log: _Log, _measure: dict, _plan: dict, info: dict) -> pa.Table:
    dropped = _tables.dropped_rows_of(log.events, info)
    ties = [case.ties() for case in log.cases]
    row = {
        "events": log.events.num_rows,
        "cases": len(log.cases),
        "activities": len(log.labels),
        "variants": len(log.variants()),
        "edges": len(log.gaps),
        "first_ts": min((case.first for case in log.cases), default=None),
        "last_ts": max((case.last for case in log.cases), default=None),
        "tied_pairs": sum(ties),
        "cases_with_ties": sum(count > 0 for count in ties),
        "dropped_rows": dropped,
        "layout": log.layout,
    }
    return _table([row], _tables.overview_schema(log.timestamp, dropped))


def _activities(log: _Log, _measure: dict, _plan: dict, _info: dict) -> pa.Table:
    events, cases, starts, ends, rework = (Counter() for _ in range(5))
    for case in log.cases:
        occurrences = Counter(case.activities)
        events.update(occurrences)
        cases.update(occurrences.keys())
        rework.update(activity for activity, count in occurrences.items() if count >= 2)
        starts[case.activities[0]] += 1
        ends[case.activities[-1]] += 1
    rows = [
        {
            "activity": log.labels[activity],
            "events": count,
            "cases": cases[activity],
            "starts": starts[activity],
            "ends": ends[activity],
            "rework_cases": rework[activity],
        }
        for activity, count in sorted(events.items(), key=lambda item: (-item[1], item[0]))
    ]
    return _table(rows, _tables.activities_schema())


def _dfg(log: _Log, measure: dict, _plan: dict, _info: dict) -> pa.Table:
    percentiles, step_bits = percentiles_of(measure), step_bits_of(measure)
    cases = Counter(edge for case in log.cases for edge in {edge for edge, _ in case.steps()})
    rows = [
        {
            "source": log.labels[edge[0]],
            "target": log.labels[edge[1]],
            "count": len(gaps),
            "cases": cases[edge],
            **_statistics(gaps, log.ticks_per_second, percentiles, step_bits),
            "negatives": log.negatives[edge],
        }
        for edge, gaps in sorted(log.gaps.items(), key=lambda item: (-len(item[1]), item[0]))
    ]
    has_starts = "start_timestamp" in log.events.column_names
    return _table(rows, _tables.dfg_schema(percentiles, has_starts, bounds=step_bits is not None))


def _variants(log: _Log, measure: dict, _plan: dict, _info: dict) -> pa.Table:
    percentiles, step_bits = percentiles_of(measure), step_bits_of(measure)
    rows, so_far = [], 0
    for rank, (sequence, cases) in enumerate(log.variants()[: measure.get("top")], start=1):
        so_far += len(cases)
        rows.append(
            {
                "rank": rank,
                "activities": [log.labels[activity] for activity in sequence],
                "length": len(sequence),
                "cases": len(cases),
                "share": float(len(cases)) / float(len(log.cases)),
                "cumulative_share": float(so_far) / float(len(log.cases)),
                **_statistics([case.duration for case in cases], log.ticks_per_second, percentiles, step_bits),
            }
        )
    return _table(rows, _tables.variants_schema(percentiles, bounds=step_bits is not None))


def _durations(log: _Log, measure: dict, _plan: dict, _info: dict) -> pa.Table:
    percentiles, step_bits = percentiles_of(measure), step_bits_of(measure)
    statistics = _statistics([case.duration for case in log.cases], log.ticks_per_second, percentiles, step_bits)
    schema = _tables.durations_schema(percentiles, bounds=step_bits is not None)
    row = {name: statistics[name] for name in schema.names if name != "n"}
    return _table([{"n": len(log.cases), **row}], schema)


def _cases(log: _Log, _measure: dict, plan: dict, info: dict) -> pa.Table:
    rank_of = {sequence: rank for rank, (sequence, _) in enumerate(log.variants(), start=1)}
    metrics = _metric_values(log, plan, info)
    column = log.events["case"]
    schema = _tables.cases_schema(column.type, log.timestamp, list(metrics))
    tps = log.ticks_per_second
    columns = [
        _take(column, [case.row for case in log.cases]),
        [len(case.activities) for case in log.cases],
        [case.first for case in log.cases],
        [case.last for case in log.cases],
        [case.duration / tps for case in log.cases],
        [rank_of[case.activities] for case in log.cases],
        *([None if math.isnan(value) else value for value in values] for values in metrics.values()),
    ]
    arrays = [columns[0], *(pa.array(c, f.type) for c, f in zip(columns[1:], list(schema)[1:], strict=True))]
    return pa.Table.from_arrays(arrays, schema=schema)


def _take(column: pa.ChunkedArray, rows: list[int]) -> pa.ChunkedArray:
    indices = pa.array(rows, pa.int64())
    for view, plain in ((pa.string_view(), pa.large_utf8()), (pa.binary_view(), pa.large_binary())):
        if column.type == view:  # pyarrow has no take for views
            return column.cast(plain).take(indices).cast(view)
    return column.take(indices)


def _metric_values(log: _Log, plan: dict, info: dict) -> dict[str, list[float]]:
    """Return each case metric of the plan for every case, in the order of the cases; each is called once a case."""
    for metric in plan.get("case_metrics", []):
        if metric["name"] not in log.metrics:
            function = info["case_metrics"][metric["name"]]
            log.metrics[metric["name"]] = _evaluate(log, function, metric.get("activities"))
    return log.metrics


def _evaluate(log: _Log, metric: Callable[..., float], declared: list[str] | None) -> list[float]:
    code_of = {label: i for i, label in enumerate(log.labels if declared is None else declared)}
    has_starts = "start_timestamp" in log.events.column_names
    values = []
    for case in log.cases:
        activities = _frozen([code_of.get(log.labels[a], -1) for a in case.activities], np.int32)
        starts = _frozen(case.starts, np.int64) if has_starts else None
        values.append(float(metric(activities, _frozen(case.ends, np.int64), starts)))
    return values


def _frozen(values: list[int], kind: type[np.integer]) -> np.ndarray:
    """An array that a metric cannot write to, as in the engine: what it changed there, other measures would see."""
    array = np.array(values, kind)
    array.flags.writeable = False
    return array


def _metrics(log: _Log, measure: dict, plan: dict, info: dict) -> pa.Table:
    percentiles = percentiles_of(measure)
    rows = []
    for name, values in _metric_values(log, plan, info).items():
        numbers = sorted((v for v in values if not math.isnan(v)), key=lambda v: (v, math.copysign(1.0, v)))
        rows.append({"metric": name, "n": len(numbers), **_float_statistics(numbers, percentiles)})
    return _table(rows, _tables.metrics_schema(percentiles))


def _float_statistics(numbers: list[float], percentiles: list[Percentile]) -> dict[str, float | None]:
    """Return the figures of sorted floats. Summed from the smallest up, one by one: float sums depend on the order."""
    n = len(numbers)
    row = dict.fromkeys(["mean", "min", "max", "std", *(p.name for p in percentiles)])
    if n == 0:
        return row
    row["min"], row["max"] = numbers[0], numbers[-1]
    row["mean"] = min(max(_sum(numbers) / n, row["min"]), row["max"])  # rounding may lead beyond the ends
    if n > 1:
        deviations = [number - row["mean"] for number in numbers]
        row["std"] = math.sqrt(_sum([deviation * deviation for deviation in deviations]) / (n - 1))
    for percentile in percentiles:
        lo, rest = percentile.position(n)
        row[percentile.name] = numbers[lo]
        if rest:
            row[percentile.name] += (rest / (100 * percentile.scale)) * (numbers[lo + 1] - numbers[lo])
    return row


def _sum(numbers: list[float]) -> float:
    return reduce(operator.add, numbers)  # not sum(): it compensates from Python 3.12 on


_TABLES = {
    "overview": _overview,
    "activities": _activities,
    "dfg": _dfg,
    "variants": _variants,
    "durations": _durations,
    "cases": _cases,
    "metrics": _metrics,
}
