"""Do durations, counts and sizes read well at their edges?"""

from __future__ import annotations

import math

import pytest

from pycjm import _human


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (None, "-"), (math.nan, "-"), (math.inf, "-"), (0, "0 s"), (1e-9, "1 ns"), (2.5e-6, "2.5 µs"), (0.001, "1 ms"),
        (0.0009996, "1 ms"), (0.25, "250 ms"), (0.9994, "999 ms"), (0.9996, "1 s"), (1, "1 s"), (9.94, "9.9 s"),
        (9.96, "10 s"), (59.4, "59 s"), (59.6, "1 min"), (61, "1 min 1 s"), (3599.4, "59 min 59 s"), (3599.6, "1 h"),
        (76500, "21 h 15 min"), (86399, "1 d"), (208800, "2 d 10 h"), (1e9, "11574 d"), (-7200, "-2 h"),
    ],
)  # fmt: skip
def test_durations(seconds: float | None, text: str) -> None:
    assert _human.duration(seconds) == text


@pytest.mark.parametrize(
    ("n_bytes", "text"),
    [
        (None, "-"),
        (0, "0 B"),
        (1023, "1023 B"),
        (1024, "1.0 KiB"),
        (1536, "1.5 KiB"),
        (1 << 30, "1.0 GiB"),
        (1 << 50, "1024.0 TiB"),
    ],
)
def test_sizes(n_bytes: int | None, text: str) -> None:
    assert _human.size(n_bytes) == text


@pytest.mark.parametrize(
    ("iso", "text"),
    [
        (None, "-"),
        ("2026-01-05T08:00:00.000000Z", "2026-01-05 08:00:00 UTC"),
        ("2026-01-05T08:00:00.120000000", "2026-01-05 08:00:00.12"),
        ("2026-01-05T08:00:00", "2026-01-05 08:00:00"),
        ("2026-01-10", "2026-01-10"),
    ],
)
def test_moments(iso: str | None, text: str) -> None:
    assert _human.moment(iso) == text


def test_counts_and_shares() -> None:
    assert (_human.count(1234567), _human.count(None)) == ("1,234,567", "-")
    assert (_human.share(0.1234), _human.share(None), _human.share(math.nan)) == ("12.3 %", "-", "-")


@pytest.mark.parametrize(
    "middle", [0.0, 0.0123456, 5.44, 9.949, 59.6, 182.3, 3599.9, 46825.2, 248034.4, 99.7 * 86400, 150.9 * 86400, 1e9]
)
@pytest.mark.parametrize("share", [0.0001, 0.01, 0.3])
@pytest.mark.parametrize("sign", [-1, 1])
def test_what_is_told_of_bounds_includes_them(middle: float, share: float, sign: int) -> None:
    """What people read, read back."""
    half = middle * share or share
    told, off = _human.within(sign * middle, sign * middle - half, sign * middle + half).split(" ± ")
    assert abs(_seconds(told) - sign * middle) + half <= _seconds(off) * (1 + 1e-9)


def _seconds(text: str) -> float:
    units = {"d": 86400, "h": 3600, "min": 60, "s": 1, "ms": 1e-3, "µs": 1e-6, "ns": 1e-9}
    parts = text.removeprefix("-").split()
    total = sum(float(n) * units[unit] for n, unit in zip(parts[::2], parts[1::2], strict=True))
    return -total if text.startswith("-") else total
