"""Samples the socket of one stream in its silences.

What changes from one sample to the next tells whose they were.

| sample    | taken                                                   | kept                           |
|-----------|---------------------------------------------------------|--------------------------------|
| `silent`  | after a token, when half of a stall's length has passed | if the silence becomes a stall |
| `resumed` | with the read that ends it, at once                     | likewise                       |
| `stuck`   | after 1 s, 2 s, 4 s, ...                                | always                         |

So a stream whose tokens come slowly costs samples and no records. After many stalls of one stream there are no more.
"""

from __future__ import annotations

from chaoskit.probe.sending import Sending
from chaoskit.probe.transport.stamps import ReadStamp
from chaoskit.records.model import TcpInfo

_SECOND = 1_000_000_000  # ns
_MOST = 200  # stalls of one stream


class SilenceSamples:
    """The samples of one stream; `stall` is the length of a stall in ns."""

    def __init__(self, sending: Sending, stall: int) -> None:
        self._sending = sending
        self._stall = stall
        self._first = min(stall // 2, _SECOND)
        self._stuck = _SECOND  # the next sample, from the latest activity on
        self._is_silent = False
        self._silent: TcpInfo | None = None
        self._stalls = 0

    def received(self, stamp: ReadStamp) -> None:
        """A part of the response was read."""
        active = self._sending.last_activity
        if self._is_silent and active is not None and stamp.at - active > self._stall * 0.9:  # `at` may be earlier
            self._keep()
            self._sending.sample_of_read(stamp)
            self._stalls += 1
        self._is_silent, self._silent = False, None
        self._sending.last_activity, self._stuck = stamp.read_at, _SECOND

    def look(self, at: int, has_tokens: bool) -> None:
        """Sample it if it is time."""
        active = self._sending.last_activity
        if active is None or at - active < self._first:
            return
        if has_tokens and not self._is_silent and self._stalls < _MOST:
            self._is_silent, self._silent = True, self._sending.look_in_silence("silent")
        if at - active >= self._stuck:
            self._stuck *= 2
            self._keep()
            if (stuck := self._sending.look_in_silence("stuck")) is not None:
                self._sending.record(stuck)

    def ended(self, at: int) -> None:
        """The stream has ended."""
        active = self._sending.last_activity
        if active is not None and at - active > self._stall:
            self._keep()

    def _keep(self) -> None:
        if self._silent is not None:
            self._sending.record(self._silent)
            self._silent = None
