"""How does a log become one Parquet file in case order: what is checked, and in which steps?"""

from __future__ import annotations

import contextlib
import os
import tempfile
from typing import TYPE_CHECKING, Any

from .. import _lib, _machine, errors, export, file_source, measures, settings
from . import order, parquet, rows, runs

if TYPE_CHECKING:
    import pyarrow as pa

    from .._lib import Progress
    from ..roles import Roles

    Path = str | os.PathLike[str]

DEFAULT_MEMORY = 4 << 30
"""More would not make it faster; where the machine has less than twice as much, half of what it has."""


def check(
    source: Any,
    path: Path,
    *,
    overwrite: bool,
    compression: str,
    row_group_rows: int,
    threads: int | None,
    memory_limit: int | None,
) -> None:
    """Checks the arguments before any work.

    Parameters
    ----------
    source : object
        What was given to ``scan``.
    path : path
        Where the file shall be.
    overwrite, compression, row_group_rows, threads, memory_limit
        As for ``EventLog.sort``.

    Raises
    ------
    InvalidArgument
        Wrong, or the file exists, or it is part of the log.
    """
    details = {"path": os.fspath(path)}
    if compression not in parquet.COMPRESSIONS:
        raise errors.unknown("compression", str(compression), list(parquet.COMPRESSIONS))
    measures.check_count("row_group_rows", row_group_rows)
    for name, value in (("threads", threads), ("memory_limit", memory_limit)):
        if value is not None:
            measures.check_count(name, value)
    target = os.path.realpath(path)
    if file_source.is_path(source):
        for given in file_source.paths_of(source):
            folder = os.path.join(os.path.realpath(given), "")
            if os.path.isdir(given) and target.startswith(folder):
                raise errors.InvalidArgument(
                    f"{path} would lie in the directory that is sorted, and be part of the log from then on. Name a "
                    "place outside of it.",
                    details,
                )
    export.check_new_log(path, "a sorted log", overwrite=overwrite)


def sort(
    source: Any,
    named: Roles,
    said: settings.Settings,
    path: Path,
    *,
    overwrite: bool,
    compression: str,
    row_group_rows: int,
    threads: int | None,
    memory_limit: int | None,
    spill_dir: Path | None,
    progress: Progress | None,
) -> dict[str, Any]:
    """Writes the sorted file; the arguments were checked.

    Parameters
    ----------
    source : Source
        Of the log.
    named : Roles
        Its roles.
    said : Settings
        How its values are read.
    path, overwrite, compression, row_group_rows, threads, memory_limit, spill_dir, progress
        As for ``EventLog.sort``.

    Returns
    -------
    dict
        What was written.
    """
    facts = source.facts()
    for file in facts.files:
        with contextlib.suppress(OSError):
            if os.path.samefile(path, file["path"]):
                raise errors.InvalidArgument(
                    f"{path} is a file of the log itself. Name another one.", {"path": os.fspath(path)}
                )
    threads = threads or _machine.processors()
    budget = runs.Budget(memory_limit or _default_memory())
    report = progress or (lambda phase, done, total: None)
    with export.whole_file(path, overwrite=overwrite) as file:
        found = rows.read(source, named, said, budget.batch_rows(), threaded=threads > 1)
        _check_case(named, found.held)
        layout = parquet.layout(found.schema)
        sorted_by = _truly_sorted_by(named, said, layout.schema)
        with runs.Sorter(found, budget, os.fspath(spill_dir or tempfile.gettempdir()), threads) as sorter:
            sorter.collect(lambda done: report("reading", done, found.total))
            group_rows = budget.group_rows(sorter.row_bytes, row_group_rows)
            with parquet.Writer(file, layout, sorted_by, compression=compression, group_rows=group_rows) as writer:
                for done in writer.write(sorter.tables(group_rows)):
                    report("writing", done, sorter.n_rows)
    return {
        "path": os.fspath(path),
        "bytes": os.path.getsize(path),
        "rows": sorter.n_rows,
        "dropped_rows": found.dropped(),
        "row_groups": writer.n_groups,
        "row_group_rows": group_rows,
        "sorted_by": sorted_by,
        "runs": sorter.n_runs,
        "spilled_bytes": sorter.spilled_bytes,
    }


def _check_case(named: Roles, held: pa.Schema) -> None:
    """Checks that values of the case's columns are one case if, and only if, they are equal."""
    import pyarrow as pa

    for name in named.case if len(named.case) > 1 else ():
        kind = held.field(name).type
        order.check_type(kind, name, role="case")
        if pa.types.is_floating(kind):
            raise errors.Unsupported(
                f"case: column {name!r} is {kind}, and nothing is sorted by fractions as a part of the case. Cast it.",
                {"column": name, "type": str(kind)},
            )


def _truly_sorted_by(named: Roles, said: settings.Settings, schema: pa.Schema) -> list[str]:
    """The columns by whose stored values the rows are in order: the case, and the time where it is stored as such."""
    import pyarrow as pa

    if len(named.timestamp) > 1 or named.timestamp[0] in named.case:
        return list(named.case)
    kind = schema.field(named.timestamp[0]).type
    if pa.types.is_timestamp(kind) or pa.types.is_date(kind):
        # Wall-clock times of a zone go back by an hour once a year.
        stored = said.timezone in (None, "UTC") or getattr(kind, "tz", None) is not None
    else:
        stored = pa.types.is_integer(kind)
    return [*named.case, *named.timestamp] if stored else list(named.case)


def _default_memory() -> int:
    share = _lib.auto_memory_limit()
    if share is None:
        machine = _machine.memory_bytes()
        share = DEFAULT_MEMORY if machine is None else machine // 2
    return min(DEFAULT_MEMORY, share)
