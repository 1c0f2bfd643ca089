"""How are the events of many cases drawn at once?

A block is a run of whole cases. It has its own stream of draws, so blocks can be drawn in any order and in parallel.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime

import numpy as np

from . import model as _model
from .model import BETWEEN_BITS, EVENTS_PER_CASE, GAP_BITS, STEP_BITS, TIES, Model, raw_draws

BLOCK_CASES = 1 << 14
"""Cases drawn together, at most. A part of the definition of a log: another value gives other events."""
SPAN_US = 365 * 86_400 * 10**6
"""Cases are planned to start within one year, whatever the number of events; a few more than planned start later."""
FIRST_US = int(datetime(2025, 1, 1, tzinfo=UTC).timestamp()) * 10**6

EVENT = np.dtype([("case", "<i8"), ("time_us", "<i8"), ("activity", "<i4")])
"""An event as a record: the case's id, microseconds since 1970, the code of the activity."""


@dataclass(frozen=True)
class Plan:
    """What a log consists of, whatever its layout.

    Attributes
    ----------
    events : int
        How many there are.
    activities : int
        How many distinct ones there are.
    seed : int
        Of all draws.
    model : Model
        The distributions.
    block_cases : int
        Cases of a block.
    window_us : int
        The cases of block k start within the k-th window of this width.
    """

    events: int
    activities: int
    seed: int
    model: Model
    block_cases: int
    window_us: int


def plan(events: int, activities: int, seed: int) -> Plan:
    """The plan of a log."""
    expected_cases = max(16, events // EVENTS_PER_CASE)
    block_cases = min(BLOCK_CASES, expected_cases)
    window_us = max(1, SPAN_US * block_cases // expected_cases)
    return Plan(events, activities, seed, _model.model(activities, seed), block_cases, window_us)


def start_us(planned: Plan, block: int) -> int:
    """The time before which no case of a block, or of a later one, has an event."""
    return FIRST_US + block * planned.window_us


def draw(planned: Plan, block: int, limit: int | None = None) -> np.ndarray:
    """The events of a block: cases in the order of their starts, each in its own order.

    Parameters
    ----------
    planned : Plan
        The log.
    block : int
        Its number, from 0.
    limit : int, optional
        Cut after so many events; the log's last case may lose some.

    Returns
    -------
    ndarray of EVENT
    """
    tables, n_cases = planned.model, planned.block_cases
    raw = raw_draws(planned.seed, 1, block)
    lengths = 1 + np.searchsorted(tables.length_bounds, raw(n_cases), side="right")
    starts_us = start_us(planned, block) + np.sort((raw(n_cases) % np.uint64(planned.window_us)).astype(np.int64))
    places = tables.starts[(raw(n_cases) % np.uint64(len(tables.starts))).astype(np.int64)]
    ends = np.cumsum(lengths)
    firsts = ends - lengths
    bits = raw(int(ends[-1]))
    events = np.empty(len(bits), EVENT)
    ids = scattered(np.arange(block * n_cases, (block + 1) * n_cases))
    events["case"] = np.repeat(ids, lengths)
    # Sums run over the whole block; subtracting what they are at a case's first event starts each case anew.
    walk = np.cumsum(tables.steps[_field(bits, 0, STEP_BITS)])
    walk += np.repeat(places - walk[firsts], lengths)
    walk &= len(tables.labels) - 1
    events["activity"] = tables.labels[walk]
    elapsed_us = np.cumsum(_gaps_us(tables, bits))
    elapsed_us += np.repeat(starts_us - elapsed_us[firsts], lengths)
    events["time_us"] = elapsed_us
    return events[:limit]


def _gaps_us(tables: Model, bits: np.ndarray) -> np.ndarray:
    row = _field(bits, STEP_BITS, GAP_BITS)
    gaps = tables.gap_widths_us[row]
    gaps *= _field(bits, STEP_BITS + GAP_BITS, BETWEEN_BITS)
    gaps >>= BETWEEN_BITS
    gaps += tables.gaps_us[row]
    gaps[bits >> np.uint64(STEP_BITS + GAP_BITS + BETWEEN_BITS) < np.uint64(TIES)] = 0
    return gaps


def _field(bits: np.ndarray, first: int, width: int) -> np.ndarray:
    field = bits >> np.uint64(first)
    field &= np.uint64((1 << width) - 1)
    return field.view(np.int64)


def scattered(numbers: np.ndarray) -> np.ndarray:
    """Numbers as random-looking distinct ones below 2^63: each step can be undone, so no two become one."""
    mask = np.uint64((1 << 63) - 1)
    mixed = numbers.astype(np.uint64) + np.uint64(0x5DEECE66D)
    for shift, factor in ((31, 0x9E3779B97F4A7C15), (29, 0xBF58476D1CE4E5B9), (32, 0x94D049BB133111EB)):
        mixed = (mixed ^ (mixed >> np.uint64(shift))) * np.uint64(factor) & mask
    return (mixed ^ (mixed >> np.uint64(32))).view(np.int64)
