"""What does mining give back, and what can be done with it?

A mapping from the names of measures to tables, with what is known of the run.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from os import PathLike
from typing import TYPE_CHECKING, Any

from . import errors
from .table import Table

if TYPE_CHECKING:
    import pyarrow as pa

Edges = dict[tuple[str, str], int]


class MiningResult(Mapping[str, Table]):
    """The tables of one run.

    Parameters
    ----------
    tables : dict of str to Table
        In the order of the measures.
    info : dict
        How the run went.
    run_info : callable, optional
        Gives what :meth:`write` notes beside the tables: ``inputs`` and ``options``.
    state : Table, optional
        The state that was kept.

    Attributes
    ----------
    info : dict
        ``backend`` and ``rows``; from the native backend also ``layout``, ``threads``, ``phases`` with their seconds,
        and what it held of memory at most.

    Examples
    --------
    >>> import pycjm
    >>> result = pycjm.sample().mine("overview", "dfg")
    >>> list(result)
    ['overview', 'dfg']
    >>> result.info["backend"]
    'native'
    """

    def __init__(
        self,
        tables: dict[str, Table],
        info: dict[str, Any],
        run_info: Callable[[], dict[str, Any]] = dict,
        state: Table | None = None,
    ) -> None:
        self._tables = tables
        self._state = state
        self._run_info = run_info
        self.info = info

    def __getitem__(self, name: str) -> Table:
        try:
            return self._tables[name]
        except KeyError:
            raise _NotMined(name, list(self._tables)) from None

    def __contains__(self, name: object) -> bool:
        return name in self._tables

    def __iter__(self) -> Iterator[str]:
        return iter(self._tables)

    def __len__(self) -> int:
        return len(self._tables)

    def __eq__(self, other: object) -> bool:
        return self is other

    __hash__ = object.__hash__

    @property
    def state(self) -> Table:
        """What was kept of the log, for :func:`pycjm.merge`.

        Raises
        ------
        InvalidArgument
            None was kept.

        Examples
        --------
        >>> import pycjm
        >>> pycjm.sample().mine("overview", state=True).state.columns
        ['part', 'labels', 'path', 'ticks', 'counts', 'negatives', 'ids']
        """
        if self._state is None:
            raise errors.InvalidArgument("no state was kept of this log; mine it with state=True.", {"option": "state"})
        return self._state

    def to_pm4py(self) -> tuple[Edges, dict[str, int], dict[str, int]]:
        """The directly-follows graph as pm4py has it.

        Returns
        -------
        tuple of dict
            ``{(source, target): count}``, ``{activity: starts}``, ``{activity: ends}``, without zeros.

        Raises
        ------
        InvalidArgument
            ``dfg`` or ``activities`` was not mined.

        Examples
        --------
        >>> import pycjm
        >>> dfg, starts, ends = pycjm.sample().mine().to_pm4py()
        >>> sum(starts.values()) == sum(ends.values())
        True
        """
        dfg, activities = self._graph("to_pm4py()")
        edges = zip(*(dfg[name].to_pylist() for name in ("source", "target", "count")), strict=True)
        names = activities["activity"].to_pylist()

        def counted(column: str) -> dict[str, int]:
            return {name: n for name, n in zip(names, activities[column].to_pylist(), strict=True) if n}

        return {(source, target): count for source, target, count in edges}, counted("starts"), counted("ends")

    def to_dot(self, **options: Any) -> str:
        """The process map as Graphviz DOT.

        Parameters
        ----------
        **options
            As in :func:`pycjm.process_map.to_dot`: ``max_nodes``, ``max_edges``, ...

        Returns
        -------
        str

        Examples
        --------
        >>> import pycjm
        >>> pycjm.sample().mine().to_dot(max_nodes=5).startswith("digraph")
        True
        """
        from .process_map import to_dot

        return to_dot(*self._graph("to_dot()"), **options)

    def to_mermaid(self, **options: Any) -> str:
        """The process map as Mermaid text; the options are those of :meth:`to_dot`."""
        from .process_map import to_mermaid

        return to_mermaid(*self._graph("to_mermaid()"), **options)

    def write(self, directory: str | PathLike[str], format: str = "parquet", overwrite: bool = False) -> None:
        """Writes every table and ``run.json`` into a directory, which appears whole or not at all.

        Parameters
        ----------
        directory : path-like
            The directory to make.
        format : {"parquet", "arrow", "csv", "json"}
            Of the files.
        overwrite : bool
            Whether an existing directory may be replaced.
        """
        from .export import write_result

        write_result(self, directory, format=format, overwrite=overwrite, run_info=self._run_info())

    def _graph(self, purpose: str) -> tuple[pa.Table, pa.Table]:
        missing = [name for name in ("dfg", "activities") if name not in self._tables]
        if missing:
            raise errors.InvalidArgument(
                f"{purpose} needs the measures 'dfg' and 'activities'; not mined: {', '.join(missing)}.",
                {"missing": missing},
            )
        return self["dfg"].to_pyarrow(), self["activities"].to_pyarrow()

    def __repr__(self) -> str:
        parts = [f"MiningResult: {', '.join(self._tables)}"]
        parts += [repr(table) for table in self._tables.values()]
        return "\n\n".join(parts)

    def _repr_html_(self) -> str:
        import html

        title = f"<p>MiningResult: {html.escape(', '.join(self._tables))}</p>"
        return title + "".join(table._repr_html_() for table in self._tables.values())


class _NotMined(errors.InvalidArgument, KeyError):
    """A table that is not there: a mapping has to raise KeyError, and the text should help all the same."""

    def __init__(self, name: str, known: list[str]) -> None:
        found = errors.unknown("table", str(name), known)
        super().__init__(f"{found.message} Name the measure in mine(...).", found.details)

    def __reduce__(self) -> tuple[Any, ...]:
        return (errors.InvalidArgument, (self.message, self.details))
