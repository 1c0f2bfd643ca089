"""How does a log look as a map: which activities and edges are shown, and how are they written as DOT or Mermaid?

A map of a real log with every edge is unreadable, so only the frequent part is drawn. What is drawn hangs together:
every activity shown lies on a path, of edges shown, from the start of the map to its end. The selection is by counts
alone, so it is the same for every metric that is written at the edges.

The selection
-------------
The start is connected to each activity with as many cases as start there, each activity to the end likewise.

1. Two spanning trees of the whole graph: along the widest paths from the start to each activity, and from each
   activity to the end. The widest path is the one whose rarest edge is the most frequent; it is found by Dijkstra's
   algorithm with maximum and minimum in place of minimum and sum.
2. Activities are taken in the order of their frequency. With an activity come the activities and edges of the trees
   that join it, on either side, to what is already there. If they exceed a limit, the paths with the fewest edges are
   tried, on one side and on both; if these exceed it too, the activity is left out.
3. The most frequent of the remaining edges between activities shown fill up the limit.

Limits too small for even the shortest way from start to end give that way, and nothing else.
Cost: O(E log V) for E edges and V activities, besides the paths of activities left out.
"""

from __future__ import annotations

import heapq
import math
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

from . import _human, errors

if TYPE_CHECKING:
    import pyarrow as pa

START, END = -1, -2
"""The two artificial nodes; all others are positions in the list of activities by frequency."""

RANKDIRS = ("LR", "TB", "RL", "BT")


class _Edge(NamedTuple):
    source: int
    target: int


@dataclass(frozen=True)
class _Graph:
    """The whole directly-follows graph with the start and the end; activities by frequency, then label."""

    labels: list[str]
    node_texts: list[str]
    counts: dict[_Edge, int]
    edge_texts: dict[_Edge, str]


@dataclass(frozen=True)
class _Map:
    """What is shown: positions of activities in ascending order, edges by count, then position."""

    nodes: list[int]
    edges: list[_Edge]


def to_dot(
    dfg: pa.Table,
    activities: pa.Table,
    *,
    max_nodes: int = 30,
    max_edges: int = 60,
    metric: str = "count",
    rankdir: str = "LR",
) -> str:
    """The process map as text for Graphviz.

    Parameters
    ----------
    dfg, activities : pyarrow.Table
        The tables of these names of one result.
    max_nodes : int
        Most activities to show; start and end do not count.
    max_edges : int
        Most edges to show, those from the start and to the end included.
    metric : str
        What stands at the edges: ``"count"``, ``"cases"`` or any column of `dfg` in seconds, such as ``"p50_s"``, which
        comes with its bounds if `dfg` has them. The width of a line always shows the count.
    rankdir : {"LR", "TB", "RL", "BT"}
        Where the map runs to.

    Returns
    -------
    str
        A ``digraph``. Same tables, same text.

    Raises
    ------
    InvalidArgument
        A limit below 1, an unknown metric or direction.

    Examples
    --------
    >>> import pyarrow as pa
    >>> dfg = pa.table({"source": ["a"], "target": ["b"], "count": [2], "cases": [2], "mean_s": [90.0]})
    >>> activities = pa.table(
    ...     {"activity": ["a", "b"], "events": [2, 2], "cases": [2, 2], "starts": [2, 0], "ends": [0, 2]}
    ... )
    >>> print(to_dot(dfg, activities, metric="mean_s"))
    digraph process_map {
      graph [rankdir=LR, fontname="Helvetica"];
      node [shape=box, style="rounded,filled", fillcolor="#eef3fa", color="#5b7ba5", fontname="Helvetica"];
      edge [color="#5b6b7f", fontname="Helvetica", fontsize=10];
      start [shape=circle, label="", xlabel="start", width=0.25, fillcolor="#4a9c5d"];
      end [shape=doublecircle, label="", xlabel="end", width=0.2, fillcolor="#b5493f"];
      n0 [label="a\\n2"];
      n1 [label="b\\n2"];
      start -> n0 [label="2", penwidth=5.00, style=dashed];
      n0 -> n1 [label="1 min 30 s", penwidth=5.00];
      n1 -> end [label="2", penwidth=5.00, style=dashed];
    }
    <BLANKLINE>
    """
    graph, shown = _prepare(dfg, activities, max_nodes, max_edges, metric, rankdir)
    widest = max((graph.counts[edge] for edge in shown.edges), default=1)
    lines = [
        "digraph process_map {",
        f'  graph [rankdir={rankdir}, fontname="Helvetica"];',
        '  node [shape=box, style="rounded,filled", fillcolor="#eef3fa", color="#5b7ba5", fontname="Helvetica"];',
        '  edge [color="#5b6b7f", fontname="Helvetica", fontsize=10];',
    ]
    if shown.nodes:
        lines.append('  start [shape=circle, label="", xlabel="start", width=0.25, fillcolor="#4a9c5d"];')
        lines.append('  end [shape=doublecircle, label="", xlabel="end", width=0.2, fillcolor="#b5493f"];')
    lines += [
        f'  {_name(node)} [label="{_dot(graph.labels[node])}\\n{_dot(graph.node_texts[node])}"];'
        for node in shown.nodes
    ]
    for edge in shown.edges:
        style = ", style=dashed" if _is_artificial(edge) else ""
        width = 0.5 + 4.5 * graph.counts[edge] / widest
        label = _dot(graph.edge_texts[edge])
        lines.append(f'  {_name(edge.source)} -> {_name(edge.target)} [label="{label}", penwidth={width:.2f}{style}];')
    return "\n".join([*lines, "}", ""])


def to_mermaid(
    dfg: pa.Table,
    activities: pa.Table,
    *,
    max_nodes: int = 30,
    max_edges: int = 60,
    metric: str = "count",
    rankdir: str = "LR",
) -> str:
    """The process map as a Mermaid flowchart, as Markdown renderers understand it.

    Parameters, result and errors are those of :func:`to_dot`.

    Examples
    --------
    >>> import pyarrow as pa
    >>> dfg = pa.table({"source": ["a"], "target": ["b"], "count": [2], "cases": [2], "mean_s": [90.0]})
    >>> activities = pa.table(
    ...     {"activity": ["a", "b"], "events": [2, 2], "cases": [2, 2], "starts": [2, 0], "ends": [0, 2]}
    ... )
    >>> print(to_mermaid(dfg, activities))
    flowchart LR
      start(("start"))
      finish((("end")))
      n0["a<br/>2"]
      n1["b<br/>2"]
      start -.->|"2"| n0
      n0 -->|"2"| n1
      n1 -.->|"2"| finish
      linkStyle 0 stroke-width:5.00px
      linkStyle 1 stroke-width:5.00px
      linkStyle 2 stroke-width:5.00px
    <BLANKLINE>
    """
    graph, shown = _prepare(dfg, activities, max_nodes, max_edges, metric, rankdir)
    widest = max((graph.counts[edge] for edge in shown.edges), default=1)
    lines = [f"flowchart {rankdir}"]
    if shown.nodes:
        lines += ['  start(("start"))', '  finish((("end")))']
    for node in shown.nodes:
        lines.append(f'  {_name(node)}["{_mermaid(graph.labels[node])}<br/>{_mermaid(graph.node_texts[node])}"]')
    # "end" is a word of Mermaid's own and breaks the chart as the name of a node.
    names = {END: "finish"}
    for edge in shown.edges:
        arrow = "-.->" if _is_artificial(edge) else "-->"
        ends = [names.get(node, _name(node)) for node in edge]
        lines.append(f'  {ends[0]} {arrow}|"{_mermaid(graph.edge_texts[edge])}"| {ends[1]}')
    for position, edge in enumerate(shown.edges):
        lines.append(f"  linkStyle {position} stroke-width:{0.5 + 4.5 * graph.counts[edge] / widest:.2f}px")
    return "\n".join([*lines, ""])


def _prepare(
    dfg: pa.Table, activities: pa.Table, max_nodes: int, max_edges: int, metric: str, rankdir: str
) -> tuple[_Graph, _Map]:
    for name, value in (("max_nodes", max_nodes), ("max_edges", max_edges)):
        if not isinstance(value, int) or value < 1:
            raise errors.InvalidArgument(f"{name} is a whole number from 1, not {value!r}.", {"option": name})
    if rankdir not in RANKDIRS:
        raise errors.unknown("direction", str(rankdir), list(RANKDIRS))
    known = [name for name in dfg.column_names if name in ("count", "cases") or name.endswith("_s")]
    if metric not in known:
        raise errors.unknown("metric", str(metric), known)
    graph = _graph(dfg, activities, metric)
    return graph, _select(graph, max_nodes, max_edges)


def _graph(dfg: pa.Table, activities: pa.Table, metric: str) -> _Graph:
    labels: list[str] = activities["activity"].to_pylist()
    events: list[int] = activities["events"].to_pylist()
    order = sorted(range(len(labels)), key=lambda row: (-events[row], labels[row]))
    position = {labels[row]: place for place, row in enumerate(order)}
    if strangers := set(dfg["source"].to_pylist()).union(dfg["target"].to_pylist()) - position.keys():
        raise errors.InvalidArgument(
            f"the edges name {min(strangers)!r}, which is not among the activities: pass two tables of one result."
        )
    shown_at_node = activities["cases" if metric == "cases" else "events"].to_pylist()
    bounds = _human.bounds_of(metric, dfg.column_names)
    write: Callable[..., str] = _human.count if metric in ("count", "cases") else _human.duration
    if bounds:
        write = _human.within
    columns = (dfg[name].to_pylist() for name in ("source", "target", "count", metric, *bounds))
    counts: dict[_Edge, int] = {}
    texts: dict[_Edge, str] = {}
    for source, target, count, *value in zip(*columns, strict=True):
        edge = _Edge(position[source], position[target])
        counts[edge] = count
        texts[edge] = write(*value)
    for column, make in (("starts", lambda node: _Edge(START, node)), ("ends", lambda node: _Edge(node, END))):
        for row, count in enumerate(activities[column].to_pylist()):
            if count:
                edge = make(position[labels[row]])
                counts[edge] = count
                texts[edge] = _human.count(count)
    return _Graph([labels[row] for row in order], [_human.count(shown_at_node[row]) for row in order], counts, texts)


def _select(graph: _Graph, max_nodes: int, max_edges: int) -> _Map:
    """The selection that the head of this file describes."""
    wide, short = _trees(graph, by_width=True), _trees(graph, by_width=False)
    trees = [(wide[0], wide[1]), (wide[0], short[1]), (short[0], wide[1]), (short[0], short[1])]
    nodes: set[int] = set()
    edges: set[_Edge] = set()
    for node in range(len(graph.labels)):
        if len(nodes) == max_nodes:
            break
        if node in nodes:
            continue
        for before, after in trees:
            path = _joining(node, before, after, nodes, max_edges)
            if path is None:
                continue
            new_nodes = {end for edge in path for end in edge if end >= 0} - nodes
            if len(nodes) + len(new_nodes) <= max_nodes and len(edges.union(path)) <= max_edges:
                nodes |= new_nodes
                edges.update(path)
                break
    if not nodes:
        edges = set(_shortest_way(graph, *short))
        return _sorted_map(graph, {end for edge in edges for end in edge if end >= 0}, edges)
    shown = nodes | {START, END}
    rest = (edge for edge in graph.counts if edge.source in shown and edge.target in shown and edge not in edges)
    edges.update(_by_count(graph, rest)[: max_edges - len(edges)])
    return _sorted_map(graph, nodes, edges)


def _trees(graph: _Graph, *, by_width: bool) -> tuple[dict[int, _Edge], dict[int, _Edge]]:
    """For each activity the edge by which the best path from the start arrives, and by which that to the end leaves."""
    forward: dict[int, list[_Edge]] = {}
    backward: dict[int, list[_Edge]] = {}
    for edge in _by_count(graph, graph.counts):
        forward.setdefault(edge.source, []).append(edge)
        backward.setdefault(edge.target, []).append(edge)
    before = _tree(START, lambda node: [(edge.target, edge) for edge in forward.get(node, ())], graph, by_width)
    after = _tree(END, lambda node: [(edge.source, edge) for edge in backward.get(node, ())], graph, by_width)
    return before, after


def _tree(
    root: int, neighbours: Callable[[int], list[tuple[int, _Edge]]], graph: _Graph, by_width: bool
) -> dict[int, _Edge]:
    """Dijkstra's algorithm from `root`; a path's key is its width and its number of edges, or the other way round."""
    tree: dict[int, _Edge] = {}
    done: set[int] = set()
    first_key = (-math.inf, 0) if by_width else (0, -math.inf)
    heap: list[tuple[float, float, int, _Edge | None]] = [(*first_key, root, None)]
    while heap:
        first, second, node, edge = heapq.heappop(heap)
        if node in done:
            continue
        done.add(node)
        if edge is not None:
            tree[node] = edge
        for neighbour, step in neighbours(node):
            if neighbour not in done and neighbour != END and neighbour != START:
                if by_width:
                    key = (max(first, -graph.counts[step]), second + 1)
                else:
                    key = (first + 1, max(second, -graph.counts[step]))
                heapq.heappush(heap, (*key, neighbour, step))
    return tree


def _joining(
    node: int, before: dict[int, _Edge], after: dict[int, _Edge], nodes: set[int], limit: float = math.inf
) -> list[_Edge] | None:
    """The edges of both trees that join `node` to `nodes`, or to start and end where they meet none before.

    None if they are more than `limit`, or if the graph has no such path: that is so only in tables somebody has cut.
    """
    path: list[_Edge] = []
    for tree, root, towards in ((before, START, 0), (after, END, 1)):
        here = node
        while here != root and here not in nodes:
            if here not in tree or len(path) >= limit:
                return None
            path.append(tree[here])
            here = tree[here][towards]
    return path


def _shortest_way(graph: _Graph, before: dict[int, _Edge], after: dict[int, _Edge]) -> list[_Edge]:
    """The path from start to end with the fewest edges; nothing if the log is empty."""
    starts = (node for node in range(len(graph.labels)) if _Edge(START, node) in graph.counts)
    ways = [_joining(node, before, after, set()) for node in starts]
    return min((way for way in ways if way is not None), key=len, default=[])


def _sorted_map(graph: _Graph, nodes: Iterable[int], edges: Iterable[_Edge]) -> _Map:
    return _Map(sorted(nodes), _by_count(graph, edges))


def _by_count(graph: _Graph, edges: Iterable[_Edge]) -> list[_Edge]:
    return sorted(edges, key=lambda edge: (-graph.counts[edge], edge))


def _is_artificial(edge: _Edge) -> bool:
    return edge.source == START or edge.target == END


def _name(node: int) -> str:
    return {START: "start", END: "end"}.get(node) or f"n{node}"


def _dot(text: str) -> str:
    """Text inside a double-quoted DOT string; a backslash would start an escape, a line break end the line."""
    lines = _visible(text).replace("\\", "\\\\").replace('"', '\\"').split("\n")
    # Graphviz reads HTML entities in labels, so that an ampersand has to be one.
    return "\\n".join(lines).replace("&", "&amp;")


def _mermaid(text: str) -> str:
    """Text inside a double-quoted Mermaid string: what could be syntax, Markdown or HTML as a character's number."""
    plain = "_-.,/ "
    escaped = (
        "<br/>" if mark == "\n" else mark if mark.isalnum() or mark in plain or ord(mark) > 127 else f"#{ord(mark)};"
        for mark in _visible(text)
    )
    return "".join(escaped)


def _visible(text: str) -> str:
    """The text with one kind of line break, control characters as pictures, and something to see if it is empty."""
    joined = text.replace("\r\n", "\n").replace("\r", "\n")
    marked = "".join(chr(0x2400 + ord(mark)) if ord(mark) < 32 and mark != "\n" else mark for mark in joined)
    return marked if marked.strip() else "(empty)"
