"""Is a log with case ids in a dictionary mined as the same log with plain ones, whatever the dictionary holds?"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

import pycjm
from pycjm import errors

MEASURES = ("overview", "activities", "dfg", "variants", "durations", "cases")
ROLES = {"case": "case_id", "activity": "activity", "timestamp": "timestamp"}
LAYOUTS = ("case", "time", "shuffled")


def mined(table: pa.Table, **how: object) -> dict[str, pa.Table]:
    result = pycjm.scan(table, **ROLES).mine(*MEASURES, percentiles=[50, 95], **how)
    return {name: found.to_pyarrow() for name, found in result.items()}


def plain_log(layout: str, events: int = 20_000) -> pa.Table:
    return pycjm.synth(events, layout=layout, case_id="string").read_all().combine_chunks()


def with_ids(table: pa.Table, ids: pa.Array | pa.ChunkedArray) -> pa.Table:
    return table.set_column(table.column_names.index("case_id"), "case_id", ids)


def shared(ids: pa.ChunkedArray, kind: pa.DataType, *, twice: bool) -> pa.DictionaryArray:
    """A dictionary with values that no row has, some null, and, if `twice`, each one a second time."""
    coded = ids.combine_chunks().dictionary_encode()
    values, rng = coded.dictionary.to_pylist(), np.random.default_rng(5)
    again = values if twice else []
    dictionary = pa.array([None, *values, "nobody", *again, None], kind)
    second = rng.integers(0, 2, len(coded)) if twice else np.zeros(len(coded), int)
    return pa.DictionaryArray.from_arrays(
        pa.array(coded.indices.to_numpy() + 1 + second * (len(values) + 1), pa.int32()), dictionary
    )


@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize("kind", [pa.string(), pa.large_string(), pa.string_view()], ids=str)
@pytest.mark.parametrize("twice", [False, True])
def test_shared_dictionaries(layout: str, kind: pa.DataType, twice: bool) -> None:
    table = plain_log(layout)
    expected = mined(table, threads=1)
    coded = with_ids(table, shared(table["case_id"], kind, twice=twice))
    for threads in (1, 3):
        found = mined(coded, threads=threads)
        ids = found["cases"].column(0)
        assert ids.type == kind
        cases = found["cases"].set_column(0, expected["cases"].schema.field(0), ids.cast(pa.string()))
        assert cases.equals(expected["cases"])
        assert all(found[name].equals(expected[name]) for name in MEASURES if name != "cases")


@pytest.mark.parametrize("layout", LAYOUTS)
def test_a_dictionary_for_each_batch(layout: str) -> None:
    table = plain_log(layout)
    expected = mined(table)
    parts = [table.slice(at, 3_000) for at in range(0, len(table), 3_000)]
    chunks = [shared(part["case_id"], pa.string(), twice=i % 2 == 0) for i, part in enumerate(parts)]
    coded = with_ids(table, pa.chunked_array(chunks))
    assert all(found.equals(expected[name]) for name, found in mined(coded).items())


def test_null_ids_and_spilled_rows(tmp_path: Path) -> None:
    table = plain_log("shuffled", 200_000)
    ids = shared(table["case_id"], pa.string(), twice=True)
    indices = ids.indices.to_numpy().copy()
    indices[::7] = 0  # a null of the dictionary
    holes = pa.array(indices, mask=np.arange(len(indices)) % 11 == 0)
    coded = with_ids(table, pa.DictionaryArray.from_arrays(holes, ids.dictionary))
    kept = coded.filter(coded["case_id"].combine_chunks().dictionary_decode().is_valid())
    expected = mined(with_ids(kept, kept["case_id"].cast(pa.string())))

    def dropping(**how: object) -> pycjm.Result:
        return pycjm.scan(coded, **ROLES, on_null="drop").mine(*MEASURES, percentiles=[50, 95], **how)

    for found in (dropping(), dropping(memory_limit=8 << 20, spill_dir=tmp_path)):
        tables = {name: found[name].to_pyarrow() for name in MEASURES if name != "overview"}
        assert all(tables[name].equals(expected[name]) for name in tables)
    assert found.info["spilled_bytes"] > 0


@pytest.mark.parametrize("lost", [slice(0, 300_000), slice(100_000, 400_000), slice(0, 400_000)], ids=str)
def test_batches_that_lose_all_their_rows(lost: slice) -> None:
    table = plain_log("time", 400_000)
    coded = with_ids(table, shared(table["case_id"], pa.string(), twice=True))
    kept = np.ones(len(table), bool)
    kept[lost] = False
    expected = pycjm.scan(table.filter(pa.array(kept)), **ROLES).mine(*MEASURES)
    state = pa.array(np.where(kept, "complete", "start"))
    by_state = pycjm.scan(coded.append_column("lifecycle:transition", state), **ROLES, lifecycle="complete")
    holes = with_ids(
        coded,
        pa.DictionaryArray.from_arrays(
            pa.array(coded["case_id"].combine_chunks().indices.to_numpy(), mask=~kept),
            coded["case_id"].chunk(0).dictionary,
        ),
    )
    for log in (by_state, pycjm.scan(holes, **ROLES, on_null="drop")):
        found = log.mine(*MEASURES)
        assert all(found[name].to_pyarrow().equals(expected[name].to_pyarrow()) for name in MEASURES[1:])
    with pytest.raises(errors.InvalidData, match="is null"):
        pycjm.scan(holes, **ROLES).mine("overview")


def test_a_dictionary_larger_than_the_log() -> None:
    table = plain_log("time", 3_000)
    coded = with_ids(table, shared(table["case_id"], pa.string(), twice=True)).slice(100, 40)
    assert all(found.equals(mined(table.slice(100, 40))[name]) for name, found in mined(coded).items())


def test_states_of_both_merge(tmp_path: Path) -> None:
    table = plain_log("time", 5_000)
    expected = mined(table)
    half = np.array([hash(i) % 2 for i in table["case_id"].to_pylist()], bool)
    states = []
    for name, part in (("a", table.filter(pa.array(half))), ("b", table.filter(pa.array(~half)))):
        coded = with_ids(part, shared(part["case_id"], pa.string(), twice=True))
        states.append(tmp_path / f"{name}.arrow")
        pycjm.scan(coded, **ROLES).mine(*MEASURES[:-1], percentiles=[50, 95], state=states[-1])
    merged = pycjm.merge(states, percentiles=[50, 95])
    assert all(merged[name].to_pyarrow().equals(expected[name]) for name in ("dfg", "variants", "durations"))
    again = tmp_path / "again.arrow"
    again.write_bytes(states[0].read_bytes())
    with pytest.raises(errors.InvalidData, match=r"both|twice"):
        pycjm.merge([states[0], again])


def broken_values(rows: int) -> pa.DictionaryArray:
    values = pa.array(["fine", "wrong"]).buffers()
    damaged = pa.StringArray.from_buffers(2, values[1], pa.py_buffer(b"fine\xff\xff\xff\xff\xff"))
    return pa.DictionaryArray.from_arrays(pa.array(np.zeros(rows, np.int32)), damaged)


def test_broken_dictionaries_are_refused_wherever_they_come() -> None:
    table = plain_log("case", 700_000)
    good = shared(table["case_id"], pa.string(), twice=False)
    late = pa.chunked_array([good.slice(0, 600_000), broken_values(100_000)])
    with pytest.raises(errors.InvalidData, match=r"case_id.*rows 600000"):
        mined(with_ids(table, late))
    indices = good.indices.to_numpy().copy()
    indices[650_000] = len(good.dictionary)
    beyond = pa.DictionaryArray.from_arrays(pa.array(indices), good.dictionary, safe=False)
    with pytest.raises(errors.InvalidData, match=r"case_id.*out of bounds"):
        mined(with_ids(table, beyond))


@pytest.mark.parametrize("kind", ["int8", "int16", "int32", "int64"])
@pytest.mark.parametrize("key", [-128, -100, -1])
def test_negative_keys_are_refused_whatever_the_dictionary_holds(kind: str, key: int) -> None:
    """Without its sign the byte -1 is 255, and a dictionary may well have as many values."""
    times = pa.array([1, 2, 3, 4], pa.timestamp("us"))
    for size in (2, 129, 200, 257):
        values = pa.array([f"y{i:03}" for i in range(size)])
        keys = pa.array(np.array([0, 1, key, 1], kind))
        broken = pa.DictionaryArray.from_arrays(keys, values, safe=False)
        for column in ("case_id", "activity"):
            table = pa.table({"case_id": ["a"] * 4, "activity": ["b"] * 4, "timestamp": times})
            place = table.schema.get_field_index(column)
            with pytest.raises(errors.InvalidData, match=rf"{column}.*rows 0 to 3"):
                pycjm.scan(table.set_column(place, column, broken), **ROLES).mine("activities")
            # Below a null anything may stand.
            hidden = pa.DictionaryArray.from_arrays(
                pa.Array.from_buffers(keys.type, 4, [pa.py_buffer(b"\x0b"), keys.buffers()[1]]), values, safe=False
            )
            found = pycjm.scan(table.set_column(place, column, hidden), on_null="drop", **ROLES).mine("overview")
            assert found["overview"].to_pyarrow()["events"].to_pylist() == [3]


def test_a_broken_batch_is_told_before_a_failure_that_comes_after_it() -> None:
    table = plain_log("case", 5_000)
    broken = with_ids(table, broken_values(len(table))).to_batches()

    def batches() -> Iterator[pa.RecordBatch]:
        yield from broken
        raise ValueError("the producer failed later")

    reader = pa.RecordBatchReader.from_batches(broken[0].schema, batches())
    with pytest.raises(errors.InvalidData, match=r"case_id.*rows 0 to"):
        pycjm.scan(reader, **ROLES).mine("overview")


def test_files_with_dictionaries(tmp_path: Path) -> None:
    table = plain_log("shuffled")
    coded = with_ids(table, table["case_id"].dictionary_encode())
    pq.write_table(coded, tmp_path / "log.parquet", row_group_size=4_000)
    found = pycjm.scan(tmp_path / "log.parquet", **ROLES).mine(*MEASURES, percentiles=[50, 95])
    expected = mined(table)
    assert all(found[name].to_pyarrow().equals(expected[name]) for name in MEASURES)
