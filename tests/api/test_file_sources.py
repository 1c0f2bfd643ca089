"""Is it found out what a file is, and are Arrow IPC files read whole and checked?"""

from __future__ import annotations

import gzip
import os

import pyarrow as pa
import pyarrow.feather
import pyarrow.parquet as pq
import pytest

import pycjm
from pycjm import errors, file_source
from pycjm import source as source_module
from pycjm.file_source import IpcSource

DATA = pa.table({"case": ["A", "B"], "what": ["x", "y"], "n": [1, 2]})


@pytest.mark.parametrize(
    ("name", "form"),
    [
        ("a.parquet", "parquet"),
        ("a.PQ", "parquet"),
        ("logs/*.parquet", "parquet"),
        ("logs/2024-*/part-?", None),
        ("a.xes", "xes"),
        ("a.XES.gz", "xes"),
        ("a.csv", "csv"),
        ("a.tsv.gz", "csv"),
        ("a.txt.zst", "csv"),
        ("a.csv.zstd", "csv"),
        ("a.csv.bz2", "csv"),
        ("logs/*.csv", "csv"),
        ("a.arrow", "arrow"),
        ("a.feather", "arrow"),
        ("a", None),
        ("a.dat", None),
        ("a.gz", None),
    ],
)
def test_formats_by_name(name, form):
    assert file_source.format_by_name([name]) == form


def _write(path, content):
    path.write_bytes(content)
    return str(path)


@pytest.mark.parametrize(
    ("content", "form"),
    [
        (b"PAR1 and more", "parquet"),
        (b"ARROW1\0\0", "arrow"),
        (b"\xff\xff\xff\xff\0\0\0\0", "arrow"),
        (b"<?xml version='1.0'?><log/>", "xes"),
        (b"\xef\xbb\xbf\n <log>", "xes"),
        (gzip.compress(b"<?xml version='1.0'?><log/>", mtime=0), "xes"),
        (b"a,b\n1,2\n", "csv"),
        (gzip.compress(b"a,b\n1,2\n", mtime=0), "csv"),
    ],
)
def test_formats_by_content(tmp_path, content, form):
    assert file_source.find_format([_write(tmp_path / "log", content)]) == form


FILES = {
    "parquet": ("x.parquet", "y.pq"),
    "csv": ("x.csv", "y.tsv.gz"),
    "xes": ("x.xes", "y.xes.gz"),
    "arrow": ("x.arrow", "y.feather"),
}


@pytest.mark.parametrize("form", FILES)
def test_what_is_in_a_directory_decides(tmp_path, form):
    (tmp_path / "deep").mkdir()
    first, second = (_write(tmp_path / where, b"") for where in (f"deep/{FILES[form][0]}", FILES[form][1]))
    for name in ("README.md", "_SUCCESS", ".hidden.csv", ".hidden.parquet"):
        _write(tmp_path / name, b"")
    assert file_source.find_format([str(tmp_path)]) == form
    assert file_source.expand([str(tmp_path)], form) == [first, second]


@pytest.mark.parametrize(
    ("name", "content", "form"),
    [
        ("part-0", b"PAR1 and more", "parquet"),
        ("part-0", b"a,b\n1,2\n", "csv"),
        ("part-0.csv", b"a,b\n", "csv"),
        ("deep/part-0.xes", b"", "xes"),
        ("part-0", b"ARROW1\0\0", "arrow"),
    ],
)
def test_what_a_pattern_matches_decides(tmp_path, name, content, form):
    (tmp_path / "deep").mkdir()
    path = _write(tmp_path / name, content)
    _write(tmp_path / "_SUCCESS", b"")
    pattern = str(tmp_path / "*")
    assert file_source.find_format([pattern]) == form
    assert file_source.expand([pattern], form) == [path]


def test_a_directory_of_several_formats_is_refused_and_both_are_named(tmp_path):
    for name in ("x.csv", "y.parquet"):
        _write(tmp_path / name, b"")
    for source in (str(tmp_path), str(tmp_path / "*"), os.path.join(tmp_path.parent, tmp_path.name[:-1] + "?")):
        with pytest.raises(errors.InvalidArgument, match=r"csv \(.*x\.csv\) and parquet \(.*y\.parquet\)"):
            file_source.find_format([source])


def test_a_directory_without_a_log_is_told(tmp_path):
    _write(tmp_path / "README.md", b"")
    for source in (str(tmp_path), str(tmp_path / "..") + "/*" + tmp_path.name[-8:]):
        with pytest.raises(errors.InvalidArgument, match="no file of a known format"):
            file_source.find_format([source])


def test_links_in_circles_are_not_followed(tmp_path):
    (tmp_path / "a" / "b").mkdir(parents=True)
    path = _write(tmp_path / "a" / "x.csv", b"")
    (tmp_path / "a" / "loop").symlink_to(".")
    (tmp_path / "a" / "b" / "up").symlink_to("..")
    other = _write(tmp_path / "y.csv", b"")
    (tmp_path / "a" / "b" / "y.csv").symlink_to(other)
    assert file_source.expand([str(tmp_path / "a")], "csv") == [str(tmp_path / "a" / "b" / "y.csv"), path]


def _tree(folder):
    """Files, hidden ones, and links in circles, also by a way around."""
    other = folder / "other"
    for at in ("log", "log/a/b", "log/.hidden", "log/_part", "log/year=1", "other/deep"):
        (folder / at).mkdir(parents=True)
        pq.write_table(DATA, folder / at / "x.parquet")
    pq.write_table(DATA, folder / "log" / "_y.parquet")
    (folder / "log" / "loop").symlink_to(".")
    (folder / "log" / "again").symlink_to(".")
    (folder / "log" / "a" / "up").symlink_to("..")
    (folder / "log" / "around").symlink_to(other)
    (other / "back").symlink_to(folder / "log")
    return folder / "log"


@pytest.mark.parametrize(
    "pattern",
    [
        *("", "*", "**", "?", "*/*", "a/*", "*/x.parquet", "[a-b]/b", "year=*/**"),
        *("**/*", "**/*.parquet", "**/b/*", "**/a/**", "**/_*", "a/**/x.parquet"),
        *(".hidden/*", ".*/*", "_*", "_part/*", "../o*/**", "../*/a/**/*.parquet"),
    ],
)
def test_python_and_the_engine_find_the_same_files(tmp_path, pattern):
    source = os.path.join(_tree(tmp_path), pattern)
    log = pycjm.scan(source, case="case", activity="what", timestamp="n", timestamp_unit="s")
    try:
        expected = [file["path"] for file in source_module.find(source, log._settings).facts().files]
    except errors.InvalidArgument:
        expected = []
    try:
        found = file_source.expand([source], "parquet")
    except errors.InvalidArgument:
        found = []
    assert sorted(found) == sorted(expected)
    assert len(set(found)) == len(found)


@pytest.mark.parametrize("form", ["csv", "xes", "arrow"])
def test_directories_and_patterns_are_mined(tmp_path, form):
    folder = tmp_path / "log"
    folder.mkdir()
    for name in ("1", "2"):
        table = pa.table({"case": [name], "activity": ["a"], "timestamp": pa.array([0], pa.timestamp("s"))})
        if form == "arrow":
            pyarrow.feather.write_feather(table, str(folder / f"{name}.arrow"))
        elif form == "csv":
            _write(folder / f"{name}.csv", f"case,activity,timestamp\n{name},a,2026-01-01\n".encode())
        else:
            event = '<string key="concept:name" value="a"/><date key="time:timestamp" value="2026-01-01T00:00:00Z"/>'
            trace = f'<trace><string key="concept:name" value="{name}"/><event>{event}</event></trace>'
            _write(folder / f"{name}.xes", f"<log>{trace}</log>".encode())
    for source in (folder, folder / "*", tmp_path / "lo?"):
        cases = pycjm.scan(source).mine("cases")["cases"].to_pyarrow()["case"].to_pylist()
        assert cases == ["1", "2"]


def test_files_of_several_formats_are_refused(tmp_path):
    paths = [_write(tmp_path / "one", b"a,b\n"), _write(tmp_path / "two", b"<log/>")]
    with pytest.raises(errors.InvalidArgument, match=r"csv \(.*one\) and xes \(.*two\)"):
        file_source.find_format(paths)


def test_patterns_are_sorted_and_literal_names_win(tmp_path):
    for name in ("b.csv", "a.csv", "[x].csv"):
        _write(tmp_path / name, b"a\n")
    pattern, literal = str(tmp_path / "?.csv"), str(tmp_path / "[x].csv")
    assert file_source.expand([literal, pattern], "csv") == [literal, str(tmp_path / "a.csv"), str(tmp_path / "b.csv")]
    with pytest.raises(errors.InvalidArgument, match="no file matches"):
        file_source.expand([str(tmp_path / "*.tsv")], "csv")


def _ipc_file(path, table=DATA, **options):
    with pa.ipc.new_file(path, table.schema, **options) as writer:
        writer.write_table(table, max_chunksize=1)
    return str(path)


def _ipc_stream(path, table=DATA):
    with pa.ipc.new_stream(path, table.schema) as writer:
        writer.write_table(table, max_chunksize=1)
    return str(path)


@pytest.mark.parametrize("write", [_ipc_file, _ipc_stream])
def test_ipc_files_are_read_again_and_again(tmp_path, write):
    source = IpcSource([write(tmp_path / "a.arrow"), write(tmp_path / "b.arrow")])
    assert source.schema().names == ["case", "what", "n"]
    for _ in range(2):
        table = pa.Table.from_batches(list(source.batches(["n", "case"])))
        assert table.to_pydict() == {"n": [1, 2, 1, 2], "case": ["A", "B", "A", "B"]}


def test_compressed_ipc_and_feather(tmp_path):
    packed = _ipc_file(tmp_path / "a.arrow", options=pa.ipc.IpcWriteOptions(compression="zstd"))
    pyarrow.feather.write_feather(DATA, tmp_path / "b.feather")
    for path in (packed, str(tmp_path / "b.feather")):
        assert pa.Table.from_batches(list(IpcSource([path]).batches(["n"])))["n"].to_pylist() == [1, 2]


def test_feather_of_version_1_is_named(tmp_path):
    path = _write(tmp_path / "a.feather", b"FEA1....FEA1")
    with pytest.raises(errors.Unsupported, match="version 1"):
        IpcSource([path]).schema()


def test_ipc_files_of_other_types_are_refused(tmp_path):
    other = DATA.set_column(2, "n", pa.array([1.5, 2.5]))
    source = IpcSource([_ipc_file(tmp_path / "a.arrow"), _ipc_file(tmp_path / "b.arrow", other)])
    with pytest.raises(errors.InvalidData, match=r"b\.arrow.*other types"):
        list(source.batches(["n"]))


@pytest.mark.parametrize("cut", [0, 5, 20, 300])
def test_cut_ipc_files_are_broken_data(tmp_path, cut):
    whole = _ipc_file(tmp_path / "a.arrow")
    with open(whole, "rb") as file:
        content = file.read(cut)
    with pytest.raises(errors.InvalidData, match=r"b\.arrow"):
        list(IpcSource([_write(tmp_path / "b.arrow", content)]).batches(["n"]))


def test_ipc_text_is_checked(tmp_path):
    broken = pa.Array.from_buffers(
        pa.string(), 1, [None, pa.array([0, 2], pa.int32()).buffers()[1], pa.py_buffer(b"\xff\xfe")]
    )
    path = _ipc_file(tmp_path / "a.arrow", pa.table({"case": broken}))
    with pytest.raises(errors.InvalidData, match="UTF8"):
        list(IpcSource([path]).batches(["case"]))


def test_a_parquet_file_named_as_ipc_is_broken_data(tmp_path):
    pq.write_table(DATA, tmp_path / "a.arrow")
    with pytest.raises(errors.InvalidData, match=r"a\.arrow"):
        IpcSource([str(tmp_path / "a.arrow")]).schema()
