"""In which order do the events of a synthetic log come?

One thread draws the blocks' parts together while others draw blocks and put buckets in order: numpy does that without
the GIL. What comes out does not depend on who was first.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import closing
from functools import partial
from itertools import count
from typing import Any, TypeVar

import numpy as np

from .blocks import EVENT, FIRST_US, SPAN_US, Plan, draw, start_us
from .buckets import Buckets
from .model import raw_draws

BUCKET_EVENTS = 1 << 19
"""Of a bucket, about. A part of the definition of a shuffled log."""
MIN_WINDOWS = 16
"""Of the layout by time: a time within a window has to fit into a sort key beside a position."""
WAITING = 3
"""How many pieces of work are begun ahead, for each stage: what bounds the memory they take."""

Report = Callable[[str, int, "int | None"], object]
Made = TypeVar("Made")


def by_case(planned: Plan, pool: ThreadPoolExecutor, finish: Callable[[np.ndarray], Made]) -> Iterator[Made]:
    """Blocks as they are drawn: cases contiguous, each in order."""
    for piece, _ in _drawn(planned, pool, lambda events, block: finish(events)):
        yield piece


def by_time(
    planned: Plan, pool: ThreadPoolExecutor, finish: Callable[[np.ndarray], Made], directory: str | None
) -> Iterator[Made]:
    """In the order of time; events of one time keep the order they have in their case.

    Time is cut into windows. A window is complete when blocks have come to start behind it.
    """
    n_windows = max(MIN_WINDOWS, planned.events // BUCKET_EVENTS)
    width_us = -(-SPAN_US // n_windows)

    def apart(events: np.ndarray, block: int) -> tuple[np.ndarray, np.ndarray]:
        return _by_bucket(events, (events["time_us"] - FIRST_US) // width_us)

    def complete(buckets: Buckets) -> Iterator[tuple[int, np.ndarray]]:
        taken = 0
        with closing(_drawn(planned, pool, apart)) as parts:
            for block, (part, _) in enumerate(parts):
                buckets.add(*part)
                reached = (start_us(planned, block + 1) - FIRST_US) // width_us
                if reached > taken:
                    yield from _taken(buckets, reached)
                    taken = reached
        yield from _taken(buckets, None)

    def ordered(window: tuple[int, np.ndarray]) -> Made:
        number, events = window
        return finish(_sorted_by_time(events, FIRST_US + number * width_us))

    with Buckets(directory) as buckets, closing(complete(buckets)) as windows:
        yield from _ahead(pool, ordered, windows)


def shuffled(
    planned: Plan,
    pool: ThreadPoolExecutor,
    finish: Callable[[np.ndarray], Made],
    directory: str | None,
    report: Report | None,
) -> Iterator[Made]:
    """In a random order: each event falls into a random bucket, and each bucket is shuffled."""
    n_buckets = max(1, planned.events // BUCKET_EVENTS)

    def apart(events: np.ndarray, block: int) -> tuple[np.ndarray, np.ndarray]:
        bits = raw_draws(planned.seed, 2, block)(len(events)) >> np.uint64(32)
        return _by_bucket(events, (bits * np.uint64(n_buckets) >> np.uint64(32)).astype(np.int64))

    def mixed(bucket: tuple[int, np.ndarray]) -> Made:
        number, events = bucket
        bits = raw_draws(planned.seed, 3, number)(len(events))
        return finish(_in_order_of(bits, events))

    with Buckets(directory) as buckets:
        with closing(_drawn(planned, pool, apart)) as parts:
            for part, drawn in parts:
                buckets.add(*part)
                if report is not None:
                    report("drawing", drawn, planned.events)
        yield from _ahead(pool, mixed, _taken(buckets, None))


def _drawn(
    planned: Plan, pool: ThreadPoolExecutor, then: Callable[[np.ndarray, int], Any]
) -> Iterator[tuple[Any, int]]:
    """For each block what `then` makes of it, with the number of events so far; exactly as many as are asked for."""

    def work(block: int) -> tuple[Any, int]:
        events = draw(planned, block)
        return then(events, block), len(events)

    done = 0
    with closing(_ahead(pool, work, count())) as made:
        for block in count():
            left = planned.events - done
            if not left:
                return
            part, n = next(made)
            if n > left:
                # The last block; drawn once more, because what has become of it cannot be cut any longer.
                part, n = then(draw(planned, block, left), block), left
            done += n
            yield part, done


def _ahead(pool: ThreadPoolExecutor, work: Callable[[Any], Made], inputs: Iterable[Any]) -> Iterator[Made]:
    """``map`` in a pool, in order, with a bounded number of results that wait."""
    waiting: deque[Future[Made]] = deque()
    try:
        for item in inputs:
            waiting.append(pool.submit(work, item))
            del item
            if len(waiting) > WAITING:
                yield waiting.popleft().result()
        while waiting:
            yield waiting.popleft().result()
    finally:
        for future in waiting:
            future.cancel()


def _taken(buckets: Buckets, before: int | None) -> Iterator[tuple[int, np.ndarray]]:
    for bucket in buckets.known():
        if before is None or bucket < before:
            yield bucket, buckets.take(bucket)


def _by_bucket(events: np.ndarray, bucket: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The events by bucket, in each as they came, and how many there are of each."""
    n_of_bucket = np.bincount(bucket)
    # numpy sorts numbers of 16 bits by counting.
    small = bucket.astype(np.uint16) if len(n_of_bucket) <= 1 << 16 else bucket
    return _take(events, np.argsort(small, kind="stable")), n_of_bucket


def _sorted_by_time(events: np.ndarray, from_us: int) -> np.ndarray:
    return _in_order_of((events["time_us"] - from_us).view(np.uint64), events, keep_high=False)


def _in_order_of(keys: np.ndarray, events: np.ndarray, *, keep_high: bool = True) -> np.ndarray:
    """The events in the order of their keys, then of their positions.

    Sorting numbers that hold key and position is several times faster than asking for the order of the keys. With
    `keep_high` only the high bits of the keys count; without it all do, however many there are.
    """
    bits = max(1, len(keys) - 1).bit_length()
    if not keep_high and len(keys) and int(keys.max()).bit_length() + bits > 64:
        return _take(events, np.argsort(keys, kind="stable"))
    low = np.uint64((1 << bits) - 1)
    packed = (keys & ~low) if keep_high else (keys << np.uint64(bits))
    packed |= np.arange(len(keys), dtype=np.uint64)
    packed.sort()
    return _take(events, (packed & low).view(np.int64))


def _take(events: np.ndarray, order: np.ndarray) -> np.ndarray:
    # Of records numpy takes field by field; of bytes without fields, each record at once.
    return events.view(f"V{EVENT.itemsize}").take(order).view(EVENT)


def layouts(
    layout: str, directory: str | None, report: Report | None
) -> Callable[[Plan, ThreadPoolExecutor, Callable[[np.ndarray], Made]], Iterator[Made]]:
    """The function that makes a layout."""
    return {
        "case": by_case,
        "time": partial(by_time, directory=directory),
        "shuffled": partial(shuffled, directory=directory, report=report),
    }[layout]
