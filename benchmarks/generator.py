"""Where do logs of any size come from whose every byte is known in advance?

``journeys`` gives a stream of synthetic events for benchmarks: seeded, realistic in what costs an engine time (case
lengths, gaps, number of edges, ties, random-looking ids), in three layouts. ``omnichannel`` gives the small readable
log that ships with the package. Run as a script it writes either to a Parquet file:

    python benchmarks/generator.py sample pycjm/sample_data/omnichannel.parquet
    python benchmarks/generator.py journeys --events 1000000 --layout time --seed 1 journeys.parquet
"""

from __future__ import annotations

import argparse
import math
import random
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime, timedelta
from functools import partial
from statistics import NormalDist
from typing import Literal, NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

Layout = Literal["case", "time", "shuffled"]
CaseId = Literal["int", "string"]

BLOCK_CASES = 1 << 16
"""Cases drawn together, at most. A part of the definition of a log: another value gives other events."""
SPAN_US = 365 * 86_400 * 10**6
"""Cases start within one year, whatever the number of events."""
FIRST_US = int(datetime(2025, 1, 1, tzinfo=UTC).timestamp()) * 10**6
EVENTS_PER_CASE = 10
MAX_LENGTH = 5_000
TIES = 0.001
EDGES_PER_ACTIVITY = 12.5
"""40 activities have about 500 distinct edges."""

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


class _Events(NamedTuple):
    """Events as columns: the case's number, the activity's code, the time in microseconds since 1970."""

    case: np.ndarray
    activity: np.ndarray
    time_us: np.ndarray

    def take(self, chosen: np.ndarray | slice) -> _Events:
        return _Events(*(column[chosen] for column in self))

    @staticmethod
    def concat(parts: Sequence[_Events]) -> _Events:
        return _Events(*(np.concatenate(columns) for columns in zip(*parts, strict=True)))


def journeys(
    events: int,
    layout: Layout = "case",
    case_id: CaseId = "int",
    activities: int = 40,
    seed: int = 1,
    *,
    batch_rows: int = 1 << 18,
) -> pa.RecordBatchReader:
    """Stream a synthetic log of exactly `events` events.

    Case lengths are log-normal (ten events on average, some thousands at most), so are the gaps between events, one gap
    in a thousand is a tie. Activities follow each other as in a Markov chain with about 12.5 successors for each.

    Parameters
    ----------
    events : int
        Number of rows.
    layout : {"case", "time", "shuffled"}
        Rows of a case contiguous; rows in the order of time; rows in a random order.
    case_id : {"int", "string"}
        Random-looking distinct int64 numbers, or the same as text of 17 characters.
    activities : int
        Number of distinct activities, at least 1.
    seed : int
        Same arguments and seed, same events. `batch_rows` changes only how they are cut.

    Returns
    -------
    pyarrow.RecordBatchReader
        Columns ``case_id``, ``activity``, ``channel``, ``timestamp`` (timestamp[us, UTC]).

    Notes
    -----
    Layout "case" holds one block of cases, "time" also the events of the cases still open (about 2 % of the log),
    "shuffled" all events in 20 bytes each.
    """
    if events < 0 or activities < 1 or batch_rows < 1:
        raise ValueError("events must be at least 0, activities and batch_rows at least 1")
    blocks = _blocks(events, activities, seed)
    ordered = {"case": iter, "time": _by_time, "shuffled": partial(_shuffled, seed=seed)}[layout](blocks)
    labels, channels = _alphabet(activities)
    id_type = {"int": pa.int64(), "string": pa.utf8()}[case_id]
    schema = pa.schema(
        [
            pa.field("case_id", id_type, nullable=False),
            pa.field("activity", labels.type, nullable=False),
            pa.field("channel", channels.type, nullable=False),
            pa.field("timestamp", pa.timestamp("us", "UTC"), nullable=False),
        ]
    )
    return pa.RecordBatchReader.from_batches(schema, _batches(ordered, schema, labels, channels, batch_rows))


def _batches(
    parts: Iterator[_Events], schema: pa.Schema, labels: pa.Array, channels: pa.Array, batch_rows: int
) -> Iterator[pa.RecordBatch]:
    as_ids = _text_ids if pa.types.is_string(schema.field("case_id").type) else pa.array
    for part in parts:
        for start in range(0, len(part.case), batch_rows):
            piece = part.take(slice(start, start + batch_rows))
            columns = [
                as_ids(_scattered(piece.case)),
                labels.take(pa.array(piece.activity)),
                channels.take(pa.array(piece.activity)),
                pa.array(piece.time_us).cast(schema.field("timestamp").type),
            ]
            yield pa.record_batch(columns, schema=schema)


def _blocks(events: int, activities: int, seed: int) -> Iterator[_Events]:
    """Blocks of whole cases in the order of their numbers; the last case is cut where the events are enough.

    Block k starts its cases within its own window of time, and no case of it earlier: `_by_time` relies on that.
    """
    successors = _successors(activities, np.random.default_rng([seed, 0]))
    expected_cases = max(16, events // EVENTS_PER_CASE)
    n_cases = min(BLOCK_CASES, expected_cases)
    window_us = SPAN_US * n_cases // expected_cases
    left, block = events, 0
    while left:
        rng = np.random.default_rng([seed, 1, block])
        numbers = np.arange(block * n_cases, (block + 1) * n_cases)
        drawn = _cases(rng, successors, numbers, FIRST_US + block * window_us, window_us).take(slice(0, left))
        left -= len(drawn.case)
        block += 1
        yield drawn


def _cases(
    rng: np.random.Generator, successors: np.ndarray, numbers: np.ndarray, start_us: int, window_us: int
) -> _Events:
    """One block of cases, contiguous, each in the order of time."""
    lengths = 1 + np.exp(rng.normal(math.log(EVENTS_PER_CASE - 0.5) - 0.5, 1.0, len(numbers))).astype(np.int64)
    np.minimum(lengths, MAX_LENGTH, out=lengths)
    ends = np.cumsum(lengths)
    firsts = ends - lengths
    activity = _walks(rng, successors, lengths, firsts)
    # Half of all gaps are below two hours, and a few take weeks.
    gaps_us = np.exp(rng.normal(math.log(7.2e9), 1.8, ends[-1])).astype(np.int64)
    gaps_us[rng.random(ends[-1]) < TIES] = 0
    gaps_us[firsts] = 0
    elapsed_us = np.cumsum(gaps_us)
    starts_us = start_us + np.sort(rng.integers(0, window_us, len(numbers)))
    time_us = elapsed_us + np.repeat(starts_us - elapsed_us[firsts], lengths)
    return _Events(np.repeat(numbers, lengths), activity, time_us)


def _walks(rng: np.random.Generator, successors: np.ndarray, lengths: np.ndarray, firsts: np.ndarray) -> np.ndarray:
    """The activities of all cases: step k of every case that is long enough at once."""
    activity = np.empty(lengths.sum(), np.int32)
    # Cases begin with few of the activities, so that the map has a left side.
    current = successors[0][rng.integers(0, successors.shape[1], len(lengths))]
    longest_first = np.argsort(-lengths, kind="stable")
    current = current[longest_first]
    slots = firsts[longest_first]
    descending = -lengths[longest_first]
    for step in range(int(lengths.max())):
        alive = int(np.searchsorted(descending, -step, side="left"))
        current = current[:alive]
        activity[slots[:alive] + step] = current
        current = successors[current, rng.integers(0, successors.shape[1], alive)]
    return activity


def _successors(activities: int, rng: np.random.Generator) -> np.ndarray:
    """For each activity 1024 equally likely successors: a Zipf-like choice among 10 to 15 activities, if there are."""
    draws = 1024
    table = np.empty((activities, draws), np.int32)
    spread = 2 * (EDGES_PER_ACTIVITY % 1) * 5
    for activity in range(activities):
        n = min(activities, round(EDGES_PER_ACTIVITY + spread * (rng.random() - 0.5)))
        # A permutation for each activity would make 10^5 of them take minutes; a repeated draw does no harm.
        chosen = rng.permutation(activities)[:n] if activities <= 1 << 12 else rng.integers(0, activities, n)
        weights = np.arange(1, n + 1) ** -1.5
        bounds = np.rint(np.cumsum(weights) / weights.sum() * draws).astype(np.int64)
        table[activity] = np.repeat(chosen, np.diff(bounds, prepend=0))
    return table


def _by_time(blocks: Iterator[_Events]) -> Iterator[_Events]:
    """Merge blocks into the order of time; events of one time keep the order they have in their case."""
    held: _Events | None = None
    for block in blocks:
        # Sorting is stable and what was held stands in front, so no two events of a case change places.
        merged = block if held is None else _Events.concat([held, block])
        merged = merged.take(np.argsort(merged.time_us, kind="stable"))
        # Later blocks start no earlier than this one, so what lies before its first event is complete.
        complete = int(np.searchsorted(merged.time_us, block.time_us.min(), side="left"))
        yield merged.take(slice(0, complete))
        held = merged.take(slice(complete, None))
    if held is not None:
        yield held


def _shuffled(blocks: Iterator[_Events], seed: int) -> Iterator[_Events]:
    everything = list(blocks)
    if everything:
        merged = _Events.concat(everything)
        del everything
        order = np.random.default_rng([seed, 2]).permutation(len(merged.case))
        for start in range(0, len(order), 1 << 20):
            yield merged.take(order[start : start + (1 << 20)])


def _alphabet(activities: int) -> tuple[pa.Array, pa.Array]:
    """Labels of the activities and their channels; beyond the named touchpoints the labels are numbered."""
    named = [
        (touchpoint, channel)
        for touchpoints, channel in zip(TOUCHPOINTS, CHANNELS, strict=True)
        for touchpoint in touchpoints
    ]
    labels, channels = [], []
    for code in range(activities):
        turn, which = divmod(code, len(named))
        labels.append(named[which][0] + (f" {turn + 1}" if turn else ""))
        channels.append(named[which][1])
    return pa.array(labels), pa.array(channels)


def _scattered(numbers: np.ndarray) -> np.ndarray:
    """Numbers as random-looking distinct ones below 2^63: each step can be undone, so no two become one."""
    mask = np.uint64((1 << 63) - 1)
    mixed = numbers.astype(np.uint64) + np.uint64(0x5DEECE66D)
    for shift, factor in ((31, 0x9E3779B97F4A7C15), (29, 0xBF58476D1CE4E5B9), (32, 0x94D049BB133111EB)):
        mixed = (mixed ^ (mixed >> np.uint64(shift))) * np.uint64(factor) & mask
    return (mixed ^ (mixed >> np.uint64(32))).view(np.int64)


def _text_ids(ids: np.ndarray) -> pa.Array:
    """Ids as ``J`` and 16 hexadecimal digits, written straight into an Arrow buffer."""
    width = 17
    digits = np.frombuffer(b"0123456789ABCDEF", np.uint8)
    text = np.full((len(ids), width), ord("J"), np.uint8)
    for place in range(16):
        text[:, width - 1 - place] = digits[(ids >> (4 * place)) & 15]
    offsets = np.arange(0, width * (len(ids) + 1), width, dtype=np.int32)
    return pa.StringArray.from_buffers(len(ids), pa.py_buffer(offsets), pa.py_buffer(text))


class _Draw:
    """Draws for the sample out of ``random.random`` alone, the one method whose values Python promises to keep."""

    def __init__(self, seed: int) -> None:
        self._random = random.Random(seed).random

    def chance(self, probability: float) -> bool:
        return self._random() < probability

    def one_of(self, weights: dict[str, float]) -> str:
        left = self._random() * sum(weights.values())
        for name, weight in weights.items():
            left -= weight
            if left < 0:
                return name
        return name

    def wait_s(self, median_s: float, spread: float = 0.9) -> int:
        return max(1, round(median_s * math.exp(spread * NormalDist().inv_cdf(1e-9 + (1 - 2e-9) * self._random()))))

    def uniform(self, low: float, high: float) -> float:
        return low + (high - low) * self._random()


MINUTE, HOUR, DAY = 60.0, 3600.0, 86_400.0
ENTRY = {"ad clicked": 3.0, "newsletter opened": 2.0, "search": 4.0, "store visit": 1.5, "app start": 2.0}
HOME = {"ad clicked": "web", "newsletter opened": "e-mail", "search": "web", "store visit": "store", "app start": "app"}
COUNTRIES = {"DE": 4.0, "AT": 1.5, "CH": 1.5, "FR": 2.0, "NL": 1.0}


class _Journey:
    """One customer's journey as it unfolds: where they are, when, and what they did so far."""

    def __init__(self, draw: _Draw, start: datetime) -> None:
        self.draw = draw
        self.now = start
        self.rows: list[dict[str, object]] = []
        self.channel = "web"

    def touch(self, touchpoint: str, channel: str | None = None, wait_s: float = 0, **values: object) -> None:
        """Add an event, `wait_s` (a median) after the one before."""
        if wait_s:
            self.now += timedelta(seconds=self.draw.wait_s(wait_s))
        row = {"touchpoint": touchpoint, "channel": channel or self.channel, "timestamp": self.now}
        self.rows.append(row | values)

    def run(self) -> None:
        """From the first contact to the last; most journeys end early."""
        entry = self.draw.one_of(ENTRY)
        self.channel = HOME[entry]
        self.touch(entry)
        if self.channel == "e-mail":
            self.channel = "web"
        if self.research() and self.buy():
            self.receive()
            self.afterwards()

    def research(self) -> bool:
        """Look at products, on the way changing the channel or leaving for days. True: wants to buy."""
        draw = self.draw
        while True:
            self.touch("product view", wait_s=2 * MINUTE)
            if draw.chance(0.20):
                self.touch("comparison", wait_s=4 * MINUTE)
            if draw.chance(0.12):
                if self.channel != "store" and draw.chance(0.5):
                    self.touch("question asked", "call centre", wait_s=3 * HOUR)
                else:
                    self.touch("consultation", "store", wait_s=DAY)
            step = draw.one_of({"buy": 3.4, "again": 2.6, "later": 1.6, "switch": 1.2, "gone": 2.0})
            if step in ("buy", "gone"):
                return step == "buy"
            if step == "switch":
                self.channel = draw.one_of({c: 1.0 for c in ("web", "app", "store") if c != self.channel})
                self.touch("store visit" if self.channel == "store" else "search", wait_s=9 * HOUR)
            elif step == "later":
                self.touch("reminder sent", "e-mail", wait_s=2 * DAY)
                if draw.chance(0.45):
                    return False
                self.touch("search", wait_s=6 * HOUR)

    def buy(self) -> bool:
        """Basket, checkout, order. True: ordered."""
        draw = self.draw
        value = round(draw.uniform(15, 120) * math.exp(draw.uniform(0, 1.8)), 2)
        self.touch("basket", wait_s=5 * MINUTE, value_eur=value)
        if self.channel != "store" and draw.chance(0.27):
            self.touch("basket left", "crm", wait_s=HOUR, value_eur=value)
            if draw.chance(0.55):
                return False
            self.touch("voucher sent", "e-mail", wait_s=DAY)
            self.touch("basket", wait_s=4 * HOUR, value_eur=value)
        self.touch("checkout", wait_s=3 * MINUTE, value_eur=value)
        while draw.chance(0.12):
            self.touch("payment failed", wait_s=MINUTE)
            if draw.chance(0.35):
                return False
            self.touch("checkout", wait_s=2 * MINUTE, value_eur=value)
        self.touch("order", wait_s=MINUTE, value_eur=value)
        # Where the shop and the CRM stamp the order in the same second, the log has its ties.
        self.touch("order confirmed", "crm", wait_s=0 if draw.chance(0.25) else 4)
        return True

    def receive(self) -> None:
        """Delivery, or pick-up in a store."""
        if self.channel == "store" or self.draw.chance(0.2):
            self.touch("pick-up", "store", wait_s=1.5 * DAY)
            return
        self.touch("shipped", "crm", wait_s=DAY)
        if self.draw.chance(0.13):
            self.touch("where is my order", "call centre", wait_s=3 * DAY)
        self.touch("delivery", "crm", wait_s=2 * DAY)

    def afterwards(self) -> None:
        """Complaints, returns, feedback, and another order."""
        draw = self.draw
        happy = True
        if draw.chance(0.17):
            happy = False
            self.touch("complaint", draw.one_of({"e-mail": 2.0, "call centre": 2.0, "app": 1.0}), wait_s=2 * DAY)
            while draw.chance(0.3):
                self.touch("call", "call centre", wait_s=2 * DAY)
            happy = draw.chance(0.5)
            self.touch("complaint answered", "e-mail", wait_s=1.5 * DAY)
        if draw.chance(0.14):
            self.touch("return", draw.one_of({"crm": 3.0, "store": 1.0}), wait_s=5 * DAY)
            self.touch("refund", "crm", wait_s=4 * DAY)
        if draw.chance(0.4):
            score = draw.one_of({"10": 3, "9": 3, "8": 2, "7": 1} if happy else {"5": 1, "3": 2, "1": 2, "0": 1})
            self.touch("feedback", draw.one_of({"e-mail": 2.0, "app": 1.0}), wait_s=3 * DAY, score=int(score))
        if happy and draw.chance(0.16):
            self.touch("newsletter opened", "e-mail", wait_s=12 * DAY)
            if self.buy():
                self.receive()


def omnichannel(cases: int = 430, seed: int = 7) -> pa.Table:
    """Make the sample: journeys of a retailer's customers over web, app, e-mail, call centre, store and CRM.

    Parameters
    ----------
    cases : int
        Number of journeys; each has about eight events.
    seed : int
        Same arguments, same table.

    Returns
    -------
    pyarrow.Table
        In the order of time, as systems export it: ``journey_id``, ``touchpoint``, ``channel``, ``timestamp``
        (timestamp[us, UTC]), ``loyalty_card`` (null for guests; a card may have several journeys), ``country``,
        ``value_eur`` and ``score`` (null where they have no meaning).
    """
    draw = _Draw(seed)
    year_start = datetime(2026, 1, 5, 7, 0, tzinfo=UTC)
    rows: list[dict[str, object]] = []
    starts_s = sorted(math.floor(draw.uniform(0, 84)) * DAY + round(draw.uniform(0, 14 * HOUR)) for _ in range(cases))
    for number, start_s in enumerate(starts_s, 1):
        journey = _Journey(draw, year_start + timedelta(seconds=start_s))
        journey.run()
        card = f"L{1 + math.floor(draw.uniform(0, cases * 0.6)):04}" if draw.chance(0.7) else None
        country = draw.one_of(COUNTRIES)
        shared = {"journey_id": f"J{number:05}", "loyalty_card": card, "country": country}
        rows.extend(row | shared for row in journey.rows)
    rows.sort(key=lambda row: row["timestamp"])
    return pa.Table.from_pylist(
        rows,
        schema=pa.schema(
            [
                pa.field("journey_id", pa.utf8(), nullable=False),
                pa.field("touchpoint", pa.utf8(), nullable=False),
                pa.field("channel", pa.utf8(), nullable=False),
                pa.field("timestamp", pa.timestamp("us", "UTC"), nullable=False),
                pa.field("loyalty_card", pa.utf8()),
                pa.field("country", pa.utf8(), nullable=False),
                pa.field("value_eur", pa.float64()),
                pa.field("score", pa.int8()),
            ]
        ),
    )


def main() -> None:
    """Write one of the two logs to a Parquet file."""
    parser = argparse.ArgumentParser(description="Write a synthetic event log as Parquet.")
    commands = parser.add_subparsers(dest="command", required=True)
    sample = commands.add_parser("sample", help="the small omnichannel log that ships with the package")
    sample.add_argument("path")
    many = commands.add_parser("journeys", help="a log of any size for benchmarks")
    many.add_argument("path")
    many.add_argument("--events", type=int, default=1_000_000)
    many.add_argument("--layout", choices=("case", "time", "shuffled"), default="case")
    many.add_argument("--case-id", choices=("int", "string"), default="int")
    many.add_argument("--activities", type=int, default=40)
    many.add_argument("--seed", type=int, default=1)
    given = parser.parse_args()
    if given.command == "sample":
        pq.write_table(omnichannel(), given.path, compression="zstd")
        return
    reader = journeys(given.events, given.layout, given.case_id, given.activities, given.seed)
    with pq.ParquetWriter(given.path, reader.schema, compression="zstd") as writer:
        for batch in reader:
            writer.write_batch(batch)


if __name__ == "__main__":
    main()
