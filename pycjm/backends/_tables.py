"""What do the result tables of the Python backends look like, and which percentiles were asked?

Only names, types and the reading of a plan live here, never a figure: the reference and the numba backend share this
file and nothing else, so that one checks the arithmetic of the other.
"""

from __future__ import annotations

from decimal import Decimal
from typing import Any, NamedTuple

import pyarrow as pa

TICKS_PER_SECOND = {"s": 1, "ms": 10**3, "us": 10**6, "ns": 10**9}
DEFAULT_PERCENTILES = (50, 90, 95, 99)


class Percentile(NamedTuple):
    """One asked percentile as the exact fraction ``part / scale`` of one hundred.

    Attributes
    ----------
    name : str
        ``p50``, ``p99_9``: the column's name before its unit.
    part, scale : int
        ``99.9`` is ``999 / 10``. Integers, because a float of 99.9 would move the rank of a large log.
    """

    name: str
    part: int
    scale: int

    def position(self, n: int) -> tuple[int, int]:
        """Index of the lower neighbour among `n` sorted values, and the weight of the upper in ``100 * scale``."""
        return divmod((n - 1) * self.part, 100 * self.scale)


def percentiles_of(measure: dict[str, Any]) -> list[Percentile]:
    """Return the percentiles a measure of the plan asks for, in the order asked."""
    return [_percentile(value) for value in measure.get("percentiles", DEFAULT_PERCENTILES)]


def _percentile(value: float) -> Percentile:
    exact = Decimal(repr(value)).normalize()
    digits = max(0, -int(exact.as_tuple().exponent))
    return Percentile("p" + format(exact, "f").replace(".", "_"), int(exact.scaleb(digits)), 10**digits)


def step_bits_of(measure: dict[str, Any]) -> int | None:
    """Return k where a measure asks for percentiles within bounds: buckets have 2^k steps inside each power of two.

    The middle of such a bucket is off by at most 2^-(k+1) of any value in it, and k is the least that keeps to
    ``approx``. None where percentiles are exact.
    """
    approx = measure.get("approx")
    if approx is None:
        return None
    return next(k for k in range(16) if 2 ** (k + 1) * approx >= 1)


def measures_of(plan: dict[str, Any]) -> dict[str, dict[str, Any]]:
    """Return the plan's measures by name, in the plan's order."""
    return {measure["measure"]: measure for measure in plan["measures"]}


def dropped_rows_of(events: pa.Table, info: dict[str, Any]) -> dict[str, int]:
    """Return how many rows each role cost before the events came here."""
    roles = ["case", "activity", "timestamp"]
    if "start_timestamp" in events.column_names:
        roles.append("start_timestamp")
    counted = info.get("dropped_rows") or {}
    return {role: int(counted.get(role, 0)) for role in roles}


def _counts(*names: str) -> list[pa.Field]:
    return [pa.field(name, pa.uint64(), nullable=False) for name in names]


def _floats(*names: str) -> list[pa.Field]:
    return [pa.field(name, pa.float64()) for name in names]


def _percentile_columns(percentiles: list[Percentile], suffix: str = "_s", *, bounds: bool = False) -> list[str]:
    """Return one column for each percentile, or three with its bounds."""
    ends = ("", "_lo", "_hi") if bounds else ("",)
    return [percentile.name + end + suffix for percentile in percentiles for end in ends]


def _label(name: str) -> pa.Field:
    return pa.field(name, pa.utf8(), nullable=False)


def overview_schema(timestamp: pa.DataType, dropped_rows: dict[str, int]) -> pa.Schema:
    """Return the schema of ``overview`` for a log whose times have the type `timestamp`."""
    return pa.schema(
        [
            *_counts("events", "cases", "activities", "variants", "edges"),
            pa.field("first_ts", timestamp),
            pa.field("last_ts", timestamp),
            *_counts("tied_pairs", "cases_with_ties"),
            pa.field("dropped_rows", pa.struct(_counts(*dropped_rows)), nullable=False),
            pa.field("layout", pa.utf8(), nullable=False),
        ]
    )


def activities_schema() -> pa.Schema:
    """Return the schema of ``activities``."""
    return pa.schema([_label("activity"), *_counts("events", "cases", "starts", "ends", "rework_cases")])


def dfg_schema(percentiles: list[Percentile], with_negatives: bool, *, bounds: bool = False) -> pa.Schema:
    """Return the schema of ``dfg``; a log with start times counts negative gaps too."""
    return pa.schema(
        [
            _label("source"),
            _label("target"),
            *_counts("count", "cases"),
            *_floats("total_s", "mean_s", "min_s", "max_s", "std_s"),
            *_floats(*_percentile_columns(percentiles, bounds=bounds)),
            *(_counts("negatives") if with_negatives else []),
        ]
    )


def variants_schema(percentiles: list[Percentile], *, bounds: bool = False) -> pa.Schema:
    """Return the schema of ``variants``."""
    return pa.schema(
        [
            *_counts("rank"),
            pa.field("activities", pa.list_(pa.utf8()), nullable=False),
            pa.field("length", pa.uint32(), nullable=False),
            *_counts("cases"),
            *_floats("share", "cumulative_share", "mean_s", *_percentile_columns(percentiles, bounds=bounds)),
        ]
    )


def durations_schema(percentiles: list[Percentile], *, bounds: bool = False) -> pa.Schema:
    """Return the schema of ``durations``: one row, null in every figure when the log is empty."""
    names = ["mean_s", "min_s", "max_s", "std_s", *_percentile_columns(percentiles, bounds=bounds)]
    return pa.schema([*_counts("n"), *_floats(*names)])


def cases_schema(case: pa.DataType, timestamp: pa.DataType, metrics: list[str]) -> pa.Schema:
    """Return the schema of ``cases`` with one column for each case metric."""
    return pa.schema(
        [
            pa.field("case", case, nullable=False),
            pa.field("events", pa.uint32(), nullable=False),
            pa.field("first_ts", timestamp, nullable=False),
            pa.field("last_ts", timestamp, nullable=False),
            pa.field("duration_s", pa.float64(), nullable=False),
            *_counts("variant_rank"),
            *_floats(*metrics),
        ]
    )


def metrics_schema(percentiles: list[Percentile]) -> pa.Schema:
    """Return the schema of ``metrics``: figures without a unit, for it is the metric's own."""
    names = ["mean", "min", "max", "std", *_percentile_columns(percentiles, "")]
    return pa.schema([pa.field("metric", pa.utf8(), nullable=False), *_counts("n"), *_floats(*names)])
