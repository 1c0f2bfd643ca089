"""Does what these tests have once found stay mended? One small log for each."""

from __future__ import annotations

from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from engines import THREADS

import pycjm

ROLES = {"case": "case", "activity": "activity", "timestamp": "at"}
BACKENDS = ("native", "numba", "reference")


def log(cases: pa.ChunkedArray, **more: Any) -> pa.Table:
    """A log with a second between its events."""
    n = len(cases)
    names = [chr(ord("a") + i) for i in range(n)]
    return pa.table({"case": cases, "activity": names, "at": pa.array(range(n), pa.timestamp("s"))} | more)


@pytest.mark.parametrize("threads", THREADS)
@pytest.mark.parametrize(
    "batches",
    [
        [[1, 1], [2, 1]],
        [[1, 1], [2, 2], [1]],
        [[1, 1, 2, 2], [1, 1]],
        [[1, 1, 2, 2], [3, 3, 1]],
        [[1, 1, 2, 2], [3, 3], [1, 1]],
    ],
    ids=str,
)
def test_a_case_at_both_ends_of_a_reading_is_not_in_one_piece(batches: list[list[int]], threads: int) -> None:
    """Its two ends touch when the pieces are joined, though other cases lie between them."""
    source = log(pa.chunked_array(batches))
    (row,) = pycjm.scan(source, **ROLES).mine("overview", threads=threads)["overview"].to_pyarrow().to_pylist()
    assert row["layout"] == "time"


@pytest.mark.parametrize("backend", BACKENDS)
def test_the_time_range_is_that_of_the_cases(backend: str) -> None:
    """From the first start to the last end, even where an event ends before it has begun."""
    source = log(pa.chunked_array([[1, 2]]), begin=pa.array([5, 9], pa.timestamp("s")))
    result = pycjm.scan(source, **ROLES, start_timestamp="begin").mine("overview", backend=backend)
    overview = result["overview"].to_pyarrow()
    assert overview["first_ts"].cast(pa.int64()).to_pylist() == [5]
    assert overview["last_ts"].cast(pa.int64()).to_pylist() == [1]


@pytest.mark.parametrize("backend", BACKENDS)
def test_zero_is_zero_whatever_its_sign(backend: str) -> None:
    """Equal values leave the order to the position of the rows."""
    at = pa.array([0, 0], pa.timestamp("s"))
    for keys in ([0.0, -0.0], [-0.0, 0.0]):
        source = log(pa.chunked_array([[1, 1]]), key=pa.array(keys)).set_column(2, "at", at)
        result = pycjm.scan(source, **ROLES, order_by="key").mine("dfg", backend=backend)
        (row,) = result["dfg"].to_pyarrow().to_pylist()
        assert (row["source"], row["target"]) == ("a", "b"), keys


@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.parametrize("ticks", [821_263_439_016_461, 93_600_000_000_001, 2**53 + 1])
def test_percentiles_of_one_value_are_that_value(backend: str, ticks: int) -> None:
    """A time of days in nanoseconds has more digits than a float: it may be rounded once only."""
    source = log(pa.chunked_array([[1, 1]])).set_column(2, "at", pa.array([0, ticks], pa.timestamp("ns")))
    percentiles = (0, 12.5, 50, 99.999999, 100)
    (row,) = (
        pycjm.scan(source, **ROLES)
        .mine("durations", percentiles=percentiles, backend=backend)["durations"]
        .to_pyarrow()
        .to_pylist()
    )
    assert {row[name] for name in row if name.endswith("_s") and name != "std_s"} == {ticks / 10**9}


def pairs(gaps: np.ndarray) -> pa.Table:
    """A case of two events for each gap, in microseconds."""
    times = np.zeros(2 * len(gaps), np.int64)
    times[1::2] = gaps
    return pa.table(
        {
            "case": np.repeat(np.arange(len(gaps)), 2),
            "activity": np.tile(["a", "b"], len(gaps)),
            "at": pa.array(times, pa.timestamp("us")),
        }
    )


@pytest.mark.parametrize("threads", THREADS)
def test_percentiles_of_gaps_that_change_and_change_back(threads: int) -> None:
    """All windows lost their ranks, and the values came back into them: answers were made of the last few values."""
    generator = np.random.default_rng(1)
    gaps = np.concatenate([generator.integers(0, 1000, 1024), np.full(100_000, 10**6), np.full(3000, 500)])
    result = pycjm.scan(pairs(gaps), **ROLES).mine("dfg", "durations", percentiles=[50], threads=threads)
    for name in ("dfg", "durations"):
        assert result[name].to_pyarrow()["p50_s"].to_pylist() == [1.0]


def test_a_second_look_keeps_the_memory_limit() -> None:
    """It may have to keep all gaps of a kind; what it keeps is reserved as everything is."""
    generator = np.random.default_rng(2)
    gaps = np.concatenate([generator.integers(0, 1000, 1100), generator.integers(10**9, 2 * 10**9, 1_000_000)])
    log = pycjm.scan(pairs(gaps), **ROLES)
    with pytest.raises(pycjm.errors.MemoryLimit, match="measures"):
        log.mine("dfg", percentiles=[50], threads=1, memory_limit=4_000_000)
    result = log.mine("dfg", percentiles=[50], threads=1, memory_limit=60_000_000)
    assert result["dfg"].to_pyarrow()["p50_s"][0].as_py() == pytest.approx(np.percentile(gaps, 50) / 1e6, rel=1e-13)
    assert result.info["looks"] == 2
    assert result.info["peak_reserved_bytes"] > 8 * 10**6


@pytest.mark.parametrize("threads", THREADS)
@pytest.mark.parametrize("negative", [None, "keep", "zero"])
def test_a_second_look_at_a_few_of_very_many_edges(threads: int, negative: str | None) -> None:
    """Gaps that came once edges were very many were not told to the sieves of that look: "the log has changed"."""
    n, activities = 150_000, 120
    generator = np.random.default_rng(1)
    codes = np.where(generator.random(n) < 0.5, generator.integers(0, 3, n), generator.integers(0, activities, n))
    # Short gaps first, long ones later.
    times = np.cumsum(np.where(np.arange(n) < n // 2, generator.integers(0, 1000, n), generator.integers(0, 10**9, n)))
    columns: dict[str, Any] = {
        "case": np.arange(n) // 30,
        "activity": pa.array([f"a{i}" for i in range(activities)]).take(pa.array(codes)),
        "at": pa.array(times, pa.timestamp("us")),
    }
    options: dict[str, Any] = {}
    if negative is not None:
        columns["start"] = pa.array(times - generator.integers(0, 800, n), pa.timestamp("us"))
        options = {"start_timestamp": "start", "negative": negative}
    events = pycjm.scan(pa.table(columns), **ROLES, **options)
    result = events.mine("dfg", percentiles=[50, 99], threads=threads)
    assert result.info["looks"] == 2
    assert len(result["dfg"]) > 8192
    expected = events.mine("dfg", percentiles=[50, 99], backend="reference")["dfg"].to_pyarrow()
    assert result["dfg"].to_pyarrow().equals(expected)
