"""How do CSV files become a stream of the columns that a log needs?

Streaming, through pyarrow's reader: case, activity and text timestamps stay text (so ``01`` and ``1`` remain two
cases), the engine parses the times. Files are opened anew for every reading.
"""

from __future__ import annotations

import bisect
import os
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from . import csv_dialect, csv_zones, errors, roles, timestamp_format
from .csv_dialect import CsvOptions, Dialect
from .csv_reading import Reading
from .csv_zones import Offsets

if TYPE_CHECKING:
    import pyarrow as pa

SAMPLE_VALUES = 1000
"""How many values a timestamp format is inferred from."""


@dataclass
class CsvSource:
    """One or several CSV files, read one after the other.

    Parameters
    ----------
    paths : list of str
        The files, in the order of reading.
    options : CsvOptions
        What the caller said about them.
    wanted : tuple of str
        The columns that the caller named; they help to find the delimiter.
    """

    paths: list[str]
    options: CsvOptions
    wanted: tuple[str, ...] = ()
    _dialects: list[Dialect] = field(default_factory=list, repr=False)
    _seen: list[tuple[int, int]] = field(default_factory=list, repr=False)

    @property
    def dialects(self) -> list[Dialect]:
        """How each file is written. Looked at again when a file has changed, or its columns could be mistaken."""
        try:
            now = [(status.st_mtime_ns, status.st_size) for status in map(os.stat, self.paths)]
        except OSError as error:
            raise csv_dialect.io_error(str(error.filename), error) from error
        if now != self._seen:
            self._dialects = [csv_dialect.read(path, self.options, self.wanted) for path in self.paths]
            self._seen = now
        return self._dialects

    def columns(self) -> list[str]:
        """The header of the first file."""
        return self.dialects[0].columns

    def values(self, column: str, null_values: Sequence[str] = ()) -> list[str]:
        """The first values of a column over all files, without nulls."""
        nulls = {"", *null_values}
        found: list[str] = []
        for dialect in self.dialects:
            if column not in dialect.columns:
                continue
            idx = dialect.columns.index(column)
            found += [record[idx] for record in dialect.sample if idx < len(record) and record[idx] not in nulls]
        return found[:SAMPLE_VALUES]

    def timestamp_format(self, pairs: Sequence[Sequence[str]], null_values: Sequence[str]) -> str:
        """The one format of all timestamp columns; each is one column or a date and a time.

        Raises
        ------
        InvalidData
            The values do not prove a format.
        """
        singles = [names[0] for names in pairs if len(names) == 1]
        formats = set()
        try:
            for name in singles:
                # On its own first, so that a value which is no time is looked for in its own column.
                if not timestamp_format.readable(values := self.values(name, null_values)):
                    timestamp_format.infer(values, name)
            if singles:
                values = [value for name in singles for value in self.values(name, null_values)]
                formats.add(timestamp_format.infer(values, " and ".join(singles)))
            for date, time in (names for names in pairs if len(names) == 2):
                day = timestamp_format.infer_date(self.values(date, null_values), date)
                formats.add(f"{day} {timestamp_format.infer_time(self.values(time, null_values), time)}")
        except errors.InvalidData as error:
            raise self._at_its_row(error) from None
        if len(formats) > 1:
            raise errors.InvalidData(
                f"timestamp and start_timestamp are written in different formats ({', '.join(sorted(formats))}). "
                "Bring them to one format, or use one of them.",
                {"formats": sorted(formats)},
            )
        return formats.pop()

    def _at_its_row(self, error: errors.InvalidData) -> errors.InvalidData:
        """The error of an inference, with the path and the row of its first sample."""
        column, sample = error.details["column"], error.details["samples"][0]
        for dialect in self.dialects:
            if column not in dialect.columns:
                continue
            idx = dialect.columns.index(column)
            for row, record in enumerate(dialect.sample, start=1):
                if idx < len(record) and record[idx] == sample:
                    details = {**error.details, "path": dialect.path, "row": row}
                    return errors.InvalidData(f"{dialect.path}: row {row}: {error.message}", details)
        return error

    def looks_like_time(self, column: str, null_values: Sequence[str]) -> bool:
        """Whether the values of a column are timestamps, be it that day and month are not proven."""
        values = self.values(column, null_values)
        return not values or timestamp_format.readable(values)

    def are_integers(self, pairs: Sequence[Sequence[str]], null_values: Sequence[str]) -> bool:
        """Whether the sampled times are nothing but whole numbers."""
        values = (value for names in pairs for name in names for value in self.values(name, null_values))
        return all(re.fullmatch(r"\s*[+-]?\d+\s*", value) for value in values)

    def finest_unit(self, pairs: Sequence[Sequence[str]], null_values: Sequence[str]) -> str | None:
        """``"ns"`` where values have more than six digits of a second, so that none is lost."""
        values = (value for names in pairs for name in names for value in self.values(name, null_values))
        return "ns" if any(re.search(r":\d{2}[.,]\d{7}", value) for value in values) else None

    def offsets(self, pairs: Sequence[Sequence[str]], null_values: Sequence[str]) -> Offsets:
        """Whether the sampled times say their offset from UTC: all of them, or none.

        Raises
        ------
        InvalidData
            Some do and some do not.
        """
        columns = tuple(names[-1] for names in pairs)
        found = [(name, value) for name in columns for value in self.values(name, null_values)]
        said = [timestamp_format.aware([value]) for _, value in found]
        if any(said) and not all(said):
            name, value = found[said.index(False)]
            raise self._at_its_row(csv_zones.mixed(name, value, said=False))
        return Offsets(columns, any(said))

    def schema(self, named: roles.Roles, integers: Sequence[str], null_values: Sequence[str]) -> pa.Schema:
        """The Arrow schema of the stream.

        Parameters
        ----------
        named : Roles
            Which columns are needed.
        integers : sequence of str
            Those to be read as 64-bit integers.
        null_values : sequence of str
            Text that means null.
        """
        import pyarrow as pa

        kinds = dict.fromkeys(named.columns, pa.string())
        for name in named.order_by:
            # As text, 10 would come before 9. Columns with another role keep the type of that role.
            if named.columns.index(name) >= len(named.columns) - len(named.order_by) - len(named.lifecycle):
                kinds[name] = self._number_type(self.values(name, null_values))
        return pa.schema(list((kinds | dict.fromkeys(integers, pa.int64())).items()))

    @staticmethod
    def _number_type(values: Sequence[str]) -> pa.DataType:
        import pyarrow as pa

        if values and all(re.fullmatch(r"[+-]?\d{1,18}", value) for value in values):
            return pa.int64()
        if values and all(re.fullmatch(r"[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?", value) for value in values):
            return pa.float64()
        return pa.string()

    def require(self, named: roles.Roles) -> None:
        """Checks that every file has every needed column.

        Raises
        ------
        InvalidArgument
            One lacks a column, or its name occurs twice.
        """
        for dialect in self.dialects:
            roles.require(named, dialect.columns, dialect.path)

    def batches(
        self, schema: pa.Schema, nulls: Sequence[str], starts: list[int], offsets: Offsets | None = None
    ) -> Iterator[pa.RecordBatch]:
        """The needed columns of all files, batch by batch.

        Parameters
        ----------
        schema : pyarrow.Schema
            The needed columns and their types, from :meth:`schema`.
        nulls : sequence of str
            Text that means null, besides the empty field.
        starts : list of int
            Filled on the way: the number of rows before each file, for :meth:`locate`.
        offsets : Offsets, optional
            What to hold the times against.

        Raises
        ------
        InvalidData
            A record is ragged, a value does not convert, bytes do not decode, a time says its offset unlike the
            others. The path and the row are named.
        """
        rows = 0
        for dialect in self.dialects:
            starts.append(rows)
            for batch in held_to(offsets, dialect, schema, nulls):
                rows += batch.num_rows
                yield batch

    def locate(self, row: int, starts: Sequence[int]) -> tuple[str, int]:
        """The file, and the row in it, of a row counted from 1 over all files."""
        idx = max(bisect.bisect_left(starts, row) - 1, 0)
        return self.paths[idx], row - (starts[idx] if starts else 0)


def held_to(
    offsets: Offsets | None, dialect: Dialect, schema: pa.Schema, nulls: Sequence[str]
) -> Iterator[pa.RecordBatch]:
    """One file, batch by batch, its times held against what is expected of their offsets."""
    rows = 0
    for batch in Reading(dialect, schema, nulls).batches():
        if offsets is not None:
            offsets.check(batch, dialect.path, rows)
        rows += batch.num_rows
        yield batch
