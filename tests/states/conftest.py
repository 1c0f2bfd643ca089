"""Makes what the tests of this folder share importable."""

from __future__ import annotations

import sys
from pathlib import Path

if (folder := str(Path(__file__).resolve().parent)) not in sys.path:
    sys.path.append(folder)
