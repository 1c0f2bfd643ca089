"""Where does the sample log that ships with the package come from?

``omnichannel`` makes it: small, readable, the same to the byte. Run as a script it writes it to a Parquet file:

    python benchmarks/generator.py pycjm/sample_data/omnichannel.parquet

Logs of any size come from ``pycjm synth``.
"""

from __future__ import annotations

import argparse
import math
import random
from datetime import UTC, datetime, timedelta
from statistics import NormalDist

import pyarrow as pa
import pyarrow.parquet as pq


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
    """Write the sample."""
    parser = argparse.ArgumentParser(description="Write the omnichannel log that ships with the package as Parquet.")
    parser.add_argument("path")
    pq.write_table(omnichannel(), parser.parse_args().path, compression="zstd")


if __name__ == "__main__":
    main()
