"""Does the numba backend give the reference's tables to the bit, on every path that its kernels can take?"""

from __future__ import annotations

import sys
from itertools import pairwise, product

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from python_backends import assert_same, mine, plan
from random_logs import ACTIVITY_TYPES, CASE_IDS, LAYOUTS, draw_log, in_chunks, logs, reordered

from pycjm.backends._jit import Workers, columns, grouping, keys, variants
from pycjm.backends._jit.selection import summarize


def _assert_equal(events: pa.Table, asked: dict | None = None, **info: object) -> dict[str, pa.Table]:
    expected = mine("reference", events, asked, **info)
    for threads in (1, 2, 7):
        assert_same(mine("numba", events, asked, threads=threads, **info), expected)
    return expected


@settings(max_examples=300, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(events=logs(), negative=st.sampled_from(["keep", "zero"]), threads=st.sampled_from([1, 2, 7]))
def test_any_small_log(events: pa.Table, negative: str, threads: int) -> None:
    asked = plan(percentiles=(50, 99.9, 0, 100, 12.5))
    found = mine("numba", events, asked, negative=negative, threads=threads)
    assert_same(found, mine("reference", events, asked, negative=negative))


@pytest.fixture
def small_partitions(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(grouping, "ROWS_PER_PARTITION", 64)
    monkeypatch.setattr(keys, "KEYS_PER_PARTITION", 64)


@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize("with_starts", [False, True])
@pytest.mark.parametrize("time_range", [50, 10**6, 2**60])
@pytest.mark.usefixtures("small_partitions")
def test_layouts(layout: str, with_starts: bool, time_range: int) -> None:
    events = draw_log(7, 4000, n_cases=300, layout=layout, with_starts=with_starts, time_range=time_range)
    expected = _assert_equal(events)
    assert expected["overview"]["layout"][0].as_py() == layout


@pytest.mark.parametrize("case_id", sorted(set(CASE_IDS) - {"int8", "uint8"}))
@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.usefixtures("small_partitions")
def test_case_ids(case_id: str, layout: str) -> None:
    expected = _assert_equal(draw_log(3, 2500, n_cases=200, layout=layout, case_id=case_id))
    assert expected["overview"]["layout"][0].as_py() == layout


@pytest.mark.parametrize("kind", ACTIVITY_TYPES.values(), ids=list(ACTIVITY_TYPES))
def test_activity_types_and_chunks(kind: pa.DataType) -> None:
    events = draw_log(5, 1000, n_cases=40)
    events = events.set_column(1, "activity", events["activity"].cast(kind))
    _assert_equal(events)
    _assert_equal(in_chunks(events, 77))
    _assert_equal(events.slice(313, 450))


def test_a_dictionary_with_repeated_and_unused_values() -> None:
    labels = pa.DictionaryArray.from_arrays(pa.array([0, 1, 2, 4, 2, 1], pa.int8()), ["b", "a", "b", "x", "c"])
    cases = pa.DictionaryArray.from_arrays(pa.array([0, 2, 1, 1, 2, 0], pa.int16()), [7, 8, 7])
    events = pa.table({"case": cases, "activity": labels, "timestamp": pa.array(range(6), pa.timestamp("s"))})
    overview = _assert_equal(events)["overview"]
    assert (overview["cases"][0].as_py(), overview["activities"][0].as_py()) == (2, 3)


@pytest.mark.parametrize("n_activities", [1, 2, 256, 257, 513, 3000])
def test_alphabets(n_activities: int) -> None:
    _assert_equal(draw_log(11, 6000, n_cases=400, n_activities=n_activities))


@pytest.mark.parametrize(("n_cases", "n_events"), [(1, 20_000), (20_000, 20_000), (3, 1), (1, 2)])
@pytest.mark.parametrize("layout", LAYOUTS)
def test_shapes(n_cases: int, n_events: int, layout: str) -> None:
    _assert_equal(draw_log(2, n_events, n_cases=n_cases, n_activities=3, layout=layout))


@pytest.mark.parametrize("time_range", [2, 1000, 2**40, 2**61])
def test_long_cases_out_of_order(time_range: int) -> None:
    _assert_equal(draw_log(3, 6000, n_cases=4, layout="none", with_starts=True, time_range=time_range))


def test_one_event_a_case() -> None:
    n = 10_000
    stamps = pa.array(np.zeros(n, np.int64), pa.timestamp("s"))
    overview = _assert_equal(pa.table({"case": np.arange(n), "activity": ["a"] * n, "timestamp": stamps}))["overview"]
    assert overview["layout"][0].as_py() == "case"


def test_contiguous_cases_out_of_order() -> None:
    events = draw_log(9, 5000, n_cases=60, layout="case", sorted_cases=False, with_starts=True, time_range=300)
    expected = _assert_equal(events)
    assert expected["overview"]["layout"][0].as_py() == "case"


def test_a_case_that_comes_back_at_the_end() -> None:
    """One stray row behind a sample's worth of distinct cases: the whole log has to be looked at."""
    n = grouping.SAMPLE_ROWS + 5000
    case = np.append(np.random.default_rng(1).permutation(n), 3)
    stamps = pa.array(np.arange(n + 1), pa.timestamp("s"))
    events = pa.table({"case": case, "activity": ["a"] * (n + 1), "timestamp": stamps})
    found = mine("numba", events, plan("overview", "dfg"), threads=2)
    assert found["overview"]["layout"][0].as_py() == "time"
    assert found["dfg"]["count"].to_pylist() == [1]


@pytest.mark.parametrize("top", [1, 2, 10, 100, None])
@pytest.mark.parametrize("n_activities", [2, 6, 300])
def test_ranks_of_equal_variants(top: int | None, n_activities: int) -> None:
    """Few variants repeat and most agree in all that the packed prefix holds."""
    rng = np.random.default_rng(4)
    codes = np.concatenate([np.r_[[1] * 40, rng.integers(0, n_activities, rng.integers(0, 4))] for _ in range(600)])
    begins = np.flatnonzero((codes == 1) & np.r_[True, codes[:-1] != 1])
    case = np.searchsorted(begins, np.arange(len(codes)), side="right")
    stamps = pa.array(np.arange(len(codes)) ** 2, pa.timestamp("s"))
    events = pa.table({"case": case, "activity": [f"{code:03d}" for code in codes], "timestamp": stamps})
    _assert_equal(events, plan("variants", top=top))


class TestCollisions:
    """Hashes narrowed until different keys meet: the tables stay the same, because hashes are verified."""

    @pytest.mark.parametrize("mask", [0, 7, 255])
    @pytest.mark.parametrize("layout", LAYOUTS)
    def test_case_ids(self, monkeypatch: pytest.MonkeyPatch, mask: int, layout: str) -> None:
        events = draw_log(3, 1200, n_cases=200, layout=layout, case_id="large_string")
        monkeypatch.setattr(columns, "HASH_MASK", mask)
        _assert_equal(events)

    def test_neighbours(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(columns, "HASH_MASK", 0)
        stamps = pa.array([1, 2, 3], pa.timestamp("s"))
        ids = ["x" * 17, "y" * 17, "y" * 17]
        _assert_equal(pa.table({"case": ids, "activity": ["a", "b", "c"], "timestamp": stamps}))

    @pytest.mark.parametrize("layout", LAYOUTS)
    def test_ids_of_sixteen_bytes(self, layout: str) -> None:
        """Pairs of ids made to have one key: their words trade places."""
        events = draw_log(3, 1200, n_cases=200, layout=layout)
        words = np.random.default_rng(1).integers(1, 2**62, (200, 2))
        words[1::2] = words[::2, ::-1] + [1, -1]
        _, codes = np.unique(events["case"], return_inverse=True)
        ids = [words[code].tobytes() for code in codes]
        with Workers(1) as workers:
            offsets, data = columns.text_of(pa.chunked_array([pa.array(ids, pa.binary(16))]))
            keys, witnesses, *_ = columns._keys_of_text(workers, offsets, data)
        assert len(set(keys.tolist())) < len(set(ids)) == len(set(zip(keys.tolist(), witnesses.tolist(), strict=True)))
        _assert_equal(events.set_column(0, "case", pa.array(ids, pa.binary(16))))

    def test_short_texts_that_differ_have_different_identities(self) -> None:
        """All texts of up to three letters of a small alphabet, and as many long ones around sixteen bytes."""
        short = ["".join(t) for n in range(4) for t in product("\0\1aé", repeat=n)]
        for texts in (short, [f"{t:\0<8}" for t in short if len(t) < 3], [t + "12345678" for t in short]):
            for texts_of_one_length in (texts, [t for t in texts if len(t.encode()) == len(texts[-1].encode())]):
                offsets, data = columns.text_of(pa.chunked_array([texts_of_one_length]))
                with Workers(1) as workers:
                    keys, witnesses, *_ = columns._keys_of_text(workers, offsets, data)
                assert len(set(zip(keys.tolist(), witnesses.tolist(), strict=True))) == len(set(texts_of_one_length))

    @pytest.mark.parametrize("mask", [0, 15])
    def test_sequences(self, monkeypatch: pytest.MonkeyPatch, mask: int) -> None:
        monkeypatch.setattr(variants, "HASH_MASK", mask)
        _assert_equal(draw_log(6, 3000, n_cases=500, n_activities=4))

    def test_the_next_seed_is_enough(self, monkeypatch: pytest.MonkeyPatch) -> None:
        seen = []

        def first_of(workers: object, hashes: np.ndarray) -> np.ndarray:
            seen.append(hashes.copy())
            return np.zeros(len(hashes), np.int64) if len(seen) == 1 else genuine(workers, hashes)

        genuine = variants.first_of
        monkeypatch.setattr(variants, "first_of", first_of)
        events = draw_log(6, 3000, n_cases=500, n_activities=4)
        assert_same(mine("numba", events, plan("variants")), mine("reference", events, plan("variants")))
        assert len(seen) == 2
        assert not np.array_equal(*seen)


@settings(max_examples=60, deadline=None)
@given(data=st.data())
def test_selection_and_exact_sums(data: st.DataObject) -> None:
    rng = np.random.default_rng(data.draw(st.integers(0, 10**6)))
    sizes = data.draw(st.lists(st.integers(1, 1500), min_size=1, max_size=5))
    limit = data.draw(st.sampled_from([1, 3, 10**4, 2**40, 2**62, 2**63 - 1]))
    offsets = np.concatenate([[0], np.cumsum(sizes)])
    values = rng.integers(-limit, limit, offsets[-1], endpoint=True)
    if data.draw(st.booleans()):  # long tails: most values in few buckets
        values = (values.astype(np.float64) ** 3 / max(1.0, float(limit) ** 2)).astype(np.int64)
    parts = [(p, 100) for p in data.draw(st.lists(st.integers(0, 100), max_size=4))]
    with Workers(2) as workers:
        found = summarize(workers, values.copy(), offsets, parts)
    for g, (lo, hi) in enumerate(pairwise(offsets)):
        group = sorted(values[lo:hi].tolist())
        assert found.total[g] == sum(group)
        assert found.squares(np.array([g]))[0] == sum(x * x for x in group)
        assert found.extremes[g].tolist() == [group[0], group[-1]]
        assert found.negatives[g] == sum(x < 0 for x in group)
        ranks = [(len(group) - 1) * part // whole for part, whole in parts]
        expected = [group[r] for rank in ranks for r in (rank, min(rank + 1, len(group) - 1))]
        assert found.neighbours[g].tolist() == expected


def test_rows_come_back_in_any_order() -> None:
    events = draw_log(8, 3000, n_cases=100, time_range=10**12)
    expected = mine("numba", events)
    order = np.random.default_rng(0).permutation(events.num_rows)
    found = mine("numba", reordered(events, order))
    for name in ("activities", "dfg", "variants", "durations"):
        assert found[name].equals(expected[name]), name


def test_order_columns_leave_the_layout_alone() -> None:
    events = draw_log(8, 2000, n_cases=50, layout="case", time_range=20)
    rng = np.random.default_rng(1)
    events = events.append_column("order_0", pa.array(rng.integers(0, 3, 2000), mask=rng.random(2000) < 0.2))
    events = events.append_column("order_1", pa.array([f"{x}" for x in rng.integers(0, 20, 2000)], pa.string_view()))
    expected = _assert_equal(events)
    assert expected["overview"]["layout"][0].as_py() == "case"


class TestRefusals:
    def _events(self, *ticks: int) -> pa.Table:
        n = len(ticks)
        return pa.table({"case": [1] * n, "activity": ["a"] * n, "timestamp": pa.array(ticks, pa.timestamp("s"))})

    @pytest.mark.parametrize("measure", ["cases", "metrics"])
    def test_measures_of_other_backends(self, measure: str) -> None:
        from pycjm.errors import Unsupported

        with pytest.raises(Unsupported, match=measure):
            mine("numba", self._events(1), plan("overview", measure))

    def test_numba_is_not_installed(self, monkeypatch: pytest.MonkeyPatch) -> None:
        from pycjm.errors import Unsupported

        for name in [name for name in sys.modules if name.startswith("pycjm.backends._jit")]:
            monkeypatch.delitem(sys.modules, name)
        monkeypatch.setitem(sys.modules, "numba", None)
        with pytest.raises(Unsupported, match=r'pip install "pycjm\[numba\]"'):
            mine("numba", self._events(1))
