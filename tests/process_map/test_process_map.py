"""Does the process map hang together, keep its limits, tell the truth, and survive any label?"""

from __future__ import annotations

import html
import re
from collections import Counter, deque
from itertools import pairwise

import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pycjm import errors
from pycjm.process_map import to_dot, to_mermaid

Traces = list[list[str]]


def tables(traces: Traces) -> tuple[pa.Table, pa.Table]:
    """The two result tables of some traces, counted in the plainest way; every gap is a minute and a half."""
    pairs = Counter(pair for trace in traces for pair in pairwise(trace))
    labels = sorted({label for trace in traces for label in trace})
    dfg = pa.table(
        {
            "source": pa.array([source for source, _ in pairs], pa.utf8()),
            "target": pa.array([target for _, target in pairs], pa.utf8()),
            "count": pa.array(list(pairs.values()), pa.uint64()),
            "cases": pa.array([sum(pair in list(pairwise(t)) for t in traces) for pair in pairs], pa.uint64()),
            "mean_s": pa.array([90.0] * len(pairs), pa.float64()),
        }
    )
    activities = pa.table(
        {
            "activity": pa.array(labels, pa.utf8()),
            "events": pa.array([sum(t.count(label) for t in traces) for label in labels], pa.uint64()),
            "cases": pa.array([sum(label in t for t in traces) for label in labels], pa.uint64()),
            "starts": pa.array([sum(t[0] == label for t in traces) for label in labels], pa.uint64()),
            "ends": pa.array([sum(t[-1] == label for t in traces) for label in labels], pa.uint64()),
        }
    )
    return dfg, activities


NODE = re.compile(r'  (\w+) \[(?:shape=\w+, )?label=("(?:[^"\\\n]|\\.)*")[^\n]*\];')
EDGE = re.compile(r'  (\w+) -> (\w+) \[label=("[^"\n]*")[^\n]*\];')
Parsed = tuple[dict[str, str], dict[tuple[str, str], str]]


def parsed(dot: str) -> Parsed:
    """Nodes and edges of our own form of DOT, whose lines are all known: name -> label, (name, name) -> label."""
    head, *body, foot, last = dot.split("\n")
    assert (head, foot, last) == ("digraph process_map {", "}", "")
    nodes: dict[str, str] = {}
    edges: dict[tuple[str, str], str] = {}
    for line in body:
        if found := EDGE.fullmatch(line):
            edges[found[1], found[2]] = found[3]
        elif found := NODE.fullmatch(line):
            nodes[found[1]] = found[2]
        else:
            assert re.match(r"  (graph|node|edge) \[", line), line
    return nodes, edges


def parsed_by_pydot(dot: str) -> Parsed:
    """The same by a parser that is not ours; slow."""
    pydot = pytest.importorskip("pydot")
    (graph,) = pydot.graph_from_dot_data(dot)
    defaults = {"graph", "node", "edge"}
    nodes = {
        node.get_name(): node.get_attributes()["label"] for node in graph.get_nodes() if node.get_name() not in defaults
    }
    edges = {(edge.get_source(), edge.get_destination()): edge.get_attributes()["label"] for edge in graph.get_edges()}
    return nodes, edges


def shown_label(attribute: str) -> str:
    """What Graphviz prints for a quoted label: escapes and entities undone."""
    inner = re.sub(r"\\(.)", lambda found: {"n": "\n"}.get(found[1], found[1]), attribute[1:-1], flags=re.DOTALL)
    return html.unescape(inner)


def reachable(root: str, edges: set[tuple[str, str]]) -> set[str]:
    found, waiting = {root}, deque([root])
    while waiting:
        here = waiting.popleft()
        for source, target in edges:
            if source == here and target not in found:
                found.add(target)
                waiting.append(target)
    return found


def shortest_way(traces: Traces) -> int:
    """The fewest activities on any path from the start to the end of the whole graph."""
    pairs = {pair for trace in traces for pair in pairwise(trace)}
    level, seen, ends = {trace[0] for trace in traces}, set(), {trace[-1] for trace in traces}
    n = 1
    while not level & ends:
        seen |= level
        level = {target for source, target in pairs if source in level} - seen
        n += 1
    return n


labels = st.sampled_from([f"t{number}" for number in range(25)])
logs = st.lists(st.lists(labels, min_size=1, max_size=12), min_size=1, max_size=25)


@given(logs, st.integers(1, 15), st.integers(1, 25))
@settings(max_examples=150, deadline=None)
def test_every_activity_lies_between_start_and_end_within_the_limits(
    traces: Traces, max_nodes: int, max_edges: int
) -> None:
    nodes, edges = parsed(to_dot(*tables(traces), max_nodes=max_nodes, max_edges=max_edges))
    inner = nodes.keys() - {"start", "end"}
    assert inner
    assert reachable("start", set(edges)) >= inner | {"end"}
    assert reachable("end", {(target, source) for source, target in edges}) >= inner | {"start"}
    fewest = shortest_way(traces)
    assert len(inner) <= max(max_nodes, fewest)
    assert len(edges) <= max(max_edges, fewest + 1)


@given(logs)
@settings(max_examples=60, deadline=None)
def test_without_a_binding_limit_the_map_is_the_whole_graph(traces: Traces) -> None:
    dfg, activities = tables(traces)
    nodes, edges = parsed(to_dot(dfg, activities, max_nodes=1000, max_edges=10_000))
    name = {shown_label(text).split("\n")[0]: node for node, text in nodes.items() if node not in ("start", "end")}
    expected = {(name[row["source"]], name[row["target"]]): f'"{row["count"]:,}"' for row in dfg.to_pylist()}
    for row in activities.to_pylist():
        if row["starts"]:
            expected["start", name[row["activity"]]] = f'"{row["starts"]:,}"'
        if row["ends"]:
            expected[name[row["activity"]], "end"] = f'"{row["ends"]:,}"'
    assert edges == expected


def test_another_parser_reads_the_same_graph() -> None:
    traces = [list("abcdefgh"), list("hgfabc"), list("aacceegg")]
    dot = to_dot(*tables(traces), max_nodes=6, max_edges=15)
    assert parsed_by_pydot(dot) == parsed(dot)


def test_the_most_frequent_come_first() -> None:
    traces = [["a", "b", "c"]] * 10 + [["a", "x", "c"]] * 2 + [["a", "y", "c"]]
    nodes, edges = parsed(to_dot(*tables(traces), max_nodes=4, max_edges=100))
    assert sorted(shown_label(text).split("\n")[0] for node, text in nodes.items() if node.startswith("n")) == [
        "a",
        "b",
        "c",
        "x",
    ]
    nodes, edges = parsed(to_dot(*tables(traces), max_nodes=100, max_edges=4))
    assert edges == {("start", "n0"): '"13"', ("n0", "n2"): '"10"', ("n2", "n1"): '"10"', ("n1", "end"): '"13"'}


def test_a_rare_bridge_is_shown_where_a_frequent_activity_needs_it() -> None:
    # "loop" is by far the most frequent, but only "rare" leads out of it.
    traces = [["in", *["loop"] * 50, "rare", "out"]] + [["in", "out"]] * 5
    nodes, _ = parsed(to_dot(*tables(traces), max_nodes=4, max_edges=6))
    assert {shown_label(text).split("\n")[0] for node, text in nodes.items() if node.startswith("n")} == {
        "in",
        "loop",
        "rare",
        "out",
    }


def test_limits_below_the_shortest_way_give_that_way() -> None:
    traces = [list("abcdef")] * 3 + [list("axf")]
    nodes, edges = parsed(to_dot(*tables(traces), max_nodes=1, max_edges=1))
    assert [shown_label(nodes[name]) for name in sorted(nodes) if name.startswith("n")] == ["a\n4", "f\n4", "x\n1"]
    assert len(edges) == 4


def test_a_long_chain_of_labels_is_selected_quickly() -> None:
    traces = [[f"step {number:05}" for number in range(3_000)], ["step 00000", "short cut", "step 02999"]]
    pairs = [pair for trace in traces for pair in pairwise(trace)]
    names = sorted({label for trace in traces for label in trace})
    dfg = pa.table({"source": [s for s, _ in pairs], "target": [t for _, t in pairs], "count": [1] * len(pairs)})
    ends = {"step 00000": (2, 0), "step 02999": (0, 2)}
    activities = pa.table(
        {
            "activity": names,
            "events": [2 if name in ends else 1 for name in names],
            "starts": [ends.get(name, (0, 0))[0] for name in names],
            "ends": [ends.get(name, (0, 0))[1] for name in names],
        }
    )
    nodes, _ = parsed(to_dot(dfg, activities))
    assert {"step 00000\n2", "short cut\n1", "step 02999\n2"} <= {shown_label(text) for text in nodes.values()}


UGLY = [
    'say "hi"',
    "back\\slash",
    "end\\",
    "two\nlines",
    "a&b &amp; <b>bold</b>",
    "Straße ✓ 电话",
    "x|y",
    "[z] {w} (v)",
    "",
    "`tick`",
    "#35;",
    "end",
    "\\N\\n",
]


@pytest.mark.parametrize("label", UGLY)
def test_any_label_survives_dot(label: str) -> None:
    nodes, edges = parsed_by_pydot(to_dot(*tables([[label, "next"]])))
    assert len(nodes) == 4
    assert len(edges) == 3
    assert f"{label or '(empty)'}\n1" in {shown_label(text) for text in nodes.values()}


@given(st.text(st.characters(exclude_categories=["Cs", "Cc"]), min_size=1).filter(str.strip))
@settings(max_examples=100, deadline=None)
def test_any_text_survives_mermaid(label: str) -> None:
    quoted = next(line for line in to_mermaid(*tables([[label]])).split("\n") if line.startswith("  n0["))
    inside = re.fullmatch(r'  n0\["(.*)<br/>1"\]', quoted)[1]
    assert not set(inside) & set('"`|[](){}<>&\\'), "a character that Mermaid, Markdown or HTML would read"
    assert re.sub(r"#(\d+);", lambda found: chr(int(found[1])), inside) == label


def test_mermaid_has_the_same_nodes_and_edges_as_dot() -> None:
    traces = [list("abcd"), list("acbd"), list("ad"), list("abbd")] * 3 + [list("azd")]
    nodes, edges = parsed(to_dot(*tables(traces), max_nodes=4, max_edges=9))
    text = to_mermaid(*tables(traces), max_nodes=4, max_edges=9)
    found = re.findall(r'^  (\w+) -\.?->\|"([\d,]+)"\| (\w+)$', text, re.MULTILINE)
    finish = {"finish": "end"}
    assert {(s, finish.get(t, t)): f'"{count}"' for s, count, t in found} == edges
    assert set(re.findall(r"^  (n\d+)\[", text, re.MULTILINE)) == nodes.keys() - {"start", "end"}
    assert len(re.findall("linkStyle", text)) == len(edges)


def test_the_metric_is_written_and_the_width_stays_the_count() -> None:
    traces = [list("abc")] * 4 + [list("ac")] * 2
    dot = to_dot(*tables(traces), metric="mean_s")
    assert 'n0 -> n2 [label="1 min 30 s", penwidth=3.50]' in dot
    assert 'label="4"' in to_dot(*tables(traces), metric="cases")


def test_a_percentile_with_bounds_is_written_with_them() -> None:
    dfg, activities = tables([list("abc")] * 4)
    count = dfg.num_rows
    for name, seconds in (("p50_s", 3600.0), ("p50_lo_s", 3570.0), ("p50_hi_s", 3630.0)):
        dfg = dfg.append_column(name, pa.array([seconds] * count))
    assert 'label="1 h ± 1 min"' in to_dot(dfg, activities, metric="p50_s")
    assert "1 h ± 1 min" in to_mermaid(dfg, activities, metric="p50_s")
    assert 'label="59 min 30 s"' in to_dot(dfg, activities, metric="p50_lo_s")


def test_the_order_of_rows_does_not_matter() -> None:
    dfg, activities = tables([list("abcd"), list("acbd"), list("badc")])
    backwards = [table.take(list(reversed(range(table.num_rows)))) for table in (dfg, activities)]
    for write in (to_dot, to_mermaid):
        assert write(dfg, activities, max_nodes=3, max_edges=5) == write(*backwards, max_nodes=3, max_edges=5)


def test_an_empty_log_is_an_empty_map() -> None:
    dfg, activities = tables([])
    assert parsed(to_dot(dfg, activities)) == ({}, {})
    assert to_mermaid(dfg, activities) == "flowchart LR\n"


@pytest.mark.parametrize(
    "wrong", [{"max_nodes": 0}, {"max_edges": -1}, {"metric": "countt"}, {"rankdir": "XX"}, {"metric": "source"}]
)
def test_wrong_options_are_refused(wrong: dict[str, object]) -> None:
    with pytest.raises(errors.InvalidArgument):
        to_dot(*tables([list("ab")]), **wrong)


def test_tables_of_two_results_are_refused() -> None:
    with pytest.raises(errors.InvalidArgument, match="'b'"):
        to_dot(tables([list("ab")])[0], tables([list("a")])[1])


def test_what_a_cut_table_no_longer_joins_is_left_out() -> None:
    dfg, activities = tables([list("abc"), list("ac")])
    kept = [(row["source"], row["target"]) != ("a", "b") for row in dfg.to_pylist()]
    nodes, _ = parsed(to_dot(dfg.filter(pa.array(kept)), activities))
    assert len([name for name in nodes if name.startswith("n")]) == 2
