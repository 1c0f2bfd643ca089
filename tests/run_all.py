"""Does everything hold: formats, lints, the tests of both languages, the documentation?

The one script of the gate; a developer runs it as continuous integration does. Every step runs, also after a failure.

    python tests/run_all.py            all steps
    python tests/run_all.py ruff docs  those steps only

It uses the tools installed beside the Python that runs it, and `cargo`. Standard library only.
"""

from __future__ import annotations

import filecmp
import os
import shlex
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent

# Python's safe path: `import pycjm` has to find the installed package, never the folder of this repository. The
# variable reaches the programs that the tests start, too.
ENVIRONMENT = os.environ | {
    "PYTHONSAFEPATH": "1",
    "PIP_NO_INPUT": "1",
    "PATH": os.pathsep.join([str(Path(sys.executable).parent), os.environ.get("PATH", os.defpath)]),
}

CLIPPY = ["cargo", "clippy", "--workspace", "--all-targets", "--release", "--locked", "--", "-D", "warnings"]
# Release, like the wheel: the dependencies are compiled once for both.
CARGO_TEST = ["cargo", "test", "--workspace", "--release", "--locked"]
# More processes than that are waited for: each compiles what numba needs.
PYTEST = [sys.executable, "-m", "pytest", "-q", "-n", "auto", "--maxprocesses", "4", "--dist", "worksteal"]


class Skipped(Exception):
    """A step that cannot run here, and why."""


class Failed(Exception):
    """A step that did not hold, and what to do."""


def run(*command: str) -> None:
    """Runs a command in the root of the repository."""
    print("$ " + shlex.join(command).replace(sys.executable, "python"), flush=True)
    code = subprocess.run(command, cwd=ROOT, env=ENVIRONMENT, stdin=subprocess.DEVNULL, check=False).returncode
    if code:
        raise Failed(f"exit code {code}")


def need_cargo(subcommand: str = "", component: str = "") -> None:
    """Checks that cargo, and a component of the toolchain, is there."""
    if shutil.which("cargo", path=ENVIRONMENT["PATH"]) is None:
        raise Failed("cargo was not found: install a Rust toolchain (https://rustup.rs)")
    if subcommand:
        asked = ["cargo", subcommand, "--version"]
        if subprocess.run(asked, cwd=ROOT, env=ENVIRONMENT, capture_output=True, check=False).returncode:
            raise Skipped(f"this Rust toolchain has no {component}: rustup component add {component}")


def rust_format() -> None:
    """Rust sources are formatted."""
    need_cargo("fmt", "rustfmt")
    run("cargo", "fmt", "--all", "--check")


def rust_lint() -> None:
    """Clippy has nothing to say."""
    need_cargo("clippy", "clippy")
    run(*CLIPPY)


def rust_test() -> None:
    """Unit, law and header tests of the engine."""
    need_cargo()
    run(*CARGO_TEST)


def ruff() -> None:
    """Python sources are formatted and have no lints."""
    run(sys.executable, "-m", "ruff", "check")
    run(sys.executable, "-m", "ruff", "format", "--check")


def package() -> None:
    """What is installed is what lies here."""
    code = "import pycjm; print(pycjm.__file__); print(pycjm.versions()['profile'], pycjm._lib.lib)"
    asked = [sys.executable, "-c", code]
    found = subprocess.run(asked, cwd=ROOT, env=ENVIRONMENT, capture_output=True, text=True, check=False)
    if found.returncode:
        raise Failed(f"pycjm is not installed for {sys.executable}: pip install .\n{found.stderr.strip()}")
    installed = Path(found.stdout.splitlines()[0]).resolve().parent
    print(f"{installed}: {found.stdout.splitlines()[1]}")
    if installed.is_relative_to(ROOT / "pycjm"):
        raise Failed("the folder of the repository was imported, not an installed package: pip install .")
    changed = stale_files(installed)
    if changed:
        raise Failed(f"the installed package is older than {', '.join(changed[:5])}: pip install --no-deps .")


def stale_files(installed: Path) -> list[str]:
    """The sources that the installed package was not made of: other bytes, or Rust changed since it was built."""
    sources = [path for path in (ROOT / "pycjm").rglob("*") if path.suffix in (".py", ".h", ".parquet")]
    sources = [path for path in sources if "_native" not in path.parts]
    missing = [path for path in sources if not same(path, installed / path.relative_to(ROOT / "pycjm"))]
    library = next((installed / "_native").glob("*native*"), None)
    built = library.stat().st_mtime if library else 0
    rust = [path for crate in ("core", "capi", "lanes") for path in (ROOT / "engine_rs" / crate / "src").rglob("*.rs")]
    missing += [path for path in rust if path.stat().st_mtime > built]
    return [str(path.relative_to(ROOT)) for path in missing]


def same(one: Path, other: Path) -> bool:
    """Whether both files are there with the same bytes."""
    return other.exists() and filecmp.cmp(one, other, shallow=False)


def python_test() -> None:
    """All tests of the installed package but those of the documentation."""
    run(*PYTEST, "tests", "--ignore=tests/docs")


def docs() -> None:
    """The code in README and docs runs, links resolve, everything public is described."""
    run(*PYTEST, "tests/docs")


STEPS: dict[str, Callable[[], None]] = {
    "rust-format": rust_format,
    "ruff": ruff,
    "package": package,
    "rust-lint": rust_lint,
    "rust-test": rust_test,
    "python-test": python_test,
    "docs": docs,
}


def outcome_of(step: Callable[[], None]) -> str:
    """Runs a step; what became of it in a word."""
    try:
        step()
    except Skipped as reason:
        print(f"SKIPPED: {reason}")
        return "skipped"
    except Failed as reason:
        print(f"FAILED: {reason}")
        return "FAILED"
    return "ok"


def main(names: Sequence[str]) -> int:
    """Runs the named steps, or all; the exit code."""
    unknown = [name for name in names if name not in STEPS]
    if unknown:
        print(f"no step {unknown[0]!r}; the steps are: {', '.join(STEPS)}", file=sys.stderr)
        return 2
    began = time.monotonic()
    outcomes: dict[str, tuple[str, float]] = {}
    for name in names or STEPS:
        print(f"\n=== {name}: {STEPS[name].__doc__}", flush=True)
        start = time.monotonic()
        outcomes[name] = outcome_of(STEPS[name]), time.monotonic() - start
        print(f"=== {name}: {outcomes[name][0]} in {outcomes[name][1]:.1f} s", flush=True)
    print()
    for name, (outcome, seconds) in outcomes.items():
        print(f"{name:12} {outcome:8} {seconds:7.1f} s")
    counts = {word: sum(outcome == word for outcome, _ in outcomes.values()) for word in ("ok", "skipped", "FAILED")}
    told = ", ".join(f"{count} {word}" for word, count in counts.items() if count)
    print(f"{len(outcomes)} steps in {time.monotonic() - began:.0f} s: {told}")
    return 1 if counts["FAILED"] else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
