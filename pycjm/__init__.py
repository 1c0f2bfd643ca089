"""Customer journeys out of event logs, at any size.

``scan`` names a log, ``EventLog.mine`` asks questions of it, and every answer is an Arrow table.

Examples
--------
>>> import pycjm
>>> result = pycjm.sample().mine()
>>> list(result)
['overview', 'activities', 'dfg', 'variants', 'durations']
"""

from __future__ import annotations

import json as _json
import os as _os
from typing import Any as _Any

from . import _lib, errors, measures
from .case_metric import case_metric
from .log import EventLog, LogDescription, scan
from .result import MiningResult
from .roles import Roles
from .sample import sample, write_sample
from .states import merge
from .synth import synth, write_synth
from .table import Table

__version__ = "0.1.0"

__all__ = [
    "EventLog",
    "LogDescription",
    "MiningResult",
    "Roles",
    "Table",
    "__version__",
    "bench",
    "case_metric",
    "errors",
    "get_include",
    "measures",
    "merge",
    "sample",
    "scan",
    "synth",
    "versions",
    "write_sample",
    "write_synth",
]


def __getattr__(name: str) -> _Any:
    # What only a few need is loaded when it is asked for.
    if name == "bench":
        import importlib

        return importlib.import_module(".bench", __name__)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def get_include() -> str:
    """The directory of ``pycjm.h``, for building against the C ABI.

    Examples
    --------
    >>> import os, pycjm
    >>> os.path.exists(os.path.join(pycjm.get_include(), "pycjm.h"))
    True
    """
    return _os.path.join(_os.path.dirname(__file__), "include")


def versions() -> dict[str, _Any]:
    """What is installed; to be given with every report of a bug.

    Returns
    -------
    dict
        ``package``, ``engine``, ``abi``, ``profile`` ("release" or "debug"), ``arrow``, ``target``.

    Examples
    --------
    >>> import pycjm
    >>> pycjm.versions()["abi"]
    1
    """
    return {"package": __version__, **_json.loads(_lib.text(_lib.lib.cjm_versions()))}
