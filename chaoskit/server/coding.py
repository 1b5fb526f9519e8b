"""Compresses response bodies, flushed after each event so that none waits: gzip or deflate.

Source: RFC 9110, 8.4.1. A malformation may compress without flushing, without being asked, or wrongly.
"""

from __future__ import annotations

import functools
import zlib
from typing import Protocol

from chaoskit.server.malformations.malformation import Compression
from chaoskit.server.requests import Headers
from chaoskit.server.schedule import Coding

_WINDOW: dict[Coding, int] = {"gzip": 31, "deflate": 15}  # zlib's window bits: gzip's header, or zlib's
_TRAILER = 8  # bytes of gzip's CRC and length
_BOMB = 64  # MB of spaces: nothing that a parser of events or lines takes for one


class Coder(Protocol):
    """Codes the body of one response."""

    headers: Headers

    def code(self, data: bytes) -> bytes:
        """The bytes to send for this event, now."""

    def end(self, data: bytes) -> bytes:
        """The bytes to send at the end of the body."""


class Compressor:
    """A compressed body. `flushes`: after each event; `missing`: bytes at its end; `bomb`: begins with one."""

    def __init__(self, coding: Coding, flushes: bool = True, missing: int = 0, bomb: bool = False) -> None:
        self.headers: Headers = (("content-encoding", coding), ("vary", "accept-encoding"))
        self._prefix, compressor = _exploding() if bomb else (b"", zlib.compressobj(wbits=_WINDOW[coding]))
        self._compressor = compressor.copy()
        self._flushes = flushes
        self._missing = missing

    def code(self, data: bytes) -> bytes:
        """See `Coder`."""
        before, self._prefix = self._prefix, b""
        coded = before + self._compressor.compress(data)
        return coded + self._compressor.flush(zlib.Z_SYNC_FLUSH) if self._flushes else coded

    def end(self, data: bytes) -> bytes:
        """See `Coder`."""
        coded = self._compressor.compress(data) + self._compressor.flush()
        return coded[: len(coded) - self._missing]


class Mislabelled:
    """A body that only says that it is compressed."""

    headers: Headers = (("content-encoding", "gzip"),)

    def code(self, data: bytes) -> bytes:
        """See `Coder`."""
        return data

    def end(self, data: bytes) -> bytes:
        """See `Coder`."""
        return data


def coder(coding: Coding, accepted: str, compression: Compression | None) -> Coder | None:
    """The coder for a client that accepts `accepted` (its Accept-Encoding); None for a body as it is."""
    match compression:
        case "unasked":
            return Compressor("gzip")
        case "held":
            return Compressor("gzip", flushes=False)
        case "truncated":
            return Compressor("gzip", missing=_TRAILER)
        case "plain":
            return Mislabelled()
        case "bomb":
            return Compressor("gzip", bomb=True)
    return Compressor(coding) if coding != "identity" and _accepts(accepted, coding) else None


def _accepts(accepted: str, coding: Coding) -> bool:
    for each in accepted.lower().split(","):
        name, _, weight = each.partition(";")
        if name.strip() in (coding, "*"):
            return weight.replace(" ", "") not in ("q=0", "q=0.0", "q=0.00", "q=0.000")
    return False


@functools.cache
def _exploding() -> tuple[bytes, zlib._Compress]:
    """The compressed bomb, and the state of its compressor."""
    compressor = zlib.compressobj(1, wbits=_WINDOW["gzip"])
    coded = b"".join(compressor.compress(b" " * 10**6) for _ in range(_BOMB))
    return coded + compressor.compress(b"\n\n") + compressor.flush(zlib.Z_SYNC_FLUSH), compressor
