"""Does the whole way from a source to tables give what the contract says?"""

from __future__ import annotations

import json
import os
import random
import sys
from pathlib import Path

import pyarrow as pa
import pyarrow.csv
import pyarrow.dataset
import pyarrow.parquet as pq
import pytest

import pycjm
from pycjm import errors

GOLDEN_DFG = {
    ("a", "b"): 1,
    ("b", "c"): 1,
    ("c", "b"): 1,
    ("b", "d"): 1,
    ("a", "c"): 1,
    ("c", "c"): 1,
    ("c", "d"): 1,
    ("a", "d"): 4,
}

BACKENDS = ["native", "numba", "reference"]


def rows(table):
    return zip(*(table[name].to_pylist() for name in table.column_names), strict=True)


def check_golden(result):
    """Everything that the contract says of the golden log, but its layout."""
    dfg, starts, ends = result.to_pm4py()
    assert (dfg, starts, ends) == (GOLDEN_DFG, {"a": 6}, {"d": 6})
    overview = result["overview"].to_pyarrow().to_pylist()[0]
    assert (overview["events"], overview["cases"], overview["activities"], overview["variants"]) == (17, 6, 4, 3)
    assert (overview["edges"], overview["tied_pairs"], overview["cases_with_ties"]) == (8, 1, 1)
    ad = result["dfg"].to_pyarrow().to_pylist()[0]
    assert (ad["source"], ad["target"], ad["count"], ad["cases"]) == ("a", "d", 4, 4)
    figures = [ad[name] for name in ("total_s", "mean_s", "p50_s", "min_s", "max_s", "p90_s", "p95_s")]
    assert figures == [306000, 76500, 46800, 3600, 208800, 172080, 190440]
    assert ad["std_s"] == pytest.approx(96121.797736, abs=1e-6)
    variants = result["variants"].to_pyarrow().to_pylist()
    assert [(row["activities"], row["cases"]) for row in variants] == [
        (["a", "d"], 4),
        (["a", "b", "c", "b", "d"], 1),
        (["a", "c", "c", "d"], 1),
    ]
    durations = result["durations"].to_pyarrow().to_pylist()[0]
    assert (durations["n"], durations["min_s"], durations["max_s"]) == (6, 3600, 244800)
    rework = {row["activity"]: row["rework_cases"] for row in result["activities"].to_pyarrow().to_pylist()}
    assert rework == {"a": 0, "b": 1, "c": 1, "d": 0}


@pytest.mark.parametrize("backend", BACKENDS)
def test_the_golden_log(golden, backend):
    result = pycjm.scan(golden).mine(backend=backend)
    check_golden(result)
    assert list(result) == ["overview", "activities", "dfg", "variants", "durations"]
    assert result["overview"].to_pyarrow()["layout"].to_pylist() == ["case"]
    assert result.info["backend"] == backend


@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.parametrize("seed", range(3))
def test_order_of_rows_and_batches_does_not_matter(golden, backend, seed):
    order = list(range(golden.num_rows))
    random.Random(seed).shuffle(order)
    tied = sorted(order.index(row) for row in (0, 1))
    order[tied[0]], order[tied[1]] = 0, 1
    table = golden.take(order)
    reader = pa.RecordBatchReader.from_batches(table.schema, table.to_batches(max_chunksize=1 + seed))
    check_golden(pycjm.scan(reader).mine(backend=backend))


def write_parquet(tmp_path, golden):
    pq.write_table(golden, tmp_path / "log.parquet", row_group_size=3)
    return tmp_path / "log.parquet"


def write_parts(tmp_path, golden):
    for part in range(3):
        pq.write_table(golden.slice(part * 6, 6), tmp_path / f"part-{part}.parquet")
    return tmp_path


def write_csv(tmp_path, golden, name="log.csv"):
    lines = [f"{case};{activity};{ts:%d.%m.%Y %H:%M}" for case, activity, ts in rows(golden)]
    (tmp_path / name).write_text("\n".join(["Case ID;Activity;Timestamp", *lines]) + "\n")
    return tmp_path / name


def write_csv_parts(tmp_path, golden):
    lines = [f"{case},{activity},{ts:%Y-%m-%d},{ts:%H:%M}" for case, activity, ts in rows(golden)]
    for part in range(2):
        chunk = lines[part * 9 : part * 9 + 9]
        (tmp_path / f"p{part}.csv").write_text("\r\n".join(["case,event,day,hour", *chunk]))
    return [tmp_path / "p0.csv", str(tmp_path / "p1.csv")]


def write_xes(tmp_path, golden):
    traces = []
    for name in "ABCDEF":
        events = "".join(
            f'<event><string key="concept:name" value="{activity}"/>'
            f'<date key="time:timestamp" value="{ts.isoformat()}"/></event>'
            for case, activity, ts in rows(golden)
            if case == name
        )
        traces.append(f'<trace><string key="concept:name" value="{name}"/>{events}</trace>')
    (tmp_path / "log.xes").write_text(f"<?xml version='1.0'?><log>{''.join(traces)}</log>")
    return tmp_path / "log.xes"


def write_ipc(tmp_path, golden):
    with pa.ipc.new_file(tmp_path / "log.arrow", golden.schema) as writer:
        writer.write_table(golden, max_chunksize=4)
    return tmp_path / "log.arrow"


def to_polars(tmp_path, golden):
    import polars

    return polars.from_arrow(golden)


def to_lazy(tmp_path, golden):
    return to_polars(tmp_path, golden).lazy()


def to_categorical(tmp_path, golden):
    import polars

    return to_polars(tmp_path, golden).with_columns(polars.col("activity").cast(polars.Categorical))


def to_duckdb(tmp_path, golden):
    import duckdb

    return duckdb.from_arrow(golden)


def to_pandas(tmp_path, golden):
    return golden.to_pandas()


def to_pandas_category(tmp_path, golden):
    return golden.to_pandas().astype({"activity": "category", "case_id": "category"})


SOURCES = [
    write_parquet,
    write_parts,
    write_csv,
    write_csv_parts,
    write_xes,
    write_ipc,
    to_polars,
    to_lazy,
    to_categorical,
    to_duckdb,
    to_pandas,
    to_pandas_category,
    lambda tmp_path, golden: golden.to_batches()[0],
    lambda tmp_path, golden: pyarrow.dataset.dataset(write_parquet(tmp_path, golden)),
    lambda tmp_path, golden: pycjm.scan(golden),
]


@pytest.mark.parametrize("make", SOURCES)
def test_every_source_gives_the_same_twice(tmp_path, golden, make):
    source = make(tmp_path, golden)
    options = {"timestamp": ("day", "hour")} if make is write_csv_parts else {}
    log = pycjm.scan(source, **options)
    check_golden(log.mine())
    check_golden(log.mine())
    check_golden(log.mine(backend="reference"))


def test_a_reader_can_be_mined_once(golden):
    log = pycjm.scan(golden.to_reader())
    assert log.describe().rows is None
    check_golden(log.mine())
    with pytest.raises(errors.InvalidArgument, match="can be read once"):
        log.mine()


def test_events_are_normalised(golden):
    log = pycjm.scan(golden)
    events = log.events().read_all()
    assert events.column_names == ["case", "activity", "timestamp"]
    assert events["timestamp"].to_pylist() == golden["timestamp"].to_pylist()
    assert pa.table(log).num_rows == 17


def test_order_by_breaks_ties(golden):
    table = golden.append_column("seq", pa.array([-i for i in range(17)]))
    for backend in BACKENDS:
        variants = pycjm.scan(table, order_by="seq").mine("variants", backend=backend)["variants"].to_pyarrow()
        assert ["b", "a", "c", "b", "d"] in variants["activities"].to_pylist()


def test_several_columns_are_joined(golden):
    table = golden.append_column("channel", pa.array(["web"] * 17))
    log = pycjm.scan(table, activity=["channel", "activity"], joiner=" / ")
    assert ("web / a", "web / d") in log.mine("dfg", "activities").to_pm4py()[0]


@pytest.mark.parametrize(
    ("joiner", "left", "right"),
    [("+", ["a", "a+b"], ["b+c", "c"]), ("++", ["x", "a+"], ["y", "b"]), ("", ["1", "11"], ["11", "1"])],
)
@pytest.mark.parametrize("backend", BACKENDS)
def test_columns_that_could_be_joined_to_the_same_text_are_refused(backend, joiner, left, right):
    times = pa.array([1, 2], pa.timestamp("s"))
    table = pa.table({"left": left, "right": right, "activity": ["x", "y"], "timestamp": times})
    for roles in ({"case": ["left", "right"]}, {"case": "activity", "activity": ["left", "right"]}):
        log = pycjm.scan(table, **roles, joiner=joiner)
        row = 1 if joiner == "" else 2
        with pytest.raises(errors.InvalidArgument, match=f'row {row}: column "left" holds .*contains the joiner'):
            log.mine("overview", backend=backend)
        other = pycjm.scan(table, **roles, joiner="|").mine("overview", backend=backend)["overview"].to_pyarrow()
        assert other["cases" if "timestamp" in roles or "left" in roles["case"] else "activities"].to_pylist() == [2]


def test_a_value_that_could_be_mistaken_is_named_by_file_and_row(tmp_path):
    for name, value in (("1", "a"), ("2", "a+b")):
        (tmp_path / f"{name}.csv").write_text(f"left,right,activity,timestamp\n{value},c,x,2026-01-01\n")
    with pytest.raises(errors.InvalidArgument, match="contains the joiner") as caught:
        pycjm.scan(tmp_path, case=["left", "right"]).mine()
    assert (caught.value.details["path"], caught.value.details["row"]) == (str(tmp_path / "2.csv"), 1)


def test_a_joiner_in_the_last_column_does_no_harm(golden):
    table = golden.append_column("channel", pa.array(["web+app"] * 17))
    pairs = pycjm.scan(table, activity=["activity", "channel"]).mine("dfg", "activities").to_pm4py()[0]
    assert ("a+web+app", "d+web+app") in pairs


@pytest.mark.parametrize("backend", BACKENDS)
def test_dropped_rows_are_counted(golden, backend):
    table = pa.table(
        {
            "case_id": ["A", None, "A", "A"],
            "activity": ["a", "b", None, "d"],
            "timestamp": pa.array([1, 2, 3, 4], pa.timestamp("s")),
        }
    )
    with pytest.raises(errors.InvalidData, match="case_id"):
        pycjm.scan(table).mine(backend=backend)
    overview = pycjm.scan(table, on_null="drop").mine("overview", backend=backend)["overview"].to_pyarrow()
    assert overview["dropped_rows"].to_pylist() == [{"case": 1, "activity": 1, "timestamp": 0}]
    assert overview["events"].to_pylist() == [2]


@pytest.mark.parametrize("backend", BACKENDS)
def test_starts_make_negative_gaps(backend):
    table = pa.table(
        {
            "case": ["A", "A"],
            "activity": ["a", "b"],
            "start": pa.array([0, 5], pa.timestamp("s")),
            "end": pa.array([10, 20], pa.timestamp("s")),
        }
    )

    def gaps(**options):
        log = pycjm.scan(table, timestamp="end", start_timestamp="start", **options)
        return log.mine("dfg", backend=backend)["dfg"].to_pyarrow().to_pylist()[0]

    assert (gaps()["min_s"], gaps()["negatives"]) == (-5, 1)
    assert (gaps(negative="zero")["min_s"], gaps(negative="zero")["negatives"]) == (0, 1)
    with pytest.raises(errors.InvalidData):
        gaps(negative="error")


def test_lifecycle_selects(golden):
    for name in ("lifecycle:transition", "lifecycle"):
        table = golden.append_column(name, pa.array(["COMPLETE"] * 16 + ["start"]))
        overview = pycjm.scan(table, lifecycle="complete").mine("overview")["overview"].to_pyarrow()
        assert overview["events"].to_pylist() == [16]
    with pytest.raises(errors.InvalidArgument, match="lifecycle='complete' needs a column"):
        pycjm.scan(golden, lifecycle="complete").mine("overview")


def test_case_ids_with_zeros_in_front_are_others(tmp_path):
    (tmp_path / "log.csv").write_text("case,event,ts\n01,a,2024-01-01\n1,a,2024-01-01\n")
    cases = pycjm.scan(tmp_path / "log.csv").mine("cases")["cases"].to_pyarrow()
    assert cases["case"].to_pylist() == ["01", "1"]


def test_csv_times_with_offsets_are_instants(tmp_path):
    (tmp_path / "log.csv").write_text("case,event,ts\n1,a,2024-01-01T01:00:00+01:00\n1,b,2024-01-01T00:00:30Z\n")
    result = pycjm.scan(tmp_path / "log.csv").mine("durations", "overview")
    assert result["durations"].to_pyarrow()["max_s"].to_pylist() == [30.0]
    assert str(result["overview"].schema.field("first_ts").type) == "timestamp[us, tz=UTC]"


def test_csv_integers_with_a_unit(tmp_path):
    (tmp_path / "log.csv").write_text("case,event,ts\n1,a,1700000000\n1,b,1700000060\n")
    log = pycjm.scan(tmp_path / "log.csv", timestamp_unit="s")
    assert log.mine("durations")["durations"].to_pyarrow()["max_s"].to_pylist() == [60.0]
    with pytest.raises(errors.InvalidArgument, match="timestamp"):
        pycjm.scan(tmp_path / "log.csv").mine()
    with pytest.raises(errors.InvalidData, match='timestamp_unit="s"'):
        pycjm.scan(tmp_path / "log.csv", timestamp="ts").mine()


def test_csv_errors_of_the_engine_name_path_and_row(tmp_path):
    good = "".join(f"1,a,01.02.2024 10:{i % 60:02}\n" for i in range(2000))
    (tmp_path / "a.csv").write_text("case,event,ts\n" + good)
    (tmp_path / "b.csv").write_text("case,event,ts\n" + good + "1,a,32.02.2024 10:00\n")
    log = pycjm.scan([tmp_path / "a.csv", tmp_path / "b.csv"])
    with pytest.raises(errors.InvalidData, match=r"b\.csv.*32\.02\.2024.*inferred") as caught:
        log.mine()
    assert (caught.value.details["row"], caught.value.details["path"]) == (2001, str(tmp_path / "b.csv"))


@pytest.mark.parametrize("backend", BACKENDS)
def test_csv_errors_inside_the_stream_come_out_as_they_are(tmp_path, backend):
    for good in (0, 1, 300_000):
        (tmp_path / "log.csv").write_text("case,event,ts\n" + "1,a,2024-01-01\n" * good + "1,a\n")
        with pytest.raises(errors.InvalidData, match=rf"log\.csv: row {good + 1} has 2 fields"):
            pycjm.scan(tmp_path / "log.csv").mine(backend=backend)


def test_describe_says_what_can_be_known(tmp_path, golden):
    description = pycjm.scan(write_parquet(tmp_path, golden)).describe()
    assert (description.format, description.rows, description.row_groups) == ("parquet", 17, 6)
    assert [column.name for column in description.columns] == ["case_id", "activity", "timestamp"]
    assert description.guessed == ("case", "activity", "timestamp")
    assert description.roles.case == ("case_id",)
    assert "case=case_id (guessed)" in repr(description)


def test_describe_works_where_roles_cannot_be_told(tmp_path):
    (tmp_path / "log.csv").write_text("user_id,session_id,event,ts\n1,2,a,2024-01-01\n")
    log = pycjm.scan(tmp_path / "log.csv")
    description = log.describe()
    assert description.roles is None
    assert "user_id" in description.problem
    with pytest.raises(errors.InvalidArgument, match="more than one column could be the case"):
        log.mine()


def test_repr_says_what_was_guessed(golden):
    log = pycjm.scan(golden, case="case_id")
    assert repr(log) == "<pycjm.EventLog pyarrow Table: case=case_id, activity and timestamp to be guessed>"
    log.mine("overview")
    assert repr(log).endswith("case=case_id, activity=activity (guessed), timestamp=timestamp (guessed)>")


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"backend": "natve"}, "Did you mean 'native'"),
        ({"threads": 0}, "threads is a whole number"),
        ({"memory_limit": -1}, "memory_limit is a whole number"),
        ({"memory_limit": 0}, "memory_limit is a whole number"),
        ({"memory_limit": 2**64}, r"memory_limit is a number of bytes up to 2\*\*64 - 1, or 'none'"),
        ({"memory_limit": "4GiB"}, "memory_limit is a whole number of bytes, or 'none', not '4GiB'"),
        ({"spill_limit": 2**70}, r"spill_limit is a number of bytes up to 2\*\*64 - 1, not"),
        ({"memory_limit": "none", "spill_limit": 5}, "nothing is put aside with memory_limit='none'"),
        ({"memory_limit": 1 << 30, "backend": "reference"}, "keeps a memory limit"),
    ],
)
def test_wrong_options(golden, options, words):
    with pytest.raises(errors.InvalidArgument, match=words):
        pycjm.scan(golden).mine(**options)


@pytest.mark.parametrize("named", [{"case": "caseid"}, {"timestamp": "timestmp"}])
def test_a_missing_column_is_named_everywhere(tmp_path, golden, named):
    full = {"case": "case_id", "activity": "activity", "timestamp": "timestamp"} | named
    pyarrow.csv.write_csv(golden, tmp_path / "log.csv")
    for source in (golden, write_parquet(tmp_path, golden), tmp_path / "log.csv"):
        for options in (named, full):
            with pytest.raises(errors.InvalidArgument, match=next(iter(named.values()))):
                pycjm.scan(source, **options).mine()


def test_missing_files_are_io_errors(tmp_path):
    for name in ("none.parquet", "none.xes", "none.csv", "none.arrow", "none"):
        with pytest.raises(errors.IoError) as caught:
            pycjm.scan(tmp_path / name).mine()
        assert caught.value.errno == 2, name


@pytest.mark.parametrize("name", ["none-*.csv", "none-*.parquet", "none-*.xes"])
def test_a_pattern_without_a_file_is_the_callers_mistake(tmp_path, name):
    with pytest.raises(errors.InvalidArgument, match=r"none-\*"):
        pycjm.scan(tmp_path / name).mine()


def test_threads_change_nothing(golden):
    tables = [pycjm.scan(golden).mine("dfg", "cases", threads=threads) for threads in (1, 2, 7)]
    for name in ("dfg", "cases"):
        assert len({str(result[name].to_pyarrow().to_pylist()) for result in tables}) == 1


def test_info_is_json(golden):
    info = pycjm.scan(golden).mine(threads=2).info
    assert json.loads(json.dumps(info)) == info
    assert info["layout"] == "case"
    assert info["rows"] == 17


def test_a_result_is_written_with_where_it_came_from(tmp_path, golden):
    source = write_parquet(tmp_path, golden)
    pycjm.scan(source).mine("dfg", "overview").write(tmp_path / "out")
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == ["dfg.parquet", "overview.parquet", "run.json"]
    run = json.loads((tmp_path / "out" / "run.json").read_text())
    assert [file["path"] for file in run["inputs"]] == [str(source)]
    assert run["options"]["scan"]["case"] == ["case_id"]
    assert pq.read_table(tmp_path / "out" / "dfg.parquet")["count"].to_pylist()[0] == 4
    with pytest.raises(errors.InvalidArgument, match="exists"):
        pycjm.scan(source).mine("dfg").write(tmp_path / "out")


def test_a_table_is_written(tmp_path, golden):
    pycjm.scan(golden).mine("dfg")["dfg"].write(tmp_path / "dfg.parquet")
    assert pq.read_table(tmp_path / "dfg.parquet").num_rows == 8


def test_maps_are_text(golden):
    result = pycjm.scan(golden).mine()
    assert result.to_dot(max_nodes=3).startswith("digraph")
    assert result.to_mermaid(max_nodes=3).startswith("flowchart")


def test_a_file_that_lacks_a_guessed_column_is_named(tmp_path):
    (tmp_path / "a.csv").write_text("case,event,ts\n1,a,2024-01-01\n")
    (tmp_path / "b.csv").write_text("case,event,date\n1,a,2024-01-01\n")
    with pytest.raises(errors.InvalidArgument, match=r"b\.csv: unknown column 'ts'"):
        pycjm.scan(tmp_path / "*.csv").mine()


def test_the_limit_is_taken_from_the_machine_unless_one_is_given(tmp_path: Path) -> None:
    log = pycjm.sample()
    info = log.mine("overview", spill_dir=tmp_path / "nowhere").info
    assert info["spilled_bytes"] == 0, "no file is made before it is needed"
    if sys.platform.startswith("linux"):
        assert info["memory_limit_from"] in ("machine", "container")
        there = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
        assert 0 < info["memory_limit_bytes"] <= there // 2
    for given, wanted in ((1 << 30, (1 << 30, "given")), ("none", (None, None))):
        info = log.mine("overview", memory_limit=given).info
        assert (info["memory_limit_bytes"], info["memory_limit_from"]) == wanted
    assert log.mine("overview", backend="reference", memory_limit="none").info["rows"] == 3550
    assert log.mine("overview", memory_limit=2**64 - 1).info["rows"] == 3550
