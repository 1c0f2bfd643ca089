"""Which engines can answer a plan?

``native`` is the Rust engine. ``numba`` is a just-in-time compiled one on numpy arrays. ``reference`` is plain Python
on exact integers: slow, obvious, the oracle of the tests. All give the same tables with the same values.
"""

from __future__ import annotations

NAMES = ("native", "numba", "reference")
