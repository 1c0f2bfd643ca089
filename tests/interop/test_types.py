"""Is every type of case id and of time taken for what it is?"""

from __future__ import annotations

import datetime
import json
import uuid
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from attempts import attempt
from plain_log import ROLES, START_S, assert_right, columns, expected, in_batches, mined, table, timestamps

import pycjm
from pycjm import errors

DAY_S = 86_400
INTEGERS = [pa.int8(), pa.int16(), pa.int32(), pa.int64(), pa.uint8(), pa.uint16(), pa.uint32(), pa.uint64()]
UNITS = ("s", "ms", "us", "ns")
ZONES = (None, "UTC", "Europe/Berlin", "America/St_Johns", "+05:45", "-03:30")


def _numbers(make: Any) -> list[Any]:
    return [make(number) for number in columns()["case"]]


@pytest.mark.parametrize("kind", INTEGERS, ids=str)
def test_integers_as_cases(kind: pa.DataType) -> None:
    """Numbers from both ends of the range, so that a cast on the way would show."""
    lowest = -(2 ** (kind.bit_width - 1)) if pa.types.is_signed_integer(kind) else 0
    highest = lowest + 2**kind.bit_width - 1

    def number(case: int) -> int:
        return lowest + case if case % 2 else highest - case

    dressed = table(case=pa.array(_numbers(number), kind))
    assert_right(dressed, case_ids=number)
    cases = pycjm.scan(dressed, **ROLES).mine("cases")["cases"].to_pyarrow()
    assert cases.schema.field("case").type == kind


def test_unsigned_ids_beyond_the_signed_range_stay_apart() -> None:
    ids = pa.array([2**63, 2**63 - 1, 2**64 - 1, 0, 2**63], pa.uint64())
    log = pa.table({"case": ids, "activity": list("abcde"), "at": pa.array(range(5), pa.timestamp("s"))})
    result = pycjm.scan(log, **ROLES).mine("cases", "dfg")
    assert result["cases"].to_pyarrow()["case"].to_pylist() == [2**63, 2**63 - 1, 2**64 - 1, 0]
    assert [(row["source"], row["target"]) for row in result["dfg"].to_pyarrow().to_pylist()] == [("a", "e")]


@pytest.mark.parametrize("rows", [600, 31])
def test_uuids_as_cases(rows: int) -> None:
    def name(case: int) -> uuid.UUID:
        return uuid.UUID(int=(case << 100) | 7)

    ids = pa.array([name(case).bytes for case in columns()["case"]], pa.binary(16))
    assert_right(in_batches(table(case=pa.uuid().wrap_array(ids)), rows), case_ids=name)
    assert_right(in_batches(table(case=ids), rows), case_ids=lambda case: name(case).bytes)


@pytest.mark.parametrize("width", [1, 3, 8, 16, 40])
def test_bytes_of_fixed_size_as_cases(width: int) -> None:
    def name(case: int) -> bytes:
        return bytes([case, *[0] * (width - 1)])

    assert_right(table(case=pa.array(_numbers(name), pa.binary(width))), case_ids=name)


@pytest.mark.parametrize("kind", [pa.binary(), pa.large_binary()], ids=str)
def test_bytes_as_cases_are_right_or_refused(kind: pa.DataType) -> None:
    dressed = table(case=pa.array(_numbers(lambda case: b"\xff%d" % case), kind))
    _, refused = attempt(lambda: mined(dressed))
    if refused is None:
        assert_right(dressed, case_ids=lambda case: b"\xff%d" % case)
    else:
        assert "case" in str(refused)


def test_ids_that_differ_only_late_or_invisibly() -> None:
    """A hash or a fixed prefix is no identity."""
    ids = ["", "\0", "\0\0", "a", "a\0", "x" * 5000, "x" * 4999 + "y", "é", "e\u0301", " a", "A"]
    log = pa.table({"case": ids * 2, "activity": ["a"] * 22, "at": pa.array(range(22), pa.timestamp("s"))})
    for kind in (pa.utf8(), pa.large_utf8(), pa.string_view(), pa.dictionary(pa.int8(), pa.utf8())):
        log = log.set_column(0, "case", pa.array(ids * 2, kind))
        cases = pycjm.scan(log, **ROLES).mine("cases")["cases"].to_pyarrow()
        assert cases["case"].to_pylist() == ids
        assert cases["events"].to_pylist() == [2] * len(ids)


@pytest.mark.parametrize("unit", UNITS)
@pytest.mark.parametrize("zone", ZONES)
def test_times_of_every_unit_and_zone(unit: str, zone: str | None) -> None:
    dressed = table(at=timestamps(pa.timestamp(unit, zone)))
    assert_right(dressed, unit=unit)
    result = pycjm.scan(dressed, **ROLES).mine("overview")
    assert result["overview"].schema.field("first_ts").type == pa.timestamp(unit, zone)
    assert result.info["naive_timestamps"] == (zone is None)


@pytest.mark.parametrize("source", ["naive", "aware"])
def test_the_zone_of_naive_times(source: str) -> None:
    """Naive times with a zone become instants; on the night of the change an hour is longer than it looks."""
    wall = [datetime.datetime(2026, 3, 29, 1, 30), datetime.datetime(2026, 3, 29, 3, 30)]
    stamps = pa.array(wall, pa.timestamp("us"))
    if source == "aware":
        stamps = pa.array([1_774_744_200, 1_774_747_800], pa.timestamp("s", "Europe/Berlin"))
    log = pa.table({"case": [1, 1], "activity": ["a", "b"], "at": stamps})
    (row,) = mined(log, timezone="Europe/Berlin")["dfg"]
    assert row["total_s"] == 3600.0
    (row,) = mined(log)["dfg"]
    assert row["total_s"] == (7200.0 if source == "naive" else 3600.0)


@pytest.mark.parametrize("kind", [pa.date32(), pa.date64()], ids=str)
def test_days(kind: pa.DataType) -> None:
    days = [second // 977 % 300 for second in columns()["at"]]
    dates = pa.array(days, pa.int32()).cast(pa.date32()).cast(kind)
    unit = "s" if kind == pa.date32() else "ms"
    seconds = timestamps(pa.timestamp(unit), [day * DAY_S for day in days])
    found = mined(table(at=dates))
    assert found["dfg"] == mined(table(at=seconds))["dfg"]
    assert found["overview"] == mined(table(at=seconds))["overview"]
    result = pycjm.scan(table(at=dates), **ROLES).mine("overview")
    assert result["overview"].schema.field("first_ts").type == pa.timestamp(unit)


@pytest.mark.parametrize("unit", UNITS)
@pytest.mark.parametrize("kind", [pa.int64(), pa.uint64()], ids=str)
def test_integers_as_times(unit: str, kind: pa.DataType) -> None:
    ticks = timestamps(pa.timestamp(unit)).cast(pa.int64()).cast(kind)
    assert_right(table(at=ticks), unit=unit, timestamp_unit=unit)


def test_small_integers_as_times() -> None:
    seconds = pa.array([second - START_S for second in columns()["at"]], pa.int32())
    found = mined(table(at=seconds), timestamp_unit="s")
    assert found["dfg"] == expected("s")["dfg"]


def test_integers_without_a_unit_are_refused() -> None:
    with pytest.raises(errors.InvalidArgument, match="timestamp_unit"):
        mined(table(at=pa.array(columns()["at"])))


@pytest.mark.parametrize("text", [pa.utf8(), pa.large_utf8(), pa.string_view(), pa.dictionary(pa.int32(), pa.utf8())])
def test_text_as_times(text: pa.DataType) -> None:
    moments = [datetime.datetime.fromtimestamp(second, datetime.UTC) for second in columns()["at"]]
    iso = pa.array([moment.isoformat() for moment in moments], text)
    assert_right(table(at=iso), timestamp_format="iso8601")
    clock = pa.array([moment.strftime("%d.%m.%Y %H:%M:%S") for moment in moments], text)
    assert_right(table(at=clock), timestamp_format="%d.%m.%Y %H:%M:%S")
    days = pa.array([moment.strftime("%Y-%m-%d") for moment in moments], text)
    times = pa.array([moment.strftime("%H:%M:%S") for moment in moments], text)
    pair = table(at=days).append_column("clock", times)
    assert_right(pair, timestamp=("at", "clock"), timestamp_format="%Y-%m-%d %H:%M:%S")


def test_text_without_a_format_is_refused() -> None:
    with pytest.raises((errors.InvalidArgument, errors.InvalidData), match="timestamp_format"):
        mined(table(at=pa.array(["2024-01-01"] * 600)))


@pytest.mark.parametrize("unit", UNITS)
def test_the_ends_of_time(unit: str) -> None:
    """Sums of differences are exact beyond 64 bits; one difference beyond them is refused, never wrapped."""
    names = ("dfg", "variants", "durations", "activities")
    for first, last in ((-(2**62), 2**62 - 1), (-(2**63), -1), (0, 2**63 - 1), (-(2**63), 2**63 - 1)):
        ends = pa.array([first, last] * 3, pa.timestamp(unit, "UTC"))
        log = pa.table({"case": [1, 1, 2, 2, 3, 3], "activity": ["a", "b"] * 3, "at": ends})
        events = pycjm.scan(log, **ROLES)
        native, refused = attempt(lambda events=events: events.mine(*names))
        if native is None:
            assert last - first >= 2**63
            assert "too far apart" in str(refused)
            continue
        reference = events.mine(*names, backend="reference")
        assert all(native[name].to_pyarrow().equals(reference[name].to_pyarrow()) for name in names)


def test_times_too_far_apart_are_refused_however_rows_are_grouped() -> None:
    """The first and the last time of all: not those of a case, a batch, a partition or a thread."""
    rows = 300_000  # in several batches and partitions
    ends = np.arange(rows, dtype=np.int64)
    ends[7], ends[-7] = -(2**62), 2**62
    case = np.arange(rows) // 5
    for lay in (case, np.random.default_rng(1).permutation(case)):
        columns = {"case": lay, "activity": ["a"] * rows, "at": pa.array(ends, pa.timestamp("us", "UTC"))}
        events = pycjm.scan(pa.table(columns), **ROLES)
        for threads in (1, 2, 5):
            for measures in (("overview",), ("dfg",), ("durations",)):
                with pytest.raises(errors.InvalidData, match="too far apart"):
                    events.mine(*measures, threads=threads)
        with pytest.raises(errors.InvalidData, match="too far apart"):
            events.mine("overview", state=True)
        with pytest.raises(errors.InvalidData, match="too far apart"):
            events.mine("overview", backend="reference")


def test_start_and_end_of_different_units_and_zones() -> None:
    """Both are brought to the finer unit, and both are instants."""
    ends = timestamps(pa.timestamp("s", "Europe/Berlin"))
    starts = pa.array([second * 1000 - 500 for second in columns()["at"]], pa.timestamp("ms", "UTC"))
    dressed = table(at=ends, begin=starts)
    same = table(
        at=timestamps(pa.timestamp("ms", "UTC")),
        begin=starts,
    )
    options = {"start_timestamp": "begin"}
    assert mined(dressed, **options) == mined(same, backend="reference", **options)


@pytest.mark.parametrize("dress", [pa.int64(), pa.uint8(), pa.float64(), pa.utf8(), pa.timestamp("ms"), pa.date32()])
def test_columns_that_break_ties(dress: pa.DataType) -> None:
    keys = [(row * 7919) % 5 for row in range(600)]
    values = pa.array([str(key) for key in keys]) if dress == pa.utf8() else pa.array(keys, pa.int32())
    if dress == pa.timestamp("ms"):
        values = values.cast(pa.int64())
    dressed = table(key=values.cast(dress))
    found = mined(dressed, order_by="key")
    assert found == mined(table(key=pa.array(keys)), backend="reference", order_by="key")
    assert found["dfg"] != mined(dressed)["dfg"]


@pytest.mark.parametrize(
    "keys",
    [
        pa.array([3, 2, None, float("nan"), 1], pa.float16()),
        pa.nulls(5),
        pa.array([b"\xff", b"a", None, b"a longer key than twelve bytes", b""], pa.binary_view()),
    ],
    ids=lambda keys: str(keys.type),
)
def test_odd_columns_that_break_ties_do_so_in_every_backend(keys: pa.Array) -> None:
    log = pa.table(
        {"case": [1] * 5, "activity": list("abcde"), "at": pa.array([1] * 5, pa.timestamp("s")), "key": keys}
    )
    native, numba, reference = (
        pycjm.scan(log, **ROLES, order_by="key").mine("variants", backend=backend)["variants"].to_pyarrow()
        for backend in ("native", "numba", "reference")
    )
    assert native.equals(reference)
    assert native.equals(numba)


@pytest.mark.parametrize("backend", ["numba", "reference"])
@pytest.mark.parametrize(
    "keys",
    [pa.array([[1], [None]]), pa.array([{"x": 2}, {"x": 1}]), pa.array([(1, 2, 3)] * 2, "month_day_nano_interval")],
)
def test_columns_that_only_the_engine_orders_by_are_refused_by_name(keys: pa.Array, backend: str) -> None:
    log = pa.table({"case": [1] * 2, "activity": list("ab"), "at": pa.array([1] * 2, pa.timestamp("s")), "key": keys})
    with pytest.raises(errors.Unsupported, match=r"does not order events by .*order_by column 1.*backend='native'"):
        pycjm.scan(log, **ROLES, order_by="key").mine("variants", backend=backend)


def test_views_of_binary_as_cases(tmp_path: Path) -> None:
    ids = [b"x", b"an id of more than twelve bytes", b"x"]
    log = pa.table(
        {"case": pa.array(ids, pa.binary_view()), "activity": list("abc"), "at": pa.array([1, 2, 3], pa.timestamp("s"))}
    )
    found = {
        backend: pycjm.scan(log, **ROLES).mine("cases", backend=backend)["cases"] for backend in ("native", "reference")
    }
    assert found["native"].to_pyarrow().to_pylist() == found["reference"].to_pyarrow().to_pylist()
    assert found["reference"].to_pyarrow()["case"].to_pylist() == ids[:2]
    found["native"].write(tmp_path / "cases.json")
    assert [row["case"] for row in json.loads((tmp_path / "cases.json").read_text())] == [
        name.hex() for name in ids[:2]
    ]


def test_several_columns_as_case() -> None:
    numbers = columns()["case"]
    dressed = table(
        tens=pa.array([f"{number // 10}" for number in numbers], pa.large_utf8()),
        ones=pa.array([f"{number % 10}" for number in numbers], pa.dictionary(pa.int8(), pa.utf8())),
    )
    options = {"case": ["tens", "ones"], "joiner": "-"}
    assert_right(dressed, case_ids=lambda number: f"{number // 10}-{number % 10}", **options)


@pytest.mark.parametrize(
    ("given", "named"),
    [("europe/berlin", "Europe/Berlin"), ("utc", "UTC"), ("EST5EDT", "EST5EDT"), ("+0530", "+05:30")],
)
def test_results_name_a_zone_as_every_library_does(given: str, named: str) -> None:
    """pyarrow forgives no letter case: its tables could not be shown."""
    naive = table(at=timestamps(pa.timestamp("us")))
    first = pycjm.scan(naive, **ROLES, timezone=given).mine("overview")["overview"].to_pyarrow()["first_ts"]
    assert first.type == pa.timestamp("us", named)
    assert first[0].as_py().utcoffset() is not None


@pytest.mark.parametrize("zone", ["Europe/Atlantis", "Etc/Unknown", "+25:00", "+2"])
def test_zones_that_nobody_knows(zone: str) -> None:
    with pytest.raises(errors.InvalidArgument, match=r"timezone .* is not known; use an IANA name"):
        pycjm.scan(table(), **ROLES, timezone=zone).mine("overview")
