"""How does a user name a log, look at it and mine it?

``scan`` only notes what was said. Files are opened by the first call that needs them, and anew by every further one.
"""

from __future__ import annotations

import functools
import importlib
import logging
import os
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from . import backends, errors, measures, settings, source, states
from . import roles as _roles
from ._lib import in_worker, logger
from .result import MiningResult
from .roles import Roles
from .settings import Names
from .source import Column, Opened
from .table import Table

if TYPE_CHECKING:
    import pyarrow as pa

    from ._lib import Progress
    from .case_metric import CaseMetric
    from .measures import Measure


@dataclass(frozen=True)
class LogDescription:
    """What is known of a log without mining it.

    Attributes
    ----------
    source : str
        The path, or the kind of table.
    format : str
        ``parquet``, ``xes``, ``csv``, ``arrow``, or the kind of table.
    columns : tuple of Column
        ``name`` and ``type`` of every column.
    rows, row_groups : int or None
        None where only a reading would tell.
    files : tuple of dict
        ``path``, ``bytes`` and ``rows`` of each file.
    roles : Roles or None
        Which column is what; None where it cannot be told.
    guessed : tuple of str
        The roles that were guessed from names.
    problem : str or None
        Why the roles cannot be told.
    """

    source: str
    format: str
    columns: tuple[Column, ...]
    rows: int | None
    row_groups: int | None
    files: tuple[dict[str, Any], ...]
    roles: Roles | None
    guessed: tuple[str, ...]
    problem: str | None

    def __repr__(self) -> str:
        width = max((len(column.name) for column in self.columns), default=0)
        rows = "rows not known before reading" if self.rows is None else f"{self.rows:,} rows"
        lines = [f"{self.source}: {self.format}, {rows}, {len(self.columns)} columns"]
        lines += [f"  {column.name.ljust(width)}  {column.type}" for column in self.columns]
        lines.append(f"roles: {self.roles}" if self.roles else f"roles: {self.problem}")
        return "\n".join(lines)


def scan(
    source: Any,
    *,
    case: Names = None,
    activity: Names = None,
    timestamp: Names = None,
    start_timestamp: Names = None,
    order_by: Names = (),
    timestamp_format: str | None = None,
    timestamp_unit: str | None = None,
    timezone: str | None = None,
    delimiter: str | None = None,
    quote: str | None = None,
    encoding: str | None = None,
    lifecycle: str | None = None,
    null_values: Names = (),
    on_null: str = "error",
    joiner: str = "+",
    negative: str = "keep",
) -> EventLog:
    """Names an event log. Nothing is read yet.

    Parameters
    ----------
    source : path, list of paths, or table
        Parquet, XES, CSV and Arrow IPC: files, directories, patterns; or anything with ``__arrow_c_stream__``: pyarrow,
        polars and pandas tables, a duckdb relation, a ``pyarrow.dataset``. A reader can be mined once only.
    case, activity : str or list of str, optional
        Column, or columns that are joined. Guessed from common names if left out, where the guess is unique.
    timestamp : str or pair of str, optional
        Column, or a (date, time) pair. Guessed like the others.
    start_timestamp : str or pair of str, optional
        When an event began; ``timestamp`` is then its end.
    order_by : str or list of str
        Columns that order events of the same time; the position in the log decides last.
    timestamp_format : str, optional
        How text is to be read: ``"iso8601"`` or a format like ``"%d.%m.%Y %H:%M"``. Inferred for CSV files.
    timestamp_unit : {"s", "ms", "us", "ns"}, optional
        The unit of integers since 1970 UTC; with a format, the unit to hold.
    timezone : str, optional
        The zone of times without one, such as ``"Europe/Berlin"``. They are taken as UTC otherwise.
    delimiter, quote, encoding : str, optional
        Of CSV files; inferred otherwise. ``quote=""`` gives quotes no meaning.
    lifecycle : str, optional
        Keep events of this lifecycle transition only, in any letter case, such as ``"complete"``.
    null_values : str or list of str
        Text that means null in the columns used.
    on_null : {"error", "drop"}
        What a null in case, activity or timestamp does.
    joiner : str
        Between the parts of a case or an activity of several columns.
    negative : {"keep", "zero", "error"}
        With `start_timestamp`: what a negative gap becomes.

    Returns
    -------
    EventLog

    Raises
    ------
    InvalidArgument
        An argument is wrong in itself. What needs the file is checked when it is opened.

    Examples
    --------
    >>> import pyarrow as pa, pycjm
    >>> table = pa.table({
    ...     "customer": ["A", "A", "B"],
    ...     "touchpoint": ["search", "buy", "search"],
    ...     "at": pa.array([0, 60, 30], pa.timestamp("s")),
    ... })
    >>> log = pycjm.scan(table, timestamp="at")
    >>> log.mine("dfg")["dfg"].to_pyarrow().select(["source", "target", "count", "mean_s"]).to_pylist()
    [{'source': 'search', 'target': 'buy', 'count': 1, 'mean_s': 60.0}]
    >>> log.guessed
    ('case', 'activity')
    """
    checked = settings.check(
        case=case,
        activity=activity,
        timestamp=timestamp,
        start_timestamp=start_timestamp,
        order_by=order_by,
        timestamp_format=timestamp_format,
        timestamp_unit=timestamp_unit,
        timezone=timezone,
        delimiter=delimiter,
        quote=quote,
        encoding=encoding,
        lifecycle=lifecycle,
        null_values=null_values,
        on_null=on_null,
        joiner=joiner,
        negative=negative,
    )
    return EventLog(source, checked)


class EventLog:
    """An event log that can be looked at and mined. Made by :func:`scan`."""

    def __init__(self, scanned: Any, checked: settings.Settings) -> None:
        source.check_early(scanned, checked)
        self._scanned = scanned
        self._settings = checked

    @functools.cached_property
    def _source(self) -> source.Source:
        return source.find(self._scanned, self._settings)

    @functools.cached_property
    def roles(self) -> Roles:
        """Which column is what; those left out are guessed here.

        Raises
        ------
        InvalidArgument
            A guess is not unique, or a column is not there.
        """
        unseen = self._source.roles_unseen(self._settings)
        if unseen is not None:
            return unseen
        facts = self._source.facts()
        columns = [column.name for column in facts.columns]
        _roles.require(self._settings.roles, columns, self._source.label)
        named = source.with_lifecycle(self._settings.roles, self._settings, columns)
        kinds = {column.name: column.type for column in facts.columns}
        return _roles.resolve(named, kinds, lambda role, name: self._source.fits(role, name, self._settings))

    @property
    def guessed(self) -> tuple[str, ...]:
        """The names of the roles that were guessed from column names."""
        return self.roles.guessed

    def describe(self) -> LogDescription:
        """Columns, sizes and roles. Reads no events.

        Returns
        -------
        LogDescription
            With ``roles`` None and a ``problem`` where they cannot be told.

        Examples
        --------
        >>> import pycjm
        >>> print(pycjm.sample().describe().roles)
        case=journey_id, activity=touchpoint, timestamp=timestamp
        """
        facts = self._source.facts()
        found, problem = None, None
        try:
            found = self.roles
        except errors.InvalidArgument as error:
            problem = error.message
        return LogDescription(
            source=self._source.label,
            format=facts.format,
            columns=facts.columns,
            rows=facts.rows,
            row_groups=facts.row_groups,
            files=facts.files,
            roles=found,
            guessed=found.guessed if found else (),
            problem=problem,
        )

    def events(self) -> pa.RecordBatchReader:
        """The events as the measures see them, in the order of the log.

        Returns
        -------
        pyarrow.RecordBatchReader
            ``case``, ``activity``, ``timestamp``, ``start_timestamp`` if there is one, and ``order_0``, ... for each
            column of `order_by`; after joining, units, zones, lifecycle and nulls.

        Examples
        --------
        >>> import pycjm
        >>> pycjm.sample().events().schema.names
        ['case', 'activity', 'timestamp']
        """
        return self._open().events()

    def __arrow_c_stream__(self, requested_schema: object | None = None) -> object:
        """The normalised events as an Arrow C stream in a PyCapsule."""
        return self.events().__arrow_c_stream__(requested_schema)

    def mine(
        self,
        *asked: str | Measure | CaseMetric,
        percentiles: Sequence[float] = measures.DEFAULT_PERCENTILES,
        approx: float | None = None,
        threads: int | None = None,
        backend: str = "native",
        progress: Progress | None = None,
        top: int | None = None,
        memory_limit: int | str | None = None,
        spill_dir: str | os.PathLike[str] | None = None,
        spill_limit: int | None = None,
        state: bool | str | os.PathLike[str] = False,
        state_ids: bool = True,
    ) -> MiningResult:
        """Computes measures in one pass over the log.

        Parameters
        ----------
        *asked : str, Measure or CaseMetric
            Names, objects of :mod:`pycjm.measures`, or functions made with :func:`pycjm.case_metric`. None at all
            means all but ``cases``.
        percentiles : sequence of float
            For measures that name none themselves; in [0, 100].
        approx : float, optional
            Percentiles of times off by at most this share (0.01 is one percent), each with a lower and an upper bound
            in columns of their own, in memory that does not grow with the log. None gives exact ones.
        threads : int, optional
            None takes as many as the machine has. The result does not depend on it.
        backend : {"native", "numba", "reference"}
            All give the same values; see :mod:`pycjm.backends`.
        progress : callable, optional
            ``progress(phase, rows_done, rows_total)`` in this thread; ``rows_total`` is None while unknown. One that
            takes ``**details`` is told more, such as ``parts_done`` of ``parts_total``. Raising in it stops the run.
        top : int, optional
            Keep the first rows of ``variants`` only.
        memory_limit : int or "none", optional
            Bytes that the run may hold (native backend); by default half of what the machine has, or the container.
            What does not fit waits on disk. With ``"none"`` everything is held, whatever there is.
        spill_dir : path, optional
            Where to; by default the system's directory for temporary files.
        spill_limit : int, optional
            The most bytes that may be put aside.
        state : bool or path
            Keep what :func:`pycjm.merge` needs to answer as if this and other logs had been mined together (native
            backend): as ``state`` of the result, and in a file if a path is given, which is replaced in one step.
        state_ids : bool
            Keep the ids of cases in the state, so that no case is counted twice.

        Returns
        -------
        MiningResult

        Raises
        ------
        InvalidArgument
            An unknown measure or option, or roles that cannot be told.
        InvalidData
            The log breaks a rule; column and row are named.
        IoError, MemoryLimit, Unsupported, CallbackError
            As their names say.
        KeyboardInterrupt
            Ctrl-C; within 200 ms, and nothing is left behind.

        Examples
        --------
        >>> import pycjm
        >>> result = pycjm.sample().mine("durations", percentiles=[50, 99.9])
        >>> result["durations"].columns
        ['n', 'mean_s', 'min_s', 'max_s', 'std_s', 'p50_s', 'p99_9_s']
        """
        plan, case_metrics = measures.build_plan(asked, percentiles, top, approx)
        space = {"memory_limit": memory_limit, "spill_dir": spill_dir, "spill_limit": spill_limit}
        self._check_run(backend, threads, space, case_metrics)
        states.check(state, backend)
        if state is not False:
            plan["state"] = {"case_ids": bool(state_ids)}
        self._log(plan, backend)
        if backend == "native":
            return states.kept(self._mine_native(plan, case_metrics, threads, space, progress), state)
        return self._mine_in_python(plan, case_metrics, backend, threads, progress)

    def sort(
        self,
        path: str | os.PathLike[str],
        *,
        overwrite: bool = False,
        compression: str = "zstd",
        row_group_rows: int = 262_144,
        threads: int | None = None,
        memory_limit: int | None = None,
        spill_dir: str | os.PathLike[str] | None = None,
        progress: Progress | None = None,
    ) -> dict[str, Any]:
        """Writes the log in case order as one Parquet file, which is mined by a mere scan.

        All columns are kept. The rows of a case stand together, in the order in which they are mined; cases are in
        ascending order. The file says so in its metadata. Only the rows that are mined are written.

        Parameters
        ----------
        path : path
            The file, ending in ``.parquet``. It appears whole or not at all.
        overwrite : bool
            Replace a file that is there.
        compression : {"zstd", "snappy", "gzip", "lz4", "none"}
            Of the file.
        row_group_rows : int
            The rows of a row group; fewer where the memory limit asks for it.
        threads : int, optional
            None takes as many as the machine has. The file does not depend on it.
        memory_limit : int, optional
            Bytes to be held, besides what reading the source takes; by default 4 GiB or half of the machine's or
            container's memory, whichever is less. A log that needs more is sorted in parts that are put aside.
        spill_dir : path, optional
            Where the parts are put aside; by default the system's directory for temporary files. They need about as
            much space as the log, and have no name in it.
        progress : callable, optional
            ``progress(phase, rows_done, rows_total)``, as for :meth:`mine`.

        Returns
        -------
        dict
            ``path``, ``bytes``, ``rows``, ``dropped_rows`` per role, ``row_groups``, ``row_group_rows``, ``sorted_by``
            (the columns that the file says it is sorted by), ``runs`` and ``spilled_bytes`` (what was put aside).

        Raises
        ------
        InvalidArgument
            The file exists, or is part of the log; or roles cannot be told.
        InvalidData
            The log breaks a rule; column and row are named.
        IoError, MemoryLimit, Unsupported
            As their names say. Nothing is left behind.

        Examples
        --------
        >>> import pathlib, pycjm, tempfile
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     written = pycjm.sample().sort(pathlib.Path(folder, "sorted.parquet"))
        >>> written["rows"], written["sorted_by"]
        (3550, ['journey_id', 'timestamp'])
        """
        from .sorting import sort

        sort.check(
            self._scanned,
            path,
            overwrite=overwrite,
            compression=compression,
            row_group_rows=row_group_rows,
            threads=threads,
            memory_limit=memory_limit,
        )
        return sort.sort(
            self._source,
            self.roles,
            self._settings,
            path,
            overwrite=overwrite,
            compression=compression,
            row_group_rows=row_group_rows,
            threads=threads,
            memory_limit=memory_limit,
            spill_dir=spill_dir,
            progress=progress,
        )

    def _check_run(self, backend: str, threads: Any, space: dict[str, Any], case_metrics: list[CaseMetric]) -> None:
        if backend not in backends.NAMES:
            raise errors.unknown("backend", str(backend), list(backends.NAMES))
        if threads is not None:
            measures.check_count("threads", threads)
        for option, value in space.items():
            if value is None or (option, value) == ("memory_limit", measures.NO_LIMIT):
                continue
            if option != "spill_dir":
                measures.check_bytes(option, value)
            if space["memory_limit"] == measures.NO_LIMIT:
                raise errors.InvalidArgument(
                    f"nothing is put aside with memory_limit={measures.NO_LIMIT!r}: leave out {option}.",
                    {"option": option},
                )
            if backend != "native":
                raise errors.InvalidArgument(
                    f'only backend="native" keeps a memory limit, not {backend!r}.', {"option": option}
                )
        for metric in case_metrics:
            if metric.takes_starts and not self._settings.roles.start_timestamp:
                raise errors.InvalidArgument(
                    f"case metric {metric.name!r} takes start_times, and the log was scanned without start_timestamp=.",
                    {"metric": metric.name},
                )

    def _log(self, plan: dict[str, Any], backend: str) -> None:
        """Says what is about to be mined."""
        if not logger.isEnabledFor(logging.INFO):
            return
        files = self._source.facts().files
        n_bytes = sum(file.get("bytes") or 0 for file in files)
        logger.info("source: %s, %d files, %d bytes", self._source.label, len(files), n_bytes)
        for file in files:
            logger.debug("file: %s, %s bytes, %s rows", file["path"], file.get("bytes"), file.get("rows"))
        logger.info("roles: %s", self.roles)
        logger.info("mining %s, backend %s", ", ".join(_table_names(plan)), backend)

    def _open(self) -> Opened:
        """The log at its beginning, with all roles known."""
        return self._source.open(self.roles, self._settings)

    def _mine_native(
        self,
        plan: dict[str, Any],
        case_metrics: list[CaseMetric],
        threads: int | None,
        space: dict[str, Any],
        progress: Progress | None,
    ) -> MiningResult:
        from .backends import native

        result = native.mine(
            self._open(),
            plan,
            case_metrics=case_metrics,
            threads=threads,
            progress=progress,
            **space,
        )
        tables = {
            name: Table(name, functools.partial(result.reader, name), streamed=name in ("cases", "variants"))
            for name in _table_names(plan)
        }
        info = {"backend": "native", **result.info()}
        state = states.table(result) if "state" in plan else None
        return MiningResult(tables, info, functools.partial(self._run_info, plan), state)

    def _mine_in_python(
        self,
        plan: dict[str, Any],
        case_metrics: list[CaseMetric],
        backend: str,
        threads: int | None,
        progress: Progress | None,
    ) -> MiningResult:
        run = _backend(backend)
        events, dropped_rows = self._read_events(progress)
        info = {
            "dropped_rows": dropped_rows,
            "negative": self._settings.negative,
            "threads": threads,
            "case_metrics": {metric.name: metric.on_case for metric in case_metrics},
        }
        report = progress or (lambda phase, done, total: None)
        # How far it is in between, such a backend does not tell.
        report("mining", 0, events.num_rows)
        found = run(events, plan, info)
        report("mining", events.num_rows, events.num_rows)
        tables = {name: Table(name, found[name].to_reader) for name in _table_names(plan)}
        told: dict[str, Any] = {"backend": backend, "rows": events.num_rows}
        if "overview" in found:
            told["layout"] = found["overview"]["layout"][0].as_py()
        return MiningResult(tables, told, functools.partial(self._run_info, plan))

    def _run_info(self, plan: dict[str, Any]) -> dict[str, Any]:
        """What is written beside the tables: the files read, and what was asked of them."""
        files = [file["path"] for file in self._source.facts().files]
        return {"inputs": files, "options": {"scan": self._settings.spec(self.roles), "mine": plan}}

    def _read_events(self, progress: Progress | None) -> tuple[pa.Table, dict[str, int]]:
        """All events in memory, and how many rows each role cost."""
        import pyarrow as pa

        opened = self._open()
        reader = opened.events()
        batches, rows = [], 0
        for batch in reader:
            batches.append(batch)
            rows += batch.num_rows
            if progress is not None:
                progress("reading", rows, self._source.facts().rows)
        table = pa.Table.from_batches(batches, reader.schema).unify_dictionaries()
        dropped = opened.describe().get("dropped_rows") or {}
        return table, {role: int(count) for role, count in dropped.items()}

    def __repr__(self) -> str:
        said = str(self._settings.roles)
        if "roles" in self.__dict__:
            said = str(self.roles)
        elif missing := self._settings.roles.missing:
            said = (said + ", " if said else "") + f"{' and '.join(missing)} to be guessed"
        label = self._source.label if "_source" in self.__dict__ else _label(self._scanned)
        return f"<pycjm.EventLog {label}: {said}>"


def _label(scanned: Any) -> str:
    from . import file_source, table_source

    if file_source.is_path(scanned):
        return source.label_of(file_source.paths_of(scanned))
    kind = table_source.kind_of(scanned)
    return kind.name if kind else type(scanned).__name__


def _table_names(plan: dict[str, Any]) -> list[str]:
    return [measure["measure"] for measure in plan["measures"]]


def _backend(name: str) -> Any:
    """The `mine` of a Python backend."""
    if name == "reference":
        from .backends.reference import mine

        return mine
    try:
        # In a thread, since an import of numba that is interrupted half-way cannot be made up for in this process.
        in_worker(lambda: importlib.import_module("numba"))
        return importlib.import_module(".backends.numba", __package__).mine
    except ImportError as error:
        raise errors.Unsupported(
            'backend="numba" needs numba, which is not installed: pip install "pycjm[numba]".', {"package": "numba"}
        ) from error
