"""Is the log the same from every library that has tables?"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.dataset as ds
import pyarrow.parquet as pq
import pytest
from plain_log import ACTIVITIES, ROLES, assert_right, columns, in_batches, table, timestamps

import pycjm
from pycjm import errors


class Stream:
    """A foreign stream: nothing but the protocol."""

    def __init__(self, data: Any) -> None:
        self.data = data

    def __arrow_c_stream__(self, requested_schema: object = None) -> object:
        return self.data.__arrow_c_stream__(requested_schema)


class Batch:
    """A foreign batch: the protocol of one array."""

    def __arrow_c_array__(self, requested_schema: object = None) -> object:
        return table().combine_chunks().to_batches()[0].__arrow_c_array__(requested_schema)

    def __len__(self) -> int:
        return table().num_rows


def write(tmp_path: Path) -> Path:
    pq.write_table(table(), tmp_path / "log.parquet", row_group_size=50)
    return tmp_path / "log.parquet"


def polars_frame(**casts: str) -> Any:
    polars = pytest.importorskip("polars")
    kinds = {"Categorical": polars.Categorical, "Enum": polars.Enum(ACTIVITIES)}
    frame = polars.from_arrow(table())
    return frame.with_columns(polars.col(name).cast(kinds[kind]) for name, kind in casts.items())


def polars_in_chunks(tmp_path: Path) -> Any:
    polars = pytest.importorskip("polars")
    frame = polars_frame()
    return polars.concat([frame.slice(begin, 70) for begin in range(0, frame.height, 70)], rechunk=False)


def duckdb_relation(tmp_path: Path) -> Any:
    return pytest.importorskip("duckdb").from_arrow(table())


def duckdb_enum(tmp_path: Path) -> Any:
    duckdb = pytest.importorskip("duckdb")
    connection = duckdb.connect()
    connection.register("log", table(row=pa.array(range(table().num_rows))))
    names = ", ".join("'" + name + "'" for name in sorted(ACTIVITIES))
    connection.execute(f"create type touchpoint as enum ({names})")
    return connection.sql('select "case", activity::touchpoint as activity, "at", row from log order by row')


def duckdb_over_parquet(tmp_path: Path) -> Any:
    return pytest.importorskip("duckdb").read_parquet(str(write(tmp_path)))


def pandas_frame(tmp_path: Path) -> Any:
    pytest.importorskip("pandas")
    return table().to_pandas()


def pandas_arrow_backed(tmp_path: Path) -> Any:
    pandas = pytest.importorskip("pandas")
    return table().to_pandas(types_mapper=pandas.ArrowDtype)


def pandas_categories(tmp_path: Path) -> Any:
    return pandas_frame(tmp_path).astype({"activity": "category"})


def pandas_with_an_odd_index(tmp_path: Path) -> Any:
    frame = pandas_frame(tmp_path)
    frame.index = [f"row {i % 7}" for i in range(len(frame))]
    return frame


REPEATABLE: dict[str, Callable[[Path], Any]] = {
    "pyarrow table": lambda tmp_path: table(),
    "pyarrow table in batches": lambda tmp_path: in_batches(table(), 37),
    "pyarrow batch": lambda tmp_path: table().combine_chunks().to_batches()[0],
    "dataset of a file": lambda tmp_path: ds.dataset(write(tmp_path)),
    "dataset in memory": lambda tmp_path: ds.dataset(in_batches(table(), 90)),
    "scanner": lambda tmp_path: ds.dataset(write(tmp_path)).scanner(columns=["at", "activity", "case"]),
    "polars frame": lambda tmp_path: polars_frame(),
    "polars frame in chunks": polars_in_chunks,
    "polars categorical": lambda tmp_path: polars_frame(activity="Categorical"),
    "polars enum": lambda tmp_path: polars_frame(activity="Enum"),
    "polars lazy frame": lambda tmp_path: polars_frame().lazy(),
    "duckdb relation": duckdb_relation,
    "duckdb enum": duckdb_enum,
    "duckdb over parquet": duckdb_over_parquet,
    "pandas frame": pandas_frame,
    "pandas arrow-backed frame": pandas_arrow_backed,
    "pandas categories": pandas_categories,
    "pandas with an odd index": pandas_with_an_odd_index,
    "foreign batch": lambda tmp_path: Batch(),
    "our own log": lambda tmp_path: pycjm.scan(table(), **ROLES),
}


@pytest.mark.parametrize("name", REPEATABLE)
def test_every_kind_of_table_gives_the_same_twice(tmp_path: Path, name: str) -> None:
    source = REPEATABLE[name](tmp_path)
    options = {"timestamp": "timestamp"} if name == "our own log" else {}
    assert_right(source, **options)
    assert_right(source, **options)


@pytest.mark.parametrize(
    "open_stream",
    [
        lambda: table().to_reader(),
        lambda: in_batches(table(), 11).to_reader(),
        lambda: Stream(in_batches(table(), 100)),
        lambda: ds.dataset(table()).scanner().to_reader(),
    ],
    ids=["reader", "reader of small batches", "foreign stream", "reader of a scanner"],
)
def test_streams(open_stream: Callable[[], Any]) -> None:
    assert_right(open_stream())


def test_a_reader_that_fails_midway_says_why() -> None:
    whole = in_batches(table(), 100)

    def batches() -> Any:
        yield whole.to_batches()[0]
        raise OSError("the network went away")

    reader = pa.RecordBatchReader.from_batches(whole.schema, batches())
    with pytest.raises(errors.PycjmError, match="the network went away"):
        pycjm.scan(reader, **ROLES).mine()


def test_a_dataset_filters_what_is_seen(tmp_path: Path) -> None:
    scanner = ds.dataset(write(tmp_path)).scanner(filter=ds.field("activity") != "search")
    (row,) = pycjm.scan(scanner, **ROLES).mine("overview")["overview"].to_pyarrow().to_pylist()
    assert row["events"] == sum(name != "search" for name in columns()["activity"])


def test_a_caller_keeps_the_frame_as_it_was() -> None:
    pandas = pytest.importorskip("pandas")
    frame = table().to_pandas()
    before = frame.copy(deep=True)
    assert_right(frame)
    pandas.testing.assert_frame_equal(frame, before)


def test_naive_times_of_pandas_and_polars_are_utc() -> None:
    pytest.importorskip("pandas")
    polars = pytest.importorskip("polars")
    naive = table(at=timestamps(pa.timestamp("us")))
    for source in (naive, naive.to_pandas(), polars.from_arrow(naive)):
        assert_right(source)


def test_a_table_is_only_borrowed() -> None:
    source = table()
    first = pycjm.scan(source, **ROLES).mine("cases")
    cases = first["cases"].to_pyarrow()
    del source
    assert first["cases"].to_pyarrow().equals(cases)
