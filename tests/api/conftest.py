"""The golden log of the contract."""

from __future__ import annotations

import datetime

import pyarrow as pa
import pytest

DAY = datetime.timedelta(days=1)
MONDAY = datetime.datetime(2026, 1, 5, tzinfo=datetime.UTC)


def _at(day: int, hour: int, minute: int = 0) -> datetime.datetime:
    return MONDAY + day * DAY + datetime.timedelta(hours=hour, minutes=minute)


GOLDEN_ROWS = [
    ("A", "a", _at(0, 8)),
    ("A", "b", _at(0, 8)),
    ("A", "c", _at(0, 9)),
    ("A", "b", _at(0, 10)),
    ("A", "d", _at(1, 9)),
    ("B", "a", _at(4, 16)),
    ("B", "c", _at(7, 8)),
    ("B", "c", _at(7, 8, 30)),
    ("B", "d", _at(7, 12)),
    ("C", "a", _at(0, 8)),
    ("C", "d", _at(2, 18)),
    ("D", "a", _at(1, 8)),
    ("D", "d", _at(1, 9)),
    ("E", "a", _at(1, 8)),
    ("E", "d", _at(1, 10)),
    ("F", "a", _at(1, 8)),
    ("F", "d", _at(2, 8)),
]


@pytest.fixture
def golden() -> pa.Table:
    """The golden log in the order of the contract, under names that are guessed."""
    case, activity, ts = zip(*GOLDEN_ROWS, strict=True)
    return pa.table(
        {"case_id": case, "activity": activity, "timestamp": pa.array(ts, pa.timestamp("s", tz="UTC"))},
    )
