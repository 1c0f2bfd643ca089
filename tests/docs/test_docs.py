"""Is what README and guide say true: does the code run, do links resolve, is everything public described?"""

from __future__ import annotations

import dataclasses
import inspect
import json
import re
import subprocess
from pathlib import Path
from typing import Any

import click
import doc_pages
import pyarrow as pa
import pytest
from doc_pages import PAGES, ROOT

import pycjm
from pycjm import errors
from pycjm.cli import COMMANDS, cli

DOCS = ROOT / "docs"
EXAMPLES = ROOT / "engine_rs" / "capi" / "examples"
EVERY_PAGE = pytest.mark.parametrize("path", PAGES, ids=lambda path: str(path.relative_to(ROOT)))


def text_of(path: Path) -> str:
    return path.read_text(encoding="utf-8")


def slug(heading: str) -> str:
    """The anchor that renderers of Markdown give a heading."""
    plain = re.sub(r"\[([^\]]*)\]\([^)]*\)|[`*]", r"\1", heading).strip().lower()
    return re.sub(r"[^\w\- ]", "", plain).replace(" ", "-")


def sections(path: Path) -> dict[str, str]:
    """The prose below each heading, by the heading's anchor; a section holds those of deeper headings, too."""
    page = doc_pages.prose(text_of(path))
    heads = [(len(match[1]), match[2], match.end()) for match in re.finditer(r"^(#+) (.*)$", page, re.MULTILINE)]
    found: dict[str, str] = {}
    for position, (level, title, start) in enumerate(heads):
        later = (head for head in heads[position + 1 :] if head[0] <= level)
        end = next((page.rfind("\n#", 0, head[2]) for head in later), len(page))
        anchor, number = slug(title), 0
        while anchor in found:
            number += 1
            anchor = f"{slug(title)}-{number}"
        found[anchor] = page[start:end]
    return found


def rows(section: str) -> list[list[str]]:
    """The rows of the tables of a section, without heads."""
    lines = [line for line in section.splitlines() if line.startswith("|")]
    cells = [[cell.strip() for cell in re.split(r"(?<!\\)\|", line.strip("|"))] for line in lines]
    rules = [position for position, row in enumerate(cells) if all(re.fullmatch(r":?-+:?", cell) for cell in row)]
    return [row for position, row in enumerate(cells) if position not in rules and position + 1 not in rules]


def quoted(text: str) -> set[str]:
    """Everything between backticks."""
    return set(re.findall(r"`([^`]+)`", text))


# ---- code ----


@EVERY_PAGE
def test_the_code_of_a_page_runs_and_prints_what_is_shown(path):
    with doc_pages.own_directory():
        for step, printed in doc_pages.run_page(path):
            if step.expected is not None:
                same = doc_pages.alike(step.expected, printed)
                assert same, (
                    f"{path.name}, line {step.line}:\n{step.code}\n--- the page\n{step.expected}--- now\n{printed}"
                )


@EVERY_PAGE
def test_every_block_is_of_a_kind_that_is_checked(path):
    for block in doc_pages.blocks(text_of(path)):
        assert block.language in doc_pages.LANGUAGES, f"line {block.line}: {block.language!r}"
        if block.language == "json":
            json.loads(block.text)
        elif block.language == "sh":
            subprocess.run(["bash", "-n", "-c", block.text], check=True)
        elif block.language == "console":
            assert block.text.startswith("$ "), f"line {block.line}: output without a command"


@EVERY_PAGE
def test_c_is_quoted_from_the_example_that_is_compiled(path):
    sources = [" ".join(text_of(source).split()) for source in sorted(EXAMPLES.glob("*.c"))]
    for block in doc_pages.blocks(text_of(path)):
        if block.language == "c":
            wanted = " ".join(block.text.split())
            assert any(wanted in source for source in sources), f"{path.name}, line {block.line}: in no example"


def test_plans_and_specs_shown_are_accepted(tmp_path):
    documents = [
        json.loads(block.text) for block in doc_pages.blocks(text_of(DOCS / "embedding.md")) if block.language == "json"
    ]
    assert len(documents) == 3
    known = set(pycjm.measures.ALL)
    for document in documents:
        assert document["version"] == 1
        assert {measure["measure"] for measure in document.get("measures", [])} <= known
    parameters = inspect.signature(pycjm.scan).parameters
    spec = next(document for document in documents if "paths" in document)
    assert set(spec) - {"version", "paths"} <= set(parameters)


# ---- links ----


@EVERY_PAGE
def test_links_resolve(path):
    for target in re.findall(r"\]\(([^)\s]+)\)", doc_pages.prose(text_of(path))):
        if target.startswith("https://"):
            continue
        file, _, anchor = target.partition("#")
        found = (path.parent / file).resolve() if file else path
        assert found.exists(), f"{path.name}: {target}"
        assert found.is_relative_to(ROOT), f"{path.name}: {target} lies outside of the repository"
        if anchor:
            assert anchor in sections(found), f"{path.name}: no heading {target}"


def test_every_page_of_the_guide_is_reached_from_its_index():
    linked = set(re.findall(r"\]\(([\w-]+\.md)", text_of(DOCS / "index.md")))
    assert linked == {page.name for page in DOCS.glob("*.md")} - {"index.md"}


# ---- set-up ----


def test_the_readme_has_two_commands_and_ci_runs_the_second():
    commands = [block.text.strip() for block in doc_pages.blocks(text_of(ROOT / "README.md")) if block.language == "sh"]
    assert len(commands) == 2
    assert all("\n" not in command for command in commands)
    assert commands[1] in text_of(ROOT / ".ci" / "run").splitlines()
    sample = re.search(r"pycjm mine (\S+)", commands[0])
    assert sample
    assert (ROOT / sample[1]).exists()


def recorded(name: str) -> dict[tuple[str, str], dict[str, Any]]:
    """What `pycjm bench` has recorded, by layout and engine."""
    (path,) = (ROOT / "benchmarks" / "results").glob(f"*-bench-{name}.json")
    report = json.loads(text_of(path))
    assert report["made_by"] == "pycjm bench"
    assert report["versions"]["pycjm"]["profile"] == "release"
    return {(result["layout"], result["engine"]): result for result in report["results"]}


def test_the_figures_of_the_readme_are_those_of_the_results():
    shown = rows(sections(ROOT / "README.md")["how-fast-is-it"])
    in_memory = recorded("10M-arrow")
    for layout, *cells in shown[:3]:
        native = in_memory[layout, "native"]["wall_s"]
        ratios = [in_memory[layout, engine]["wall_s"] / native for engine in ("polars", "chdb", "duckdb")]
        assert cells == [f"{native:.2f} s", *(f"{ratio:.1f}" for ratio in ratios)], layout
    assert len(shown) == 12
    for events, layout, *cells in shown[3:9]:
        results = recorded(f"{events.split()[0]}M-parquet")
        native = results[layout, "native"]
        told = [f"{native['wall_s']:.2f} s", f"{native['peak_bytes'] / 2**20:,.0f} MiB"]
        for engine in ("pyarrow read", "polars-streaming"):
            found = results.get((layout, engine))
            told.append(f"{found['wall_s']:.2f} s" if found else "-")
        assert cells == told, f"{events} {layout}"
    # By name: the newest of a layout is the last.
    reports = [
        json.loads(text_of(path)) for path in sorted((ROOT / "benchmarks" / "results").glob("*-billion-1G-*.json"))
    ]
    results = {(one["layout"], one["engine"]): one for report in reports for one in report["results"]}
    for layout, *cells in shown[9:]:
        mined, read = results[layout, "pycjm mine"], results[layout, "pyarrow batches"]
        held = [f"{mined[name] / 2**30:.1f} GiB" for name in ("peak_bytes", "spilled_bytes")]
        assert cells == [f"{mined['wall_s']:.0f} s", *held, f"{read['wall_s']:.0f} s"], layout


# ---- the command line ----


def command(name: str) -> click.Command:
    found = cli.get_command(click.Context(cli), name)
    assert found is not None
    return found


def described_options(anchor: str) -> dict[str, str]:
    """The options in the section of a command, and in the shared sections it refers to, with their meaning."""
    page = sections(DOCS / "cli.md")
    shared = re.findall(r"\(#(options-of-[\w-]+)\)", page[anchor])
    found: dict[str, str] = {}
    for row in [row for name in (anchor, *shared) for row in rows(page[name])]:
        for option in re.findall(r"`(--?[\w-]+)", row[0]):
            assert option not in found, f"{anchor}: {option} is described twice"
            found[option] = row[1]
    return found


@pytest.mark.parametrize("name", COMMANDS)
def test_the_options_of_a_command_are_those_described(name):
    described = described_options(f"pycjm-{name}")
    options = [param for param in command(name).params if isinstance(param, click.Option)]
    assert set(described) == {word for option in options for word in (*option.opts, *option.secondary_opts)}
    for option in options:
        if isinstance(option.type, click.Choice):
            for choice in option.type.choices:
                assert choice in quoted(described[option.opts[0]]), f"{option.opts[0]} {choice}"


def test_the_commands_are_those_described():
    heads = [anchor for anchor in sections(DOCS / "cli.md") if anchor.startswith("pycjm-")]
    commands = ("sample", "synth", "inspect", "mine", "merge", "map", "sort", "bench", "versions")
    assert heads == [f"pycjm-{name}" for name in commands]
    assert set(COMMANDS) == {head.removeprefix("pycjm-") for head in heads}


def test_the_options_of_the_log_are_the_arguments_of_scan():
    described = {row[0].split("`")[1].split()[0] for row in rows(sections(DOCS / "cli.md")["options-of-the-log"])}
    arguments = {f"--{name.replace('_', '-')}" for name in inspect.signature(pycjm.scan).parameters} - {"--source"}
    assert described - {"--null-value"} == arguments - {"--null-values"}


# ---- Python ----

MAIN_SECTIONS = sections(DOCS / "python.md")


def python_section(name: str) -> set[str]:
    return quoted(MAIN_SECTIONS[slug(f"`pycjm.{name}`")])


def words(quotes: set[str]) -> set[str]:
    """The names that occur in quoted code."""
    return {word for quote in quotes for word in re.findall(r"[A-Za-z_]\w*", quote)}


@pytest.mark.parametrize("name", pycjm.__all__)
def test_every_public_name_has_a_section(name):
    assert slug(f"`pycjm.{name}`") in MAIN_SECTIONS
    if inspect.isfunction(getattr(pycjm, name)):
        parameters = set(inspect.signature(getattr(pycjm, name)).parameters)
        assert parameters <= words(python_section(name))


def test_no_section_describes_what_is_not_there():
    heads = re.findall(r"^## `pycjm\.(\w+)`$", text_of(DOCS / "python.md"), re.MULTILINE)
    assert sorted(heads) == sorted(pycjm.__all__)


@pytest.mark.parametrize("name", ["EventLog", "LogDescription", "MiningResult", "Roles", "Table"])
def test_every_public_member_is_described(name):
    kind = getattr(pycjm, name)
    members = {member for member in vars(kind) if not member.startswith("_")}
    if dataclasses.is_dataclass(kind):
        members |= {field.name for field in dataclasses.fields(kind)}
    assert members <= words(python_section(name))


@pytest.mark.parametrize("name", ["mine", "sort"])
def test_every_parameter_of_a_method_is_described(name):
    parameters = set(inspect.signature(getattr(pycjm.EventLog, name)).parameters) - {"self"}
    assert parameters <= words(quoted(MAIN_SECTIONS[f"eventlog{name}"]))


def test_every_measure_and_its_options_are_described():
    quotes = python_section("measures")
    for name, kind in pycjm.measures.ALL.items():
        options = [field.name for field in dataclasses.fields(kind)]
        written = f"{name}({', '.join(f'{option}=' for option in options)})" if options else name
        assert written in quotes


def test_every_error_is_described():
    kinds = {kind.__name__ for kind in errors.BY_CODE.values()}
    assert kinds | {"PycjmError"} <= python_section("errors")


# ---- measures ----


def arrow_word(kind: pa.DataType) -> str:
    """The word of the guide for an Arrow type."""
    if pa.types.is_list(kind):
        return f"list<{arrow_word(kind.value_type)}>"
    simple = {"string": "utf8", "double": "float64"}
    text = str(kind)
    return simple.get(text) or ("timestamp" if text.startswith("timestamp") else text.partition("<")[0])


@pytest.mark.parametrize("name", pycjm.measures.ALL)
def test_the_columns_of_a_measure_are_those_described(name):
    table = pa.table(
        {
            "case": ["A", "A"],
            "activity": ["x", "y"],
            "timestamp": pa.array([1, 2], pa.timestamp("s", "UTC")),
            "start": pa.array([0, 1], pa.timestamp("s", "UTC")),
        }
    )
    metric = pycjm.case_metric(name="length")(lambda activities, times: float(len(activities)))
    asked = [metric] if name == "metrics" else [name]
    log = pycjm.scan(table, start_timestamp="start" if name == "dfg" else None)
    schema = log.mine(*asked, backend="reference")[name].schema
    found: dict[str, str] = {}
    for field in schema:
        found[re.sub(r"^p[\d_]+?(_s)?$", r"pNN\1", field.name)] = arrow_word(field.type)
    described = {row[0].strip("`"): row[1] for row in rows(sections(DOCS / "measures.md")[slug(f"`{name}`")])}
    if name == "cases":
        assert described.pop("case") == "as in the log"
        found.pop("case")
    assert described == found
    assert list(described) == list(found)


# ---- errors ----


def test_the_table_of_errors_is_that_of_the_package():
    from pycjm.cli._failure import EXIT_CODES

    described = [
        row for row in rows(sections(DOCS / "errors-and-exit-codes.md")["errors-and-exit-codes"]) if len(row) == 6
    ]
    known = [
        [
            str(kind.code),
            f"`{kind.status}`",
            f"`{kind.__name__}`",
            f"`{kind.__bases__[1].__name__}`",
            str(EXIT_CODES[code]),
        ]
        for code, kind in errors.BY_CODE.items()
    ]
    assert [row[:5] for row in described] == known


def test_every_exit_code_is_described():
    from pycjm.cli import _failure

    described = {int(row[0]) for row in rows(sections(DOCS / "errors-and-exit-codes.md")["in-a-shell"])}
    assert described == {0, *_failure.EXIT_CODES.values(), _failure.BROKEN_PIPE}
