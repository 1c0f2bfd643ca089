"""Does every backend give what others' readers have found in real logs?"""

from __future__ import annotations

import hashlib
import json
from pathlib import Path

import pytest
from known_views import VIEWS, XES, View
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


INFERRED = {
    "bpic2013_incidents-all": XES,
    "sepsis-all": XES,
    "receipt-all": XES,
    "receipt_parquet-all": XES,
    "callcenter-service_start": ("timestamp_format",),
    "bpic2016_complaints-all": ("delimiter",),
    "retentioneering_ecom-session": ("activity", "timestamp"),
}
"""Options of views that can be found out: the others alone have to do."""


@pytest.mark.parametrize("view", [view for view in VIEWS if str(view) in INFERRED], ids=str)
def test_what_can_be_inferred_is(shared_data: Path, view: View) -> None:
    options = {name: value for name, value in view.options.items() if name not in INFERRED[str(view)]}
    log = pycjm.scan(view.path(shared_data), **options)
    check(_tables(log.mine(*ALL)), view.truth(shared_data))
    assert set(log.guessed) == {name for name in INFERRED[str(view)] if name in XES}


def test_no_view_is_left_out(shared_data: Path) -> None:
    known = set()
    for path in sorted((shared_data / "truths").glob("*.json")):
        document = json.loads(path.read_text(encoding="utf-8"))
        known |= {(document["log"], name) for name in document["views"]}
        original = (shared_data / document["file"]).read_bytes()
        assert hashlib.sha256(original).hexdigest() == document["sha256"], "the truths are of another file"
    assert {(view.log, view.name) for view in VIEWS} == known
