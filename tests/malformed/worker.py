"""What does pycjm do with a file, seen from the outside?

Run as a program, it takes one job per line (JSON with ``path`` and perhaps ``roles``), tries the file in every way that
its columns allow, and answers with one line: what each try came to, the seconds, and the peak of its memory. It may be
killed at any time.
"""

from __future__ import annotations

import json
import os
import sys
import time
from collections.abc import Callable
from typing import Any

import pyarrow as pa
from click.testing import CliRunner

import pycjm
from pycjm import errors
from pycjm.cli import cli

MAX_TRIES = 8
FORMATS = {"timestamp_format": "iso8601"}
MEASURES = ("overview", "activities", "dfg", "variants", "durations", "cases")


def peak_bytes() -> int:
    """The peak of the resident memory since it was last reset."""
    with open("/proc/self/status") as status:
        return next(int(line.split()[1]) * 1024 for line in status if line.startswith("VmHWM"))


def reset_peak() -> None:
    """Lets the peak begin anew; where the system does not allow it, it stays the one of the whole process."""
    try:
        with open("/proc/self/clear_refs", "w") as refs:
            refs.write("5")
    except OSError:
        pass


def tried(what: str, action: Callable[[], Any]) -> dict[str, Any]:
    """What an action came to: its value, or the kind of its error."""
    try:
        return {"what": what, "ok": action()}
    except errors.PycjmError as error:
        return {"what": what, "code": error.code, "error": type(error).__name__, "message": error.message}
    except BaseException as error:
        return {"what": what, "code": None, "error": type(error).__name__, "message": repr(error)}


def candidates(columns: list[Any]) -> list[dict[str, Any]]:
    """Ways to read the columns as a log, so that each column that could have a role has one in some of them."""
    kinds = [(column.name, column.type.casefold()) for column in columns]
    times = [name for name, kind in kinds if kind.startswith(("timestamp", "date"))]
    numbers = [name for name, kind in kinds if kind in ("int64", "int32", "uint32", "uint64", "int16", "int8")]
    texts = [name for name, kind in kinds if "utf8" in kind or "string" in kind or kind == "text"]
    everything = [name for name, _ in kinds]
    if times:
        time_options: dict[str, Any] = {"timestamp": times[0]}
    elif numbers:
        time_options = {"timestamp": numbers[-1], "timestamp_unit": "s"}
    elif everything:
        time_options = {"timestamp": everything[-1], **FORMATS}
    else:
        return []
    activity = texts[-1] if texts else everything[0]
    found = [{"case": name, "activity": activity, **time_options} for name in everything[:MAX_TRIES]]
    found += [{"case": found[0]["case"], "activity": name, **time_options} for name in texts[:-1][:MAX_TRIES]]
    return found + [{**found[0], "timestamp": name} for name in times[1:MAX_TRIES]]


def mine(path: str, roles: dict[str, Any]) -> dict[str, Any]:
    """Mines everything, reads every table, and reads the events as well."""
    log = pycjm.scan(path, **roles)
    result = log.mine(*MEASURES)
    tables = {name: result[name].to_pyarrow() for name in MEASURES}
    for table in tables.values():
        table.validate(full=True)
    events = log.events().read_all()
    events.validate(full=True)
    (row,) = tables["overview"].to_pylist()
    assert row["events"] == events.num_rows == sum(tables["cases"]["events"].to_pylist())
    return {"events": row["events"], "cases": row["cases"], "dropped": row["dropped_rows"]}


def on_command_line(*args: str) -> dict[str, Any]:
    """Runs a command in this process; Python's errors are seen in its exit code, Rust's on the real stderr."""
    done = CliRunner().invoke(cli, list(args), prog_name="pycjm")
    crash = done.exception if not isinstance(done.exception, SystemExit | None) else None
    return {
        "what": " ".join(["pycjm", args[0]]),
        "exit": done.exit_code,
        "stderr": done.stderr[-20000:],
        "crash": repr(crash) if crash else None,
    }


def try_everything(path: str, roles: dict[str, Any] | None) -> list[dict[str, Any]]:
    """All tries of one file."""
    described = tried("describe", lambda: _describe(path))
    tries = [described, on_command_line("inspect", path), on_command_line("inspect", path, "--json")]
    ways = [roles] if roles else []
    if "ok" in described:
        ways += candidates(described["ok"].pop("_columns"))
    for way in ways:
        tries.append(tried(f"mine {way}", lambda way=way: mine(path, way)))
        tries.append(tried(f"mine dropping {way}", lambda way=way: mine(path, {**way, "on_null": "drop"})))
    if ways:
        options = [word for name, value in ways[0].items() for word in (f"--{name.replace('_', '-')}", value)]
        tries.append(on_command_line("mine", path, *options, "--json"))
    tries.append(on_command_line("mine", path))
    return tries


def _describe(path: str) -> dict[str, Any]:
    about = pycjm.scan(path).describe()
    repr(about)
    return {"rows": about.rows, "columns": [column.name for column in about.columns], "_columns": about.columns}


def main() -> None:
    """Answers jobs until there are none."""
    jobs, answers = sys.stdin, os.fdopen(os.dup(1), "w")
    pa.table({"x": [1]})
    answers.write(json.dumps({"idle_bytes": peak_bytes()}) + "\n")
    answers.flush()
    for line in jobs:
        job = json.loads(line)
        reset_peak()
        began = time.monotonic()
        tries = try_everything(job["path"], job.get("roles"))
        answer = {"tries": tries, "seconds": time.monotonic() - began, "peak_bytes": peak_bytes()}
        answers.write(json.dumps(answer, default=str) + "\n")
        answers.flush()


if __name__ == "__main__":
    main()
