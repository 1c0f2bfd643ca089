"""Is every kind of table seen, read in the needed columns only, and read again where that is possible?"""

from __future__ import annotations

import gc
import weakref

import pyarrow as pa
import pyarrow.dataset
import pyarrow.parquet as pq
import pytest

from pycjm import errors
from pycjm.table_source import TableSource, kind_of

DATA = pa.table({"case": ["A", "B"], "what": ["x", "y"], "n": [1, 2]})


class Capsule:
    """A foreign object that has nothing but the protocol."""

    def __init__(self, data):
        self.data = data

    def __arrow_c_stream__(self, requested_schema=None):
        return self.data.__arrow_c_stream__(requested_schema)


class CapsuleTable(Capsule):
    def __len__(self):
        return len(self.data)


class CapsuleArray:
    def __arrow_c_array__(self, requested_schema=None):
        return DATA.to_batches()[0].__arrow_c_array__(requested_schema)

    def __len__(self):
        return 2


def polars_frame():
    import polars

    return polars.from_arrow(DATA)


def duckdb_relation():
    import duckdb

    return duckdb.from_arrow(DATA)


def parquet_dataset(tmp_path):
    pq.write_table(DATA, tmp_path / "log.parquet")
    return pyarrow.dataset.dataset(tmp_path)


REPEATABLE = {
    "pyarrow Table": lambda tmp: DATA,
    "pyarrow RecordBatch": lambda tmp: DATA.to_batches()[0],
    "pyarrow Dataset": parquet_dataset,
    "pyarrow Scanner": lambda tmp: parquet_dataset(tmp).scanner(),
    "polars DataFrame": lambda tmp: polars_frame(),
    "polars LazyFrame": lambda tmp: polars_frame().lazy(),
    "duckdb relation": lambda tmp: duckdb_relation(),
    "pandas DataFrame": lambda tmp: DATA.to_pandas(),
    "Arrow table": lambda tmp: CapsuleTable(DATA),
}
SELECTING = set(REPEATABLE) - {"pyarrow Scanner", "Arrow table"}


@pytest.mark.parametrize("name", REPEATABLE)
def test_tables_are_seen_and_read_again(tmp_path, name):
    table = REPEATABLE[name](tmp_path)
    kind = kind_of(table)
    assert kind.name == name
    source = TableSource(table, kind)
    assert [column for column, _ in source.columns()] == ["case", "what", "n"]
    assert {kind for _, kind in source.columns()} <= {"string", "large_string", "string_view", "int64"}
    for _ in range(2):
        read = source.reader(["what", "case"]).read_all()
        assert read["what"].to_pylist() == ["x", "y"]
        assert set(read.column_names) == ({"what", "case"} if name in SELECTING else {"case", "what", "n"})


def test_an_array_of_structs_is_a_table():
    source = TableSource(CapsuleArray(), kind_of(CapsuleArray()))
    assert source.reader(["case"]).read_all().num_rows == 2
    assert source.reader(["case"]).read_all().num_rows == 2


@pytest.mark.parametrize("stream", [DATA.to_reader, lambda: Capsule(DATA.to_reader())])
@pytest.mark.parametrize("look_first", [False, True])
def test_a_stream_is_read_once(stream, look_first):
    stream = stream()
    source = TableSource(stream, kind_of(stream))
    if look_first:
        assert [name for name, _ in source.columns()] == ["case", "what", "n"]
    assert source.reader(["case"]).read_all().num_rows == 2
    with pytest.raises(errors.InvalidArgument, match="can be read once"):
        source.reader(["case"])


@pytest.mark.parametrize("other", [1, "text", b"x", {"a": [1]}, [1], None, object()])
def test_other_objects_are_no_tables(other):
    assert kind_of(other) is None


def test_a_subclass_is_known():
    import pandas

    class Mine(pandas.DataFrame):
        pass

    assert kind_of(Mine(DATA.to_pandas())).name == "pandas DataFrame"


def test_odd_columns_of_pandas_do_not_hurt_unless_used():
    frame = DATA.to_pandas()
    frame["odd"] = [1, "x"]
    source = TableSource(frame, kind_of(frame))
    assert source.columns()[-1] == ("odd", "object")
    assert source.reader(["case"]).read_all().num_rows == 2
    with pytest.raises(errors.InvalidData, match="odd"):
        source.reader(["odd"])


def test_odd_columns_of_polars_do_not_hurt_unless_used():
    import polars

    frame = polars_frame().with_columns(odd=polars.lit(1, polars.Int128))
    source = TableSource(frame, kind_of(frame))
    assert source.columns()[-1] == ("odd", "Int128")
    assert source.reader(["case"]).read_all().num_rows == 2


def test_the_index_of_pandas_is_no_column():
    frame = DATA.to_pandas().set_index("case")
    assert [name for name, _ in TableSource(frame, kind_of(frame)).columns()] == ["what", "n"]


def test_duckdb_names_are_quoted():
    import duckdb

    relation = duckdb.sql('select 1 as n, 2 as "select ""it"""')
    source = TableSource(relation, kind_of(relation))
    assert source.reader(['select "it"']).read_all().column_names == ['select "it"']


def test_a_scanner_over_a_stream_says_that_it_was_read():
    scanner = pyarrow.dataset.Scanner.from_batches(DATA.to_reader())
    source = TableSource(scanner, kind_of(scanner))
    source.reader(["case"]).read_all()
    with pytest.raises(pa.ArrowInvalid, match="already scanned"):
        source.reader(["case"]).read_all()


def test_a_table_is_not_held_by_what_was_read():
    class Held(Capsule):
        def __len__(self):
            return 2

    table = Held(DATA)
    alive = weakref.ref(table)
    TableSource(table, kind_of(table)).reader(["case"]).read_all()
    del table
    gc.collect()
    assert alive() is None
