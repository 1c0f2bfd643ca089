"""Do schema, documentation and engine agree on the JSON documents: what each accepts, and what each refuses?"""

from __future__ import annotations

import copy
import json
import re
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from pycjm._native import ffi, lib

jsonschema = pytest.importorskip("jsonschema")

OPTIONS: dict[str, Any] = {"version": 1}
SPEC: dict[str, Any] = {"version": 1, "case": ["case"], "activity": ["activity"], "timestamp": ["timestamp"]}
PLAN: dict[str, Any] = {"version": 1, "measures": [{"measure": "dfg"}]}

REFUSED_ALIKE: dict[str, list[Any]] = {
    "options": [
        [],
        {},
        {"version": 2},
        {"version": 1, "thread": 1},
        {"version": 1, "threads": 0},
        {"version": 1, "threads": 1.5},
        {"version": 1, "batch_rows": 0},
        {"version": 1, "memory_limit_bytes": -1},
        {"version": 1, "memory_limit_bytes": "1G"},
        {"version": 1, "memory_limit_bytes": 1.5},
        {"version": 1, "memory_limit_bytes": 2**64},
        {"version": 1, "spill_dir": 5},
        {"version": 1, "spill_limit_bytes": -1},
    ],
    "log_spec": [
        [],
        {},
        SPEC | {"version": 2},
        SPEC | {"cases": ["case"]},
        SPEC | {"case": "case"},
        SPEC | {"case": None},
        SPEC | {"timestamp": ["timestamp"] * 3},
        SPEC | {"start_timestamp": []},
        SPEC | {"timestamp_unit": "minutes"},
        SPEC | {"on_null": "ignore"},
        SPEC | {"negative": None},
        SPEC | {"joiner": None},
        SPEC | {"trusted": 1},
        SPEC | {"null_values": [1]},
    ],
    "plan": [
        [],
        {},
        {"version": 1},
        {"version": 1, "measures": []},
        PLAN | {"version": 2},
        PLAN | {"measure": "dfg"},
        PLAN | {"measures": ["dfg"]},
        PLAN | {"state": True},
        PLAN | {"state": {"ids": True}},
        PLAN | {"state": {"case_ids": 1}},
        PLAN | {"measures": [{"measure": "dgf"}]},
        PLAN | {"measures": [{"measure": "overview", "percentiles": [50]}]},
        PLAN | {"measures": [{"measure": "dfg", "top": 5}]},
        PLAN | {"measures": [{"measure": "variants", "top": -1}]},
        PLAN | {"measures": [{"measure": "dfg", "percentiles": [101]}]},
        PLAN | {"measures": [{"measure": "dfg", "percentiles": [50, 50.0]}]},
        PLAN | {"measures": [{"measure": "dfg", "approx": 0}]},
        PLAN | {"measures": [{"measure": "variants", "approx": 0.51}]},
        PLAN | {"measures": [{"measure": "durations", "approx": "1%"}]},
        PLAN | {"measures": [{"measure": "overview", "approx": 0.01}]},
        PLAN | {"measures": [{"measure": "metrics", "approx": 0.01}], "case_metrics": [{"name": "one"}]},
        PLAN | {"case_metrics": [{"name": ""}]},
        PLAN | {"case_metrics": [{"name": "events"}]},
        PLAN | {"case_metrics": [{"activities": ["a"]}]},
    ],
}

ACCEPTED_ALIKE: dict[str, list[Any]] = {
    "options": [
        OPTIONS,
        {"version": 1, "threads": None, "memory_limit_bytes": None, "batch_rows": None},
        {"version": 1, "threads": 2, "memory_limit_bytes": 10**9, "batch_rows": 1},
        {"version": 1, "memory_limit_bytes": "auto"},
        {"version": 1, "memory_limit_bytes": 2**64 - 1},
        {"version": 1, "spill_dir": "/tmp", "spill_limit_bytes": 10**9},
        {"version": 1, "spill_dir": None, "spill_limit_bytes": None},
    ],
    "log_spec": [
        {"version": 1},
        SPEC,
        SPEC | {"start_timestamp": None, "timestamp_format": None, "timestamp_unit": None, "timezone": None},
        SPEC | {"lifecycle": None, "format": None, "paths": []},
        SPEC | {"trusted": True, "resident": True, "on_null": "drop", "order_by": ["timestamp"]},
        SPEC | {"start_timestamp": ["timestamp"], "negative": "zero", "joiner": "", "null_values": ["x"]},
        SPEC | {"case": ["case", "activity"], "lifecycle": "Complete", "lifecycle_column": "activity"},
    ],
    "plan": [
        PLAN,
        PLAN | {"measures": [{"measure": "dfg", "percentiles": None}, {"measure": "variants", "top": None}]},
        PLAN | {"measures": [{"measure": "variants", "top": 0, "percentiles": []}]},
        PLAN | {"measures": [{"measure": "durations", "percentiles": [0, 99.999999, 100]}]},
        PLAN | {"measures": [{"measure": "dfg", "approx": 0.0001}, {"measure": "variants", "approx": None}]},
        PLAN | {"measures": [{"measure": "durations", "percentiles": [50], "approx": 0.5}]},
        PLAN | {"case_metrics": [{"name": "loops", "activities": None}]},
    ],
}


@ffi.callback("cjm_case_metric_fn")
def _one(_user, n_cases, _offsets, _activities, _times, _start_times, out) -> int:
    for case in range(n_cases):
        out[case] = 1.0
    return 1


def _schema(crate: Path, name: str) -> dict[str, Any]:
    schema = json.loads((crate / "schema" / f"{name}.v1.json").read_text())
    jsonschema.Draft202012Validator.check_schema(schema)
    return schema


def _examples(crate: Path, name: str) -> list[Any]:
    """The JSON blocks in the section of the README that links to this schema."""
    readme = (crate / "README.md").read_text()
    section = readme.partition(f"](schema/{name}.v1.json))")[2].partition("\n#")[0]
    return [json.loads(block) for block in re.findall(r"^```json\n(.*?)^```", section, re.DOTALL | re.MULTILINE)]


def _free(out: Any, free: Any) -> Any:
    return ffi.gc(out[0], free)


def _context(document: Any) -> tuple[int, Any]:
    out, text = ffi.new("cjm_context **"), json.dumps(document).encode()
    status = lib.cjm_context_new(text, out, ffi.NULL)
    return status, None if status else _free(out, lib.cjm_context_free)


def _log(document: Any) -> tuple[int, Any]:
    table = pa.table(
        {
            "case": ["1", "1"],
            "activity": ["a", "b"],
            "timestamp": pa.array([0, 1], pa.timestamp("s", "UTC")),
        }
    )
    stream = ffi.new("struct ArrowArrayStream *")
    table.to_reader()._export_to_c(int(ffi.cast("uintptr_t", stream)))
    out = ffi.new("cjm_log **")
    status = lib.cjm_log_from_stream(stream, json.dumps(document).encode(), out, ffi.NULL)
    assert stream.release == ffi.NULL
    return status, None if status else _free(out, lib.cjm_log_free)


def _mined(document: Any) -> int:
    _, context = _context(OPTIONS)
    _, log = _log(SPEC)
    for name in (b"loops", b"length"):
        assert lib.cjm_context_add_case_metric(context, name, _one, ffi.NULL, ffi.NULL) == lib.CJM_OK
    out = ffi.new("cjm_result **")
    status = lib.cjm_mine(log, json.dumps(document).encode(), context, out, ffi.NULL)
    if status == lib.CJM_OK:
        lib.cjm_result_free(out[0])
    return status


def _info() -> dict[str, Any]:
    """What the engine tells of a run."""
    _, context = _context(OPTIONS)
    _, log = _log(SPEC)
    out, text = ffi.new("cjm_result **"), ffi.new("char **")
    assert lib.cjm_mine(log, json.dumps(PLAN).encode(), context, out, ffi.NULL) == lib.CJM_OK
    assert lib.cjm_result_info(out[0], text, ffi.NULL) == lib.CJM_OK
    info = json.loads(ffi.string(text[0]))
    lib.cjm_string_free(text[0])
    lib.cjm_result_free(out[0])
    return info


def _engine(name: str, document: Any) -> int:
    if name == "options":
        return _context(document)[0]
    return _log(document)[0] if name == "log_spec" else _mined(document)


@pytest.mark.parametrize("name", ["options", "log_spec", "plan"])
def test_accepted_by_schema_and_engine(name: str, crate: Path) -> None:
    schema = _schema(crate, name)
    for document in ACCEPTED_ALIKE[name]:
        jsonschema.validate(document, schema)
        assert _engine(name, document) == lib.CJM_OK, document


@pytest.mark.parametrize("name", ["options", "log_spec", "plan"])
def test_refused_by_schema_and_engine(name: str, crate: Path) -> None:
    schema = _schema(crate, name)
    for document in REFUSED_ALIKE[name]:
        with pytest.raises(jsonschema.ValidationError):
            jsonschema.validate(document, schema)
        assert _engine(name, document) == lib.CJM_INVALID_ARGUMENT, document


@pytest.mark.parametrize("name", ["options", "log_spec", "plan"])
def test_documented_examples_are_valid_and_complete(name: str, crate: Path) -> None:
    schema = _schema(crate, name)
    examples = _examples(crate, name)
    assert examples
    for document in examples:
        jsonschema.validate(document, schema)
    assert set().union(*examples) == set(schema["properties"])


def test_documented_plan_and_options_are_accepted_by_the_engine(crate: Path) -> None:
    for name in ("plan", "options"):
        for document in _examples(crate, name):
            assert _engine(name, document) == lib.CJM_OK, document


def test_documented_spec_is_understood_by_the_engine(crate: Path, tmp_path: Path) -> None:
    """The example names files and columns that are not here, which is all that is wrong with it."""
    (document,) = _examples(crate, "log_spec")
    document = copy.deepcopy(document) | {"paths": [str(tmp_path / "missing.parquet")]}
    out = ffi.new("cjm_log **")
    assert lib.cjm_log_open(json.dumps(document).encode(), out, ffi.NULL) == lib.CJM_IO


def test_every_member_of_a_spec_has_its_row_in_the_documentation(crate: Path) -> None:
    readme = (crate / "README.md").read_text()
    rows = re.findall(r"^\| ((?:`\w+`(?:, )?)+) \|", readme, re.MULTILINE)
    named = {name for row in rows for name in re.findall(r"`(\w+)`", row)}
    assert set(_schema(crate, "log_spec")["properties"]) - {"version"} <= named


def test_documented_tables_have_the_columns_they_have(crate: Path) -> None:
    readme = (crate / "README.md").read_text()
    section = readme.partition("\n## Tables\n")[2].partition("\n## ")[0]
    documented = {
        row[0]: [name for name in re.findall(r"`(\w+)`", row[1]) if not re.fullmatch(r"pNN(_s)?|start_timestamp", name)]
        for row in re.findall(r"^\| `(\w+)`[^|]*\| (.*) \|$", section, re.MULTILINE)
    }
    documented["overview"] = [name for name in documented["overview"] if name not in {"case", "time", "none"}]
    documented["dfg"].remove("negatives")
    _, context = _context(OPTIONS)
    _, log = _log(SPEC)
    assert lib.cjm_context_add_case_metric(context, b"loops", _one, ffi.NULL, ffi.NULL) == lib.CJM_OK
    plan = {
        "version": 1,
        "measures": [{"measure": name} for name in documented],
        "case_metrics": [{"name": "loops"}],
    }
    out = ffi.new("cjm_result **")
    assert lib.cjm_mine(log, json.dumps(plan).encode(), context, out, ffi.NULL) == lib.CJM_OK
    result = _free(out, lib.cjm_result_free)
    for name, columns in documented.items():
        stream = ffi.new("struct ArrowArrayStream *")
        assert lib.cjm_result_table(result, name.encode(), stream, ffi.NULL) == lib.CJM_OK
        table = pa.RecordBatchReader._import_from_c(int(ffi.cast("uintptr_t", stream))).read_all()
        found = [column for column in table.column_names if column != "loops"]
        assert found == columns, name


def test_header_documentation_and_engine_agree_on_what_a_run_tells(crate: Path) -> None:
    told = _info()
    header = (crate.parents[1] / "pycjm" / "include" / "pycjm.h").read_text()
    (comment,) = re.findall(r"Tells how the run went: (.*?);", header, flags=re.DOTALL)
    of_parts = {"name", "seconds"}
    assert set(re.findall(r"`(\w+)`", comment)) - of_parts == set(told)
    section = (crate / "README.md").read_text().split("### What a run tells")[1].split("\n## ")[0]
    assert set(re.findall(r"^\| `(\w+)` \|", section, flags=re.MULTILINE)) == set(told)
