"""A look at HTTP/2's frames as they pass, so that each can be given the stamp of the read that completed it.

httpcore hands DATA to its consumers one frame at a time, in order, but late: on a shared connection a stream's
data wait until its turn to read comes round. The stamps wait here beside them.
Source: RFC 9113, sections 4.1 (the frame header) and 6 (the frames).
"""

from __future__ import annotations

from collections import deque

from chaoskit.probe.stamps import Arrival

_DATA, _HEADERS, _RST_STREAM, _GOAWAY = 0, 1, 3, 7
_HEADER = 9  # bytes
_KEPT = 8  # bytes of a payload that are looked at: those of GOAWAY with its error code


class Tap:
    """One connection's incoming frames. It never fails: nonsense is for the real parser to complain about."""

    def __init__(self) -> None:
        self.goaway: int | None = None
        self.resets: dict[int, int] = {}
        self._header = b""
        self._payload = b""
        self._left = 0  # bytes of the current frame's payload that are still to come
        self._data: dict[int, deque[Arrival]] = {}
        self._heads: dict[int, Arrival] = {}
        self._done: set[int] = set()

    def feed(self, data: bytes, arrival: Arrival) -> None:
        """These bytes came with this read."""
        at = 0
        while at < len(data):
            if len(self._header) < _HEADER:
                part = data[at : at + _HEADER - len(self._header)]
                self._header += part
                at += len(part)
                if len(self._header) < _HEADER:
                    return
                self._left = int.from_bytes(self._header[:3], "big")
                self._payload = b""
            step = min(self._left, len(data) - at)
            self._payload += data[at : at + min(step, _KEPT - len(self._payload))]
            self._left -= step
            at += step
            if not self._left:
                self._complete(arrival)
                self._header = b""

    def head(self, stream: int) -> Arrival | None:
        """When the response's headers came."""
        return self._heads.get(stream)

    def take(self, stream: int) -> Arrival | None:
        """When the stream's next DATA frame came: one for each frame that httpcore hands out."""
        waiting = self._data.get(stream)
        return waiting.popleft() if waiting else None

    def forget(self, stream: int) -> None:
        """Nobody reads this stream any more."""
        self._done.add(stream)
        for kept in (self._data, self._heads, self.resets):
            kept.pop(stream, None)

    def _complete(self, arrival: Arrival) -> None:
        kind = self._header[3]
        stream = int.from_bytes(self._header[5:9], "big") & 0x7FFF_FFFF
        if kind == _GOAWAY:
            self.goaway = int.from_bytes(self._payload[4:8], "big")
        elif stream in self._done:
            return
        elif kind == _DATA:
            self._data.setdefault(stream, deque()).append(arrival)
        elif kind == _HEADERS:
            self._heads.setdefault(stream, arrival)
        elif kind == _RST_STREAM:
            self.resets[stream] = int.from_bytes(self._payload[:4], "big")
