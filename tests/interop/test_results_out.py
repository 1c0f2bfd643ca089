"""Do other libraries take the result tables, with their types and values?"""

from __future__ import annotations

import datetime
import math
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from plain_log import MEASURES, ROLES, START_S, expected, table

import pycjm

PERCENTILES = ["p50_s", "p90_s", "p95_s", "p99_s"]
STATISTICS = ["mean_s", "min_s", "max_s", "std_s", *PERCENTILES]
COLUMNS = {
    "overview": "events cases activities variants edges first_ts last_ts tied_pairs cases_with_ties "
    "dropped_rows layout",
    "activities": "activity events cases starts ends rework_cases",
    "dfg": "source target count cases total_s " + " ".join(STATISTICS),
    "variants": "rank activities length cases share cumulative_share mean_s " + " ".join(PERCENTILES),
    "durations": "n " + " ".join(STATISTICS),
    "cases": "case events first_ts last_ts duration_s variant_rank",
}
COUNTS = {"events", "cases", "activities", "variants", "edges", "tied_pairs", "cases_with_ties", "starts", "ends"}
COUNTS |= {"rework_cases", "count", "n", "rank", "variant_rank"}


@pytest.fixture(scope="module")
def result() -> pycjm.MiningResult:
    return pycjm.scan(table(), **ROLES).mine(*MEASURES)


def _kind(name: str, measure: str) -> pa.DataType:
    """The type that the contract gives a column."""
    text = {"activity", "source", "target", "layout"}
    if measure == "variants" and name == "activities":
        return pa.list_(pa.utf8())
    if name == "case":
        return pa.int64()
    if name == "length" or (measure == "cases" and name == "events"):
        return pa.uint32()
    if name == "dropped_rows":
        return pa.struct([(role, pa.uint64()) for role in ("case", "activity", "timestamp")])
    if name in ("first_ts", "last_ts"):
        return pa.timestamp("us", "UTC")
    return pa.utf8() if name in text else pa.uint64() if name in COUNTS else pa.float64()


@pytest.mark.parametrize("name", MEASURES)
def test_columns_and_types_are_those_of_the_contract(result: pycjm.MiningResult, name: str) -> None:
    schema = result[name].schema
    assert schema.names == COLUMNS[name].split()
    for field in schema:
        wanted = _kind(field.name, name)
        if pa.types.is_list(wanted):
            assert pa.types.is_list(field.type)
            assert field.type.value_type == pa.utf8()
        elif pa.types.is_struct(wanted):
            assert [(part.name, part.type) for part in field.type] == [(part.name, part.type) for part in wanted]
        else:
            assert field.type == wanted, field.name


@pytest.mark.parametrize("name", MEASURES)
def test_pyarrow(result: pycjm.MiningResult, name: str) -> None:
    ours = result[name].to_pyarrow()
    ours.validate(full=True)
    assert pa.table(result[name]).equals(ours)
    assert pa.RecordBatchReader.from_stream(result[name]).read_all().equals(ours)
    assert len(result[name]) == ours.num_rows == len(expected()[name])


@pytest.mark.parametrize("name", MEASURES)
def test_pandas(result: pycjm.MiningResult, name: str) -> None:
    pandas = pytest.importorskip("pandas")
    frame = result[name].to_pandas()
    assert list(frame.columns) == COLUMNS[name].split()
    assert len(frame) == len(expected()[name])
    if hasattr(pandas.DataFrame, "from_arrow"):
        taken = pandas.DataFrame.from_arrow(result[name])
        assert list(taken.columns) == list(frame.columns)
        assert len(taken) == len(frame)


@pytest.mark.parametrize("name", MEASURES)
def test_polars(result: pycjm.MiningResult, name: str) -> None:
    polars = pytest.importorskip("polars")
    for frame in (result[name].to_polars(), polars.DataFrame(result[name]), polars.from_arrow(pa.table(result[name]))):
        _same(frame.to_dicts(), expected()[name])


@pytest.mark.parametrize("name", MEASURES)
def test_duckdb(result: pycjm.MiningResult, name: str) -> None:
    duckdb = pytest.importorskip("duckdb")
    connection = duckdb.connect()
    connection.execute("set timezone = 'UTC'")
    taken = connection.from_arrow(pa.RecordBatchReader.from_stream(result[name])).to_arrow_table()
    _same(taken.to_pylist(), expected()[name])
    mine = result[name]  # found by its name in the query
    assert connection.sql("select count(*) from mine").fetchall() == [(len(result[name]),)]
    del mine


def _same(found: list[dict[str, Any]], wanted: list[dict[str, Any]]) -> None:
    assert [_plain(row) for row in found] == [_plain(row) for row in wanted]


def _plain(row: dict[str, Any]) -> dict[str, Any]:
    return {name: value.astimezone(datetime.UTC) if name.endswith("_ts") else value for name, value in row.items()}


def test_duckdb_asks_of_a_table(result: pycjm.MiningResult) -> None:
    duckdb = pytest.importorskip("duckdb")
    dfg = pa.table(result["dfg"])
    ((total,),) = duckdb.sql("select sum(count) from dfg").fetchall()
    assert total == sum(row["count"] for row in expected()["dfg"])
    del dfg


def test_statistics_in_another_library(result: pycjm.MiningResult) -> None:
    """The figures again from the table of cases, by pandas."""
    pytest.importorskip("pandas")
    durations = result["cases"].to_pandas()["duration_s"]
    (row,) = result["durations"].to_pyarrow().to_pylist()
    assert row["mean_s"] == pytest.approx(durations.mean(), rel=1e-12)
    assert row["std_s"] == pytest.approx(durations.std(), rel=1e-12)
    for p in (50, 90, 95, 99):
        assert row[f"p{p}_s"] == pytest.approx(durations.quantile(p / 100), rel=1e-12)


def test_a_result_is_a_log_again(result: pycjm.MiningResult) -> None:
    """Tables go back in: the cases, each once, with the time of its end."""
    again = pycjm.scan(result["cases"], case="events", activity="activity_is_not_here", timestamp="last_ts")
    with pytest.raises(pycjm.errors.InvalidArgument, match="activity_is_not_here"):
        again.mine()


def test_tables_outlive_the_result_and_the_log() -> None:
    kept = pycjm.scan(table(), **ROLES).mine("cases", "dfg")["cases"]
    assert sum(row["events"] for row in kept.to_pyarrow().to_pylist()) == 600
    reader = pycjm.scan(table(), **ROLES).mine("cases")["cases"].to_reader()
    assert reader.read_all().num_rows == len(expected()["cases"])


LAST_TO_GO = """
import sys, types
sys.modules["keeper"] = types.ModuleType("keeper")  # before the others: modules go in the order they came
import pycjm

class Cycle:
    def __init__(self):
        self.me = self
        self.kept = {kept}

# Held by itself, too, it goes only when the interpreter has taken everything else down.
sys.modules["keeper"].kept = Cycle()
"""


@pytest.mark.parametrize(
    "kept",
    [
        'pycjm.sample().mine("dfg")["dfg"].to_pyarrow()',
        'pycjm.sample().mine("cases")["cases"].to_pyarrow()',
        'pycjm.sample().mine("dfg")["dfg"].to_reader()',
        "pycjm.sample().events().read_all()",
        "pycjm.sample().events()",
        "pycjm.sample().mine()",
    ],
)
def test_what_outlives_the_library_is_no_harm(tmp_path: Path, kept: str) -> None:
    """Tables call the engine when they go, and at the end of the interpreter that may be late."""
    (tmp_path / "keep.py").write_text(LAST_TO_GO.replace("{kept}", kept))
    environment = {**os.environ, "PYTHONSAFEPATH": "1"}
    command = [sys.executable, str(tmp_path / "keep.py")]
    done = subprocess.run(command, capture_output=True, text=True, env=environment)
    assert (done.returncode, done.stderr) == (0, "")


def test_an_abandoned_stream_is_no_harm() -> None:
    result = pycjm.scan(table(), **ROLES).mine("cases")
    for _ in range(3):
        reader = result["cases"].to_reader()
        reader.read_next_batch()
        del reader
    assert len(result["cases"]) == len(expected()["cases"])


def test_times_of_the_result_are_the_logs(result: pycjm.MiningResult) -> None:
    (row,) = result["overview"].to_pyarrow().to_pylist()
    assert row["first_ts"].timestamp() >= START_S
    assert math.isclose(row["last_ts"].timestamp(), max(r["last_ts"].timestamp() for r in expected()["cases"]))


def test_events_out() -> None:
    """The normalised events are a stream for others, too."""
    polars = pytest.importorskip("polars")
    log = pycjm.scan(table(), **ROLES)
    frame = polars.DataFrame(log)
    assert frame.columns == ["case", "activity", "timestamp"]
    assert frame["case"].to_list() == table()["case"].to_pylist()
    assert frame["activity"].cast(polars.String).to_list() == table()["activity"].to_pylist()
