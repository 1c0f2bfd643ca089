"""Are odd CSV files read as their authors meant them, or refused where they are wrong?

Values are taken from the stream that the engine reads, which has every column as text; an empty field is null there.
"""

from __future__ import annotations

import csv
import gzip
import json
import random
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from shared_logs import shared_files

import pycjm
from pycjm import errors
from pycjm.csv_dialect import CsvOptions
from pycjm.csv_source import CsvSource
from pycjm.roles import Roles

LOG = {"case": "case id", "activity": "activity", "timestamp": "completion time", "start_timestamp": "start date"}


def records(path: Path, **options: str) -> list[list[str]]:
    """Header and rows as pycjm reads them."""
    source = CsvSource([str(path)], CsvOptions(**options))
    names = source.columns()
    roles = Roles(case=(names[0],), activity=tuple(names[1:]))
    schema = source.schema(roles, [], ())
    table = pa.Table.from_batches(list(source.batches(schema, (), [])), schema)
    columns = [["" if value is None else value for value in column.to_pylist()] for column in table.columns]
    return [list(names), *(list(row) for row in zip(*columns, strict=True))]


def _as_records(document: Any) -> list[list[str]]:
    """The two forms of the expectations: objects by name, or arrays with the header first."""
    if document and isinstance(document[0], dict):
        return [list(document[0]), *(list(row.values()) for row in document)]
    return document


def _spectrum(folder: Path) -> list[Path]:
    # One expectation is of an older version of its file.
    chosen = (folder / "malformed" / "csv_spectrum" / "csvs").glob("*.csv")
    return [path for path in chosen if path.stem != "location_coordinates"]


@pytest.mark.parametrize("path", shared_files(_spectrum))
def test_csv_spectrum(path: Path) -> None:
    told = (path.parents[1] / "json" / f"{path.stem}.json").read_text(encoding="utf-8")
    if b"\r" not in path.read_bytes():
        told = told.replace("\\r\\n", "\\n")  # some copies have lost their line ends on the way
    assert records(path) == _as_records(json.loads(told))


BLANK = {"all-empty", "empty-one-column"}
"""A blank line is no record here: nothing can be an event in it."""


def _test_data(folder: Path) -> list[Path]:
    chosen = (folder / "malformed" / "csv_test_data" / "csv").glob("*.csv")
    return [path for path in chosen if path.stem not in BLANK]


@pytest.mark.parametrize("path", shared_files(_test_data))
def test_csv_test_data(path: Path) -> None:
    expectation = path.parents[1] / "json" / f"{path.stem}.json"
    if path.stem == "bad-header-wrong-header":
        with pytest.raises(errors.InvalidArgument, match="unknown column 'foo'"):
            pycjm.scan(path, case="foo", activity="bar", timestamp="baz").mine()
    elif path.stem == "bad-unescaped-quote":
        # A quote inside an unquoted field is ordinary text to every reader but a strict one.
        assert records(path)[1] == ["1", 'This "quotes" must be escaped', "3"]
    elif path.stem.startswith("bad-"):
        with pytest.raises(errors.InvalidData, match=path.name):
            records(path)
    elif path.stem == "header-no-rows":
        assert records(path) == [["foo", "bar", "baz"]]
    else:
        assert records(path) == _as_records(json.loads(expectation.read_text(encoding="utf-8")))


UNREADABLE = {
    "file_no_payload": "the file is empty",
    "file_multitable_less": "84 has 8 fields, the header has 9",
    "file_multitable_more": "84 has 10 fields, the header has 9",
    "file_escape_char_0x00": "fields, the header has 9",
    "file_escape_char_0x5C": "fields, the header has 9",
    "file_field_delimiter_0x20": "1 has 12 fields, the header has 9",
    "file_field_delimiter_0x2C_0x20": "fields, the header has 9",
    "file_quotation_char_0x27": "6 has 10 fields, the header has 9",
}
"""What is refused, and why: no table at all, a second table of another width, quotes that are not doubled, and
delimiters of two characters or inside fields without quotes."""


def _pollock(folder: Path) -> list[Path]:
    return list((folder / "malformed" / "pollock_file_level" / "csv").glob("*.csv"))


@pytest.mark.parametrize("path", shared_files(_pollock))
def test_pollock(path: Path) -> None:
    dialect = json.loads((path.parents[1] / "parameters" / f"{path.name}_parameters.json").read_text())
    options = {"delimiter": " "} if dialect["delimiter"] == " " else {}
    if dialect["quotechar"] == "'":
        options["quote"] = "'"
    if path.stem in UNREADABLE:
        with pytest.raises(errors.InvalidData, match=UNREADABLE[path.stem]):
            records(path, **options)
        return
    if dialect["preamble_lines"]:
        # The first line is the header to us, so that no column has the name that it should.
        with pytest.raises(errors.InvalidArgument, match="unknown column 'PRODUCTID'"):
            pycjm.scan(path, case="PRODUCTID", activity="ProductType", timestamp=("DATE", "TIME")).mine()
        return
    found = records(path, **options)
    with (path.parents[1] / "clean" / path.name).open(encoding="utf-8", newline="") as file:
        clean = list(csv.reader(file))
    if path.stem == "file_multitable_same":
        assert found[: len(clean)] == clean  # and then the second table, as its rows
    elif dialect["header_lines"] > 1:
        # Further header lines are rows to us.
        assert found[dialect["header_lines"] :] == clean[1:]
    else:
        assert found == clean


@pytest.mark.parametrize("name", ["good-file", "multi"])
def test_gzip(shared_data: Path, name: str, tmp_path: Path) -> None:
    """A gzip file may have several members; the first alone is not the file."""
    folder = shared_data / "malformed" / "gzip_flate2"
    plain = (folder / f"{name}.txt").read_bytes()
    assert gzip.decompress((folder / f"{name}.gz").read_bytes()) == plain
    if name == "multi":
        assert records(folder / "multi.gz") == [["first"], ["second"]]
    else:
        (tmp_path / "log.csv").write_bytes(plain)
        (tmp_path / "log.csv.gz").write_bytes((folder / f"{name}.gz").read_bytes())
        told = []
        for path in (tmp_path / "log.csv", tmp_path / "log.csv.gz"):
            with pytest.raises(errors.InvalidData, match="fields, the header has") as caught:
                records(path)
            told.append(caught.value.details["row"])
        assert told[0] == told[1]


@pytest.mark.parametrize("kind", ["csv", "xes"])
def test_logs_in_several_gzip_members(tmp_path: Path, kind: str) -> None:
    n = 2000
    if kind == "csv":
        text = "case,event,ts\n" + "".join(f"{i % 50},a{i % 7},2024-01-01 00:00:{i % 60:02}\n" for i in range(n))
    else:
        moment = '<date key="time:timestamp" value="2024-01-01T00:00:00Z"/>'
        event = f'<event><string key="concept:name" value="a"/>{moment}</event>'
        trace = '<trace><string key="concept:name" value="{}"/>' + event * 40 + "</trace>"
        text = "<log>" + "".join(trace.format(i) for i in range(n // 40)) + "</log>"
    content = text.encode()
    cuts = sorted(random.Random(1).sample(range(len(content)), 9))
    pieces = [content[begin:end] for begin, end in zip([0, *cuts], [*cuts, len(content)], strict=True)]
    path = tmp_path / f"log.{kind}.gz"
    path.write_bytes(b"".join(gzip.compress(piece) for piece in [b"", *pieces, b""]))
    (row,) = pycjm.scan(path).mine("overview")["overview"].to_pyarrow().to_pylist()
    assert (row["events"], row["cases"]) == (n, 50)


def _importer(shared_data: Path, name: str) -> tuple[Path, list[list[str]]]:
    folder = shared_data / "malformed" / "apromore_importer_tests"
    stem = name.partition("-")[0]
    (known,) = folder.glob(f"{stem}-*expected.csv")
    with known.open(encoding="utf-8", newline="") as file:
        delimiter = "\xb8" if stem == "test11" else ","
        return folder / f"{name}.csv", list(csv.reader(file, delimiter=delimiter))


def _events(path: Path, **options: Any) -> list[list[str]]:
    """Case, activity, start and end, in the form of the expectations."""
    events = pycjm.scan(path, **{**LOG, **options}).events().read_all().to_pylist()
    return [
        [
            row["case"],
            row["activity"],
            *(
                row[name].isoformat(sep=" ", timespec="milliseconds")
                for name in ("start_timestamp", "timestamp")
                if name in row
            ),
        ]
        for row in events
    ]


NOT_A_TIME = {"null_values": "not a timestamp", "on_null": "drop"}

RIGHT = {
    "test1-valid": {},
    "test3-invalid-end-timestamp": NOT_A_TIME,
    "test4-invalid-start-timestamp": NOT_A_TIME,
    "test5-empty-caseID": {"on_null": "drop"},
    "test6-different-delimiters": {},
    "test9-differentiate-dates": {"timestamp_format": "%Y-%d-%mT%H:%M:%S%.f"},
    "test10-eventAttribute": {},
}


@pytest.mark.parametrize("name", RIGHT)
def test_logs_of_an_importer(shared_data: Path, name: str) -> None:
    path, known = _importer(shared_data, name)
    assert _events(path, **RIGHT[name]) == [row[:4] for row in known]


REFUSED = {
    "test2-missing-columns": (2, "row 2 has 2 fields"),
    "test3-invalid-end-timestamp": (4, "[\"']completion time[\"'].*'not a timestamp'"),
    "test4-invalid-start-timestamp": (4, "[\"']start date[\"'].*'not a timestamp'"),
    "test5-empty-caseID": (1, "case id"),
    "test7-record-invalid": (None, "row 1 has 7 fields|start date.*not a timestamp"),
    "test8-all-invalid": (None, "case id|activity|start date.*not a timestamp"),
    "test9-differentiate-dates": (6, "2019-19-12"),
}
"""The row, counted from 1 behind the header, and what is said; None where several rows are wrong."""


@pytest.mark.parametrize("name", REFUSED)
def test_invalid_logs_are_refused_with_their_row(shared_data: Path, name: str) -> None:
    path = shared_data / "malformed" / "apromore_importer_tests" / f"{name}.csv"
    row, words = REFUSED[name]
    with pytest.raises(errors.InvalidData, match=words) as caught:
        pycjm.scan(path, **LOG).mine()
    assert str(path) in caught.value.message
    assert "Traceback" not in caught.value.message
    if row is not None:
        assert caught.value.details["row"] == row


def test_nothing_is_left_of_a_log_that_is_all_invalid(shared_data: Path) -> None:
    path = shared_data / "malformed" / "apromore_importer_tests" / "test8-all-invalid.csv"
    (row,) = pycjm.scan(path, **LOG, **NOT_A_TIME).mine("overview")["overview"].to_pyarrow().to_pylist()
    assert (row["events"], row["cases"]) == (0, 0)
    assert row["dropped_rows"] == {"case": 1, "activity": 1, "timestamp": 0, "start_timestamp": 1}


def test_a_log_in_an_old_encoding(shared_data: Path) -> None:
    path, known = _importer(shared_data, "test11-encoding")
    with pytest.raises(errors.InvalidData, match="encoding="):
        pycjm.scan(path).describe()
    columns = [column.name for column in pycjm.scan(path, encoding="cp1255").describe().columns]
    options = {
        "case": columns[0],
        "activity": columns[1],
        "timestamp": "timestamp",
        "timestamp_format": "%d/%m/%y %H:%M",
    }
    events = pycjm.scan(path, encoding="cp1255", **options).events().read_all().to_pylist()
    found = [[row["case"], row["activity"], f"{row['timestamp'].isoformat(sep=' ')}.0"] for row in events]
    assert found == [row[:3] for row in known]
