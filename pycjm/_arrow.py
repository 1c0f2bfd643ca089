"""How do tables cross the C ABI: an Arrow stream of any library in, a pyarrow reader out?

Both directions move the five pointers of an ArrowArrayStream; no column is copied here.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any

from . import errors
from ._lib import call, ffi

if TYPE_CHECKING:
    import pyarrow as pa


class Aside:
    """What the two ends of a stream that goes to the engine tell each other beside it.

    Attributes
    ----------
    failure : Exception or None
        What the Python side raised; the C side passes on no more than its text.
    stopped : bool
        Set by a caller who wants no more: the stream then fails at its next batch.
    """

    def __init__(self) -> None:
        self.failure: BaseException | None = None
        self.stopped = False

    def watch(self, batches: Iterator[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        """The batches, ended when the caller wants no more."""
        for batch in batches:
            if self.stopped:
                raise errors.Cancelled("the reading was cancelled")
            yield batch

    def note(self, error: BaseException) -> BaseException:
        """Notes an error on its way out."""
        self.failure = error
        return error


def stream_pointer(capsule: Any) -> Any:
    """The ``struct ArrowArrayStream *`` inside a PyCapsule of the Arrow protocol.

    The capsule has to stay alive while the pointer is in use, and it releases the stream unless that was consumed.
    """
    import ctypes

    prototype = ctypes.PYFUNCTYPE(ctypes.c_void_p, ctypes.py_object, ctypes.c_char_p)
    get_pointer = prototype(("PyCapsule_GetPointer", ctypes.pythonapi))
    return ffi.cast("struct ArrowArrayStream *", get_pointer(capsule, b"arrow_array_stream"))


def import_stream(function: Any, *args: Any) -> pa.RecordBatchReader:
    """Calls an ABI function whose last output is a stream, and gives that as a pyarrow reader.

    Parameters
    ----------
    function : cffi function
        ``lib.cjm_...(..., struct ArrowArrayStream *out, cjm_error **err)``.
    *args
        Its arguments before ``out``.

    Returns
    -------
    pyarrow.RecordBatchReader
    """
    import pyarrow as pa

    # The struct may be declared without its fields, so its memory is asked for by its fixed layout.
    memory = ffi.new("void *[5]")
    call(function, *args, ffi.cast("struct ArrowArrayStream *", memory))
    return pa.RecordBatchReader._import_from_c(int(ffi.cast("uintptr_t", memory)))


def as_reader(source: Any) -> pa.RecordBatchReader:
    """A pyarrow reader over any object of the Arrow PyCapsule protocol, a stream or one array of structs.

    Raises
    ------
    InvalidData
        The object could not be turned into Arrow, for instance a pandas column of mixed types.
    """
    import pyarrow as pa

    try:
        if isinstance(source, pa.RecordBatchReader):
            return source
        if isinstance(source, pa.RecordBatch):
            return pa.RecordBatchReader.from_batches(source.schema, [source])
        if hasattr(source, "__arrow_c_stream__"):
            return pa.RecordBatchReader.from_stream(source)
        batch = pa.record_batch(source)
        return pa.RecordBatchReader.from_batches(batch.schema, [batch])
    except (pa.ArrowException, TypeError, ValueError, NotImplementedError) as error:
        kind = f"{type(source).__module__}.{type(source).__qualname__}"
        raise translate(error, f"{kind} gave no Arrow stream") from error


def guarded(
    schema: pa.Schema,
    batches: Iterator[pa.RecordBatch],
    explain: Callable[[BaseException], BaseException],
) -> pa.RecordBatchReader:
    """A reader over batches whose errors are explained before they leave.

    Parameters
    ----------
    schema : pyarrow.Schema
        The schema of the batches.
    batches : iterator
        Where they come from; it may hold whatever has to stay alive meanwhile.
    explain : callable
        Turns an exception into the one to raise.
    """
    import pyarrow as pa

    def run() -> Iterator[pa.RecordBatch]:
        try:
            yield from batches
        except GeneratorExit:
            raise
        except BaseException as error:  # a KeyboardInterrupt as well: through C it would be a broken stream
            told = explain(error)
            if told is error:
                raise
            raise told from error

    return pa.RecordBatchReader.from_batches(schema, run())


def translate(error: BaseException, where: str, details: dict[str, Any] | None = None) -> errors.PycjmError:
    """The exception of ours for one of pyarrow's; ours pass through unchanged.

    Parameters
    ----------
    error : Exception
        What was caught.
    where : str
        What was being read, put in front of the text.
    details : dict, optional
        Facts to add.
    """
    if isinstance(error, errors.PycjmError):
        return error
    text = f"{where}: {error}"
    facts = dict(details or {})
    if isinstance(error, NotImplementedError):
        return errors.Unsupported(text, facts)
    if isinstance(error, MemoryError):
        return errors.MemoryLimit(text, facts)
    if isinstance(error, OSError):
        # pyarrow raises an OSError without errno when bytes do not decode: that is the data's fault, not the disk's.
        if error.errno is None:
            return errors.InvalidData(text, facts)
        return errors.IoError(text, {"errno": error.errno, **facts})
    if isinstance(error, (ValueError, TypeError, LookupError)) or type(error).__module__.startswith("pyarrow"):
        return errors.InvalidData(text, facts)
    return errors.InternalError(text, facts)


def from_engine(error: BaseException) -> BaseException:
    """The exception behind a failed stream of the engine, whose text opens with the name of its status."""
    import re

    match = re.search(r"\b([A-Z_]{2,}): (.*)", str(error), re.DOTALL)
    for kind in errors.BY_CODE.values():
        if match and match[1] == kind.status:
            number = {"errno": error.errno} if isinstance(error, OSError) and error.errno else {}
            return kind(match[2], number)
    return error
