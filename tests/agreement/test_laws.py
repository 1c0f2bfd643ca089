"""Do the laws of the contract hold for the engine? They need no oracle."""

from __future__ import annotations

from collections import Counter
from itertools import pairwise
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from engines import FLAT, mine, roles
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st
from random_logs import in_chunks, logs, reordered

import pycjm

law = settings(max_examples=50, deadline=None, suppress_health_check=[HealthCheck.too_slow])
ALIKE = ("activities", "dfg", "variants", "durations")


def tables(events: pa.Table, **options: Any) -> dict[str, pa.Table]:
    """All tables of a log."""
    result = mine(events, events, **options)
    return {name: table.to_pyarrow() for name, table in result.items()}


def rows(table: pa.Table, *names: str) -> list[tuple[Any, ...]]:
    """The named columns as tuples."""
    return list(zip(*(table[name].to_pylist() for name in names), strict=True))


@law
@given(events=logs())
def test_counts_add_up(events: pa.Table) -> None:
    found = tables(events)
    n_events, n_cases, n_edges = rows(found["overview"], "events", "cases", "edges")[0]
    variants, dfg = rows(found["variants"], "cases", "length"), rows(found["dfg"], "source", "target", "count")
    assert n_events == events.num_rows == sum(cases * length for cases, length in variants)
    assert sum(count for _, _, count in dfg) == n_events - n_cases
    assert n_edges == len(dfg)
    assert n_cases == sum(cases for cases, _ in variants) == len(set(map(_key, events["case"])))
    out, into = Counter(), Counter()
    for source, target, count in dfg:
        out[source] += count
        into[target] += count
    for name, occurrences, starts, ends in rows(found["activities"], "activity", "events", "starts", "ends"):
        assert out[name] + ends == occurrences == into[name] + starts
    assert sum(found["activities"]["starts"].to_pylist()) == sum(found["activities"]["ends"].to_pylist()) == n_cases


def _key(scalar: pa.Scalar) -> Any:
    """A case id; a uuid is its bytes."""
    value = scalar.as_py()
    return getattr(value, "bytes", value)


@law
@given(events=logs())
def test_variants_tell_the_graph(events: pa.Table) -> None:
    found = tables(events)
    edges, in_cases = Counter(), Counter()
    for sequence, cases in rows(found["variants"], "activities", "cases"):
        steps = list(pairwise(sequence))
        for step in steps:
            edges[step] += cases
        for step in set(steps):
            in_cases[step] += cases
    assert {(s, t): n for s, t, n in rows(found["dfg"], "source", "target", "count")} == edges
    assert {(s, t): n for s, t, n in rows(found["dfg"], "source", "target", "cases")} == in_cases


@law
@given(events=logs())
def test_cases_tell_the_rest(events: pa.Table) -> None:
    found = tables(events)
    cases = found["cases"]
    assert rows(found["overview"], "cases", "events") == [(cases.num_rows, sum(cases["events"].to_pylist()))]
    assert Counter(cases["variant_rank"].to_pylist()) == dict(rows(found["variants"], "rank", "cases"))
    durations = sorted(cases["duration_s"].to_pylist())
    n, least, most = rows(found["durations"], "n", "min_s", "max_s")[0]
    assert (n, least, most) == (len(durations), *(durations[i] if durations else None for i in (0, -1)))
    ids = [_key(scalar) for scalar in events["case"]]
    assert [_key(scalar) for scalar in cases["case"]] == list(dict.fromkeys(ids))


@law
@given(events=logs(), asked=st.lists(st.integers(0, 10**8), min_size=1, max_size=6, unique=True))
def test_percentiles_rise_between_the_ends(events: pa.Table, asked: list[int]) -> None:
    percentiles = sorted({0.0, 100.0, *(p / 10**6 for p in asked)})
    result = pycjm.scan(events, **roles(events)).mine("dfg", "durations", "variants", percentiles=percentiles)
    for name in ("dfg", "durations", "variants"):
        table = result[name].to_pyarrow()
        columns = [column for column in table.column_names if column.startswith("p")]
        assert len(columns) == len(percentiles)
        for row in table.to_pylist():
            values = [row[column] for column in columns]
            if row["mean_s"] is not None:
                assert values == sorted(values)
                assert (values[0], values[-1]) == (row.get("min_s", values[0]), row.get("max_s", values[-1]))


@law
@given(events=logs(), names=st.permutations(range(len(FLAT))))
def test_renaming_activities_commutes(events: pa.Table, names: list[int]) -> None:
    labels = sorted(set(events["activity"].to_pylist()))
    renamed = {label: FLAT[names[i]] for i, label in enumerate(labels)}
    column = pa.array([renamed[label] for label in events["activity"].to_pylist()], pa.utf8())
    before, after = tables(events), tables(events.set_column(1, "activity", column))
    assert after["durations"].equals(before["durations"])
    assert after["overview"].equals(before["overview"])
    figures = [name for name in before["dfg"].column_names if name not in ("source", "target")]
    told = {(renamed[s], renamed[t]): row for s, t, *row in rows(before["dfg"], "source", "target", *figures)}
    assert {(s, t): row for s, t, *row in rows(after["dfg"], "source", "target", *figures)} == told
    sequences = {tuple(map(renamed.get, seq)): n for seq, n in rows(before["variants"], "activities", "cases")}
    assert {tuple(seq): n for seq, n in rows(after["variants"], "activities", "cases")} == sequences


@law
@given(events=logs(), shift=st.integers(-(2**61), 2**61))
def test_shifting_all_times_changes_no_duration(events: pa.Table, shift: int) -> None:
    shifted = events
    for name in ("timestamp", "start_timestamp"):
        if name in events.column_names:
            ticks = pc.add(events[name].cast(pa.int64()), shift).cast(events[name].type)
            shifted = shifted.set_column(events.column_names.index(name), name, ticks)
    before, after = tables(events), tables(shifted)
    assert all(after[name].equals(before[name]) for name in ALIKE)


@law
@given(events=logs(), size=st.integers(1, 9))
def test_batches_do_not_show(events: pa.Table, size: int) -> None:
    before, after = tables(events), tables(in_chunks(events, size))
    assert all(after[name].equals(before[name]) for name in ALIKE)


@law
@given(events=logs(), seed=st.integers(0, 1000))
def test_the_order_of_rows_decides_ties_only(events: pa.Table, seed: int) -> None:
    times = zip(map(_key, events["case"]), events["timestamp"].cast(pa.int64()).to_pylist(), strict=True)
    assume(len(set(times)) == events.num_rows)
    shuffled = reordered(events, np.random.default_rng(seed).permutation(events.num_rows))
    before, after = tables(events), tables(shuffled)
    assert all(after[name].equals(before[name]) for name in ALIKE)


@law
@given(events=logs(), chosen=st.sets(st.integers(0, 39)))
def test_parts_with_different_cases_add_up(events: pa.Table, chosen: set[int]) -> None:
    """And so a selection mined alone is what the whole says of it."""
    ids = [_key(scalar) for scalar in events["case"]]
    picked = {ids[i] for i in chosen if i < len(ids)}
    inside = [i for i, case in enumerate(ids) if case in picked]
    outside = [i for i, case in enumerate(ids) if case not in picked]
    whole = tables(events)
    parts = [tables(reordered(events, np.array(part, np.int64))) for part in (inside, outside)]
    for name, keys, sums in (
        ("dfg", ("source", "target"), ("count", "cases")),
        ("activities", ("activity",), ("events", "cases", "starts", "ends", "rework_cases")),
    ):
        assert sum((_summed(part[name], keys, sums) for part in parts), Counter()) == _summed(whole[name], keys, sums)
    sequences = Counter()
    for part in parts:
        sequences.update({tuple(seq): n for seq, n in rows(part["variants"], "activities", "cases")})
    assert sequences == {tuple(seq): n for seq, n in rows(whole["variants"], "activities", "cases")}
    figures = ("events", "duration_s")
    of_cases = _by_case(whole["cases"], *figures)
    assert _by_case(parts[0]["cases"], *figures) == {case: row for case, row in of_cases.items() if case in picked}


def _by_case(cases: pa.Table, *figures: str) -> dict[Any, tuple[Any, ...]]:
    return dict(zip(map(_key, cases["case"]), rows(cases, *figures), strict=True))


def _summed(table: pa.Table, keys: tuple[str, ...], sums: tuple[str, ...]) -> Counter:
    found: Counter = Counter()
    for row in rows(table, *keys, *sums):
        found.update({(row[: len(keys)], name): n for name, n in zip(sums, row[len(keys) :], strict=True)})
    return +found


@law
@given(events=logs(), top=st.integers(1, 5))
def test_the_top_is_the_head_of_all(events: pa.Table, top: int) -> None:
    log = pycjm.scan(events, **roles(events))
    everything = log.mine("variants")["variants"].to_pyarrow()
    assert log.mine("variants", top=top)["variants"].to_pyarrow().equals(everything.slice(0, top))


@law
@given(
    events=logs(), asked=st.sets(st.sampled_from(["overview", "activities", "dfg", "variants", "durations", "cases"]))
)
def test_measures_asked_alone_or_together_are_the_same(events: pa.Table, asked: set[str]) -> None:
    assume(asked)
    log = pycjm.scan(events, **roles(events))
    together = log.mine("overview", "activities", "dfg", "variants", "durations", "cases")
    some = log.mine(*sorted(asked))
    assert set(some) == asked
    assert all(some[name].to_pyarrow().equals(together[name].to_pyarrow()) for name in asked)
