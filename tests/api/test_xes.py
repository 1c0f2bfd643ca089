"""Are XES logs read as every other log is: zones, units, empty logs, packed files?"""

from __future__ import annotations

import datetime
import gzip
from collections.abc import Sequence
from pathlib import Path

import pyarrow as pa
import pytest

import pycjm
from pycjm import errors

NAIVE = ["2026-03-29T01:30:00", "2026-03-29T03:30:00"]
AWARE = ["2026-03-29T01:30:00+01:00", "2026-03-29T03:30:00+02:00"]
BERLIN = "Europe/Berlin"


def write(path: Path, times: Sequence[str]) -> Path:
    """A log of one trace with an event for each time."""
    event = '<event><string key="concept:name" value="a"/><date key="time:timestamp" value="{}"/></event>'
    events = "".join(event.format(time) for time in times)
    path.write_text(f'<log><trace><string key="concept:name" value="1"/>{events}</trace></log>')
    return path


def overview(log: pycjm.EventLog) -> pa.Table:
    return log.mine("overview")["overview"].to_pyarrow()


def duration_s(log: pycjm.EventLog) -> float:
    return log.mine("durations")["durations"].to_pyarrow()["mean_s"][0].as_py()


def test_times_without_an_offset_are_wall_clock_times(tmp_path: Path) -> None:
    """On the night of the change the hours are fewer than they look."""
    path = write(tmp_path / "log.xes", NAIVE)
    plain = pycjm.scan(path)
    assert overview(plain).schema.field("first_ts").type == pa.timestamp("us")
    assert plain.mine("overview").info["naive_timestamps"] is True
    assert duration_s(plain) == 7200.0
    placed = pycjm.scan(path, timezone=BERLIN)
    assert overview(placed).schema.field("first_ts").type == pa.timestamp("us", BERLIN)
    assert overview(placed)["first_ts"][0].as_py() == datetime.datetime(2026, 3, 29, 0, 30, tzinfo=datetime.UTC)
    assert duration_s(placed) == 3600.0


@pytest.mark.parametrize("options", [{}, {"timezone": "America/New_York"}])
def test_times_with_an_offset_are_instants_in_every_zone(tmp_path: Path, options: dict[str, str]) -> None:
    log = pycjm.scan(write(tmp_path / "log.xes", AWARE), **options)
    assert overview(log).schema.field("first_ts").type == pa.timestamp("us", "UTC")
    assert duration_s(log) == 3600.0
    assert log.mine("overview").info["naive_timestamps"] is False


@pytest.mark.parametrize("split", [False, True])
def test_a_mixture_is_said_to_have_no_zone(tmp_path: Path, split: bool) -> None:
    """Times without an offset among others: of the zone given, or taken as UTC, which the type and the run tell."""
    mixed = [AWARE[0], NAIVE[1]]
    paths = [write(tmp_path / "a.xes", mixed[:1]), write(tmp_path / "b.xes", mixed[1:])]
    source = paths if split else write(tmp_path / "log.xes", mixed)
    plain = pycjm.scan(source)
    assert overview(plain).schema.field("first_ts").type == pa.timestamp("us")
    assert plain.mine("overview").info["naive_timestamps"] is True
    assert duration_s(plain) == 3 * 3600.0
    placed = pycjm.scan(source, timezone=BERLIN)
    assert overview(placed).schema.field("first_ts").type == pa.timestamp("us", BERLIN)
    assert duration_s(placed) == 3600.0


def test_digits_beyond_microseconds(tmp_path: Path) -> None:
    path = write(tmp_path / "log.xes", ["2026-01-05T09:00:00.123456789+01:00", "2026-01-05T09:00:01.5+01:00"])
    with pytest.raises(errors.InvalidData, match='finer than microseconds; pass timestamp_unit "ns"'):
        pycjm.scan(path).mine("overview")
    row = overview(pycjm.scan(path, timestamp_unit="ns"))
    assert row.schema.field("first_ts").type == pa.timestamp("ns", "UTC")
    assert row["first_ts"][0].value % 10**9 == 123_456_789


def test_a_coarse_unit_cuts_nothing(tmp_path: Path) -> None:
    path = write(tmp_path / "log.xes", ["2026-01-05T09:00:00.5Z"])
    assert overview(pycjm.scan(path, timestamp_unit="s")).schema.field("first_ts").type == pa.timestamp("us", "UTC")


@pytest.mark.parametrize(
    "text", ["<log/>", "<log><trace/></log>", '<log><trace><int key="n" value="1"/></trace></log>']
)
@pytest.mark.parametrize(
    "roles", [{}, {"activity": "org:resource", "start_timestamp": "begin", "lifecycle": "complete"}]
)
@pytest.mark.parametrize("backend", ["native", "reference"])
def test_a_log_without_events_gives_empty_tables(tmp_path: Path, text: str, roles: dict, backend: str) -> None:
    path = tmp_path / "log.xes"
    path.write_text(text)
    result = pycjm.scan(path, **roles).mine("overview", "dfg", "cases", backend=backend)
    row = result["overview"].to_pyarrow().to_pylist()[0]
    assert (row["events"], row["cases"], row["first_ts"]) == (0, 0, None)
    assert result["dfg"].to_pyarrow().num_rows == result["cases"].to_pyarrow().num_rows == 0


def test_an_empty_file_beside_a_full_one_changes_nothing(tmp_path: Path) -> None:
    (tmp_path / "empty.xes").write_text("<log/>")
    full = write(tmp_path / "full.xes", AWARE)
    assert overview(pycjm.scan([tmp_path / "empty.xes", full])).equals(overview(pycjm.scan(full)))
    with pytest.raises(errors.InvalidArgument, match="is not in the log"):
        pycjm.scan([tmp_path / "empty.xes", full], activity="org:resource").mine()


def test_what_stands_behind_packed_data_is_told(tmp_path: Path) -> None:
    packed = gzip.compress(write(tmp_path / "log.xes", AWARE).read_bytes())
    path = tmp_path / "log.xes.gz"
    path.write_bytes(packed + b"x")
    with pytest.raises(errors.InvalidData, match="behind the compressed data stand bytes that are not gzip"):
        pycjm.scan(path).mine("overview")
    path.write_bytes(packed[:-3])
    with pytest.raises(errors.InvalidData, match="the file is cut off"):
        pycjm.scan(path).mine("overview")
    path.write_bytes(packed + bytes(512))
    assert overview(pycjm.scan(path))["events"].to_pylist() == [2]
