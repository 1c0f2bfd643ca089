"""How does a Python function become a number per case, computed at the engine's speed?

numba compiles the function together with a loop over a batch of cases into a C callback, which the engine calls from
its own threads without the GIL.
"""

from __future__ import annotations

import functools
import importlib
import inspect
import re
import threading
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, overload

from . import errors
from ._lib import in_worker

if TYPE_CHECKING:
    import numpy as np

MetricFunction = Callable[..., float]
"""``f(activities, times) -> float`` or ``f(activities, times, start_times) -> float``."""


class CaseMetric:
    """A user's metric; made by :func:`case_metric`, given to :meth:`EventLog.mine`.

    Calling it runs the plain Python function, for trying it out.
    """

    def __init__(
        self, function: MetricFunction, name: str, activities: tuple[str, ...] | None, boundscheck: bool
    ) -> None:
        self.function = function
        self.name = name
        self.activities = activities
        self.boundscheck = boundscheck
        self.takes_starts = len(inspect.signature(function).parameters) == 3
        self._lock = threading.Lock()
        self._compiled: Any = None
        functools.update_wrapper(self, function)

    def __call__(self, *args: Any) -> float:
        """The plain Python function."""
        return self.function(*args)

    def __repr__(self) -> str:
        return f"<pycjm.case_metric {self.name!r}>"

    def plan(self) -> dict[str, Any]:
        """The metric in the plan's form."""
        declared = {} if self.activities is None else {"activities": list(self.activities)}
        return {"name": self.name, **declared}

    def on_case(self, activities: np.ndarray, times: np.ndarray, start_times: np.ndarray | None) -> float:
        """The value of one case by the plain Python function, as the Python backends call it.

        Raises
        ------
        CallbackError
            The function raised; its exception is the cause.
        """
        starts = (start_times,) if self.takes_starts else ()
        try:
            return float(self.function(activities, times, *starts))
        except Exception as error:
            raise errors.CallbackError(
                f"case metric {self.name!r} raised {type(error).__name__}: {error}", {"metric": self.name}
            ) from error

    def address(self) -> int:
        """The address of the C callback, compiled when first asked for. Valid while this object lives.

        Raises
        ------
        Unsupported
            numba is not installed.
        InvalidArgument
            numba cannot compile the function, or it writes to its arrays.
        """
        with self._lock:
            if self._compiled is None:
                self._compiled = self._compile()
            return self._compiled.address

    def _compile(self) -> Any:
        try:
            # In a thread, since an import that is interrupted half-way cannot be made up for in this process.
            numba = in_worker(lambda: importlib.import_module("numba"))
        except ImportError as error:
            raise errors.Unsupported(
                'case metrics are compiled by numba, which is not installed: pip install "pycjm[numba]". '
                'backend="reference" runs them without it.',
                {"package": "numba"},
            ) from error
        try:
            compiled = numba.njit(self.function, nogil=True, boundscheck=self.boundscheck)
            return _batch_callback(numba, compiled, self.takes_starts)
        except numba.core.errors.NumbaError as error:
            if "Cannot modify readonly array" in str(error):
                raise errors.InvalidArgument(
                    f"case metric {self.name!r} writes to its arrays, which all measures share. Change a copy, such as "
                    "times.copy().",
                    {"metric": self.name},
                ) from error
            raise errors.InvalidArgument(
                f"numba cannot compile case metric {self.name!r}: {error}", {"metric": self.name}
            ) from error


def _batch_callback(numba: Any, metric: Any, takes_starts: bool) -> Any:
    """The metric in a loop over a batch, with the signature of the ABI.

    It returns 1 only behind the last case. A raising metric is caught in compiled code, where no GIL is needed and
    nothing is printed; the engine turns the 0 into its callback error.
    """
    from numba import carray, types

    view = _view(numba)
    signature = types.int32(
        types.voidptr,
        types.int64,
        types.CPointer(types.int64),
        types.CPointer(types.int32),
        types.CPointer(types.int64),
        types.CPointer(types.int64),
        types.CPointer(types.float64),
    )

    def plain(user, n_cases, offsets, activities, times, start_times, out):  # type: ignore[no-untyped-def]
        try:
            ends = carray(offsets, n_cases + 1)
            n_events = ends[n_cases]
            names, stamps = view(carray(activities, n_events)), view(carray(times, n_events))
            values = carray(out, n_cases)
            for i in range(n_cases):
                values[i] = metric(names[ends[i] : ends[i + 1]], stamps[ends[i] : ends[i + 1]])
        except Exception:
            return 0
        return 1

    def with_starts(user, n_cases, offsets, activities, times, start_times, out):  # type: ignore[no-untyped-def]
        try:
            ends = carray(offsets, n_cases + 1)
            n_events = ends[n_cases]
            names, stamps = view(carray(activities, n_events)), view(carray(times, n_events))
            starts, values = view(carray(start_times, n_events)), carray(out, n_cases)
            for i in range(n_cases):
                lo, hi = ends[i], ends[i + 1]
                values[i] = metric(names[lo:hi], stamps[lo:hi], starts[lo:hi])
        except Exception:
            return 0
        return 1

    return numba.cfunc(signature, nopython=True)(with_starts if takes_starts else plain)


def _view(numba: Any) -> Any:
    """A compiled function from an array to the same array that cannot be written to.

    The arrays are the engine's own, and every other measure reads them too. Whether a write is allowed is part of
    numba's type, so this costs nothing when it runs, and a metric that writes does not compile.
    """
    from numba.core.imputils import impl_ret_borrowed

    @numba.extending.intrinsic
    def view(context, array):  # type: ignore[no-untyped-def]
        frozen = array.copy(readonly=True)

        def same(context, builder, signature, args):  # type: ignore[no-untyped-def]
            return impl_ret_borrowed(context, builder, signature.return_type, args[0])

        return frozen(array), same

    return view


@overload
def case_metric(function: MetricFunction, /) -> CaseMetric: ...
@overload
def case_metric(
    *, activities: Sequence[str] | None = None, name: str | None = None, boundscheck: bool = True
) -> Callable[[MetricFunction], CaseMetric]: ...


def case_metric(
    function: MetricFunction | None = None,
    /,
    *,
    activities: Sequence[str] | None = None,
    name: str | None = None,
    boundscheck: bool = True,
) -> Any:
    """Makes a measure out of a function of one case.

    The function gets the case's events in order and returns a number; NaN means that the case has none. Asked for
    beside ``"cases"`` it becomes a column of that table, and its statistics are the table ``"metrics"``.

    Parameters
    ----------
    function : callable
        ``f(activities, times)`` or ``f(activities, times, start_times)``: int32 codes, and int64 times in ticks of the
        log's unit. It has to be compilable by numba, and safe to run in several threads. The arrays are those of the
        log and cannot be written to.
    activities : sequence of str, optional
        The activities it asks about: code ``i`` means ``activities[i]``, -1 any other. Without it, equal codes mean
        equal activities and nothing else.
    name : str, optional
        The name of the column; the function's by default.
    boundscheck : bool
        An index outside of the case fails the run, instead of reading the neighbour's events.

    Returns
    -------
    CaseMetric

    Raises
    ------
    InvalidArgument
        The function has another number of parameters, or the name is no plain word.

    Examples
    --------
    >>> import pycjm
    >>> @pycjm.case_metric
    ... def immediate_repeats(activities, times):
    ...     count = 0
    ...     for i in range(1, len(activities)):
    ...         count += activities[i] == activities[i - 1]
    ...     return count
    >>> result = pycjm.sample().mine("cases", immediate_repeats)
    >>> result["cases"].columns[-1]
    'immediate_repeats'
    >>> result["metrics"].columns[:3]
    ['metric', 'n', 'mean']
    """
    if function is None:
        return functools.partial(_make, name=name, activities=activities, boundscheck=boundscheck)
    return _make(function, name=name, activities=activities, boundscheck=boundscheck)


def _make(
    function: MetricFunction, *, name: str | None, activities: Sequence[str] | None, boundscheck: bool
) -> CaseMetric:
    if not callable(function):
        raise errors.InvalidArgument(f"a case metric is made of a function, not of {function!r}.")
    name = name or getattr(function, "__name__", "")
    if not re.fullmatch(r"[^\W\d]\w*", name):
        raise errors.InvalidArgument(f"a case metric needs a name made of letters, digits and _, not {name!r}.")
    if name in RESERVED:
        raise errors.InvalidArgument(f'the table "cases" has a column {name!r} already; give the metric another name.')
    if len(inspect.signature(function).parameters) not in (2, 3):
        raise errors.InvalidArgument(
            f"case metric {name!r} has to take (activities, times) or (activities, times, start_times).",
            {"metric": name},
        )
    if activities is not None:
        names = (activities,) if isinstance(activities, str) else tuple(activities)
        if not names or any(not isinstance(label, str) for label in names) or len(set(names)) < len(names):
            raise errors.InvalidArgument(f"activities is a list of different names, not {activities!r}.")
        activities = names
    return CaseMetric(function, name, activities, boundscheck)


RESERVED = frozenset({"case", "events", "first_ts", "last_ts", "duration_s", "variant_rank"})
"""The columns that the table ``cases`` has anyway."""
