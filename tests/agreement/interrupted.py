"""What is left of a run that Ctrl-C has stopped? A program of its own: it sends itself the signal in a phase."""

from __future__ import annotations

import json
import os
import signal
import sys
import threading
import time

import pycjm

MEASURES = ("overview", "activities", "dfg", "variants", "durations", "cases")
ROLES = {"case": "case", "activity": "activity", "timestamp": "timestamp"}


def tasks() -> int:
    """How many threads this process has, those of the engine included."""
    return len(os.listdir("/proc/self/task"))


def resident_bytes() -> int:
    """The memory in use."""
    with open("/proc/self/statm") as file:
        return int(file.read().split()[1]) * os.sysconf("SC_PAGE_SIZE")


def main(path: str, phase: str, delay_s: str, memory_limit: str = "", spill_dir: str = "") -> None:
    """Mines `path`, is interrupted some time after the phase has begun, and tells how that went."""
    measures = MEASURES[:-1] if memory_limit else MEASURES  # all variants have to fit to be ranked
    space = {"memory_limit": int(memory_limit), "spill_dir": spill_dir} if memory_limit else {}
    log = pycjm.scan(path, **ROLES)
    log.describe()
    phases: list[str] = []
    sent: list[float] = []
    begun: list[float] = []

    def interrupt() -> None:
        time.sleep(float(delay_s))
        sent.append(time.monotonic())
        os.kill(os.getpid(), signal.SIGINT)

    timer = threading.Thread(target=interrupt)

    def progress(name: str, rows_done: int, rows_total: int | None) -> None:
        begun.append(time.monotonic())
        if name not in phases:
            phases.append(name)
        if timer.ident is None and phase in (name, "any"):
            timer.start()

    before_tasks, before_bytes = tasks(), resident_bytes()
    told = {"phases": phases}
    try:
        log.mine(*measures, progress=progress, top=100, **space)
    except KeyboardInterrupt:
        told["stopped_s"] = time.monotonic() - sent[0]
    told["took_s"] = time.monotonic() - begun[0]
    told["signals"] = len(sent)
    if timer.ident is not None:
        timer.join()
    time.sleep(0.2)
    told["threads_left"] = tasks() - before_tasks
    told["bytes_left"] = resident_bytes() - before_bytes
    if phase == "any":  # and all is well: the same log can be mined again
        told["events_again"] = log.mine("overview", **space)["overview"].to_pyarrow()["events"][0].as_py()
    if spill_dir:
        told["files_left"] = os.listdir(spill_dir)
    print(json.dumps(told))


if __name__ == "__main__":
    try:
        main(*sys.argv[1:])
    except KeyboardInterrupt:
        print(json.dumps({"late": True}))
