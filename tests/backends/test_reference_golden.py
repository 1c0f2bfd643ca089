"""Does the reference give the golden log's figures? They were worked out by hand, not by any backend."""

from __future__ import annotations

import datetime
import math
import random
from itertools import pairwise
from typing import ClassVar

import numpy as np
import pyarrow as pa
import pytest
from python_backends import mine, plan, rows

BACKENDS = ["reference", "numba"]
MONDAY = datetime.datetime(2026, 1, 5, tzinfo=datetime.UTC)


def _at(day: int, hour: int, minute: int = 0) -> datetime.datetime:
    return MONDAY + datetime.timedelta(days=day, hours=hour, minutes=minute)


GOLDEN = [
    *[
        ("A", "a", _at(0, 8)),
        ("A", "b", _at(0, 8)),
        ("A", "c", _at(0, 9)),
        ("A", "b", _at(0, 10)),
        ("A", "d", _at(1, 9)),
    ],
    *[("B", "a", _at(4, 16)), ("B", "c", _at(7, 8)), ("B", "c", _at(7, 8, 30)), ("B", "d", _at(7, 12))],
    *[("C", "a", _at(0, 8)), ("C", "d", _at(2, 18))],
    *[("D", "a", _at(1, 8)), ("D", "d", _at(1, 9))],
    *[("E", "a", _at(1, 8)), ("E", "d", _at(1, 10))],
    *[("F", "a", _at(1, 8)), ("F", "d", _at(2, 8))],
]
TIED = GOLDEN[0], GOLDEN[1]


def _table(log: list[tuple], unit: str = "us", zone: str | None = "UTC") -> pa.Table:
    case, activity, time = zip(*log, strict=True)
    if zone is None:
        time = [moment.replace(tzinfo=None) for moment in time]
    return pa.table({"case": case, "activity": activity, "timestamp": pa.array(time, pa.timestamp(unit, zone))})


def _row(table: pa.Table, **where: object) -> dict[str, object]:
    (found,) = (row for row in table.to_pylist() if all(row[name] == value for name, value in where.items()))
    return found


@pytest.fixture(params=["s", "ms", "us", "ns"])
def unit(request: pytest.FixtureRequest) -> str:
    return request.param


@pytest.mark.parametrize("backend", BACKENDS)
class TestGoldenLog:
    def test_dfg(self, backend: str, unit: str) -> None:
        dfg = mine(backend, _table(GOLDEN, unit))["dfg"]
        assert rows(dfg, "source", "target", "count", "cases") == [
            ("a", "d", 4, 4),
            ("a", "b", 1, 1),
            ("a", "c", 1, 1),
            ("b", "c", 1, 1),
            ("b", "d", 1, 1),
            ("c", "b", 1, 1),
            ("c", "c", 1, 1),
            ("c", "d", 1, 1),
        ]

    def test_gap_of_ad(self, backend: str, unit: str) -> None:
        row = _row(mine(backend, _table(GOLDEN, unit))["dfg"], source="a", target="d")
        assert row.pop("std_s") == pytest.approx(96121.797736, abs=1e-6)
        assert row == {
            "source": "a",
            "target": "d",
            "count": 4,
            "cases": 4,
            "total_s": 306000.0,
            "mean_s": 76500.0,
            "min_s": 3600.0,
            "max_s": 208800.0,
            "p50_s": 46800.0,
            "p90_s": 172080.0,
            "p95_s": 190440.0,
            "p99_s": 205128.0,
        }

    def test_other_gaps(self, backend: str) -> None:
        expected = {"ab": 0, "bc": 3600, "cb": 3600, "bd": 82800, "ac": 230400, "cc": 1800, "cd": 12600}
        for row in mine(backend, _table(GOLDEN))["dfg"].to_pylist():
            edge = row["source"] + row["target"]
            if edge != "ad":
                figures = [row[name] for name in ("total_s", "mean_s", "min_s", "max_s", "p50_s", "p99_s")]
                assert figures == [expected.pop(edge)] * 6
                assert row["std_s"] is None
        assert not expected

    def test_activities(self, backend: str) -> None:
        activities = mine(backend, _table(GOLDEN))["activities"]
        assert rows(activities, *activities.column_names) == [
            ("a", 6, 6, 6, 0, 0),
            ("d", 6, 6, 0, 6, 0),
            ("c", 3, 2, 0, 0, 1),
            ("b", 2, 1, 0, 0, 1),
        ]

    def test_variants(self, backend: str) -> None:
        variants = mine(backend, _table(GOLDEN))["variants"]
        assert rows(variants, "rank", "activities", "length", "cases", "share", "cumulative_share") == [
            (1, ["a", "d"], 2, 4, 4 / 6, 4 / 6),
            (2, ["a", "b", "c", "b", "d"], 5, 1, 1 / 6, 5 / 6),
            (3, ["a", "c", "c", "d"], 4, 1, 1 / 6, 1.0),
        ]
        assert rows(variants, "mean_s", "p50_s", "p90_s") == [
            (76500.0, 46800.0, 172080.0),
            (90000.0, 90000.0, 90000.0),
            (244800.0, 244800.0, 244800.0),
        ]

    def test_durations(self, backend: str, unit: str) -> None:
        (row,) = mine(backend, _table(GOLDEN, unit))["durations"].to_pylist()
        seconds = [3600, 7200, 86400, 90000, 208800, 244800]
        mean = sum(seconds) / 6
        assert row.pop("std_s") == pytest.approx(math.sqrt(sum((x - mean) ** 2 for x in seconds) / 5), rel=1e-12)
        assert row == {
            "n": 6,
            "mean_s": mean,
            "min_s": 3600.0,
            "max_s": 244800.0,
            "p50_s": 88200.0,
            "p90_s": 226800.0,
            "p95_s": 235800.0,
            "p99_s": 243000.0,
        }

    def test_overview(self, backend: str) -> None:
        (row,) = mine(backend, _table(GOLDEN), dropped_rows={"case": 1, "timestamp": 2})["overview"].to_pylist()
        assert row == {
            "events": 17,
            "cases": 6,
            "activities": 4,
            "variants": 3,
            "edges": 8,
            "first_ts": _at(0, 8),
            "last_ts": _at(7, 12),
            "tied_pairs": 1,
            "cases_with_ties": 1,
            "dropped_rows": {"case": 1, "activity": 0, "timestamp": 2},
            "layout": "case",
        }

    @pytest.mark.parametrize("seed", range(5))
    def test_permuted_rows_change_only_the_layout(self, backend: str, seed: int) -> None:
        shuffled = random.Random(seed).sample(GOLDEN, len(GOLDEN))
        first, second = sorted(shuffled.index(row) for row in TIED)
        shuffled[first], shuffled[second] = TIED
        expected, found = mine(backend, _table(GOLDEN)), mine(backend, _table(shuffled))
        assert found["overview"]["layout"][0].as_py() == "none"
        for name in ("activities", "dfg", "variants", "durations"):
            assert found[name].equals(expected[name]), name

    def test_rows_in_order_of_time(self, backend: str) -> None:
        by_time = sorted(GOLDEN, key=lambda row: row[2])
        expected, found = mine(backend, _table(GOLDEN)), mine(backend, _table(by_time))
        assert found["overview"]["layout"][0].as_py() == "time"
        assert found["dfg"].equals(expected["dfg"])

    def test_the_tied_pair_swapped(self, backend: str) -> None:
        found = mine(backend, _table([GOLDEN[1], GOLDEN[0], *GOLDEN[2:]]))
        assert rows(found["dfg"], "source", "target", "count") == [
            ("a", "d", 4),
            ("a", "c", 2),
            ("b", "a", 1),
            ("b", "d", 1),
            ("c", "b", 1),
            ("c", "c", 1),
            ("c", "d", 1),
        ]
        assert ["b", "a", "c", "b", "d"] in found["variants"]["activities"].to_pylist()

    def test_a_column_that_orders_ties(self, backend: str) -> None:
        events = _table(GOLDEN)
        swapped = mine(backend, _table([GOLDEN[1], GOLDEN[0], *GOLDEN[2:]]))
        falling = pa.array(range(len(GOLDEN), 0, -1))
        assert mine(backend, events.append_column("order_0", falling))["dfg"].equals(swapped["dfg"])
        null_first = pa.array([None, 7] + [0] * 15, pa.int8())  # null comes last, whatever stands in other rows
        assert mine(backend, events.append_column("order_0", null_first))["dfg"].equals(swapped["dfg"])
        equal = pa.array([0] * len(GOLDEN))
        second = events.append_column("order_0", equal).append_column("order_1", falling)
        assert mine(backend, second)["dfg"].equals(swapped["dfg"])

    def test_naive_times_stay_naive(self, backend: str) -> None:
        overview = mine(backend, _table(GOLDEN, zone=None))["overview"]
        assert overview.schema.field("first_ts").type == pa.timestamp("us")
        assert overview["first_ts"][0].as_py() == _at(0, 8).replace(tzinfo=None)


@pytest.mark.parametrize("backend", BACKENDS)
class TestPercentiles:
    VECTOR = (3600, 7200, 86400, 208800)

    def _steps(self, seconds: list[int], unit: str = "s") -> pa.Table:
        """One case for each gap, from x to y."""
        return pa.table(
            {
                "case": np.repeat(np.arange(len(seconds)), 2),
                "activity": ["x", "y"] * len(seconds),
                "timestamp": pa.array([t for gap in seconds for t in (0, gap)], pa.timestamp(unit)),
            }
        )

    def test_vector_of_the_contract(self, backend: str) -> None:
        (row,) = mine(backend, self._steps(list(self.VECTOR)))["dfg"].to_pylist()
        assert (row["p50_s"], row["p90_s"], row["p95_s"]) == (46800.0, 172080.0, 190440.0)

    def test_names_and_order(self, backend: str) -> None:
        asked = (99.9, 0, 100, 50, 50.5, 0.000001, 10)
        table = mine(backend, self._steps([1, 2]), plan("dfg", percentiles=asked))["dfg"]
        names = ["p99_9_s", "p0_s", "p100_s", "p50_s", "p50_5_s", "p0_000001_s", "p10_s"]
        assert table.column_names[-7:] == names
        assert [table[name][0].as_py() for name in names] == [1.999, 1.0, 2.0, 1.5, 1.505, 1.00000001, 1.1]

    @pytest.mark.parametrize("n", [1, 2, 3, 10, 255, 256, 257, 5000])
    def test_against_numpy(self, backend: str, n: int) -> None:
        gaps = np.random.default_rng(n).lognormal(9, 3, n).astype(np.int64)
        asked = (0, 0.1, 12.5, 50, 75, 99, 99.99, 100)
        (row,) = mine(backend, self._steps(gaps.tolist(), "ms"), plan("dfg", percentiles=asked))["dfg"].to_pylist()
        found = [row[name] for name in row if name.startswith("p")]
        assert found == pytest.approx(np.percentile(gaps, asked) / 1000, rel=1e-9)
        assert row["mean_s"] == pytest.approx(gaps.mean() / 1000, rel=1e-12)
        if n > 1:
            assert row["std_s"] == pytest.approx(gaps.std(ddof=1) / 1000, rel=1e-9)

    def test_sums_beyond_64_bits(self, backend: str) -> None:
        gap, n = 2**62 + 1, 9
        (row,) = mine(backend, self._steps([gap] * n + [gap - 8], "ns"))["dfg"].to_pylist()
        total = (n + 1) * gap - 8
        assert row["total_s"] == float(total) / 1e9
        assert row["mean_s"] == float(total) / float((n + 1) * 10**9)
        assert row["std_s"] == math.sqrt(float((n + 1) * (n * gap**2 + (gap - 8) ** 2) - total**2) / 90.0) / 1e9
        # a difference of 8 ns in 146 years: a sum of squares in floats would say 0 or nonsense
        assert row["std_s"] == pytest.approx(math.sqrt(64 * 9 / 10 / 9) / 1e9, rel=1e-12)
        assert row["p50_s"] == row["max_s"] == float(gap) / 1e9

    def test_many_equal_values(self, backend: str) -> None:
        (row,) = mine(backend, self._steps([7] * 900 + [3] * 100))["dfg"].to_pylist()
        assert (row["min_s"], row["p50_s"], row["max_s"]) == (3.0, 7.0, 7.0)
        (row,) = mine(backend, self._steps([7] * 1000))["dfg"].to_pylist()
        assert (row["std_s"], row["p50_s"]) == (0.0, 7.0)


@pytest.mark.parametrize("backend", BACKENDS)
class TestStartTimes:
    def _events(self) -> pa.Table:
        """Case 1: x 0 to 10, y 4 to 12 (it starts inside x), x 20 to 21. Case 2: an event that starts after its end."""
        return pa.table(
            {
                "case": [1, 1, 1, 2],
                "activity": ["x", "y", "x", "y"],
                "start_timestamp": pa.array([0, 4, 20, 9], pa.timestamp("s")),
                "timestamp": pa.array([10, 12, 21, 7], pa.timestamp("s")),
            }
        )

    def test_gap_is_from_end_to_start(self, backend: str) -> None:
        dfg = mine(backend, self._events())["dfg"]
        assert rows(dfg, "source", "target", "total_s", "min_s", "negatives") == [
            ("x", "y", -6.0, -6.0, 1),
            ("y", "x", 8.0, 8.0, 0),
        ]
        assert dfg.column_names[-1] == "negatives"

    def test_zero(self, backend: str) -> None:
        dfg = mine(backend, self._events(), negative="zero")["dfg"]
        assert rows(dfg, "total_s", "min_s", "p50_s", "negatives") == [(0.0, 0.0, 0.0, 1), (8.0, 8.0, 8.0, 0)]

    def test_error(self, backend: str) -> None:
        from pycjm.errors import InvalidData

        for measures in ((), ("overview",)):
            with pytest.raises(InvalidData, match="start_timestamp") as caught:
                mine(backend, self._events(), plan(*measures), negative="error")
            assert caught.value.details == {"column": "start_timestamp", "count": 1}
        harmless = self._events().slice(1)
        expected, found = mine(backend, harmless), mine(backend, harmless, negative="error")
        assert all(found[name].equals(table) for name, table in expected.items())

    def test_durations_span_from_start_to_end(self, backend: str) -> None:
        found = mine(backend, self._events(), dropped_rows={"start_timestamp": 3})
        (durations,) = rows(found["durations"], "n", "min_s", "max_s")
        assert durations == (2, -2.0, 21.0)
        (overview,) = found["overview"].to_pylist()
        assert overview["dropped_rows"] == {"case": 0, "activity": 0, "timestamp": 0, "start_timestamp": 3}
        assert (overview["first_ts"].second, overview["last_ts"].second) == (0, 21)


@pytest.mark.parametrize("backend", BACKENDS)
def test_an_empty_log(backend: str) -> None:
    for activity in (pa.utf8(), pa.dictionary(pa.int32(), pa.utf8())):
        kinds = [("case", pa.utf8()), ("activity", activity), ("timestamp", pa.timestamp("ms", "UTC"))]
        found = mine(backend, pa.schema(kinds).empty_table())
        (overview,) = found["overview"].to_pylist()
        assert overview["layout"] == "case"
        assert [overview[name] for name in ("events", "cases", "variants", "edges", "tied_pairs")] == [0] * 5
        assert overview["first_ts"] is None
        assert overview["last_ts"] is None
        (durations,) = found["durations"].to_pylist()
        assert durations.pop("n") == 0
        assert set(durations.values()) == {None}
        assert [found[name].num_rows for name in ("activities", "dfg", "variants")] == [0, 0, 0]


class TestCasesAndMetrics:
    PLAN: ClassVar[dict] = {
        "version": 1,
        "measures": [{"measure": "cases"}, {"measure": "metrics", "percentiles": [50, 75]}],
        "case_metrics": [{"name": "d_at", "activities": ["d", "nowhere"]}, {"name": "hours"}, {"name": "none"}],
    }

    @staticmethod
    def _position_of_d(activities: np.ndarray, times: np.ndarray, starts: np.ndarray | None) -> float:
        assert activities.dtype == np.int32
        assert times.dtype == np.int64
        assert starts is None
        assert set(activities.tolist()) <= {-1, 0}
        return float(np.flatnonzero(activities == 0)[0])

    @staticmethod
    def _hours(activities: np.ndarray, times: np.ndarray, _starts: np.ndarray | None) -> float:
        assert min(activities) >= 0
        return math.nan if len(activities) > 4 else (times[-1] - times[0]) / 3.6e9

    def _mined(self, events: pa.Table) -> dict[str, pa.Table]:
        metrics = {"d_at": self._position_of_d, "hours": self._hours, "none": lambda *_: math.nan}
        return mine("reference", events, self.PLAN, case_metrics=metrics)

    def test_cases(self) -> None:
        late_first = [*GOLDEN[9:11], *GOLDEN[:9], *GOLDEN[11:]]
        cases = self._mined(_table(late_first))["cases"]
        assert cases.column_names == [
            *["case", "events", "first_ts", "last_ts", "duration_s", "variant_rank"],
            *["d_at", "hours", "none"],
        ]
        assert rows(cases, *cases.column_names) == [
            ("C", 2, _at(0, 8), _at(2, 18), 208800.0, 1, 1.0, 58.0, None),
            ("A", 5, _at(0, 8), _at(1, 9), 90000.0, 2, 4.0, None, None),
            ("B", 4, _at(4, 16), _at(7, 12), 244800.0, 3, 3.0, 68.0, None),
            ("D", 2, _at(1, 8), _at(1, 9), 3600.0, 1, 1.0, 1.0, None),
            ("E", 2, _at(1, 8), _at(1, 10), 7200.0, 1, 1.0, 2.0, None),
            ("F", 2, _at(1, 8), _at(2, 8), 86400.0, 1, 1.0, 24.0, None),
        ]

    def test_metrics(self) -> None:
        d_at, hours, none = self._mined(_table(GOLDEN))["metrics"].to_pylist()
        assert (d_at["n"], d_at["mean"], d_at["min"], d_at["max"]) == (6, 11 / 6, 1.0, 4.0)
        assert (hours["n"], hours["mean"], hours["p50"], hours["p75"]) == (5, 153 / 5, 24.0, 58.0)
        assert hours["std"] == pytest.approx(np.std([1, 2, 24, 58, 68], ddof=1))
        assert none == {"metric": "none", "n": 0, **dict.fromkeys(["mean", "min", "max", "std", "p50", "p75"])}

    @pytest.mark.parametrize("kind", [pa.uint64(), pa.dictionary(pa.int8(), pa.utf8()), pa.string_view(), pa.binary(1)])
    def test_the_case_column_keeps_its_type(self, kind: pa.DataType) -> None:
        values = [2**64 - 1, 5, 5] if kind == pa.uint64() else ["x", "y", "y"]
        if pa.types.is_fixed_size_binary(kind):
            values = [value.encode() for value in values]
        stamps = pa.array([1, 2, 3], pa.timestamp("s"))
        events = pa.table({"case": pa.array(values, kind), "activity": ["a"] * 3, "timestamp": stamps})
        cases = mine("reference", events, plan("cases"))["cases"]
        assert cases.schema.field("case").type == kind
        assert cases["case"].to_pylist() == values[:2]

    def test_unit_of_no_time_is_lost(self) -> None:
        stamps = pa.array([1, 2**53 + 2], pa.timestamp("ns"))  # 2^53 + 1 ns rounds to even
        events = pa.table({"case": [1, 1], "activity": ["a", "a"], "timestamp": stamps})
        (row,) = mine("reference", events, plan("cases"))["cases"].to_pylist()
        assert row["duration_s"] == float(2**53 + 1) / 1e9


@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.parametrize("role", ["timestamp", "start_timestamp"])
def test_times_too_far_apart(backend: str, role: str) -> None:
    from pycjm.errors import InvalidData

    def events(first: int, last: int) -> pa.Table:
        # not in one case: a log is refused or not, however its rows are grouped
        columns = {"case": [1, 2], "activity": ["a", "b"], "timestamp": pa.array([first, first], pa.timestamp("s"))}
        return pa.table({**columns, role: pa.array([first, last], pa.timestamp("s"))})

    assert mine(backend, events(-1, 2**63 - 2))["overview"]["events"][0].as_py() == 2
    with pytest.raises(InvalidData, match="too far apart") as caught:
        mine(backend, events(-1, 2**63 - 1))
    assert caught.value.details == {"column": "timestamp"}


def test_shares_of_all_cases_when_the_top_is_cut() -> None:
    (first,) = mine("reference", _table(GOLDEN), plan("variants", top=1))["variants"].to_pylist()
    assert (first["cases"], first["share"], first["cumulative_share"]) == (4, 4 / 6, 4 / 6)


def test_the_golden_log_is_the_one_of_the_contract() -> None:
    counts = {case: sum(row[0] == case for row in GOLDEN) for case in "ABCDEF"}
    assert counts == {"A": 5, "B": 4, "C": 2, "D": 2, "E": 2, "F": 2}
    assert all(a[2] <= b[2] for a, b in pairwise(GOLDEN) if a[0] == b[0])
