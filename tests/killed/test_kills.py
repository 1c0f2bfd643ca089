"""Killed outright at random moments: is no partial result to be seen, does the next run succeed, is nothing left?

``python tests/killed/kills.py`` does the same a hundred times for each command.
"""

from __future__ import annotations

import random
import sys
from pathlib import Path

import kills
import pytest

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="no locks there that end with their process")

MOMENTS = {name: 4 if name == "mine" else 2 for name in kills.JOBS}


@pytest.mark.parametrize("name", kills.JOBS)
def test_a_killed_run_leaves_nothing_that_is_seen_or_stays(name: str, tmp_path: Path) -> None:
    seed = random.SystemRandom().randrange(1 << 32)
    print("seed", seed)
    account = kills.run(name, tmp_path, MOMENTS[name], random.Random(seed))
    assert account.killed >= 1, f"none of {account.moments_s} came in time"
