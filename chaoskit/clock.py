"""Time is an argument. The one place that asks the machine for it.

Stamps are integer nanoseconds of the machine's monotonic clock; only `wall` tells the date. The server
and the probe of a lab share that clock, so their stamps can be subtracted.
"""

from __future__ import annotations

import time
from datetime import UTC, datetime
from typing import Protocol

now = time.monotonic_ns  # the probe's and the server's hot paths call it bare
cpu = time.process_time_ns


class Clock(Protocol):
    """What everything that waits is given."""

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
        left = stamp - now()
        if left > 0:
            time.sleep(left / 1e9)


class ManualClock:
    """A clock that moves when somebody sleeps. For tests, and for planning without waiting."""

    def __init__(self, start: int = 0) -> None:
        self._now = start

    def now(self) -> int:
        """Nanoseconds since the start that was given."""
        return self._now

    def sleep_until(self, stamp: int) -> None:
        """Move to `stamp` at once."""
        self._now = max(self._now, stamp)


def wall() -> str:
    """The date and time in UTC, ISO 8601, for people."""
    return datetime.now(UTC).isoformat(timespec="seconds")


def boottime() -> int:
    """Nanoseconds since the machine came up, the time that it slept included. Nobody can set it.

    What a lease is measured by.
    """
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
