"""What has to be loaded before a command can work, and what need not be?"""

from __future__ import annotations

import sys

from .. import _signals


def load(backend: str = "native") -> None:
    """Loads pyarrow, and from then on lets signals clean up.

    Where the process is ours and no backend computes with numpy, pyarrow is loaded without it, which it supports: numpy
    takes longer to load than all the rest together, and only arrays that are exchanged with numpy need it.

    Parameters
    ----------
    backend : str
        What answers.
    """
    alone = _signals.is_ours() and backend == "native" and not {"numpy", "pyarrow"} & sys.modules.keys()
    if alone:
        # None is how Python says that a module is not to be imported.
        sys.modules["numpy"] = None  # type: ignore[assignment]
    try:
        _signals.clean_up("pyarrow")
    finally:
        if alone:
            del sys.modules["numpy"]
