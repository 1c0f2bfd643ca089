"""Which logs do the Python backends refuse? The same ones as the engine, whatever was asked of them."""

from __future__ import annotations

_INT64_MAX = 2**63 - 1


def refuse_far_times(first: int, last: int) -> None:
    """Raise InvalidData if times from `first` to `last` have differences that 64 bits cannot hold."""
    if last - first > _INT64_MAX:
        from pycjm.errors import InvalidData

        raise InvalidData(
            f"column 'timestamp': times from {first} to {last} ticks lie too far apart for their unit; "
            "use a coarser one",
            details={"column": "timestamp"},
        )


def refuse_negative_gaps(count: int) -> None:
    """Raise InvalidData if `count` gaps are negative; for ``negative="error"``."""
    if count:
        from pycjm.errors import InvalidData

        raise InvalidData(
            f"column 'start_timestamp': {count} events start before the event ahead of them in their case ends; "
            "negative='keep' keeps such gaps, negative='zero' counts them as none",
            details={"column": "start_timestamp", "count": count},
        )
