"""Does pm4py, asked as a black box, find the same in real logs?

pm4py reads and sorts for itself; only its answers are looked at. It changes the frame that it is given, so each
question gets a copy. It sorts a case by time alone, with ties in the order of the file, as we do.
"""

from __future__ import annotations

import math
import warnings
from functools import cache
from pathlib import Path
from typing import Any

import pytest
from known_views import VIEWS, View
from truth_check import ALL

import pycjm

pd = pytest.importorskip("pandas")
pm4py = pytest.importorskip("pm4py")

ASKED = {
    "sepsis-all",
    "receipt-all",
    "callcenter-customer_start",
    "bpic2016_complaints-all",
    "retentioneering_ecom-session",
    "git_polars-file_lifecycle",
}
"""Logs of different layouts, with ties and without. pm4py takes a minute to read a large XES file: only one here."""

LOGS = [view for view in VIEWS if str(view) in ASKED]


def _read(view: View, path: Path) -> Any:
    """The log as pm4py's users would load it."""
    options = view.options
    if path.name.endswith(".xes.gz"):
        return pm4py.read_xes(str(path))
    # pandas takes a bare CR for the end of a line only if told so.
    ends = "\r" if path.suffix == ".csv" and b"\n" not in path.read_bytes()[:4096] else None
    said = {"sep": options.get("delimiter", ","), "encoding": options.get("encoding", "utf-8")}
    frame = pd.read_csv(path, dtype=str, lineterminator=ends, keep_default_na=False, **said)
    time = options["timestamp"]
    frame[time] = pd.to_datetime(frame[time], utc=True, format=options.get("timestamp_format", "ISO8601"))
    return pm4py.format_dataframe(
        frame, case_id=options["case"], activity_key=options["activity"], timestamp_key=options["timestamp"]
    )


class Both:
    """One log, as pm4py has it and as we have mined it."""

    def __init__(self, view: View, path: Path) -> None:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            self._frame = _read(view, path)
        self.mined = pycjm.scan(path, **view.options).mine(*ALL)

    def ask(self, question: str, **options: Any) -> Any:
        """The answer of one of pm4py's functions."""
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            return getattr(pm4py, question)(self._frame.copy(), **options)

    def rows(self, table: str) -> list[dict[str, Any]]:
        """A table of ours."""
        return self.mined[table].to_pyarrow().to_pylist()


_both = cache(Both)


@pytest.fixture(params=LOGS, ids=str)
def both(request: pytest.FixtureRequest, shared_data: Path) -> Both:
    """Each log in turn, read and mined once."""
    return _both(request.param, request.param.path(shared_data))


def test_variants(both: Both) -> None:
    found = both.ask("get_variants")
    counts = {tuple(sequence): n if isinstance(n, int) else len(n) for sequence, n in found.items()}
    assert {tuple(row["activities"]): row["cases"] for row in both.rows("variants")} == counts


def test_graph_with_starts_and_ends(both: Both) -> None:
    dfg, starts, ends = both.ask("discover_dfg")
    assert both.mined.to_pm4py() == (dict(dfg), dict(starts), dict(ends))
    assert both.ask("get_start_activities") == starts
    assert both.ask("get_end_activities") == ends


def test_case_durations(both: Both) -> None:
    theirs = sorted(both.ask("get_all_case_durations"))
    ours = sorted(row["duration_s"] for row in both.rows("cases"))
    assert ours == pytest.approx(theirs, abs=1e-6)
    (row,) = both.rows("durations")
    assert row["mean_s"] == pytest.approx(sum(theirs) / len(theirs))


def test_gaps_of_the_graph(both: Both) -> None:
    theirs, _, _ = both.ask("discover_performance_dfg")
    ours = {(row["source"], row["target"]): row for row in both.rows("dfg")}
    assert theirs.keys() == ours.keys()
    pairs = {"mean": "mean_s", "median": "p50_s", "min": "min_s", "max": "max_s", "sum": "total_s", "stdev": "std_s"}
    for edge, figures in theirs.items():
        for their_name, our_name in pairs.items():
            ours_here, theirs_here = ours[edge][our_name], figures[their_name]
            if ours_here is None:
                assert math.isnan(theirs_here), (edge, our_name)
            else:
                assert ours_here == pytest.approx(theirs_here, rel=1e-9, abs=1e-6), (edge, our_name)


def test_sizes_of_cases(both: Both) -> None:
    frame = both._frame
    sizes = frame.groupby("case:concept:name", sort=False).size().to_dict()
    assert {row["case"]: row["events"] for row in both.rows("cases")} == sizes
