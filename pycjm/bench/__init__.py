"""How does pycjm compare with other tools on this machine?

``run`` asks every installed engine the same questions about the same synthetic log, compares the answers before any
time counts, and gives a report as plain data; ``plot`` draws it. None of this is loaded with ``import pycjm``.
"""

from __future__ import annotations

from .chart import plot
from .peers import ENGINES
from .running import run

__all__ = ["ENGINES", "plot", "run"]
