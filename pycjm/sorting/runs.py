"""How are more rows sorted than fit into memory?

Rows are collected until they fill their share of memory, sorted, and put aside as a *run*. Of every block of a run its
first row is kept in memory. The blocks of all runs are then loaded in the order of these first rows: whatever stands
before the first row of the next block is complete, since every row that is not loaded yet stands behind it. So each
block is read once, one block per run is held on top of those being merged, and it does not matter how the rows are
spread over cases: one case may be larger than memory.

The runs lie in one Arrow IPC file that has no name in the file system, so that nothing is left of it, whatever ends
the process.
"""

from __future__ import annotations

import itertools
import tempfile
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, BinaryIO, TypeVar

from .. import errors, export
from .._human import size
from . import order

if TYPE_CHECKING:
    import numpy as np
    import pyarrow as pa

    from .rows import Rows

Item = TypeVar("Item")

RUN_BYTES = 1 << 30
"""The most that a run holds: columns of 2 GiB would not fit into arrays of text, and larger gathers miss all caches."""
BLOCK_ROWS = 1 << 13
"""The most rows of a block."""
MERGED_ROWS = 1 << 20
"""How many rows are merged at once, where the memory allows it and the runs are not too many."""


_COPIES = 2.5
"""What is sorted is held twice, and some columns of it once more."""
_ROW_BYTES = 64
"""What ranks and positions take per row."""


@dataclass(frozen=True)
class Budget:
    """Which share of the memory does each step get?

    Attributes
    ----------
    limit : int
        Bytes in all. What the source's own reader holds is not in it.
    """

    limit: int

    def batch_rows(self) -> int:
        """How many rows to read at once, before their size is known."""
        return min(max(self.limit >> 14, 256), 1 << 15)

    def run_room(self, rows: int, n_bytes: int, row_bytes: float, *, first: bool) -> int:
        """How many rows a run still takes that holds so many; while one is read, the one before is being sorted."""
        room = ((0.6 if first else 0.3) * self.limit - rows * _ROW_BYTES - n_bytes * _COPIES) / (
            row_bytes * _COPIES + _ROW_BYTES
        )
        return max(int(min(room, (RUN_BYTES - n_bytes) / row_bytes)), 0 if rows else 1)

    def merged_room(self, rows: int, n_bytes: int) -> bool:
        """Whether what is to be merged may still grow."""
        return n_bytes < RUN_BYTES and rows * _ROW_BYTES + n_bytes * _COPIES < 0.5 * self.limit

    def merged_rows(self, row_bytes: float) -> int:
        """The most rows that are merged at once."""
        return max(min(int(0.5 * self.limit / (row_bytes * _COPIES + _ROW_BYTES)), int(RUN_BYTES / row_bytes)), 2)

    def block_rows(self, row_bytes: float) -> int:
        """The rows of a block: so few that hundreds of runs can be merged."""
        return max(min(self.merged_rows(row_bytes) >> 10, BLOCK_ROWS), 8)

    def group_rows(self, row_bytes: float, wanted: int) -> int:
        """The rows of a row group: as `wanted`, halved until the group takes no more than its share."""
        while wanted > 1 and wanted * row_bytes > 0.1 * self.limit:
            wanted //= 2
        return wanted


class Sorter:
    """Sorts rows; a context manager that ends what runs in the background and gives the disk's space back.

    Parameters
    ----------
    rows : Rows
        What to sort.
    budget : Budget
        How much memory to use.
    spill_dir : str
        Where runs are put aside.
    threads : int
        How many columns are reordered side by side.
    """

    def __init__(self, rows: Rows, budget: Budget, spill_dir: str, threads: int) -> None:
        self.rows = rows
        self.budget = budget
        self.spill_dir = spill_dir
        self.n_rows = 0
        self.n_bytes = 0
        self.n_runs = 0
        self.spilled_bytes = 0
        self._columns = ThreadPoolExecutor(threads, "pycjm-columns")
        self._background = ThreadPoolExecutor(1, "pycjm-sort")
        self._last: list[pa.RecordBatch] = []
        self._file: BinaryIO | None = None
        self._writer: Any = None
        self._block_rows = 0
        self._firsts: list[pa.Table] = []
        self._runs_of_blocks: list[int] = []
        self._stopped = False

    def __enter__(self) -> Sorter:
        return self

    def __exit__(self, *raised: object) -> None:
        self._stopped = True
        self._background.shutdown(cancel_futures=True)
        self._columns.shutdown(cancel_futures=True)
        if self._file is not None:
            self._file.close()

    @property
    def row_bytes(self) -> float:
        """The size of a row in memory, on average."""
        return max(self.n_bytes / max(self.n_rows, 1), 1.0)

    def collect(self, progress: Callable[[int], object]) -> None:
        """Reads all rows; whatever does not fit into one run is put aside.

        Parameters
        ----------
        progress : callable
            Called with the number of rows so far.
        """
        pending: Future[None] | None = None
        held: list[pa.RecordBatch] = []
        held_rows = held_bytes = 0
        for batch in self.rows.batches:
            progress(self.n_rows)
            row_bytes = max(batch.nbytes / max(batch.num_rows, 1), 1.0)
            while batch.num_rows:
                part = batch.slice(0, self.budget.run_room(held_rows, held_bytes, row_bytes, first=self.n_runs == 0))
                if part.num_rows:
                    held.append(part)
                    held_rows += part.num_rows
                    held_bytes += part.nbytes
                    self.n_rows += part.num_rows
                    self.n_bytes += part.nbytes
                batch = batch.slice(part.num_rows)
                if batch.num_rows:
                    if pending is not None:
                        pending.result()
                    self._begin_run()
                    pending = self._background.submit(self._put_aside, held)
                    held, held_rows, held_bytes = [], 0, 0
        progress(self.n_rows)
        if pending is not None:
            pending.result()
        if self._writer is not None and held:
            self._begin_run()
            self._background.submit(self._put_aside, held).result()
            held = []
        self._last = held
        if self._writer is not None:
            with export.explained(self.spill_dir):
                self._writer.close()

    def tables(self, slice_rows: int) -> Iterator[pa.Table]:
        """All rows in order, `slice_rows` or less at a time; the next ones are made while these are used."""
        made = self._merged() if self._writer is not None else self._sorted(self._last, slice_rows)
        end: Any = object()
        future = self._background.submit(next, made, end)
        while (table := future.result()) is not end:
            future = self._background.submit(next, made, end)
            yield table
            del table

    # ---- runs ----

    def _begin_run(self) -> None:
        """Makes the file at the first run, and checks that there are not too many."""
        import pyarrow as pa

        if self._file is None:
            self._block_rows = self.budget.block_rows(self.row_bytes)
            with export.explained(self.spill_dir):
                self._file = tempfile.TemporaryFile(prefix="pycjm-sort-", dir=self.spill_dir)  # noqa: SIM115
            options = pa.ipc.IpcWriteOptions(compression="lz4")
            self._writer = pa.ipc.new_file(self._file, self.rows.held, options=options)
        self.n_runs += 1
        mergeable = self.budget.merged_rows(self.row_bytes) // (2 * self._block_rows)
        if self.n_runs > max(mergeable, 1):
            # Twice the memory makes half as many runs. Where the number of rows is not known, twice as many may come.
            more = max(self.rows.total / self.n_rows, 1.0) if self.rows.total else 2.0
            need = int(self.budget.limit * more * 1.1)
            raise errors.MemoryLimit(
                f"sorting: {self.n_rows:,} rows have become {self.n_runs} runs already, and "
                f"{size(self.budget.limit)} do not suffice to merge more. "
                f"Allow at least {size(need)}: memory_limit=...",
                {"step": "sorting", "limit_bytes": self.budget.limit, "needed_bytes": need},
            )

    def _put_aside(self, batches: list[pa.RecordBatch]) -> None:
        """Sorts a run and writes it as blocks."""
        import pyarrow as pa

        run = self.n_runs - 1
        for table in self._sorted(batches, None):
            starts = pa.array(range(0, table.num_rows, self._block_rows))
            self._firsts.append(table.select(self.rows.keys).take(starts))
            self._runs_of_blocks += [run] * len(starts)
            with export.explained(self.spill_dir):
                for block in table.to_batches(self._block_rows):
                    self._check()
                    self._writer.write_batch(block)
                self.spilled_bytes = self._file.tell() if self._file else 0

    def _sorted(self, batches: list[pa.RecordBatch], slice_rows: int | None) -> Iterator[pa.Table]:
        """The rows of some batches in order; the batches are forgotten on the way."""
        if not batches:
            return
        columns = self._combined(batches)
        at = order.positions([columns[key] for key in self.rows.keys])
        step = slice_rows or len(at)
        for start in range(0, len(at), step):
            yield self._taken(columns, at[start : start + step])

    def _combined(self, batches: list[pa.RecordBatch]) -> list[pa.Array]:
        """Each column in one piece. Empties the list, so that a column's pieces can go as soon as it is whole."""
        import pyarrow as pa

        columns = [list(pieces) for pieces in zip(*(batch.columns for batch in batches), strict=True)]
        batches.clear()

        def combine(pieces: list[pa.Array]) -> pa.Array:
            self._check()
            whole = pieces[0] if len(pieces) == 1 else pa.concat_arrays(pieces)
            pieces.clear()
            return whole

        return list(self._columns.map(combine, columns))

    def _taken(self, columns: Sequence[pa.Array], at: np.ndarray) -> pa.Table:
        import pyarrow as pa

        def take(column: pa.Array) -> pa.Array:
            self._check()
            return column.take(pa.array(at))

        return pa.Table.from_arrays(list(self._columns.map(take, columns)), schema=self.rows.held)

    def _check(self) -> None:
        if self._stopped:
            raise errors.Cancelled("the sorting was cancelled")

    # ---- merging ----

    def _merged(self) -> Iterator[pa.Table]:
        import numpy as np
        import pyarrow as pa

        firsts = pa.concat_tables(self._firsts).combine_chunks().to_batches()[0]
        self._firsts.clear()
        sequence = order.positions(firsts.columns)
        with export.explained(self.spill_dir):
            assert self._file is not None
            self._file.seek(0)
            reader = pa.ipc.open_file(self._file)
        wanted = max(MERGED_ROWS, 4 * self.n_runs * self._block_rows)
        loaded: list[list[pa.RecordBatch]] = [[] for _ in range(self.n_runs)]
        done = 0
        while done < len(sequence):
            rows = sum(batch.num_rows for batch in itertools.chain.from_iterable(loaded))
            n_bytes = sum(batch.nbytes for batch in itertools.chain.from_iterable(loaded))
            begun = done
            while done < len(sequence) and (
                done == begun or (rows < wanted and self.budget.merged_room(rows, n_bytes))
            ):
                self._check()
                block = int(sequence[done])
                with export.explained(self.spill_dir):
                    batch = reader.get_batch(block)
                loaded[self._runs_of_blocks[block]].append(batch)
                rows += batch.num_rows
                n_bytes += batch.nbytes
                done += 1
            batches = list(itertools.chain.from_iterable(loaded))
            if done == len(sequence):
                loaded = []
                at = self._merged_positions(batches, None, 0)
            else:
                following = int(sequence[done])
                run = self._runs_of_blocks[following]
                before = sum(batch.num_rows for batch in itertools.chain.from_iterable(loaded[: run + 1]))
                at = self._merged_positions(batches, firsts.slice(following, 1), before)
                loaded = self._left(loaded, np.sort(at))
            if len(at):
                yield self._taken(self._combined(batches), at)

    def _merged_positions(self, batches: list[pa.RecordBatch], limit: pa.RecordBatch | None, before: int) -> np.ndarray:
        """The positions in order of all rows that stand before `limit`, the first row of the next block.

        Rows lie run after run, and each run is sorted, so that equal rows are in the order of the log. `limit` is put
        in behind the `before` rows that came before it in the log, should they be equal.
        """
        import numpy as np
        import pyarrow as pa

        keys = []
        for number, key in enumerate(self.rows.keys):
            pieces = [batch.column(key) for batch in batches]
            if limit is not None:
                whole = pa.concat_arrays(pieces)
                pieces = [whole.slice(0, before), limit.column(number), whole.slice(before)]
            keys.append(pa.concat_arrays(pieces))
        at = order.positions(keys)
        if limit is None:
            return at
        at = at[: int(np.flatnonzero(at == before)[0])]
        return at - (at > before)

    @staticmethod
    def _left(loaded: list[list[pa.RecordBatch]], gone: np.ndarray) -> list[list[pa.RecordBatch]]:
        """What remains of each run. Since runs are sorted, what went was its beginning."""
        import numpy as np

        left, start = [], 0
        for batches in loaded:
            kept = []
            for batch in batches:
                n_gone = int(np.searchsorted(gone, start + batch.num_rows) - np.searchsorted(gone, start))
                start += batch.num_rows
                if n_gone < batch.num_rows:
                    kept.append(batch.slice(n_gone))
            left.append(kept)
        return left
