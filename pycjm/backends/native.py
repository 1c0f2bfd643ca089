"""How does the Rust engine answer a plan?

The log's own stream goes in, one stream per table comes out; nothing is computed in Python.
"""

from __future__ import annotations

import json
import os
import tempfile
from typing import TYPE_CHECKING, Any

from .. import _arrow, _lib
from .._lib import ffi, lib, logger

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
    space : dict
        ``memory_limit_bytes`` and ``spill_dir`` of the run.
    """

    def __init__(self, pointer: Any, space: dict[str, Any]) -> None:
        self._pointer = pointer
        self._space = space

    def reader(self, name: str) -> pa.RecordBatchReader:
        """A fresh stream of one table."""
        return _arrow.import_stream(lib.cjm_result_table, self._pointer, name.encode())

    def info(self) -> dict[str, Any]:
        """How the run went: layout, rows, threads, seconds per phase, limit, peak memory and what was put aside."""
        out = ffi.new("char **")
        _lib.call(lib.cjm_result_info, self._pointer, out)
        return json.loads(_lib.take_text(out[0])) | self._space


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
    space = {
        "memory_limit_bytes": None if memory_limit == "none" else "auto" if memory_limit is None else memory_limit,
        "spill_dir": None if memory_limit == "none" else os.fsdecode(spill_dir or tempfile.gettempdir()),
    }
    context = _lib.new_context(threads=threads, spill_limit_bytes=spill_limit, **space)
    if memory_limit is not None:
        logger.info("memory limit: %s, beyond which rows are put aside in %s", memory_limit, space["spill_dir"])
    for metric in case_metrics:
        function = ffi.cast("cjm_case_metric_fn", metric.address())
        _lib.call(lib.cjm_context_add_case_metric, context, metric.name.encode(), function, ffi.NULL)
    out = ffi.new("cjm_result **")
    text = json.dumps(plan).encode()
    try:
        _lib.run_cancellable(
            context, lib.cjm_mine, opened.pointer, text, context, out, progress=progress, on_cancel=opened.stop
        )
    except BaseException as error:
        if out[0]:  # the run was over when the progress callback raised
            lib.cjm_result_free(out[0])
        told = opened.explain(error)
        if told is error:
            raise
        raise told from error
    result = NativeResult(ffi.gc(out[0], lib.cjm_result_free), space)
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
    told = _GROUPING.get(tuple(info["grouping"]), str(info["grouping"]))
    count = f", {n} partitions" if (n := info.get("partitions")) else ""
    logger.info("layout %s; %s%s", info["layout"], told, count)
    if info["looks"] > 1:
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
