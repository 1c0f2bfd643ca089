"""Does every table come back from every format as it was, and do files appear whole or not at all?"""

from __future__ import annotations

import csv
import errno
import io
import json
import math
import os
import resource
import signal
import socket
import stat
import subprocess
import sys
import time
import uuid
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from decimal import Decimal
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

import pycjm
from pycjm import _formats, errors, export

VERSIONS = {"package": "0", "engine": "0"}
BERLIN = pa.timestamp("ns", "Europe/Berlin")


class Result(Mapping):
    """What export needs of a result: tables by name, and how the run went."""

    def __init__(self, **tables: object) -> None:
        self.tables = tables
        self.info = {"backend": "test", "phases": [{"name": "read", "seconds": 0.5}], "peak_memory_bytes": 7}

    def __getitem__(self, name: str) -> object:
        return self.tables[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self.tables)

    def __len__(self) -> int:
        return len(self.tables)


def every_type() -> pa.Table:
    """One column of each kind that a result can have, with the values that break writers."""
    return pa.table(
        {
            "label": ['a,"b"\n', "", None],
            "view": pa.array(["x", "Straße ✓", None], pa.string_view()),
            "code": pa.array(["p", "q", "p"]).dictionary_encode(),
            "count": pa.array([2**64 - 1, 0, None], pa.uint64()),
            "mean_s": pa.array([0.1, math.inf, None], pa.float64()),
            "path": pa.array([["a", 'b"'], [], None], pa.list_(pa.utf8())),
            "dropped": pa.array([{"case": 1, "activity": 0}] * 3),
            "local": pa.array([1767600000123456789, 0, None], pa.int64()).cast(BERLIN),
            "naive": pa.array([1767600000, 0, None], pa.int64()).cast(pa.timestamp("s")),
            "uuid": pa.array([b"\x01" * 16, b"\xff" * 16, None], pa.uuid()),
            "fixed": pa.array([b"\x00\xff", b"ab", None], pa.binary(2)),
        }
    )


PLAIN = [
    {
        "label": 'a,"b"\n', "view": "x", "code": "p", "count": 2**64 - 1, "mean_s": 0.1, "path": ["a", 'b"'],
        "dropped": {"case": 1, "activity": 0},
        "local": "2026-01-05T08:00:00.123456789Z", "naive": "2026-01-05T08:00:00",
        "uuid": "01010101-0101-0101-0101-010101010101", "fixed": "00ff",
    },
    {
        "label": "", "view": "Straße ✓", "code": "q", "count": 0, "mean_s": None, "path": [],
        "dropped": {"case": 1, "activity": 0},
        "local": "1970-01-01T00:00:00.000000000Z", "naive": "1970-01-01T00:00:00",
        "uuid": str(uuid.UUID(bytes=b"\xff" * 16)), "fixed": "6162",
    },
    {
        "label": None, "view": None, "code": "p", "count": None, "mean_s": None, "path": None,
        "dropped": {"case": 1, "activity": 0}, "local": None, "naive": None, "uuid": None, "fixed": None,
    },
]  # fmt: skip


def test_json_has_every_type(tmp_path: Path) -> None:
    assert export.write_table(every_type(), tmp_path / "t.json") == 3
    assert json.loads((tmp_path / "t.json").read_text()) == PLAIN


def test_csv_has_every_type(tmp_path: Path) -> None:
    export.write_table(every_type(), tmp_path / "t.csv")
    with (tmp_path / "t.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    for row, expected in zip(rows, PLAIN, strict=True):
        for name, text in row.items():
            value = expected[name]
            if name == "mean_s":
                assert text in ("0.1", "inf", "")
            elif value is None:
                assert text == ""
            elif isinstance(value, list | dict):
                assert json.loads(text) == value
            else:
                assert text == str(value)


def test_parquet_and_arrow_keep_values_and_types(tmp_path: Path) -> None:
    table = every_type()
    export.write_table(table, tmp_path / "t.parquet")
    export.write_table(table, tmp_path / "t.arrow")
    from_parquet = pq.read_table(tmp_path / "t.parquet")
    with pa.ipc.open_file(tmp_path / "t.arrow") as file:
        from_arrow = file.read_all()
    expected = table.set_column(2, "code", table["code"].cast(pa.utf8()))
    assert from_arrow.equals(expected)
    # Parquet has no seconds; the instants stay.
    assert from_parquet.schema.field("naive").type == pa.timestamp("ms")
    assert from_parquet.schema.field("local").type == BERLIN
    back = from_parquet.set_column(8, "naive", from_parquet["naive"].cast(pa.timestamp("s")))
    assert back.cast(expected.schema).equals(expected)


@pytest.mark.parametrize("ending", ["parquet", "arrow", "csv", "json"])
def test_an_empty_table_keeps_its_columns(tmp_path: Path, ending: str) -> None:
    path = tmp_path / f"t.{ending}"
    assert export.write_table(every_type().slice(0, 0), path) == 0
    if ending == "json":
        assert json.loads(path.read_text()) == []
    elif ending == "csv":
        assert path.read_text().strip().replace('"', "").split(",") == every_type().column_names
    else:
        read = pq.read_table(path) if ending == "parquet" else pa.ipc.open_file(path).read_all()
        assert read.column_names == every_type().column_names
        assert read.num_rows == 0


@pytest.mark.parametrize("ending", ["parquet", "arrow", "csv", "json"])
def test_batches_with_different_dictionaries(tmp_path: Path, ending: str) -> None:
    parts = [pa.table({"case": pa.array(values).dictionary_encode()}) for values in (["a", "b"], ["c", "b"])]
    table = pa.concat_tables(parts)
    path = tmp_path / f"t.{ending}"
    assert export.write_table(table, path) == 4
    if ending == "parquet":
        found = pq.read_table(path)["case"].cast(pa.utf8()).to_pylist()
    elif ending == "arrow":
        found = pa.ipc.open_file(path).read_all()["case"].to_pylist()
    elif ending == "csv":
        found = [row["case"] for row in csv.DictReader(path.open())]
    else:
        found = [row["case"] for row in json.loads(path.read_text())]
    assert found == ["a", "b", "c", "b"]


@pytest.mark.parametrize("ending", ["parquet", "arrow", "csv", "json"])
def test_a_stream_is_never_held_whole(tmp_path: Path, ending: str) -> None:
    batch = pa.record_batch({"case": pa.array([f"case {n:020}" for n in range(10_000)]), "duration_s": [1.5] * 10_000})
    alive: list[int] = []

    def batches() -> Iterator[pa.RecordBatch]:
        for _ in range(30):
            alive.append(pa.total_allocated_bytes())
            yield batch.take(pa.array(range(batch.num_rows)))

    reader = pa.RecordBatchReader.from_batches(batch.schema, batches())
    assert export.write_table(reader, tmp_path / f"t.{ending}") == 300_000
    assert max(alive) - alive[0] < 15 * batch.nbytes


def test_a_file_is_replaced_and_keeps_ordinary_rights(tmp_path: Path) -> None:
    path = tmp_path / "t.csv"
    path.write_text("old")
    export.write_table(pa.table({"a": [1]}), path)
    assert path.read_text() == '"a"\n1\n'
    assert stat.S_IMODE(path.stat().st_mode) == 0o666 & ~current_umask()
    assert os.listdir(tmp_path) == ["t.csv"]


def test_a_link_stays_a_link(tmp_path: Path) -> None:
    (tmp_path / "real").mkdir()
    (tmp_path / "link.csv").symlink_to(tmp_path / "real" / "t.csv")
    export.write_table(pa.table({"a": [1]}), tmp_path / "link.csv")
    assert (tmp_path / "link.csv").is_symlink()
    assert (tmp_path / "real" / "t.csv").read_text() == '"a"\n1\n'


def current_umask() -> int:
    mask = os.umask(0)
    os.umask(mask)
    return mask


@pytest.mark.parametrize(
    ("path", "format", "match"),
    [
        ("t.xlsx", None, "says no format"),
        ("t", None, "says no format"),
        ("t.csv", "exel", "unknown format"),
        (".", "csv", "directory"),
    ],
)
def test_wrong_targets_are_the_callers_mistake(tmp_path: Path, path: str, format: str | None, match: str) -> None:
    with pytest.raises(errors.InvalidArgument, match=match):
        export.write_table(pa.table({"a": [1]}), tmp_path / path, format)
    assert os.listdir(tmp_path) == []


def test_a_missing_directory_is_named(tmp_path: Path) -> None:
    with pytest.raises(errors.IoError, match="does not exist") as caught:
        export.write_table(pa.table({"a": [1]}), tmp_path / "nowhere" / "t.csv")
    assert caught.value.errno == errno.ENOENT
    assert caught.value.filename == os.fspath(tmp_path / "nowhere" / "t.csv")


# Whole results


def small_result() -> Result:
    return Result(overview=pa.table({"events": [5]}), variants=pa.table({"activities": [["a", "b"]]}))


def write(result: Mapping, directory: Path, **options: object) -> dict:
    return export.write_result(result, directory, run_info={"versions": VERSIONS}, **options)


@pytest.mark.parametrize("format", ["parquet", "arrow", "csv", "json"])
def test_a_result_is_one_file_per_table_and_the_record(tmp_path: Path, format: str) -> None:
    log = tmp_path / "log.bin"
    log.write_bytes(bytes(range(256)) * 20_000)
    info = {"inputs": [log], "options": {"plan": {"version": 1}}, "versions": VERSIONS}
    returned = export.write_result(small_result(), tmp_path / "new" / "out", format=format, run_info=info)
    out = tmp_path / "new" / "out"
    assert sorted(os.listdir(out)) == sorted([f"overview.{format}", f"variants.{format}", "run.json"])
    record = json.loads((out / "run.json").read_text())
    assert record == returned
    assert record["made_by"] == "pycjm"
    assert record["options"] == {"plan": {"version": 1}}
    assert record["run"]["phases"] == [{"name": "read", "seconds": 0.5}]
    assert record["run"]["process_peak_memory_bytes"] > 10**6
    assert record["versions"]["pyarrow"] == pa.__version__
    assert [(table["name"], table["rows"]) for table in record["tables"]] == [("overview", 1), ("variants", 1)]
    assert [table["bytes"] for table in record["tables"]] == [
        (out / table["file"]).stat().st_size for table in record["tables"]
    ]
    (found,) = record["inputs"]
    assert (found["path"], found["bytes"]) == (str(log), 5_120_000)
    assert found["fingerprint"]["method"] == "sha256 of the size and the first and last MiB"
    assert os.listdir(tmp_path / "new") == ["out"]


def test_the_fingerprint_sees_size_head_and_tail(tmp_path: Path) -> None:
    def fingerprint(content: bytes) -> str:
        (tmp_path / "f").write_bytes(content)
        info = {"inputs": [tmp_path / "f"], "versions": VERSIONS}
        return export.write_result({}, tmp_path / "out", overwrite=True, run_info=info)["inputs"][0]["fingerprint"][
            "value"
        ]

    base = bytes(3_000_000)
    same = fingerprint(base)
    assert fingerprint(base) == same
    changed = [b"\x01" + base[1:], base[:-1] + b"\x01", base + b"\x00", b"", b"\x00"]
    assert len({same, *map(fingerprint, changed)}) == 6


def test_an_input_that_is_gone_does_not_lose_the_result(tmp_path: Path) -> None:
    record = export.write_result({}, tmp_path / "out", run_info={"inputs": [tmp_path / "gone"], "versions": VERSIONS})
    assert record["inputs"] == [{"path": str(tmp_path / "gone"), "error": "No such file or directory"}]


def test_a_directory_is_replaced_only_when_asked_and_only_if_it_is_ours(tmp_path: Path) -> None:
    out = tmp_path / "out"
    write(Result(old=pa.table({"a": [1]})), out)
    with pytest.raises(errors.InvalidArgument, match="exists"):
        write(small_result(), out)
    assert sorted(os.listdir(out)) == ["old.parquet", "run.json"]
    write(small_result(), out, overwrite=True)
    assert sorted(os.listdir(out)) == ["overview.parquet", "run.json", "variants.parquet"]
    (out / "notes.txt").write_text("mine")
    with pytest.raises(errors.InvalidArgument, match=r"notes\.txt"):
        write(small_result(), out, overwrite=True)
    assert (out / "notes.txt").read_text() == "mine"
    assert os.listdir(tmp_path) == ["out"]


@pytest.mark.parametrize(
    "record",
    [None, "no json", "[]", '{"made_by": "another"}', '{"made_by": "pycjm"}', '{"made_by":"pycjm","tables":[3]}'],
)
def test_a_foreign_directory_is_never_replaced(tmp_path: Path, record: str | None) -> None:
    out = tmp_path / "out"
    out.mkdir()
    (out / "data.csv").write_text("precious")
    if record is not None:
        (out / "run.json").write_text(record)
    with pytest.raises(errors.InvalidArgument, match="did not write"):
        export.check_target(out, overwrite=True)
    with pytest.raises(errors.InvalidArgument, match="did not write"):
        write(small_result(), out, overwrite=True)
    assert (out / "data.csv").read_text() == "precious"


def test_an_empty_directory_may_be_replaced_and_a_file_not(tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    write(small_result(), tmp_path / "empty", overwrite=True)
    assert (tmp_path / "empty" / "run.json").exists()
    (tmp_path / "file").write_text("x")
    with pytest.raises(errors.InvalidArgument, match="not a directory"):
        write(small_result(), tmp_path / "file", overwrite=True)
    assert (tmp_path / "file").read_text() == "x"


# Failures


class Failing:
    """A table that fails after its first batch."""

    def __init__(self, error: BaseException) -> None:
        self.error = error

    def to_reader(self) -> pa.RecordBatchReader:
        batch = pa.record_batch({"a": list(range(10_000))})

        class Reader:
            schema = batch.schema

            def __iter__(reader) -> Iterator[pa.RecordBatch]:  # noqa: N805 - the outer self is needed too
                yield batch
                yield batch
                raise self.error

        return Reader()


FAILURES = [
    errors.InvalidData("row 7 is wrong", {"row": 7}),
    errors.IoError("cannot read", {"errno": errno.EIO}),
    OSError(errno.EIO, "raw"),
    KeyboardInterrupt(),
    SystemExit(3),
    MemoryError(),
    pa.ArrowInvalid("bad"),
]


@pytest.mark.parametrize("format", ["parquet", "arrow", "csv", "json"])
@pytest.mark.parametrize("error", FAILURES, ids=lambda error: type(error).__name__)
def test_a_failing_table_leaves_nothing_and_is_told_as_it_is(tmp_path: Path, error: BaseException, format: str) -> None:
    result = Result(overview=pa.table({"a": [1]}), cases=Failing(error))
    with pytest.raises(type(error)) as caught:
        write(result, tmp_path / "parent" / "out", format=format)
    assert caught.value is error
    assert os.listdir(tmp_path) == []
    with pytest.raises(type(error)):
        export.write_table(Failing(error), tmp_path / f"t.{format}")
    assert os.listdir(tmp_path) == []


@pytest.mark.parametrize("error", FAILURES, ids=lambda error: type(error).__name__)
def test_a_failure_keeps_what_was_to_be_replaced(tmp_path: Path, error: BaseException) -> None:
    write(small_result(), tmp_path / "out")
    before = {name: (tmp_path / "out" / name).read_bytes() for name in os.listdir(tmp_path / "out")}
    with pytest.raises(type(error)):
        write(Result(overview=pa.table({"a": [1]}), cases=Failing(error)), tmp_path / "out", overwrite=True)
    assert {name: (tmp_path / "out" / name).read_bytes() for name in os.listdir(tmp_path / "out")} == before
    assert os.listdir(tmp_path) == ["out"]


@pytest.mark.parametrize("fails_at", [1, 2])
@pytest.mark.parametrize("error", [OSError(errno.EIO, "injected"), KeyboardInterrupt()], ids=["error", "interrupt"])
def test_a_failing_rename_puts_the_old_result_back(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, fails_at: int, error: BaseException
) -> None:
    write(Result(old=pa.table({"a": [1]})), tmp_path / "out")
    real, calls = os.rename, []

    def rename(source: str, target: str) -> None:
        calls.append(target)
        if len(calls) == fails_at:
            raise error
        real(source, target)

    # As where names cannot be exchanged in one step.
    monkeypatch.setattr(export._rename, "exchange", lambda one, other: False)
    monkeypatch.setattr(export.os, "rename", rename)
    with pytest.raises(errors.IoError if isinstance(error, OSError) else KeyboardInterrupt):
        write(small_result(), tmp_path / "out", overwrite=True)
    assert sorted(os.listdir(tmp_path / "out")) == ["old.parquet", "run.json"]
    assert os.listdir(tmp_path) == ["out"]


@pytest.mark.parametrize("overwrite", [False, True])
def test_a_directory_that_appears_meanwhile_is_not_touched(tmp_path: Path, overwrite: bool) -> None:
    class Racing(Result):
        def __getitem__(self, name: str) -> object:
            (tmp_path / "out").mkdir()
            (tmp_path / "out" / "theirs").write_text("x")
            return super().__getitem__(name)

    with pytest.raises(errors.PycjmError):
        write(Racing(overview=pa.table({"a": [1]})), tmp_path / "out", overwrite=overwrite)
    assert os.listdir(tmp_path / "out") == ["theirs"]
    assert os.listdir(tmp_path) == ["out"]


@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EDQUOT])
@pytest.mark.parametrize("format", ["parquet", "arrow", "csv", "json"])
def test_a_full_disk_is_told_apart(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, number: int, format: str) -> None:
    def fsync(handle: int) -> None:
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr(export.os, "fsync", fsync)
    with pytest.raises(errors.IoError, match="Free some space") as caught:
        write(small_result(), tmp_path / "out", format=format)
    assert caught.value.errno == number
    assert caught.value.details["disk_full"] is True
    assert os.listdir(tmp_path) == []


def test_a_large_file_is_brought_to_the_disk_in_steps(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    sizes: list[int] = []
    sync = os.fsync

    def fsync(handle: int) -> None:
        sizes.append(os.fstat(handle).st_size)
        sync(handle)

    monkeypatch.setattr(export.os, "fsync", fsync)
    monkeypatch.setattr(export, "STEP_BYTES", 50_000)
    content = bytes(range(256)) * 2_000
    with export.whole_file(tmp_path / "out.bin") as file:
        for part in (content[:10], content[10:70_000], content[70_000:410_000], content[410_000:]):
            assert file.write(part) == len(part)
    assert (tmp_path / "out.bin").read_bytes() == content
    of_file = sizes[: sizes.index(len(content)) + 1]
    assert len(of_file) > len(content) // 50_000
    assert all(after - before <= 50_000 for before, after in zip([0, *of_file], of_file, strict=False))


LIMITED = """
import resource, signal, sys
import pyarrow as pa
from pycjm import errors, export
resource.setrlimit(resource.RLIMIT_FSIZE, (200_000, 200_000))
table = pa.table({"case": [f"case {n * 7919 % 1000003}" for n in range(200_000)]})
try:
    export.write_result({"cases": table}, sys.argv[1], format=sys.argv[2], run_info={"versions": {}})
except errors.IoError as error:
    print(error.errno)
"""


@pytest.mark.parametrize("format", ["parquet", "arrow", "csv", "json"])
def test_a_write_that_the_system_refuses_in_the_middle(tmp_path: Path, format: str) -> None:
    done = subprocess.run(
        [sys.executable, "-c", LIMITED, str(tmp_path / "out"), format], capture_output=True, text=True
    )
    assert done.stdout.strip() == str(errno.EFBIG), done.stderr
    assert os.listdir(tmp_path) == []


SLOW = """
import sys, time
import pyarrow as pa
from pycjm import export
batch = pa.record_batch({"a": list(range(1000))})
def batches():
    print("running", flush=True)
    while True:
        time.sleep(0.01)
        yield batch
reader = pa.RecordBatchReader.from_batches(batch.schema, batches())
export.write_result({"cases": reader}, sys.argv[1], overwrite=True, run_info={"versions": {}})
"""


def test_ctrl_c_in_the_middle_leaves_the_old_result(tmp_path: Path) -> None:
    write(small_result(), tmp_path / "out")
    process = subprocess.Popen(
        [sys.executable, "-c", SLOW, str(tmp_path / "out")], stdout=subprocess.PIPE, stderr=subprocess.PIPE
    )
    assert process.stdout.readline() == b"running\n"
    time.sleep(0.1)
    process.send_signal(signal.SIGINT)
    _, told = process.communicate(timeout=10)
    assert b"KeyboardInterrupt" in told
    assert os.listdir(tmp_path) == ["out"]
    assert (tmp_path / "out" / "variants.parquet").exists()


def test_a_killed_process_never_leaves_a_half_result_under_the_name(tmp_path: Path) -> None:
    process = subprocess.Popen([sys.executable, "-c", SLOW, str(tmp_path / "out")], stdout=subprocess.PIPE)
    assert process.stdout.readline() == b"running\n"
    time.sleep(0.1)
    process.kill()
    process.communicate(timeout=10)
    assert not (tmp_path / "out").exists()
    assert all(name.startswith(".out.pycjm-tmp-") for name in os.listdir(tmp_path))
    write(small_result(), tmp_path / "out")
    assert os.listdir(tmp_path) == ["out"]


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write everywhere")
def test_a_place_without_rights_is_named(tmp_path: Path) -> None:
    (tmp_path / "closed").mkdir(mode=0o500)
    with pytest.raises(errors.IoError, match="may not write") as caught:
        write(small_result(), tmp_path / "closed" / "out")
    assert caught.value.errno == errno.EACCES


def test_decimals_are_written_as_text_nowhere(tmp_path: Path) -> None:
    # A whole u64 beyond 2^53 must not pass through a float on its way.
    export.write_table(pa.table({"n": pa.array([2**63 + 1], pa.uint64())}), tmp_path / "t.json")
    assert json.loads((tmp_path / "t.json").read_text(), parse_int=Decimal) == [{"n": Decimal(2**63 + 1)}]


def test_limits_of_this_process_are_untouched() -> None:
    assert resource.getrlimit(resource.RLIMIT_FSIZE)[0] == resource.RLIM_INFINITY


# Years that four digits cannot hold

FAR = [
    ("s", 253_402_300_799, "9999-12-31T23:59:59"),
    ("s", 253_402_300_800, "+010000-01-01T00:00:00"),
    ("s", 100_000_000_000_000, "+3170843-11-07T09:46:40"),
    ("s", 2**63 - 1, "+292277026596-12-04T15:30:07"),
    ("s", -(2**63), "-292277022657-01-27T08:29:52"),
    ("ms", 253_402_300_800_001, "+010000-01-01T00:00:00.001"),
    ("us", -62_167_219_200_000_001, "-000001-12-31T23:59:59.999999"),
    ("us", -62_167_219_200_000_000, "0000-01-01T00:00:00.000000"),
    ("us", 2**63 - 1, "+294247-01-10T04:00:54.775807"),
]


@pytest.mark.parametrize(("unit", "tick", "text"), FAR)
@pytest.mark.parametrize("zone", [None, "Europe/Berlin"])
def test_far_years_are_expanded_years(tmp_path, unit, tick, text, zone):
    times = pa.array([0, tick, None], pa.timestamp(unit, zone))
    export.write_table(pa.table({"t": times}), tmp_path / "t.json")
    export.write_table(pa.table({"t": times}), tmp_path / "t.csv")
    text += "Z" if zone else ""
    rows = [row["t"] for row in json.loads((tmp_path / "t.json").read_text())]
    assert (rows[0][:10], rows[1:]) == ("1970-01-01", [text, None])
    with open(tmp_path / "t.csv", newline="") as file:
        assert [row[0] if row else "" for row in csv.reader(file)][2] == text


def test_far_dates(tmp_path):
    days = pa.table(
        {"d": pa.array([2**31 - 1, -(2**31), 0], pa.date32()), "e": pa.array([0, -(10**15), 1], pa.date64())}
    )
    export.write_table(days, tmp_path / "t.json")
    assert json.loads((tmp_path / "t.json").read_text()) == [
        {"d": "+5881580-07-11", "e": "1970-01-01"},
        {"d": "-5877641-06-23", "e": "-029719-04-05"},
        {"d": "1970-01-01", "e": "1970-01-01"},
    ]


def test_far_years_are_shown(tmp_path):
    far = pa.table({"case": [1], "activity": ["a"], "ts": pa.array([10**14], pa.timestamp("s", "UTC"))})
    assert "+3170843-11-07T09:46:40Z" in repr(pycjm.scan(far).mine("cases"))


# What is no file


def test_a_pipe_gets_the_content_and_stays_a_pipe(tmp_path):
    path = tmp_path / "pipe"
    os.mkfifo(path)
    with ThreadPoolExecutor(1) as pool:
        read = pool.submit(path.read_bytes)
        export.write_table(pa.table({"a": [1, 2]}), path, "parquet")
        content = read.result(timeout=20)
    assert stat.S_ISFIFO(os.stat(path).st_mode)
    assert pq.read_table(io.BytesIO(content)).to_pydict() == {"a": [1, 2]}
    assert os.listdir(tmp_path) == ["pipe"]


def test_a_device_stays_a_device(tmp_path):
    path = tmp_path / "null"
    try:
        os.mknod(path, stat.S_IFCHR | 0o666, os.makedev(1, 3))
        open(path, "wb").close()
    except PermissionError:
        pytest.skip("needs the right to make devices")
    export.write_table(pa.table({"a": [1]}), path, "csv")
    assert stat.S_ISCHR(os.stat(path).st_mode)
    assert os.listdir(tmp_path) == ["null"]


def test_a_socket_is_refused(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)  # the name of a socket has to be short
    with socket.socket(socket.AF_UNIX) as listening:
        listening.bind("here")
        with pytest.raises(errors.InvalidArgument, match="here is a socket"):
            export.write_table(pa.table({"a": [1]}), "here", "csv")
    assert os.listdir(tmp_path) == ["here"]


WRITES_TO_ITS_OUTPUT = """
import sys
import pyarrow as pa
from pycjm import export
with export.whole_file(sys.argv[1]) as file:
    file.write(b"new")
"""


@pytest.mark.skipif(not os.path.exists("/proc/self/fd"), reason="needs /proc")
@pytest.mark.parametrize("to_file", [False, True])
def test_the_own_output_by_its_path(tmp_path, to_file):
    link, out = tmp_path / "link", tmp_path / "out"
    link.symlink_to("/proc/self/fd/1")
    out.write_bytes(b"old ")
    args = [sys.executable, "-c", WRITES_TO_ITS_OUTPUT, str(link)]
    with open(out, "ab") as file:
        done = subprocess.run(args, stdout=file if to_file else subprocess.PIPE, timeout=60, check=True)
    assert (out.read_bytes() if to_file else done.stdout) == (b"old new" if to_file else b"new")
    assert link.is_symlink()


@pytest.mark.parametrize("unit", ["s", "ms", "us", "ns"])
@pytest.mark.parametrize("zone", [None, "UTC", "Asia/Tokyo"])
def test_few_times_are_written_as_many_are(unit: str, zone: str | None) -> None:
    second = {"s": 1, "ms": 10**3, "us": 10**6, "ns": 10**9}[unit]
    ticks = [0, 1, -1, 1_767_265_200 * second, -2_208_988_800 * second - 1, 4_102_444_800 * second + second - 1, None]
    if unit != "ns":
        ticks += [-62_167_219_200 * second, -62_167_219_200 * second - 1, 253_402_300_800 * second, -(10**12) * second]
    column = pa.array(ticks, pa.timestamp(unit, zone))
    many = _formats.plain_column(column)
    rows = list(_formats.plain_rows(pa.record_batch({"at": column})))
    assert [row["at"] for row in rows] == many
