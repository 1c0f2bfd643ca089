"""Is a table readable by eye and by every Arrow consumer, without a stream being held?"""

from __future__ import annotations

import datetime
import sys

import pyarrow as pa
import pytest

from pycjm import errors
from pycjm.result import MiningResult
from pycjm.table import Table

DFG = pa.table(
    {
        "source": ["a", "b"],
        "target": ["b", "<c>"],
        "count": pa.array([4, 1], pa.uint64()),
        "mean_s": [76500.0, None],
    }
)
ACTIVITIES = pa.table({"activity": ["a", "b"], "starts": [4, 0], "ends": [0, 4]})


def table(data, name="dfg", *, streamed=False):
    opened = []

    def reader():
        opened.append(name)
        return data.to_reader(max_chunksize=3)

    found = Table(name, reader, streamed=streamed)
    found.opened = opened
    return found


def result(**tables):
    return MiningResult({name: table(data, name) for name, data in tables.items()}, {"rows": 3})


def test_every_library_takes_it():
    import duckdb
    import pandas
    import polars

    found = table(DFG)
    assert found.to_pyarrow().equals(DFG)
    assert found.to_reader().read_all().equals(DFG)
    assert pa.table(found).equals(DFG)
    assert found.to_polars().to_dict(as_series=False) == DFG.to_pydict()
    assert polars.DataFrame(found).height == 2
    assert found.to_pandas()["count"].tolist() == [4, 1]
    assert pandas.DataFrame.from_arrow(found).shape == (2, 4)
    assert duckdb.sql("select sum(count) from found").fetchall() == [(5,)]


def test_a_requested_schema_is_obeyed():
    capsule = pa.schema([("n", pa.int64())]).__arrow_c_schema__()
    found = table(pa.table({"n": pa.array([1], pa.int32())}))
    assert (
        pa.RecordBatchReader._import_from_c_capsule(found.__arrow_c_stream__(capsule)).schema.field("n").type
        == pa.int64()
    )


def test_a_short_table_is_kept_and_a_stream_is_not():
    short, stream = table(DFG), table(DFG, "cases", streamed=True)
    for found in (short, stream):
        found.to_pyarrow()
        found.to_pyarrow()
        assert len(found) == 2
    assert (len(short.opened), len(stream.opened)) == (1, 2)


def test_the_length_of_a_stream_is_counted_once():
    stream = table(DFG, "cases", streamed=True)
    assert (len(stream), len(stream), len(stream.opened)) == (2, 2, 1)


def test_truth_does_not_read():
    stream = table(DFG, "cases", streamed=True)
    assert stream
    assert not stream.opened


def test_columns_in_order():
    assert table(DFG).columns == ["source", "target", "count", "mean_s"]


def test_repr_is_aligned():
    assert repr(table(DFG)) == (
        "dfg: 2 rows x 4 columns\n"
        "source  target  count  mean_s\n"
        "a       b           4   76500\n"
        "b       <c>         1       -"
    )


def test_repr_of_a_long_stream_reads_no_more_than_it_shows():
    data = pa.table({"case": list(range(100))})
    text = repr(table(data, "cases", streamed=True))
    assert text.splitlines()[0] == "cases: more than 10 rows x 1 columns, the first 10"
    assert len(text.splitlines()) == 12


@pytest.mark.parametrize("rows", [0, 1, 9, 10, 11])
@pytest.mark.parametrize("streamed", [False, True])
def test_repr_counts(rows, streamed):
    text = repr(table(pa.table({"case": pa.array(range(rows), pa.int64())}), "cases", streamed=streamed))
    assert len(text.splitlines()) == 2 + min(rows, 10)
    said = "more than 10" if streamed and rows > 10 else str(rows)
    assert text.startswith(f"cases: {said} rows x 1 columns")


def test_repr_of_odd_values():
    data = pa.table(
        {
            "activities": [["a", "b"], ["x" * 200]],
            "ts": [datetime.datetime(2024, 5, 1, tzinfo=datetime.UTC), None],
            "dropped": [{"case": 1, "activity": 0}, None],
            "text": ["two\nlines \x1b[31m", "ok"],
        }
    )
    text = repr(table(data, "odd"))
    assert len(text.splitlines()) == 4
    assert "a > b" in text
    assert "\x1b" not in text
    assert "two\\nlines" in text
    assert max(map(len, text.splitlines())) < 200


def test_columns_that_do_not_fit_are_named():
    text = repr(table(pa.table({f"column_{i:03}": ["some value"] for i in range(40)})))
    assert "more columns: " in text
    assert "column_039" in text.splitlines()[-1]


def test_html_is_escaped():
    text = table(pa.table({"<b>": ["<script>alert('x')</script>&"]}), "<i>")._repr_html_()
    assert "<script>" not in text
    assert "&lt;script&gt;alert(&#x27;x&#x27;)&lt;/script&gt;&amp;" in text
    assert "<th>&lt;b&gt;</th>" in text
    assert "&lt;i&gt;: 1 rows" in text


@pytest.mark.parametrize("package", ["pandas", "polars"])
def test_a_missing_package_is_named(monkeypatch, package):
    monkeypatch.setitem(sys.modules, package, None)
    with pytest.raises(errors.Unsupported, match=f"pip install {package}"):
        getattr(table(DFG), f"to_{package}")()


def test_errors_of_the_engines_stream_have_their_class():
    def batches():
        raise pa.ArrowInvalid("INVALID_DATA: row 7 is null")
        yield

    found = Table("dfg", lambda: pa.RecordBatchReader.from_batches(DFG.schema, batches()))
    with pytest.raises(errors.InvalidData, match=r"^row 7 is null"):
        found.to_pyarrow()


def test_a_result_is_a_mapping():
    found = result(dfg=DFG, activities=ACTIVITIES)
    assert list(found) == ["dfg", "activities"]
    assert list(found.keys()) == ["dfg", "activities"]
    assert len(found) == 2
    assert "dfg" in found
    assert "cases" not in found
    assert found.get("cases") is None
    assert found.info == {"rows": 3}


def test_a_table_that_was_not_mined_is_named():
    with pytest.raises(KeyError, match="there are 'dfg'"):
        result(dfg=DFG)["cases"]
    with pytest.raises(errors.InvalidArgument, match="Did you mean 'dfg'"):
        result(dfg=DFG)["dgf"]


def test_pm4py_has_no_zeros():
    assert result(dfg=DFG, activities=ACTIVITIES).to_pm4py() == ({("a", "b"): 4, ("b", "<c>"): 1}, {"a": 4}, {"b": 4})


@pytest.mark.parametrize("method", ["to_pm4py", "to_dot", "to_mermaid"])
def test_a_graph_needs_both_tables(method):
    with pytest.raises(errors.InvalidArgument, match="not mined: activities"):
        getattr(result(dfg=DFG), method)()


def test_result_reprs_hold_every_table():
    found = result(dfg=DFG, activities=ACTIVITIES)
    assert "dfg: 2 rows" in repr(found)
    assert "activities: 2 rows" in repr(found)
    assert "&lt;c&gt;" in found._repr_html_()
