"""Which log can be tried without having one?

A few thousand events of customer journeys over several channels, made by the project's own generator.
"""

from __future__ import annotations

import errno
import os
from typing import TYPE_CHECKING

from . import errors
from .log import EventLog, scan

if TYPE_CHECKING:
    from pathlib import Path

PATH = os.path.join(os.path.dirname(__file__), "sample_data", "omnichannel.parquet")
"""The file itself."""


def sample() -> EventLog:
    """The shipped sample as a log.

    Returns
    -------
    EventLog
        Journeys (``journey_id``) of touchpoints (``touchpoint``) over time (``timestamp``).

    Examples
    --------
    >>> import pycjm
    >>> pycjm.sample().mine("overview")["overview"].to_pyarrow()["events"][0].as_py()
    3550
    """
    return scan(PATH, case="journey_id", activity="touchpoint", timestamp="timestamp")


def write_sample(directory: str | os.PathLike[str] = ".") -> Path:
    """Copies the sample into a directory, which is made if it is not there.

    Parameters
    ----------
    directory : path-like
        Where to; the current directory by default.

    Returns
    -------
    pathlib.Path
        The file written.

    Raises
    ------
    IoError
        It exists already, or cannot be written.
    """
    import shutil
    from pathlib import Path

    from . import export

    target = Path(directory) / os.path.basename(PATH)
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        if os.path.lexists(target):
            raise FileExistsError(errno.EEXIST, os.strerror(errno.EEXIST))
        with open(PATH, "rb") as read, export.whole_file(target, overwrite=False) as write:
            shutil.copyfileobj(read, write)
    except FileExistsError as error:
        raise errors.IoError(
            f"{target}: exists already; remove it, or name another directory.",
            {"path": str(target), "errno": error.errno},
        ) from error
    except errors.PycjmError:
        raise
    except OSError as error:
        raise errors.IoError(f"{target}: {error.strerror}", {"path": str(target), "errno": error.errno}) from error
    return target
