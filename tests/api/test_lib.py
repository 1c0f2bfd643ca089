"""Are errors, progress, Ctrl-C and threads handled where Python meets the engine?"""

from __future__ import annotations

import gzip
import multiprocessing
import os
import signal
import subprocess
import sys
import threading
import time

import numpy as np
import pyarrow as pa
import pytest

import pycjm
from pycjm import _lib, errors


def big_log(n=3_000_000):
    """A shuffled log that keeps the engine busy for a while."""
    rng = np.random.default_rng(1)
    table = pa.table(
        {
            "case": rng.integers(0, n // 10, n),
            "activity": pa.DictionaryArray.from_arrays(rng.integers(0, 40, n, np.int32), [f"a{i}" for i in range(40)]),
            "timestamp": pa.array(rng.integers(0, 10**9, n), pa.timestamp("us")),
        }
    )
    return pycjm.scan(table)


def test_an_error_has_class_and_details():
    with pytest.raises(errors.InvalidArgument) as caught:
        _lib.call(_lib.lib.cjm_context_new, b'{"version": 1, "threads": 0}', _lib.ffi.new("cjm_context **"))
    assert caught.value.code == 1
    assert isinstance(caught.value.details, dict)


def test_progress_reaches_the_end_in_this_thread():
    seen = []

    def progress(phase, done, total):
        assert threading.current_thread() is threading.main_thread()
        assert isinstance(phase, str)
        assert total is None or done <= total
        seen.append((phase, done, total))

    big_log().mine("dfg", progress=progress)
    assert seen
    assert len(seen) == len(set(seen))


def test_a_callback_that_takes_keywords_is_told_more():
    seen = []

    def progress(phase, done, total, **details):
        assert set(details) == {"parts_done", "parts_total", "look", "reserved_bytes", "spilled_bytes"}
        assert details["parts_done"] <= details["parts_total"]
        seen.append((phase, done, total, details))

    big_log().mine("dfg", progress=progress)
    phases = [phase for phase, *_ in seen]
    # Its rows lie in no order. A phase that is over before anybody looks is not seen.
    assert phases
    assert set(phases) <= {"partitioning", "mining", "finishing"}
    assert all(details["parts_total"] > 0 for phase, *_, details in seen if phase == "mining")
    assert all(details["parts_total"] == 0 for phase, *_, details in seen if phase == "partitioning")
    assert {details["look"] for *_, details in seen} == {1}


def test_a_backend_that_does_not_tell_its_steps_is_not_done_before_it_is():
    seen = []
    log = big_log(1_000)
    log.mine("dfg", backend="reference", progress=lambda *told: seen.append(told))
    assert seen[-2:] == [("mining", 0, 1_000), ("mining", 1_000, 1_000)]


def test_the_package_says_nothing_unless_it_is_asked():
    code = "import logging, pycjm; pycjm.sample().mine('dfg'); print(logging.getLogger('pycjm').handlers)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=True)
    assert (done.stdout, done.stderr) == ("[]\n", "")


def test_a_program_can_listen_to_what_is_said(caplog):
    with caplog.at_level("INFO", logger="pycjm"):
        pycjm.sample().mine("dfg", threads=1)
    assert [record.name for record in caplog.records] == ["pycjm"] * len(caplog.records)
    said = [record.getMessage() for record in caplog.records]
    assert any(line.startswith("layout time; cases did not stand together: partitioned") for line in said)


@pytest.mark.parametrize("backend", ["native", "reference"])
def test_an_exception_in_the_progress_callback_stops_the_run(backend):
    class StopError(Exception):
        pass

    def progress(phase, done, total):
        raise StopError

    log = big_log() if backend == "native" else big_log(10_000)
    with pytest.raises(StopError):
        log.mine(progress=progress, backend=backend)
    assert not [thread for thread in threading.enumerate() if thread.name == "pycjm"]


INTERRUPTED = """
import os, signal, sys, threading, time
import pycjm
sys.path.insert(0, {here!r})
from test_lib import big_log
log = big_log(20_000_000) if sys.argv[1] == "table" else pycjm.scan(sys.argv[1])
def interrupt():
    time.sleep(float(sys.argv[2]))
    global sent
    sent = time.monotonic()
    os.kill(os.getpid(), signal.SIGINT)
threading.Thread(target=interrupt, daemon=True).start()
try:
    log.mine("dfg", "variants", "durations", threads=1)
except KeyboardInterrupt:
    print("interrupted", time.monotonic() - sent)
else:
    print("finished")
"""


def interrupted(source, after_s):
    """Mines in a process of its own, sends Ctrl-C, and gives the time until KeyboardInterrupt was raised."""
    code = INTERRUPTED.format(here=os.path.dirname(__file__))
    done = subprocess.run(
        [sys.executable, "-c", code, str(source), str(after_s)],
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert (done.returncode, done.stderr) == (0, "")
    word, took = done.stdout.split()
    assert word == "interrupted"
    return float(took)


@pytest.mark.parametrize("after_s", [0.1, 0.3])
def test_ctrl_c_is_answered_within_200_ms(after_s):
    assert interrupted("table", after_s) < 0.2


@pytest.fixture(scope="module")
def big_csv(tmp_path_factory):
    path = tmp_path_factory.mktemp("csv") / "log.csv.gz"
    with gzip.open(path, "wt", compresslevel=1) as file:
        file.write("case,activity,timestamp,note\n")
        for i in range(2_000_000):
            file.write(f"case-{i // 10},activity {i % 7},2024-03-13 10:21:14,a note that makes the row longer {i}\n")
    return path


@pytest.mark.parametrize("after_s", [0.1, 0.4])
def test_ctrl_c_is_answered_while_csv_is_read(big_csv, after_s):
    assert interrupted(big_csv, after_s) < 0.2


def test_leaving_with_a_csv_file_half_read(big_csv):
    code = "import sys, pycjm; reader = pycjm.scan(sys.argv[1]).events(); reader.read_next_batch()"
    for _ in range(3):
        done = subprocess.run(
            [sys.executable, "-c", code, str(big_csv)], capture_output=True, text=True, timeout=60, check=False
        )
        assert (done.returncode, done.stderr) == (0, "")


def test_mining_outside_of_the_main_thread():
    found = []
    thread = threading.Thread(target=lambda: found.append(pycjm.sample().mine("overview")["overview"].to_pyarrow()))
    thread.start()
    thread.join(60)
    assert found[0]["events"].to_pylist() == [3550]


def test_logs_can_be_mined_side_by_side():
    log = pycjm.sample()
    expected = log.mine("dfg")["dfg"].to_pyarrow()
    found = []
    threads = [threading.Thread(target=lambda: found.append(log.mine("dfg")["dfg"].to_pyarrow())) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert len(found) == 8
    assert all(table.equals(expected) for table in found)


def _mine_in_child(queue):
    queue.put(pycjm.sample().mine("overview")["overview"].to_pyarrow()["cases"].to_pylist())


@pytest.mark.skipif(sys.platform == "win32", reason="no fork there")
def test_a_forked_child_can_mine():
    expected = pycjm.sample().mine("overview")["overview"].to_pyarrow()["cases"].to_pylist()
    context = multiprocessing.get_context("fork")
    queue = context.Queue()
    child = context.Process(target=_mine_in_child, args=(queue,))
    child.start()
    assert queue.get(timeout=60) == expected
    child.join(60)
    assert child.exitcode == 0


def test_a_second_interrupt_does_not_hang():
    """The waiting for a cancelled call can be broken off; the worker ends by itself."""
    release = threading.Event()
    cancelled = []

    def stuck(error):
        release.wait(30)
        return 0

    real = _lib.lib
    context = _lib.new_context()

    class Lib:
        def __getattr__(self, name):
            return getattr(real, name)

        def cjm_cancel(self, context):
            cancelled.append(context)
            return real.cjm_cancel(context)

    main = threading.get_ident()

    def interrupt():
        time.sleep(0.2)
        signal.pthread_kill(main, signal.SIGINT)
        # Two that come at once are one.
        while not cancelled:
            time.sleep(0.01)
        time.sleep(0.2)
        signal.pthread_kill(main, signal.SIGINT)

    threading.Thread(target=interrupt, daemon=True).start()
    _lib.lib = Lib()
    try:
        with pytest.raises(KeyboardInterrupt):
            _lib.run_cancellable(context, stuck)
    finally:
        _lib.lib = real
        release.set()
    assert cancelled == [context]
