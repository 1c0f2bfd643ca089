"""What does an expert's JIT kernel make of the log? The same tables as the other engines, from numpy arrays.

Needs the extra ``pycjm[numba]`` and the whole log in memory. Cost for n events in c cases: two or three passes over
them when each case's rows lie together, else one partitioning by case more, and about 20 bytes an event. The first call
on a machine compiles for some seconds; the result is cached on disk. The kernels are in ``_jit``.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from pycjm import _machine
from pycjm.backends import _tables
from pycjm.backends._refusals import refuse_far_times, refuse_negative_gaps, refuse_order_type
from pycjm.backends._tables import Percentile, percentiles_of, step_bits_of

if TYPE_CHECKING:
    from pycjm.backends._jit import Workers
    from pycjm.backends._jit.folding import Folded, Folder
    from pycjm.backends._jit.grouping import Cases
    from pycjm.backends._jit.selection import Summaries
    from pycjm.backends._jit.variants import Variants

_INT64_MAX = 2**63 - 1


def mine(events: pa.Table, plan: dict[str, Any], info: dict[str, Any]) -> dict[str, pa.Table]:
    """Mine a normalised log in memory with compiled kernels.

    Parameters
    ----------
    events : pyarrow.Table
        As for the reference backend.
    plan : dict
        The plan of the C ABI, version 1; all measures but ``cases`` and ``metrics``.
    info : dict
        ``dropped_rows`` by role, ``negative`` ("keep", "zero" or "error"), optionally ``threads``.

    Returns
    -------
    dict of str to pyarrow.Table
        One table for each measure of the plan, in its order; the same for every number of threads.

    Raises
    ------
    pycjm.errors.Unsupported
        numba is not installed, or the plan asks for ``cases`` or ``metrics``.
    pycjm.errors.InvalidData
        A gap is negative and `info` has ``negative="error"``, or times lie 2^63 ticks or more apart.
    """
    from pycjm.errors import Unsupported

    measures = _tables.measures_of(plan)
    for name in measures:
        if name not in _TABLES:
            raise Unsupported(
                f"the numba backend does not compute '{name}'; use backend='native' or backend='reference'",
                details={"measure": name, "backend": "numba"},
            )
    try:
        from pycjm.backends._jit import Workers
    except ImportError as error:
        raise Unsupported(
            f'the numba backend cannot import numba ({error}); install it with: pip install "pycjm[numba]"',
            details={"backend": "numba", "module": "numba"},
        ) from error
    with Workers(info.get("threads") or _machine.processors()) as workers:
        log = _Log.from_events(workers, events, info, measures)
        return {name: _TABLES[name](log, measure) for name, measure in measures.items()}


@dataclass
class _Log:
    """One log by case, with what the folds over it found."""

    workers: Workers
    events: pa.Table
    info: dict[str, Any]
    labels: list[str]
    cases: Cases
    folder: Folder
    folded: Folded
    variants: Variants | None

    @classmethod
    def from_events(cls, workers: Workers, events: pa.Table, info: dict[str, Any], measures: dict[str, Any]) -> _Log:
        from pycjm.backends._jit.folding import Folder
        from pycjm.backends._jit.variants import group_variants

        cases, labels = _group(workers, events)
        folder = Folder(workers, cases, len(labels))
        folded = folder.count()
        if "start_timestamp" in events.column_names and info.get("negative") == "error":
            refuse_negative_gaps(int(np.count_nonzero(folder.gaps()[0] < 0)))
        variants = group_variants(workers, cases) if measures.keys() & {"overview", "variants"} else None
        return cls(workers, events, info, labels, cases, folder, folded, variants)

    @property
    def timestamp(self) -> pa.TimestampType:
        return self.events.schema.field("timestamp").type

    @property
    def ticks_per_second(self) -> int:
        return _tables.TICKS_PER_SECOND[self.timestamp.unit]

    def label_column(self, codes: np.ndarray) -> pa.Array:
        return pa.array(self.labels, pa.utf8()).take(pa.array(codes.astype(np.int64)))


def _group(workers: Workers, events: pa.Table) -> tuple[Cases, list[str]]:
    from pycjm.backends._jit.columns import rows_of
    from pycjm.backends._jit.grouping import KeyCollisionError, group

    keys = [events[name] for name in events.column_names if name.startswith("order_")]
    for exact in (bool(keys), True):
        rows, labels = rows_of(workers, events, exact=exact)
        _check_range(workers, rows.times, rows.starts)
        try:
            cases = group(workers, rows)
        except KeyCollisionError:
            continue
        if keys:  # rows in the order that breaks ties: from there on, a row's position is all that ties need
            layout = cases.layout
            cases = group(workers, rows.take(_tie_order(events, rows.times)))
            cases.layout = layout
        break
    return cases, labels


def _tie_order(events: pa.Table, times: np.ndarray) -> np.ndarray:
    """Return the rows by time, then by the ``order_N`` columns, nulls last, then by position."""
    ranks: list[np.ndarray] = []
    while f"order_{len(ranks)}" in events.column_names:
        column = events[f"order_{len(ranks)}"]
        if pa.types.is_dictionary(column.type):
            column = column.cast(column.type.value_type)
        refuse_order_type(len(ranks), column.type, "numba")
        if pa.types.is_null(column.type):
            column = column.cast(pa.int8())
        if pa.types.is_float16(column.type):
            column = column.cast(pa.float32())
        if pa.types.is_string_view(column.type) or pa.types.is_binary_view(column.type):
            column = column.cast(pa.large_binary())
        placed = pc.rank(column.combine_chunks(), sort_keys="ascending", tiebreaker="dense")
        ranks.append(placed.to_numpy())
    return np.lexsort((*reversed(ranks), times))


def _check_range(workers: Workers, times: np.ndarray, starts: np.ndarray) -> None:
    pieces = [(ticks[lo:hi],) for ticks in (times, starts) if len(ticks) for lo, hi in workers.ranges(len(ticks))]
    if pieces:
        refuse_far_times(int(min(workers.run(np.min, pieces))), int(max(workers.run(np.max, pieces))))


def _exact_percentiles(percentiles: list[Percentile]) -> list[tuple[int, int]]:
    return [(percentile.part, 100 * percentile.scale) for percentile in percentiles]


def _nearest(numbers: np.ndarray) -> np.ndarray:
    """Return the float64 nearest to each exact integer, be it one of numpy's or of Python's."""
    return numbers.astype(np.float64)


def _quotients(numerators: np.ndarray, denominators: np.ndarray | int) -> np.ndarray:
    """Return the float64 nearest to each exact fraction: numpy rounds once where nothing is large, Python always."""
    denominators = np.broadcast_to(denominators, numerators.shape)
    found = _nearest(numerators) / _nearest(denominators)
    exact = 2.0**53
    large = (np.abs(_nearest(numerators)) >= exact) | (_nearest(denominators) >= exact)
    pairs = zip(numerators[large].tolist(), denominators[large].tolist(), strict=True)
    found[large] = [numerator / denominator for numerator, denominator in pairs]
    return found


def _percentile_columns(
    found: Summaries, percentiles: list[Percentile], tps: int, step_bits: int | None
) -> dict[str, np.ndarray]:
    columns = {}
    bound = int(np.abs(found.extremes.astype(np.float64)).max(initial=0.0)) + 1
    for i, percentile in enumerate(percentiles):
        whole = 100 * percentile.scale
        rank, rest = np.divmod((found.n - 1) * percentile.part, whole)

        def between(pair: np.ndarray, whole: int = whole, rest: np.ndarray = rest) -> np.ndarray:
            """Return the percentile, times `whole`, from the sorted values on both sides of it."""
            below, above = pair.astype(object).T if 4 * bound * whole > _INT64_MAX else pair.T
            return below * whole + rest * (above - below)

        pair = found.neighbours[:, 2 * i : 2 * i + 2]
        if step_bits is None:
            columns[percentile.name + "_s"] = _quotients(between(pair), whole * tps)
            continue
        ranks = np.stack([rank, np.minimum(rank + 1, found.n - 1)], axis=1)
        lo, hi = map(between, _bucket_ends(pair, ranks, found, step_bits))
        columns[percentile.name + "_s"] = _quotients(lo + hi, 2 * whole * tps)
        columns[percentile.name + "_lo_s"] = _quotients(lo, whole * tps)
        columns[percentile.name + "_hi_s"] = _quotients(hi, whole * tps)
    return columns


def _bucket_ends(
    values: np.ndarray, ranks: np.ndarray, found: Summaries, step_bits: int
) -> tuple[np.ndarray, np.ndarray]:
    """Return the least and the most in the bucket of each value, cut to the extremes, which are known themselves."""
    sizes = np.abs(values)
    powers = np.maximum(np.frexp(sizes.astype(np.float64))[1] - 1, 0).astype(np.int64)
    powers -= sizes >> powers == 0  # a float may be rounded up to the next power of two
    widths = np.int64(1) << np.maximum(powers - step_bits, 0)
    near = sizes - sizes % widths
    far = near + (widths - 1)
    smallest, largest = found.extremes[:, :1], found.extremes[:, 1:]
    known = (ranks == 0) | (ranks == (found.n - 1)[:, None])
    least = np.where(known, values, np.maximum(np.where(values < 0, -far, near), smallest))
    most = np.where(known, values, np.minimum(np.where(values < 0, -near, far), largest))
    return least, most


def _statistics(
    found: Summaries, percentiles: list[Percentile], tps: int, step_bits: int | None
) -> dict[str, pa.Array]:
    """Return the columns in seconds of exact summaries in ticks; every figure is rounded once, at its end."""
    columns = {
        "total_s": _quotients(found.total, tps),
        "mean_s": _quotients(found.total, found.n.astype(object) * tps),
        "min_s": _quotients(found.extremes[:, 0], tps),
        "max_s": _quotients(found.extremes[:, 1], tps),
        **_percentile_columns(found, percentiles, tps, step_bits),
    }
    std = pa.array(_deviations(found, tps), mask=found.n < 2)
    return {"std_s": std, **{name: pa.array(column) for name, column in columns.items()}}


def _deviations(found: Summaries, tps: int) -> np.ndarray:
    """Return the sample standard deviations in seconds; 0 where there is but one value."""
    many = found.n > 1
    n, total, squares = found.n[many].astype(object), found.total[many].astype(object), found.squares(many)
    std = np.zeros(len(many))
    std[many] = np.sqrt(_nearest(n * squares - total * total) / _nearest(n * (n - 1))) / float(tps)
    return std


def _table(columns: dict[str, Any], schema: pa.Schema) -> pa.Table:
    return pa.Table.from_arrays([pa.array(columns[field.name], field.type) for field in schema], schema=schema)


def _overview(log: _Log, _measure: dict[str, Any]) -> pa.Table:
    folded, dropped = log.folded, _tables.dropped_rows_of(log.events, log.info)
    events = log.events.num_rows
    row = {
        "events": events,
        "cases": len(log.cases),
        "activities": len(log.labels),
        "variants": len(log.variants),
        "edges": len(folded.edge_keys),
        "first_ts": folded.first if events else None,
        "last_ts": folded.last if events else None,
        "tied_pairs": folded.tied_pairs,
        "cases_with_ties": folded.cases_with_ties,
        "dropped_rows": dropped,
        "layout": log.cases.layout,
    }
    return _table({name: [value] for name, value in row.items()}, _tables.overview_schema(log.timestamp, dropped))


def _activities(log: _Log, _measure: dict[str, Any]) -> pa.Table:
    from pycjm.backends._jit.folding import ENDS, IN_CASES, REWORK, STARTS

    counted, n_labels = log.folded.activities, len(log.labels)
    # an event is the source of a step or the last of its case
    events = counted[:, ENDS].copy()
    np.add.at(events, log.folded.edge_keys // max(n_labels, 1), log.folded.edge_counts)
    order = np.lexsort((np.arange(n_labels), -events))
    columns = {
        "activity": log.label_column(order),
        "events": events[order],
        "cases": counted[order, IN_CASES],
        "starts": counted[order, STARTS],
        "ends": counted[order, ENDS],
        "rework_cases": counted[order, REWORK],
    }
    return _table(columns, _tables.activities_schema())


def _dfg(log: _Log, measure: dict[str, Any]) -> pa.Table:
    from pycjm.backends._jit.selection import summarize

    percentiles, step_bits = percentiles_of(measure), step_bits_of(measure)
    has_starts = "start_timestamp" in log.events.column_names
    gaps, offsets = log.folder.gaps()
    clamp = has_starts and log.info.get("negative") == "zero"
    found = summarize(log.workers, gaps, offsets, _exact_percentiles(percentiles), clamp=clamp)
    folded = log.folded
    order = np.lexsort((folded.edge_keys, -folded.edge_counts))
    sources, targets = np.divmod(folded.edge_keys[order], max(len(log.labels), 1))
    statistics = _statistics(found, percentiles, log.ticks_per_second, step_bits)
    columns = {
        "source": log.label_column(sources),
        "target": log.label_column(targets),
        "count": folded.edge_counts[order],
        "cases": folded.edge_cases[order],
        **{name: column.take(pa.array(order)) for name, column in statistics.items()},
        "negatives": found.negatives[order],
    }
    return _table(columns, _tables.dfg_schema(percentiles, has_starts, bounds=step_bits is not None))


def _variants(log: _Log, measure: dict[str, Any]) -> pa.Table:
    from pycjm.backends._jit.selection import summarize
    from pycjm.backends._jit.variants import rank_variants, values_by_variant

    percentiles, step_bits = percentiles_of(measure), step_bits_of(measure)
    ranked = rank_variants(log.cases, log.variants, len(log.labels), measure.get("top"))
    durations, offsets = values_by_variant(log.folded.durations, log.variants, ranked)
    found = summarize(log.workers, durations, offsets, _exact_percentiles(percentiles), with_squares=False)
    tps, total = log.ticks_per_second, float(len(log.cases))
    cases = log.variants.cases[ranked]
    begins = log.cases.offsets[log.variants.first_case[ranked]]
    lengths = log.cases.offsets[log.variants.first_case[ranked] + 1] - begins
    bounds = np.concatenate([[0], np.cumsum(lengths)])
    events = np.arange(bounds[-1]) + np.repeat(begins - bounds[:-1], lengths)
    columns = {
        "rank": np.arange(1, len(ranked) + 1),
        "activities": pa.ListArray.from_arrays(pa.array(bounds, pa.int32()), log.label_column(log.cases.codes[events])),
        "length": lengths,
        "cases": cases,
        "share": _nearest(cases) / total if len(ranked) else cases,
        "cumulative_share": _nearest(np.cumsum(cases)) / total if len(ranked) else cases,
        "mean_s": _quotients(found.total, found.n.astype(object) * tps),
        **_percentile_columns(found, percentiles, tps, step_bits),
    }
    return _table(columns, _tables.variants_schema(percentiles, bounds=step_bits is not None))


def _durations(log: _Log, measure: dict[str, Any]) -> pa.Table:
    from pycjm.backends._jit.selection import summarize

    percentiles, step_bits = percentiles_of(measure), step_bits_of(measure)
    schema = _tables.durations_schema(percentiles, bounds=step_bits is not None)
    n = len(log.cases)
    if n == 0:
        return _table({name: [0 if name == "n" else None] for name in schema.names}, schema)
    durations = log.folded.durations.copy()  # the selection changes their order
    found = summarize(log.workers, durations, np.array([0, n]), _exact_percentiles(percentiles))
    return _table({"n": [n], **_statistics(found, percentiles, log.ticks_per_second, step_bits)}, schema)


_TABLES = {
    "overview": _overview,
    "activities": _activities,
    "dfg": _dfg,
    "variants": _variants,
    "durations": _durations,
}
