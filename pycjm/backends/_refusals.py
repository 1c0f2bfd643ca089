"""Which logs do the Python backends refuse? The same ones as the engine, whatever was asked, and a few types."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import pyarrow as pa

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


def refuse_order_type(position: int, kind: pa.DataType, backend: str) -> None:
    """Raise Unsupported if the order of the values of `kind` is known to the engine alone."""
    import pyarrow as pa

    if pa.types.is_nested(kind) or pa.types.is_interval(kind):
        from pycjm.errors import Unsupported

        raise Unsupported(
            f"the {backend} backend does not order events by {kind}, the type of order_by column {position + 1}; use "
            "backend='native', or order by numbers, text or times",
            details={"role": "order_by", "type": str(kind), "backend": backend},
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
