"""Does every part use only what lies below it?

The floors are those of docs/architecture.md. Between crates the compiler keeps them; inside a crate and inside the
package these tests do. A floor is a line of the table, the lowest first; parts of one floor do not know each other.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from pycjm.cli import COMMANDS

ROOT = Path(__file__).resolve().parents[2]
CORE = ROOT / "engine_rs" / "core" / "src"
PACKAGE = ROOT / "pycjm"

CORE_FLOORS = [
    {"error"},
    {"units", "memory", "machine", "hash"},
    {"spill", "turns"},
    {"context", "stats"},
    {"workers"},
    {"log"},
    {"cases"},
    {"journey"},
    {"plan"},
    {"measure"},
    {"tables", "state"},
    {"run"},
]
"""The modules of the engine."""

SHARED_BY_MEASURES = {"columns", "statistics", "folds"}
"""What lies beside the measures and is no measure."""

PACKAGE_FLOORS = [
    {"errors"},
    {"_lib"},
    {"_arrow"},
    # The public API; its modules have an order of their own, without cycles.
    {"*"},
    {"cli"},
    {"__main__"},
]
"""The modules of the Python package; ``*`` stands for those that no other floor names."""


def floor_of(part: str, floors: list[set[str]]) -> int:
    """The position of a part's floor."""
    for position, parts in enumerate(floors):
        if part in parts:
            return position
    for position, parts in enumerate(floors):
        if "*" in parts:
            return position
    raise AssertionError(f"{part!r} has no floor: give it one here and in docs/architecture.md")


# ---- the engine ----


def rust_code(path: Path) -> str:
    """The code of a module without its tests, comments and texts; tests may use anything."""
    text = path.read_text(encoding="utf-8").split("#[cfg(test)]\nmod tests")[0]
    text = re.sub(r"//[^\n]*", "", text)
    return re.sub(r'"(?:\\.|[^"\\])*"', '""', text)


def crate_paths(code: str) -> Iterator[tuple[str, str]]:
    """First and second name of every path that starts at the root of the crate."""
    for match in re.finditer(r"\bcrate::(?:(\w+)(?:::(\w+))?|\{)", code):
        if match[1]:
            yield match[1], match[2] or ""
        else:
            yield from ((name, "") for name in group_names(code[match.end() :]))


def group_names(code: str) -> Iterator[str]:
    """The first names inside the braces that the code begins in."""
    depth, name = 1, ""
    for char in code:
        depth += (char == "{") - (char == "}")
        if depth == 0 or (depth == 1 and char == ","):
            if name.strip():
                yield re.split(r"::|\s", name.strip())[0]
            name = ""
        elif depth == 1:
            name += char
        if depth == 0:
            return


def core_part(path: Path) -> str:
    """The top module that a file belongs to."""
    relative = path.relative_to(CORE)
    return relative.parts[0].removesuffix(".rs")


def core_files() -> list[Path]:
    """All modules of the engine but its root, which names them all."""
    return [path for path in sorted(CORE.rglob("*.rs")) if path.name != "lib.rs"]


def test_paths_of_every_form_are_seen():
    code = (
        "use crate::error::{Error, Result};\nuse crate::{log::source, run::{mine, Table}, plan};\ncrate::hash::of(1);"
    )
    assert [first for first, _ in crate_paths(code)] == ["error", "log", "run", "plan", "hash"]


def test_the_guide_shows_these_floors():
    page = (ROOT / "docs" / "architecture.md").read_text(encoding="utf-8")
    table = page.split("| the engine | |")[1].split("\n\n")[0]
    told = [set(re.findall(r"`(\w+)`", line.split("|")[1])) for line in table.splitlines() if line.startswith("| `")]
    parts = {core_part(path) for path in core_files()}
    assert told == [floor & parts for floor in CORE_FLOORS if floor & parts]


def test_every_module_of_the_engine_has_a_floor():
    parts = {core_part(path) for path in core_files()}
    assert parts, "the sources of the engine are not here"
    for part in parts:
        floor_of(part, CORE_FLOORS)


@pytest.mark.parametrize("path", core_files(), ids=lambda path: str(path.relative_to(CORE)))
def test_the_engine_uses_lower_floors_only(path):
    part = core_part(path)
    for used, _ in crate_paths(rust_code(path)):
        if used == part or used[0].isupper():  # constants of the root
            continue
        assert floor_of(used, CORE_FLOORS) < floor_of(part, CORE_FLOORS), f"{part} uses {used}, which is not below it"


@pytest.mark.parametrize(
    "path", sorted((CORE / "measure").glob("*/*.rs")), ids=lambda path: f"{path.parent.name}/{path.name}"
)
def test_measures_do_not_know_each_other(path):
    own = path.parent.name
    for first, second in crate_paths(rust_code(path)):
        if first == "measure" and second != own:
            known = second in SHARED_BY_MEASURES - {"folds"}
            assert known, f"{own} uses {second}"


def test_only_the_crate_of_the_abi_speaks_c():
    assert "forbid(unsafe_code)" in (CORE / "lib.rs").read_text(encoding="utf-8")
    for path in core_files():
        assert not re.search(r'extern\s+"C"|#\[(unsafe\()?no_mangle', path.read_text(encoding="utf-8")), path


# ---- the Python package ----


def module_of(path: Path) -> str:
    """The dotted name of a module inside the package; empty for the package itself."""
    parts = path.relative_to(PACKAGE).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


MODULES = {module_of(path): path for path in sorted(PACKAGE.rglob("*.py")) if "_native" not in path.parts}


def imported(module: str, *, late: bool) -> set[str]:
    """The modules of the package that a module imports: when it is loaded, or with `late` also inside functions.

    Imports for type checkers do not count; they are never run.
    """
    path = MODULES[module]
    tree = ast.parse(path.read_text(encoding="utf-8"))
    package = module.split(".") if path.name == "__init__.py" else module.split(".")[:-1]
    found: set[str] = set()
    for node in statements(tree, late=late):
        if isinstance(node, ast.Import):
            found |= {name.name.removeprefix("pycjm").lstrip(".") for name in node.names if is_ours(name.name)}
        elif node.level or is_ours(node.module or ""):
            base = (node.module or "").removeprefix("pycjm").lstrip(".").split(".") if not node.level else []
            if node.level:
                base = [*package[: len(package) - node.level + 1], *(node.module or "").split(".")]
            base = [part for part in base if part]
            for name in node.names:
                whole = ".".join([*base, name.name])
                found.add(whole if whole in MODULES else ".".join(base))
    return found - {module}


def is_ours(name: str) -> bool:
    """Whether a module's full name lies in the package, the generated library aside."""
    return (name == "pycjm" or name.startswith("pycjm.")) and not name.startswith("pycjm._native")


def statements(tree: ast.AST, *, late: bool) -> Iterator[ast.Import | ast.ImportFrom]:
    """The import statements that are run."""
    for node in ast.iter_child_nodes(tree):
        if isinstance(node, (ast.Import, ast.ImportFrom)):
            yield node
        elif isinstance(node, ast.If) and "TYPE_CHECKING" in ast.unparse(node.test):
            continue
        elif late or not isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef)):
            yield from statements(node, late=late)


def package_part(module: str) -> str:
    """The top module; the package itself is part of the public API."""
    return module.split(".")[0] or "__init__"


@pytest.mark.parametrize("module", MODULES)
def test_the_package_uses_lower_floors_only(module):
    floor = floor_of(package_part(module), PACKAGE_FLOORS)
    for used in imported(module, late=True):
        below = floor_of(package_part(used), PACKAGE_FLOORS)
        same_part = package_part(used) == package_part(module)
        same_room = below == floor and "*" in PACKAGE_FLOORS[floor]
        assert below < floor or same_part or same_room, f"{module} imports {used}, which is not below it"


def test_no_module_is_needed_before_it_is_loaded():
    edges = {module: imported(module, late=False) - {""} for module in MODULES if module}
    done: set[str] = set()

    def visit(module: str, path: tuple[str, ...]) -> None:
        assert module not in path, "a cycle: " + " -> ".join([*path[path.index(module) :], module])
        if module not in done:
            for used in sorted(edges.get(module, ())):
                visit(used, (*path, module))
            done.add(module)

    for module in edges:
        visit(module, ())


def test_backends_do_not_know_each_other():
    names = ("native", "numba", "reference")
    for name in names:
        for used in imported(f"backends.{name}", late=True):
            assert used not in {f"backends.{other}" for other in names if other != name}, f"{name} imports {used}"


def test_commands_do_not_know_each_other():
    commands = {module for module in MODULES if re.fullmatch(r"cli\.[a-z]\w*", module)}
    for module in commands:
        assert not imported(module, late=True) & commands, module


def test_every_command_that_works_on_a_log_is_ready_for_signals():
    """One that does not say so ends at once, and leaves behind what it has begun to write."""
    loading = MODULES["cli._loading"].read_text(encoding="utf-8")
    assert "        _signals.clean_up(" in loading, "what loads for commands makes them ready, too"
    says = re.compile(r"^    (_signals\.clean_up|_loading\.load)\(", re.MULTILINE)
    ready = {name for name in COMMANDS if says.search(MODULES[f"cli.{name}"].read_text(encoding="utf-8"))}
    assert ready == set(COMMANDS) - {"versions"}


def test_nothing_has_two_floors():
    for floors in (CORE_FLOORS, PACKAGE_FLOORS):
        assert sum(map(len, floors)) == len(set().union(*floors))
