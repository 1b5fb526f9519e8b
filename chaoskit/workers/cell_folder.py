"""Makes a folder for a cell on another machine, and removes those that killed workers left there.

Rules: a folder is locked by its worker, and by the run in it, as long as one of them lives; what is removed is this
user's own, and locked by nobody.
"""

from __future__ import annotations

import fcntl
import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

PREFIX = "chaoskit-cell-"
_DIRECTORY = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC


@contextmanager
def cell_folder(parent: Path | None = None) -> Iterator[tuple[Path, int]]:
    """A new folder in `parent`, or in that for temporary files, and a descriptor of its lock. Raises OSError."""
    parent = parent or Path(tempfile.gettempdir())
    _remove_leftovers(parent)
    place, lock = _make(parent)
    try:
        yield place, lock
    finally:
        shutil.rmtree(place, ignore_errors=True)
        os.close(lock)


def _make(parent: Path) -> tuple[Path, int]:
    """A folder that is locked. Another worker may have removed it before it was: then another one."""
    while True:
        place = Path(tempfile.mkdtemp(prefix=PREFIX, dir=parent))
        try:
            lock = os.open(place, _DIRECTORY)
        except FileNotFoundError:
            continue
        fcntl.flock(lock, fcntl.LOCK_EX)
        if place.exists():
            return place, lock
        os.close(lock)


def _remove_leftovers(parent: Path) -> None:
    """Remove the folders of this user whose worker and run have ended."""
    for place in sorted(parent.glob(f"{PREFIX}*")):
        try:
            lock = os.open(place, _DIRECTORY)
        except OSError:
            continue
        try:
            if os.fstat(lock).st_uid == os.geteuid():
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
                shutil.rmtree(place, ignore_errors=True)
        except OSError:  # it is in use, or on a file system without locks
            continue
        finally:
            os.close(lock)
