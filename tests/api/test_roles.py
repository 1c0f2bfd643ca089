"""Are columns found by their names only where the guess is unique?"""

from __future__ import annotations

import pyarrow as pa
import pytest

import pycjm
from pycjm import errors, roles
from pycjm.roles import Roles


def guess(columns, named=None, fits=lambda role, name: True):
    kinds = dict.fromkeys(columns, "string")
    return roles.resolve(named or Roles(), kinds, fits)


@pytest.mark.parametrize(
    ("columns", "expected"),
    [
        (
            ["case:concept:name", "concept:name", "time:timestamp"],
            ("case:concept:name", "concept:name", "time:timestamp"),
        ),
        (["Case ID", "Activity", "Complete Timestamp"], ("Case ID", "Activity", "Complete Timestamp")),
        (["CASE_ID", "ACTIVITY", "TIMESTAMP"], ("CASE_ID", "ACTIVITY", "TIMESTAMP")),
        (["customer_id", "touchpoint", "ts", "channel"], ("customer_id", "touchpoint", "ts")),
        (["sessionId", "event-name", "event.time"], ("sessionId", "event-name", "event.time")),
        # A standard name decides, whatever else is there.
        (
            ["user_id", "case:concept:name", "event", "concept:name", "date", "time:timestamp"],
            ("case:concept:name", "concept:name", "time:timestamp"),
        ),
    ],
)
def test_common_names_are_found(columns, expected):
    found = guess(columns)
    assert (found.case, found.activity, found.timestamp) == tuple((name,) for name in expected)
    assert found.guessed == ("case", "activity", "timestamp")


def test_two_candidates_are_listed_and_none_is_taken():
    with pytest.raises(errors.InvalidArgument, match=r"'user_id', 'session_id'.*case=") as caught:
        guess(["user_id", "session_id", "event", "timestamp"])
    assert caught.value.details["candidates"] == ["user_id", "session_id"]


def test_no_candidate_lists_the_columns():
    with pytest.raises(errors.InvalidArgument, match=r"activity=\.\.\.; the columns are 'case', 'x', 'ts'"):
        guess(["case", "x", "ts"])


def test_only_what_is_missing_is_guessed():
    found = guess(["user_id", "session_id", "event", "timestamp"], Roles(case=("session_id",)))
    assert found.case == ("session_id",)
    assert found.guessed == ("activity", "timestamp")


def test_a_named_column_is_no_candidate_for_another_role():
    found = guess(["case_id", "event", "status", "ts"], Roles(activity=("status",)))
    assert found.activity == ("status",)
    with pytest.raises(errors.InvalidArgument, match="more than one"):
        guess(["case_id", "event", "status", "ts"])


def test_a_candidate_has_to_fit_by_its_type():
    found = guess(["case_id", "event", "date", "ts"], fits=lambda role, name: name != "date")
    assert found.timestamp == ("ts",)


def test_a_name_of_another_type_is_told_with_the_remedy():
    with pytest.raises(errors.InvalidArgument, match=r"it could be 'ts' \(string\).*timestamp_format=") as caught:
        guess(["case_id", "event", "ts"], fits=lambda role, name: name != "ts")
    assert caught.value.details["candidates"] == ["ts"]


@pytest.mark.parametrize(
    ("role", "kind", "fits"),
    [
        ("timestamp", "timestamp[us, tz=UTC]", True),
        ("timestamp", "Timestamp(Microsecond, None)", True),
        ("timestamp", "date32[day]", True),
        ("timestamp", "string", False),
        ("timestamp", "int64", False),
        ("timestamp", "time64[us]", False),
        ("activity", "string", True),
        ("activity", "Utf8View", True),
        ("activity", "dictionary<values=string, indices=int32, ordered=0>", True),
        ("activity", "Dictionary(Int32, Utf8)", True),
        ("activity", "int64", False),
        ("activity", "list<item: string>", False),
        ("case", "int64", True),
        ("case", "UInt8", True),
        ("case", "large_string", True),
        ("case", "fixed_size_binary[16]", True),
        ("case", "dictionary<values=int64, indices=int32, ordered=0>", True),
        ("case", "double", False),
        ("case", "timestamp[s]", False),
        ("case", "struct<a: string>", False),
    ],
)
def test_types_fit_roles(role, kind, fits):
    assert roles.type_fits(role, kind, text_is_time=False, integer_is_time=False) is fits


def test_text_and_integers_are_times_when_the_caller_says_how():
    assert roles.type_fits("timestamp", "string", text_is_time=True, integer_is_time=False)
    assert roles.type_fits("timestamp", "int64", text_is_time=False, integer_is_time=True)


def test_a_missing_column_names_the_nearest():
    with pytest.raises(errors.InvalidArgument, match="Did you mean 'case_id'") as caught:
        roles.require(Roles(case=("caseid",)), ["case_id", "event"], "log.csv")
    assert caught.value.details["column"] == "caseid"
    assert str(caught.value).startswith("log.csv: ")


def test_a_repeated_name_matters_only_if_it_is_used():
    roles.require(Roles(case=("a",)), ["a", "b", "b"], "x")
    with pytest.raises(errors.InvalidArgument, match="2 columns are named 'b'"):
        roles.require(Roles(case=("b",)), ["a", "b", "b"], "x")


def test_columns_come_once_each_in_the_order_of_roles():
    named = Roles(("c",), ("a", "c"), ("t",), ("s",), ("n", "t"), ("l",))
    assert named.columns == ["c", "a", "t", "s", "n", "l"]


def test_text_says_what_was_guessed():
    assert str(Roles(("c",), ("a", "b"), ("t",), guessed=("case",))) == "case=c (guessed), activity=a + b, timestamp=t"


@pytest.mark.parametrize("role", ["order_by", "start_timestamp"])
def test_a_column_that_has_another_role_is_named(role):
    table = pa.table({"case": [1], "activity": ["a"], "timestamp": pa.array([1], pa.timestamp("s"))})
    with pytest.raises(errors.InvalidArgument, match=f"'timestamp' is the {role} already. Say which it is: timestamp="):
        pycjm.scan(table, **{role: "timestamp"}).mine()
