"""Detects floods of HTTP/2 frames from frame headers, before h2 parses the frames.

| flood                                   | bound                                                |
|-----------------------------------------|------------------------------------------------------|
| PING, PRIORITY, empty DATA, unknown     | each costs one token of a token bucket               |
| RST_STREAM for streams that are closed  | likewise                                             |
| SETTINGS                                | ten tokens: each may change all streams' windows     |
| CONTINUATION, HEADERS without an end    | the bytes of one header block                        |
| a frame above SETTINGS_MAX_FRAME_SIZE   | RFC 9113, 4.2                                        |
"""

from __future__ import annotations

from chaoskit.server.limits import Limits, TokenBucket

PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"  # RFC 9113, 3.4
_FRAME_HEADER = 9  # bytes: length, type, flags, stream (RFC 9113, 4.1)
_MAX_FRAME = 2**14  # bytes: the default SETTINGS_MAX_FRAME_SIZE (RFC 9113, 6.5.2)
_DATA, _HEADERS, _SETTINGS, _GOAWAY, _WINDOW_UPDATE, _CONTINUATION = 0, 1, 4, 7, 8, 9
_UNCOUNTED = frozenset({_HEADERS, _GOAWAY, _WINDOW_UPDATE})  # a client needs them for each response
_SETTINGS_COST = 10
_END_HEADERS = 4


class FrameMeter:
    """Reads frame headers from a client's bytes, split anywhere. The connection preface comes first."""

    def __init__(self, limits: Limits) -> None:
        self._bucket = TokenBucket(limits.frames)
        self._max_block = limits.head_size
        self._skip = len(PREFACE)
        self._head = b""
        self._block = 0

    def is_flood(self, data: bytes, now: int) -> bool:
        """Whether these bytes, at `now` (monotonic ns), exceed a limit."""
        at, cost = 0, 0
        while at < len(data):
            if self._skip:
                step = min(self._skip, len(data) - at)
                at += step
                self._skip -= step
                continue
            part = data[at : at + _FRAME_HEADER - len(self._head)]
            at += len(part)
            self._head += part
            if len(self._head) == _FRAME_HEADER:
                length, kind, flags = int.from_bytes(self._head[:3]), self._head[3], self._head[4]
                self._head, self._skip = b"", length
                cost += _cost(kind, length)
                if length > _MAX_FRAME or self._is_long_block(kind, length, flags):
                    return True
        return not self._bucket.take(cost, now)

    def _is_long_block(self, kind: int, length: int, flags: int) -> bool:
        if kind not in (_HEADERS, _CONTINUATION):
            return False
        self._block += length
        if self._block > self._max_block:
            return True
        if flags & _END_HEADERS:
            self._block = 0
        return False


def _cost(kind: int, length: int) -> int:
    if kind in _UNCOUNTED or (kind == _DATA and length):
        return 0
    return _SETTINGS_COST if kind == _SETTINGS else 1
