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
