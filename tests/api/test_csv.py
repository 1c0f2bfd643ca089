"""Does every way of writing a CSV file end in the right text, or in an error that says where and what to do?"""

from __future__ import annotations

import bz2
import errno
import gzip
import os
import subprocess
import sys
import time

import pyarrow as pa
import pytest

import pycjm
from pycjm import csv_dialect, csv_reading, errors
from pycjm.csv_dialect import CsvOptions
from pycjm.csv_source import CsvSource
from pycjm.roles import Roles

ROLES = Roles(case=("case",), activity=("what",), timestamp=("at",))
PLAIN = "case,what,at\n01,a,2024-05-01\n1,b,2024-05-02\n"
ROWS = [("01", "a", "2024-05-01"), ("1", "b", "2024-05-02")]


def write(tmp_path, content, name="log.csv"):
    path = tmp_path / name
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return str(path)


def read(paths, roles=ROLES, *, integers=(), nulls=(), **options):
    """The rows of the needed columns as tuples."""
    source = CsvSource([paths] if isinstance(paths, str) else paths, CsvOptions(**options), tuple(roles.columns))
    source.require(roles)
    schema = source.schema(roles, list(integers), nulls)
    table = pa.Table.from_batches(list(source.batches(schema, nulls, [])), schema)
    return [tuple(row.values()) for row in table.to_pylist()]


def zstd(data):
    return pa.Codec("zstd").compress(data, asbytes=True)


@pytest.mark.parametrize(
    "content",
    [
        PLAIN,
        PLAIN.rstrip("\n"),
        PLAIN + "\n\n",
        "\n\n" + PLAIN,
        PLAIN.replace("\n", "\r\n"),
        PLAIN.replace("\n", "\r"),
        PLAIN.replace("\n", "\r").rstrip("\r"),
        "\ufeff" + PLAIN,
        PLAIN.replace(",", ";"),
        PLAIN.replace(",", "\t"),
        PLAIN.replace(",", "|"),
        PLAIN.encode("utf-16"),
        b"\xfe\xff" + PLAIN.encode("utf-16-be"),
        PLAIN.encode("utf-32"),
        '"case","what","at"\n"01","a","2024-05-01"\n"1","b","2024-05-02"\n',
    ],
)
def test_ways_to_write_the_same_log(tmp_path, content):
    assert read(write(tmp_path, content)) == ROWS


@pytest.mark.parametrize("name", ["log.csv", "log.csv.gz", "log"])
@pytest.mark.parametrize("pack", [gzip.compress, bz2.compress, zstd])
def test_compression_is_seen_from_the_bytes_and_members_are_joined(tmp_path, name, pack):
    data = PLAIN.encode()
    for packed in (pack(data), pack(data[:20]) + pack(data[20:])):
        assert read(write(tmp_path, packed, name)) == ROWS


def test_a_plain_file_named_as_a_packed_one_is_read(tmp_path):
    assert read(write(tmp_path, PLAIN, "log.csv.gz")) == ROWS


@pytest.mark.parametrize(
    ("row", "value"),
    [
        ('1,"a, b",2024-05-01', "a, b"),
        ('1,"line\nbreak",2024-05-01', "line\nbreak"),
        ('1,"say ""hi""",2024-05-01', 'say "hi"'),
        ('1,5" disk,2024-05-01', '5" disk'),
        ("1,,2024-05-01", None),
        ('1,"",2024-05-01', None),
        ("1, a ,2024-05-01", " a "),
        ("1,Übung 🎉,2024-05-01", "Übung 🎉"),
        ("1,NA,2024-05-01", "NA"),
    ],
)
def test_values_are_kept_as_they_are(tmp_path, row, value):
    assert read(write(tmp_path, f"case,what,at\n{row}\n"))[0][1] == value


def test_quotes_may_have_no_meaning_or_be_another_character(tmp_path):
    assert read(write(tmp_path, 'case,what,at\n1,"a,2024-05-01\n'), quote="")[0][1] == '"a'
    assert read(write(tmp_path, "case,what,at\n1,'a,b',2024-05-01\n"), quote="'")[0][1] == "a,b"


def test_named_nulls_are_null_in_text_and_in_numbers(tmp_path):
    path = write(tmp_path, "case,what,at\n1,NA,17\n2,b,NA\n")
    assert read(path, nulls=["NA"], integers=["at"]) == [("1", None, 17), ("2", "b", None)]


@pytest.mark.parametrize(
    ("name", "head"), [("header with line end", "case,what,at\n"), ("header alone", "case,what,at")]
)
def test_a_header_alone_is_an_empty_log(tmp_path, name, head):
    assert read(write(tmp_path, head)) == []


@pytest.mark.parametrize("content", [b"", b"\n\n\r\n", gzip.compress(b"", mtime=0), b"\xef\xbb\xbf"])
def test_no_header_is_an_error(tmp_path, content):
    with pytest.raises(errors.InvalidData, match="empty"):
        read(write(tmp_path, content))


def test_only_needed_columns_are_converted(tmp_path):
    content = b"case,odd,what,at\n1,\xff\xfe,a,2024-05-01\n"
    assert read(write(tmp_path, content)) == [("1", "a", "2024-05-01")]


def test_a_repeated_name_matters_only_if_it_is_used(tmp_path):
    path = write(tmp_path, "case,x,what,x,at\n1,p,a,q,2024-05-01\n")
    assert read(path) == [("1", "a", "2024-05-01")]
    with pytest.raises(errors.InvalidArgument, match="2 columns are named 'x'"):
        read(path, Roles(("case",), ("x",), ("at",)))


def test_a_header_over_several_lines(tmp_path):
    path = write(tmp_path, '\n"case","what\nhappened","at"\n1,a,2024-05-01\n')
    assert read(path, Roles(("case",), ("what\nhappened",), ("at",))) == [("1", "a", "2024-05-01")]


@pytest.mark.parametrize(
    ("content", "delimiter"),
    [
        ("case,what;x,at\n1,2;3,4\n", ","),
        ("case;what;at\n1;a,b;2,5\n2;c,d;3,5\n", ";"),
        ("case;what;at,x,y,z\n1;a;2024\n", ";"),  # wider with commas, but the named columns need semicolons
        ("case|what|at\n1|a,b,c|2\n", "|"),
    ],
)
def test_the_delimiter_is_the_one_that_explains_the_head(tmp_path, content, delimiter):
    named = Roles(case=("case",))
    assert csv_dialect.read(write(tmp_path, content), CsvOptions(), named.columns).delimiter == delimiter


def test_files_are_read_in_the_given_order_whatever_their_dialect(tmp_path):
    one = write(tmp_path, PLAIN, "z.csv")
    other = write(tmp_path, "at;case;what\n2024-06-01;7;c\n", "a.csv")
    source = CsvSource([one, other], CsvOptions(), tuple(ROLES.columns))
    schema, starts = source.schema(ROLES, [], ()), []
    rows = pa.Table.from_batches(list(source.batches(schema, (), starts)), schema).to_pylist()
    assert [row["case"] for row in rows] == ["01", "1", "7"]
    assert [source.locate(row, starts) for row in (1, 2, 3)] == [(one, 1), (one, 2), (other, 1)]


def test_a_file_that_lacks_a_column_is_named(tmp_path):
    one, other = write(tmp_path, PLAIN, "a.csv"), write(tmp_path, "case,at\n1,2024-05-01\n", "b.csv")
    with pytest.raises(errors.InvalidArgument, match=r"b\.csv: unknown column 'what'"):
        read([one, other])


def test_a_changed_file_is_looked_at_again(tmp_path):
    path = write(tmp_path, PLAIN)
    source = CsvSource([path], CsvOptions(), tuple(ROLES.columns))
    assert source.columns() == ["case", "what", "at"]
    write(tmp_path, "at,what,case\n2024-05-01,longer text,1\n")
    schema = source.schema(ROLES, [], ())
    rows = pa.Table.from_batches(list(source.batches(schema, (), [])), schema).to_pylist()
    assert rows == [{"case": "1", "what": "longer text", "at": "2024-05-01"}]


@pytest.mark.parametrize(
    ("bad", "fields"),
    [("1,a", 2), ("1,a,2024-05-01,more", 4), ("one field", 1)],
)
@pytest.mark.parametrize("before", [0, 1, 200_000])
def test_a_ragged_record_is_named_with_its_number(tmp_path, bad, fields, before):
    path = write(tmp_path, "case,what,at\n" + "1,a,2024-05-01\n" * before + bad + "\n" + "1,a,2024-05-01\n" * 3)
    with pytest.raises(errors.InvalidData, match=rf"row {before + 1} has {fields} fields, the header has 3") as caught:
        read(path)
    assert caught.value.details == {"path": path, "row": before + 1, "fields": fields}


@pytest.mark.parametrize("tail", ["", "\n", "\n1,b,2024-05-02\n"])
@pytest.mark.parametrize("row", ['2,a,"2024-05-02', '2,"a,2024-05-02', '"2,a,2024-05-02'])
def test_a_quote_left_open_is_no_row(tmp_path, row, tail):
    with pytest.raises(errors.InvalidData, match="opened in row 2 and never closed"):
        read(write(tmp_path, "case,what,at\n1,a,2024-05-01\n" + row + tail))


def test_a_quote_left_open_before_much_text_is_no_row(tmp_path):
    path = write(tmp_path, 'case,what,at\n1,"a,2024-05-01\n' + "1,a,2024-05-01\n" * (csv_reading.BLOCK_BYTES // 10))
    with pytest.raises(errors.InvalidData, match="never closed"):
        read(path)


@pytest.mark.parametrize(
    "bad", ['1,"say "hi" now",2024-05-01', '1,"Hey, I missed " it",2024-05-01', '1,"a"b,2024-05-01']
)
@pytest.mark.parametrize("encoding", ["utf-8", "utf-16"])
@pytest.mark.parametrize("before", [0, 1, 100_000])
def test_text_behind_a_closing_quote_is_refused(tmp_path, bad, encoding, before):
    content = "case,what,at\n" + '1,5" disk,2024-05-01\n' * before + bad + "\n" + "1,a,2024-05-01\n"
    with pytest.raises(errors.InvalidData, match=rf"row {before + 1}: text stands behind a closing quote") as caught:
        read(write(tmp_path, content.encode(encoding)))
    assert caught.value.details["row"] == before + 1


@pytest.mark.parametrize("block", [1, 2, 3, 5, 7, 64])
def test_quotes_at_the_edges_of_blocks(block):
    def stray(text, quote='"'):
        quotes = csv_reading._Quotes(csv_dialect.Dialect("", "utf-8", ",", quote, [], 0, []))
        data = text.encode()
        for start in range(0, len(data), block):
            quotes.look(data[start : start + block])
        return quotes.stray

    assert not stray('"a","b, c","say ""hi"" now"\r\n"""x""",,"ü"\n\n')
    assert stray('"a","b, c","say "hi now"\n')
    assert stray('a,5" disk\n')
    assert not stray('a,5" disk\n', quote="'")
    assert not stray('a,5" disk\n', quote=None)


def test_bytes_of_another_encoding_are_named_with_the_remedy(tmp_path):
    path = write(tmp_path, "case,what,at\n1,a,2024-05-01\n2,für,2024-05-01\n".encode("latin-1"))
    with pytest.raises(errors.InvalidData, match=r"column 'what', row 2 is not UTF-8.*encoding=\"latin-1\"") as caught:
        read(path)
    assert (caught.value.details["column"], caught.value.details["row"]) == ("what", 2)
    assert read(path, encoding="iso8859-1")[1][1] == "für"


def test_a_header_of_another_encoding_is_named(tmp_path):
    with pytest.raises(errors.InvalidData, match="the header is not UTF-8"):
        read(write(tmp_path, "case,wäs,at\n1,a,2024-05-01\n".encode("latin-1")))


def test_utf16_without_a_mark_is_named(tmp_path):
    with pytest.raises(errors.InvalidData, match='encoding="utf-16-le"'):
        read(write(tmp_path, PLAIN.encode("utf-16-le")))
    assert read(write(tmp_path, PLAIN.encode("utf-16-le")), encoding="utf-16-le") == ROWS


@pytest.mark.parametrize("content", [b"\0\1\2\3" * 100, bytes(64), b"case,what,at\n" + bytes(range(256)) + bytes(50)])
def test_bytes_are_no_text(tmp_path, content):
    with pytest.raises(errors.InvalidData, match="no text"):
        read(write(tmp_path, content))


def test_broken_utf16_is_an_error(tmp_path):
    with pytest.raises(errors.InvalidData, match="UTF-16"):
        read(write(tmp_path, PLAIN.encode("utf-16") + b"\x00"))


def test_characters_cut_by_a_block_are_put_together(tmp_path, monkeypatch):
    monkeypatch.setattr(csv_reading, "BLOCK_BYTES", 64)
    content = "case,what,at\n" + "1,äöü€🎉,2024-05-01\n" * 50
    for encoding in ("utf-8", "utf-16"):
        rows = read(write(tmp_path, content.encode(encoding)))
        assert rows == [("1", "äöü€🎉", "2024-05-01")] * 50


@pytest.mark.parametrize(
    ("content", "what"),
    [
        (b"PAR1....", "Parquet"),
        (b"PK\x03\x04....", "zip"),
        (b"ARROW1\0\0", "Arrow IPC"),
        (b"\xd0\xcf\x11\xe0....", "office"),
    ],
)
def test_other_formats_are_told_apart(tmp_path, content, what):
    with pytest.raises(errors.InvalidData, match=f"not CSV but .*{what}"):
        read(write(tmp_path, content))


@pytest.mark.parametrize("pack", [gzip.compress, bz2.compress, zstd])
def test_a_cut_packed_file_is_broken_data(tmp_path, pack):
    packed = pack(("case,what,at\n" + "".join(f"{i},{i * 7919},2024-05-01\n" for i in range(50_000))).encode())
    with pytest.raises(errors.InvalidData, match=r"log\.csv"):
        read(write(tmp_path, packed[: len(packed) // 2]))


def test_a_missing_file_is_an_io_error_with_its_errno(tmp_path):
    with pytest.raises(errors.IoError, match="No such file") as caught:
        read(str(tmp_path / "none.csv"))
    assert (caught.value.errno, caught.value.filename) == (errno.ENOENT, str(tmp_path / "none.csv"))


def test_a_directory_and_a_pipe_are_refused(tmp_path):
    with pytest.raises(errors.IoError) as caught:
        read(str(tmp_path))
    assert caught.value.errno == errno.EISDIR
    if not hasattr(os, "mkfifo"):
        return
    os.mkfifo(tmp_path / "pipe.csv")
    os.mkfifo(tmp_path / "pipe")
    for name in ("pipe.csv", "pipe"):
        with pytest.raises(errors.InvalidArgument, match="not a regular file"):
            pycjm.scan(str(tmp_path / name)).mine()


def test_a_unit_says_how_fine_text_is_held_and_what_integers_count(tmp_path):
    lines = ["case,activity,timestamp", *["1,a,2026-01-01T10:00:00"] * 1100, "1,b,2026-01-01T11:00:00.123456789"]
    path = write(tmp_path, "\n".join(lines))
    with pytest.raises(errors.InvalidData, match='timestamp_unit "us" holds'):
        pycjm.scan(path).mine("overview")
    last = pycjm.scan(path, timestamp_unit="ns").mine("overview")["overview"].to_pyarrow()["last_ts"]
    assert last.type == pa.timestamp("ns")
    assert last.cast(pa.int64()).to_pylist() == [1_767_265_200_123_456_789]
    path = write(tmp_path, "case,activity,timestamp\n1,a,17\n1,b,19\n")
    last = pycjm.scan(path, timestamp_unit="ms").mine("overview")["overview"].to_pyarrow()["last_ts"]
    assert (last.type, last.cast(pa.int64()).to_pylist()) == (pa.timestamp("ms", "UTC"), [19])


def test_the_century_of_two_digits_turns_at_69(tmp_path):
    path = write(tmp_path, "case,activity,timestamp\n1,birth,13.01.69\n1,call,13.01.68\n1,visit,13.01.99\n")
    variant = pycjm.scan(path).mine("variants")["variants"].to_pyarrow()["activities"].to_pylist()
    assert variant == [["birth", "visit", "call"]]


def test_a_number_that_is_none_is_named(tmp_path):
    path = write(tmp_path, "case,what,at\n1,a,17\n2,b,1.5\n")
    with pytest.raises(errors.InvalidData, match=r"column 'at', row 2: invalid value '1\.5'") as caught:
        read(path, integers=["at"])
    assert (caught.value.details["column"], caught.value.details["row"]) == ("at", 2)


@pytest.mark.parametrize(
    ("values", "kind"),
    [(["2", "10"], pa.int64()), (["2.5", "10"], pa.float64()), (["2", "x"], pa.string()), ([], pa.string())],
)
def test_order_by_columns_have_the_type_of_their_values(tmp_path, values, kind):
    path = write(tmp_path, "case,what,at,n\n" + "".join(f"1,a,2024-05-01,{value}\n" for value in values))
    named = Roles(("case",), ("what",), ("at",), order_by=("n",))
    assert CsvSource([path], CsvOptions()).schema(named, [], ()).field("n").type == kind


def test_an_order_by_column_with_another_role_keeps_that_type(tmp_path):
    path = write(tmp_path, "case,what,at\n1,a,2024-05-01\n")
    named = Roles(("case",), ("what",), ("at",), order_by=("case",))
    assert CsvSource([path], CsvOptions()).schema(named, [], ()).field("case").type == pa.string()


class TestTimestampFormat:
    """The one format of a log's times."""

    def find(self, tmp_path, content, *pairs, nulls=()):
        return CsvSource([write(tmp_path, content)], CsvOptions()).timestamp_format(pairs, nulls)

    def test_one_column(self, tmp_path):
        assert self.find(tmp_path, PLAIN, ("at",)) == "iso8601"

    def test_nulls_do_not_count(self, tmp_path):
        assert self.find(tmp_path, "at,x\n,1\nNA,1\n2024-05-01,1\n", ("at",), nulls=["NA"]) == "iso8601"

    def test_date_and_time(self, tmp_path):
        content = "d,t\n28/01/2018,00:00\n02/01/2018,00:15\n"
        assert self.find(tmp_path, content, ("d", "t")) == "%d/%m/%Y %H:%M"

    def test_start_and_end_prove_each_other(self, tmp_path):
        content = "s,e\n01/02/2018,13/02/2018\n"
        assert self.find(tmp_path, content, ("e",), ("s",)) == "%d/%m/%Y"

    def test_start_and_end_of_different_formats_are_refused(self, tmp_path):
        with pytest.raises(errors.InvalidData):
            self.find(tmp_path, "s,e\n1.2.2018,2018-02-13\n", ("e",), ("s",))

    def test_a_bad_value_is_named_with_path_and_record(self, tmp_path):
        with pytest.raises(errors.InvalidData, match=r"log\.csv: row 2: column 'at'") as caught:
            self.find(tmp_path, "at,x\n2024-05-01,1\nsoon,1\n", ("at",))
        assert caught.value.details["row"] == 2


def test_a_bad_start_is_looked_for_in_its_own_column(tmp_path):
    source = CsvSource([write(tmp_path, "s,e\n2024-05-01,2024-05-01\nsoon,2024-05-02\n")], CsvOptions())
    with pytest.raises(errors.InvalidData, match=r"row 2: column 's'"):
        source.timestamp_format([("e",), ("s",)], ())


def test_the_finest_digits_choose_the_unit(tmp_path):
    source = CsvSource([write(tmp_path, "at,x\n2024-05-01T00:00:00.123456789,1\n")], CsvOptions())
    assert source.finest_unit([("at",)], ()) == "ns"
    source = CsvSource([write(tmp_path, "at,x\n2024-05-01T00:00:00.123456,1\n", "b.csv")], CsvOptions())
    assert source.finest_unit([("at",)], ()) is None


def test_a_wide_file_is_looked_at_no_further_than_its_head(tmp_path):
    content = "case,what,at,note\n" + f"1,a,2024-05-01,{'x' * 5000}\n" * 200
    path = write(tmp_path, content)
    dialect = csv_dialect.read(path, CsvOptions())
    assert 0 < len(dialect.sample) < 200
    assert len(read(path)) == 200


def test_a_record_cut_by_the_end_of_the_head_is_left_out(tmp_path):
    note = "line\n" * 20
    content = "case,what,at,note\n" + f'1,a,2024-05-01,"{note}"\n' * 5000
    dialect = csv_dialect.read(write(tmp_path, content), CsvOptions())
    assert {len(record) for record in dialect.sample} == {4}
    assert {record[3] for record in dialect.sample} == {note}


def test_a_header_without_an_end_is_no_csv(tmp_path):
    with pytest.raises(errors.InvalidData, match="header does not end"):
        read(write(tmp_path, b"x" * (csv_dialect.HEAD_BYTES * 2)))


AWARE, NAIVE = "2026-01-01T00:00:00Z", "2026-01-01T10:00:00"


@pytest.mark.parametrize("before", [1, 1500])
@pytest.mark.parametrize(
    ("usual", "odd", "words"),
    [
        (AWARE, NAIVE, "has no offset from UTC"),
        (AWARE, "2026-01-05", "has no offset from UTC"),
        ("2026-01-01 00:00:00+02:00", NAIVE, "has no offset from UTC"),
        (NAIVE, AWARE, "offset from UTC"),
        (NAIVE, "2026-01-01 10:00:00-05", "offset from UTC"),
    ],
)
def test_times_with_and_without_an_offset_are_not_mixed_unsaid(tmp_path, before, usual, odd, words):
    usual_rows = "".join(f"1,a,{usual}\n" for _ in range(before))
    path = write(tmp_path, f"case,activity,timestamp\n{usual_rows}1,b,{odd}\n")
    for backend in ("native", "reference"):
        with pytest.raises(errors.InvalidData, match=f"column 'timestamp'.*{words}.*timezone=") as caught:
            pycjm.scan(path).mine("overview", backend=backend)
        # Of a mixture in the head the first time without an offset is named, behind it the one that is unlike.
        row = 1 if usual == NAIVE and before == 1 else before + 1
        assert (caught.value.details["path"], caught.value.details["row"]) == (path, row)
    told = pycjm.scan(path, timezone="Europe/Berlin").mine("overview")
    assert told["overview"].to_pyarrow()["events"].to_pylist() == [before + 1]


@pytest.mark.parametrize(
    "values",
    [
        [AWARE, "2026-01-01 00:00:00 +0100", "2026-01-01T00:00:00.5-05"],
        [NAIVE, "2026-01-01", "2026-01-01 10:00:00.123"],
    ],
)
def test_times_that_agree_on_their_offsets_are_read(tmp_path, values):
    path = write(tmp_path, "case,activity,timestamp\n" + "".join(f"1,a,{value}\n" for value in values * 700))
    info = pycjm.scan(path).mine("overview").info
    assert info["naive_timestamps"] is (values[0] == NAIVE)


LEFT_TO_THE_END = """
import sys, time
from pycjm import csv_reading
from pycjm.csv_dialect import CsvOptions
from pycjm.csv_source import CsvSource
from pycjm.roles import Roles
csv_reading.BLOCK_BYTES = 1 << 12  # far more blocks than are read ahead, so that the reading thread rests
source = CsvSource([sys.argv[1]], CsvOptions())
batches = source.batches(source.schema(Roles(case=("case",)), [], ()), (), [])
next(batches)
cycle = [batches]
cycle.append(cycle)  # only the last collection of the interpreter finds it
del batches, cycle
time.sleep(0.2)
print(time.time())
"""


def test_a_reading_left_to_the_end_of_the_interpreter_is_not_waited_for(tmp_path):
    path = tmp_path / "long.csv"
    path.write_text("case,activity\n" + "1,something to do\n" * 100_000)
    done = subprocess.run(
        [sys.executable, "-c", LEFT_TO_THE_END, str(path)], capture_output=True, text=True, timeout=60
    )
    took_s = time.time() - float(done.stdout)
    assert (done.returncode, done.stderr) == (0, "")
    assert took_s < csv_reading.LET_GO_S - 1
