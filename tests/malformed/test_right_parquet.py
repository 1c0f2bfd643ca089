"""Are unusual but valid Parquet files read with the values that another reader finds?"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from attempts import attempt
from shared_logs import shared_files

import pycjm

HELD = {"concatenated_gzip_members.parquet": 513}
"""Rows of files that say something of their own about them."""


def _valid(folder: Path) -> list[Path]:
    return list((folder / "malformed" / "parquet_valid").glob("*.parquet"))


def _readable(path: Path) -> pa.Table | None:
    """What pyarrow reads, checksums ignored as by default."""
    try:
        return pq.ParquetFile(path).read()
    except (pa.ArrowException, OSError, NotImplementedError):
        return None


@pytest.mark.parametrize("path", shared_files(_valid))
def test_rows_and_columns(path: Path) -> None:
    known = _readable(path)
    if known is None:
        pytest.skip("pyarrow does not read it either")
    told = pycjm.scan(path).describe()
    assert told.rows == known.num_rows
    assert [column.name for column in told.columns] == known.column_names
    if path.name in HELD:
        assert told.rows == HELD[path.name]


def _usable(table: pa.Table) -> dict[str, Any]:
    """Roles for a file: a time (or a number for one), and an activity."""
    kinds = {field.name: field.type for field in table.schema}
    times = [name for name, kind in kinds.items() if pa.types.is_timestamp(kind) or pa.types.is_date(kind)]
    numbers = [name for name, kind in kinds.items() if pa.types.is_integer(kind)]
    texts = [name for name, kind in kinds.items() if pa.types.is_string(kind) or pa.types.is_large_string(kind)]
    options: dict[str, Any] = {"on_null": "drop"}
    if times:
        options["timestamp"] = times[0]
    elif numbers:
        options |= {"timestamp": numbers[0], "timestamp_unit": "s"}
    options["activity"] = texts[0] if texts else None
    return options


@pytest.mark.parametrize("path", shared_files(_valid))
def test_values(path: Path) -> None:
    """Every column that can be a case is one, and every text an activity: the events hold the file's values."""
    known = _readable(path)
    if known is None:
        pytest.skip("pyarrow does not read it either")
    options = _usable(known)
    if "timestamp" not in options or options["activity"] is None:
        pytest.skip("no column could be the time, or none the activity")
    compared = 0
    texts = [field.name for field in known.schema if field.type == pa.utf8()]
    for way in [*({"case": name} for name in known.column_names), *({"activity": name} for name in texts)]:
        roles = {"case": texts[0], **options, **way}
        events, refused = attempt(lambda roles=roles: pycjm.scan(path, **roles).events().read_all())
        if events is None:
            kind = known.schema.field(next(iter(way.values()))).type
            takes = pa.types.is_integer(kind) or pa.types.is_string(kind) or pa.types.is_fixed_size_binary(kind)
            assert not takes, f"{way}: {refused}"
            continue
        compared += 1
        used = known.select(list(dict.fromkeys([roles["case"], roles["activity"], roles["timestamp"]])))
        used = used.drop_null()
        for role in ("case", "activity"):
            assert _values(events[role]) == _values(used[roles[role]]), roles
        assert _seconds(events["timestamp"]) == _seconds(used[roles["timestamp"]]), roles
    assert compared > 0


def _values(column: pa.ChunkedArray) -> list[Any]:
    if pa.types.is_dictionary(column.type):
        column = column.cast(column.type.value_type)
    return column.to_pylist()


def _seconds(column: pa.ChunkedArray) -> list[int]:
    """Times as nanoseconds, numbers as the seconds that we have made of them."""
    kind = column.type
    if pa.types.is_integer(kind):
        return [value * 10**9 for value in column.cast(pa.int64()).to_pylist()]
    if pa.types.is_date(kind):
        column, kind = column.cast(pa.timestamp("s")), pa.timestamp("s")
    factor = {"s": 10**9, "ms": 10**6, "us": 10**3, "ns": 1}[kind.unit]
    return [value * factor for value in column.cast(pa.int64()).to_pylist()]


def _bad(folder: Path) -> list[Path]:
    return list((folder / "malformed" / "parquet_bad_data").glob("*.parquet"))


@pytest.mark.parametrize("path", shared_files(_bad))
def test_bad_data_is_refused_where_it_is_read(path: Path) -> None:
    """The broken column may lie beside the roles and never be read; as a role it is refused or right."""
    about, refused = attempt(lambda: pycjm.scan(path).describe())
    if about is None:
        assert path.name in str(refused)
        return
    for name in (column.name for column in about.columns):
        log = pycjm.scan(path, case=name, activity=name, timestamp=name, timestamp_unit="s")
        _, refused = attempt(log.mine)
        assert "panicked" not in str(refused)


def _encrypted(folder: Path) -> list[Path]:
    return list((folder / "malformed" / "parquet_valid").glob("*.encrypted"))


@pytest.mark.parametrize("path", shared_files(_encrypted))
def test_encrypted_files_are_refused_as_such(tmp_path: Path, path: Path) -> None:
    named = tmp_path / f"{path.name}.parquet"
    named.symlink_to(path)
    about, refused = attempt(lambda: pycjm.scan(named).describe())
    if about is not None:  # the footer may be plain where the columns are not
        columns = [column.name for column in about.columns]
        log = pycjm.scan(named, case=columns[0], activity=columns[1], timestamp=columns[-1], timestamp_unit="s")
        _, refused = attempt(log.mine)
    assert "encrypt" in str(refused).lower()
