"""Are the table of cases and case metrics the same when they do not fit into memory?"""

from __future__ import annotations

from pathlib import Path

import pyarrow as pa
import pytest
from engines import PERCENTILES, THREADS, assert_equal, expected, parquet, roles
from random_logs import draw_log

import pycjm

LIMIT = 4_000_000


def as_bytes(result: pycjm.MiningResult) -> dict[str, bytes]:
    """Each table as an Arrow IPC stream, batch by batch as the engine gives it."""
    found = {}
    for name in result:
        sink, reader = pa.BufferOutputStream(), result[name].to_reader()
        with pa.ipc.new_stream(sink, reader.schema) as writer:
            for batch in reader:
                writer.write_batch(batch)
        found[name] = sink.getvalue().to_pybytes()
    return found


def steps(activities, times) -> float:  # type: ignore[no-untyped-def]
    """A third of the events; none for cases of a single one."""
    return len(activities) / 3 if len(activities) > 1 else float("nan")


def signed(activities, times) -> float:  # type: ignore[no-untyped-def]
    """Positive, negative, and zeros of both signs."""
    return (len(activities) - 2.0) * (-1.0 if times[0] % 2 else 1.0)


@pytest.mark.parametrize("layout", ["case", "time", "none"])
@pytest.mark.parametrize("case_id", ["int64", "uint64", "text of 16 bytes", "uuid"])
def test_cases_are_what_they_are_in_memory(tmp_path: Path, layout: str, case_id: str) -> None:
    """With starts, every variant listed, and no case metric: the reference says the same."""
    events = draw_log(4, 60_000, n_cases=25_000, n_activities=3, layout=layout, case_id=case_id, with_starts=True)
    path, spill = parquet(tmp_path, events, 4000), tmp_path / "spill"
    spill.mkdir()
    asked = ("overview", "variants", "durations", "cases")

    def mined(threads: int, limit: int | str) -> pycjm.MiningResult:
        options = {} if limit == "none" else {"spill_dir": spill}
        log = pycjm.scan(path, **roles(events))
        return log.mine(*asked, percentiles=PERCENTILES, threads=threads, memory_limit=limit, **options)

    held = mined(2, "none")
    wanted = expected(events)
    assert_equal(held, {name: wanted[name] for name in asked})
    for threads in THREADS:
        spilled = mined(threads, LIMIT if case_id in ("int64", "uint64") else LIMIT * 2)
        assert spilled.info["spilled_bytes"] > events.num_rows * 10
        assert as_bytes(spilled) == as_bytes(held), threads
        # The files go with the result that reads them.
        assert list(spill.iterdir()) == []
        first, again = (spilled["cases"].to_pyarrow() for _ in range(2))
        assert first.equals(again)


@pytest.mark.parametrize("layout", ["case", "none"])
@pytest.mark.parametrize("with_cases", [False, True])
def test_metrics_are_what_they_are_in_memory(tmp_path: Path, layout: str, with_cases: bool) -> None:
    """Sums of floats to the bit, values that are missing, and columns of `cases`."""
    pytest.importorskip("numba")
    events = draw_log(8, 120_000, n_cases=50_000, n_activities=3, layout=layout)
    path = parquet(tmp_path, events, 4000)
    metrics = [pycjm.case_metric(function) for function in (steps, signed)]
    asked = ["metrics", *(["cases"] if with_cases else []), *metrics]

    def mined(threads: int, **space: object) -> pycjm.MiningResult:
        return pycjm.scan(path, **roles(events)).mine(*asked, percentiles=PERCENTILES, threads=threads, **space)

    held = mined(1, memory_limit="none")
    some, all_cases = held["metrics"].to_pyarrow()["n"].to_pylist()
    assert 0 < some < all_cases
    for threads in THREADS:
        spilled = mined(threads, memory_limit=LIMIT, spill_dir=tmp_path)
        assert spilled.info["spilled_bytes"] > all_cases * 16
        assert as_bytes(spilled) == as_bytes(held), threads


@pytest.mark.parametrize("layout", ["case", "none"])
@pytest.mark.parametrize("n_activities", [9, 400])
def test_variants_that_do_not_fit_are_listed_from_disk(tmp_path: Path, layout: str, n_activities: int) -> None:
    """Most cases are a variant of their own, all of them are ranked, and labels tell which comes first."""
    events = draw_log(6, 200_000, n_cases=30_000, layout=layout, n_activities=n_activities)
    log = pycjm.scan(parquet(tmp_path, events, 9000), **roles(events))
    measures = pycjm.measures
    wanted = expected(events)["variants"]
    for asked in (
        [measures.variants()],
        [measures.variants(percentiles=[50, 99.9], approx=0.01)],
        ["cases"],
        [measures.cases(), measures.variants(top=100, percentiles=[])],
    ):
        held = log.mine(*asked, threads=2, memory_limit="none")
        table = held["variants"].to_pyarrow() if "variants" in list(held) else None
        for threads in THREADS:
            spilled = log.mine(*asked, threads=threads, memory_limit=4_000_000, spill_dir=tmp_path)
            assert spilled.info["peak_reserved_bytes"] <= 4_000_000
            assert spilled.info["spilled_bytes"] > 30_000 * 30
            assert as_bytes(spilled) == as_bytes(held), (asked, threads)
            # It can be read again, and in part.
            for name in held:
                assert next(iter(spilled[name].to_reader())).equals(next(iter(held[name].to_reader())))
        if table is not None:
            n = table.num_rows
            assert n > 20_000 or n == 100
            assert table["activities"].to_pylist() == wanted["activities"].to_pylist()[:n]
            assert table["cases"].to_pylist() == wanted["cases"].to_pylist()[:n]


def test_what_is_needed_where_few_variants_are_very_long_is_told_step_by_step(tmp_path: Path) -> None:
    """Few variants of very many events each are still one to a case."""
    n, n_cases = 600_000, 60
    table = {"case": [i % n_cases for i in range(n)], "activity": [f"a{i * i % 251 % 7}" for i in range(n)]}
    events = pa.table({**table, "timestamp": pa.array(range(n), pa.timestamp("s"))})
    log = pycjm.scan(events, **roles(events))
    limits, result = [400_000], None
    while result is None:
        try:
            result = log.mine("variants", threads=1, memory_limit=limits[-1], spill_dir=tmp_path)
        except pycjm.errors.MemoryLimit as error:
            limits.append(error.details["needed_bytes"])
    assert 1 < len(limits) < 5
    assert limits == sorted(set(limits))
    assert limits[-1] < 5_000_000
    assert as_bytes(result) == as_bytes(log.mine("variants", threads=1, memory_limit="none"))


def test_a_variant_whose_row_does_not_fit_is_too_large(tmp_path: Path) -> None:
    """It is told when it is mined, not when its row is read."""
    n = 200_000
    labels = pa.array(["x" * 1000, "y" * 1000])
    activity = pa.DictionaryArray.from_arrays(pa.array([i % 2 for i in range(n)], pa.int32()), labels)
    events = pa.table({"case": [0] * n, "activity": activity, "timestamp": pa.array(range(n), pa.timestamp("s"))})
    log = pycjm.scan(events, **roles(events))
    with pytest.raises(pycjm.errors.MemoryLimit, match="all variants") as caught:
        log.mine("variants", memory_limit=32_000_000, spill_dir=tmp_path)
    needed = caught.value.details["needed_bytes"]
    assert needed > 200_000_000
    table = log.mine("variants", memory_limit=needed, spill_dir=tmp_path)["variants"]
    assert table.to_pyarrow()["length"].to_pylist() == [n]
