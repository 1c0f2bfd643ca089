"""Does ``scan`` refuse wrong arguments at once, before any file is opened?"""

from __future__ import annotations

import pytest

import pycjm
from pycjm import errors

NOWHERE = "does/not/exist.csv"


def test_nothing_is_opened():
    assert "does/not/exist.csv" in repr(pycjm.scan(NOWHERE))


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"case": 3}, "case is a name or a list of names"),
        ({"case": ["a", 3]}, "case is a name"),
        ({"case": ""}, "case is a name"),
        ({"activity": ["a", "a"]}, "names a column twice"),
        ({"timestamp": ["a", "b", "c"]}, r"\(date, time\) pair"),
        ({"start_timestamp": ["a", "b", "c"]}, r"\(date, time\) pair"),
        ({"timestamp_unit": "days"}, "'s', 'ms', 'us', 'ns'"),
        ({"timestamp_format": 1}, "timestamp_format is a text"),
        ({"timezone": ""}, "timezone is a text"),
        ({"lifecycle": 1}, "lifecycle is a text"),
        ({"on_null": "ignore"}, "'error', 'drop'"),
        ({"negative": "zero"}, "needs start_timestamp"),
        ({"negative": "what", "start_timestamp": "s"}, "'keep', 'zero', 'error'"),
        ({"delimiter": ",,"}, "delimiter is one ASCII character"),
        ({"delimiter": "\u00b8"}, "delimiter is one ASCII character"),
        ({"delimiter": "\n"}, "ends no line"),
        ({"quote": "''"}, "quote is one ASCII character"),
        ({"delimiter": '"'}, "same character"),
        ({"encoding": "klingon"}, "not known to Python"),
        ({"encoding": "base64"}, "not known to Python"),
        ({"null_values": [1]}, "null_values is a name"),
        ({"joiner": 1}, "joiner is a text"),
    ],
)
def test_wrong_options(options, words):
    with pytest.raises(errors.InvalidArgument, match=words):
        pycjm.scan(NOWHERE, **options)


@pytest.mark.parametrize(
    ("source", "kind", "words"),
    [
        ([], errors.InvalidArgument, "names no file"),
        ("", errors.InvalidArgument, "names no file"),
        (3, errors.InvalidArgument, "cannot scan an object of type builtins.int"),
        ({"a": 1}, errors.InvalidArgument, "cannot scan"),
        (["a.csv", "b.parquet"], errors.InvalidArgument, "mixes formats"),
        ("s3://bucket/log.parquet", errors.Unsupported, "files on this machine"),
    ],
)
def test_wrong_sources(source, kind, words):
    with pytest.raises(kind, match=words):
        pycjm.scan(source)


@pytest.mark.parametrize("option", ["delimiter", "quote", "encoding"])
@pytest.mark.parametrize("source", ["x.parquet", "x.xes.gz", "x.arrow", "logs/*.parquet"])
def test_csv_options_are_for_csv(source, option):
    with pytest.raises(errors.InvalidArgument, match=f"{option}= is for CSV"):
        pycjm.scan(source, **{option: "utf-8" if option == "encoding" else ";"})


def test_a_tab_may_be_written_with_a_backslash():
    assert pycjm.scan(NOWHERE, delimiter="\\t")._settings.csv.delimiter == "\t"


def test_the_spec_holds_what_was_said_and_nothing_else():
    settings = pycjm.scan(NOWHERE, case=["a", "b"], activity="c", timestamp=("d", "t"), on_null="drop")._settings
    assert settings.spec(settings.roles) == {
        "version": 1,
        "case": ["a", "b"],
        "activity": ["c"],
        "timestamp": ["d", "t"],
        "joiner": "+",
        "on_null": "drop",
    }


def test_a_missing_file_is_told_when_it_is_needed(tmp_path):
    log = pycjm.scan(tmp_path / "none.csv")
    with pytest.raises(OSError, match=r"none\.csv") as caught:
        log.describe()
    assert caught.value.errno == 2
