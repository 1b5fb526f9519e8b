"""Passes signals on to the command in a guest, and kills the guest of a command that does not end.

| signal                     | what happens                                                                          |
|----------------------------|---------------------------------------------------------------------------------------|
| SIGINT, SIGTERM, SIGHUP    | the command gets it, and may end as it likes; a guest that does not take it is killed |
| 10 s after SIGTERM, SIGHUP | the guest is killed                                                                   |
| the third signal           | the guest is killed at once                                                           |
"""

from __future__ import annotations

import signal
from types import FrameType, TracebackType

from chaoskit.clock import Clock
from chaoskit.substrate.uml import Guest

_SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
INTERRUPTED = tuple(128 + sign for sign in _SIGNALS)
_PATIENCE = 10_000_000_000  # ns, as `docker stop` has
_MOST = 2  # signals that a command may get


class SignalRelay:
    """Handles signals within its `with`."""

    def __init__(self, guest: Guest, clock: Clock) -> None:
        self._guest, self._clock = guest, clock
        self._received = 0
        self._ends: int | None = None

    def __enter__(self) -> SignalRelay:
        self._former = {sign: signal.signal(sign, self._receive) for sign in _SIGNALS}
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for sign, handler in self._former.items():
            signal.signal(sign, handler)

    def check(self) -> None:
        """Kill the guest when its command has had its time."""
        if self._ends is not None and self._clock.now() >= self._ends:
            self._guest.cancel(self._sign)

    def _receive(self, number: int, _frame: FrameType | None) -> None:
        sign = signal.Signals(number)
        self._received += 1
        if self._received > _MOST:
            self._guest.cancel(sign)
            return
        self._guest.interrupt(sign)
        if sign != signal.SIGINT and self._ends is None:
            self._sign, self._ends = sign, self._clock.now() + _PATIENCE
