"""Are the tables of a view what is known of it?

Tables are lists of rows (dicts), so that one check serves whatever they were read from. Counts have to be equal;
figures in seconds may differ from the known ones by what those lost as float sums of floats.
"""

from __future__ import annotations

import datetime
import hashlib
from collections import Counter
from typing import Any

import numpy as np
import pytest

Rows = list[dict[str, Any]]

ALL = ("overview", "activities", "dfg", "variants", "durations", "cases")
WITHOUT_CASES = ALL[:-1]


def check(tables: dict[str, Rows], truth: dict[str, Any]) -> None:
    """Compares all that the tables can express."""
    _check_overview(tables["overview"], truth)
    _check_activities(tables["activities"], truth)
    _check_edges(tables["dfg"], truth)
    _check_variants(tables["variants"], truth)
    _check_durations(tables["durations"], truth)
    if "cases" in tables:
        _check_cases(tables["cases"], tables["variants"], truth)


def _seconds(value: float) -> Any:
    return pytest.approx(value, rel=1e-12, abs=1e-9)


def utc(moment: Any) -> datetime.datetime:
    """A moment as a time in UTC without a zone, whatever form it has been written in."""
    if isinstance(moment, str):
        moment = datetime.datetime.fromisoformat(moment)
    if hasattr(moment, "to_pydatetime"):
        moment = moment.to_pydatetime(warn=False)
    return moment.astimezone(datetime.UTC).replace(tzinfo=None) if moment.tzinfo else moment


def _check_overview(rows: Rows, truth: dict[str, Any]) -> None:
    (row,) = rows
    found = {name: row[name] for name in ("events", "cases", "activities", "variants", "edges")}
    assert found == {
        "events": truth["n_events"],
        "cases": truth["n_cases"],
        "activities": truth["n_activities"],
        "variants": truth["time_order"]["n_variants"],
        "edges": truth["time_order"]["n_dfg_edges"],
    }
    assert utc(row["first_ts"]) == utc(truth["first_event_utc"])
    assert utc(row["last_ts"]) == utc(truth["last_event_utc"])
    nulls = {role: truth[f"rows_with_null_{role}"] for role in ("case", "activity", "timestamp")}
    assert row["dropped_rows"] == nulls
    assert row["events"] + sum(nulls.values()) == truth["rows_in_source"]
    quality = truth["quality"]
    assert row["tied_pairs"] == quality["steps_tied_in_time_order"]
    assert row["cases_with_ties"] == quality["cases_with_a_tie"]
    assert (row["layout"] == "case") == quality["cases_are_contiguous_in_file"]
    if quality["steps_out_of_order_in_file"]:
        assert row["layout"] != "time"


def _check_activities(rows: Rows, truth: dict[str, Any]) -> None:
    order = truth["time_order"]
    counts = [[row["activity"], row["events"]] for row in rows]
    assert counts[:25] == truth["activity_counts_top25"]
    assert len(counts) == truth["n_activities"]
    assert sum(count for _, count in counts) == truth["n_events"]
    for column, known, n_known in (
        ("starts", "start_activities", "n_start_activities"),
        ("ends", "end_activities", "n_end_activities"),
    ):
        found = sorted(((row["activity"], row[column]) for row in rows if row[column]), key=lambda r: (-r[1], r[0]))
        assert [list(pair) for pair in found[:25]] == order[known]
        assert len(found) == order[n_known]
        assert sum(count for _, count in found) == truth["n_cases"]


def _check_edges(rows: Rows, truth: dict[str, Any]) -> None:
    order = truth["time_order"]
    assert len(rows) == order["n_dfg_edges"]
    assert sum(row["count"] for row in rows) == order["dfg_total"]
    assert sum(row["source"] == row["target"] for row in rows) == order["n_self_loops"]
    assert [[row["source"], row["target"], row["count"]] for row in rows[:10]] == order["top10_edges"]
    assert sum(row["count"] for row in rows if row["min_s"] < 0) == 0


def _check_variants(rows: Rows, truth: dict[str, Any]) -> None:
    order = truth["time_order"]
    assert len(rows) == order["n_variants"]
    assert sum(row["cases"] == 1 for row in rows) == order["n_variants_with_one_case"]
    for row, known in zip(rows, order["top5_variants"], strict=False):
        assert (row["cases"], row["length"], len(row["activities"])) == (known["count"], *[known["length"]] * 2)
        if "activities" in known:
            assert row["activities"] == known["activities"]
        else:
            digest = hashlib.sha256("\x1f".join(row["activities"]).encode()).hexdigest()
            assert row["activities"][:20] == known["activities_first_20"]
            assert digest == known["sha256_of_activities_joined_by_U+001F"]
    lengths = np.repeat([row["length"] for row in rows], [row["cases"] for row in rows])
    _check_sizes(lengths, truth)


def _check_sizes(lengths: np.ndarray, truth: dict[str, Any]) -> None:
    known = truth["events_per_case"]
    assert (lengths.min(), lengths.max(), np.median(lengths)) == (known["min"], known["max"], known["median"])
    assert lengths.mean() == pytest.approx(known["mean"], rel=1e-12)
    assert (lengths == 1).sum() == truth["quality"]["single_event_cases"]


def _check_durations(rows: Rows, truth: dict[str, Any]) -> None:
    (row,) = rows
    known = truth["case_duration_seconds"]
    assert row["n"] == truth["n_cases"]
    assert row["mean_s"] == _seconds(known["mean"])
    assert row["p50_s"] == _seconds(known["median"])
    assert row["p90_s"] == _seconds(known["p90"])
    assert row["max_s"] == known["max"]
    assert (row["min_s"] == 0) == (known["n_zero"] > 0)


def _check_cases(rows: Rows, variants: Rows, truth: dict[str, Any]) -> None:
    known = truth["case_duration_seconds"]
    assert len({row["case"] for row in rows}) == len(rows) == truth["n_cases"]
    durations = np.array([row["duration_s"] for row in rows])
    assert (durations == 0).sum() == known["n_zero"]
    assert np.median(durations) == _seconds(known["median"])
    assert durations.max() == known["max"]
    _check_sizes(np.array([row["events"] for row in rows]), truth)
    assert min(utc(row["first_ts"]) for row in rows) == utc(truth["first_event_utc"])
    assert max(utc(row["last_ts"]) for row in rows) == utc(truth["last_event_utc"])
    ranks = Counter(row["variant_rank"] for row in rows)
    assert ranks == {row["rank"]: row["cases"] for row in variants}
    lengths = {row["rank"]: row["length"] for row in variants}
    assert all(row["events"] == lengths[row["variant_rank"]] for row in rows)
