"""Where are the shared logs?

The real and the malformed logs are too large, and too many people's, to be in this repository. They are looked for
beside it, or where PYCJM_SHARED_DATA says; without them the tests that need them are skipped.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import pytest

REASON = "the shared logs are not here: put them at ../shared/data or name their folder in PYCJM_SHARED_DATA"


def find_shared_data() -> Path | None:
    """The folder with the shared logs, or None."""
    named = os.environ.get("PYCJM_SHARED_DATA")
    folder = Path(named) if named else Path(__file__).resolve().parents[2] / "shared" / "data"
    return folder if (folder / "truths").is_dir() else None


def shared_files(choose: Callable[[Path], Iterable[Path]]) -> list[Any]:
    """Parameters of a test, one per file; without the shared logs a single one that is skipped.

    Parameters
    ----------
    choose : callable
        Gives the files of the folder with the shared logs.
    """
    folder = find_shared_data()
    if folder is None:
        return [pytest.param(None, marks=pytest.mark.skip(reason=REASON), id="no shared logs")]
    return [pytest.param(path, id=str(path.relative_to(folder))) for path in sorted(choose(folder))]
