"""What every folder of tests may use."""

from __future__ import annotations

import signal
import sys
from pathlib import Path

import pytest

if (folder := str(Path(__file__).resolve().parent)) not in sys.path:
    sys.path.append(folder)

if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    # A shell starts what runs in the background so, and it is inherited; tests of Ctrl-C need the signal.
    signal.signal(signal.SIGINT, signal.default_int_handler)


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """The folder with the shared logs; skips the test where there is none."""
    from shared_logs import REASON, find_shared_data

    folder = find_shared_data()
    if folder is None:
        pytest.skip(REASON)
    return folder
