"""Splits the incoming bytes of an HTTP/2 connection into frames, and bounds what comes without data.

Rules: too many frames without data, or header blocks that do not end, are an error of the connection (floods of
SETTINGS, PING, CONTINUATION, empty DATA: CVE-2019-9512, 9515, 9518, 2024-27316). Source: RFC 9113, sections 3.4 (the
preface), 4.1 (the frame header) and 6 (the frames).
"""

from __future__ import annotations

from typing import NamedTuple

from chaoskit.probe.framing import MalformedError, TooLargeError
from chaoskit.probe.transport.foreign_bytes import describe_instead_of_http2
from chaoskit.units import Size

DATA, HEADERS, PRIORITY, RST_STREAM, SETTINGS, PUSH_PROMISE, PING, GOAWAY, WINDOW_UPDATE, CONTINUATION = range(10)
END_STREAM = 0x1
PADDED = 0x8
MAX_LENGTH = 16_384  # bytes: SETTINGS_MAX_FRAME_SIZE, whose default is kept
_HEADER = 9  # bytes
_MAX_WITHOUT_DATA = 10_000  # frames in a row; an idle server sends an occasional PING


class Frame(NamedTuple):
    """One frame; `raw` includes its header, `data` is the payload of DATA without padding."""

    kind: int
    flags: int
    stream: int
    raw: bytes
    data: bytes

    @property
    def length(self) -> int:
        """Bytes of the payload, padding included: what flow control counts."""
        return len(self.raw) - _HEADER


class FrameSplitter:
    """Splits what comes. `headers` bounds one header block, bytes."""

    def __init__(self, headers: int) -> None:
        self._max_block = headers
        self._block = 0  # bytes of the current header block
        self._without_data = 0
        self._rest = b""
        self._is_first = True

    def feed(self, data: bytes) -> tuple[list[Frame], Exception | None]:
        """The frames that `data` completes, and what is wrong with what follows them: MalformedError, TooLargeError."""
        buffer = self._rest + data if self._rest else data
        frames: list[Frame] = []
        at = 0
        try:
            while True:
                if self._is_first:
                    _check_preface(buffer)
                end = at + _HEADER + int.from_bytes(buffer[at : at + 3])
                if len(buffer) - at < _HEADER:
                    break
                if end - at > _HEADER + MAX_LENGTH:
                    raise MalformedError(f"invalid HTTP/2: a frame of more than {MAX_LENGTH} bytes")
                if end > len(buffer):
                    break
                frames.append(self._frame(buffer[at:end]))
                self._is_first = False
                at = end
        except (MalformedError, TooLargeError) as error:
            return frames, error
        self._rest = buffer[at:]
        return frames, None

    def _frame(self, raw: bytes) -> Frame:
        kind, flags = raw[3], raw[4]
        stream = int.from_bytes(raw[5:9]) & 0x7FFF_FFFF
        data = b""
        if kind == DATA:
            data = raw[_HEADER:] if not flags & PADDED else _without_padding(raw)
        if data:
            self._without_data = 0
        else:
            self._count(kind, len(raw) - _HEADER)
        return Frame(kind, flags, stream, raw, data)

    def _count(self, kind: int, length: int) -> None:
        self._without_data += 1
        if self._without_data > _MAX_WITHOUT_DATA:
            raise TooLargeError(f"more than {_MAX_WITHOUT_DATA} HTTP/2 frames without data")
        if kind in (HEADERS, CONTINUATION):
            self._block = length + (self._block if kind == CONTINUATION else 0)
            if self._block > self._max_block:
                raise TooLargeError(f"headers of more than {Size(self._max_block)}")


def _check_preface(begin: bytes) -> None:
    """Raise MalformedError when the connection does not begin with SETTINGS, which may be of any length."""
    looks = len(begin) < 4 or begin[3] == SETTINGS
    if not looks or (len(begin) >= _HEADER and begin[5:9] != bytes(4)):
        raise MalformedError(f"invalid HTTP/2: the server answers with {describe_instead_of_http2(begin)}")


def _without_padding(raw: bytes) -> bytes:
    """The data of a padded DATA frame (RFC 9113, 6.1)."""
    length = len(raw) - _HEADER
    if not length or raw[_HEADER] >= length:
        raise MalformedError("invalid HTTP/2: a frame with more padding than it has bytes")
    return raw[_HEADER + 1 : len(raw) - raw[_HEADER]]
