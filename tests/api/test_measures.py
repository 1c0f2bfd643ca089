"""Does what is asked become the plan that the backends read?"""

from __future__ import annotations

import json

import numpy as np
import pytest

import pycjm
from pycjm import errors, measures


def plan(*asked, percentiles=measures.DEFAULT_PERCENTILES, top=None):
    return measures.build_plan(asked, percentiles, top)[0]


@pycjm.case_metric(activities=["a", "b"])
def loops(activities, times):
    return 0.0


def test_nothing_named_is_all_but_cases():
    assert [m["measure"] for m in plan()["measures"]] == ["overview", "activities", "dfg", "variants", "durations"]


def test_the_order_is_always_the_same():
    names = [m["measure"] for m in plan("cases", "dfg", "overview")["measures"]]
    assert names == ["overview", "dfg", "cases"]


def test_percentiles_go_to_the_measures_that_have_them():
    found = {
        m["measure"]: m
        for m in plan("overview", "dfg", measures.durations(percentiles=[1]), percentiles=[50])["measures"]
    }
    assert found == {
        "overview": {"measure": "overview"},
        "dfg": {"measure": "dfg", "percentiles": [50]},
        "durations": {"measure": "durations", "percentiles": [1]},
    }


def test_top_is_for_variants_by_name():
    assert plan("variants", top=3)["measures"][0]["top"] == 3
    assert plan(top=np.int64(3))["measures"][3]["top"] == 3
    assert plan(measures.variants(top=5))["measures"][0]["top"] == 5


@pytest.mark.parametrize("asked", [("dfg",), (measures.variants(),)])
def test_top_without_use_is_refused(asked):
    with pytest.raises(errors.InvalidArgument, match="no use"):
        plan(*asked, top=3)


def test_the_plan_is_json():
    text = json.dumps(plan("dfg", "cases", loops, percentiles=np.array([50.0, 99.9])))
    assert json.loads(text) == {
        "version": 1,
        "measures": [
            {"measure": "dfg", "percentiles": [50, 99.9]},
            {"measure": "cases"},
            {"measure": "metrics", "percentiles": [50, 99.9]},
        ],
        "case_metrics": [{"name": "loops", "activities": ["a", "b"]}],
    }


def test_a_class_of_a_measure_will_do():
    assert plan(measures.dfg) == plan("dfg")


@pytest.mark.parametrize(
    ("asked", "words"),
    [
        (("dgf",), "Did you mean 'dfg'"),
        ((3,), "a measure is a name"),
        (("dfg", "dfg"), "named twice"),
        (("dfg", measures.dfg()), "named twice"),
        (("metrics",), "needs a case metric"),
        ((loops, loops), "same name"),
    ],
)
def test_wrong_measures(asked, words):
    with pytest.raises(errors.InvalidArgument, match=words):
        plan(*asked)


@pytest.mark.parametrize(
    "percentiles", [[-1], [100.1], [float("nan")], ["50"], [True], [None], [50, 50.0], [0.1234567], "50", 50]
)
def test_wrong_percentiles(percentiles):
    with pytest.raises(errors.InvalidArgument, match="percentile"):
        plan("dfg", percentiles=percentiles)


def test_approx_goes_to_the_measures_that_have_it():
    asked = measures.build_plan(["dfg", "overview", measures.variants(approx=0.1), "durations"], [50], None, 0.01)[0]
    found = {measure["measure"]: measure.get("approx") for measure in asked["measures"]}
    assert found == {"overview": None, "dfg": 0.01, "variants": 0.1, "durations": 0.01}
    assert not any("approx" in measure for measure in plan("dfg", "variants", "durations")["measures"])


@pytest.mark.parametrize("approx", [0, -0.01, 0.00009, 0.51, 1, float("nan"), "0.01", True, [0.01]])
def test_wrong_approximations(approx):
    with pytest.raises(errors.InvalidArgument, match=r"0\.0001 to 0\.5"):
        plan(measures.dfg(approx=approx))


def test_approx_without_percentiles_has_no_use():
    with pytest.raises(errors.InvalidArgument, match="approx"):
        measures.build_plan(["overview", "activities"], [50], None, 0.01)


def test_the_ends_are_percentiles():
    assert plan("dfg", percentiles=[0, 100, 0.000001])["measures"][0]["percentiles"] == [0, 100, 0.000001]


@pytest.mark.parametrize("top", [0, -1, 1.5, "3", True])
def test_wrong_tops(top):
    with pytest.raises(errors.InvalidArgument, match="top is a whole number from 1"):
        plan("variants", top=top)


def test_measures_are_values():
    assert measures.variants(top=3) == measures.variants(top=3) != measures.variants(top=4)
    with pytest.raises(AttributeError):
        measures.variants(top=3).top = 4
