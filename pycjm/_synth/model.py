"""By which distributions are synthetic journeys drawn?

All of them are tables of whole numbers, looked up with raw 64-bit draws and combined by whole-number arithmetic. So a
seed gives the same rows on every machine and with every version of numpy, whose own distributions may change, and whose
exponential differs in its last digit from processor to processor.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from statistics import NormalDist

import numpy as np

EVENTS_PER_CASE = 10
MAX_LENGTH = 5_000
EDGES_PER_ACTIVITY = 12.5
"""40 activities have about 500 distinct edges."""

LENGTH_LOG = NormalDist(math.log(EVENTS_PER_CASE - 0.5) - 0.5, 1.0)
"""Of the logarithm of a case's length less one, before it is cut to a whole number: ten events on average."""
GAP_LOG_US = NormalDist(math.log(7.2e9), 1.8)
"""Of the logarithm of a gap: half of all gaps are below two hours, and a few take weeks."""

STEP_BITS, GAP_BITS, BETWEEN_BITS, TIE_BITS = 12, 14, 20, 18
"""How the 64 bits of an event's draw are used: its step, a row of the table of gaps, the place between that row and the
next, and whether it is a tie."""
TIES = (1 << TIE_BITS) // 1_000

CHANNELS = ("web", "app", "e-mail", "call centre", "store", "crm")
TOUCHPOINTS = (
    ("ad seen", "search", "landing page", "product view", "comparison", "basket", "checkout", "payment", "login"),
    ("push opened", "app start", "scan", "wish list", "in-app chat", "voucher redeemed", "profile changed"),
    ("newsletter opened", "offer clicked", "order confirmed", "shipping notice", "survey answered", "reminder"),
    ("call", "call back", "complaint", "address changed", "cancellation", "escalation"),
    ("store visit", "consultation", "purchase", "pick-up", "return", "repair", "loyalty card"),
    ("order", "invoice", "delivery", "refund", "case closed"),
)
"""Names of touchpoints, by channel."""

Raw = Callable[[int], np.ndarray]
"""``raw(n)``: n 64-bit numbers. numpy keeps the streams of its bit generators for ever."""


def raw_draws(*key: int) -> Raw:
    """A stream of its own for each key."""
    return np.random.SFC64(np.random.SeedSequence(key)).random_raw


@dataclass(frozen=True)
class Model:
    """The tables.

    Attributes
    ----------
    length_bounds : ndarray of uint64
        A draw below entry n - 1 and no earlier one is a case of n events.
    gaps_us, gap_widths_us : ndarray of int64
        Quantiles of the gaps at equal distances, and how far the next one is; between two of them gaps are uniform.
    labels : ndarray of int32
        Cases walk on a ring of places; this is the activity of each place. Frequent activities have many. There are
        2^k places.
    steps : ndarray of int64
        Equally likely steps forward on the ring. Walks on a ring are sums, which is what makes them fast.
    starts : ndarray of int64
        Equally likely first places: few, so that a process map has a left side.
    """

    length_bounds: np.ndarray
    gaps_us: np.ndarray
    gap_widths_us: np.ndarray
    labels: np.ndarray
    steps: np.ndarray
    starts: np.ndarray


def model(activities: int, seed: int) -> Model:
    """The tables for a number of activities."""
    raw = raw_draws(seed, 0)
    labels = _ring(activities, raw)
    steps = _steps(labels, activities, raw)
    starts = (raw(8 + activities // 32) % np.uint64(len(labels))).astype(np.int64)
    gaps_us = _gaps_us()
    return Model(_length_bounds(), gaps_us[:-1], np.diff(gaps_us), labels, steps, starts)


def _length_bounds() -> np.ndarray:
    # Rounded to 40 bits, so that a logarithm's last digit cannot matter.
    shares = (round(LENGTH_LOG.cdf(math.log(n)) * (1 << 40)) for n in range(1, MAX_LENGTH))
    return np.array([min(share, (1 << 40) - 1) << 24 for share in shares], np.uint64)


def _gaps_us() -> np.ndarray:
    n = (1 << GAP_BITS) + 1
    return np.array([round(math.exp(GAP_LOG_US.inv_cdf((k + 0.5) / n))) for k in range(n)], np.int64)


def _ring(activities: int, raw: Raw) -> np.ndarray:
    """About two places for each activity, more for frequent ones, in a random order.

    How many there are is a power of two, so that a place on the ring is the low bits of a sum.
    """
    size = 1 << max(1, math.ceil(math.log2(1.5 * activities)))
    weights = np.array([round((rank + 1) ** -0.7 * (1 << 30)) for rank in range(activities)], np.int64)
    spare = size - activities
    upto = np.cumsum(weights)
    places = 1 + np.diff(spare * upto // upto[-1], prepend=0)
    labels = np.repeat(np.arange(activities, dtype=np.int32), places)
    return labels[np.argsort(raw(len(labels)), kind="stable")]


def _steps(labels: np.ndarray, activities: int, raw: Raw) -> np.ndarray:
    """As many distinct steps as give each activity about 12.5 successors, the k-th with a weight of k ^ -1.5."""
    size = len(labels)
    distinct = list(dict.fromkeys([1 % size, *(raw(64) % np.uint64(size)).tolist()]))
    wanted = EDGES_PER_ACTIVITY * activities
    edges = np.empty(0, np.int64)
    missing = [wanted]
    if activities > 1 << 12:
        # Two places seldom give the same pair of activities, and there would be millions of pairs to compare.
        missing += [abs(wanted - size * n) for n in range(1, len(distinct) + 1)]
    else:
        for step in distinct[:24]:
            pairs = labels.astype(np.int64) * activities + np.roll(labels, -step)
            edges = np.union1d(edges, pairs)
            missing.append(abs(wanted - len(edges)))
    n = max(1, missing.index(min(missing)))
    weights = [rank**-1.5 for rank in range(1, n + 1)]
    draws = 1 << STEP_BITS
    bounds = [round(sum(weights[: k + 1]) / sum(weights) * draws) for k in range(n)]
    return np.repeat(np.array(distinct[:n], np.int64), np.diff(bounds, prepend=0))


def alphabet(activities: int) -> tuple[list[str], np.ndarray]:
    """Labels of the activities, numbered beyond the named touchpoints, and the code of each one's channel."""
    named = [(touchpoint, channel) for channel, touchpoints in enumerate(TOUCHPOINTS) for touchpoint in touchpoints]
    turns = [divmod(code, len(named)) for code in range(activities)]
    labels = [named[which][0] + (f" {turn + 1}" if turn else "") for turn, which in turns]
    return labels, np.array([named[which][1] for _, which in turns], np.int8)
