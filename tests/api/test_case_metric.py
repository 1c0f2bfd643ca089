"""Does a user's function become a column, a table of statistics, and a clear error when it fails?"""

from __future__ import annotations

import math
import sys

import numpy as np
import pyarrow as pa
import pytest

import pycjm
from pycjm import errors

BACKENDS = ["native", "reference"]


@pycjm.case_metric
def length(activities, times):
    return float(len(activities))


@pycjm.case_metric(activities=["b", "c"], name="first_c")
def position_of_c(activities, times):
    for i in range(len(activities)):
        if activities[i] == 1:
            return float(i)
    return np.nan


@pycjm.case_metric
def waiting(activities, times, start_times):
    total = 0
    for i in range(1, len(times)):
        total += start_times[i] - times[i - 1]
    return total


@pycjm.case_metric
def second_event(activities, times):
    return times[1] - times[0]


@pycjm.case_metric
def divides_by_zero(activities, times):
    return 1 // (len(activities) - 2)


@pytest.mark.parametrize("backend", BACKENDS)
def test_metrics_are_columns_and_statistics(golden, backend):
    result = pycjm.scan(golden).mine("cases", length, position_of_c, percentiles=[50], backend=backend)
    assert list(result) == ["cases", "metrics"]
    cases = result["cases"].to_pyarrow()
    assert cases.column_names[-2:] == ["length", "first_c"]
    assert cases["length"].to_pylist() == [5, 4, 2, 2, 2, 2]
    assert cases["first_c"].to_pylist() == [2, 1, None, None, None, None]
    assert result["metrics"].to_pyarrow().to_pylist() == [
        {"metric": "length", "n": 6, "mean": 17 / 6, "min": 2, "max": 5, "std": pytest.approx(1.3291601), "p50": 2},
        {"metric": "first_c", "n": 2, "mean": 1.5, "min": 1, "max": 2, "std": pytest.approx(0.7071068), "p50": 1.5},
    ]


@pytest.mark.parametrize("backend", BACKENDS)
def test_the_mean_of_a_constant_is_the_constant(backend):
    tenth = pycjm.case_metric(lambda activities, times: 0.1, name="tenth")
    cases = [str(i) for i in range(10)]
    table = pa.table({"case": cases, "activity": ["a"] * 10, "timestamp": pa.array([0] * 10, pa.timestamp("s"))})
    row = pycjm.scan(table).mine(tenth, backend=backend)["metrics"].to_pyarrow().to_pylist()[0]
    assert (row["mean"], row["min"], row["max"], row["std"]) == (0.1, 0.1, 0.1, 0.0)


@pytest.mark.parametrize("backend", BACKENDS)
def test_alone_it_gives_its_statistics(golden, backend):
    assert list(pycjm.scan(golden).mine(length, backend=backend)) == ["metrics"]


@pytest.mark.parametrize("backend", BACKENDS)
def test_start_times(backend):
    table = pa.table(
        {
            "case": ["A", "A"],
            "activity": ["a", "b"],
            "start": pa.array([0, 15], pa.timestamp("s")),
            "end": pa.array([10, 20], pa.timestamp("s")),
        }
    )
    log = pycjm.scan(table, timestamp="end", start_timestamp="start")
    assert log.mine("cases", waiting, backend=backend)["cases"].to_pyarrow()["waiting"].to_pylist() == [5]
    with pytest.raises(errors.InvalidArgument, match="without start_timestamp"):
        pycjm.scan(table, timestamp="end").mine(waiting, backend=backend)


@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.parametrize("metric", [second_event, divides_by_zero])
def test_a_failing_metric_is_a_callback_error(backend, metric, capfd):
    table = pa.table(
        {"case": ["A", "B", "B"], "activity": ["a", "a", "b"], "ts": pa.array([1, 2, 3], pa.timestamp("s"))}
    )
    with pytest.raises(errors.CallbackError, match=metric.name) as caught:
        pycjm.scan(table).mine("cases", metric, backend=backend)
    if backend == "reference":
        assert isinstance(caught.value.__cause__, (IndexError, ZeroDivisionError))
    assert capfd.readouterr() == ("", "")


@pycjm.case_metric
def clears_times(activities, times):
    times[0] = 0
    return 0.0


@pycjm.case_metric
def clears_activities(activities, times):
    activities[:] = 0
    return 0.0


@pycjm.case_metric
def clears_starts(activities, times, start_times):
    start_times.sort()
    return 0.0


@pytest.mark.parametrize("metric", [clears_times, clears_activities, clears_starts], ids=lambda metric: metric.name)
def test_a_metric_cannot_change_what_others_read(metric):
    table = pa.table({"case": [1, 1], "activity": ["a", "b"], "ts": pa.array([1, 2], pa.timestamp("s"))})
    table = table.append_column("start", pa.array([0, 1], pa.timestamp("s")))
    log = pycjm.scan(table, timestamp="ts", start_timestamp="start")
    with pytest.raises(errors.InvalidArgument, match=f"'{metric.name}' writes to its arrays.*Change a copy"):
        log.mine("durations", metric)
    with pytest.raises(errors.CallbackError, match=f"case metric '{metric.name}' raised ValueError.*read-only"):
        log.mine("durations", metric, backend="reference")


@pytest.mark.parametrize("backend", BACKENDS)
def test_a_metric_may_compute_with_its_arrays_and_change_copies(golden, backend):
    @pycjm.case_metric
    def mixed(activities, times):
        ours = times.copy()
        ours[0] += 1
        ordered = np.sort(activities)[::-1]
        longest = np.diff(times).max()
        late = times[times > times[0]]
        return ours[0] - times[0] + len(np.unique(ordered)) - len(set(activities)) + 0 * longest + 0 * late.size

    values = pycjm.scan(golden).mine("cases", mixed, backend=backend)["cases"].to_pyarrow()["mixed"].to_pylist()
    assert values == [1] * 6


def test_codes_without_declared_activities_are_equal_for_equal_activities(golden):
    @pycjm.case_metric
    def repeats(activities, times):
        count = 0
        for i in range(1, len(activities)):
            count += activities[i] == activities[i - 1]
        return count

    assert pycjm.scan(golden).mine("cases", repeats)["cases"].to_pyarrow()["repeats"].to_pylist() == [0, 1, 0, 0, 0, 0]


def test_many_cases_over_threads():
    n = 200_000
    table = pa.table(
        {
            "case": np.arange(n) % (n // 4),
            "activity": pa.array(["a", "b"] * (n // 2)).dictionary_encode(),
            "ts": pa.array(np.arange(n), pa.timestamp("s")),
        }
    )
    result = pycjm.scan(table).mine("cases", length, second_event, threads=4)
    cases = result["cases"].to_pyarrow()
    assert set(cases["length"].to_pylist()) == {4.0}
    assert set(cases["second_event"].to_pylist()) == {n / 4}


def test_it_can_be_called_as_it_is():
    assert length(np.array([1, 2]), np.array([1, 2])) == 2
    assert math.isnan(position_of_c(np.array([0, -1]), np.array([1, 2])))
    assert repr(length) == "<pycjm.case_metric 'length'>"
    assert length.__name__ == "length"


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (lambda: pycjm.case_metric(lambda activities, times: 1.0), "needs a name"),
        (lambda: pycjm.case_metric(name="a b")(lambda activities, times: 1.0), "needs a name"),
        (lambda: pycjm.case_metric(name="events")(lambda activities, times: 1.0), "already"),
        (lambda: pycjm.case_metric(name="x")(lambda activities: 1.0), "has to take"),
        (lambda: pycjm.case_metric(name="x", activities=["a", "a"])(lambda a, t: 1.0), "different names"),
        (lambda: pycjm.case_metric(name="x", activities=[])(lambda a, t: 1.0), "different names"),
        (lambda: pycjm.case_metric(3), "made of a function"),
    ],
)
def test_wrong_metrics(make, words):
    with pytest.raises(errors.InvalidArgument, match=words):
        make()


def test_what_numba_cannot_compile_is_named(golden):
    @pycjm.case_metric
    def impossible(activities, times):
        return open(str(activities)).read()

    with pytest.raises(errors.InvalidArgument, match="numba cannot compile case metric 'impossible'"):
        pycjm.scan(golden).mine(impossible)


def test_without_numba_the_extra_is_named(golden, monkeypatch):
    @pycjm.case_metric
    def one(activities, times):
        return 1.0

    monkeypatch.setitem(sys.modules, "numba", None)
    with pytest.raises(errors.Unsupported, match=r"pycjm\[numba\]"):
        pycjm.scan(golden).mine(one)
    assert pycjm.scan(golden).mine(one, backend="reference")["metrics"].to_pyarrow()["n"].to_pylist() == [6]
