"""Reads the kernel's receive timestamps (SO_TIMESTAMPNS) and converts them to the monotonic clock."""

from __future__ import annotations

import socket
import struct
from typing import NamedTuple

from chaoskit import clock

_SO_TIMESTAMPNS = 35  # asm-generic/socket.h, the same number as the control message's type
_TIMESPEC = struct.Struct("@qq")
ANCILLARY_SIZE = socket.CMSG_SPACE(_TIMESPEC.size)
_Ancillary = list[tuple[int, int, bytes]]


class ReadStamp(NamedTuple):
    """One socket read: its number on the connection, and as in `records.model.SocketRead`."""

    number: int
    at: int
    read_at: int
    looked_at: int
    size: int


class StampClock:
    """Converts kernel stamps (CLOCK_REALTIME) to monotonic ones. `refresh` it about once a second.

    Keeps a socket with timestamps enabled, because the kernel begins to stamp packets some milliseconds after the first
    socket enables them.
    """

    def __init__(self) -> None:
        self._offset = clock.realtime_offset()
        self._stamping_socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        enable(self._stamping_socket)

    def refresh(self) -> None:
        """Read the offset of the two clocks again: the real-time clock may have been set."""
        self._offset = clock.realtime_offset()

    def read(self, ancillary: _Ancillary) -> int | None:
        """The monotonic stamp in the control messages of a read, if there is one."""
        for level, kind, data in ancillary:
            if kind == _SO_TIMESTAMPNS and level == socket.SOL_SOCKET:
                seconds, rest = _TIMESPEC.unpack_from(data)
                return int(seconds) * 1_000_000_000 + int(rest) - self._offset
        return None

    def close(self) -> None:
        """Close the socket that keeps timestamps enabled."""
        self._stamping_socket.close()


def enable(sock: socket.socket) -> None:
    """Enable receive timestamps on a socket."""
    sock.setsockopt(socket.SOL_SOCKET, _SO_TIMESTAMPNS, 1)
