"""Is the taxonomy of errors what the ABI says, and does an error keep its facts?"""

from __future__ import annotations

import errno
import pickle

import pytest

from pycjm import errors

TAXONOMY = [
    (1, "INVALID_ARGUMENT", errors.InvalidArgument, ValueError),
    (2, "INVALID_DATA", errors.InvalidData, ValueError),
    (3, "MEMORY_LIMIT", errors.MemoryLimit, MemoryError),
    (4, "IO", errors.IoError, OSError),
    (5, "CANCELLED", errors.Cancelled, RuntimeError),
    (6, "CALLBACK", errors.CallbackError, RuntimeError),
    (7, "UNSUPPORTED", errors.Unsupported, NotImplementedError),
    (8, "INTERNAL", errors.InternalError, RuntimeError),
]


@pytest.mark.parametrize(("code", "status", "kind", "builtin"), TAXONOMY)
def test_each_status_has_its_class(code, status, kind, builtin):
    error = errors.from_code(code, "text", {"row": 3})
    assert type(error) is kind
    assert (error.code, error.status, error.details, str(error)) == (code, status, {"row": 3}, "text")
    assert isinstance(error, builtin)
    assert isinstance(error, errors.PycjmError)


def test_no_class_is_left_over():
    assert sorted(errors.BY_CODE) == [code for code, *_ in TAXONOMY]


def test_an_unknown_status_is_a_bug_and_says_so():
    error = errors.from_code(99, "odd")
    assert type(error) is errors.InternalError
    assert error.details["status"] == 99


@pytest.mark.parametrize("kind", errors.BY_CODE.values())
def test_errors_come_back_whole_from_another_process(kind):
    sent = kind("what, where", {"errno": errno.ENOSPC, "path": "/x"})
    got = pickle.loads(pickle.dumps(sent))
    assert (type(got), str(got), got.details) == (kind, "what, where", sent.details)


def test_an_io_error_has_errno_and_filename():
    error = errors.IoError("disk full", {"errno": errno.ENOSPC, "path": "/x/y"})
    assert (error.errno, error.filename, str(error)) == (errno.ENOSPC, "/x/y", "disk full")


def test_details_are_a_copy():
    facts = {"row": 1}
    error = errors.InvalidData("x", facts)
    facts["row"] = 2
    assert error.details == {"row": 1}


@pytest.mark.parametrize(
    ("given", "known", "near"),
    [
        ("dgf", ["overview", "dfg"], "dfg"),
        ("Case_ID", ["case_id", "x"], "case_id"),
        ("zzz", ["dfg"], None),
        ("x", [], None),
    ],
)
def test_the_nearest_name_is_given_where_one_is_close(given, known, near):
    error = errors.unknown("measure", given, known)
    assert error.details["nearest"] == near
    assert ("Did you mean" in str(error)) == (near is not None)


def test_long_lists_of_names_are_cut():
    error = errors.unknown("column", "x", [f"c{i}" for i in range(1000)])
    assert len(str(error)) < 1000
    assert "1000 in all" in str(error)
