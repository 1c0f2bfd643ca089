"""Does the shape of Arrow data - batches, slices, dictionaries, string layouts - leave the answer alone?"""

from __future__ import annotations

from typing import Any

import pyarrow as pa
import pytest
from attempts import attempt
from plain_log import ROLES, assert_right, columns, expected, in_batches, mined, table, timestamps

import pycjm
from pycjm import errors

TEXT = {"utf8": pa.utf8(), "large": pa.large_utf8(), "view": pa.string_view()}
INDEX = [pa.int8(), pa.uint8(), pa.int16(), pa.uint16(), pa.int32(), pa.uint32(), pa.int64(), pa.uint64()]


def text_ids() -> list[str]:
    return [f"case {number}" for number in columns()["case"]]


@pytest.mark.parametrize("rows", [1, 7, 64, 599, 600, 10_000])
def test_batches_of_any_size(rows: int) -> None:
    assert_right(in_batches(table(), rows))


@pytest.mark.parametrize("threads", [1, 2, 7])
def test_batches_of_odd_sizes_and_empty_ones(threads: int) -> None:
    whole, parts, begin = table(), [], 0
    for size in (0, 1, 0, 0, 250, 3, 0, 346, 0):
        parts += whole.slice(begin, size).combine_chunks().to_batches() if size else [_empty(whole.schema)]
        begin += size
    assert begin == whole.num_rows
    assert_right(pa.RecordBatchReader.from_batches(whole.schema, parts))
    assert mined(pa.Table.from_batches(parts), threads=threads) == expected()


def _empty(schema: pa.Schema) -> pa.RecordBatch:
    return pa.RecordBatch.from_arrays([pa.array([], field.type) for field in schema], schema=schema)


@pytest.mark.parametrize("batches", [[], ["empty"], ["empty", "empty"]])
def test_no_events_at_all(batches: list[str]) -> None:
    schema = table().schema
    reader = pa.RecordBatchReader.from_batches(schema, [_empty(schema) for _ in batches])
    found = mined(reader)
    (overview,) = found["overview"]
    assert (overview["events"], overview["cases"], overview["first_ts"], overview["layout"]) == (0, 0, None, "case")
    assert (found["activities"], found["dfg"], found["variants"], found["cases"]) == ([], [], [], [])
    (durations,) = found["durations"]
    assert durations == dict.fromkeys(durations, None) | {"n": 0}


@pytest.mark.parametrize("text", TEXT.values(), ids=TEXT)
@pytest.mark.parametrize("rows", [600, 23])
def test_text_of_every_layout(text: pa.DataType, rows: int) -> None:
    dressed = table(case=pa.array(text_ids(), text), activity=pa.array(columns()["activity"], text))
    assert_right(in_batches(dressed, rows), case_ids=lambda number: f"case {number}")


@pytest.mark.parametrize("index", INDEX, ids=str)
@pytest.mark.parametrize("rows", [600, 23])
def test_dictionaries_with_every_index(index: pa.DataType, rows: int) -> None:
    kind = pa.dictionary(index, pa.utf8())
    dressed = table(case=pa.array(text_ids(), kind), activity=pa.array(columns()["activity"], kind))
    assert_right(in_batches(dressed, rows), case_ids=lambda number: f"case {number}")


@pytest.mark.parametrize("values", [pa.large_utf8(), pa.string_view()], ids=str)
def test_dictionaries_of_other_text(values: pa.DataType) -> None:
    plain = pa.array(columns()["activity"], pa.dictionary(pa.int32(), pa.utf8()))
    dressed = pa.DictionaryArray.from_arrays(plain.indices, plain.dictionary.cast(values))
    assert_right(table(activity=dressed))


def test_dictionaries_that_differ_from_batch_to_batch() -> None:
    kind = pa.dictionary(pa.int8(), pa.utf8())
    dressed = in_batches(table(activity=pa.array(columns()["activity"], kind)), 50)
    dictionaries = {tuple(chunk.dictionary.to_pylist()) for chunk in dressed["activity"].chunks}
    assert len(dictionaries) > 3
    assert_right(dressed)
    assert_right(dressed.to_reader())


def test_dictionaries_with_repeated_unused_and_unsorted_values() -> None:
    names = sorted(set(columns()["activity"]))
    values = ["unused", *reversed(names), *names, "unused too"]
    spots = [[i for i, value in enumerate(values) if value == name] for name in columns()["activity"]]
    codes = [spot[row % len(spot)] for row, spot in enumerate(spots)]
    assert_right(table(activity=pa.DictionaryArray.from_arrays(pa.array(codes, pa.int16()), pa.array(values))))


def test_dictionaries_of_integers_as_cases() -> None:
    kind = pa.dictionary(pa.int16(), pa.int64())
    assert_right(in_batches(table(case=pa.array(columns()["case"], kind)), 40))


@pytest.mark.parametrize("where", ["keys", "values"])
def test_nulls_of_dictionaries(where: str) -> None:
    """A null may stand in the keys or in the dictionary; both are the same null."""
    plain = columns()["activity"]
    wanted = [None if name == "view" else name for name in plain]
    if where == "keys":
        activity = pa.array(wanted, pa.dictionary(pa.int32(), pa.utf8()))
    else:
        names = sorted(set(plain))
        values = pa.array([None if name == "view" else name for name in names])
        activity = pa.DictionaryArray.from_arrays(pa.array([names.index(name) for name in plain], pa.int32()), values)
    with pytest.raises(errors.InvalidData, match="activity") as caught:
        pycjm.scan(table(activity=activity), **ROLES).mine()
    assert caught.value.details["count"] == plain.count("view")
    assert caught.value.details["row"] == plain.index("view") + 1
    without = mined(table(activity=pa.array(wanted)), on_null="drop")
    assert without["overview"][0]["dropped_rows"]["activity"] == plain.count("view")
    assert mined(table(activity=activity), on_null="drop") == without


@pytest.mark.parametrize("kind", ["plain", "view", "dictionary", "large"])
def test_slices(kind: str) -> None:
    kinds = {
        "plain": (pa.int64(), pa.utf8()),
        "view": (pa.string_view(), pa.string_view()),
        "large": (pa.large_utf8(), pa.large_utf8()),
        "dictionary": (pa.dictionary(pa.int32(), pa.utf8()), pa.dictionary(pa.int8(), pa.utf8())),
    }[kind]
    numbers = columns()["case"]
    ids = numbers if kind == "plain" else text_ids()
    junk = 13
    whole = pa.table(
        {
            "case": _padded(ids, kinds[0], junk),
            "activity": _padded(columns()["activity"], kinds[1], junk),
            "at": _padded(timestamps().cast(pa.int64()).to_pylist(), pa.timestamp("us", "UTC"), junk),
        }
    )
    part = whole.slice(junk, len(ids))
    assert part["case"].chunk(0).offset == junk
    assert_right(part, case_ids=(lambda number: number) if kind == "plain" else (lambda number: f"case {number}"))
    pieces = pa.concat_tables([part.slice(begin, 111) for begin in range(0, len(ids), 111)])
    assert pieces["activity"].num_chunks > 1
    assert mined(pieces) == mined(part)


def _padded(values: list[Any], kind: pa.DataType, junk: int) -> pa.Array:
    """The values between nulls, to be sliced out: validity bits begin inside a byte."""
    return pa.array([None] * junk + values + [None] * junk, kind)


def test_slices_with_nulls_inside() -> None:
    activity = [None if row % 9 == 0 else name for row, name in enumerate(columns()["activity"])]
    padded = pa.array(["x", None, "x", *activity], pa.utf8()).slice(3)
    found = mined(table(activity=padded), on_null="drop")
    assert found == mined(table(activity=pa.array(activity)), on_null="drop")
    assert found["overview"][0]["dropped_rows"] == {"case": 0, "activity": activity.count(None), "timestamp": 0}


def test_a_column_with_two_roles() -> None:
    found = mined(table(case=pa.array(columns()["activity"])), activity="case")
    assert found["overview"][0]["edges"] == len(set(columns()["activity"]))


def test_other_columns_do_not_matter() -> None:
    n = table().num_rows
    more = {
        "list": pa.array([[1]] * n),
        "struct": pa.array([{"a": 1}] * n),
        "nothing": pa.nulls(n),
        "decimal": pa.array([1] * n, pa.decimal128(38, 3)),
        "months": pa.array([pa.MonthDayNano([1, 2, 3])] * n, pa.month_day_nano_interval()),
        "map": pa.array([[("k", 1)]] * n, pa.map_(pa.utf8(), pa.int64())),
        "half": pa.array([None] * n, pa.float16()),
        "ends": pa.RunEndEncodedArray.from_arrays([n], ["x"]),
    }
    assert_right(table(**more))


NO_CASE = {
    "float": pa.array([1.5]),
    "list": pa.array([["a"]]),
    "struct": pa.array([{"a": 1}]),
    "null": pa.nulls(1),
    "boolean": pa.array([True]),
}


@pytest.mark.parametrize("kind", NO_CASE)
def test_types_that_are_no_case(kind: str) -> None:
    one = pa.table({"case": NO_CASE[kind], "activity": ["a"], "at": pa.array([1], pa.timestamp("s"))})
    with pytest.raises((errors.InvalidArgument, errors.InvalidData, errors.Unsupported), match="case"):
        pycjm.scan(one, **ROLES).mine()


@pytest.mark.parametrize("kind", ["float", "list", "struct", "null"])
def test_types_that_are_no_activity(kind: str) -> None:
    one = pa.table({"case": [1], "activity": NO_CASE[kind], "at": pa.array([1], pa.timestamp("s"))})
    with pytest.raises((errors.InvalidArgument, errors.InvalidData, errors.Unsupported), match="activity"):
        pycjm.scan(one, **ROLES).mine()


@pytest.mark.parametrize(
    "times", [pa.array([1]), pa.array(["2024-01-01"]), pa.array([1.5]), pa.array([1], pa.time64("us")), pa.nulls(1)]
)
def test_types_that_are_no_time(times: pa.Array) -> None:
    one = pa.table({"case": [1], "activity": ["a"], "at": times})
    with pytest.raises((errors.InvalidArgument, errors.InvalidData, errors.Unsupported), match=r"^timestamp is "):
        pycjm.scan(one, **ROLES).mine()


def test_runs_as_a_role_are_right_or_refused() -> None:
    ends = pa.RunEndEncodedArray.from_arrays([2, 3], ["a", "b"])
    log = pa.table({"case": [1, 1, 1], "activity": ends, "at": pa.array([1, 2, 3], pa.timestamp("s"))})
    found, refused = attempt(lambda: pycjm.scan(log, **ROLES).mine("dfg")["dfg"].to_pyarrow().to_pylist())
    if found is None:
        assert "activity" in str(refused)
    else:
        assert [row["source"] + row["target"] for row in found] == ["aa", "ab"]
