"""Which HTTP a client speaks: HTTP/2 if it begins with its preface, as it must also over TLS, else HTTP/1.1."""

from __future__ import annotations

from chaoskit.server.connection import Connection
from chaoskit.server.http1 import Http1
from chaoskit.server.http2 import Http2

# RFC 9113, 3.4. No request of HTTP/1.1 begins with its first three bytes.
_PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"


class Door(Connection):
    """Every connection begins as one, and is handed on at its first bytes."""

    _first = b""

    def data_received(self, data: bytes) -> None:
        """Wait for as many bytes as tell."""
        self._first += data
        told = self._first[:3]
        if told == _PREFACE[:3]:
            self._hand_on(Http2(self.desk, self.open_ones))
        elif not _PREFACE.startswith(told):
            self._hand_on(Http1(self.desk, self.open_ones))

    def _hand_on(self, connection: Connection) -> None:
        self.open_ones.discard(self)
        self.transport.set_protocol(connection)
        connection.connection_made(self.transport)
        connection.data_received(self._first)
