"""Are unusual but valid Parquet files read with the values that another reader finds?"""

from __future__ import annotations

from functools import cache
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from attempts import attempt
from shared_logs import shared_files

import pycjm

UNREAD = {
    # The Parquet library is strict with the types in a footer.
    "dict-page-offset-zero.parquet": "Expected list element type of I64",
}
"""Valid files that are refused all the same, with what is said."""

TOO_LARGE = {"large_string_map.brotli.parquet"}
"""It unpacks to gigabytes of text in a map, which has no role; the footer tells enough."""


def _valid(folder: Path) -> list[Path]:
    chosen = (folder / "malformed" / "parquet_valid").glob("*.parquet")
    return [path for path in chosen if path.name not in UNREAD]


@cache
def _readable(path: Path) -> pa.Table | None:
    """What pyarrow reads, checksums ignored as by default."""
    try:
        return pq.ParquetFile(path).read()
    except (pa.ArrowException, OSError, NotImplementedError):
        return None


@pytest.mark.parametrize("path", shared_files(_valid))
def test_rows_and_columns(path: Path) -> None:
    if path.name in TOO_LARGE:
        rows, names = pq.ParquetFile(path).metadata.num_rows, pq.ParquetFile(path).schema_arrow.names
    elif (known := _readable(path)) is not None:
        rows, names = known.num_rows, known.column_names
    else:
        pytest.skip("pyarrow does not read it either")
    told = pycjm.scan(path).describe()
    assert told.rows == rows
    assert [column.name for column in told.columns] == names


@pytest.mark.parametrize("name", UNREAD)
def test_what_is_not_read_is_refused_by_name(shared_data: Path, name: str) -> None:
    _, refused = attempt(lambda: pycjm.scan(shared_data / "malformed" / "parquet_valid" / name).describe())
    assert UNREAD[name] in str(refused)
    assert name in str(refused)


def _of_type(table: pa.Table, *tests: Any) -> list[str]:
    return [field.name for field in table.schema if any(test(field.type) for test in tests)]


def _roles(table: pa.Table) -> dict[str, Any] | None:
    """Roles for a file: a time, or a number for one; a text as the activity, or what can be joined to one."""
    times = _of_type(table, pa.types.is_timestamp, pa.types.is_date)
    numbers = _of_type(table, pa.types.is_integer)
    texts = _of_type(table, pa.types.is_string, pa.types.is_large_string)
    joined = [*numbers, *_of_type(table, pa.types.is_boolean, pa.types.is_floating)][:2]
    activity = texts[:1] or (joined if len(joined) == 2 else [])
    if not activity or not (times or numbers):
        return None
    if times:
        return {"activity": activity, "timestamp": times[0]}
    return {"activity": activity, "timestamp": numbers[0], "timestamp_unit": "s"}


def _files_with_roles(folder: Path) -> list[Path]:
    chosen = [path for path in _valid(folder) if path.name not in TOO_LARGE]
    return [path for path in chosen if (table := _readable(path)) is not None and _roles(table)]


@pytest.mark.parametrize("path", shared_files(_files_with_roles))
def test_values(path: Path) -> None:
    """Every column that can be a case is one, and every text an activity: the events hold the file's values."""
    known = _readable(path)
    options = _roles(known)
    texts = _of_type(known, pa.types.is_string)
    compared = 0
    for way in [*({"case": name} for name in known.column_names), *({"activity": [name]} for name in texts)]:
        roles = {"case": known.column_names[0], **options, **way}
        log = pycjm.scan(path, **roles, on_null="drop")
        events, refused = attempt(lambda log=log: log.events().read_all())
        if events is None:
            kind = known.schema.field(roles["case"]).type
            takes = (pa.types.is_integer, pa.types.is_string, pa.types.is_large_string, pa.types.is_fixed_size_binary)
            # A decimal of fixed width is no bytes.
            assert not any(test(kind) for test in takes) or pa.types.is_decimal(kind), f"{roles}: {refused}"
            continue
        compared += 1
        used = known.select(list(dict.fromkeys([roles["case"], *roles["activity"], roles["timestamp"]]))).drop_null()
        assert _values(events["case"]) == _values(used[roles["case"]]), roles
        if not set(roles["activity"]) - set(_of_type(known, pa.types.is_string, pa.types.is_integer)):
            parts = [_values(used[name]) for name in roles["activity"]]
            assert _values(events["activity"]) == ["+".join(map(str, row)) for row in zip(*parts, strict=True)], roles
        assert _nanoseconds(events["timestamp"]) == _nanoseconds(used[roles["timestamp"]]), roles
    assert compared


def _values(column: pa.ChunkedArray) -> list[Any]:
    if pa.types.is_dictionary(column.type):
        column = column.cast(column.type.value_type)
    return column.to_pylist()


def _nanoseconds(column: pa.ChunkedArray) -> list[int]:
    """Times as nanoseconds; numbers are seconds, as we have read them."""
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
        roles = {"case": "flba_field", "activity": ["boolean_field", "float_field"], "timestamp": "int96_field"}
        assert set(roles["activity"]) < {column.name for column in about.columns}
        _, refused = attempt(lambda: pycjm.scan(named, **roles).mine())
    assert "encrypt" in str(refused).lower()
