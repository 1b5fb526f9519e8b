"""Waking up at an absolute time, to some ten microseconds.

asyncio rounds its waits up to a whole millisecond (selectors.EpollSelector.select); a timerfd does not.
Source: timerfd_create(2).
"""

from __future__ import annotations

import asyncio
import contextlib
import ctypes
import os
import struct

_MONOTONIC = 1  # time.h
_TFD_NONBLOCK, _TFD_CLOEXEC, _TFD_TIMER_ABSTIME = 0o4000, 0o2000000, 1
_libc = ctypes.CDLL(None, use_errno=True)


class Alarm:
    """Wakes one coroutine at a time."""

    def __init__(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._fd = _libc.timerfd_create(_MONOTONIC, _TFD_NONBLOCK | _TFD_CLOEXEC)
        if self._fd < 0:
            raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()))
        self._sleeper: asyncio.Future[None] | None = None
        self._loop.add_reader(self._fd, self._ring)

    async def until(self, stamp: int) -> None:
        """Return at the monotonic `stamp` (ns, positive), or at once when it has passed."""
        self._sleeper = self._loop.create_future()
        once = struct.pack("@qqqq", 0, 0, *divmod(stamp, 10**9))
        _libc.timerfd_settime(self._fd, _TFD_TIMER_ABSTIME, once, None)
        await self._sleeper

    def close(self) -> None:
        """Give the timer back."""
        self._loop.remove_reader(self._fd)
        os.close(self._fd)

    def _ring(self) -> None:
        with contextlib.suppress(BlockingIOError):  # set anew in between
            os.read(self._fd, 8)
            if self._sleeper is not None and not self._sleeper.done():
                self._sleeper.set_result(None)
