"""Calls functions and wakes tasks at absolute times, accurate to some tens of microseconds.

asyncio's `call_at` waits in epoll, whose timeout is rounded up to the next millisecond; a timerfd in the same loop is
exact. One timer, armed for the earliest call; calls that are due together are made together.
"""

from __future__ import annotations

import asyncio
import ctypes
import heapq
import os
import struct
from collections.abc import Callable

from chaoskit import clock
from chaoskit.errors import RefusedError

_CLOCK_MONOTONIC = 1
_ABSOLUTE = 1  # TFD_TIMER_ABSTIME, timerfd_create(2)
_NEVER = 2**63 - 1
_libc = ctypes.CDLL(None, use_errno=True)


class AbsoluteTimer:
    """A heap of calls and one timerfd (timerfd_create(2)). Belongs to the loop that is running when it is made."""

    def __init__(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._calls: list[tuple[int, int, Callable[[], None]]] = []
        self._count = 0
        self._armed = _NEVER
        self._fd = _libc.timerfd_create(_CLOCK_MONOTONIC, os.O_NONBLOCK | os.O_CLOEXEC)
        if self._fd < 0:
            reason = os.strerror(ctypes.get_errno())
            raise RefusedError(f"cannot create a timer ({reason}); try: ulimit -n 4096")
        self._loop.add_reader(self._fd, self._fire)

    def at(self, stamp: int, call: Callable[[], None]) -> None:
        """Make `call` as soon as the monotonic clock has reached `stamp` (ns), never before."""
        self._count += 1
        heapq.heappush(self._calls, (stamp, self._count, call))
        if stamp < self._armed:
            self._arm(stamp)

    async def until(self, stamp: int) -> None:
        """Return at the monotonic `stamp` (ns), or at once when it has passed."""
        arrived = asyncio.Event()
        self.at(stamp, arrived.set)
        await arrived.wait()

    def close(self) -> None:
        """Drop all calls and close the timer."""
        self._loop.remove_reader(self._fd)
        os.close(self._fd)
        self._calls.clear()

    def _arm(self, stamp: int) -> None:
        self._armed = stamp
        seconds, rest = (0, 0) if stamp == _NEVER else divmod(max(stamp, 1), 10**9)  # zero disarms
        spec = struct.pack("qqqq", 0, 0, seconds, rest)
        _libc.timerfd_settime(self._fd, _ABSOLUTE, spec, None)

    def _fire(self) -> None:
        """Make the calls that are due. The timer is not read: arming it again clears its expiration (fs/timerfd.c)."""
        now = clock.now()
        due: list[Callable[[], None]] = []
        while self._calls and self._calls[0][0] <= now:
            due.append(heapq.heappop(self._calls)[2])
        self._armed = 0  # calls may add new ones: the timer is armed once for all of them, below
        try:
            for call in due:
                call()
        finally:
            self._arm(self._calls[0][0] if self._calls else _NEVER)
