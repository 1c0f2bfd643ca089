"""Does the script for logs of other shapes record what it says?"""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]


@pytest.mark.skipif(not Path("/proc/self/clear_refs").exists(), reason="memory is only told apart on Linux")
def test_every_shape_is_in_the_report(tmp_path: Path) -> None:
    output, script = tmp_path / "report.json", ROOT / "benchmarks" / "shapes.py"
    command = [sys.executable, script, "--events", "5k", "--rounds", 1, "-o", output, "--threads", 2]
    done = subprocess.run([str(word) for word in command], capture_output=True, text=True, timeout=300, check=False)
    assert done.returncode == 0, done.stderr
    report = json.loads(output.read_text())
    assert list(report)[-3:] == ["shapes", "growth", "start"]
    shapes = {shape["name"]: shape for shape in report["shapes"]}
    assert {"case", "one case", "text ids in a dictionary, shuffled", "time, one thread"} <= set(shapes)
    for shape in shapes.values():
        (process,) = shape["processes"]
        assert len(process["rounds"]) == 3
        assert process["table_bytes"] >= 5_000 * 17  # an id, a time, and the code of an activity
        assert ("times_wall_s" in shape) == (shape["against"] is not None)
    assert [growth["name"] for growth in report["growth"]] == ["case", "time", "shuffled"]
    assert all(set(growth["processes"]) == {"5000", "50000"} for growth in report["growth"])
    assert [start["name"] for start in report["start"]][1:3] == ["import pycjm", "pycjm --help"]
