"""Does every backend give what others' readers have found in real logs?"""

from __future__ import annotations

import hashlib
import json
from pathlib import Path

import pytest
from known_views import VIEWS, View
from truth_check import ALL, WITHOUT_CASES, check

import pycjm

FIRST_OF_EACH_LOG = list({view.log: view for view in reversed(VIEWS)}.values())[::-1]
"""The numba backend takes its time to compile; one view of each log shows what can differ."""


def _tables(result: pycjm.MiningResult) -> dict[str, list[dict]]:
    return {name: table.to_pyarrow().to_pylist() for name, table in result.items()}


@pytest.mark.parametrize("view", VIEWS, ids=str)
def test_native(shared_data: Path, view: View) -> None:
    result = pycjm.scan(view.path(shared_data), **view.options).mine(*ALL)
    check(_tables(result), view.truth(shared_data))


@pytest.mark.parametrize("view", VIEWS, ids=str)
def test_reference(shared_data: Path, view: View) -> None:
    result = pycjm.scan(view.path(shared_data), **view.options).mine(*ALL, backend="reference")
    check(_tables(result), view.truth(shared_data))


@pytest.mark.parametrize("view", FIRST_OF_EACH_LOG, ids=str)
def test_numba(shared_data: Path, view: View) -> None:
    pytest.importorskip("numba")
    result = pycjm.scan(view.path(shared_data), **view.options).mine(*WITHOUT_CASES, backend="numba")
    check(_tables(result), view.truth(shared_data))


def test_no_view_is_left_out(shared_data: Path) -> None:
    known = set()
    for path in sorted((shared_data / "truths").glob("*.json")):
        document = json.loads(path.read_text(encoding="utf-8"))
        known |= {(document["log"], name) for name in document["views"]}
        original = (shared_data / document["file"]).read_bytes()
        assert hashlib.sha256(original).hexdigest() == document["sha256"], "the truths are of another file"
    assert {(view.log, view.name) for view in VIEWS} == known
