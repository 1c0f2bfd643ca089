"""Is the shipped sample there, and can it be written out?"""

from __future__ import annotations

import errno

import pytest

import pycjm
from pycjm import errors


def test_the_sample_is_mined_and_its_roles_can_be_guessed():
    result = pycjm.sample().mine("overview")
    assert result["overview"].to_pyarrow()["events"].to_pylist() == [3550]
    from pycjm.sample import PATH

    guessed = pycjm.scan(PATH)
    assert guessed.roles.columns == pycjm.sample().roles.columns
    assert guessed.guessed == ("case", "activity", "timestamp")


def test_it_is_written_once(tmp_path):
    path = pycjm.write_sample(tmp_path / "new" / "folder")
    assert path == tmp_path / "new" / "folder" / "omnichannel.parquet"
    assert pycjm.scan(path).mine("overview")["overview"].to_pyarrow()["events"].to_pylist() == [3550]
    before = path.read_bytes()
    with pytest.raises(errors.IoError, match="exists already") as caught:
        pycjm.write_sample(tmp_path / "new" / "folder")
    assert caught.value.errno == errno.EEXIST
    assert path.read_bytes() == before


def test_a_place_that_cannot_be_written_is_an_io_error(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(errors.IoError):
        pycjm.write_sample(tmp_path / "file")


def test_versions_tell_both_sides():
    versions = pycjm.versions()
    assert versions["package"] == pycjm.__version__ == versions["engine"]
    assert versions["abi"] == 1
    assert versions["profile"] in ("release", "debug")
    assert versions["arrow"]
