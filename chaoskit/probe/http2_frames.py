"""A look at HTTP/2's frames as they pass, so that each can be given the stamp of the read that completed it.

httpcore hands DATA to its consumers one frame at a time, in order, but late: on a shared connection a stream's
data wait until its turn to read comes round. The stamps wait here beside them.

Rules: only streams that are open are noted, so that what is kept is bounded by what we asked; a connection whose
frames carry no data, or whose headers do not end, is too much (floods of SETTINGS, PING, CONTINUATION, empty DATA:
CVE-2019-9512, 9515, 9518, 2024-27316). DATA for a stream that nobody reads any more is taken out, and its bytes have to
be given back to the connection's window (`to_give_back`): hyper-h2 would count them, nobody would acknowledge them, and
the other streams of the connection would stall when the window is used up.
Source: RFC 9113, sections 4.1 (the frame header) and 6 (the frames).
"""

from __future__ import annotations

from collections import deque

from chaoskit.probe.receive_stamps import Arrival
from chaoskit.units import Size

_DATA, _HEADERS, _RST_STREAM, _GOAWAY, _CONTINUATION = 0, 1, 3, 7, 9
_PADDED = 0x8
_END_STREAM = 0x1
_HEADER = 9  # bytes
_WINDOW = (1 << 24) + 65_535  # bytes that httpcore allows each stream to send without an acknowledgement
_KEPT = 8  # bytes of a payload that are looked at: those of GOAWAY with its error code
_MOST_WITHOUT_DATA = 10_000  # frames in a row; a server that waits sends a PING now and then


class Tap:
    """One connection's incoming frames. It never fails: nonsense is for the real parser to complain about.

    `excess` says what there was too much of, "" while there is not. `headers` bounds one block of headers, bytes.
    """

    def __init__(self, headers: int) -> None:
        self.excess = ""
        self.to_give_back = 0  # bytes of DATA that were taken out; set to 0 when the window has them again
        self.goaway: int | None = None
        self.resets: dict[int, int] = {}
        self._longest_block = headers
        self._block = 0  # bytes of the current block of headers
        self._without_data = 0
        self._header = b""
        self._payload = b""
        self._length = 0  # bytes of the current frame's payload
        self._left = 0  # those that are still to come
        self._latest = 0  # the newest stream that was opened
        self._data: dict[int, deque[Arrival]] = {}
        self._heads: dict[int, Arrival] = {}
        self._is_taken_out = False  # the current frame
        self._may_be_taken_out = 0  # bytes

    def open(self, stream: int) -> None:
        """A request is about to be sent on this stream."""
        self._data[stream] = deque()
        self._latest = max(self._latest, stream)

    def feed(self, data: bytes, arrival: Arrival) -> bytes:
        """These bytes came with this read. Returns them without what is taken out."""
        passed = bytearray()
        at = 0
        while at < len(data):
            if len(self._header) < _HEADER:
                part = data[at : at + _HEADER - len(self._header)]
                self._header += part
                at += len(part)
                if len(self._header) < _HEADER:
                    break
                self._begin(passed)
            step = min(self._left, len(data) - at)
            if not self._is_taken_out:
                passed += data[at : at + step]
            self._payload += data[at : at + min(step, _KEPT - len(self._payload))]
            self._left -= step
            at += step
            if not self._left:
                self._complete(arrival)
                self._header = b""
        return bytes(passed)

    def head(self, stream: int) -> Arrival | None:
        """When the response's headers came."""
        return self._heads.get(stream)

    def take(self, stream: int) -> Arrival | None:
        """When the stream's next DATA frame came: one for each frame that httpcore hands out."""
        waiting = self._data.get(stream)
        return waiting.popleft() if waiting else None

    def forget(self, stream: int) -> None:
        """Nobody reads this stream any more."""
        self._may_be_taken_out += _WINDOW
        for kept in (self._data, self._heads, self.resets):
            kept.pop(stream, None)

    def _begin(self, passed: bytearray) -> None:
        """The header of a frame is there."""
        self._length = self._left = int.from_bytes(self._header[:3], "big")
        self._payload = b""
        stream = self._stream()
        self._is_taken_out = self._header[3] == _DATA and 0 < stream <= self._latest and stream not in self._data
        if not self._is_taken_out:
            passed += self._header
            return
        self.to_give_back += self._length
        self._may_be_taken_out -= self._length
        if self._may_be_taken_out < 0:
            self.excess = "more data for streams that have ended than was allowed"
        if self._header[4] & _END_STREAM:  # which the real parser has to know
            passed += bytes((0, 0, 0, _DATA, _END_STREAM)) + self._header[5:9]

    def _stream(self) -> int:
        return int.from_bytes(self._header[5:9], "big") & 0x7FFF_FFFF

    def _complete(self, arrival: Arrival) -> None:
        kind, stream = self._header[3], self._stream()
        self._count(kind)
        if kind == _GOAWAY:
            self.goaway = int.from_bytes(self._payload[4:8], "big")
        elif stream not in self._data:
            return
        elif kind == _DATA:
            self._data[stream].append(arrival)
        elif kind == _HEADERS:
            self._heads.setdefault(stream, arrival)
        elif kind == _RST_STREAM:
            self.resets[stream] = int.from_bytes(self._payload[:4], "big")

    def _count(self, kind: int) -> None:
        if kind == _DATA and self._length > self._padding():
            self._without_data = 0
            return
        self._without_data += 1
        if self._without_data > _MOST_WITHOUT_DATA:
            self.excess = f"more than {_MOST_WITHOUT_DATA} HTTP/2 frames without data"
        if kind in (_HEADERS, _CONTINUATION):
            self._block = self._length + (self._block if kind == _CONTINUATION else 0)
            if self._block > self._longest_block:
                self.excess = f"headers of more than {Size(self._longest_block)}"

    def _padding(self) -> int:
        """What of a DATA frame is padding, its length included, bytes."""
        return 1 + self._payload[0] if self._header[4] & _PADDED and self._payload else 0
