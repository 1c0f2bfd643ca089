"""Is importing the package cheap, and does it refuse a library of another build?"""

from __future__ import annotations

import subprocess
import sys

import pytest

HEAVY = ("numpy", "pyarrow", "pandas", "polars", "duckdb", "numba", "rich", "click")


def _run(code: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=False)


def test_nothing_heavy_is_imported():
    found = _run(f"import sys, pycjm; print([name for name in {HEAVY} if name in sys.modules])")
    assert found.stdout.strip() == "[]", found.stderr


def test_a_log_can_be_scanned_without_anything_heavy():
    found = _run(f"import sys, pycjm; pycjm.scan('x.csv'); print([name for name in {HEAVY} if name in sys.modules])")
    assert found.stdout.strip() == "[]", found.stderr


FAKE = """
import sys, types
fake = types.ModuleType("pycjm._native")
fake.ffi = None
fake.lib = types.SimpleNamespace(cjm_abi_version=lambda: 77)
sys.modules["pycjm._native"] = fake
try:
    import pycjm
except ImportError as error:
    print(error)
"""


def test_another_abi_version_is_refused_with_both_versions_and_a_remedy():
    text = _run(FAKE).stdout
    assert "77" in text
    assert "ABI version 1" in text
    assert "pip install" in text


def test_a_missing_library_says_how_to_build_it():
    block = "import sys; sys.modules['pycjm._native'] = None\n"
    text = _run(block + "try:\n import pycjm\nexcept ImportError as error:\n print(error)").stdout
    assert "pip install ." in text


@pytest.mark.parametrize("name", ["scan", "EventLog", "case_metric", "sample", "versions", "get_include", "measures"])
def test_public_names_are_there(name):
    import pycjm

    assert name in pycjm.__all__
    assert getattr(pycjm, name) is not None


def test_functions_are_not_hidden_by_the_modules_of_their_name():
    import pycjm
    import pycjm.case_metric
    import pycjm.sample

    assert callable(pycjm.sample)
    assert callable(pycjm.case_metric)
