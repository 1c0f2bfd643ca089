"""Is merging the states of logs the same, to the byte, as mining them together, in any order and grouping?"""

from __future__ import annotations

import itertools

import pyarrow as pa
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from parts import assert_same, ipc_bytes, log, merge, mine, parts
from random_logs import CASE_IDS, draw_log, logs

import pycjm

law = settings(max_examples=50, deadline=None, suppress_health_check=[HealthCheck.too_slow])


@law
@given(events=logs(), n=st.integers(1, 4), negative=st.sampled_from(["keep", "zero"]))
def test_states_of_parts_give_what_the_whole_gives(events: pa.Table, n: int, negative: str) -> None:
    options = {"negative": negative} if "start_timestamp" in events.column_names else {}
    whole = mine(events, **options)
    mined = [mine(part, **options) for part in parts(events, n)]
    merged = merge(*mined)
    assert_same(merged, whole, layout=n == 1 or whole.info["layout"] == "case")
    assert ipc_bytes(merged.state.to_pyarrow().replace_schema_metadata()) == ipc_bytes(
        whole.state.to_pyarrow().replace_schema_metadata()
    )
    if whole.info["layout"] == "case":
        assert merged.state.schema.metadata == whole.state.schema.metadata


@law
@given(events=logs(), n=st.integers(2, 4), data=st.data())
def test_order_and_grouping_do_not_show(events: pa.Table, n: int, data: st.DataObject) -> None:
    mined = [mine(part) for part in parts(events, n)]
    at_once = merge(*mined)
    order = data.draw(st.permutations(mined))
    first = data.draw(st.integers(1, n - 1))
    grouped = merge(merge(*order[:first]), merge(*order[first:]))
    assert_same(grouped, at_once)
    assert grouped.state.schema.equals(at_once.state.schema, check_metadata=True)
    assert ipc_bytes(grouped.state.to_pyarrow()) == ipc_bytes(at_once.state.to_pyarrow())


@pytest.mark.parametrize("case_id", sorted(CASE_IDS))
def test_larger_logs_with_any_ids(case_id: str) -> None:
    n_cases = 60 if "8" in case_id or case_id == "small dictionary" else 700
    events = draw_log(7, 5_000, n_cases=n_cases, time_range=3_000, case_id=case_id, with_starts=case_id == "utf8")
    assert_same(merge(*map(mine, parts(events, 3))), mine(events), layout=False)


UNITS = ("s", "ms", "us", "ns")


@pytest.mark.parametrize(("unit", "other"), [*itertools.product(UNITS, UNITS)])
def test_units_meet_in_the_finest_and_zones_in_utc(unit: str, other: str) -> None:
    events = draw_log(3, 600, n_cases=70, time_range=10**5, layout="case", with_starts=True)

    def seconds(table: pa.Table, unit: str, zone: str) -> pa.Table:
        for name in ("timestamp", "start_timestamp"):
            ticks = table[name].cast(pa.int64()).cast(pa.timestamp("s")).cast(pa.timestamp(unit))
            place = table.column_names.index(name)
            stamps = ticks.cast(pa.int64()).cast(pa.timestamp(unit, zone))
            table = table.set_column(place, name, stamps)
        return table

    one, two = parts(events, 2)
    finest = max(unit, other, key=UNITS.index)
    whole = mine(seconds(pa.concat_tables([one, two]), finest, "UTC"))
    merged = merge(mine(seconds(one, unit, "Europe/Berlin")), mine(seconds(two, other, "+05:45")))
    assert_same(merged, whole)


def test_a_measure_and_its_percentiles_need_not_have_been_asked_of_the_logs() -> None:
    events = draw_log(5, 2_000, n_cases=200)
    states = [log(part).mine("overview", state=True) for part in parts(events, 2)]
    asked = (pycjm.measures.variants(top=3, percentiles=[12.5]), pycjm.measures.dfg(percentiles=[1, 75]))
    merged, whole = pycjm.merge(states, *asked), log(events).mine(*asked)
    assert_same(merged, whole)
    assert list(merged) == ["dfg", "variants"]
    assert len(merged["variants"]) == 3


def test_logs_without_events_change_nothing() -> None:
    events = draw_log(5, 500, n_cases=50)
    empty, some = mine(events.slice(0, 0)), mine(events)
    assert_same(merge(empty, some, mine(events.slice(0, 0))), some)
    assert_same(merge(empty), mine(events.slice(0, 0)))
    nulls = events.set_column(1, "activity", pa.nulls(events.num_rows, pa.utf8()))
    merged = merge(mine(nulls, on_null="drop"), some)
    assert merged["overview"].to_pyarrow()["dropped_rows"].to_pylist() == [{"case": 0, "activity": 500, "timestamp": 0}]
    assert merged.info["dropped_rows"]["activity"] == 500
