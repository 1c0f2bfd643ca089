"""How does the Rust engine answer a plan?

The log's own stream goes in, one stream per table comes out; nothing is computed in Python.
"""

from __future__ import annotations

import json
import os
import tempfile
from typing import TYPE_CHECKING, Any

from .. import _arrow, _lib
from .._lib import ffi, lib

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
    """

    def __init__(self, pointer: Any) -> None:
        self._pointer = pointer

    def reader(self, name: str) -> pa.RecordBatchReader:
        """A fresh stream of one table."""
        return _arrow.import_stream(lib.cjm_result_table, self._pointer, name.encode())

    def info(self) -> dict[str, Any]:
        """How the run went: layout, rows, threads, seconds per phase, peak memory."""
        out = ffi.new("char **")
        _lib.call(lib.cjm_result_info, self._pointer, out)
        return json.loads(_lib.take_text(out[0]))


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
    context = _lib.new_context(
        threads=threads,
        memory_limit_bytes=None if memory_limit == "none" else "auto" if memory_limit is None else memory_limit,
        spill_dir=None if memory_limit == "none" else os.fsdecode(spill_dir or tempfile.gettempdir()),
        spill_limit_bytes=spill_limit,
    )
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
    return NativeResult(ffi.gc(out[0], lib.cjm_result_free))
