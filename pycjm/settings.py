"""What did the caller of ``scan`` say, and how is it told to the engine?

Checks shapes and values at once, before any file is opened; what needs the columns is checked when they are known.
"""

from __future__ import annotations

import codecs
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from . import errors
from .csv_dialect import CsvOptions
from .roles import Roles

UNITS = ("s", "ms", "us", "ns")

Names = str | Sequence[str] | None
"""One column or several."""


@dataclass(frozen=True)
class Settings:
    """The checked arguments of ``scan`` besides its source.

    Attributes
    ----------
    roles : Roles
        The columns that were named.
    csv : CsvOptions
        How CSV files are written.
    joiner, timestamp_format, timestamp_unit, timezone, lifecycle, null_values, on_null, negative
        As in the log spec.
    """

    roles: Roles
    csv: CsvOptions
    joiner: str = "+"
    timestamp_format: str | None = None
    timestamp_unit: str | None = None
    timezone: str | None = None
    lifecycle: str | None = None
    null_values: tuple[str, ...] = ()
    on_null: str = "error"
    negative: str = "keep"

    def spec(self, roles: Roles) -> dict[str, Any]:
        """The log spec, version 1, without its paths.

        Parameters
        ----------
        roles : Roles
            The columns to use; without case, activity and timestamp the log can only be described.
        """
        spec: dict[str, Any] = {
            "version": 1,
            "case": list(roles.case),
            "activity": list(roles.activity),
            "timestamp": list(roles.timestamp),
            "start_timestamp": list(roles.start_timestamp),
            "order_by": list(roles.order_by),
            "joiner": self.joiner,
            "timestamp_format": self.timestamp_format,
            "timestamp_unit": self.timestamp_unit,
            "timezone": self.timezone,
            "lifecycle": self.lifecycle,
            "lifecycle_column": roles.lifecycle[0] if roles.lifecycle else None,
            "null_values": list(self.null_values),
            "on_null": self.on_null,
            "negative": self.negative if roles.start_timestamp else None,
        }
        return {key: value for key, value in spec.items() if value not in (None, [])}


def check(
    *,
    case: Names,
    activity: Names,
    timestamp: Names,
    start_timestamp: Names,
    order_by: Names,
    delimiter: str | None,
    quote: str | None,
    encoding: str | None,
    null_values: Names,
    **values: Any,
) -> Settings:
    """Checks the arguments of ``scan``.

    Raises
    ------
    InvalidArgument
        A value has the wrong type or is not among the accepted ones.
    """
    roles = Roles(
        case=_names("case", case),
        activity=_names("activity", activity),
        timestamp=_names("timestamp", timestamp, at_most=2),
        start_timestamp=_names("start_timestamp", start_timestamp, at_most=2),
        order_by=_names("order_by", order_by),
    )
    for name in ("timestamp_format", "timezone", "lifecycle"):
        if values[name] is not None:
            _text(name, values[name])
    _text("joiner", values["joiner"], empty=True)
    _one_of("timestamp_unit", values["timestamp_unit"], (None, *UNITS))
    _one_of("on_null", values["on_null"], ("error", "drop"))
    _one_of("negative", values["negative"], ("keep", "zero", "error"))
    if values["negative"] != "keep" and not roles.start_timestamp:
        raise errors.InvalidArgument(
            f"negative={values['negative']!r} needs start_timestamp=: without it no gap can be negative.",
            {"option": "negative"},
        )
    csv = CsvOptions(_character("delimiter", delimiter), _character("quote", quote, empty=True), _encoding(encoding))
    if csv.delimiter is not None and csv.delimiter == csv.quote_char:
        raise errors.InvalidArgument("delimiter and quote are the same character.", {"option": "quote"})
    nulls = _names("null_values", null_values, empty=True)
    return Settings(roles=roles, csv=csv, null_values=nulls, **values)


def _names(option: str, given: Names, *, at_most: int | None = None, empty: bool = False) -> tuple[str, ...]:
    """One name or several as a tuple."""
    names = () if given is None else (given,) if isinstance(given, str) else given
    try:
        names = tuple(names)
    except TypeError:
        names = (given,)
    if any(not isinstance(name, str) for name in names) or (not empty and "" in names):
        raise errors.InvalidArgument(f"{option} is a name or a list of names, not {given!r}.", {"option": option})
    if at_most is not None and len(names) > at_most:
        raise errors.InvalidArgument(
            f"{option} is one column or a (date, time) pair, not {len(names)} columns: {given!r}.", {"option": option}
        )
    if len(set(names)) < len(names):
        raise errors.InvalidArgument(f"{option} names a column twice: {given!r}.", {"option": option})
    return names


def _text(option: str, given: Any, *, empty: bool = False) -> None:
    if not isinstance(given, str) or not (given or empty):
        raise errors.InvalidArgument(f"{option} is a text, not {given!r}.", {"option": option})


def _one_of(option: str, given: Any, known: Sequence[str | None]) -> None:
    if given not in known:
        listed = ", ".join(repr(value) for value in known if value is not None)
        raise errors.InvalidArgument(f"{option} is one of {listed}, not {given!r}.", {"option": option})


def _character(option: str, given: str | None, *, empty: bool = False) -> str | None:
    """A single ASCII character; the CSV reader splits bytes, so others cannot separate fields."""
    if given is None or (empty and given == ""):
        return given
    given = "\t" if given == "\\t" else given
    if not isinstance(given, str) or len(given) != 1 or not given.isascii() or given in "\r\n\0":
        raise errors.InvalidArgument(
            f"{option} is one ASCII character that ends no line, not {given!r}.", {"option": option}
        )
    return given


def _encoding(given: str | None) -> str | None:
    if given is None:
        return None
    try:
        info = codecs.lookup(given)
    except (LookupError, TypeError):
        info = None
    if info is None or not info._is_text_encoding:
        raise errors.InvalidArgument(
            f'encoding={given!r} is not known to Python. Common ones are "utf-8", "latin-1", "cp1252" and "utf-16".',
            {"option": "encoding"},
        )
    return "utf-8" if info.name == "utf-8-sig" else info.name
