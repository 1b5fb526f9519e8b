"""Tracks incoming HTTP/2 frames, so that each gets the stamp of the read that completed it.

httpcore yields DATA frame by frame, in order, but late: on a shared connection a stream's data wait until that stream
reads. The stamps are queued here in parallel.

Rules: only open streams are tracked, so that memory is bounded by the number of requests; too many frames without data,
or header blocks that do not end, count as excess (floods of SETTINGS, PING, CONTINUATION, empty DATA: CVE-2019-9512,
9515, 9518, 2024-27316). DATA for a stream that is no longer read is discarded, and its bytes have to be returned to the
connection's flow-control window (`to_acknowledge`): h2 would count them, nothing would acknowledge them, and the other
streams of the connection would stall when the window is used up. Source: RFC 9113, sections 4.1 (the frame header) and
6 (the frames).
"""

from __future__ import annotations

from collections import deque

from chaoskit.probe.receive_stamps import ReadStamp
from chaoskit.units import Size

_DATA, _HEADERS, _RST_STREAM, _GOAWAY, _CONTINUATION = 0, 1, 3, 7, 9
_PADDED = 0x8
_END_STREAM = 0x1
_HEADER = 9  # bytes
_WINDOW = (1 << 24) + 65_535  # bytes: the flow-control window that httpcore gives each stream
_PAYLOAD_PREFIX = 8  # bytes of a payload that are kept: GOAWAY up to its error code
_MAX_WITHOUT_DATA = 10_000  # frames in a row; an idle server sends an occasional PING


class FrameTracker:
    """Tracks the incoming frames of one connection. Never raises: h2 reports invalid frames.

    `excess` names an exceeded limit, "" while there is none. `headers` bounds one header block, bytes.
    """

    def __init__(self, headers: int) -> None:
        self.excess = ""
        self.to_acknowledge = 0  # bytes of discarded DATA; set to 0 when they are returned to the window
        self.goaway: int | None = None
        self.resets: dict[int, int] = {}
        self._max_block = headers
        self._block = 0  # bytes of the current header block
        self._without_data = 0
        self._header = b""
        self._payload = b""
        self._length = 0  # bytes of the current frame's payload
        self._remaining = 0  # bytes of the payload still to come
        self._latest = 0  # the newest stream
        self._data: dict[int, deque[ReadStamp]] = {}
        self._heads: dict[int, ReadStamp] = {}
        self._is_discarded = False  # the current frame
        self._discard_budget = 0  # bytes

    def open(self, stream: int) -> None:
        """Start tracking a stream, before its request is sent."""
        self._data[stream] = deque()
        self._latest = max(self._latest, stream)

    def feed(self, data: bytes, arrival: ReadStamp) -> bytes:
        """Process the bytes of one read. Returns them without discarded frames."""
        output = bytearray()
        at = 0
        while at < len(data):
            if len(self._header) < _HEADER:
                part = data[at : at + _HEADER - len(self._header)]
                self._header += part
                at += len(part)
                if len(self._header) < _HEADER:
                    break
                self._begin(output)
            step = min(self._remaining, len(data) - at)
            if not self._is_discarded:
                output += data[at : at + step]
            self._payload += data[at : at + min(step, _PAYLOAD_PREFIX - len(self._payload))]
            self._remaining -= step
            at += step
            if not self._remaining:
                self._complete(arrival)
                self._header = b""
        return bytes(output)

    def headers(self, stream: int) -> ReadStamp | None:
        """The read that completed the response's headers."""
        return self._heads.get(stream)

    def next_data(self, stream: int) -> ReadStamp | None:
        """The read that completed the stream's next DATA frame: one for each frame that httpcore yields."""
        waiting = self._data.get(stream)
        return waiting.popleft() if waiting else None

    def stop_tracking(self, stream: int) -> None:
        """Stop tracking a stream that is no longer read."""
        self._discard_budget += _WINDOW
        for kept in (self._data, self._heads, self.resets):
            kept.pop(stream, None)

    def _begin(self, output: bytearray) -> None:
        """Handle a complete frame header."""
        self._length = self._remaining = int.from_bytes(self._header[:3], "big")
        self._payload = b""
        stream = self._stream()
        self._is_discarded = self._header[3] == _DATA and 0 < stream <= self._latest and stream not in self._data
        if not self._is_discarded:
            output += self._header
            return
        self.to_acknowledge += self._length
        self._discard_budget -= self._length
        if self._discard_budget < 0:
            self.excess = "more data for streams that have ended than was allowed"
        if self._header[4] & _END_STREAM:  # which h2 has to see
            output += bytes((0, 0, 0, _DATA, _END_STREAM)) + self._header[5:9]

    def _stream(self) -> int:
        return int.from_bytes(self._header[5:9], "big") & 0x7FFF_FFFF

    def _complete(self, arrival: ReadStamp) -> None:
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
        if self._without_data > _MAX_WITHOUT_DATA:
            self.excess = f"more than {_MAX_WITHOUT_DATA} HTTP/2 frames without data"
        if kind in (_HEADERS, _CONTINUATION):
            self._block = self._length + (self._block if kind == _CONTINUATION else 0)
            if self._block > self._max_block:
                self.excess = f"headers of more than {Size(self._max_block)}"

    def _padding(self) -> int:
        """The padding of a DATA frame with its length field, bytes."""
        return 1 + self._payload[0] if self._header[4] & _PADDED and self._payload else 0
