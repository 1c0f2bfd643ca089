"""Is the log the same however its Parquet files are written?"""

from __future__ import annotations

import datetime
import os
import uuid
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.dataset as ds
import pyarrow.parquet as pq
import pytest
from attempts import attempt
from plain_log import ROLES, assert_right, columns, expected, mined, table, timestamps

import pycjm
from pycjm import errors

CODECS = ["none", "snappy", "gzip", "brotli", "lz4", "zstd"]


def write(path: Path, data: pa.Table | None = None, **options: Any) -> Path:
    pq.write_table(table() if data is None else data, path, **options)
    return path


@pytest.mark.parametrize("rows", [1, 2, 7, 100, 599, 600, 601])
@pytest.mark.parametrize("threads", [1, 2, 7])
def test_row_groups_of_any_size(tmp_path: Path, rows: int, threads: int) -> None:
    path = write(tmp_path / "log.parquet", row_group_size=rows)
    assert pycjm.scan(path).describe().row_groups == -(-600 // rows)
    assert mined(path, threads=threads) == expected()


@pytest.mark.parametrize(
    "options",
    [
        *({"compression": codec} for codec in CODECS),
        {"data_page_version": "2.0"},
        {"use_dictionary": False},
        {"use_dictionary": ["activity"]},
        {"dictionary_pagesize_limit": 40},  # falls back to plain pages within a row group
        {"data_page_size": 64},
        {"write_statistics": False},
        {"write_page_index": True},
        {"column_encoding": {"case": "DELTA_BINARY_PACKED", "activity": "DELTA_BYTE_ARRAY"}, "use_dictionary": False},
        {
            "column_encoding": {"activity": "DELTA_LENGTH_BYTE_ARRAY", "at": "BYTE_STREAM_SPLIT"},
            "use_dictionary": False,
        },
        {"store_schema": False},
        {"version": "1.0"},
        {"write_page_checksum": True},
    ],
    ids=str,
)
def test_encodings(tmp_path: Path, options: dict[str, Any]) -> None:
    assert_right(write(tmp_path / "log.parquet", row_group_size=77, **options))


@pytest.mark.parametrize("stored", [True, False])
def test_dictionaries_in_a_file(tmp_path: Path, stored: bool) -> None:
    kind = pa.dictionary(pa.int32(), pa.utf8())
    dressed = table(activity=pa.array(columns()["activity"], kind))
    assert_right(write(tmp_path / "log.parquet", dressed, row_group_size=50, store_schema=stored))


@pytest.mark.parametrize("text", [pa.utf8(), pa.large_utf8(), pa.string_view()], ids=str)
def test_text_ids(tmp_path: Path, text: pa.DataType) -> None:
    ids = pa.array([f"case {number}" for number in columns()["case"]], text)
    assert_right(write(tmp_path / "log.parquet", table(case=ids)), case_ids=lambda number: f"case {number}")


def test_uuids(tmp_path: Path) -> None:
    ids = pa.array([uuid.UUID(int=number).bytes for number in columns()["case"]], pa.binary(16))
    path = write(tmp_path / "log.parquet", table(case=pa.uuid().wrap_array(ids)))
    found = mined(path)
    assert [uuid.UUID(bytes=_bytes(row["case"])).int for row in found["cases"]] == [
        row["case"] for row in expected()["cases"]
    ]
    assert found["dfg"] == expected()["dfg"]


def _bytes(value: Any) -> bytes:
    return value.bytes if isinstance(value, uuid.UUID) else value


def test_unsigned_ids(tmp_path: Path) -> None:
    ids = pa.array([2**64 - 1 - number for number in columns()["case"]], pa.uint64())
    assert_right(write(tmp_path / "log.parquet", table(case=ids)), case_ids=lambda number: 2**64 - 1 - number)


def test_int96_times(tmp_path: Path) -> None:
    """They are nanoseconds, unless the file remembers the unit that they once had."""
    for stored, unit in ((False, "ns"), (True, "us")):
        path = write(
            tmp_path / "log.parquet", use_deprecated_int96_timestamps=True, row_group_size=100, store_schema=stored
        )
        assert pq.ParquetFile(path).schema.column(2).physical_type == "INT96"
        assert_right(path, unit=unit)


def test_int96_times_keep_their_nanoseconds(tmp_path: Path) -> None:
    log = pa.table({"case": [1, 1], "activity": ["a", "b"], "at": pa.array([1, 2], pa.timestamp("ns"))})
    for stored in (True, False):
        path = write(tmp_path / "log.parquet", log, use_deprecated_int96_timestamps=True, store_schema=stored)
        assert mined(path)["dfg"][0]["total_s"] == 1e-9


def test_int96_times_outside_the_range_of_nanoseconds(tmp_path: Path) -> None:
    """The year 3000 fits INT96 and no 64-bit nanoseconds: a right answer or an error, no wrapped time."""
    years = [datetime.datetime(2000, 1, 1), datetime.datetime(3000, 1, 1)]
    log = pa.table({"case": [1, 1], "activity": ["a", "b"], "at": pa.array(years, pa.timestamp("us"))})
    path = write(tmp_path / "log.parquet", log, use_deprecated_int96_timestamps=True)
    found, refused = attempt(lambda: mined(path)["dfg"])
    if found is None:
        assert "'at'" in str(refused)
    else:
        assert [row["total_s"] for row in found] == [(years[1] - years[0]).total_seconds()]


@pytest.mark.parametrize("unit", ["s", "ms", "us", "ns"])
@pytest.mark.parametrize("zone", [None, "UTC", "Europe/Berlin"])
def test_times(tmp_path: Path, unit: str, zone: str | None) -> None:
    path = write(tmp_path / "log.parquet", table(at=timestamps(pa.timestamp(unit, zone))))
    held = "ms" if unit == "s" else unit  # Parquet has no seconds
    assert_right(path, unit=held)


@pytest.mark.parametrize("kind", [pa.date32(), pa.date64()], ids=str)
def test_days(tmp_path: Path, kind: pa.DataType) -> None:
    days = pa.array([second // 977 % 300 for second in columns()["at"]], pa.int32()).cast(pa.date32()).cast(kind)
    assert mined(write(tmp_path / "log.parquet", table(at=days)))["dfg"] == mined(table(at=days))["dfg"]


def parts(folder: Path, *, n: int = 4) -> list[Path]:
    """The log in files of about the same size, in order."""
    folder.mkdir(parents=True, exist_ok=True)
    size = -(-600 // n)
    return [write(folder / f"part-{i}.parquet", table().slice(i * size, size), row_group_size=40) for i in range(n)]


def test_lists_directories_and_patterns(tmp_path: Path) -> None:
    paths = parts(tmp_path / "log")
    for source in (
        paths,
        [str(path) for path in paths],
        tmp_path / "log",
        str(tmp_path / "log" / "*.parquet"),
        str(tmp_path / "l?g" / "part-[0-9].parquet"),
        str(tmp_path / "**" / "*.parquet"),
        [*paths[:2], str(tmp_path / "log" / "part-[23]*")],
    ):
        assert_right(source)
    (first, second) = (mined(source)["overview"][0] for source in (paths, paths[::-1]))
    assert (first["events"], second["events"]) == (600, 600)


def test_files_are_read_in_the_given_order(tmp_path: Path) -> None:
    """Ties are broken by the position in the log, and that is file order."""
    one = write(tmp_path / "z.parquet", _single("a"))
    other = write(tmp_path / "a.parquet", _single("b"))

    def edge(source: Any) -> tuple[str, str]:
        (row,) = mined(source)["dfg"]
        return row["source"], row["target"]

    assert edge([one, other]) == ("a", "b")
    assert edge([other, one]) == ("b", "a")
    assert edge(tmp_path) == ("b", "a")


def _single(activity: str, unit: str = "us") -> pa.Table:
    at = pa.array([START], pa.timestamp("s")).cast(pa.timestamp(unit, "UTC"))
    return pa.table({"case": [1], "activity": [activity], "at": at})


START = columns()["at"][0]


def test_folders_with_folders(tmp_path: Path) -> None:
    parts(tmp_path / "log" / "b" / "deep", n=1)
    (tmp_path / "log" / "a").mkdir()
    os.rename(tmp_path / "log" / "b" / "deep" / "part-0.parquet", tmp_path / "log" / "b" / "deep" / "x.parquet")
    (tmp_path / "log" / "_SUCCESS").write_bytes(b"")
    (tmp_path / "log" / ".hidden.parquet").write_bytes(b"junk")
    assert_right(tmp_path / "log")


def by(name: str, kind: pa.DataType) -> ds.Partitioning:
    """Folders named by a column."""
    return ds.partitioning(pa.schema([(name, kind)]), flavor="hive")


def test_partition_columns(tmp_path: Path) -> None:
    """Folders named key=value are columns, with any of the roles."""
    dressed = table(channel=pa.array(["web" if number % 3 else "a b/ü%" for number in columns()["case"]]))
    for rows in (dressed, dressed.append_column("row", pa.array(range(600)))):
        folder = tmp_path / str(rows.num_columns)
        ds.write_dataset(rows, folder, format="parquet", partitioning=by("channel", pa.utf8()))
        described = pycjm.scan(folder).describe()
        assert "channel" in [column.name for column in described.columns]
    found = mined(folder, activity=["channel", "activity"], order_by="row")
    assert found["dfg"] == mined(dressed, activity=["channel", "activity"], backend="reference")["dfg"]


def test_partitions_as_the_case(tmp_path: Path) -> None:
    whole = table(case=pa.array([number % 5 for number in columns()["case"]]))
    ds.write_dataset(whole, tmp_path / "log", format="parquet", partitioning=by("case", pa.int64()))
    found = mined(tmp_path / "log")
    wanted = mined(whole, backend="reference")
    assert found["variants"] == wanted["variants"]
    assert sorted(str(row["case"]) for row in found["cases"]) == sorted(str(row["case"]) for row in wanted["cases"])


def test_files_of_different_units_come_to_the_finest(tmp_path: Path) -> None:
    paths = []
    for i, unit in enumerate(("ms", "ns", "us")):
        part = table(at=timestamps(pa.timestamp(unit, "UTC"))).slice(i * 200, 200)
        paths.append(write(tmp_path / f"{i}.parquet", part))
    assert_right(paths, unit="ns")
    result = pycjm.scan(paths, **ROLES).mine("overview")
    assert result["overview"].schema.field("first_ts").type.unit == "ns"


def test_files_with_columns_in_another_order_and_more_columns(tmp_path: Path) -> None:
    one = write(tmp_path / "0.parquet", table().slice(0, 300))
    other = table(more=pa.array(range(600))).slice(300).select(["more", "at", "activity", "case"])
    assert_right([one, write(tmp_path / "1.parquet", other)])


def test_files_of_different_text_layouts(tmp_path: Path) -> None:
    kinds = [pa.utf8(), pa.large_utf8(), pa.dictionary(pa.int32(), pa.utf8()), pa.string_view()]
    paths = [
        write(tmp_path / f"{i}.parquet", table(activity=pa.array(columns()["activity"], kind)).slice(i * 150, 150))
        for i, kind in enumerate(kinds)
    ]
    assert_right(paths)


def test_a_file_without_the_column_is_named(tmp_path: Path) -> None:
    one = write(tmp_path / "one.parquet")
    other = write(tmp_path / "other.parquet", table().drop_columns(["at"]))
    with pytest.raises((errors.InvalidArgument, errors.InvalidData), match="at") as caught:
        mined([one, other])
    assert "other.parquet" in str(caught.value)


def test_files_of_types_that_do_not_meet_are_refused(tmp_path: Path) -> None:
    one = write(tmp_path / "one.parquet")
    other = write(tmp_path / "other.parquet", table(case=pa.array([str(number) for number in columns()["case"]])))
    with pytest.raises((errors.InvalidArgument, errors.InvalidData, errors.Unsupported), match="case"):
        mined([one, other])


def test_integer_ids_of_different_width_stay_the_same_ids(tmp_path: Path) -> None:
    """Either refused, or the same numbers: never other cases."""
    one = write(tmp_path / "0.parquet", table().slice(0, 300))
    narrow = table(case=pa.array(columns()["case"], pa.int16())).slice(300)
    other = write(tmp_path / "1.parquet", narrow)
    found, refused = attempt(lambda: mined([one, other]))
    if found is None:
        assert "case" in str(refused)
    else:
        assert found == expected()


def test_empty_row_groups(tmp_path: Path) -> None:
    path = tmp_path / "log.parquet"
    with pq.ParquetWriter(path, table().schema) as writer:
        for begin, size in ((0, 0), (0, 100), (100, 0), (100, 0), (100, 499), (599, 1), (600, 0)):
            writer.write_table(table().slice(begin, size), row_group_size=max(size, 1))
            if size == 0:
                writer.write_batch(pa.RecordBatch.from_pylist([], schema=table().schema))
    assert_right(path)


@pytest.mark.parametrize("groups", [0, 1])
def test_empty_files(tmp_path: Path, groups: int) -> None:
    path = tmp_path / "empty.parquet"
    with pq.ParquetWriter(path, table().schema) as writer:
        for _ in range(groups):
            writer.write_table(table().slice(0, 0))
    found = mined(path)
    assert found["overview"][0]["events"] == 0
    assert found["dfg"] == found["cases"] == []
    assert_right([path, *parts(tmp_path / "log"), path])


def test_a_folder_without_files_is_told(tmp_path: Path) -> None:
    with pytest.raises((errors.IoError, errors.InvalidArgument, errors.InvalidData)):
        mined(tmp_path)


def test_a_file_of_no_bytes_is_told(tmp_path: Path) -> None:
    (tmp_path / "x.parquet").write_bytes(b"")
    with pytest.raises(errors.InvalidData, match=r"x\.parquet"):
        mined(tmp_path / "x.parquet")


def test_a_cut_file_is_told(tmp_path: Path) -> None:
    whole = write(tmp_path / "whole.parquet").read_bytes()
    for size in (3, 7, 8, 50, len(whole) // 2, len(whole) - 1):
        (tmp_path / "cut.parquet").write_bytes(whole[:size])
        with pytest.raises(errors.InvalidData, match=r"cut\.parquet"):
            mined(tmp_path / "cut.parquet")


def test_nested_columns_beside_the_roles_are_not_read(tmp_path: Path) -> None:
    more = table(
        items=pa.array([[{"sku": str(row)}] * (row % 4) for row in range(600)]),
        tags=pa.array([[("a", row)] for row in range(600)], pa.map_(pa.utf8(), pa.int64())),
    )
    assert_right(write(tmp_path / "log.parquet", more, row_group_size=90))


def test_nulls(tmp_path: Path) -> None:
    case, activity, at = columns()["case"], columns()["activity"], timestamps()
    holes = table(
        case=pa.array([None if row % 50 == 3 else value for row, value in enumerate(case)]),
        activity=pa.array([None if row % 40 == 3 else value for row, value in enumerate(activity)]),
        at=pa.array([None if row % 30 == 3 else value for row, value in enumerate(at.to_pylist())], at.type),
    )
    path = write(tmp_path / "log.parquet", holes, row_group_size=25)
    for threads in (1, 7):
        found = mined(path, on_null="drop", threads=threads)
        assert found == mined(holes, on_null="drop", backend="reference")
    lost = found["overview"][0]["dropped_rows"]
    rows = range(600)
    no_case = {row for row in rows if row % 50 == 3}
    no_activity = {row for row in rows if row % 40 == 3} - no_case
    no_time = {row for row in rows if row % 30 == 3} - no_case - no_activity
    assert lost == {"case": len(no_case), "activity": len(no_activity), "timestamp": len(no_time)}
    with pytest.raises(errors.InvalidData) as caught:
        mined(path)
    assert caught.value.details["row"] == 4  # counted from 1


def test_columns_of_nested_structs_can_be_refused_by_name(tmp_path: Path) -> None:
    nested = table(inside=pa.array([{"at": 1}] * 600))
    with pytest.raises(errors.InvalidArgument, match=r"inside\.at|unknown column"):
        mined(write(tmp_path / "log.parquet", nested), timestamp="inside.at")


def test_two_columns_of_one_name_are_listed_and_refused(tmp_path: Path) -> None:
    """Nobody could say which is meant; a name that is not used may come as often as it likes."""
    path = tmp_path / "log.parquet"
    columns = [pa.array(["1"]), pa.array(["2"]), pa.array(["a"]), pa.array([0], pa.timestamp("s"))]
    pq.write_table(pa.Table.from_arrays(columns, ["case", "case", "activity", "at"]), path)
    log = pycjm.scan(path, case="case", activity="activity", timestamp="at")
    with pytest.raises(errors.InvalidArgument, match=r"2 columns are named .case., so it is not clear which is meant"):
        log.mine("cases")
    assert [column.name for column in log.describe().columns] == ["case", "case", "activity", "at"]
    pq.write_table(pa.Table.from_arrays(columns, ["n", "case", "activity", "n"]).append_column("at", columns[3]), path)
    assert log.mine("cases")["cases"].to_pyarrow()["case"].to_pylist() == ["2"]


def test_links_in_circles_count_no_event_twice(tmp_path: Path) -> None:
    folder = tmp_path / "log"
    folder.mkdir()
    columns = {"case": ["1"], "activity": ["a"], "timestamp": pa.array([0], pa.timestamp("s"))}
    pq.write_table(pa.table(columns), folder / "a.parquet")
    for name in ("loop", "again"):
        (folder / name).symlink_to(".", target_is_directory=True)
    for source in (folder, folder / "*", folder / "**", folder / "**" / "*.parquet"):
        row = pycjm.scan(str(source)).mine("overview")["overview"].to_pyarrow().to_pylist()[0]
        assert row["events"] == 1, source
