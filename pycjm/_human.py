"""How are durations, counts and sizes written for people?

One place, so that the process map, the terminal and the tables' reprs say the same thing the same way.
"""

from __future__ import annotations

import math
from collections.abc import Container

_STEPS = (("d", 86_400.0), ("h", 3_600.0), ("min", 60.0), ("s", 1.0))


def duration(seconds: float | None) -> str:
    """A duration in its two largest units: ``2 d 10 h``, ``21 h 15 min``, ``45 s``, ``250 ms``.

    Parameters
    ----------
    seconds : float or None
        A finite number, NaN or None.

    Returns
    -------
    str
        Rounded to the smaller of the two units; ``-`` where there is no value.

    Examples
    --------
    >>> duration(76500.0), duration(3599.9), duration(0.25), duration(None)
    ('21 h 15 min', '1 h', '250 ms', '-')
    """
    if seconds is None or not math.isfinite(seconds):
        return "-"
    if seconds < 0:
        return "-" + duration(-seconds)
    if seconds == 0:
        return "0 s"
    if seconds < 1:
        return _below_second(seconds)
    if seconds < 9.95:
        return f"{seconds:.1f}".removesuffix(".0") + " s"
    place = next(place for place, (_, large_s) in enumerate(_STEPS) if seconds >= large_s)
    large, large_s = _STEPS[place]
    small, small_s = _STEPS[min(place + 1, len(_STEPS) - 1)]
    rounded_s = round(seconds / small_s) * small_s
    if place and rounded_s >= _STEPS[place - 1][1]:
        # 59 min 59.9 s is 1 h, not 60 min.
        return duration(rounded_s)
    n_large, rest_s = divmod(rounded_s, large_s)
    n_small = round(rest_s / small_s)
    return f"{n_large:.0f} {large}" + (f" {n_small} {small}" if n_small and n_large < 100 else "")


def within(middle: float | None, low: float | None, high: float | None) -> str:
    """A duration between bounds: ``3 min 2 s ± 2.5 s``, and as any other where the bounds meet.

    What rounding for people may hide is added to what stands behind the sign, so that no bound lies outside.

    Parameters
    ----------
    middle, low, high : float or None
        Seconds; `middle` lies halfway between the others.

    Examples
    --------
    >>> within(182.0, 180.0, 184.0), within(60.0, 60.0, 60.0)
    ('3 min 2 s ± 2.5 s', '1 min')
    """
    if middle is None or low is None or high is None or low == high:
        return duration(middle)
    off = (high - low) / 2 + _hidden(middle)
    return f"{duration(middle)} ± {duration(off + _hidden(off))}"


def _hidden(seconds: float) -> float:
    """By how many seconds :func:`duration` may round."""
    seconds = abs(seconds)
    if seconds < 1:
        return 0.5 * 10.0 ** (math.floor(math.log10(seconds)) - 2) if seconds else 0.0
    if seconds < 9.95:
        return 0.05
    place = next(place for place, (_, large_s) in enumerate(_STEPS) if seconds >= large_s)
    large_s, small_s = _STEPS[place][1], _STEPS[min(place + 1, len(_STEPS) - 1)][1]
    return large_s if seconds >= 99.5 * large_s else small_s / 2  # from 100 d on, hours are left out


def bounds_of(name: str, columns: Container[str]) -> tuple[str, ...]:
    """The columns with the lower and the upper bound of a percentile, if it has some: to be told together with it.

    Examples
    --------
    >>> bounds_of("p50_s", ["p50_s", "p50_lo_s", "p50_hi_s"]), bounds_of("mean_s", ["mean_s"])
    (('p50_lo_s', 'p50_hi_s'), ())
    """
    stem = name.removesuffix("_s")
    bounds = (f"{stem}_lo_s", f"{stem}_hi_s")
    return bounds if all(bound in columns for bound in bounds) else ()


def _below_second(seconds: float) -> str:
    rounded = float(f"{seconds:.3g}")
    for unit, scale in (("s", 1), ("ms", 1e3), ("µs", 1e6)):
        # Slightly below 1, because 0.001 * 1000 need not be 1 in floating point.
        if rounded * scale > 0.9999:
            return f"{rounded * scale:.3g} {unit}"
    return f"{rounded * 1e9:.3g} ns"


def moment(text: str | None) -> str:
    """A time given as ISO 8601, to be read: ``2026-01-05 09:07:04 UTC``, with a fraction only where there is one."""
    if text is None:
        return "-"
    bare = text.removesuffix("Z").replace("T", " ")
    if "." in bare:
        bare = bare.rstrip("0").removesuffix(".")
    return bare + (" UTC" if text.endswith("Z") else "")


def count(number: int | None) -> str:
    """A whole number with its thousands apart: ``1,234,567``; ``-`` where there is none."""
    return "-" if number is None else f"{number:,}"


def share(fraction: float | None) -> str:
    """A fraction as a percentage with one decimal: ``12.5 %``; ``-`` where there is none."""
    return "-" if fraction is None or not math.isfinite(fraction) else f"{100 * fraction:.1f} %"


def size(n_bytes: int | None) -> str:
    """A size in binary units: ``512 B``, ``1.5 KiB``, ``3.0 GiB``; ``-`` where there is none."""
    if n_bytes is None:
        return "-"
    value = float(n_bytes)
    for unit in ("B", "KiB", "MiB", "GiB"):
        if value < 1023.95:
            return f"{value:.0f} {unit}" if unit == "B" else f"{value:.1f} {unit}"
        value /= 1024
    return f"{value:.1f} TiB"
