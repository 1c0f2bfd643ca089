"""In which format is a text column of timestamps written?

The answer comes from sample values only where they prove it: ``03/04/2024`` alone could be March or April, so a column
of such values is refused, while one ``13/04/2024`` among them settles it. ``24/04/05`` could begin with the year.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

from . import errors

ISO = "iso8601"

_ISO = re.compile(r"\d{4}-\d{2}-\d{2}([T ]\d{2}:\d{2}:\d{2}(\.\d{1,9})?(Z| ?[+-]\d{2}(:?\d{2})?)?)?", flags=re.ASCII)
_ZONED = re.compile(r".*\d:\d{2}.*(Z|[+-]\d{2}(:?\d{2})?)", flags=re.ASCII)
_NUMERIC_DATE = re.compile(r"(?P<a>\d{1,4})(?P<sep>[./-])(?P<b>\d{1,2})(?P=sep)(?P<c>\d{4}|\d{1,2})", flags=re.ASCII)
_NAMED_DATES = [
    (re.compile(r"\d{1,2}([ /-])[A-Za-z]{3,9}\1\d{4}", flags=re.ASCII), "%d{0}%B{0}%Y"),
    (re.compile(r"\d{1,2}([ /-])[A-Za-z]{3,9}\1\d{2}", flags=re.ASCII), "%d{0}%B{0}%y"),
    (re.compile(r"[A-Za-z]{3,9} \d{1,2}(,?) \d{4}", flags=re.ASCII), "%B %d{0} %Y"),
]
_TIME = re.compile(
    r"(?P<lead>[T ]|, )?(?P<hour>\d{1,2}):\d{2}(?P<second>:\d{2}(?P<fraction>\.\d{1,9}|,(\d{3}){1,3})?)?"
    r"(?P<half>(?P<gap> ?)[AaPp][Mm])?(?P<zone>(?P<zone_gap> ?)(Z|[+-]\d{2}(:?\d{2})?))?",
    flags=re.ASCII,
)
_MONTHS = {"jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec"}


def infer(values: Sequence[str], column: str) -> str:
    """The format of all the values, in the form that the log spec takes.

    Parameters
    ----------
    values : sequence of str
        Sample values without nulls. None at all gives ISO 8601.
    column : str
        What they belong to, for the error.

    Returns
    -------
    str
        ``"iso8601"`` or a strftime-style format.

    Raises
    ------
    InvalidData
        No known format reads all of them, or two formats do and mean different days.

    Examples
    --------
    >>> from pycjm.timestamp_format import infer
    >>> infer(["2024-05-01 10:00:00", "2024-05-01T10:00:01.5+02:00"], "ts")
    'iso8601'
    >>> infer(["9.3.10 8:05"], "Start Date")
    '%d.%m.%y %H:%M'
    >>> infer(["1/2/2024 1:05 PM", "1/31/2024 1:05 AM"], "ts")
    '%m/%d/%Y %I:%M %p'
    """
    if all(_ISO.fullmatch(value) for value in values):
        return ISO
    formats: set[str] = set()
    dates: list[re.Match[str]] = []
    for value in values:
        date_format, date, rest = _date(value)
        time_format = _time(rest) if date_format else None
        if date_format is None or time_format is None:
            raise _unreadable([value], column)
        formats.add(date_format + time_format)
        if date is not None:
            dates.append(date)
    formats = _with_fraction(formats)
    if len(formats) > 1:
        raise _unreadable(_one_of_each(values), column)
    form = formats.pop()
    return form.replace("{day_month}", _day_month(dates, column)) if "{day_month}" in form else form


def readable(values: Sequence[str]) -> bool:
    """Whether all values are timestamps in one known format, even if day and month are not proven."""
    try:
        infer(values, "")
    except errors.InvalidData as error:
        return "readable" in error.details
    return True


def infer_time(values: Sequence[str], column: str) -> str:
    """The format of times of day, for a log that keeps date and time in two columns."""
    formats = _with_fraction({_time(value) or "" for value in values} or {"%H:%M:%S"})
    if len(formats) > 1 or not min(formats) or min(formats)[0] != "%":
        raise _unreadable(_one_of_each(values), column)
    return formats.pop()


def infer_date(values: Sequence[str], column: str) -> str:
    """The format of dates without a time of day, for a log that keeps date and time in two columns."""
    form = infer(values, column)
    if form == ISO and all(len(value) == len("2024-05-01") for value in values):
        return "%Y-%m-%d"
    if form == ISO or "%M" in form:
        raise errors.InvalidData(
            f"column {column!r} holds times of day as well, such as {_quoted(values[:1])}. Name it as timestamp alone.",
            {"column": column, "samples": list(values[:1])},
        )
    return form


def aware(values: Sequence[str]) -> bool:
    """Whether every value says its offset from UTC."""
    return bool(values) and all(_ZONED.fullmatch(value) for value in values)


def _date(value: str) -> tuple[str | None, re.Match[str] | None, str]:
    """The format of the date in front (day and month still open where they may swap), and the rest."""
    if match := _NUMERIC_DATE.match(value):
        rest, sep, year_first = value[match.end() :], match["sep"], len(match["a"]) == 4
        if len(match["a"]) == 3 or (year_first and len(match["c"]) == 4):
            return None, None, value
        if year_first:
            return f"%Y{sep}%m{sep}%d", None, rest
        year = "%Y" if len(match["c"]) == 4 else "%y"
        if sep == ".":
            return f"%d.%m.{year}", None, rest
        return f"{{day_month}}{sep}{year}", match, rest
    for pattern, form in _NAMED_DATES:
        match = pattern.match(value)
        if match and any(word[:3].casefold() in _MONTHS for word in re.findall("[A-Za-z]+", match[0])):
            return form.format(match[1]), None, value[match.end() :]
    return None, None, value


def _time(text: str) -> str | None:
    """The format of a time of day; empty for empty text, None where it is no time."""
    if not text:
        return ""
    match = _TIME.fullmatch(text)
    if match is None:
        return None
    fraction = match["fraction"] or ""
    # A comma is no decimal sign to the engine: it is written out, with the number of digits behind it.
    digits = f",%{len(fraction) - 1}f" if fraction.startswith(",") else "%.f" if fraction else ""
    clock = ("%I" if match["half"] else "%H") + ":%M" + (f":%S{digits}" if match["second"] else "")
    half = f"{match['gap']}%p" if match["half"] else ""
    zone = f"{match['zone_gap']}%#z" if match["zone"] else ""
    return (match["lead"] or "") + clock + half + zone


def _with_fraction(formats: set[str]) -> set[str]:
    """Without the formats that another one covers: a fraction of a second is optional when it is read."""
    covered = {form.replace("%S%.f", "%S") for form in formats if "%.f" in form}
    return formats - covered


def _day_month(dates: Sequence[re.Match[str]], column: str) -> str:
    """Which of the first two numbers is the day, if the values prove it."""
    sep = dates[0]["sep"]
    first = {int(date["a"]) for date in dates}
    second = {int(date["b"]) for date in dates}
    day_first, month_first = max(first) > 12, max(second) > 12
    # 17/11/06 could start with the year; no day is above 31 or zero.
    year_last = any(not 1 <= int(date["c"]) <= 31 for date in dates)
    if day_first and not month_first and max(first) <= 31 and year_last:
        return f"%d{sep}%m"
    if month_first and not day_first:
        return f"%m{sep}%d"
    samples = [date.string for date in dates[:3]]
    raise errors.InvalidData(
        f"column {column!r}: dates such as {_quoted(samples)} do not prove which number is the day, the month and the "
        f'year. Pass timestamp_format, for instance "%d{sep}%m{sep}%Y" or "%m{sep}%d{sep}%Y".',
        {"column": column, "samples": samples, "readable": True},
    )


def _unreadable(samples: list[str], column: str) -> errors.InvalidData:
    details = {"column": column, "samples": samples}
    if all(re.fullmatch(r"-?\d{9,19}", value) for value in samples):
        unit = {10: "s", 13: "ms", 16: "us", 19: "ns"}.get(len(samples[0]), "s")
        return errors.InvalidData(
            f'column {column!r} holds numbers such as {_quoted(samples)}. Pass timestamp_unit="{unit}" if they count '
            f"that unit since 1970 UTC.",
            details,
        )
    return errors.InvalidData(
        f"column {column!r}: no known timestamp format reads {_quoted(samples)}. Pass timestamp_format, for instance "
        '"%d.%m.%Y %H:%M:%S", or null_values if such text means that there is no value.',
        details,
    )


def _one_of_each(values: Sequence[str]) -> list[str]:
    """One value per shape (digits and letters blanked), three at most."""
    shapes: dict[str, str] = {}
    for value in values:
        shapes.setdefault(re.sub("[A-Za-z]+", "a", re.sub(r"\d+", "0", value)), value)
    return list(shapes.values())[:3]


def _quoted(samples: Sequence[str]) -> str:
    return ", ".join(repr(value[:60]) for value in samples)
