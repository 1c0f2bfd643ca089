"""Does `cjm_merge` keep the conventions: streams consumed whatever happens, outputs only on success?"""

from __future__ import annotations

import json
from typing import Any

import pyarrow as pa
import pytest
from pycjm._native import ffi, lib

import pycjm

PLAN = json.dumps({"version": 1, "measures": [{"measure": "overview"}]}).encode()


class Stream:
    """A stream to be given away."""

    def __init__(self, table: pa.Table) -> None:
        # The struct may be declared without its fields; its layout is fixed.
        self.memory = ffi.new("void *[5]")
        table.to_reader()._export_to_c(int(ffi.cast("uintptr_t", self.memory)))
        self.pointer = ffi.cast("struct ArrowArrayStream *", self.memory)

    @property
    def is_consumed(self) -> bool:
        return self.memory[3] == ffi.NULL


@pytest.fixture
def context() -> Any:
    out = ffi.new("cjm_context **")
    assert lib.cjm_context_new(b'{"version": 1}', out, ffi.NULL) == lib.CJM_OK
    return ffi.gc(out[0], lib.cjm_context_free)


def states() -> list[Stream]:
    """Of two logs."""
    found = []
    for case in (1, 2):
        events = pa.table({"case": [case], "activity": ["x"], "timestamp": pa.array([case], pa.timestamp("s"))})
        found.append(Stream(pycjm.scan(events).mine("overview", state=True).state.to_pyarrow()))
    return found


def merge(streams: Any, n: int, plan: Any, context: Any, out: Any) -> tuple[int, str]:
    error = ffi.new("cjm_error **")
    status = lib.cjm_merge(streams, n, plan, context, out, error)
    message = ffi.string(lib.cjm_error_message(error[0])).decode() if error[0] else ""
    lib.cjm_error_free(error[0])
    return status, message


def array(streams: list[Any]) -> Any:
    return ffi.new("struct ArrowArrayStream *[]", streams)


def test_merged_states_give_a_result_that_outlives_them(context: Any) -> None:
    out, given = ffi.new("cjm_result **"), states()
    assert merge(array([one.pointer for one in given]), 2, PLAN, context, out) == (lib.CJM_OK, "")
    assert all(one.is_consumed for one in given)
    memory = ffi.new("void *[5]")
    stream = ffi.cast("struct ArrowArrayStream *", memory)
    assert lib.cjm_result_table(out[0], b"overview", stream, ffi.NULL) == lib.CJM_OK
    lib.cjm_result_free(out[0])
    table = pa.RecordBatchReader._import_from_c(int(ffi.cast("uintptr_t", memory))).read_all()
    assert table["events"].to_pylist() == [2]


def test_streams_are_consumed_whatever_is_wrong(context: Any) -> None:
    log = pa.table({"case": [1]})
    for plan, used, words in [
        (ffi.NULL, context, "plan_json"),
        (b"{", context, "plan"),
        (PLAN, ffi.NULL, "context"),
        (PLAN.replace(b"overview", b"cases"), context, "possible are"),
    ]:
        out, given = ffi.new("cjm_result **"), states()
        status, message = merge(array([one.pointer for one in given]), 2, plan, used, out)
        assert status == lib.CJM_INVALID_ARGUMENT
        assert words in message
        assert all(one.is_consumed for one in given)
        assert out[0] == ffi.NULL
    out, given = ffi.new("cjm_result **"), [*states(), Stream(log)]
    status, message = merge(array([one.pointer for one in given]), 3, PLAN, context, out)
    assert (status, out[0]) == (lib.CJM_INVALID_DATA, ffi.NULL)
    assert message.startswith("state 3: this is no state")
    assert all(one.is_consumed for one in given)


def test_null_and_nothing_are_refused(context: Any) -> None:
    out = ffi.new("cjm_result **")
    for streams, n, words in [(ffi.NULL, 1, "states is NULL"), (array([]), 0, "no state is given")]:
        status, message = merge(streams, n, PLAN, context, out)
        assert (status, out[0]) == (lib.CJM_INVALID_ARGUMENT, ffi.NULL)
        assert words in message
    first, second = states()
    status, message = merge(array([first.pointer, ffi.NULL, second.pointer]), 3, PLAN, context, out)
    assert (status, out[0]) == (lib.CJM_INVALID_ARGUMENT, ffi.NULL)
    assert message.startswith("state 2: stream is NULL")
    assert first.is_consumed
    assert second.is_consumed
