"""How does Python call the engine: which library, how do its errors arrive, and how is a running call stopped?

All calls go through :func:`call`, and those that can run for long through :func:`run_cancellable`. The module keeps no
state besides the loaded library, so a forked child may use it like its parent did.
"""

from __future__ import annotations

import inspect
import json
import logging
import threading
from collections.abc import Callable
from typing import Any, TypeVar

from . import errors

ABI_VERSION = 1
"""The version of the C ABI that this package speaks."""

Result = TypeVar("Result")

POLL_S = 0.05
"""How long the caller sleeps between two looks at a running call. Ctrl-C has to be answered within 200 ms."""

Progress = Callable[..., object]
"""``progress(phase, rows_done, rows_total)``; ``rows_total`` is None while it is unknown. One that takes any keywords
(``**details``) is told ``parts_done``, ``parts_total``, ``look``, ``reserved_bytes`` and ``spilled_bytes``, too."""

logger = logging.getLogger("pycjm")


def _load() -> tuple[Any, Any]:
    try:
        from pycjm._native import ffi, lib
    except ImportError as error:
        raise ImportError(
            f"pycjm's native library could not be loaded ({error}). Install a built package: `pip install .` in a "
            "checkout (this needs a Rust toolchain), or a wheel for this platform."
        ) from error
    found = lib.cjm_abi_version()
    if found != ABI_VERSION:
        raise ImportError(
            f"pycjm's Python files speak ABI version {ABI_VERSION}, its native library speaks {found}: they come from "
            "different builds. Reinstall both together: `pip install --force-reinstall pycjm`."
        )
    return ffi, lib


ffi, lib = _load()


def text(pointer: Any) -> str:
    """A borrowed C string as Python text."""
    return ffi.string(pointer).decode("utf-8", "replace") if pointer else ""


def take_text(pointer: Any) -> str:
    """An owned C string as Python text; the C side is freed."""
    try:
        return text(pointer)
    finally:
        lib.cjm_string_free(pointer)


def call(function: Any, *args: Any) -> None:
    """Calls one ABI function, whose last parameter is the error, and raises what it reports.

    Parameters
    ----------
    function : cffi function
        ``lib.cjm_...``.
    *args
        Its arguments without the error out-parameter.

    Raises
    ------
    PycjmError
        The class that belongs to the status.
    """
    error = ffi.new("cjm_error **")
    status = function(*args, error)
    if status:
        raise _take_error(status, error[0])


def _take_error(status: int, error: Any) -> errors.PycjmError:
    if not error:
        return errors.from_code(status, "the engine gave no text")
    try:
        details = json.loads(text(lib.cjm_error_details(error)) or "{}")
        return errors.from_code(status, text(lib.cjm_error_message(error)), details)
    finally:
        lib.cjm_error_free(error)


def new_context(**options: Any) -> Any:
    """A fresh context for one call: threads, memory limit, batch size; None means the engine's choice."""
    chosen = {"version": 1} | {name: value for name, value in options.items() if value is not None}
    out = ffi.new("cjm_context **")
    call(lib.cjm_context_new, json.dumps(chosen).encode(), out)
    return ffi.gc(out[0], lib.cjm_context_free)


def auto_memory_limit() -> int | None:
    """What the memory limit "auto" comes to here, in bytes; None where the system does not tell."""
    bytes_out = ffi.new("uint64_t *")
    lib.cjm_context_memory_limit(new_context(memory_limit_bytes="auto"), bytes_out)
    return int(bytes_out[0]) if bytes_out[0] < 2**64 - 1 else None


def run_cancellable(
    context: Any,
    function: Any,
    *args: Any,
    progress: Progress | None = None,
    on_cancel: Callable[[], object] = lambda: None,
) -> None:
    """Runs a long ABI call in a worker thread, reporting progress and obeying Ctrl-C in the caller's.

    Should the callback raise or a KeyboardInterrupt arrive, the call is cancelled and awaited, and that exception goes
    on. A second Ctrl-C stops the waiting too: the worker holds every handle it uses, so it may end by itself.

    Parameters
    ----------
    context : cdata
        The context the call runs in.
    function : cffi function
        The ABI function, whose last parameter is the error.
    *args
        Its arguments without the error.
    progress : callable, optional
        ``progress(phase, rows_done, rows_total)``, called in this thread when something has changed.
    on_cancel : callable
        What else to do besides cancelling the context.
    """

    def cancel(worker: threading.Thread) -> None:
        lib.cjm_cancel(context)
        on_cancel()
        worker.join()

    in_worker(lambda: call(function, *args), tick=_reporter(context, progress), on_interrupt=cancel)


def in_worker(
    work: Callable[[], Result],
    *,
    tick: Callable[[], object] = lambda: None,
    on_interrupt: Callable[[threading.Thread], object] = lambda worker: None,
) -> Result:
    """Does work in a thread while this one stays awake for signals.

    The engine releases the GIL, but a signal reaches only the main thread, and only while that one runs Python.

    Parameters
    ----------
    work : callable
        Its result or exception becomes that of this function. It holds all that it needs, since after an interrupt
        it may go on alone.
    tick : callable
        Called every few milliseconds, and once after the end.
    on_interrupt : callable
        Called with the thread when this one is interrupted or `tick` raises; what it was goes on afterwards.
    """
    done = threading.Event()
    results: list[Result] = []
    raised: list[BaseException] = []

    def run() -> None:
        try:
            results.append(work())
        except BaseException as error:  # handed to the caller's thread, which raises it
            raised.append(error)
        finally:
            done.set()

    # No daemon: one that came back from the engine while the interpreter goes away would take the process down.
    worker = threading.Thread(target=run, name="pycjm")
    try:
        worker.start()
        while not done.wait(POLL_S):
            tick()
        tick()
    except BaseException:
        if worker.ident is not None:
            on_interrupt(worker)
        raise
    worker.join()
    if raised:
        raise raised[0]
    return results[0]


_DETAILS = ("parts_done", "parts_total", "look", "reserved_bytes", "spilled_bytes")


def _reporter(context: Any, progress: Progress | None) -> Callable[[], None]:
    """A function that tells the callback, and the log of this program, what has changed since it was last asked."""
    if progress is None and not logger.isEnabledFor(logging.DEBUG):
        return lambda: None
    now, more = ffi.new("cjm_progress_t *"), ffi.new("cjm_progress_detail_t *")
    with_details = progress is not None and _takes_details(progress)
    last: tuple[Any, ...] = ()
    spilled = 0

    def report() -> None:
        nonlocal last, spilled
        for _ in range(3):  # until both are of one phase
            if lib.cjm_progress(context, now) or lib.cjm_progress_detail(context, more):
                return
            phase = text(now.phase)
            seen = (phase, int(now.rows_done), int(now.rows_total) or None)
            if lib.cjm_progress(context, now) or text(now.phase) == phase:
                break
        if phase in ("", "idle"):
            return
        details = {name: int(getattr(more, name)) for name in _DETAILS}
        if details["spilled_bytes"] > spilled:
            more_bytes, spilled = details["spilled_bytes"] - spilled, details["spilled_bytes"]
            logger.debug("%s: put %d bytes aside on disk, %d so far", phase, more_bytes, spilled)
        told = (*seen, *details.values()) if with_details else seen
        if progress is not None and told != last:
            last = told
            progress(*seen, **details) if with_details else progress(*seen)

    return report


def _takes_details(progress: Progress) -> bool:
    """Whether a callback takes any keywords."""
    try:
        parameters = inspect.signature(progress).parameters.values()
    except (TypeError, ValueError):  # some that are not written in Python do not tell
        return False
    return any(parameter.kind is parameter.VAR_KEYWORD for parameter in parameters)
