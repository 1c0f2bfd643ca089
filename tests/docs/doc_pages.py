"""Which code does a page of the documentation show, and what does it print when it is run?

The conventions of a page:

- ``python`` blocks run one after the other in one namespace; a ``text`` block right behind one is what it prints;
- ``console`` blocks hold commands behind ``$ `` and below each what it prints, stderr included;
- ``c`` blocks are quotations of the example program, ``json`` blocks are documents, ``sh`` blocks set things up.

All of a page runs in one directory of its own. Where output differs from run to run, the page has ``...``; white space
does not count. Run as a script this file writes the present output into the pages:

    python tests/docs/doc_pages.py docs/measures.md
"""

from __future__ import annotations

import contextlib
import doctest
import io
import os
import re
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[2]
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md")), ROOT / "benchmarks" / "README.md"]
LANGUAGES = {"python", "text", "console", "c", "json", "sh"}
COMMAND_TIMEOUT_S = 120

_FENCE = re.compile(r"^```(\w*)[^\n]*\n(.*?)^```[ \t]*$", re.MULTILINE | re.DOTALL)
_LOOSELY = doctest.ELLIPSIS | doctest.NORMALIZE_WHITESPACE


@dataclass(frozen=True)
class Block:
    """A fenced block: its language, its text, the line its text begins in, and where that lies in the page."""

    language: str
    text: str
    line: int
    start: int
    end: int


@dataclass(frozen=True)
class Step:
    """Something to run, and what the page says it prints: None where it says nothing."""

    code: str
    line: int
    expected: str | None
    start: int
    end: int
    run: Callable[[str, int, dict[str, Any]], str]


def blocks(page: str) -> list[Block]:
    """All fenced blocks of a page."""
    return [
        Block(match[1], match[2], page.count("\n", 0, match.start(2)) + 1, match.start(2), match.end(2))
        for match in _FENCE.finditer(page)
    ]


def prose(page: str) -> str:
    """A page without its blocks."""
    return _FENCE.sub("", page)


def steps(page: str) -> Iterator[Step]:
    """What a page runs, in its order."""
    found = blocks(page)
    for position, block in enumerate(found):
        if block.language == "python":
            after = found[position + 1] if position + 1 < len(found) else None
            if after and re.fullmatch(r"```\s*```text[^\n]*\n", page[block.end : after.start]):
                yield Step(block.text, block.line, after.text, after.start, after.end, run_python)
            else:
                yield Step(block.text, block.line, None, block.end, block.end, run_python)
        elif block.language == "console":
            yield from _commands(block)


def _commands(block: Block) -> Iterator[Step]:
    """The commands of a block, each with the output below it."""
    for match in re.finditer(r"^\$ ((?:.*\\\n)*.*)\n((?:(?!\$ ).*\n)*)", block.text, re.MULTILINE):
        line = block.line + block.text.count("\n", 0, match.start())
        yield Step(match[1], line, match[2], block.start + match.start(2), block.start + match.end(2), run_command)


def run_python(code: str, line: int, namespace: dict[str, Any]) -> str:
    """Runs Python code; what it has printed."""
    printed = io.StringIO()
    # Empty lines in front, so that a traceback names the line of the page.
    compiled = compile("\n" * (line - 1) + code, namespace["__file__"], "exec")
    with contextlib.redirect_stdout(printed):
        exec(compiled, namespace)
    return printed.getvalue()


def run_command(command: str, line: int, namespace: dict[str, Any]) -> str:
    """Runs a command of a shell as a user sees it; what it has written to both streams."""
    path = os.pathsep.join([str(Path(sys.executable).parent), os.environ.get("PATH", os.defpath)])
    quiet = {name: value for name, value in os.environ.items() if name not in ("COLUMNS", "FORCE_COLOR")}
    done = subprocess.run(
        ["bash", "-c", command],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=COMMAND_TIMEOUT_S,
        check=False,
        env=quiet | {"PATH": path, "NO_COLOR": "1", "PYTHONSAFEPATH": "1", "LC_ALL": "C.UTF-8"},
    )
    if done.returncode:
        raise AssertionError(f"line {line}: `{command}` ended with {done.returncode}:\n{done.stdout}")
    return done.stdout


def alike(expected: str, printed: str) -> bool:
    """Whether the output is what the page says, white space and ``...`` aside."""
    return doctest.OutputChecker().check_output(expected.strip() + "\n", printed.strip() + "\n", _LOOSELY)


@contextlib.contextmanager
def own_directory() -> Iterator[None]:
    """A directory for one page."""
    with tempfile.TemporaryDirectory() as folder, contextlib.chdir(folder):
        yield


def run_page(path: Path) -> Iterator[tuple[Step, str]]:
    """Runs a page; every step with what it has printed."""
    namespace: dict[str, Any] = {"__name__": "__main__", "__file__": str(path)}
    for step in steps(path.read_text(encoding="utf-8")):
        yield step, step.run(step.code, step.line, namespace)


def rewrite(path: Path) -> None:
    """Writes the present output into a page, where the page says something else."""
    page = path.read_text(encoding="utf-8")
    with own_directory():
        ran = list(run_page(path))
    for step, printed in reversed(ran):
        if step.expected is not None and not alike(step.expected, printed):
            text = "".join(line.rstrip() + "\n" for line in printed.rstrip().splitlines())
            page = page[: step.start] + text + page[step.end :]
    path.write_text(page, encoding="utf-8")


if __name__ == "__main__":
    for name in sys.argv[1:]:
        rewrite(Path(name).resolve())
