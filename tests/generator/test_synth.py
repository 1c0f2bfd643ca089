"""Are the synthetic logs what they promise: exact in size, the same whatever the layout, and realistic?"""

from __future__ import annotations

import hashlib
import importlib
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pytest

import pycjm
from pycjm import errors
from pycjm._synth import blocks, buckets, layouts, model

LAYOUTS = ("case", "time", "shuffled")
ANY_LAYOUT = pytest.mark.parametrize("layout", LAYOUTS)


def table(events: int, **options: object) -> pa.Table:
    return pycjm.synth(events, **options).read_all()


def times(log: pa.Table) -> np.ndarray:
    return log["timestamp"].cast(pa.int64()).to_numpy()


def everything(log: pa.Table) -> pa.Table:
    """The rows in an order that does not depend on the layout."""
    return log.sort_by([(name, "ascending") for name in log.column_names])


@pytest.fixture(scope="module")
def log() -> pa.Table:
    return table(200_000)


def within_cases(log: pa.Table, column: str) -> tuple[pa.Array, pa.Array]:
    """The values of a column before and after each step within a case; the log holds cases contiguously."""
    case = log["case_id"].combine_chunks()
    same = pc.equal(case[:-1], case[1:])
    values = log[column].combine_chunks()
    return values[:-1].filter(same), values[1:].filter(same)


@pytest.mark.parametrize("events", [0, 1, 7, 1000, 123_457])
@ANY_LAYOUT
def test_the_number_of_events_is_exact(events: int, layout: str) -> None:
    assert table(events, layout=layout).num_rows == events


def test_the_columns() -> None:
    found = pycjm.synth(10).schema
    assert found.names == ["case_id", "activity", "timestamp", "channel"]
    assert found.types == [pa.int64(), pa.utf8(), pa.timestamp("us", "UTC"), pa.utf8()]
    assert not any(field.nullable for field in found)
    assert pycjm.synth(10, case_id="string").schema.field("case_id").type == pa.utf8()


@pytest.mark.parametrize("case_id", ["int", "string"])
def test_layouts_hold_the_same_events(case_id: str) -> None:
    by_case, by_time, shuffled = (table(30_000, layout=layout, case_id=case_id, seed=3) for layout in LAYOUTS)
    assert everything(by_time).equals(everything(by_case))
    assert everything(shuffled).equals(everything(by_case))
    # Ties keep the order that they have in their case: sorting by time and, for ties, by position gives it back.
    position = pa.array(range(30_000))
    order = [("case_id", "ascending"), ("timestamp", "ascending"), ("row", "ascending")]
    one, other = (found.append_column("row", position).sort_by(order).drop(["row"]) for found in (by_time, by_case))
    assert one.equals(other)


def test_the_layout_by_case_has_cases_contiguous_and_in_order(log: pa.Table) -> None:
    case = log["case_id"].to_numpy()
    begins = np.flatnonzero(np.diff(case)) + 1
    assert len(begins) + 1 == pc.count_distinct(log["case_id"]).as_py()
    before, after = within_cases(log, "timestamp")
    assert pc.all(pc.less_equal(before, after)).as_py()


def test_the_layout_by_time_is_sorted_and_interleaved() -> None:
    log = table(200_000, layout="time")
    assert (np.diff(times(log)) >= 0).all()
    case = log["case_id"].to_numpy()
    assert (case[1:] != case[:-1]).mean() > 0.95


def test_the_shuffled_layout_is_in_no_order() -> None:
    log = table(200_000, layout="shuffled")
    assert np.mean(np.diff(times(log)) > 0) == pytest.approx(0.5, abs=0.01)
    case = log["case_id"].to_numpy()
    assert (case[1:] == case[:-1]).mean() < 0.001
    # A place in the log says nothing of a place in time.
    assert abs(np.corrcoef(np.arange(len(case)), times(log))[0, 1]) < 0.01


def test_the_engine_sees_the_layouts() -> None:
    found = {
        layout: pycjm.scan(pycjm.synth(50_000, layout=layout)).mine("overview")["overview"].to_pyarrow()["layout"]
        for layout in LAYOUTS
    }
    assert {layout: column[0].as_py() for layout, column in found.items()} == {
        "case": "case",
        "time": "time",
        "shuffled": "none",
    }


@ANY_LAYOUT
def test_how_the_work_is_done_changes_nothing(layout: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    expected = table(60_000, layout=layout, seed=5)
    monkeypatch.setattr(importlib.import_module("pycjm.synth"), "_threads", lambda: 1)
    assert table(60_000, layout=layout, seed=5, batch_rows=777).equals(expected)
    # Everything waits on disk.
    monkeypatch.setattr(buckets, "HELD_BYTES", 0)
    spilled = pycjm.synth(60_000, layout=layout, seed=5, temp_dir=tmp_path)
    first = spilled.read_next_batch()
    # A log this small is complete before its first window is, so what waits was spilled.
    assert bool(list(tmp_path.iterdir())) == (layout != "case")
    assert pa.Table.from_batches([first, *spilled]).equals(expected)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("layout", ["time", "shuffled"])
def test_a_reader_that_is_let_go_leaves_nothing(layout: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(buckets, "HELD_BYTES", 0)
    reader = pycjm.synth(50_000, layout=layout, temp_dir=tmp_path, batch_rows=10)
    reader.read_next_batch()
    assert list(tmp_path.iterdir())
    del reader
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("layout", ["time", "shuffled"])
def test_many_small_blocks_and_buckets(layout: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(blocks, "BLOCK_CASES", 50)
    monkeypatch.setattr(layouts, "BUCKET_EVENTS", 100)
    log, by_case = table(20_000, layout=layout), table(20_000)
    assert everything(log).equals(everything(by_case))
    ordered = np.mean(np.diff(times(log)) >= 0)
    assert ordered == 1 if layout == "time" else ordered < 0.55


def test_the_size_of_batches_changes_only_the_cuts() -> None:
    batches = list(pycjm.synth(5_000, layout="time", batch_rows=77))
    assert max(batch.num_rows for batch in batches) == 77
    assert pa.Table.from_batches(batches).equals(table(5_000, layout="time"))


def test_the_seed_decides() -> None:
    one, same, other = (table(1_000, seed=seed) for seed in (1, 1, 2))
    assert one.equals(same)
    assert not one.equals(other)


DIGESTS = {
    "case": "252e7ed1ef66aed0057d9390cfc4bc1763804914d87a9bd7a669a76f08c6a7e5",
    "time": "b9d5b647186dd29ab6c61aff544892541bb656904666e55f5a8a8c546da141ae",
    "shuffled": "89c09e0a76bd2c9cb1c22912b70a4faaf3e4c40a9f42db63c1dec5c5874c77a0",
}
"""SHA-256 of the rows: those of a seed are the same on every machine, and in every version that does not say so."""


@ANY_LAYOUT
def test_the_rows_of_a_seed_are_those_of_other_machines(layout: str) -> None:
    log = table(20_000, layout=layout, case_id="string", activities=60, seed=11)
    log = log.set_column(2, "timestamp", log["timestamp"].cast(pa.int64()))
    text = "\n".join(map(repr, zip(*(column.to_pylist() for column in log.columns), strict=True)))
    assert hashlib.sha256(text.encode()).hexdigest() == DIGESTS[layout]


def test_the_log_is_realistic(log: pa.Table) -> None:
    lengths = log.group_by("case_id").aggregate([([], "count_all")])["count_all"]
    assert 9 < pc.mean(lengths).as_py() < 11
    assert pc.max(lengths).as_py() > 15 * pc.quantile(lengths, 0.5)[0].as_py(), "the tail is not heavy"
    before, after = within_cases(log, "timestamp")
    gaps = pc.subtract(after.cast(pa.int64()), before.cast(pa.int64()))
    assert pc.min(gaps).as_py() == 0
    assert 0.0005 < pc.sum(pc.equal(gaps, 0)).as_py() / len(gaps) < 0.002
    hours = np.quantile(gaps.to_numpy(), [0.5, 0.99, 1]) / 3.6e9
    assert 1.8 < hours[0] < 2.2
    assert hours[1] > 40 * hours[0]
    assert hours[2] > 1000 * hours[0]
    assert pc.count_distinct(log["activity"]).as_py() == 40
    pairs = log.group_by(["activity", "channel"]).aggregate([])
    assert pairs.num_rows == 40
    assert pc.count_distinct(log["channel"]).as_py() == 6
    counts = sorted(log["activity"].value_counts().field("counts").to_pylist())
    assert counts[-1] > 4 * counts[0], "no activity stands out"
    assert pc.any(pc.not_equal(pc.microsecond(log["timestamp"]), 0)).as_py()


@pytest.mark.parametrize("seed", range(1, 6))
def test_activities_have_about_twelve_successors(seed: int) -> None:
    log = table(200_000, seed=seed)
    sources, targets = within_cases(log, "activity")
    edges = pa.table({"source": sources, "target": targets}).group_by(["source", "target"]).aggregate([])
    assert 430 < edges.num_rows < 570
    firsts = pc.count_distinct(pc.filter(log["activity"], pa.array(np.diff(log["case_id"].to_numpy(), prepend=0) != 0)))
    assert 1 < firsts.as_py() <= 9


@pytest.mark.parametrize("activities", [1, 2, 3, 13, 300])
def test_every_activity_occurs(activities: int) -> None:
    assert pc.count_distinct(table(100_000, activities=activities)["activity"]).as_py() == activities


def test_a_hundred_thousand_activities() -> None:
    labels, channels = model.alphabet(100_000)
    assert len(set(labels)) == len(channels) == 100_000
    log = table(1_500_000, activities=100_000)
    assert pc.count_distinct(log["activity"]).as_py() > 99_000
    sources, targets = within_cases(log, "activity")
    edges = pa.table({"source": sources, "target": targets}).group_by(["source", "target"]).aggregate([])
    assert edges.num_rows > 300_000


def test_ids_are_distinct_and_look_random() -> None:
    ids = blocks.scattered(np.arange(1_000_000))
    assert len(np.unique(ids)) == 1_000_000
    assert ids.min() >= 0
    assert (np.diff(ids) > 0).mean() == pytest.approx(0.5, abs=0.01)


def test_text_ids_are_the_numbers_in_hexadecimal() -> None:
    numbers, texts = (table(2_000, case_id=kind)["case_id"].to_pylist() for kind in ("int", "string"))
    assert texts == [f"J{number:016X}" for number in numbers]


@pytest.mark.parametrize(
    "wrong",
    [
        {"events": -1},
        {"events": 1.5},
        {"events": True},
        {"layout": "cases"},
        {"case_id": "uuid"},
        {"activities": 0},
        {"activities": 1 << 30},
        {"seed": -1},
        {"batch_rows": 0},
    ],
)
def test_wrong_arguments_are_named(wrong: dict[str, object]) -> None:
    ((name, _),) = wrong.items()
    with pytest.raises(errors.InvalidArgument) as caught:
        pycjm.synth(**({"events": 10} | wrong))
    assert caught.value.details["option"] == name
    assert name in str(caught.value)
