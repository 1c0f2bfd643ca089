"""Are percentiles within bounds as close to the exact ones as was promised?"""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pyarrow as pa


def assert_within(within: pa.Table, exact: pa.Table, approx: float) -> None:
    """Each percentile as close as promised to the exact one, which lies between its bounds; all else is equal."""
    names = [name.removesuffix("_s") for name in exact.column_names if name.startswith("p")]
    figures = {f"{name}{end}_s" for name in names for end in ("", "_lo", "_hi")}
    others = [name for name in exact.column_names if name not in figures]
    assert within.select(others).equals(exact.select(others))
    assert [name for name in within.column_names if name not in others] == [
        f"{name}{end}_s" for name in names for end in ("", "_lo", "_hi")
    ]
    for name in names:
        true, middle, low, high = (
            np.array(column.to_pylist(), np.float64)
            for column in (exact[f"{name}_s"], *(within[f"{name}{end}_s"] for end in ("", "_lo", "_hi")))
        )
        known = ~np.isnan(true)
        assert (np.isnan(middle) == ~known).all()
        true, middle, low, high = true[known], middle[known], low[known], high[known]
        assert (low <= true).all()
        assert (true <= high).all()
        # Halfway between the bounds, but for what a float is rounded by.
        middles = low / 2 + high / 2
        assert (np.abs(middle - middles) <= 1e-15 * np.maximum(np.abs(low), np.abs(high))).all()
        # Where the bounds have the same sign, so have both neighbours of the percentile.
        same_sign = (low >= 0) | (high <= 0)
        allowed = approx * np.abs(true[same_sign]) * (1 + 1e-12)
        assert (np.abs(middle - true)[same_sign] <= allowed).all()
        assert ((high - low)[same_sign] <= 2 * allowed).all()
    for one, next_one in pairwise(sorted(names, key=lambda name: float(name[1:].replace("_", ".")))):
        for end in ("", "_lo", "_hi"):
            rising = zip(within[f"{one}{end}_s"].to_pylist(), within[f"{next_one}{end}_s"].to_pylist(), strict=True)
            assert all(a is None or a <= b for a, b in rising)
