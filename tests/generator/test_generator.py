"""Is the shipped sample what its generator makes?"""

from __future__ import annotations

import importlib.util
import os
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

ROOT = Path(__file__).parents[2]
SAMPLE = ROOT / "pycjm" / "sample_data" / "omnichannel.parquet"


def test_the_committed_sample_is_what_the_generator_makes() -> None:
    spec = importlib.util.spec_from_file_location("sample_generator", ROOT / "benchmarks" / "generator.py")
    generator = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(generator)
    assert pq.read_table(SAMPLE).equals(generator.omnichannel())


def test_the_sample_is_small_and_worth_looking_at() -> None:
    sample = pq.read_table(SAMPLE)
    assert os.path.getsize(SAMPLE) < 100_000
    assert 3_000 <= sample.num_rows <= 4_000
    times = sample["timestamp"].cast(pa.int64()).to_numpy()
    assert (times[1:] >= times[:-1]).all()
    assert pc.count_distinct(sample["channel"]).as_py() == 6
    assert {"ad clicked", "basket left", "complaint", "return", "feedback"} <= set(sample["touchpoint"].to_pylist())
