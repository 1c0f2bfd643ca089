"""Where does a log of any size come from that is known in advance to the last row?

Seeded journeys, realistic in what costs an engine time: heavy-tailed case lengths and gaps, a number of edges, ties,
random-looking ids, and rows in one of three layouts. Drawn as a stream, in memory that does not grow with the log.
"""

from __future__ import annotations

import errno
import os
from collections.abc import Callable, Iterator
from contextlib import closing
from functools import cache
from typing import TYPE_CHECKING, Any

from . import _machine, errors

if TYPE_CHECKING:
    import numpy as np
    import pyarrow as pa

    from ._synth.layouts import Report

LAYOUTS = ("case", "time", "shuffled")
CASE_IDS = ("int", "string")
ROW_GROUP_ROWS = 1 << 20
BATCH_ROWS = 1 << 17

Path = str | os.PathLike[str]


def synth(
    events: int,
    *,
    layout: str = "case",
    case_id: str = "int",
    activities: int = 40,
    seed: int = 1,
    batch_rows: int = BATCH_ROWS,
    temp_dir: Path | None = None,
) -> pa.RecordBatchReader:
    """Streams a synthetic log of exactly `events` events.

    Cases have ten events on average and some thousands at most, the gaps between them two hours in the middle and
    months at most; both are log-normal. One gap in a thousand is a tie. Each activity is followed by about 12.5 others.

    Parameters
    ----------
    events : int
        Number of rows.
    layout : {"case", "time", "shuffled"}
        Rows of a case contiguous and in order; all rows in the order of time; all rows in a random order. The events
        are the same.
    case_id : {"int", "string"}
        Random-looking distinct int64 numbers, or the same as text of 17 characters.
    activities : int
        Number of distinct activities, at least 1.
    seed : int
        Same arguments and seed, same rows, on every machine. Not negative.
    batch_rows : int
        Most rows of a batch; changes only how the rows are cut.
    temp_dir : path-like, optional
        Where events wait for their place, in a private directory that is removed with the reader, should they be too
        many to wait in memory (layouts "time" and "shuffled"); by default the system's place for temporary files.

    Returns
    -------
    pyarrow.RecordBatchReader
        Columns ``case_id``, ``activity`` (utf8), ``timestamp`` (timestamp[us, UTC]) and ``channel`` (utf8), without
        nulls.

    Raises
    ------
    InvalidArgument
        A value is not among the accepted ones.

    Notes
    -----
    Time O(n). Memory does not grow with `events`: 200 to 400 MB with two processors. On disk, the layout "shuffled"
    needs 20 bytes per event, and "time" as much for the events of the cases that are open at a time, one or two in a
    hundred.

    Examples
    --------
    >>> import pycjm
    >>> log = pycjm.synth(1_000, layout="time", seed=7)
    >>> pycjm.scan(log).mine("overview")["overview"].to_pyarrow()["events"][0].as_py()
    1000
    """
    import pyarrow as pa

    _check(events, layout, case_id, activities, seed, batch_rows)
    schema = _schema(case_id, dictionaries=False)
    pieces = _batches(events, layout, case_id, activities, seed, batch_rows, temp_dir, dictionaries=False)
    return pa.RecordBatchReader.from_batches(schema, pieces)


def write_synth(
    path: Path,
    events: int,
    *,
    layout: str = "case",
    case_id: str = "int",
    activities: int = 40,
    seed: int = 1,
    temp_dir: Path | None = None,
    overwrite: bool = False,
    progress: Callable[[str, int, int | None], object] | None = None,
) -> int:
    """Writes a synthetic log to a Parquet file, which appears whole or not at all.

    Parameters
    ----------
    path : path-like
        The file. Its columns are compressed with zstd, in row groups of at most 1,048,576 rows.
    events, layout, case_id, activities, seed
        As in :func:`synth`.
    temp_dir : path-like, optional
        As in :func:`synth`; by default the directory of `path`.
    overwrite : bool
        Replace a file that is there.
    progress : callable, optional
        ``progress(phase, rows_done, rows_total)``. Raising in it stops the writing.

    Returns
    -------
    int
        The size of the file in bytes.

    Raises
    ------
    InvalidArgument
        A value is not among the accepted ones, or the file exists.
    IoError
        The system refused; nothing was changed.

    Examples
    --------
    >>> import pycjm, tempfile, os
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     path = os.path.join(folder, "log.parquet")
    ...     size = pycjm.write_synth(path, 1_000)
    ...     pycjm.scan(path).describe().rows
    1000
    """
    import pyarrow as pa
    import pyarrow.parquet as pq

    from . import export

    _check(events, layout, case_id, activities, seed, 1)
    export.check_new_log(path, "a synthetic log", overwrite=overwrite)
    schema = _schema(case_id, dictionaries=True)
    temp_dir = temp_dir or os.path.dirname(os.path.realpath(path))
    pieces = _batches(
        events, layout, case_id, activities, seed, BATCH_ROWS, temp_dir, dictionaries=True, report=progress
    )
    done = 0
    with export.whole_file(path, overwrite=overwrite) as file, closing(pieces):
        # Without the Arrow schema the file says plainly that activities are text, however they were when written.
        options = {"compression": "zstd", "use_dictionary": ["activity", "channel"], "store_schema": False}
        with pq.ParquetWriter(file, schema, **options) as writer:
            for group in _row_groups(pieces):
                writer.write_table(pa.Table.from_batches(group, schema), row_group_size=ROW_GROUP_ROWS)
                done += sum(batch.num_rows for batch in group)
                if progress is not None:
                    progress("writing", done, events)
                del group
    return os.path.getsize(path)


def _check(events: int, layout: str, case_id: str, activities: int, seed: int, batch_rows: int) -> None:
    least = {"events": (events, 0), "activities": (activities, 1), "seed": (seed, 0), "batch_rows": (batch_rows, 1)}
    for name, (given, low) in least.items():
        if isinstance(given, bool) or not hasattr(given, "__index__") or given < low:
            message = f"{name} is a whole number of at least {low}, not {given!r}."
            raise errors.InvalidArgument(message, {"option": name})
    for name, given, known in (("layout", layout, LAYOUTS), ("case_id", case_id, CASE_IDS)):
        if given not in known:
            raise errors.unknown(name, str(given), list(known), {"option": name})
    if activities > 1 << 24:
        message = f"activities is a whole number of at most {1 << 24}, not {activities}."
        raise errors.InvalidArgument(message, {"option": "activities"})


def _schema(case_id: str, *, dictionaries: bool) -> pa.Schema:
    import pyarrow as pa

    def text(index: pa.DataType) -> pa.DataType:
        return pa.dictionary(index, pa.utf8()) if dictionaries else pa.utf8()

    return pa.schema(
        [
            pa.field("case_id", {"int": pa.int64(), "string": pa.utf8()}[case_id], nullable=False),
            pa.field("activity", text(pa.int32()), nullable=False),
            pa.field("timestamp", pa.timestamp("us", "UTC"), nullable=False),
            pa.field("channel", text(pa.int8()), nullable=False),
        ]
    )


def _batches(
    events: int,
    layout: str,
    case_id: str,
    activities: int,
    seed: int,
    batch_rows: int,
    temp_dir: Path | None,
    *,
    dictionaries: bool,
    report: Report | None = None,
) -> Iterator[pa.RecordBatch]:
    from concurrent.futures import ThreadPoolExecutor

    import pyarrow as pa

    from ._synth import blocks, model
    from ._synth.layouts import layouts

    schema = _schema(case_id, dictionaries=dictionaries)
    names, channel_of = model.alphabet(activities)
    labels, channels = pa.array(names), pa.array(model.CHANNELS)

    def text(codes: np.ndarray, values: pa.Array) -> pa.Array:
        if dictionaries:
            return pa.DictionaryArray.from_arrays(pa.array(codes), values, safe=False)
        return values.take(pa.array(codes))

    def finish(piece: np.ndarray) -> pa.RecordBatch:
        codes = piece["activity"].copy()
        ids, times = piece["case"].copy(), piece["time_us"].copy()
        columns = [
            pa.array(ids) if case_id == "int" else _text_ids(ids),
            text(codes, labels),
            pa.Array.from_buffers(schema.field("timestamp").type, len(times), [None, pa.py_buffer(times)]),
            text(channel_of[codes], channels),
        ]
        return pa.record_batch(columns, schema=schema)

    pool = ThreadPoolExecutor(_threads(), thread_name_prefix="pycjm-synth")
    try:
        planned = blocks.plan(events, activities, seed)
        directory = os.fspath(temp_dir) if temp_dir is not None else None
        with closing(layouts(layout, directory, report)(planned, pool, finish)) as made:
            for batch in made:
                for start in range(0, batch.num_rows, batch_rows):
                    yield batch.slice(start, batch_rows)
                del batch
    except OSError as error:
        raise _io_error(error) from error
    finally:
        pool.shutdown(cancel_futures=True)


def _threads() -> int:
    """As many as this process may use, and no more than help: a single thread puts the pieces together."""
    return min(_machine.processors(), 8)


def _row_groups(batches: Iterator[pa.RecordBatch]) -> Iterator[list[pa.RecordBatch]]:
    """Batches of together exactly as many rows as a row group has; the last ones may have fewer."""
    group: list[pa.RecordBatch] = []
    room = ROW_GROUP_ROWS
    for batch in batches:
        while batch.num_rows >= room:
            group.append(batch.slice(0, room))
            batch = batch.slice(room)
            yield group
            group, room = [], ROW_GROUP_ROWS
        if batch.num_rows:
            group.append(batch)
            room -= batch.num_rows
    if group:
        yield group


def _text_ids(ids: np.ndarray) -> pa.Array:
    """Ids as ``J`` and 16 hexadecimal digits, written straight into an Arrow buffer."""
    import numpy as np
    import pyarrow as pa

    width = 17
    text = np.full((len(ids), width), ord("J"), np.uint8)
    # Big-endian, so that the digits are in the order in which numbers are written.
    quarters = ids.astype(">u8").view(">u2").astype(np.uint16)
    text[:, 1:] = _hexadecimal()[quarters].view(np.uint8).reshape(len(ids), 16)
    offsets = np.arange(0, width * (len(ids) + 1), width, dtype=np.int32)
    return pa.StringArray.from_buffers(len(ids), pa.py_buffer(offsets), pa.py_buffer(text))


@cache
def _hexadecimal() -> np.ndarray:
    """The four digits of every number of 16 bits, as one number of 32 bits whose bytes they are."""
    import numpy as np

    digits = np.frombuffer(b"0123456789ABCDEF", np.uint8)
    numbers = np.arange(1 << 16)
    return np.stack([digits[(numbers >> shift) & 15] for shift in (12, 8, 4, 0)], axis=1).view(np.uint32).ravel()


def _io_error(error: OSError) -> errors.PycjmError:
    if isinstance(error, errors.PycjmError):
        return error
    details: dict[str, Any] = {"path": error.filename, "errno": error.errno}
    if error.errno in (errno.ENOSPC, errno.EDQUOT):
        details["disk_full"] = True
        remedy = "the disk is full. Free some space, or name another place with temp_dir=."
    else:
        remedy = f"{error.strerror or error}. Another place can be named with temp_dir=."
    where = f" {error.filename}" if error.filename else ""
    return errors.IoError(f"cannot use the temporary file{where}: {remedy}", details)
