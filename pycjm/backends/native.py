"""How does the Rust engine answer a plan?

The log's own stream, or those of states, goes in, one stream per table comes out; nothing is computed in Python.
"""

from __future__ import annotations

import json
import os
import tempfile
from typing import TYPE_CHECKING, Any, Protocol

from .. import _arrow, _lib
from .._lib import ffi, lib, logger
from ..measures import NO_LIMIT

if TYPE_CHECKING:
    import pyarrow as pa

    from ..case_metric import CaseMetric
    from ..source import Opened


class NativeResult:
    """The engine's result: its tables can be read any number of times.

    Parameters
    ----------
    pointer : cdata
        The handle, freed with this object.
    spill_dir : str or None
        Where the run may have put something aside.
    """

    def __init__(self, pointer: Any, spill_dir: str | None) -> None:
        self._pointer = pointer
        self._spill_dir = spill_dir

    def reader(self, name: str) -> pa.RecordBatchReader:
        """A fresh stream of one table."""
        return _arrow.import_stream(lib.cjm_result_table, self._pointer, name.encode())

    def info(self) -> dict[str, Any]:
        """How the run went: layout, rows, threads, seconds per phase, limit, peak memory and what was put aside."""
        out = ffi.new("char **")
        _lib.call(lib.cjm_result_info, self._pointer, out)
        return json.loads(_lib.take_text(out[0])) | {"spill_dir": self._spill_dir}


def mine(
    opened: Opened,
    plan: dict[str, Any],
    *,
    case_metrics: list[CaseMetric],
    threads: int | None,
    memory_limit: int | str | None = None,
    spill_dir: str | os.PathLike[str] | None = None,
    spill_limit: int | None = None,
    progress: _lib.Progress | None,
) -> NativeResult:
    """Runs a plan.

    Parameters
    ----------
    opened : Opened
        The log, at its beginning.
    plan : dict
        The plan of the C ABI, version 1.
    case_metrics : list of CaseMetric
        Those the plan names.
    threads : int or None
        None leaves the choice to the engine.
    memory_limit : int, "none" or None
        Bytes; None is a share of what the machine or the container has.
    spill_dir : path or None
        Where to put what does not fit; None is the system's directory for temporary files.
    spill_limit : int or None
        The most bytes that may be put there.
    progress : callable or None
        Called in this thread.

    Returns
    -------
    NativeResult

    Raises
    ------
    PycjmError
        What the engine reports; what the Python side of the log's stream raised goes first.
    """
    directory = None if memory_limit == NO_LIMIT else os.fsdecode(spill_dir or tempfile.gettempdir())
    context = _lib.new_context(
        threads=threads,
        memory_limit_bytes=_limit(memory_limit),
        spill_dir=directory,
        spill_limit_bytes=spill_limit,
    )
    if isinstance(memory_limit, int):
        logger.info("memory limit: %s bytes, beyond which rows are put aside in %s", memory_limit, directory)
    for metric in case_metrics:
        function = ffi.cast("cjm_case_metric_fn", metric.address())
        _lib.call(lib.cjm_context_add_case_metric, context, metric.name.encode(), function, ffi.NULL)
    text = json.dumps(plan).encode()
    return _run(context, directory, lib.cjm_mine, opened.pointer, text, progress=progress, aside=opened)


def _limit(memory_limit: int | str | None) -> int | str | None:
    """In the engine's words."""
    return None if memory_limit == NO_LIMIT else "auto" if memory_limit is None else memory_limit


def merge(
    capsules: list[Any],
    plan: dict[str, Any],
    *,
    threads: int | None,
    memory_limit: int | str | None,
    progress: _lib.Progress | None,
    aside: _Aside,
) -> NativeResult:
    """Answers a plan from states.

    Parameters
    ----------
    capsules : list
        Each with the Arrow stream of a state; the streams are used up.
    plan : dict
        The plan of the C ABI, version 1.
    threads : int or None
        None leaves the choice to the engine.
    memory_limit : int, "none" or None
        As for :func:`mine`.
    progress : callable or None
        Called in this thread.
    aside : object
        What explains an error of the streams, and stops them.

    Returns
    -------
    NativeResult

    Raises
    ------
    PycjmError
        What the engine reports; what the Python side of a stream raised goes first.
    """
    context = _lib.new_context(threads=threads, memory_limit_bytes=_limit(memory_limit))
    streams = ffi.new("struct ArrowArrayStream *[]", [_arrow.stream_pointer(capsule) for capsule in capsules])
    text = json.dumps(plan).encode()
    return _run(context, None, lib.cjm_merge, streams, len(capsules), text, progress=progress, aside=aside)


class _Aside(Protocol):
    """What is to be done when a run fails."""

    def explain(self, error: BaseException) -> BaseException:
        """The error to raise."""

    def stop(self) -> None:
        """Ends a reading of the Python side."""


def _run(
    context: Any, spill_dir: str | None, function: Any, *args: Any, progress: _lib.Progress | None, aside: _Aside
) -> NativeResult:
    """Calls a function of the ABI that ends in context and result."""
    out = ffi.new("cjm_result **")
    try:
        _lib.run_cancellable(context, function, *args, context, out, progress=progress, on_cancel=aside.stop)
    except BaseException as error:
        if out[0]:  # the run was over when the progress callback raised
            lib.cjm_result_free(out[0])
        told = aside.explain(error)
        if told is error:
            raise
        raise told from error
    result = NativeResult(ffi.gc(out[0], lib.cjm_result_free), spill_dir)
    _log(result.info())
    return result


_GROUPING = {
    ("case",): "the first rows looked as if cases stood together, and so did all: mined as they lay",
    ("partitioned",): "cases did not stand together: partitioned",
    (
        "case",
        "partitioned",
    ): "the first rows looked as if cases stood together, but one came twice: partitioned after all",
}


def _log(info: dict[str, Any]) -> None:
    """Says how a run went."""
    if "states" in info:
        logger.info("layout %s; %d states merged", info["layout"], info["states"])
    else:
        told = _GROUPING.get(tuple(info["grouping"]), str(info["grouping"]))
        count = f", {n} partitions" if (n := info.get("partitions")) else ""
        logger.info("layout %s; %s%s", info["layout"], told, count)
    if info.get("looks", 1) > 1:
        logger.info("looks at the rows: %d, since percentiles were missed by the first", info["looks"])
    for phase in info["phases"]:
        logger.info("%s: %.3f s", phase["name"], phase["seconds"])
    logger.info(
        "%d rows, %d threads; reserved at most %d bytes, put aside %d bytes",
        info["rows"],
        info["threads"],
        info["peak_reserved_bytes"],
        info["spilled_bytes"],
    )
