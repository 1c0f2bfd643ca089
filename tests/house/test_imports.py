"""Does what people wait for load only what it needs?

`import pycjm`, `pycjm --help` and completion are run again and again; none of them may load a library of tables.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys

import pytest

HEAVY = ("pyarrow", "numpy", "pandas", "polars", "duckdb", "numba", "rich")

TELL = "import json; print(json.dumps([name for name in {heavy} if name in sys.modules]), file=sys.stderr)"

SHELL = """
import sys
sys.argv = ["pycjm", *{arguments}]
from pycjm.cli import main
try:
    main()
except SystemExit:
    pass
"""


def loaded(code: str, **environment: str) -> list[str]:
    """Which of the heavy libraries a program has loaded at its end."""
    program = f"import sys\n{code}\n{TELL.format(heavy=HEAVY)}"
    done = subprocess.run(
        [sys.executable, "-c", program],
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
        env=os.environ | environment,
    )
    return json.loads(done.stderr.splitlines()[-1])


@pytest.mark.parametrize(
    "code",
    [
        "import pycjm",
        "import pycjm; pycjm.scan('log.parquet')",
        "import pycjm; pycjm.versions(); pycjm.get_include()",
        "import pycjm.bench",
    ],
)
def test_importing_the_package_loads_nothing_heavy(code):
    assert loaded(code) == []


@pytest.mark.parametrize(
    "arguments", [["--help"], ["--version"], ["mine", "--help"], ["map", "-h"], ["synth", "-h"], ["bench", "-h"], []]
)
def test_help_loads_nothing_heavy(arguments):
    assert loaded(SHELL.format(arguments=arguments)) == []


def test_completion_loads_nothing_heavy():
    asked = {"_PYCJM_COMPLETE": "bash_complete", "COMP_WORDS": "pycjm mi", "COMP_CWORD": "1"}
    assert loaded(SHELL.format(arguments=[]), **asked) == []
