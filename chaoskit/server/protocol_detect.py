"""Detects HTTP/2 by its connection preface, also over TLS; any other client gets HTTP/1.1."""

from __future__ import annotations

from chaoskit.server.connection import Connection
from chaoskit.server.frame_limits import PREFACE
from chaoskit.server.http1 import Http1
from chaoskit.server.http2 import Http2

_PREFIX = 3  # bytes; no HTTP/1.1 method begins with the first three of the preface


class ProtocolDetector(Connection):
    """The initial protocol of every connection; its first bytes select the HTTP version."""

    _prefix_bytes = b""

    def data_received(self, data: bytes) -> None:
        """Wait for enough bytes, then switch."""
        self._prefix_bytes += data
        prefix = self._prefix_bytes[:_PREFIX]
        if prefix == PREFACE[:_PREFIX]:
            self._switch_to(Http2(self.dispatcher, self.connections))
        elif not PREFACE.startswith(prefix):
            self._switch_to(Http1(self.dispatcher, self.connections))

    def check_timeouts(self, now: int) -> None:
        """A client that sends nothing has the time limit of a request head."""
        if now - self.received > self.limits.head:
            self.abort()

    def _switch_to(self, connection: Connection) -> None:
        self.connections.discard(self)
        self.transport.set_protocol(connection)
        connection.connection_made(self.transport)
        connection.data_received(self._prefix_bytes)
