"""Is the ABI the one that is written down, in each of the places where it is written?

The exported symbols are those of ``symbols.txt``; header and cffi declare them all; the status codes are the same in
header, library, exceptions and documentation. That header and Rust agree is tested beside the Rust code.
"""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from pycjm import _native, errors

SYMBOLS = Path(__file__).with_name("symbols.txt").read_text().split()


def test_the_library_exports_exactly_the_listed_symbols(library: Path) -> None:
    if shutil.which("nm") is None:
        pytest.skip("no nm on this machine")
    options = ["-gU"] if sys.platform == "darwin" else ["-D", "--defined-only"]
    listed = subprocess.run(["nm", *options, str(library)], capture_output=True, text=True, check=True)
    names = sorted(line.split()[-1].removeprefix("_") for line in listed.stdout.splitlines() if line.strip())
    assert names == SYMBOLS, "a change of the ABI: see its rules in engine_rs/capi/README.md, then change symbols.txt"


def test_the_header_declares_exactly_the_listed_symbols(header: Path) -> None:
    code = re.sub(r"/\*.*?\*/", "", header.read_text(), flags=re.DOTALL)
    assert sorted(re.findall(r"\b(cjm_\w+)\(", code)) == SYMBOLS


def test_cffi_knows_every_symbol() -> None:
    for name in SYMBOLS:
        assert callable(getattr(_native.lib, name))


def test_every_item_of_the_header_says_since_when(header: Path) -> None:
    code = header.read_text().partition("#endif  // ARROW_C_STREAM_INTERFACE")[2]
    items = re.findall(
        r"^(?:#define CJM_|typedef |cjm_status |const char \*cjm|void cjm|uint32_t cjm)", code, re.MULTILINE
    )
    assert len(items) == code.count("@since ")


def _codes_of_the_header(header: Path) -> dict[str, int]:
    found = re.findall(r"^#define CJM_(\w+) (\d+)$", header.read_text(), re.MULTILINE)
    return {name: int(code) for name, code in found if name not in {"ABI_VERSION", "OK"}}


def test_the_status_codes_are_the_same_everywhere(header: Path, crate: Path) -> None:
    codes = _codes_of_the_header(header)
    assert sorted(codes.values()) == list(range(1, 9))
    assert codes == {name: getattr(_native.lib, f"CJM_{name}") for name in codes}

    def shouted(name: str) -> str:
        return re.sub(r"(?<=[a-z])(?=[A-Z])", "_", name).upper().removesuffix("_ERROR")

    classes = {shouted(kind.__name__): code for code, kind in errors.BY_CODE.items()}
    assert codes == classes
    assert all(kind.code == code for code, kind in errors.BY_CODE.items())

    rows = re.findall(r"^\| (\d) \| `CJM_(\w+)` \|.*\| `(\w+)`", (crate / "README.md").read_text(), re.MULTILINE)
    assert {name: int(code) for code, name, _ in rows} == codes
    assert {python: int(code) for code, _, python in rows} == {
        kind.__name__: code for code, kind in errors.BY_CODE.items()
    }


@pytest.mark.parametrize(("compiler", "language"), [("cc", "c11"), ("c++", "c++17")])
def test_the_header_compiles_alone_and_beside_arrows_own(
    compiler: str, language: str, header: Path, tmp_path: Path
) -> None:
    if shutil.which(compiler) is None:
        pytest.skip(f"no {compiler} on this machine")
    source = tmp_path / ("header.c" if compiler == "cc" else "header.cpp")
    # Twice, and after a header that has declared Arrow's structs under their macros.
    guards = "#define ARROW_C_DATA_INTERFACE\n#define ARROW_C_STREAM_INTERFACE\n"
    declared = "struct ArrowSchema; struct ArrowArray; struct ArrowArrayStream;\n"
    main = "int main(void) { return CJM_OK; }\n"
    for before in ("", guards + declared):
        source.write_text(f'{before}#include "pycjm.h"\n#include "pycjm.h"\n{main}')
        options = [f"-std={language}", "-Wall", "-Wextra", "-Wpedantic", "-Werror", "-fsyntax-only"]
        made = subprocess.run([compiler, *options, f"-I{header.parent}", str(source)], capture_output=True, text=True)
        assert made.returncode == 0, made.stderr
