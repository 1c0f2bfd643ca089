"""Where do events wait until all of their neighbours are there?

In buckets, in the order they came. A bucket is held in memory until all buckets together are too large; then what they
hold goes to one file for each, in a private directory that is removed at the end.
"""

from __future__ import annotations

import os
import tempfile

import numpy as np

from .. import _temporary
from .blocks import EVENT

HELD_BYTES = 64 << 20
"""What buckets may hold in memory; changes no row of a log."""


class Buckets:
    """Events by bucket; a context manager, which removes the files at its end.

    Parameters
    ----------
    directory : str, optional
        Where the private directory is made, should it be needed; the system's place for temporary files by default.
    """

    def __init__(self, directory: str | None = None) -> None:
        self._parent = directory
        self._private: _temporary.Temporary | None = None
        self._held: dict[int, bytearray] = {}
        self._held_bytes = 0
        self._on_disk: set[int] = set()

    def __enter__(self) -> Buckets:
        return self

    def __exit__(self, *failure: object) -> None:
        self._held.clear()
        if self._private is not None:
            self._private.discard()

    def add(self, events: np.ndarray, n_of_bucket: np.ndarray) -> None:
        """Put events away that lie by bucket.

        Parameters
        ----------
        events : ndarray of EVENT
            Those of the first bucket, then those of the second, and so on.
        n_of_bucket : ndarray
            How many there are of each.
        """
        content = memoryview(events.view(np.uint8))
        stop = 0
        for bucket in np.flatnonzero(n_of_bucket).tolist():
            start, stop = stop, stop + int(n_of_bucket[bucket]) * EVENT.itemsize
            self._held.setdefault(bucket, bytearray()).extend(content[start:stop])
        self._held_bytes += stop
        if self._held_bytes > HELD_BYTES:
            self._spill()

    def known(self) -> list[int]:
        """The buckets that have events, in order."""
        return sorted(self._held.keys() | self._on_disk)

    def take(self, bucket: int) -> np.ndarray:
        """The events of a bucket in the order they came; it is empty afterwards."""
        held = self._held.pop(bucket, bytearray())
        self._held_bytes -= len(held)
        if bucket not in self._on_disk:
            return np.frombuffer(held, EVENT)
        path = self._path(bucket)
        n_bytes = os.path.getsize(path)
        content = bytearray(n_bytes + len(held))
        with open(path, "rb", buffering=0) as file:
            view, read = memoryview(content), 0
            while read < n_bytes:
                got = file.readinto(view[read:n_bytes])
                if not got:
                    raise OSError(f"{path} became shorter while it was in use")
                read += got
        content[n_bytes:] = held
        os.unlink(path)
        self._on_disk.discard(bucket)
        return np.frombuffer(content, EVENT)

    def _spill(self) -> None:
        for bucket in sorted(self._held):
            with open(self._path(bucket), "ab", buffering=0) as file:
                view = memoryview(self._held[bucket])
                while view:
                    view = view[file.write(view) :]
                view.release()
            self._on_disk.add(bucket)
            del self._held[bucket]
        self._held_bytes = 0

    def _path(self, bucket: int) -> str:
        if self._private is None:
            parent = os.path.realpath(self._parent or tempfile.gettempdir())
            _temporary.sweep(parent)
            self._private = _temporary.Temporary(os.path.join(parent, "synth"), directory=True)
        return os.path.join(self._private.path, str(bucket))
