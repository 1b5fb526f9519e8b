"""When bytes arrived: the kernel's receive stamps on the monotonic clock."""

from __future__ import annotations

import socket
import struct
from typing import NamedTuple

from chaoskit import clock

_SO_TIMESTAMPNS = 35  # asm-generic/socket.h, the same number as the control message's type
_TIMESPEC = struct.Struct("@qq")
SPACE = socket.CMSG_SPACE(_TIMESPEC.size)
_Ancillary = list[tuple[int, int, bytes]]


class Arrival(NamedTuple):
    """One socket read: its number on the connection, kernel stamp, our own stamp, size in bytes."""

    number: int
    at: int
    user: int
    size: int


class StampClock:
    """Turns kernel stamps (CLOCK_REALTIME) into monotonic ones. `refresh` it about once a second.

    Holds a stamping socket of its own, because the kernel begins to stamp packets some milliseconds after the
    first socket asks for it.
    """

    def __init__(self) -> None:
        self._offset = clock.realtime_offset()
        self._keeps_stamping = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        request(self._keeps_stamping)

    def refresh(self) -> None:
        """Read the offset of the two clocks again: somebody may have set the date."""
        self._offset = clock.realtime_offset()

    def read(self, ancillary: _Ancillary) -> int | None:
        """The monotonic stamp in a read's control messages, if the kernel sent one."""
        for level, kind, data in ancillary:
            if kind == _SO_TIMESTAMPNS and level == socket.SOL_SOCKET:
                seconds, rest = _TIMESPEC.unpack_from(data)
                return int(seconds) * 1_000_000_000 + int(rest) - self._offset
        return None

    def close(self) -> None:
        """Let the kernel stop."""
        self._keeps_stamping.close()


def request(sock: socket.socket) -> None:
    """Ask the kernel to stamp what this socket receives."""
    sock.setsockopt(socket.SOL_SOCKET, _SO_TIMESTAMPNS, 1)
