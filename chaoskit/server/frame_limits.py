"""Counts the frames of HTTP/2 before their meaning is looked at: what floods a connection is told by their heads.

| flood                                   | bound                                                |
|-----------------------------------------|------------------------------------------------------|
| PING, PRIORITY, empty DATA, unknown     | one of the allowance each                            |
| RST_STREAM for streams that are closed  | likewise                                             |
| SETTINGS                                | ten: each may change the windows of all streams      |
| CONTINUATION, HEADERS without an end    | the bytes of one header block                        |
| a frame that is longer than we allow    | RFC 9113, 4.2                                        |
"""

from __future__ import annotations

from chaoskit.server.limits import Allowance, Limits

PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"  # RFC 9113, 3.4
_HEAD = 9  # bytes: length, type, flags, stream (RFC 9113, 4.1)
_LONGEST = 2**14  # bytes of a frame that every client may send (RFC 9113, 6.5.2); more is not offered
_DATA, _HEADERS, _SETTINGS, _GOAWAY, _WINDOW_UPDATE, _CONTINUATION = 0, 1, 4, 7, 8, 9
_FREE = frozenset({_HEADERS, _GOAWAY, _WINDOW_UPDATE})  # what a client needs for each answer that it gets
_SETTINGS_COST = 10
_END_HEADERS = 4


class FrameMeter:
    """Reads the heads of frames in a client's bytes, cut anywhere. The preface comes first."""

    def __init__(self, limits: Limits) -> None:
        self._allowance = Allowance(limits.frames)
        self._longest_block = limits.head_size
        self._skip = len(PREFACE)
        self._head = b""
        self._block = 0

    def is_flood(self, data: bytes, now: int) -> bool:
        """Whether these bytes, at `now` (monotonic ns), are more than is allowed."""
        at, cost = 0, 0
        while at < len(data):
            if self._skip:
                step = min(self._skip, len(data) - at)
                at += step
                self._skip -= step
                continue
            piece = data[at : at + _HEAD - len(self._head)]
            at += len(piece)
            self._head += piece
            if len(self._head) == _HEAD:
                length, kind, flags = int.from_bytes(self._head[:3]), self._head[3], self._head[4]
                self._head, self._skip = b"", length
                cost += _cost(kind, length)
                if length > _LONGEST or self._is_long_block(kind, length, flags):
                    return True
        return not self._allowance.take(cost, now)

    def _is_long_block(self, kind: int, length: int, flags: int) -> bool:
        if kind not in (_HEADERS, _CONTINUATION):
            return False
        self._block += length
        if self._block > self._longest_block:
            return True
        if flags & _END_HEADERS:
            self._block = 0
        return False


def _cost(kind: int, length: int) -> int:
    if kind in _FREE or (kind == _DATA and length):
        return 0
    return _SETTINGS_COST if kind == _SETTINGS else 1
