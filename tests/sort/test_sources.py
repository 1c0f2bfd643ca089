"""Can every kind of source be sorted, several files and folders with values included?"""

from __future__ import annotations

from pathlib import Path

import duckdb
import numpy as np
import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import truth

import pycjm

ROLES = {"case": "case", "activity": "activity", "timestamp": "timestamp"}
LIMITS = pytest.mark.parametrize("memory_limit", [None, truth.TINY])


@LIMITS
def test_several_parquet_files_are_one_log(tmp_path: Path, memory_limit: int | None) -> None:
    table = truth.log_table(21, 1800, case_id="int64")
    for number in range(3):
        pq.write_table(table.slice(600 * number, 600), tmp_path / f"{number}.parquet", row_group_size=250)
    path = tmp_path / "out" / "sorted.parquet"
    path.parent.mkdir()
    log = pycjm.scan(str(tmp_path / "*.parquet"), **ROLES)
    log.sort(path, memory_limit=memory_limit)
    truth.assert_same_rows(pq.read_table(path), truth.expected(table, case=["case"], timestamp="timestamp"))
    assert truth.tables(pycjm.scan(path, **ROLES)) == truth.tables(log)


def test_files_that_differ(tmp_path: Path) -> None:
    first = pa.table(
        {
            "case": pa.array([2, 1], pa.int32()),
            "activity": ["a", "b"],
            "timestamp": pa.array([2, 1], pa.timestamp("s", "UTC")),
            "only first": [1.5, 2.5],
            "number": pa.array([1, 2], pa.int8()),
        }
    )
    second = pa.table(
        {
            "activity": pa.array(["c", "d"]).dictionary_encode(),
            "number": pa.array([3, 1 << 40]),
            "timestamp": pa.array([3_000_000_001, 1], pa.timestamp("ns", "Asia/Tokyo")),
            "case": pa.array([1, 1 << 40]),
        }
    )
    paths = [tmp_path / "1.parquet", tmp_path / "2.parquet"]
    pq.write_table(first, paths[0], version="2.6", coerce_timestamps="ms")
    pq.write_table(second, paths[1])
    log = pycjm.scan(paths, **ROLES)
    log.sort(tmp_path / "sorted.parquet")
    found = pq.read_table(tmp_path / "sorted.parquet")
    assert found.column_names == ["case", "activity", "timestamp", "only first", "number"]
    assert found["case"].to_pylist() == [1, 1, 2, 1 << 40]
    assert found["activity"].to_pylist() == ["b", "c", "a", "d"]
    assert found["only first"].to_pylist() == [2.5, None, 1.5, None]
    assert found["number"].to_pylist() == [2, 3, 1, 1 << 40]
    assert found["timestamp"].cast(pa.int64()).to_pylist() == [10**9, 3 * 10**9 + 1, 2 * 10**9, 1]
    assert truth.tables(pycjm.scan(tmp_path / "sorted.parquet", **ROLES)) == truth.tables(log)


def test_files_that_do_not_fit_together(tmp_path: Path) -> None:
    plain = {"case": ["x"], "activity": ["a"], "timestamp": pa.array([1], pa.timestamp("us"))}
    paths = [tmp_path / "1.parquet", tmp_path / "2.parquet"]
    pq.write_table(pa.table(plain | {"value": [1.5]}), paths[0])
    pq.write_table(pa.table(plain | {"value": [["list"]]}), paths[1])
    with pytest.raises(pycjm.errors.InvalidData, match=r"column 'value' is double in .*1\.parquet and list"):
        pycjm.scan(paths, **ROLES).sort(tmp_path / "sorted.parquet")
    # A column that orders or names must be everywhere, as when the log is mined.
    pq.write_table(pa.table(plain).drop_columns(["case"]), paths[1])
    with pytest.raises(pycjm.errors.InvalidArgument, match=r"2\.parquet: unknown column 'case'"):
        pycjm.scan(paths, **ROLES).sort(tmp_path / "sorted.parquet")
    assert sorted(tmp_path.iterdir()) == paths


def test_folders_with_values_become_columns(tmp_path: Path) -> None:
    rows = {"activity": ["a", "b"], "timestamp": pa.array([2, 1], pa.timestamp("us", "UTC"))}
    for folder in ("day=10/shop=K%C3%B6ln", "day=9/shop=__HIVE_DEFAULT_PARTITION__"):
        (tmp_path / "log" / folder).mkdir(parents=True)
        pq.write_table(pa.table(rows), tmp_path / "log" / folder / "part.parquet")
    log = pycjm.scan(tmp_path / "log", case="day", activity="activity", timestamp="timestamp")
    path = tmp_path / "sorted.parquet"
    log.sort(path)
    assert pq.read_table(path).select(["day", "shop", "activity"]).to_pylist() == [
        {"day": 9, "shop": None, "activity": "b"},
        {"day": 9, "shop": None, "activity": "a"},
        {"day": 10, "shop": "Köln", "activity": "b"},
        {"day": 10, "shop": "Köln", "activity": "a"},
    ]
    again = pycjm.scan(path, case="day", activity="activity", timestamp="timestamp")
    assert truth.tables(again) == truth.tables(log)
    with pytest.raises(pycjm.errors.InvalidArgument, match="would lie in the directory"):
        log.sort(tmp_path / "log" / "sorted.parquet")


@LIMITS
def test_csv_becomes_typed_where_it_has_a_role(tmp_path: Path, memory_limit: int | None) -> None:
    rng = np.random.default_rng(22)
    n = 2500
    lines = ["customer,note,step,touchpoint,when"]
    for i in rng.permutation(n):
        minute = int(i) % 50
        note = '"a, b"' if i % 3 else ""
        lines.append(f"{i % 90:03d},{note},{[10, 9, 100][i % 3]},tp {i % 7},2026-03-29T0{i % 4}:{minute:02d}:00+02:00")
    source, path = tmp_path / "log.csv", tmp_path / "sorted.parquet"
    source.write_text("\n".join(lines) + "\n")
    roles = {"case": "customer", "activity": "touchpoint", "timestamp": "when", "order_by": "step"}
    log = pycjm.scan(source, **roles)
    told = log.sort(path, memory_limit=memory_limit)
    assert (told["runs"] > 1) == (memory_limit is not None)
    found = pq.read_table(path)
    assert [str(kind) for kind in found.schema.types] == [
        "string",
        "string",
        "int64",
        "string",
        "timestamp[us, tz=UTC]",
    ]
    read = pl.read_csv(source, schema_overrides={"customer": pl.String, "step": pl.Int64})
    wanted = read.with_columns(pl.col("when").str.to_datetime("%Y-%m-%dT%H:%M:%S%:z", time_unit="us"))
    wanted = wanted.sort("customer", "when", "step", maintain_order=True)
    assert pl.from_arrow(found).equals(wanted)
    assert truth.assert_declared_truly(path) == ["customer", "when"]
    # No format has to be said any more.
    assert truth.tables(pycjm.scan(path, **roles)) == truth.tables(log)


def test_a_date_and_a_time_stay_text(tmp_path: Path) -> None:
    source, path = tmp_path / "log.csv", tmp_path / "sorted.parquet"
    source.write_text("case;activity;d;t\nx;b;31.01.2026;09:00\nx;a;01.02.2026;08:00\nx;0;30.01.2026;10:00\n")
    roles = {"case": "case", "activity": "activity", "timestamp": ("d", "t"), "timestamp_format": "%d.%m.%Y %H:%M"}
    log = pycjm.scan(source, **roles)
    assert log.sort(path)["sorted_by"] == ["case"]
    found = pq.read_table(path)
    assert found["d"].to_pylist() == ["30.01.2026", "31.01.2026", "01.02.2026"]
    assert truth.assert_declared_truly(path) == ["case"]
    assert truth.tables(pycjm.scan(path, **roles)) == truth.tables(log)


def test_errors_in_a_csv_file_name_file_and_row(tmp_path: Path) -> None:
    paths = [tmp_path / "1.csv", tmp_path / "2.csv"]
    paths[0].write_text("case,activity,timestamp,more\nx,a,2026-01-01T00:00:00Z,1\n")
    paths[1].write_text("case,activity,timestamp,more\nx,a,2026-01-01T00:00:00Z,1\nx,a,late,2\n")
    with pytest.raises(pycjm.errors.InvalidData, match="late") as caught:
        pycjm.scan(paths, **ROLES).sort(tmp_path / "sorted.parquet")
    assert (caught.value.details["path"], caught.value.details["row"]) == (str(paths[1]), 2)
    paths[1].write_text("case,activity,timestamp,more\nx,a,2026-01-01T00:00:00Z\n")
    with pytest.raises(pycjm.errors.InvalidData, match="row 1 has 3 fields"):
        pycjm.scan(paths, **ROLES).sort(tmp_path / "sorted.parquet")
    assert sorted(tmp_path.iterdir()) == paths


XES = """<?xml version="1.0" encoding="UTF-8"?>
<log>{traces}</log>"""


@LIMITS
def test_xes(tmp_path: Path, memory_limit: int | None) -> None:
    rng = np.random.default_rng(23)
    traces, rows = [], []
    for case in rng.permutation(120):
        events = []
        for i, minute in enumerate(rng.integers(0, 12, 12)):
            cost = int(rng.integers(0, 9))
            extra = f'<int key="cost" value="{cost}"/>' if cost else ""
            events.append(
                f'<event><string key="concept:name" value="a{i % 4}"/>'
                f'<date key="time:timestamp" value="2026-01-01T10:{minute:02d}:00+01:00"/>{extra}</event>'
            )
            rows.append((f"c{case}", f"r{case % 3}", f"a{i % 4}", 9 * 60 + int(minute), cost or None))
        name = f'<string key="concept:name" value="c{case}"/><string key="region" value="r{case % 3}"/>'
        traces.append(f"<trace>{name}{''.join(events)}</trace>")
    source, path = tmp_path / "log.xes", tmp_path / "sorted.parquet"
    source.write_text(XES.format(traces="".join(traces)))
    log = pycjm.scan(source, order_by="cost")
    told = log.sort(path, memory_limit=memory_limit)
    assert (told["runs"] > 1) == (memory_limit is not None)
    ordered = sorted(rows, key=lambda row: (row[0], row[3], 99 if row[4] is None else row[4]))
    found = pq.read_table(path)
    assert found["case:concept:name"].to_pylist() == [row[0] for row in ordered]
    assert found["case:region"].to_pylist() == [row[1] for row in ordered]
    assert found["concept:name"].to_pylist() == [row[2] for row in ordered]
    assert found["cost"].to_pylist() == [row[4] for row in ordered]
    assert truth.assert_declared_truly(path) == ["case:concept:name", "time:timestamp"]
    assert truth.tables(pycjm.scan(path, order_by="cost")) == truth.tables(log)


def test_tables_of_other_libraries(tmp_path: Path) -> None:
    table = truth.log_table(24, 500, case_id="string", extra=False)
    wanted = truth.expected(table, case=["case"], timestamp="timestamp")
    frame = pl.from_arrow(table).with_columns(tags=pl.concat_list(pl.col("activity"), pl.col("case")))
    relation = duckdb.arrow(table)
    stream = pa.RecordBatchReader.from_batches(table.schema, table.to_batches(max_chunksize=77))
    ipc = tmp_path / "log.arrow"
    with pa.ipc.new_file(ipc, table.schema) as writer:
        writer.write_table(table, max_chunksize=91)
    for source in (frame, frame.to_pandas(), relation, stream, ipc, pa.table(table).to_batches()[0]):
        path = tmp_path / "sorted.parquet"
        pycjm.scan(source, **ROLES).sort(path, overwrite=True)
        found = pq.read_table(path)
        truth.assert_same_rows(found.select(["case", "activity", "row"]), wanted.select(["case", "activity", "row"]))
        if source is frame:
            pairs = zip(wanted["activity"].to_pylist(), wanted["case"].to_pylist(), strict=True)
            assert found["tags"].to_pylist() == [list(pair) for pair in pairs]


def test_an_already_sorted_file_stays_as_it_is(tmp_path: Path) -> None:
    table = truth.log_table(25, 700, case_id="uint64")
    once, twice = tmp_path / "once.parquet", tmp_path / "twice.parquet"
    pycjm.scan(table, **ROLES).sort(once)
    pycjm.scan(once, **ROLES).sort(twice)
    assert pq.read_table(once).equals(pq.read_table(twice)) or repr(pq.read_table(once).to_pylist()) == repr(
        pq.read_table(twice).to_pylist()
    )
    assert truth.declared(twice) == ["case", "timestamp"]
