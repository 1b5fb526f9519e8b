"""Closes sockets in every forked child, so that a child does not keep a connection or the lock open.

Exec closes them anyway. A child that is meant to have one is given a copy of its descriptor (`os.dup`) first.
"""

from __future__ import annotations

import os
import socket
from weakref import WeakSet

_sockets: WeakSet[socket.socket] = WeakSet()


def close_on_fork(opened: socket.socket) -> socket.socket:
    """Return the same socket; children forked from now on do not have it."""
    _sockets.add(opened)
    return opened


def _close_all() -> None:
    for each in list(_sockets):
        each.close()


os.register_at_fork(after_in_child=_close_all)
