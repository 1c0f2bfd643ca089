"""How does whatever was scanned become a log handle of the engine?

The three roads are one interface here: the engine reads Parquet and XES itself; CSV and IPC files are read by pyarrow
and streamed to it; tables hand it their own stream.
"""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, Protocol

from . import _arrow, errors, file_source, roles, table_source, timestamp_format
from ._lib import call, ffi, in_worker, lib, new_context, take_text
from .csv_source import CsvSource
from .csv_zones import Offsets
from .roles import Roles
from .settings import Settings

if TYPE_CHECKING:
    import pyarrow as pa

LIFECYCLE_NAMES = ("lifecycle:transition", "lifecycle_transition", "lifecycle", "transition")


@dataclass(frozen=True)
class Column:
    """A column of a source: its name and its Arrow type as text."""

    name: str
    type: str


@dataclass(frozen=True)
class Facts:
    """What is known of a source without mining it.

    Attributes
    ----------
    format : str
        ``parquet``, ``xes``, ``csv``, ``arrow``, or the kind of table.
    columns : tuple of Column
        In order.
    rows, row_groups : int or None
        None where reading would be needed, or where there are none.
    files : tuple of dict
        ``path``, ``bytes``, ``rows`` of each file.
    """

    format: str
    columns: tuple[Column, ...]
    rows: int | None = None
    row_groups: int | None = None
    files: tuple[dict[str, Any], ...] = ()


@dataclass
class Opened:
    """A log handle, with what is needed to explain an error that comes out of it."""

    pointer: Any
    aside: _arrow.Aside = field(default_factory=_arrow.Aside)
    improve: Callable[[errors.PycjmError], errors.PycjmError] = lambda error: error

    def explain(self, error: BaseException) -> BaseException:
        """The error to raise: what the Python side of the stream said, if it failed, else the engine's, improved."""
        if not isinstance(error, errors.PycjmError):
            return error
        return self.aside.failure or self.improve(error)

    def stop(self) -> None:
        """Ends a reading of the Python side; the engine itself is cancelled through its context."""
        self.aside.stopped = True

    def events(self) -> pa.RecordBatchReader:
        """The normalised events, in the order of the log."""
        context = new_context()

        def explain(error: BaseException) -> BaseException:
            return self.explain(_arrow.from_engine(error))

        try:
            reader = _arrow.import_stream(lib.cjm_log_events, self.pointer, context)
        except errors.PycjmError as error:
            raise self.explain(error) from None

        def batches() -> Iterator[pa.RecordBatch]:
            # The handles have to live as long as the reader; being cancelled is how an abandoned reading ends.
            try:
                yield from reader
            finally:
                lib.cjm_cancel(context)

        return _arrow.guarded(reader.schema, batches(), explain)

    def describe(self) -> dict[str, Any]:
        """What the engine says of the log, and after a reading the rows that it dropped."""
        out = ffi.new("char **")
        call(lib.cjm_log_describe, self.pointer, out)
        return json.loads(take_text(out[0]))


class Source(Protocol):
    """What was scanned."""

    label: str

    def roles_unseen(self, settings: Settings) -> Roles | None:
        """The roles, where they can be told without a look at the columns, which may cost a reading."""

    def facts(self) -> Facts:
        """Columns and sizes."""

    def fits(self, role: str, column: str, settings: Settings) -> bool:
        """Whether a column could have a role."""

    def open(self, named: Roles, settings: Settings) -> Opened:
        """A handle to read from the beginning."""


def find(source: Any, settings: Settings) -> Source:
    """The source behind what was given to ``scan``; files are looked at only if their names do not tell.

    Raises
    ------
    InvalidArgument
        Nothing that can be scanned, or CSV options for something else.
    """
    if file_source.is_path(source):
        paths = file_source.paths_of(source)
        form = file_source.find_format(paths)
        _only_csv(settings, form)
        if form == "csv":
            return CsvFiles(CsvSource(file_source.expand(paths, form), settings.csv, tuple(settings.roles.columns)))
        if form == "arrow":
            return IpcFiles(file_source.IpcSource(file_source.expand(paths, form)))
        return EngineFiles(paths if form == "parquet" else file_source.expand(paths, form), form)
    kind = table_source.kind_of(source)
    if kind is None:
        raise errors.InvalidArgument(
            f"cannot scan an object of type {type(source).__module__}.{type(source).__qualname__}: a path, a list of "
            "paths, or a table with __arrow_c_stream__ (pyarrow, polars, duckdb, pandas, ...) is needed.",
            {"option": "source"},
        )
    _only_csv(settings, kind.name)
    return Tables(table_source.TableSource(source, kind))


def check_early(source: Any, settings: Settings) -> None:
    """What can be said of a source without opening anything."""
    if file_source.is_path(source):
        form = file_source.format_by_name(file_source.paths_of(source))
        if form is not None:
            _only_csv(settings, form)
    else:
        find(source, settings)


def _only_csv(settings: Settings, form: str) -> None:
    if form == "csv":
        return
    for option in ("delimiter", "quote", "encoding"):
        if getattr(settings.csv, option) is not None:
            raise errors.InvalidArgument(f"{option}= is for CSV files; this source is {form}.", {"option": option})


def label_of(paths: list[str]) -> str:
    """How a list of files is called in messages."""
    return paths[0] if len(paths) == 1 else f"{paths[0]} and {len(paths) - 1} more"


def _handle(open_log: Callable[[Any], None]) -> Any:
    """A log handle, written to where `open_log` is told. Opening looks into files, into XES files as a whole."""

    def work() -> Any:
        out = ffi.new("cjm_log **")
        open_log(out)
        return ffi.gc(out[0], lib.cjm_log_free)

    return in_worker(work)


def from_stream(reader: pa.RecordBatchReader, spec: dict[str, Any], aside: _arrow.Aside | None = None) -> Any:
    """A log handle that owns the stream of a reader; the engine looks at its first batch already."""
    capsule, text = reader.__arrow_c_stream__(), json.dumps(spec).encode()
    try:
        return _handle(lambda out: call(lib.cjm_log_from_stream, _arrow.stream_pointer(capsule), text, out))
    except errors.PycjmError as error:
        if aside is not None and aside.failure is not None:
            raise aside.failure from error
        raise


class EngineFiles:
    """Parquet and XES files, which the engine reads itself."""

    def __init__(self, paths: list[str], form: str) -> None:
        self.paths = paths
        self.format = form
        self.label = label_of(paths)
        self._facts: Facts | None = None

    def roles_unseen(self, settings: Settings) -> Roles | None:
        """Those named, if they are all: the engine names a column that is not there. XES has names of its own."""
        named = settings.roles
        if self.format == "xes":
            standard = {role: (roles.STANDARD[role],) for role in named.missing}
            lifecycle = LIFECYCLE_NAMES[:1] if settings.lifecycle else ()
            return replace(named, **standard, lifecycle=lifecycle, guessed=tuple(standard))
        return None if named.missing or settings.lifecycle else named

    def facts(self) -> Facts:
        """Columns and sizes, from the files' own metadata."""
        if self._facts is None:
            told = self._open({"version": 1}).describe()
            self._facts = Facts(
                format=told.get("format", self.format),
                columns=tuple(Column(column["name"], column["type"]) for column in told["columns"]),
                rows=told.get("rows"),
                row_groups=told.get("row_groups"),
                files=tuple(told.get("files", ())),
            )
        return self._facts

    def fits(self, role: str, column: str, settings: Settings) -> bool:
        """By the column's type."""
        return _type_fits(self.facts(), role, column, settings)

    def open(self, named: Roles, settings: Settings) -> Opened:
        """A handle over the files."""
        return self._open(settings.spec(named))

    def _open(self, spec: dict[str, Any]) -> Opened:
        text = json.dumps({**spec, "format": self.format, "paths": self.paths}).encode()
        return Opened(_handle(lambda out: call(lib.cjm_log_open, text, out)))


class Tables:
    """Tables in memory and streams."""

    def __init__(self, source: table_source.TableSource) -> None:
        self.source = source
        self.label = source.kind.name

    def roles_unseen(self, settings: Settings) -> Roles | None:
        """None: the columns have to be seen."""
        return None

    def facts(self) -> Facts:
        """Columns and types as Arrow has them."""
        columns = tuple(Column(name, kind) for name, kind in self.source.columns())
        return Facts(self.source.kind.name, columns, rows=self.source.rows)

    def fits(self, role: str, column: str, settings: Settings) -> bool:
        """By the column's type."""
        return _type_fits(self.facts(), role, column, settings)

    def open(self, named: Roles, settings: Settings) -> Opened:
        """A handle over a fresh stream of the needed columns."""
        roles.require(named, [name for name, _ in self.source.columns()], self.label)
        reader = self.source.reader(named.columns)
        spec = settings.spec(named) | {"resident": self.source.kind.resident}
        return Opened(from_stream(reader, spec))


class IpcFiles:
    """Arrow IPC files."""

    def __init__(self, source: file_source.IpcSource) -> None:
        self.source = source
        self.label = label_of(source.paths)

    def roles_unseen(self, settings: Settings) -> Roles | None:
        """None: the columns have to be seen."""
        return None

    def facts(self) -> Facts:
        """Columns of the first file."""
        columns = tuple(Column(column.name, str(column.type)) for column in self.source.schema())
        return Facts("arrow", columns, files=_sizes(self.source.paths))

    def fits(self, role: str, column: str, settings: Settings) -> bool:
        """By the column's type."""
        return _type_fits(self.facts(), role, column, settings)

    def open(self, named: Roles, settings: Settings) -> Opened:
        """A handle over the needed columns of all files."""
        import pyarrow as pa

        schema = self.source.schema()
        roles.require(named, schema.names, self.label)
        chosen = pa.schema([schema.field(name) for name in named.columns])
        aside = _arrow.Aside()
        reader = _arrow.guarded(chosen, aside.watch(self.source.batches(named.columns)), aside.note)
        # Every batch was validated in full on its way here.
        spec = settings.spec(named) | {"trusted": True}
        return Opened(from_stream(reader, spec, aside), aside)


class CsvFiles:
    """CSV files."""

    def __init__(self, source: CsvSource) -> None:
        self.source = source
        self.label = label_of(source.paths)

    def roles_unseen(self, settings: Settings) -> Roles | None:
        """None: the columns have to be seen."""
        return None

    def facts(self) -> Facts:
        """The header; every column is text."""
        columns = tuple(Column(name, "text") for name in self.source.columns())
        return Facts("csv", columns, files=_sizes(self.source.paths))

    def fits(self, role: str, column: str, settings: Settings) -> bool:
        """By the column's values: a timestamp has to look like one."""
        if role != "timestamp" or settings.timestamp_format or settings.timestamp_unit:
            return True
        return self.source.looks_like_time(column, settings.null_values)

    def open(self, named: Roles, settings: Settings) -> Opened:
        """A handle over the needed columns of all files."""
        self.source.require(named)
        settings, inferred, offsets = self.inferred(named, settings)
        integers = self.integers(named, settings)
        schema = self.source.schema(named, integers, settings.null_values)
        aside = _arrow.Aside()
        starts: list[int] = []
        batches = self.source.batches(schema, settings.null_values, starts, offsets)
        reader = _arrow.guarded(schema, aside.watch(batches), aside.note)
        # pyarrow has built these arrays itself and checked their text.
        spec = settings.spec(named) | {"trusted": True}
        handle = from_stream(reader, spec, aside)
        return Opened(handle, aside, lambda error: self.improve(error, inferred, starts))

    def inferred(self, named: Roles, settings: Settings) -> tuple[Settings, str | None, Offsets | None]:
        """The settings with the format, unit and zone of the times, the format if inferred, offsets to hold rows to."""
        times = [names for names in (named.timestamp, named.start_timestamp) if names]
        unit = settings.timestamp_unit
        # A unit says what integers count, and of text how fine it is held.
        if settings.timestamp_format is not None or (unit and self.source.are_integers(times, settings.null_values)):
            return settings, None, None
        inferred = self.source.timestamp_format(times, settings.null_values)
        unit = unit or self.source.finest_unit(times, settings.null_values)
        zone, offsets = settings.timezone, None
        if zone is None:
            found = self.source.offsets(times, settings.null_values)
            # Times that say their offset are instants: in a zone, so that nobody takes them for wall-clock times.
            zone = "UTC" if found.said else None
            # Other formats ask for the offset, or have no place for it.
            offsets = found if inferred == timestamp_format.ISO else None
        return replace(settings, timestamp_format=inferred, timestamp_unit=unit, timezone=zone), inferred, offsets

    @staticmethod
    def integers(named: Roles, settings: Settings) -> list[str]:
        """The columns of times that are read as integers: those without a format."""
        return [] if settings.timestamp_format else [*named.timestamp, *named.start_timestamp]

    def improve(self, error: errors.PycjmError, inferred: str | None, starts: list[int]) -> errors.PycjmError:
        """The engine counts rows over all files and knows no path: both are brought back here."""
        details = dict(error.details)
        of_data = "row" in details or error.code in (errors.InvalidData.code, errors.IoError.code)
        if "path" in details or not of_data:
            return error
        message, where = error.message, self.label
        if isinstance(row := details.get("row"), int):
            path, row = self.source.locate(row, starts)
            details |= {"path": path, "row": row}
            where = path if len(self.source.paths) == 1 else f"{path}, its row {row}"
        if inferred and details.get("role") in ("timestamp", "start_timestamp"):
            message += (
                f". The format {inferred!r} was inferred from the first values; pass timestamp_format to correct it."
            )
            details["timestamp_format"] = inferred
        return type(error)(f"{where}: {message}", details)


def _sizes(paths: list[str]) -> tuple[dict[str, Any], ...]:
    return tuple({"path": path, "bytes": os.path.getsize(path), "rows": None} for path in paths)


def _type_fits(facts: Facts, role: str, column: str, settings: Settings) -> bool:
    kind = next(found.type for found in facts.columns if found.name == column)
    return roles.type_fits(
        role,
        kind,
        text_is_time=settings.timestamp_format is not None,
        integer_is_time=settings.timestamp_unit is not None,
    )


def with_lifecycle(named: Roles, settings: Settings, columns: list[str]) -> Roles:
    """The roles with the column that ``lifecycle=`` selects by.

    Raises
    ------
    InvalidArgument
        No column has its name.
    """
    if settings.lifecycle is None:
        return named
    for name in LIFECYCLE_NAMES:
        if name in columns:
            return replace(named, lifecycle=(name,))
    names = " or ".join(repr(name) for name in LIFECYCLE_NAMES)
    raise errors.InvalidArgument(
        f"lifecycle={settings.lifecycle!r} needs a column named {names}.", {"option": "lifecycle", "columns": columns}
    )
