"""Does every engine give native's answers, in every layout, from memory and from a file, with ties all over?"""

from __future__ import annotations

import json
from functools import cache
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
import pytest

import pycjm
from pycjm.bench.answers import Answers, difference
from pycjm.bench.peers import ENGINES, Log, Means, check, load
from pycjm.bench.running import missing
from pycjm.errors import InvalidArgument, Unsupported

THREADS = 2


def threads(engine: str) -> int:
    """polars has as many as it had when it was imported, here by another test."""
    if not engine.startswith("polars"):
        return THREADS
    import polars

    return polars.thread_pool_size()


@cache
def table(layout: str, case_id: str) -> pa.Table:
    """A log whose times are cut to six hours, so that one pair in three is a tie; still in its layout."""
    log = pycjm.synth(4_000, layout=layout, case_id=case_id, activities=300 if case_id == "string" else 12).read_all()
    coarse = pc.floor_temporal(log["timestamp"], 6, "hour").cast(pa.timestamp("us", "UTC"))
    log = log.drop(["channel"]).set_column(2, "timestamp", coarse)
    return log.set_column(1, "activity", log["activity"].combine_chunks().dictionary_encode()).combine_chunks()


@cache
def known(layout: str, case_id: str, question: str) -> Answers:
    """The answers of the reference backend, which are the definitions written down."""
    return ask("reference", Log(table(layout, case_id), None, layout), question)


def ask(engine: str, log: Log, question: str) -> Answers:
    peer: Any = load(engine)(log, Means(threads(engine)))
    answers = peer.answers(question, peer.ask(question))
    # The way they take between processes.
    return Answers.from_json(json.loads(json.dumps(answers.to_json())))


@pytest.mark.parametrize("engine", [engine for engine in ENGINES if engine != "reference"])
@pytest.mark.parametrize("case_id", ["int", "string"])
@pytest.mark.parametrize("layout", ["case", "time", "shuffled"])
def test_answers_are_those_of_the_definitions(engine: str, layout: str, case_id: str, tmp_path: Path) -> None:
    if engine == "numba" and case_id == "string":
        pytest.skip("numba would compile for half a minute; the tests of the backends have such ids")
    if missing(engine):
        pytest.skip(f"{missing(engine)} is not installed")
    path = tmp_path / "it's a log.parquet"
    log = table(layout, case_id)
    pq.write_table(log.set_column(1, "activity", log["activity"].cast(pa.utf8())), path, row_group_size=1_500)
    only = ENGINES[engine].only
    for question in ("all", "counts") if only is None else (only,):
        for given in (Log(log, None, layout), Log(None, str(path), layout)):
            assert difference(ask(engine, given, question), known(layout, case_id, question)) is None, (question, given)


def test_the_ties_would_be_noticed() -> None:
    log = table("shuffled", "int")
    overview = pycjm.scan(log).mine("overview")["overview"].to_pyarrow()
    assert overview["tied_pairs"][0].as_py() > 1_000
    backwards = Log(log.take(pa.array(range(len(log) - 1, -1, -1))), None, "shuffled")
    assert difference(ask("native", backwards, "counts"), known("shuffled", "int", "counts")) is not None


@pytest.mark.skipif(missing("numba-kernel") is not None, reason="numba is not installed")
def test_the_kernel_by_hand_finds_out_how_rows_lie() -> None:
    together = table("case", "int")
    backwards = together.take(pa.array(range(len(together) - 1, -1, -1)))
    # One case with all events, in which everything is a long sequence.
    alone = table("shuffled", "int").set_column(0, "case_id", pa.array([7] * len(together)))
    for log in (backwards, alone, together.slice(0, 1), together.slice(0, 2), alone.slice(0, 2)):
        for question in ("all", "counts"):
            given = Log(log, None, "case")
            assert difference(ask("numba-kernel", given, question), ask("native", given, question)) is None


@pytest.mark.skipif(missing("numba-kernel") is not None, reason="numba is not installed")
def test_the_kernel_by_hand_refuses_what_it_cannot_hold() -> None:
    columns = {"case_id": [1, 2, 1, 2], "activity": pa.array(["a"] * 4).dictionary_encode()}
    far = pa.table({**columns, "timestamp": pa.array([0, 0, 1 << 62, 5], pa.timestamp("us", "UTC"))})
    with pytest.raises(OverflowError, match="lie too far apart"):
        ask("numba-kernel", Log(far, None, "time"), "all")
    years = pa.array([k << 60 for k in range(-4, 5)], pa.timestamp("us", "UTC"))
    one = pa.table({"case_id": [1] * 9, "activity": pa.array(["a"] * 9).dictionary_encode(), "timestamp": years})
    with pytest.raises(OverflowError, match="add up to more than 63 bits"):
        ask("numba-kernel", Log(one, None, "case"), "all")
    labels = pa.array([str(k) for k in range(1_025)]).dictionary_encode()
    many = pa.table({"case_id": range(1_025), "activity": labels, "timestamp": pa.array([0] * 1_025, years.type)})
    with pytest.raises(Unsupported, match="1,025"):
        load("numba-kernel")(Log(many, None, "case"), Means(THREADS))


def answers() -> Answers:
    return Answers(
        {("a", "b"): 2, ("b", "c"): 1},
        {"a": 2},
        {"b": 1, "c": 1},
        {("a", "b"): (1.5, 1.0, 2.0), ("b", "c"): (1.0, 1.0, 1.0)},
        (2, 2.5),
        2,
        [(("a", "b", "c"), 3), (("a", "b"), 1)],
    )


@pytest.mark.parametrize(
    ("change", "told"),
    [
        ({"counts": {("a", "b"): 2}}, "edge b -> c: None, native says 1"),
        ({"counts": {("a", "b"): 2, ("b", "c"): 2}}, "edge b -> c: 2, native says 1"),
        ({"counts": {("a", "a"): 1, ("a", "b"): 2, ("b", "c"): 1}}, "edge a -> a: 1, native says None"),
        ({"starts": {"b": 2}}, "start a"),
        ({"ends": {"b": 2}}, "end b: 2, native says 1"),
        ({"gaps": {("a", "b"): (1.5, 1.0, 2.1), ("b", "c"): (1.0, 1.0, 1.0)}}, "gaps of a -> b"),
        ({"durations": (2, 2.6)}, "case durations"),
        ({"durations": (2,)}, "case durations"),
        ({"durations": (2, None)}, "case durations"),
        ({"durations": None}, "case durations"),
        ({"top": [(("a", "b", "c"), 3), (("b", "a"), 1)]}, "only one of the two has the variant a -> b (1 cases)"),
        ({"variants": 3}, "number of variants: 3, native says 2"),
        ({"top": [(("a", "b", "c"), 3)]}, "variant 2"),
        ({"top": [(("a", "c", "b"), 3), (("a", "b"), 1)]}, "only one of the two has the variant a -> b -> c"),
    ],
)
def test_every_difference_is_found(change: dict[str, Any], told: str) -> None:
    found = answers()
    for name, value in change.items():
        setattr(found, name, value)
    assert difference(found, answers()).startswith(told)


def test_rounding_and_an_arbitrary_cut_are_no_difference() -> None:
    found, known = answers(), answers()
    found.gaps["a", "b"] = (1.5 + 1e-12, 1.0, 2.0)
    # Of so many variants the list holds the first hundred.
    found.variants = known.variants = 101
    found.top[1] = (("b", "c"), 1)
    assert difference(found, known) is None


def test_engines_have_names() -> None:
    for engine in [*ENGINES, "own_engines:Right"]:
        check(engine)
    for wrong in ("duckbd", "module:", ":Class", ""):
        with pytest.raises(InvalidArgument):
            check(wrong)
    with pytest.raises(InvalidArgument, match="'duckdb'"):
        check("duckbd")
