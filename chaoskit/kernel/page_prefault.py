"""Prefaults memory, for guests, where a page fault costs as much as three system calls."""

from __future__ import annotations

import ctypes
import os

_NOW, _FROM_NOW_ON = 1, 2  # MCL_CURRENT and MCL_FUTURE, mlockall(2)
_libc = ctypes.CDLL(None)


def lock_memory() -> None:
    """Lock all memory of this process, so that it is mapped at once; repeated after each fork in parent and child.

    If the kernel refuses (`ulimit -l`), the process is only slower.
    """
    _lock()
    os.register_at_fork(after_in_parent=_lock, after_in_child=_lock)


def _lock() -> None:
    _libc.mlockall(_NOW | _FROM_NOW_ON)
