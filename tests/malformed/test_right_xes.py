"""Are odd XES files read as a plain XML parser reads them, and attacks refused?"""

from __future__ import annotations

import datetime
import gzip
import xml.etree.ElementTree as ET
from pathlib import Path
from typing import Any

import pytest
from attempts import attempt
from shared_logs import shared_files
from watched import Watched

import pycjm
from pycjm import errors

ROLES = {"case": "case:concept:name", "activity": "concept:name", "timestamp": "time:timestamp"}


def _logs(folder: Path) -> list[Path]:
    return [path for path in (folder / "malformed").rglob("*.xes") if "defusedxml" not in path.parts]


def _local(element: ET.Element) -> str:
    return element.tag.rpartition("}")[2]


def _attributes(element: ET.Element) -> dict[str, str]:
    """The plain attributes of a trace or an event; the last of a name counts."""
    return {
        child.get("key"): child.get("value")
        for child in element
        if _local(child) in ("string", "date", "int", "float", "boolean", "id") and child.get("key") is not None
    }


def _parsed(path: Path) -> list[tuple[Any, Any, Any]]:
    """Case, activity and time of each event of each trace, by a parser that knows nothing of XES."""
    found = []
    for trace in ET.parse(path).getroot():
        if _local(trace) != "trace":
            continue
        name = _attributes(trace).get("concept:name")
        for event in trace:
            if _local(event) == "event":
                told = _attributes(event)
                found.append((name, told.get("concept:name"), told.get("time:timestamp")))
    return found


def _instant(text: str) -> datetime.datetime | None:
    try:
        moment = datetime.datetime.fromisoformat(text)
    except ValueError:
        return None
    return moment.astimezone(datetime.UTC) if moment.tzinfo else moment.replace(tzinfo=datetime.UTC)


@pytest.mark.parametrize("path", shared_files(_logs))
def test_events(path: Path) -> None:
    if path.stat().st_size == 0:
        with pytest.raises(errors.InvalidData, match=path.name):
            pycjm.scan(path, **ROLES).mine()
        return
    known = _parsed(path)
    complete = [row for row in known if None not in row]
    events, refused = attempt(lambda: pycjm.scan(path, **ROLES, on_null="drop").events().read_all().to_pylist())
    if events is None:
        # An attribute that occurs nowhere is no column, and a value that is no date is no time; nothing else is wrong.
        text = str(refused)
        missing = [role for i, role in enumerate(ROLES) if all(row[i] is None for row in known)]
        not_times = [row for row in known if row[2] is not None and _instant(row[2]) is None]
        assert (missing and any(ROLES[role] in text for role in missing)) or not_times or _is_odd(path, text), text
        return
    found = [(row["case"], row["activity"], row["timestamp"]) for row in events]
    assert [row[:2] for row in found] == [row[:2] for row in complete]
    instants = [time if time.tzinfo else time.replace(tzinfo=datetime.UTC) for _, _, time in found]
    assert instants == [_instant(row[2]) for row in complete]


def _is_odd(path: Path, text: str) -> bool:
    """The file says with its name that something is wrong with it, and the message says where it is."""
    odd = ("Incorrect", "Swapped", "OutOfPlace", "noLog", "TooMany", "NoAttributes", "Identical")
    return path.name in text and any(word in path.name for word in odd)


@pytest.mark.parametrize(
    "path", shared_files(lambda folder: (folder / "malformed" / "apromore_importer_tests").glob("*.xes"))
)
def test_expected_logs_are_read_whole(path: Path) -> None:
    (row,) = pycjm.scan(path, **ROLES).mine("overview")["overview"].to_pyarrow().to_pylist()
    assert row["events"] == len(_parsed(path)) > 0


@pytest.mark.parametrize("path", shared_files(lambda folder: (folder / "malformed" / "defusedxml").glob("*.xml")))
def test_attacks_are_refused(tmp_path: Path, path: Path) -> None:
    named = tmp_path / f"{path.name}.xes"
    named.write_bytes(path.read_bytes())
    with pytest.raises(errors.InvalidData) as caught:
        pycjm.scan(named, **ROLES).mine()
    assert path.name in str(caught.value)
    if b"<!DOCTYPE" in path.read_bytes():
        assert "DOCTYPE" in str(caught.value) or "DTD" in str(caught.value)


EVENT = (
    '<event><string key="concept:name" value="{}"/><date key="time:timestamp" value="2024-01-01T00:00:00Z"/></event>'
)


def _log(name: str, head: str = "") -> str:
    return f'{head}<log><trace><string key="concept:name" value="1"/>{EVENT.format(name)}</trace></log>'


@pytest.mark.parametrize(
    "head",
    [
        '<!DOCTYPE log [<!ENTITY a "boom">]>',
        '<!DOCTYPE log [<!ENTITY a "x"><!ENTITY b "&a;&a;&a;&a;"><!ENTITY c "&b;&b;&b;&b;">]>',
        '<!DOCTYPE log [<!ENTITY a SYSTEM "file:///etc/passwd">]>',
        '<!DOCTYPE log SYSTEM "http://127.0.0.1:1/x.dtd">',
        '<!DOCTYPE log [<!ENTITY % p SYSTEM "file:///etc/passwd"> %p;]>',
    ],
)
def test_document_types_are_refused_inside_a_log(tmp_path: Path, head: str) -> None:
    (tmp_path / "log.xes").write_text(_log("&a;", '<?xml version="1.0"?>' + head))
    with pytest.raises(errors.InvalidData, match=r"log\.xes") as caught:
        pycjm.scan(tmp_path / "log.xes", **ROLES).mine()
    assert "root:" not in str(caught.value)


def test_entities_of_the_standard_are_text(tmp_path: Path) -> None:
    (tmp_path / "log.xes").write_text(_log("a&amp;b&lt;&#x41;&#66;&quot;&apos;&gt;"))
    (row,) = pycjm.scan(tmp_path / "log.xes", **ROLES).events().read_all().to_pylist()
    assert row["activity"] == "a&b<AB\"'>"


def test_an_unknown_entity_is_refused(tmp_path: Path) -> None:
    (tmp_path / "log.xes").write_text(_log("&nothing;"))
    with pytest.raises(errors.InvalidData, match="nothing"):
        pycjm.scan(tmp_path / "log.xes", **ROLES).mine()


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "latin-1"])
def test_encodings_are_read_or_refused(tmp_path: Path, encoding: str) -> None:
    declared = {"utf-8-sig": "utf-8"}.get(encoding, encoding).replace("latin-1", "iso-8859-1")
    (tmp_path / "log.xes").write_bytes(_log("Ärger", f'<?xml version="1.0" encoding="{declared}"?>').encode(encoding))
    found, refused = attempt(lambda: pycjm.scan(tmp_path / "log.xes", **ROLES).events().read_all().to_pylist())
    if found is None:
        assert encoding in ("utf-16", "latin-1"), refused
    else:
        assert [row["activity"] for row in found] == ["Ärger"]


@pytest.mark.parametrize("cut", [1, 40, 120, 200])
def test_a_cut_log_is_refused(tmp_path: Path, cut: int) -> None:
    whole = _log("a", '<?xml version="1.0"?>').encode()
    for name, content in (("log.xes", whole[:-cut]), ("log.xes.gz", gzip.compress(whole * 50)[:-cut])):
        (tmp_path / name).write_bytes(content)
        with pytest.raises(errors.InvalidData, match=name):
            pycjm.scan(tmp_path / name, **ROLES).mine()


SWOLLEN = {
    "one long value": lambda: _log("a" * (32 << 20)),
    "deep nesting": lambda: _log("a").replace("</event>", "<list key='x'>" * 10**5 + "</list>" * 10**5 + "</event>"),
    "many attributes": lambda: _log("a").replace(
        "</event>", "".join(f'<int key="k{i}" value="{i}"/>' for i in range(200_000)) + "</event>"
    ),
    "a long name": lambda: _log("a").replace("<log>", "<log><" + "x" * (32 << 20) + "/>"),
    "no end": lambda: "<log>" + " " * (100 << 20),
}


@pytest.mark.parametrize("what", SWOLLEN)
def test_swollen_logs_are_survived(tmp_path: Path, what: str) -> None:
    """Small when packed, large or deep when not: an answer or an error, within the limits of any file."""
    path = tmp_path / "log.xes.gz"
    path.write_bytes(gzip.compress(SWOLLEN[what]().encode(), 1))
    with Watched() as child:
        answer = child.try_file(path, ROLES)
        assert "died" not in answer, answer
        assert "hung" not in answer, what
        assert all(
            one.get("code", 2) in (1, 2, 3, 7) for one in answer["tries"] if "ok" not in one and "exit" not in one
        )
        assert child.excess(path, answer) <= 0, f"{answer['peak_bytes'] >> 20} MiB at the peak"
