"""How are logs that were mined apart answered together?

A state is what the engine has kept of a log: one Arrow table, versioned, with a checksum. ``mine(..., state=...)``
makes it, :func:`merge` takes any number of them; what they mean is the engine's business alone.
"""

from __future__ import annotations

import functools
import os
from collections.abc import Callable, Iterable, Sequence
from typing import TYPE_CHECKING, Any

from . import _arrow, errors, measures, state_files
from .result import MiningResult
from .table import Table

if TYPE_CHECKING:
    from ._lib import Progress
    from .backends.native import NativeResult
    from .measures import Measure

TABLE = "state"
"""What the engine calls it."""

_NAME = b"pycjm.state.name"
"""Where the engine looks for what to call a state in errors."""
State = str | os.PathLike[str] | MiningResult | Any
"""A file, a result with a state, or anything with ``__arrow_c_stream__``."""


def merge(
    states: Iterable[State],
    *asked: str | Measure,
    percentiles: Sequence[float] = measures.DEFAULT_PERCENTILES,
    approx: float | None = None,
    threads: int | None = None,
    progress: Progress | None = None,
    top: int | None = None,
    memory_limit: int | str | None = None,
    state: bool | str | os.PathLike[str] = False,
) -> MiningResult:
    """Answers from the states of logs that have no case in common, exactly as if they had been mined together.

    Parameters
    ----------
    states : iterable
        Files written by ``mine(..., state=path)``, results with a state, or their tables. The order does not matter.
    *asked : str or Measure
        As for :meth:`EventLog.mine`, whatever the logs were asked: a state answers every measure but ``cases`` and
        ``metrics``, with any percentiles. None at all means all of these.
    percentiles : sequence of float
        For measures that name none themselves; in [0, 100].
    approx : float, optional
        As for :meth:`EventLog.mine`.
    threads : int, optional
        None takes as many as the machine has. The result does not depend on it.
    progress : callable, optional
        ``progress(phase, rows_done, rows_total)`` in this thread, where rows are events.
    top : int, optional
        Keep the first rows of ``variants`` only.
    memory_limit : int or "none", optional
        Bytes to be held, by default half of what the machine or the container has. States have to fit.
    state : bool or path
        Keep the merged state: as ``state`` of the result, and in a file if a path is given.

    Returns
    -------
    MiningResult

    Raises
    ------
    InvalidArgument
        No state, one named twice, states that do not go together, or an unknown measure.
    InvalidData
        Something is no state, or damaged; or a case is in two of them.
    Unsupported
        A state was written by a later pycjm.
    IoError, MemoryLimit
        As their names say.

    Examples
    --------
    >>> import pyarrow as pa, pycjm
    >>> def day(case, *seconds):
    ...     times = pa.array(seconds, pa.timestamp("s"))
    ...     return pa.table({"case": [case] * len(seconds), "activity": ["search", "buy"], "timestamp": times})
    >>> monday, tuesday = (pycjm.scan(log).mine(state=True) for log in (day("A", 0, 60), day("B", 30, 50)))
    >>> pycjm.merge([monday, tuesday], "dfg")["dfg"].to_pyarrow().select(["count", "p50_s"]).to_pylist()
    [{'count': 2, 'p50_s': 40.0}]
    """
    from .backends import native

    plan, case_metrics = measures.build_plan(asked, percentiles, top, approx)
    names = [measure["measure"] for measure in plan["measures"]]
    if case_metrics or "cases" in names:
        listed = ", ".join(measures.DEFAULT)
        what = "metrics" if case_metrics else "cases"
        text = f"a state keeps no single cases, so {what!r} cannot be had from it; possible are {listed}."
        raise errors.InvalidArgument(text, {"measure": what})
    if threads is not None:
        measures.check_count("threads", threads)
    if memory_limit not in (None, measures.NO_LIMIT):
        measures.check_bytes("memory_limit", memory_limit)
    check(state)
    if state is not False:
        plan["state"] = {}
    given = _listed(states)
    aside = _Reading([os.fsdecode(one) if _is_path(one) else None for one in given])
    capsules = [_capsule(one, aside) for one in given]
    result = native.merge(capsules, plan, threads=threads, memory_limit=memory_limit, progress=progress, aside=aside)
    tables = {name: Table(name, functools.partial(result.reader, name)) for name in names}
    info = {"backend": "native", **result.info()}
    files = [os.fspath(one) for one in given if _is_path(one)]
    run_info: Callable[[], dict[str, Any]] = lambda: {"inputs": files, "options": {"merge": plan}}  # noqa: E731
    merged = MiningResult(tables, info, run_info, table(result) if "state" in plan else None)
    return kept(merged, state)


def check(state: Any, backend: str = "native") -> None:
    """Tells before the work whether a state can be kept as asked.

    Raises
    ------
    InvalidArgument
        It is neither a bool nor the name of a file, or the backend keeps none.
    IoError
        The directory of the file is not there.
    """
    if state is False:
        return
    if backend != "native":
        raise errors.InvalidArgument(f'only backend="native" keeps a state, not {backend!r}.', {"option": "state"})
    if state is not True:
        from . import export

        if not _is_path(state):
            raise errors.InvalidArgument(f"state is True, False or a path, not {state!r}.", {"option": "state"})
        export.check_file(state)


def table(result: NativeResult) -> Table:
    """The state of a run that has kept one."""
    return Table(TABLE, functools.partial(result.reader, TABLE), streamed=True)


def kept(result: MiningResult, state: bool | str | os.PathLike[str]) -> MiningResult:
    """The result, once its state is in the file, where one was named."""
    if not isinstance(state, bool):
        state_files.write(result.state, state)
    return result


class _Reading(_arrow.Aside):
    """The Python side of all states that are being read.

    Parameters
    ----------
    names : list of str or None
        The file of each.
    """

    def __init__(self, names: list[str | None]) -> None:
        super().__init__()
        self._names = names

    def explain(self, error: BaseException) -> BaseException:
        """What the Python side said, if it failed, else the engine's word, with the name of the file."""
        if not isinstance(error, errors.PycjmError):
            return error
        if self.failure is not None:
            return self.failure
        # Where not even a schema came over, the engine does not know the name.
        number = error.details.get("state")
        name = self._names[number - 1] if isinstance(number, int) else None
        if name is None or not isinstance(error, errors.InvalidData | errors.Unsupported):
            return error
        return state_files.damaged(error.message.removeprefix(f"state {number}: "), name)

    def stop(self) -> None:
        """Ends the reading."""
        self.stopped = True


def _is_path(given: Any) -> bool:
    return isinstance(given, (str, os.PathLike))


def _listed(states: Any) -> list[Any]:
    """The states, none of them twice."""
    if _is_path(states) or hasattr(states, "__arrow_c_stream__") or isinstance(states, MiningResult):
        states = [states]
    given = list(states)
    if not given:
        raise errors.InvalidArgument("no state is given: name at least one.", {"option": "states"})
    seen: dict[Any, Any] = {}
    for one in given:
        key = os.path.realpath(one) if _is_path(one) else id(one)
        if key in seen:
            shown = os.fspath(one) if _is_path(one) else "a state"
            raise errors.InvalidArgument(f"{shown} is given twice; its cases would count twice.", {"path": shown})
        seen[key] = one
    return given


def _capsule(one: Any, aside: _Reading) -> Any:
    """The stream of a state, with a name for errors if it is a file."""
    if _is_path(one):
        schema, batches, name = *state_files.open_state(one), os.fsdecode(one)
    else:
        reader = _arrow.as_reader(one.state if isinstance(one, MiningResult) else one)
        schema, batches, name = reader.schema, iter(reader), None
    if name is not None:
        schema = schema.with_metadata({**(schema.metadata or {}), _NAME: name.encode("utf-8", "replace")})

    def explain(error: BaseException) -> BaseException:
        if name is not None and not isinstance(error, (errors.PycjmError, KeyboardInterrupt)):
            return aside.note(state_files.unreadable(error, name))
        return aside.note(_arrow.from_engine(error))

    return _arrow.guarded(schema, aside.watch(batches), explain).__arrow_c_stream__()
