"""Do the laws of the contract hold? None of them needs an oracle, so a mistake shared by all backends shows too."""

from __future__ import annotations

import math
from collections import Counter
from itertools import pairwise

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc
import pytest
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st
from python_backends import mine, plan, records, rows
from random_logs import draw_log, in_chunks, logs, reordered

BACKENDS = ["reference", "numba"]
law = settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow])

pytestmark = pytest.mark.parametrize("backend", BACKENDS)


@law
@given(events=logs())
def test_counts_add_up(backend: str, events: pa.Table) -> None:
    found = mine(backend, events)
    (overview,) = records(found["overview"])
    activities, dfg, variants = (found[name].to_pylist() for name in ("activities", "dfg", "variants"))
    assert overview["events"] == events.num_rows
    assert overview["events"] == sum(v["cases"] * v["length"] for v in variants) == sum(a["events"] for a in activities)
    assert overview["cases"] == sum(v["cases"] for v in variants) == found["durations"]["n"][0].as_py()
    assert overview["cases"] == sum(a["starts"] for a in activities) == sum(a["ends"] for a in activities)
    assert overview["events"] - overview["cases"] == sum(edge["count"] for edge in dfg)
    sizes = [len(activities), len(dfg), len(variants)]
    assert sizes == [overview["activities"], overview["edges"], overview["variants"]]
    assert overview["cases_with_ties"] <= overview["tied_pairs"] <= overview["events"] - overview["cases"]
    out, into = Counter(), Counter()
    for edge in dfg:
        out[edge["source"]] += edge["count"]
        into[edge["target"]] += edge["count"]
        assert 1 <= edge["cases"] <= min(edge["count"], overview["cases"])
    for row in activities:
        assert out[row["activity"]] + row["ends"] == row["events"] == into[row["activity"]] + row["starts"]
        assert row["rework_cases"] <= row["cases"] <= row["events"]


@law
@given(events=logs())
def test_variants_tell_the_whole_log(backend: str, events: pa.Table) -> None:
    found = mine(backend, events)
    edges, occurrences, in_cases, rework = Counter(), Counter(), Counter(), Counter()
    for row in found["variants"].to_pylist():
        sequence, cases = row["activities"], row["cases"]
        assert len(sequence) == row["length"]
        for pair in pairwise(sequence):
            edges[pair] += cases
        for activity, count in Counter(sequence).items():
            occurrences[activity] += cases * count
            in_cases[activity] += cases
            rework[activity] += cases * (count > 1)
    assert edges == {(s, t): n for s, t, n in rows(found["dfg"], "source", "target", "count")}
    columns = rows(found["activities"], "activity", "events", "cases", "rework_cases")
    assert columns == sorted(columns, key=lambda row: (-row[1], row[0].encode()))
    assert {row[0]: row[1:] for row in columns} == {a: (occurrences[a], in_cases[a], rework[a]) for a in occurrences}


@law
@given(events=logs())
def test_orders_and_shares(backend: str, events: pa.Table) -> None:
    found = mine(backend, events)
    variants = found["variants"].to_pylist()
    keys = [(-v["cases"], [label.encode() for label in v["activities"]]) for v in variants]
    assert keys == sorted(keys)
    assert [v["rank"] for v in variants] == list(range(1, len(variants) + 1))
    if variants:
        assert variants[-1]["cumulative_share"] == 1.0
    edges = [(-n, s.encode(), t.encode()) for n, s, t in rows(found["dfg"], "count", "source", "target")]
    assert edges == sorted(edges)
    assert len(set(edges)) == len(edges)


@law
@given(events=logs(), top=st.integers(1, 5))
def test_the_top_is_the_head_of_all(backend: str, events: pa.Table, top: int) -> None:
    everything = mine(backend, events, plan("variants"))["variants"]
    assert mine(backend, events, plan("variants", top=top))["variants"].equals(everything.slice(0, top))


@law
@given(events=logs(), percentiles=st.lists(st.integers(0, 10**6), min_size=1, max_size=6, unique=True))
def test_percentiles_are_monotone_and_bounded(backend: str, events: pa.Table, percentiles: list[int]) -> None:
    asked = tuple(sorted({0.0, 100.0, *(p / 10**4 for p in percentiles)}))
    found = mine(backend, events, plan("dfg", "durations", percentiles=asked))
    for table in found.values():
        for row in table.to_pylist():
            ascending = [row["min_s"], *(value for name, value in row.items() if name[0] == "p"), row["max_s"]]
            if row["min_s"] is not None:
                assert all(_at_most(a, b) for a, b in pairwise(ascending))
                assert _at_most(row["min_s"], row["mean_s"])
                assert _at_most(row["mean_s"], row["max_s"])


def _at_most(a: float, b: float) -> bool:
    # numerator and denominator are rounded, each on its own: beyond 2^53 the last bit may differ
    return a <= b or math.isclose(a, b, rel_tol=4e-16)


@law
@given(events=logs(), names=st.permutations(range(26)))
def test_renaming_activities_commutes(backend: str, events: pa.Table, names: list[int]) -> None:
    labels = sorted(set(events["activity"].to_pylist()))
    new_name = {label: "abcdefghijklmnopqrstuvwxyz"[names[i]] for i, label in enumerate(labels)}
    renamed = events.set_column(
        1, "activity", pa.array([new_name[x] for x in events["activity"].to_pylist()], pa.utf8())
    )
    before, after = mine(backend, events), mine(backend, renamed)
    figures = [name for name in before["dfg"].column_names if name not in ("source", "target")]
    expected = {(new_name[s], new_name[t]): row for s, t, *row in rows(before["dfg"], "source", "target", *figures)}
    assert {(s, t): row for s, t, *row in rows(after["dfg"], "source", "target", *figures)} == expected
    for name in ("durations", "overview"):
        assert after[name].equals(before[name])
    expected_variants = {
        tuple(new_name[a] for a in seq): n for seq, n in rows(before["variants"], "activities", "cases")
    }
    assert {tuple(seq): n for seq, n in rows(after["variants"], "activities", "cases")} == expected_variants


@law
@given(events=logs(), shift=st.integers(-(2**61), 2**61))
def test_shifting_all_times_changes_no_duration(backend: str, events: pa.Table, shift: int) -> None:
    shifted = events
    for name in ("timestamp", "start_timestamp"):
        if name in events.column_names:
            kind = events[name].type
            ticks = pc.add(events[name].cast(pa.int64()), shift)
            shifted = shifted.set_column(events.column_names.index(name), name, ticks.cast(kind))
    before, after = mine(backend, events), mine(backend, shifted)
    for name in ("activities", "dfg", "variants", "durations"):
        assert after[name].equals(before[name]), name


@law
@given(events=logs(), rows_a_chunk=st.integers(1, 9))
def test_chunks_do_not_show(backend: str, events: pa.Table, rows_a_chunk: int) -> None:
    before, after = mine(backend, events), mine(backend, in_chunks(events, rows_a_chunk))
    assert all(after[name].equals(table) for name, table in before.items())


@law
@given(events=logs(), seed=st.integers(0, 1000))
def test_the_order_of_rows_matters_to_ties_only(backend: str, events: pa.Table, seed: int) -> None:
    case, time = events["case"].to_pylist(), events["timestamp"].cast(pa.int64()).to_pylist()
    assume(len(set(zip(case, time, strict=True))) == len(case))
    before = mine(backend, events)
    after = mine(backend, reordered(events, np.random.default_rng(seed).permutation(len(case))))
    for name in ("activities", "dfg", "variants", "durations"):
        assert after[name].equals(before[name]), name


@law
@given(events=logs(with_order=False), keep=st.sets(st.integers(0, 39)))
def test_logs_with_disjoint_cases_add_up(backend: str, events: pa.Table, keep: set[int]) -> None:
    """Counts and sums of two parts with different cases are those of the whole."""
    ids = events["case"].to_pylist()
    chosen = {ids[i] for i in keep if i < len(ids)}
    inside = np.array([i for i, case in enumerate(ids) if case in chosen], np.int64)
    outside = np.array([i for i, case in enumerate(ids) if case not in chosen], np.int64)
    whole = mine(backend, events)
    parts = [mine(backend, reordered(events, part)) for part in (inside, outside)]
    for name, keys, sums in (
        ("dfg", ("source", "target"), ("count", "cases")),
        ("activities", ("activity",), ("events", "cases", "starts", "ends", "rework_cases")),
    ):
        added = Counter()
        for part in parts:
            for key, *figures in rows(part[name].select([*keys, *sums]), keys[0], *keys[1:], *sums):
                label = (key, *figures[: len(keys) - 1])
                added.update({(label, i): n for i, n in enumerate(figures[len(keys) - 1 :])})
        expected = Counter()
        for row in rows(whole[name], *keys, *sums):
            expected.update({(row[: len(keys)], i): n for i, n in enumerate(row[len(keys) :])})
        assert added == expected
    sequences = Counter()
    for part in parts:
        sequences.update({tuple(seq): n for seq, n in rows(part["variants"], "activities", "cases")})
    assert sequences == {tuple(seq): n for seq, n in rows(whole["variants"], "activities", "cases")}


@pytest.mark.parametrize("layout", ["case", "time", "none"])
def test_against_pandas(backend: str, layout: str) -> None:
    """The same questions in another library's words."""
    events = draw_log(21, 3000, n_cases=150, layout=layout, time_range=10**9)
    frame = events.to_pandas().sort_values("timestamp", kind="stable")
    frame["target"] = frame.groupby("case")["activity"].shift(-1)
    frame["gap"] = frame.groupby("case")["timestamp"].diff().dt.total_seconds().groupby(frame["case"]).shift(-1)
    steps = frame.dropna(subset="target").groupby(["activity", "target"])
    expected = pd.DataFrame({"count": steps.size(), "cases": steps["case"].nunique(), "total_s": steps["gap"].sum()})
    expected["mean_s"], expected["std_s"] = steps["gap"].mean(), steps["gap"].std()
    for p in (50, 90, 95, 99):
        expected[f"p{p}_s"] = steps["gap"].quantile(p / 100)
    found = mine(backend, events)
    dfg = found["dfg"].to_pandas().rename(columns={"source": "activity"}).set_index(["activity", "target"])
    pd.testing.assert_frame_equal(dfg[expected.columns].sort_index(), expected, check_dtype=False, rtol=1e-9)

    by_case = frame.groupby("case")
    spans = (by_case["timestamp"].max() - by_case["timestamp"].min()).dt.total_seconds()
    (durations,) = found["durations"].to_pylist()
    assert [durations[f"p{p}_s"] for p in (50, 90, 95, 99)] == pytest.approx(np.percentile(spans, [50, 90, 95, 99]))
    assert (durations["mean_s"], durations["std_s"]) == pytest.approx((spans.mean(), spans.std()))
    sequences = by_case["activity"].agg(tuple)
    counts = sequences.value_counts()
    assert {tuple(seq): n for seq, n in rows(found["variants"], "activities", "cases")} == counts.to_dict()
    medians = spans.groupby(sequences).median()
    for sequence, median in rows(found["variants"], "activities", "p50_s"):
        assert median == pytest.approx(medians[tuple(sequence)])
