"""Is the system's cache of files left as it was found by a log whose rows wait on disk?"""

from __future__ import annotations

import os
from contextlib import suppress
from pathlib import Path

import pyarrow.parquet as pq
import pytest

import pycjm

pytestmark = pytest.mark.skipif(not hasattr(os, "RWF_NOWAIT"), reason="this system does not tell what it has cached")

STEP = 1 << 20


def evict(path: Path) -> None:
    # What the system is still reading cannot be evicted.
    path.read_bytes()
    with path.open("rb") as file:
        os.fsync(file.fileno())
        os.posix_fadvise(file.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)


def cached(path: Path) -> float:
    """The share of places in a file that can be read without waiting. Asking may make the system read on."""
    places = range(0, path.stat().st_size, STEP)
    known = 0
    with path.open("rb") as file:
        for place in places:
            with suppress(BlockingIOError):
                known += os.preadv(file.fileno(), [bytearray(1)], place, os.RWF_NOWAIT)
    return known / len(places)


def mined(path: Path, memory_limit: int) -> int:
    log = pycjm.scan(path, case="case_id", activity="activity", timestamp="timestamp")
    result = log.mine("overview", memory_limit=memory_limit, spill_dir=path.parent)
    assert result.info["rows"] == 2_000_000
    return result.info["spilled_bytes"]


def test_what_was_cached_stays_and_what_was_not_makes_way(tmp_path: Path) -> None:
    path = tmp_path / "log.parquet"
    pq.write_table(pycjm.synth(2_000_000, layout="time").read_all(), path, row_group_size=50_000, compression="none")
    evict(path)
    if cached(path) > 0.1:
        pytest.skip("this file system keeps what it is told to forget")
    shares = []
    for _ in range(3):
        # Some of it may stay against all wishes, and is then taken for somebody else's.
        evict(path)
        assert mined(path, 10_000_000) > 10_000_000
        shares.append(cached(path))
    # Until rows went to disk, nothing had to make way.
    assert min(shares) < 0.5, shares
    path.read_bytes()
    assert mined(path, 10_000_000) > 10_000_000
    assert cached(path) > 0.9
    # Rows that do not go to disk need no room.
    evict(path)
    assert mined(path, 10**9) == 0
    assert cached(path) > 0.9
