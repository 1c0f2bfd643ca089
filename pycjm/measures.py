"""Which questions can be asked of a log?

Each measure is a small immutable object that knows its options; together they make the plan that every backend reads.
All measures of one :meth:`EventLog.mine` are computed in one pass.
"""

from __future__ import annotations

import math
import operator
from collections.abc import Sequence
from dataclasses import dataclass, fields
from typing import TYPE_CHECKING, Any, ClassVar

from . import errors

if TYPE_CHECKING:
    from .case_metric import CaseMetric

DEFAULT_PERCENTILES: tuple[float, ...] = (50, 90, 95, 99)

FINEST, COARSEST = 0.0001, 0.5
"""The least and the greatest ``approx``."""

NO_LIMIT = "none"
"""The ``memory_limit`` of a run that may hold anything."""
MOST_BYTES = 2**64 - 1
"""The largest limit."""


@dataclass(frozen=True)
class Measure:
    """Base of all measures."""

    name: ClassVar[str] = ""

    def plan(self, defaults: dict[str, Any]) -> dict[str, Any]:
        """The measure in the plan's form.

        Parameters
        ----------
        defaults : dict
            What to take for options that are None.
        """
        options = {item.name: getattr(self, item.name) for item in fields(self)}
        chosen = {name: defaults.get(name) if value is None else value for name, value in options.items()}
        if "percentiles" in chosen:
            chosen["percentiles"] = check_percentiles(chosen["percentiles"])
        if chosen.get("approx") is not None:
            chosen["approx"] = check_approx(chosen["approx"])
        if chosen.get("top") is not None:
            chosen["top"] = check_count("top", chosen["top"])
        return {"measure": self.name, **{name: value for name, value in chosen.items() if value is not None}}


@dataclass(frozen=True)
class overview(Measure):
    """One row about the whole log: sizes, time range, ties, dropped rows, layout.

    Examples
    --------
    >>> import pycjm
    >>> pycjm.sample().mine(pycjm.measures.overview())["overview"].columns[:4]
    ['events', 'cases', 'activities', 'variants']
    """

    name: ClassVar[str] = "overview"


@dataclass(frozen=True)
class activities(Measure):
    """One row per activity: events, cases, starts, ends, and cases in which it occurs again."""

    name: ClassVar[str] = "activities"


@dataclass(frozen=True)
class dfg(Measure):
    """One row per directly-follows pair: counts and the exact statistics of its gap in seconds.

    Parameters
    ----------
    percentiles : sequence of float, optional
        In [0, 100], at most six decimals. None takes those of ``mine``.
    approx : float, optional
        Percentiles off by at most this share, each with its bounds. None takes what ``mine`` says: exact by default.

    Examples
    --------
    >>> import pycjm
    >>> result = pycjm.sample().mine(pycjm.measures.dfg(percentiles=[50], approx=0.01))
    >>> result["dfg"].columns[-3:]
    ['p50_s', 'p50_lo_s', 'p50_hi_s']
    """

    name: ClassVar[str] = "dfg"
    percentiles: Sequence[float] | None = None
    approx: float | None = None


@dataclass(frozen=True)
class variants(Measure):
    """One row per distinct activity sequence, the most frequent first.

    Parameters
    ----------
    top : int, optional
        Keep the first rows only; shares are of all cases anyway.
    percentiles : sequence of float, optional
        Of the case durations. None takes those of ``mine``.
    approx : float, optional
        As for :class:`dfg`.

    Examples
    --------
    >>> import pycjm
    >>> result = pycjm.sample().mine(pycjm.measures.variants(top=3))
    >>> len(result["variants"])
    3
    """

    name: ClassVar[str] = "variants"
    top: int | None = None
    percentiles: Sequence[float] | None = None
    approx: float | None = None


@dataclass(frozen=True)
class durations(Measure):
    """One row of statistics of the case durations in seconds.

    Parameters
    ----------
    percentiles : sequence of float, optional
        None takes those of ``mine``.
    approx : float, optional
        As for :class:`dfg`.
    """

    name: ClassVar[str] = "durations"
    percentiles: Sequence[float] | None = None
    approx: float | None = None


@dataclass(frozen=True)
class cases(Measure):
    """One row per case in the order of their first rows, with one column per case metric. A stream."""

    name: ClassVar[str] = "cases"


@dataclass(frozen=True)
class metrics(Measure):
    """One row of statistics per case metric, always exact. Comes by itself when a case metric is asked for.

    Parameters
    ----------
    percentiles : sequence of float, optional
        None takes those of ``mine``.
    """

    name: ClassVar[str] = "metrics"
    percentiles: Sequence[float] | None = None


ALL: dict[str, type[Measure]] = {
    kind.name: kind for kind in (overview, activities, dfg, variants, durations, cases, metrics)
}
"""Every measure by the name of its table, in the order of the results."""

DEFAULT = ("overview", "activities", "dfg", "variants", "durations")
"""What is computed when nothing is named."""


def build_plan(
    asked: Sequence[str | Measure | CaseMetric],
    percentiles: Sequence[float],
    top: int | None,
    approx: float | None = None,
) -> tuple[dict[str, Any], list[CaseMetric]]:
    """The plan for what was asked, and the case metrics in it.

    Parameters
    ----------
    asked : sequence
        Names, measures, case metrics; none means the default.
    percentiles : sequence of float
        For measures that name none.
    top : int or None
        For ``variants`` where they are named by their plain name or by default.
    approx : float or None
        For measures with percentiles of times that name none.

    Raises
    ------
    InvalidArgument
        An unknown measure, one named twice, or an option that has no use.
    """
    from .case_metric import CaseMetric

    found: dict[str, Measure] = {}
    case_metrics: list[CaseMetric] = []
    top_used = top is None
    for item in asked or DEFAULT:
        if isinstance(item, CaseMetric):
            case_metrics.append(item)
            continue
        measure = _measure(item)
        if isinstance(item, str) and item == "variants" and top is not None:
            measure, top_used = variants(top=top), True
        if measure.name in found:
            raise errors.InvalidArgument(f"measure {measure.name!r} is named twice.", {"measure": measure.name})
        found[measure.name] = measure
    if not top_used:
        raise errors.InvalidArgument('top= has no use here: it cuts "variants" where that is named by its plain name.')
    if case_metrics:
        found.setdefault("metrics", metrics())
    elif "metrics" in found:
        raise errors.InvalidArgument('"metrics" needs a case metric: add one made with @pycjm.case_metric.')
    names = [metric.name for metric in case_metrics]
    if len(set(names)) < len(names):
        raise errors.InvalidArgument(f"two case metrics have the same name: {names}.", {"names": names})
    if approx is not None and not any(hasattr(measure, "approx") for measure in found.values()):
        raise errors.InvalidArgument('approx= has no use here: it is for "dfg", "variants" and "durations".')
    defaults = {"percentiles": percentiles, "approx": approx}
    plan: dict[str, Any] = {"version": 1, "measures": [found[name].plan(defaults) for name in ALL if name in found]}
    if case_metrics:
        plan["case_metrics"] = [metric.plan() for metric in case_metrics]
    return plan, case_metrics


def _measure(item: Any) -> Measure:
    if isinstance(item, Measure):
        return item
    if isinstance(item, type) and issubclass(item, Measure) and item is not Measure:
        return item()
    if not isinstance(item, str):
        raise errors.InvalidArgument(
            f"a measure is a name, an object of pycjm.measures or a case metric, not {item!r}.", {"measure": repr(item)}
        )
    if item not in ALL:
        raise errors.unknown("measure", item, list(ALL))
    return ALL[item]()


def check_percentiles(given: Any) -> list[float]:
    """The percentiles as plan numbers, whole ones as integers.

    Raises
    ------
    InvalidArgument
        One is no number in [0, 100], has more than six decimals, or comes twice.
    """
    if isinstance(given, (str, bytes)) or not hasattr(given, "__iter__"):
        raise errors.InvalidArgument(f"percentiles is a list of numbers, not {given!r}.", {"option": "percentiles"})
    checked: list[float] = []
    for value in given:
        try:
            number = float(value)
        except (TypeError, ValueError):
            number = math.nan
        if isinstance(value, (bool, str)) or not 0 <= number <= 100 or round(number, 6) != number:
            raise errors.InvalidArgument(
                f"a percentile is a number from 0 to 100 with at most six decimals, not {value!r}.",
                {"option": "percentiles"},
            )
        if number in checked:
            raise errors.InvalidArgument(f"percentile {value!r} is named twice.", {"option": "percentiles"})
        checked.append(int(number) if number.is_integer() else number)
    return checked


def check_approx(given: Any) -> float:
    """A share that percentiles may be off by.

    Raises
    ------
    InvalidArgument
        It is no number from 0.0001 to 0.5.
    """
    try:
        number = math.nan if isinstance(given, (bool, str, bytes)) else float(given)
    except (TypeError, ValueError):
        number = math.nan
    if not FINEST <= number <= COARSEST:
        raise errors.InvalidArgument(
            f"approx is a number from {FINEST} to {COARSEST}, such as 0.01 for one percent, not {given!r}; "
            "without it percentiles are exact.",
            {"option": "approx"},
        )
    return number


def check_count(option: str, given: Any) -> int:
    """A whole number from 1.

    Raises
    ------
    InvalidArgument
        It is something else.
    """
    try:
        number = 0 if isinstance(given, bool) else operator.index(given)
    except TypeError:
        number = 0
    if number < 1:
        raise errors.InvalidArgument(f"{option} is a whole number from 1, not {given!r}.", {"option": option})
    return number


def check_bytes(option: str, given: Any) -> None:
    """A number of bytes that the engine can count to.

    Raises
    ------
    InvalidArgument
        It is something else.
    """
    or_none = f", or {NO_LIMIT!r}" if option == "memory_limit" else ""
    if isinstance(given, str) and or_none:
        raise errors.InvalidArgument(
            f"{option} is a whole number of bytes{or_none}, not {given!r}.", {"option": option}
        )
    if check_count(option, given) > MOST_BYTES:
        raise errors.InvalidArgument(
            f"{option} is a number of bytes up to 2**64 - 1{or_none}, not {given!r}.", {"option": option}
        )
