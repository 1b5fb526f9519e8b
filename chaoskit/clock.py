"""Reads the machine's clocks; all other code gets a clock as an argument.

Timestamps are integer nanoseconds of the monotonic clock; only `wall` gives the date. The server and the probe of a lab
share that clock, so their timestamps can be subtracted.
"""

from __future__ import annotations

import struct
import time
from contextlib import suppress
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    import ctypes

TICK = 100_000_000
"""ns. The kernel's timers tick every 10 ms: what begins on a multiple of this one meets them always alike."""

_SECOND = 1_000_000_000
_ABSOLUTE = 1  # TIMER_ABSTIME

now = time.monotonic_ns  # called directly in the hot paths of probe and server
cpu = time.process_time_ns


class Clock(Protocol):
    """A clock for code that waits."""

    def now(self) -> int:
        """Monotonic nanoseconds."""

    def sleep_until(self, stamp: int) -> None:
        """Return at `stamp`, or at once when it has passed."""


class RealClock:
    """The machine's own monotonic clock."""

    def now(self) -> int:
        """Monotonic nanoseconds."""
        return now()

    def sleep_until(self, stamp: int) -> None:
        """Return at `stamp`, or at once when it has passed."""
        while now() < stamp:
            _sleep_until(stamp)  # or a signal came


def _sleep_until(stamp: int) -> None:
    """Sleep to the nanosecond `stamp` itself, which is the one at which others wake too (clock_nanosleep(2))."""
    _libc().clock_nanosleep(time.CLOCK_MONOTONIC, _ABSOLUTE, struct.pack("ll", *divmod(stamp, _SECOND)), None)


@cache
def _libc() -> ctypes.CDLL:
    import ctypes

    return ctypes.CDLL(None)


class ManualClock:
    """A clock that only `sleep_until` advances. For tests, and for planning without waiting."""

    def __init__(self, start: int = 0) -> None:
        self._now = start

    def now(self) -> int:
        """Nanoseconds since the start that was given."""
        return self._now

    def sleep_until(self, stamp: int) -> None:
        """Move to `stamp` at once."""
        self._now = max(self._now, stamp)


def next_tick(now: int) -> int:
    """The next multiple of a tick: the same stamp however long a step before it took."""
    return (now // TICK + 1) * TICK


def is_virtual() -> bool:
    """Whether this is a guest in virtual time."""
    with suppress(OSError):
        return "time-travel=" in Path("/proc/cmdline").read_text()
    return False


def begin_alike(clock: Clock) -> None:
    """In virtual time, wait for the next whole second, which is the same after every boot.

    Each clock read takes 256 ns there, so that the environment, the place of files and what is imported decide when a
    program gets here; what begins now, and the kernel's timers that it starts, must not depend on them.
    """
    begin_at(clock, (clock.now() // _SECOND + 1) * _SECOND)


def begin_at(clock: Clock, stamp: int) -> None:
    """In virtual time, wait for `stamp`: what begins then is the same however long a step before it took."""
    if is_virtual():
        clock.sleep_until(stamp)


def wall() -> str:
    """The date and time in UTC, ISO 8601, for people."""
    from datetime import UTC, datetime  # slow to import in a guest

    return datetime.now(UTC).isoformat(timespec="seconds")


def date_in_name() -> str:
    """The date and time, as a part of a directory's name."""
    return wall().replace(":", "").replace("-", "").removesuffix("+0000")


def local_time() -> tuple[str, str]:
    """The machine's date and time with the offset from UTC, ISO 8601, and the name of its time zone."""
    from datetime import datetime

    moment = datetime.now().astimezone()
    return moment.isoformat(timespec="seconds"), moment.tzname() or "UTC"


def boottime() -> int:
    """CLOCK_BOOTTIME: nanoseconds since boot, including suspend. It cannot be set. Leases are measured by it."""
    return time.clock_gettime_ns(time.CLOCK_BOOTTIME)


def realtime_offset() -> int:
    """CLOCK_REALTIME minus CLOCK_MONOTONIC in ns, from the tightest of nine paired reads.

    Kernel receive stamps are real time; subtracting this turns them into monotonic stamps.
    """
    best: tuple[int, int] | None = None
    for _ in range(9):
        before, real, after = time.monotonic_ns(), time.time_ns(), time.monotonic_ns()
        if best is None or after - before < best[0]:
            best = (after - before, real - (before + after) // 2)
    assert best is not None
    return best[1]
