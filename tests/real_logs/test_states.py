"""Do the states of parts of real logs merge to what the whole log gives, to the byte?"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
from known_views import VIEWS, View

import pycjm

FIRST_OF_EACH_LOG = list({view.log: view for view in reversed(VIEWS)}.values())[::-1]


@pytest.mark.parametrize("view", FIRST_OF_EACH_LOG, ids=str)
def test_parts_by_case_merge_to_the_whole(shared_data: Path, view: View, tmp_path: Path) -> None:
    events = pycjm.scan(view.path(shared_data), **view.options).events().read_all()
    roles = {name: name for name in ("case", "activity", "timestamp", "start_timestamp") if name in events.column_names}
    roles["order_by"] = [name for name in events.column_names if name.startswith("order_")]
    place = events["case"].combine_chunks().dictionary_encode().indices.to_numpy() % 5
    for part in range(5):
        own = events.take(pa.array(np.flatnonzero(place == part)))
        pycjm.scan(own, **roles).mine("overview", state=tmp_path / f"{part}.arrow")
    merged = pycjm.merge([tmp_path / f"{part}.arrow" for part in (3, 0, 4, 2, 1)], percentiles=[50, 99.9])
    whole = pycjm.scan(events, **roles).mine(percentiles=[50, 99.9])
    for name, table in whole.items():
        found, wanted = merged[name].to_pyarrow(), table.to_pyarrow()
        if name == "overview" and whole.info["layout"] != "case":
            found, wanted = found.drop_columns("layout"), wanted.drop_columns("layout")
        assert found.equals(wanted), name
