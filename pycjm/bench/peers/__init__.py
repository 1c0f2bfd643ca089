"""Which engines can be asked, and what does each need?

One file per engine, in the best form known for it. An engine gets a log and may bring it into a form of its own;
``ask`` answers a question in the engine's own terms, which is what is timed; ``answers`` brings that into the common
form, which is what is compared.

Rows of one case and one time keep the order of the log. That needs a stable sort or a number per row: without it the
answers look right and are not.
"""

from __future__ import annotations

import importlib
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

from ... import errors
from ..answers import Answers

if TYPE_CHECKING:
    import pyarrow as pa


@dataclass(frozen=True)
class Log:
    """A log as it is handed to an engine: in memory, or as a Parquet file.

    Attributes
    ----------
    table : pyarrow.Table or None
        ``case_id``, ``activity`` as a dictionary, ``timestamp`` in microseconds.
    path : str or None
        The file, with the same columns, the activity as text.
    layout : str
        How the rows lie. Engines may rely on it; pycjm is not told.
    """

    table: pa.Table | None
    path: str | None
    layout: str


@dataclass(frozen=True)
class Means:
    """What an engine may use: `memory_bytes` is None where nothing was said, `temp_dir` where none was named."""

    threads: int
    memory_bytes: int | None = None
    temp_dir: str | None = None


class Peer(Protocol):
    """One engine with one log; made from a :class:`Log` and :class:`Means`."""

    def ask(self, question: str) -> Any:
        """Answers in the engine's own form."""

    def answers(self, question: str, told: Any) -> Answers:
        """What `ask` gave, in the common form."""


@dataclass(frozen=True)
class Engine:
    """What is known of an engine before it is loaded.

    Attributes
    ----------
    place : str
        Module and class.
    packages : tuple of str
        Without the first of them it is skipped; their versions are noted.
    form : str
        In which form it is used.
    only : str or None
        The one question that it answers.
    why : str
        Why it is left out, where it is.
    most_events : int or None
        Larger logs would take it too long.
    """

    place: str
    packages: tuple[str, ...]
    form: str
    only: str | None = None
    why: str = ""
    most_events: int | None = None


ENGINES = {
    "native": Engine("mine:Native", (), "pycjm's engine in Rust"),
    "numba": Engine("mine:Numba", ("numba",), "pycjm with backend='numba': compiled kernels, the log in memory"),
    "numba-kernel": Engine(
        "numba_kernel:NumbaKernel",
        ("numba",),
        "arrays of its own with codes; kernels for these questions alone, by hand, compiled by numba",
    ),
    "reference": Engine(
        "mine:Reference",
        (),
        "pycjm with backend='reference': plain Python",
        why="it is made to be obvious, not fast",
        most_events=1_000_000,
    ),
    "polars": Engine("polars:Polars", ("polars",), "a frame with codes; stable sorts, shifted columns, one plan"),
    "polars-streaming": Engine("polars:Streaming", ("polars",), "the same with polars' streaming engine"),
    "duckdb": Engine("duckdb:Duckdb", ("duckdb",), "a table with codes and numbered rows; sort, lead() over all rows"),
    "chdb": Engine(
        "chdb:Chdb",
        ("chdb",),
        "a table with codes and numbered rows; one sorted array per case (groupArray, arraySort)",
    ),
    "pandas": Engine("pandas:Pandas", ("pandas",), "a frame with codes; one stable sort, shifted columns, group-bys"),
    "pm4py": Engine(
        "pm4py:Pm4py",
        ("pm4py", "pandas"),
        "a formatted log; discover_dfg",
        only="counts",
        why="it has no exact percentiles of gaps",
        most_events=5_000_000,
    ),
}
"""The engines by name. ``module:Class`` names one of the caller's own."""

BASELINE = "pyarrow read"
"""Not an engine: how long pyarrow takes to read the three columns of the file, and nothing else."""
BATCHES = "pyarrow batches"
"""The same batch by batch, none of which is kept: what fits into any memory."""
BASELINES = (BASELINE, BATCHES)


def load(engine: str) -> type:
    """The class of an engine.

    Raises
    ------
    ImportError, AttributeError
        A package that it needs is not there, or the caller's module has no such class.
    """
    if engine in ENGINES:
        module, name = ENGINES[engine].place.split(":")
        return getattr(importlib.import_module(f"{__name__}.{module}"), name)
    module, _, name = engine.partition(":")
    return getattr(importlib.import_module(module), name)


def check(engine: str) -> None:
    """Raises ``InvalidArgument`` for a name that is neither an engine nor ``module:Class``."""
    if engine not in ENGINES and not all(engine.partition(":")):
        raise errors.unknown("engine", engine, list(ENGINES), {"option": "engine"})
