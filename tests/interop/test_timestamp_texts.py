"""Do the fields of a timestamp format mean what they mean elsewhere?"""

from __future__ import annotations

import datetime
from pathlib import Path

import pyarrow as pa
import pytest

import pycjm
from pycjm import errors

CLOCK = "2026-01-01 10:00:01"


def read(texts: list[str], form: str, **options: str) -> list[datetime.datetime]:
    """The times that the engine reads out of texts."""
    table = pa.table({"case": [str(idx) for idx in range(len(texts))], "activity": ["a"] * len(texts), "at": texts})
    log = pycjm.scan(table, case="case", activity="activity", timestamp="at", timestamp_format=form, **options)
    return log.mine("cases")["cases"].to_pyarrow()["first_ts"].to_pylist()


@pytest.mark.parametrize("form", ["%Y-%m-%d %H:%M:%S.%f", "%Y-%m-%d %H:%M:%S,%f", "%f|%Y-%m-%d %H:%M:%S"])
def test_f_is_a_fraction_as_in_python_pandas_and_duckdb(form: str) -> None:
    import duckdb
    import pandas

    start = datetime.datetime(2026, 1, 1, 10, 0, 1)
    digits = ["5", "25", "500000", "000001", "123", "999999"]
    texts = [form.replace("%Y-%m-%d %H:%M:%S", CLOCK).replace("%f", digit) for digit in digits]
    expected = [start + datetime.timedelta(microseconds=int(digit.ljust(6, "0"))) for digit in digits]
    assert [datetime.datetime.strptime(text, form) for text in texts] == expected
    assert list(pandas.to_datetime(texts, format=form)) == expected
    # DuckDB's %f wants all six digits.
    full = texts[2]
    assert duckdb.execute("select strptime(?, ?)", [full, form]).fetchall() == [(expected[2],)]
    assert read(texts, form) == expected


def test_nine_digits_need_nanoseconds_and_ten_are_too_many() -> None:
    form = "%Y-%m-%d %H:%M:%S.%f"
    with pytest.raises(errors.InvalidData, match="finer digits than timestamp_unit"):
        read([f"{CLOCK}.123456789"], form)
    (nine,) = read([f"{CLOCK}.123456789"], form, timestamp_unit="ns")
    assert nine.nanosecond == 789
    with pytest.raises(errors.InvalidData, match="more than nine digits"):
        read([f"{CLOCK}.1234567891"], form, timestamp_unit="ns")


@pytest.mark.parametrize("text", ["2026-01-01 12:30 CET", "2026-01-01 12:30 PST", "2026-01-01 12:30 nonsense"])
def test_names_of_zones_are_refused_and_the_remedy_works(text: str) -> None:
    with pytest.raises(errors.InvalidArgument, match="use %z where the offset is written"):
        read([text], "%Y-%m-%d %H:%M %Z")
    (instant,) = read(["2026-01-01 12:30 +0100"], "%Y-%m-%d %H:%M %z")
    assert instant == datetime.datetime(2026, 1, 1, 11, 30, tzinfo=datetime.UTC)


@pytest.mark.parametrize("zone", [None, "Europe/Berlin"])
def test_counted_seconds_are_an_instant_in_every_zone(zone: str | None) -> None:
    options = {} if zone is None else {"timezone": zone}
    (instant,) = read(["1767265200"], "%s", **options)
    assert instant == datetime.datetime(2026, 1, 1, 11, tzinfo=datetime.UTC)


def test_a_dash_in_a_date_is_no_offset() -> None:
    (time,) = read(["17-November-2026"], "%d-%B-%Y")
    assert time == datetime.datetime(2026, 11, 17)


def test_files_too(tmp_path: Path) -> None:
    path = tmp_path / "log.csv"
    path.write_text(f"case,activity,timestamp\n1,a,{CLOCK}.500000\n1,b,{CLOCK}.750000\n")
    result = pycjm.scan(path, timestamp_format="%Y-%m-%d %H:%M:%S.%f").mine("durations")
    assert result["durations"].to_pyarrow()["mean_s"].to_pylist() == [0.25]
