"""Do all times of a CSV log say their offset from UTC, or none of them?

Where only some do, the others would be taken as UTC and nobody told. The head of the files decides what is expected,
every later value is held against it.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from . import errors, timestamp_format

if TYPE_CHECKING:
    import pyarrow as pa


@dataclass(frozen=True)
class Offsets:
    """What is expected of the times of a log.

    Parameters
    ----------
    columns : tuple of str
        The columns that hold them, as text in ISO 8601.
    said : bool
        Whether they say their offset.
    """

    columns: tuple[str, ...]
    said: bool

    def check(self, batch: pa.RecordBatch, path: str, rows: int) -> None:
        """Checks one batch, `rows` rows into the file.

        Raises
        ------
        InvalidData
            A time does not say its offset, or does, unlike those before it.
        """
        import pyarrow.compute as pc

        for name in self.columns:
            column = batch.column(name)
            if pc.all(self._plainly(column), min_count=0).as_py():
                continue
            for idx, value in enumerate(column.to_pylist()):
                if value is not None and timestamp_format.aware([value.strip()]) is not self.said:
                    raise mixed(name, value, said=not self.said, path=path, row=rows + idx + 1)

    def _plainly(self, column: pa.Array) -> pa.Array:
        """Which times are as expected at first sight; the others need a closer look."""
        import pyarrow.compute as pc

        if self.said:
            return pc.or_(pc.ends_with(column, "Z"), pc.match_substring_regex(column, r":\d{2}.*[+-]\d{2}:?\d{2}$"))
        signs = pc.count_substring_regex(column, "[-+Z]")
        return pc.less_equal(signs, 2)  # those of the date


def mixed(
    column: str, value: str, *, said: bool, path: str | None = None, row: int | None = None
) -> errors.InvalidData:
    """The error for a time that says its offset where the others do not, or the other way around."""
    where = "" if path is None else f"{path}: row {row}: "
    text = "says its offset from UTC, and others do not" if said else "has no offset from UTC, and others have one"
    return errors.InvalidData(
        f'{where}column {column!r}: {value!r} {text}. Pass timezone="UTC", or the zone of the times without one.',
        {"column": column, "samples": [value]} | ({} if path is None else {"path": path, "row": row}),
    )
