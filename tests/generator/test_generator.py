"""Are the synthetic logs what they promise: exact in size, the same whatever the layout, and realistic?"""

from __future__ import annotations

import importlib.util
import os
from pathlib import Path
from types import ModuleType

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
import pytest

ROOT = Path(__file__).parents[2]
SAMPLE = ROOT / "pycjm" / "sample_data" / "omnichannel.parquet"


@pytest.fixture(scope="module")
def generator() -> ModuleType:
    spec = importlib.util.spec_from_file_location("journey_generator", ROOT / "benchmarks" / "generator.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="module")
def log(generator: ModuleType) -> pa.Table:
    return generator.journeys(200_000).read_all()


def within_cases(table: pa.Table, column: str) -> tuple[pa.Array, pa.Array]:
    """The values of a column before and after each step within a case; the table holds cases contiguously."""
    case = table["case_id"].combine_chunks()
    same = pc.equal(case[:-1], case[1:])
    values = table[column].combine_chunks()
    return values[:-1].filter(same), values[1:].filter(same)


@pytest.mark.parametrize("events", [0, 1, 7, 1000, 123_457])
@pytest.mark.parametrize("layout", ["case", "time", "shuffled"])
def test_the_number_of_events_is_exact(generator: ModuleType, events: int, layout: str) -> None:
    assert generator.journeys(events, layout).read_all().num_rows == events


@pytest.mark.parametrize("case_id", ["int", "string"])
def test_layouts_hold_the_same_events(generator: ModuleType, case_id: str) -> None:
    by_case, by_time, shuffled = (
        generator.journeys(30_000, layout, case_id, seed=3).read_all() for layout in ("case", "time", "shuffled")
    )
    times = by_time["timestamp"].cast(pa.int64()).to_numpy()
    assert (times[1:] >= times[:-1]).all()
    assert not (shuffled["timestamp"].cast(pa.int64()).to_numpy()[1:] >= times[:-1]).all()
    # Sorting by case is stable, so this also says that ties keep their order in the layout by time.
    order = [("case_id", "ascending")]
    ranked = by_time.append_column("row", pa.array(range(30_000))).sort_by([*order, ("row", "ascending")])
    expected = by_case.append_column("row", pa.array(range(30_000))).sort_by([*order, ("row", "ascending")])
    assert ranked.drop(["row"]).equals(expected.drop(["row"]))
    everything = [(name, "ascending") for name in shuffled.column_names]
    assert shuffled.sort_by(everything).equals(by_case.sort_by(everything))


def test_many_blocks_stay_in_the_order_of_time(generator: ModuleType, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(generator, "BLOCK_CASES", 50)
    by_time, by_case = (generator.journeys(20_000, layout).read_all() for layout in ("time", "case"))
    times = by_time["timestamp"].cast(pa.int64()).to_numpy()
    assert (times[1:] >= times[:-1]).all()
    everything = [(name, "ascending") for name in by_time.column_names]
    assert by_time.sort_by(everything).equals(by_case.sort_by(everything))


def test_the_size_of_batches_changes_nothing(generator: ModuleType) -> None:
    small = generator.journeys(5_000, "time", batch_rows=77)
    batches = list(small)
    assert max(batch.num_rows for batch in batches) == 77
    assert pa.Table.from_batches(batches).equals(generator.journeys(5_000, "time").read_all())


def test_the_seed_decides(generator: ModuleType) -> None:
    one, same, other = (generator.journeys(1_000, seed=seed).read_all() for seed in (1, 1, 2))
    assert one.equals(same)
    assert not one.equals(other)


def test_the_log_is_realistic(log: pa.Table) -> None:
    lengths = log.group_by("case_id").aggregate([([], "count_all")])["count_all"]
    assert 9 < pc.mean(lengths).as_py() < 11
    assert pc.max(lengths).as_py() > 15 * pc.quantile(lengths, 0.5)[0].as_py(), "the tail is not heavy"
    before, after = within_cases(log, "timestamp")
    gaps = pc.subtract(after.cast(pa.int64()), before.cast(pa.int64()))
    assert pc.min(gaps).as_py() == 0
    assert 0.0005 < pc.sum(pc.equal(gaps, 0)).as_py() / len(gaps) < 0.002
    sources, targets = within_cases(log, "activity")
    edges = pa.table({"source": sources, "target": targets}).group_by(["source", "target"]).aggregate([])
    assert 430 < edges.num_rows < 570
    assert pc.count_distinct(log["activity"]).as_py() == 40
    pairs = log.group_by(["activity", "channel"]).aggregate([])
    assert pairs.num_rows == 40
    assert log["timestamp"].type == pa.timestamp("us", "UTC")
    assert pc.any(pc.not_equal(pc.microsecond(log["timestamp"]), 0)).as_py()


def test_ids_are_distinct_and_look_random(generator: ModuleType) -> None:
    import numpy as np

    ids = generator._scattered(np.arange(1_000_000))
    assert len(np.unique(ids)) == 1_000_000
    assert ids.min() >= 0
    assert (np.diff(ids) > 0).mean() == pytest.approx(0.5, abs=0.01)


def test_many_activities_have_distinct_labels(generator: ModuleType) -> None:
    labels, channels = generator._alphabet(100_000)
    assert pc.count_distinct(labels).as_py() == 100_000
    assert len(channels) == 100_000
    assert generator.journeys(1_000, activities=20_000).read_all().num_rows == 1_000


def test_the_committed_sample_is_what_the_generator_makes(generator: ModuleType) -> None:
    assert pq.read_table(SAMPLE).equals(generator.omnichannel())


def test_the_sample_is_small_and_worth_looking_at() -> None:
    sample = pq.read_table(SAMPLE)
    assert os.path.getsize(SAMPLE) < 100_000
    assert 3_000 <= sample.num_rows <= 4_000
    times = sample["timestamp"].cast(pa.int64()).to_numpy()
    assert (times[1:] >= times[:-1]).all()
    assert pc.count_distinct(sample["channel"]).as_py() == 6
    assert {"ad clicked", "basket left", "complaint", "return", "feedback"} <= set(sample["touchpoint"].to_pylist())
