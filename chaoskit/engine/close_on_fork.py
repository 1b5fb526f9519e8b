"""Sockets that no forked child may keep: whoever waits for their end would wait for the child's, too.

Every fork of this process, whoever does it, closes them in the child; exec closes them anyway. A child that is
meant to have one is given a copy of its descriptor (`os.dup`) first.
"""

from __future__ import annotations

import os
import socket
from weakref import WeakSet

_private: WeakSet[socket.socket] = WeakSet()


def close_on_fork(each: socket.socket) -> socket.socket:
    """The same socket; children born from now on do not have it."""
    _private.add(each)
    return each


def _forget() -> None:
    for each in list(_private):
        each.close()


os.register_at_fork(after_in_child=_forget)
