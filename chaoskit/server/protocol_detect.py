"""Which HTTP a client speaks: HTTP/2 if it begins with its preface, as it must also over TLS, else HTTP/1.1."""

from __future__ import annotations

from chaoskit.server.connection import Connection
from chaoskit.server.frame_limits import PREFACE
from chaoskit.server.http1 import Http1
from chaoskit.server.http2 import Http2

_TELLING = 3  # bytes; no request of HTTP/1.1 begins with the preface's first three


class ProtocolDetector(Connection):
    """Every connection begins as one, and is handed on at its first bytes."""

    _first = b""

    def data_received(self, data: bytes) -> None:
        """Wait for as many bytes as tell."""
        self._first += data
        told = self._first[:_TELLING]
        if told == PREFACE[:_TELLING]:
            self._hand_on(Http2(self.desk, self.open_ones))
        elif not PREFACE.startswith(told):
            self._hand_on(Http1(self.desk, self.open_ones))

    def look(self, now: int) -> None:
        """One who says nothing has as long as for a head."""
        if now - self.received > self.limits.head:
            self.cut()

    def _hand_on(self, connection: Connection) -> None:
        self.open_ones.discard(self)
        self.transport.set_protocol(connection)
        connection.connection_made(self.transport)
        connection.data_received(self._first)
