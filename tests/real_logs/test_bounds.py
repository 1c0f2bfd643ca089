"""Do the percentiles of real logs lie between the bounds that are told for them?"""

from __future__ import annotations

from pathlib import Path

import pytest
from known_views import VIEWS, View
from within import assert_within

import pycjm

TABLES = ("dfg", "variants", "durations")


@pytest.mark.parametrize("view", VIEWS, ids=str)
def test_bounds(shared_data: Path, view: View) -> None:
    log = pycjm.scan(view.path(shared_data), **view.options)
    asked = {"percentiles": (0, 10, 50, 90, 99.9, 100)}
    exact = log.mine(*TABLES, **asked)
    for approx in (0.001, 0.01, 0.1):
        results = [log.mine(*TABLES, **asked, approx=approx, threads=threads) for threads in (1, 2, 7)]
        assert [result.info["looks"] for result in results] == [1, 1, 1]
        for name in TABLES:
            first, *others = (result[name].to_pyarrow() for result in results)
            assert_within(first, exact[name].to_pyarrow(), approx)
            assert all(other.equals(first) for other in others)
