"""Is a format inferred exactly where the values prove it?"""

from __future__ import annotations

import pytest

from pycjm import errors
from pycjm import timestamp_format as formats


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        ([], "iso8601"),
        (["2024-05-01"], "iso8601"),
        (["2024-05-01T10:00:00", "2024-05-01 10:00:00.123456789"], "iso8601"),
        (["2011-10-11 13:45:40.276000+02:00", "2011-10-11T13:45:40Z", "2011-10-11 13:45:40 +0100"], "iso8601"),
        (["2024-05-01 10:00"], "%Y-%m-%d %H:%M"),
        (["2024-05-01T10:00"], "%Y-%m-%dT%H:%M"),
        (["2024-5-1 8:05:00"], "%Y-%m-%d %H:%M:%S"),
        (["2024/05/01 10:00:00"], "%Y/%m/%d %H:%M:%S"),
        (["9.3.10 8:05"], "%d.%m.%y %H:%M"),
        (["09.03.2010 08:05:07"], "%d.%m.%Y %H:%M:%S"),
        (["09.03.2010 08:05:07", "09.03.2010 08:05:07.5"], "%d.%m.%Y %H:%M:%S%.f"),
        (["09.03.2010 08:05:07,500"], "%d.%m.%Y %H:%M:%S,%3f"),
        (["13/04/2024"], "%d/%m/%Y"),
        (["04/13/2024"], "%m/%d/%Y"),
        (["03/04/2024 10:00", "31/04/2024 10:00"], "%d/%m/%Y %H:%M"),
        (["1/2/2024 1:05 PM", "1/31/2024 11:05 am"], "%m/%d/%Y %I:%M %p"),
        (["1/31/2024 1:05:06PM"], "%m/%d/%Y %I:%M:%S%p"),
        (["06/11/99 16:59", "17/11/99 13:30"], "%d/%m/%y %H:%M"),
        (["06/11/11", "17/11/00"], "%d/%m/%y"),
        (["01/24/05 16:59"], "%m/%d/%y %H:%M"),
        (["5-Jan-2024 10:00", "05-March-2024 11:00"], "%d-%B-%Y %H:%M"),
        (["Jan 5, 2024"], "%B %d, %Y"),
        (["05/Jan/2024 10:00:00 +0100"], "%d/%B/%Y %H:%M:%S %#z"),
    ],
)
def test_proven_formats(values, expected):
    assert formats.infer(values, "t") == expected


@pytest.mark.parametrize(
    "values",
    [
        ["03/04/2024", "05/06/2024"],  # March or April?
        ["13/04/2024", "04/13/2024"],  # both at once
        ["24/01/05", "24/01/06", "24/02/07"],  # the year may come first
        ["24/01/05", "25/01/05"],  # 24 and 25 January 2005, or 5 January 2024 and 2025?
        ["24-01-05 10:00", "24-01-05 11:00"],
        ["06/11/11 16:59", "17/11/11 13:30"],
        ["40/01/2024"],  # no day at all
    ],
)
def test_unproven_days_are_refused_with_both_readings(values):
    with pytest.raises(errors.InvalidData, match="do not prove") as caught:
        formats.infer(values, "t")
    assert caught.value.details["column"] == "t"
    assert "timestamp_format" in str(caught.value)
    assert formats.readable(values)


@pytest.mark.parametrize(
    "values",
    [
        ["soon"],
        ["2024-05-01", "soon"],
        ["2024-05-01 10:00", "2024-05-01 10:00:00"],
        ["01.02.2024", "01/13/2024"],
        ["12345"],
        ["2024-05-01 10:00:00 CET"],
        ["12 Foo 2024"],
        [" "],
    ],
)
def test_unknown_formats_are_refused_with_a_sample(values):
    with pytest.raises(errors.InvalidData, match="no known timestamp format") as caught:
        formats.infer(values, "t")
    assert caught.value.details["samples"]
    assert not formats.readable(values)


@pytest.mark.parametrize(
    ("value", "unit"),
    [("1700000000", "s"), ("1700000000000", "ms"), ("1700000000000000", "us"), ("1700000000000000000", "ns")],
)
def test_numbers_point_to_their_unit(value, unit):
    with pytest.raises(errors.InvalidData, match=f'timestamp_unit="{unit}"'):
        formats.infer([value], "t")


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        ([], "%H:%M:%S"),
        (["8:05"], "%H:%M"),
        (["08:05:00", "08:05:00.25"], "%H:%M:%S%.f"),
        (["8:05 PM"], "%I:%M %p"),
    ],
)
def test_times_of_day(values, expected):
    assert formats.infer_time(values, "t") == expected


@pytest.mark.parametrize("values", [["soon"], ["08:05", "08:05:00"], [" 08:05"], [""]])
def test_what_is_no_time_of_day_is_refused(values):
    with pytest.raises(errors.InvalidData):
        formats.infer_time(values, "t")


def test_a_date_column_of_a_pair_holds_dates_only():
    assert formats.infer_date(["2024-05-01"], "d") == "%Y-%m-%d"
    assert formats.infer_date(["1.5.24"], "d") == "%d.%m.%y"
    with pytest.raises(errors.InvalidData, match="times of day as well"):
        formats.infer_date(["2024-05-01 00:00:00"], "d")


@pytest.mark.parametrize(
    ("values", "aware"),
    [
        (["2024-05-01T10:00:00Z", "2024-05-01 10:00:00+02:00"], True),
        (["2024-05-01T10:00:00Z", "2024-05-01 10:00:00"], False),
        (["2024-05-01"], False),
        ([], False),
    ],
)
def test_offsets_are_seen(values, aware):
    assert formats.aware(values) is aware
