"""Is a sorted log what plain Python makes of the rows, for every type of case, source and amount of memory?"""

from __future__ import annotations

import hashlib
from pathlib import Path

import numpy as np
import polars as pl
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
import pytest
import random_logs
import truth

import pycjm

ROLES = {"case": "case", "activity": "activity", "timestamp": "timestamp"}


@pytest.mark.parametrize("case_id", sorted(random_logs.CASE_IDS))
def test_every_kind_of_case(tmp_path: Path, case_id: str) -> None:
    seed = sorted(random_logs.CASE_IDS).index(case_id)
    n = 90 if case_id in ("int8", "uint8") else 400
    table = random_logs.in_chunks(truth.log_table(seed, n, case_id=case_id), 37)
    log = pycjm.scan(table, **ROLES, order_by=["rank", "weight"])
    path = tmp_path / "sorted.parquet"
    told = log.sort(path)
    assert told["rows"] == n
    assert told["runs"] == 0
    found = pq.read_table(path)
    truth.assert_same_rows(
        found, truth.expected(table, case=["case"], timestamp="timestamp", order_by=["rank", "weight"])
    )
    assert truth.assert_declared_truly(path) == told["sorted_by"] == ["case", "timestamp"]
    again = pycjm.scan(path, **ROLES, order_by=["rank", "weight"])
    assert truth.tables(again) == truth.tables(log)
    assert again.mine("overview")["overview"].to_pyarrow()["layout"].to_pylist() == ["case"]


@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize("layout", random_logs.LAYOUTS)
def test_little_memory_gives_the_same_rows(tmp_path: Path, seed: int, layout: str) -> None:
    case_id = ["uuid", "int64", "dictionary", "string"][seed]
    table = truth.log_table(seed, 3000, case_id=case_id, layout=layout)
    log = pycjm.scan(table, **ROLES, order_by="rank")
    path = tmp_path / "sorted.parquet"
    told = log.sort(path, memory_limit=truth.TINY, spill_dir=tmp_path)
    assert told["runs"] > 5
    assert told["spilled_bytes"] > 0
    truth.assert_same_rows(
        pq.read_table(path), truth.expected(table, case=["case"], timestamp="timestamp", order_by=["rank"])
    )
    truth.assert_declared_truly(path)
    assert sorted(tmp_path.iterdir()) == [path]


def test_the_bytes_depend_on_the_data_only(tmp_path: Path) -> None:
    table = truth.log_table(5, 5000, case_id="int64", extra=False)
    digests = set()
    for number, (rows, options) in enumerate(
        [
            (5000, {}),
            (5000, {"threads": 1}),
            (113, {"threads": 3}),
            (700, {"memory_limit": 4_000_000, "threads": 2}),
            (700, {"memory_limit": 300_000, "threads": 7}),
        ]
    ):
        path = tmp_path / f"{number}.parquet"
        chunks = random_logs.in_chunks(table, rows)
        told = pycjm.scan(chunks, **ROLES).sort(path, row_group_rows=512, **options)
        assert told["row_group_rows"] == 512
        assert told["row_groups"] == 10
        assert (told["runs"] > 3) == (options.get("memory_limit") == 300_000)
        digests.add(hashlib.sha256(path.read_bytes()).hexdigest())
    assert len(digests) == 1


def test_a_large_log_agrees_with_polars(tmp_path: Path) -> None:
    table = random_logs.draw_log(8, 60_000, n_cases=3_000, case_id="text of 16 bytes", layout="time", time_range=9_000)
    table = table.append_column("row", pa.array(np.arange(60_000)))
    source, path = tmp_path / "log.parquet", tmp_path / "sorted.parquet"
    pq.write_table(table, source, row_group_size=9_000)
    log = pycjm.scan(source, **ROLES)
    told = log.sort(path, memory_limit=4_000_000)
    assert told["runs"] > 8
    wanted = pl.from_arrow(table).sort("case", "timestamp", maintain_order=True)
    assert pl.from_arrow(pq.read_table(path)).equals(wanted)
    assert truth.assert_declared_truly(path) == ["case", "timestamp"]
    assert truth.tables(pycjm.scan(path, **ROLES)) == truth.tables(log)


@pytest.mark.parametrize("memory_limit", [None, truth.TINY])
def test_one_case_may_be_larger_than_memory(tmp_path: Path, memory_limit: int | None) -> None:
    n = 6000
    rng = np.random.default_rng(3)
    table = pa.table(
        {
            "case": pa.array(["one"] * (n - 2) + ["a", "z"]),
            "activity": pa.array([f"a{i % 5}" for i in range(n)]),
            # Two times only, so that nearly everything is a tie and the position in the log decides.
            "timestamp": pa.array(rng.integers(0, 2, n), pa.timestamp("us", "UTC")),
            "row": pa.array(np.arange(n)),
        }
    )
    path = tmp_path / "sorted.parquet"
    told = pycjm.scan(table, **ROLES).sort(path, memory_limit=memory_limit)
    assert (told["runs"] > 4) == (memory_limit is not None)
    truth.assert_same_rows(pq.read_table(path), truth.expected(table, case=["case"], timestamp="timestamp"))


@pytest.mark.parametrize("memory_limit", [None, truth.TINY])
def test_a_case_of_several_columns(tmp_path: Path, memory_limit: int | None) -> None:
    table = truth.log_table(11, 2000, case_id="int16")
    site = pa.array([f"site{'x' * (i % 4)}" for i in range(2000)])
    table = table.append_column("site", site)
    roles = ROLES | {"case": ["site", "case"]}
    log = pycjm.scan(table, **roles)
    path = tmp_path / "sorted.parquet"
    log.sort(path, memory_limit=memory_limit)
    truth.assert_same_rows(pq.read_table(path), truth.expected(table, case=["site", "case"], timestamp="timestamp"))
    assert truth.assert_declared_truly(path) == ["site", "case", "timestamp"]
    assert truth.tables(pycjm.scan(path, **roles)) == truth.tables(log)


@pytest.mark.parametrize("memory_limit", [None, truth.TINY])
def test_nulls_in_roles_are_dropped(tmp_path: Path, memory_limit: int | None) -> None:
    rng = np.random.default_rng(4)
    table = truth.log_table(12, 2500, case_id="string")
    for at, name in enumerate(("case", "activity", "timestamp")):
        gone = pa.array(rng.random(2500) < 0.1 * (at + 1))
        holes = pc.if_else(gone, pa.scalar(None, table[name].type), table[name])
        table = table.set_column(table.column_names.index(name), name, holes)
    log = pycjm.scan(table, **ROLES, on_null="drop")
    path = tmp_path / "sorted.parquet"
    told = log.sort(path, memory_limit=memory_limit)
    kept = table.filter(
        pc.and_(pc.and_(table["case"].is_valid(), table["activity"].is_valid()), table["timestamp"].is_valid())
    )
    truth.assert_same_rows(pq.read_table(path), truth.expected(kept, case=["case"], timestamp="timestamp"))
    overview = log.mine("overview")["overview"].to_pyarrow().to_pylist()[0]
    assert told["dropped_rows"] == overview["dropped_rows"]
    assert sum(told["dropped_rows"].values()) == 2500 - kept.num_rows
    assert truth.tables(pycjm.scan(path, **ROLES)) == truth.tables(log)
    refused = pycjm.scan(table, **ROLES)
    with pytest.raises(pycjm.errors.InvalidData) as caught:
        refused.sort(tmp_path / "none.parquet", memory_limit=memory_limit)
    assert caught.value.details["row"] >= 1
    assert sorted(tmp_path.iterdir()) == [path]


def test_a_selection_is_what_is_written(tmp_path: Path) -> None:
    table = truth.log_table(13, 600, case_id="int32")
    states = pa.array([["start", "COMPLETE", None][i % 3] for i in range(600)])
    table = table.append_column("lifecycle:transition", states)
    log = pycjm.scan(table, **ROLES, lifecycle="complete")
    path = tmp_path / "sorted.parquet"
    assert log.sort(path)["rows"] == 200
    kept = table.filter(pc.equal(table["lifecycle:transition"], "COMPLETE"))
    truth.assert_same_rows(pq.read_table(path), truth.expected(kept, case=["case"], timestamp="timestamp"))


def test_types_stay(tmp_path: Path) -> None:
    table = truth.log_table(14, 300, case_id="uuid")
    path = tmp_path / "sorted.parquet"
    pycjm.scan(table, **ROLES).sort(path)
    plainly = tmp_path / "plain.parquet"
    pq.write_table(table, plainly)
    wanted = pq.read_schema(plainly)
    # All batches together may have more values than 8 bits tell apart.
    at = wanted.get_field_index("coded")
    assert pq.read_schema(path).equals(wanted.set(at, pa.field("coded", pa.dictionary(pa.int32(), pa.string()))))
    # Only the schema of the source can say which of its metadata still holds.
    described = table.replace_schema_metadata({"owner": "shop", "pandas": "{}"})
    pycjm.scan(described, **ROLES).sort(path, overwrite=True)
    assert pq.read_schema(path).metadata == {b"owner": b"shop"}


@pytest.mark.parametrize(
    ("kind", "zone", "declares"),
    [
        (pa.timestamp("us", "Europe/Berlin"), None, True),
        (pa.timestamp("us"), None, True),
        (pa.timestamp("us"), "UTC", True),
        (pa.timestamp("us"), "Europe/Berlin", False),
        (pa.date32(), None, True),
        (pa.int64(), None, True),
        (pa.string(), None, False),
    ],
)
def test_only_what_is_true_is_declared(tmp_path: Path, kind: pa.DataType, zone: str | None, declares: bool) -> None:
    # In 2025 the clocks of Berlin went back on 26 October, so that 02:30 comes twice, and out of order without it.
    seconds = [1761442200 + 600 * ((i * 7) % 24) for i in range(48)]
    stamps = pa.array(seconds, pa.timestamp("s"))
    text = stamps.cast(pa.timestamp("us")).cast(pa.string())
    times = {
        pa.date32(): stamps.cast(pa.date32()),
        pa.int64(): pa.array(seconds),
        # Days before months, as people write them: no order of times.
        pa.string(): pa.array([f"{value[8:10]}.{value[5:7]}.{value[:4]} {value[11:19]}" for value in text.to_pylist()]),
    }.get(kind) or stamps.cast(kind)
    table = pa.table({"case": pa.array([i % 3 for i in range(48)]), "activity": ["a"] * 48, "timestamp": times})
    more = {pa.int64(): {"timestamp_unit": "s"}, pa.string(): {"timestamp_format": "%d.%m.%Y %H:%M:%S"}}.get(kind, {})
    log = pycjm.scan(table, **ROLES, timezone=zone, **more)
    path = tmp_path / "sorted.parquet"
    log.sort(path)
    assert truth.assert_declared_truly(path) == ["case", "timestamp"][: 1 + declares]
    assert truth.tables(pycjm.scan(path, **ROLES, timezone=zone, **more)) == truth.tables(log)


@pytest.mark.parametrize("memory_limit", [None, truth.TINY])
def test_an_empty_log(tmp_path: Path, memory_limit: int | None) -> None:
    table = truth.log_table(15, 40, case_id="int64").slice(0, 0)
    path = tmp_path / "sorted.parquet"
    told = pycjm.scan(table, **ROLES).sort(path, memory_limit=memory_limit)
    assert (told["rows"], told["row_groups"]) == (0, 0)
    found = pq.read_table(path)
    assert (found.num_rows, found.column_names) == (0, table.column_names)
    assert pycjm.scan(path, **ROLES).mine("overview")["overview"].to_pyarrow()["events"].to_pylist() == [0]
