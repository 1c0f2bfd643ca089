"""How does a log become numbers: activities of the smallest type, whole microseconds, and a number for each row?"""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc


def coded(table: pa.Table) -> tuple[list[str], pa.Array]:
    """The labels of the activities, and the code of each row's activity."""
    column = table["activity"].unify_dictionaries()
    if not column.num_chunks:
        return [], pa.array([], pa.uint8())
    labels = column.chunk(0).dictionary.to_pylist()
    return labels, pa.concat_arrays([pc.cast(chunk.indices, code_type(len(labels))) for chunk in column.chunks])


def numbered(table: pa.Table) -> tuple[list[str], pa.Table]:
    """The labels of the activities, and the log as SQL takes it: ``case_id``, ``code``, ``us`` and ``pos``."""
    labels, codes = coded(table)
    columns = {"case_id": table["case_id"], "code": codes, "us": table["timestamp"].cast(pa.int64())}
    return labels, pa.table({**columns, "pos": np.arange(len(table))})


def code_type(n_labels: int) -> pa.DataType:
    """The smallest type for so many codes."""
    return pa.uint8() if n_labels <= 1 << 8 else pa.uint32()
