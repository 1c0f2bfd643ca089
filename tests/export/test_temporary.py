"""Is what a killed process leaves removed, what is being written left alone, and a name taken in one step?"""

from __future__ import annotations

import os
import subprocess
import sys
import threading
from pathlib import Path

import pyarrow as pa
import pytest

from pycjm import _rename, _temporary, errors, export

pytestmark = pytest.mark.skipif(_temporary.fcntl is None, reason="no locks that end with their process here")

MADE = """
import os, signal, sys
from pycjm._temporary import Temporary
made = Temporary(sys.argv[1], directory=sys.argv[2] == "directory")
if sys.argv[2] == "directory":
    open(os.path.join(made.path, "part"), "w").write("x")
print(made.path, flush=True)
sys.stdin.read()
"""


def maker(target: Path, kind: str) -> tuple[subprocess.Popen[str], str]:
    """A process that is making something, and the path that it has meanwhile."""
    process = subprocess.Popen(
        [sys.executable, "-c", MADE, str(target), kind], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    assert process.stdout is not None
    return process, process.stdout.readline().strip()


@pytest.mark.parametrize("kind", ["file", "directory"])
def test_what_a_living_process_makes_is_left_alone_until_it_is_dead(tmp_path: Path, kind: str) -> None:
    process, path = maker(tmp_path / "out", kind)
    assert os.path.dirname(path) == str(tmp_path)
    assert _temporary.sweep(str(tmp_path)) == []
    assert os.path.lexists(path)
    process.kill()
    process.communicate(timeout=30)
    assert _temporary.sweep(str(tmp_path)) == [path]
    assert os.listdir(tmp_path) == []


def test_a_process_leaves_alone_what_another_thread_of_it_makes(tmp_path: Path) -> None:
    made = _temporary.Temporary(str(tmp_path / "out"), directory=True)
    found: list[list[str]] = []
    thread = threading.Thread(target=lambda: found.append(_temporary.sweep(str(tmp_path))))
    thread.start()
    thread.join(30)
    assert found == [[]]
    assert os.path.isdir(made.path)
    made.discard()
    assert os.listdir(tmp_path) == []


@pytest.mark.parametrize(
    "name",
    [
        "out",
        ".out",
        "out.pycjm-tmp-0123456789abcdef",
        ".out.pycjm-0123456789abcdef",
        ".out.pycjm-tmp-0123",
        ".out.pycjm-tmp-0123456789abcdef.bak",
    ],
)
def test_nothing_else_is_swept(tmp_path: Path, name: str) -> None:
    (tmp_path / name).write_text("theirs")
    assert _temporary.sweep(str(tmp_path)) == []
    assert (tmp_path / name).read_text() == "theirs"


def test_links_and_pipes_of_such_a_name_are_left_alone(tmp_path: Path) -> None:
    (tmp_path / "theirs").write_text("x")
    (tmp_path / ".a.pycjm-tmp-0123456789abcdef").symlink_to(tmp_path / "theirs")
    os.mkfifo(tmp_path / ".b.pycjm-tmp-0123456789abcdef")
    assert _temporary.sweep(str(tmp_path)) == []
    assert len(os.listdir(tmp_path)) == 3


def test_what_was_put_aside_comes_back_unless_its_place_is_taken(tmp_path: Path) -> None:
    for name in ("gone", "there"):
        old = tmp_path / f".{name}.pycjm-old-0123456789abcdef" / name
        old.mkdir(parents=True)
        (old / "run.json").write_text("old")
    (tmp_path / "there").mkdir()
    (tmp_path / "there" / "run.json").write_text("new")
    assert len(_temporary.sweep(str(tmp_path))) == 2
    assert sorted(os.listdir(tmp_path)) == ["gone", "there"]
    assert (tmp_path / "gone" / "run.json").read_text() == "old"
    assert (tmp_path / "there" / "run.json").read_text() == "new"


def test_a_long_name_leaves_room_for_the_temporary_one(tmp_path: Path) -> None:
    path = tmp_path / ("n" * 244 + ".csv")
    export.write_table(pa.table({"a": [1]}), path)
    assert os.listdir(tmp_path) == [path.name]


def test_two_that_write_one_new_file_do_not_replace_each_other(tmp_path: Path) -> None:
    path = tmp_path / "log.parquet"
    with export.whole_file(path, overwrite=False) as first:
        first.write(b"first")
        with export.whole_file(path, overwrite=False) as second:
            second.write(b"second")
        with pytest.raises(errors.IoError, match="appeared"), export.whole_file(path, overwrite=False) as third:
            third.write(b"third")
        assert path.read_bytes() == b"second"
        with pytest.raises(FileExistsError):
            _rename.rename_new(str(tmp_path / "log.parquet"), str(tmp_path / "log.parquet"))
        path.unlink()
    assert path.read_bytes() == b"first"
    assert os.listdir(tmp_path) == ["log.parquet"]


def test_a_new_name_where_the_system_knows_no_flags(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(_rename, "_function", lambda: None)
    (tmp_path / "a").write_text("a")
    (tmp_path / "b").write_text("b")
    assert not _rename.exchange(str(tmp_path / "a"), str(tmp_path / "b"))
    with pytest.raises(FileExistsError):
        _rename.rename_new(str(tmp_path / "a"), str(tmp_path / "b"))
    assert ((tmp_path / "a").read_text(), (tmp_path / "b").read_text()) == ("a", "b")
    _rename.rename_new(str(tmp_path / "a"), str(tmp_path / "c"))
    assert sorted(os.listdir(tmp_path)) == ["b", "c"]
