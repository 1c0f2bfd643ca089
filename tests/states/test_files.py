"""Is a state file taken only if it is whole, of a known version, and of a log with other cases?"""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from parts import assert_same, log, merge, mine, parts
from random_logs import draw_log

import pycjm
from pycjm import errors

EVENTS = draw_log(11, 20, n_cases=6, n_activities=3, with_starts=True)


@pytest.fixture
def state(tmp_path: Path) -> Path:
    path = tmp_path / "state.arrow"
    log(EVENTS).mine("overview", state=path)
    return path


def refused(path: Path, *kinds: type[errors.PycjmError]) -> str:
    """The text of the refusal, which names the file and says what to do."""
    with pytest.raises(kinds or errors.InvalidData) as raised:
        pycjm.merge([path])
    assert str(path) in raised.value.message
    assert raised.value.details["path"] == str(path)
    return raised.value.message


def test_a_file_is_the_state_that_was_kept(state: Path, tmp_path: Path) -> None:
    whole = mine(EVENTS)
    assert_same(pycjm.merge([state]), log(EVENTS).mine())
    again = tmp_path / "again.arrow"
    pycjm.merge([str(state)], "overview", state=again)
    assert again.read_bytes() == state.read_bytes()
    with pa.ipc.open_file(state) as file:
        assert file.read_all().equals(whole.state.to_pyarrow())
    assert_same(merge(whole.state), whole)
    assert_same(merge(whole.state.to_pyarrow()), whole)


def test_a_file_that_was_cut_off_is_damaged_wherever_it_was_cut(state: Path) -> None:
    content = state.read_bytes()
    for end in [*range(6, len(content), 197), *range(len(content) - 20, len(content))]:
        state.write_bytes(content[:end])
        assert "damaged" in refused(state)


def test_every_flipped_bit_is_found(state: Path) -> None:
    content = state.read_bytes()
    for place in range(0, len(content), 37):
        changed = bytearray(content)
        changed[place] ^= 1 << place % 8
        state.write_bytes(changed)
        assert ("damaged" if place >= 6 else "Arrow") in refused(state)


def test_without_its_own_digest_a_flipped_bit_is_found_or_changes_nothing(state: Path, tmp_path: Path) -> None:
    plain = tmp_path / "plain.arrow"
    mine(EVENTS).state.write(plain)
    expected = pycjm.merge([plain], "dfg", "overview")
    content = plain.read_bytes()
    places, unharmed, unnamed = range(8, len(content), 61), 0, 0
    for place in places:
        changed = bytearray(content)
        changed[place] ^= 1 << place % 8
        plain.write_bytes(changed)
        try:
            found = pycjm.merge([plain], "dfg", "overview")
        except (errors.InvalidData, errors.Unsupported) as error:
            unnamed += str(plain) not in error.message
        else:
            # Bytes between the parts of an Arrow file mean nothing.
            assert_same(found, expected)
            unharmed += 1
    assert unharmed < len(places)
    assert unnamed == 0


def rewritten(path: Path, change: object) -> None:
    """Puts other metadata into a state file, as other programs would write it."""
    with pa.ipc.open_file(path) as file:
        table = file.read_all()
    table = table.replace_schema_metadata({k: v for k, v in table.schema.metadata.items() if k != b"pycjm.state.file"})
    with pa.ipc.new_file(path, table.schema.with_metadata(change(dict(table.schema.metadata)))) as writer:
        writer.write_table(table)


def test_a_later_version_is_told_from_damage(state: Path) -> None:
    def later(metadata: dict[bytes, bytes]) -> dict[bytes, bytes]:
        facts = json.loads(metadata[b"pycjm.state"])
        return metadata | {b"pycjm.state": json.dumps(facts | {"version": 2, "news": [1]}).encode()}

    rewritten(state, later)
    assert "upgrade pycjm" in refused(state, errors.Unsupported)


def test_other_facts_with_the_old_checksum_are_damage(state: Path) -> None:
    rewritten(state, lambda old: old | {b"pycjm.state": old[b"pycjm.state"].replace(b'"keep"', b'"zero"')})
    assert "checksum" in refused(state)


def test_other_files_are_no_states(tmp_path: Path) -> None:
    texts = {"empty": b"", "text": b"case,activity\n", "magic": b"ARROW1", "zeros": b"ARROW1\0\0" + bytes(100)}
    for name, content in texts.items():
        (tmp_path / name).write_bytes(content)
        text = refused(tmp_path / name)
        assert ("damaged" if content.startswith(b"ARROW1") else "no state of pycjm") in text
    arrow, parquet = tmp_path / "log.arrow", tmp_path / "log.parquet"
    mine(EVENTS)["dfg"].write(arrow)
    assert "no state of pycjm" in refused(arrow)
    pq.write_table(EVENTS, parquet)
    assert "no state of pycjm" in refused(parquet)
    assert refused(tmp_path / "nowhere.arrow", errors.IoError)
    assert refused(tmp_path, errors.IoError)


def test_a_case_in_two_states_is_an_error_that_names_it(state: Path, tmp_path: Path) -> None:
    other = tmp_path / "other.arrow"
    log(EVENTS.slice(5, 1)).mine("overview", state=other)
    with pytest.raises(errors.InvalidData) as raised:
        pycjm.merge([state, other])
    case = str(EVENTS["case"][5].as_py())
    assert f"case {case} is in " in raised.value.message
    assert str(state) in raised.value.message
    assert str(other) in raised.value.message
    assert raised.value.details["case"] == case


def test_states_without_ids_are_taken_at_their_word(tmp_path: Path) -> None:
    with_ids, without = tmp_path / "with.arrow", tmp_path / "without.arrow"
    log(EVENTS).mine("overview", state=with_ids)
    log(EVENTS).mine("overview", state=without, state_ids=False)
    assert without.stat().st_size < with_ids.stat().st_size
    merged = merge(with_ids, without)
    assert merged["overview"].to_pyarrow()["events"].to_pylist() == [40]
    with pytest.raises(errors.InvalidData, match="is in"):
        merge(merged, with_ids)
    for named in ([with_ids, with_ids], [without, tmp_path / "." / "without.arrow"]):
        with pytest.raises(errors.InvalidArgument, match="given twice"):
            pycjm.merge(named)


def test_what_does_not_go_together_is_refused_by_name(state: Path, tmp_path: Path) -> None:
    other = tmp_path / "other.arrow"
    one = EVENTS.slice(0, 1)
    stamps = [name for name in EVENTS.column_names if "timestamp" in name]
    naive = one
    for name in stamps:
        naive = naive.set_column(naive.column_names.index(name), name, one[name].cast(pa.timestamp("us")))
    far = pa.table(
        {
            "case": pa.array([99]),
            "activity": ["x"],
            **{name: pa.array([2**62], pa.int64()).cast(pa.timestamp("s", "UTC")) for name in stamps},
        }
    )
    for events, options, words, kind in [
        (naive, {}, "zone", errors.InvalidArgument),
        (one.drop_columns("start_timestamp"), {}, "start_timestamp", errors.InvalidArgument),
        (one, {"negative": "zero"}, "negative", errors.InvalidArgument),
        (one.set_column(0, "case", pa.array(["x"])), {}, "the case ids of", errors.InvalidArgument),
        (far, {}, "times as fine", errors.InvalidData),
    ]:
        log(events, **options).mine("overview", state=other)
        for order in ([state, other], [other, state]):
            with pytest.raises(kind, match=words) as raised:
                pycjm.merge(order)
            assert str(other) in raised.value.message


def test_times_too_far_apart_are_refused_as_in_one_log(tmp_path: Path) -> None:
    for name, at in (("early", -(2**62)), ("late", 2**62)):
        table = pa.table({"case": [name], "activity": ["a"], "at": pa.array([at], pa.timestamp("us"))})
        events = pycjm.scan(table, case="case", activity="activity", timestamp="at")
        events.mine("overview", state=tmp_path / name)
    with pytest.raises(errors.InvalidData, match=r"late: timestamps from .* lie too far apart") as caught:
        pycjm.merge([tmp_path / "early", tmp_path / "late"])
    assert caught.value.details["path"] == str(tmp_path / "late")


def test_what_no_state_can_tell_is_refused(state: Path) -> None:
    metric = pycjm.case_metric(name="length")(lambda activities, times: float(len(activities)))
    for asked in ("cases", metric):
        with pytest.raises(errors.InvalidArgument, match="possible are overview"):
            pycjm.merge([state], asked)
    for wrong in ({"threads": 0}, {"memory_limit": 0}, {"state": 5}, {"percentiles": [101]}):
        with pytest.raises(errors.InvalidArgument):
            pycjm.merge([state], **wrong)
    with pytest.raises(errors.InvalidArgument, match="no state"):
        pycjm.merge([])
    with pytest.raises(errors.InvalidArgument, match="no state was kept"):
        log(EVENTS).mine("overview").state  # noqa: B018
    with pytest.raises(errors.InvalidArgument, match="keeps a state"):
        log(EVENTS).mine("overview", backend="reference", state=True)
    with pytest.raises(errors.MemoryLimit, match="the state"):
        pycjm.merge([state], memory_limit=100)


def test_a_file_appears_whole_or_not_at_all(state: Path, tmp_path: Path) -> None:
    before = state.read_bytes()
    bad = EVENTS.set_column(1, "activity", pa.nulls(EVENTS.num_rows, pa.utf8()))
    with pytest.raises(errors.InvalidData):
        log(bad).mine("overview", state=state)
    with pytest.raises(errors.IoError):
        log(EVENTS).mine("overview", state=tmp_path / "nowhere" / "state.arrow")
    with pytest.raises(errors.InvalidArgument, match="directory"):
        log(EVENTS).mine("overview", state=tmp_path)

    table = mine(EVENTS).state.to_pyarrow()

    def broken() -> Iterator[pa.RecordBatch]:
        yield from table.to_batches()[:1]
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        pycjm.merge([pa.RecordBatchReader.from_batches(table.schema, broken())], state=state)
    assert state.read_bytes() == before
    assert [path.name for path in tmp_path.iterdir()] == ["state.arrow"]
    # A state may be replaced by what it was merged into.
    one, two = parts(EVENTS, 2)
    log(one).mine("overview", state=state)
    pycjm.merge([state, mine(two)], "overview", state=state)
    assert state.read_bytes() == before
