"""Holds one request and its response on their way through a connection.

The connection pushes: `begin` when the final head has come, `data` for each read with parts of the body, `end` when
the response is complete or nothing more will come. The reader waits for the head, then gives a function that is called
with each part; what it raises ends the exchange, and nothing else on the connection.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

from chaoskit.clock import now
from chaoskit.probe.transport.connection import Connection, ConnectTimings
from chaoskit.probe.transport.stamps import ReadStamp
from chaoskit.units import Size

Headers = list[tuple[bytes, bytes]]
Sink = Callable[[bytes, ReadStamp], None]
_UNANSWERED = 1_000_000_000  # ns after sending in which a close means that the connection was no longer in use


class NetworkError(Exception):
    """A connection could not be made, or has ended. Its cause is the kernel's or TLS's error, if there is one."""


class ProxyError(NetworkError):
    """The proxy cannot be reached: `proxy` is its host and port."""

    def __init__(self, proxy: str) -> None:
        super().__init__(proxy)
        self.proxy = proxy


class UnprocessedError(NetworkError):
    """The server has not begun to process the request: it can be sent again on another connection."""


class StaleError(UnprocessedError):
    """The connection that was to be used again had been closed by the server."""


class Observer(Protocol):
    """Follows one request through the transport."""

    def connecting(self, timings: ConnectTimings) -> None:
        """A connection is made for it; `timings` will tell how far it got."""

    def connected(self, connection: Connection) -> None:
        """The connection made for it is there; TLS is still to come."""

    def queued(self, streams: int) -> None:
        """It waits in this client, because the server allows only so many streams on the connection."""

    def sending(self, exchange: Exchange) -> None:
        """Its first byte is about to be written."""

    def uploaded(self) -> None:
        """Its last byte has been given to the kernel."""

    def reconnecting(self) -> None:
        """The server had closed the connection that it was to use again; it takes a new one."""


@dataclass(frozen=True)
class Outgoing:
    """A request as it leaves. `headers` include the host; `url` is for a proxy that gets the whole URL."""

    method: bytes
    scheme: bytes
    host: bytes
    path: bytes
    headers: Headers
    body: bytes


@dataclass(frozen=True)
class Limits:
    """The most bytes of a response's head and body."""

    headers: Size
    body: Size


class Exchange:
    """One request and its response. `reset` and `goaway` are HTTP/2 error codes that the server has sent."""

    __slots__ = (
        "_error", "_is_over", "_parts", "_sink", "_waiter", "connection", "goaway", "has_bytes", "head_stamp",
        "headers", "http", "is_complete", "is_reused", "limits", "number", "observer", "reset", "sent", "status",
        "unacknowledged",
    )  # fmt: skip

    def __init__(self, observer: Observer, connection: Connection, limits: Limits, is_reused: bool) -> None:
        self.observer = observer
        self.connection = connection
        self.limits = limits
        self.is_reused = is_reused
        self.sent = 0
        self.has_bytes = False  # anything of the response has come
        self.status = 0
        self.http = ""
        self.headers: Headers = []
        self.head_stamp: ReadStamp | None = None
        self.reset: int | None = None
        self.goaway: int | None = None
        self.number = 0  # HTTP/2's stream
        self.unacknowledged = 0  # bytes of HTTP/2's window
        self.is_complete = False
        self._is_over = False
        self._error: Exception | None = None
        self._parts: list[tuple[bytes, ReadStamp]] = []  # until there is a sink
        self._sink: Sink | None = None
        self._waiter: asyncio.Future[None] | None = None

    @property
    def is_over(self) -> bool:
        """Whether nothing more will come."""
        return self._is_over

    def sending(self) -> None:
        """It is about to be written."""
        self.sent = now()
        self.observer.sending(self)

    def begin(self, status: int, http: str, headers: Headers, stamp: ReadStamp) -> None:
        """The head of the response has come."""
        self.status, self.http, self.headers, self.head_stamp = status, http, headers, stamp
        self._wake()

    def data(self, data: bytes, stamp: ReadStamp) -> None:
        """A part of the body has come."""
        if self._is_over:
            return
        if self._sink is None:
            self._parts.append((data, stamp))
            return
        try:
            self._sink(data, stamp)
        except Exception as error:  # noqa: BLE001  raised again where the response is read
            self.end(error)

    def end(self, error: Exception | None = None) -> None:
        """The response is complete, or nothing more will come because of this error."""
        if not self._is_over:
            self._is_over = True
            self._error = error
            self.is_complete = error is None
            self._wake()

    def connection_ended(self, error: Exception | None) -> None:
        """The connection has ended before the response; None: the server has closed its side."""
        is_stale = self.is_reused and not self.has_bytes and now() - self.sent < _UNANSWERED
        failure = StaleError() if is_stale else NetworkError()
        failure.__cause__ = error
        self.end(failure)

    async def head(self) -> None:
        """Return when the head of the response has come. Raises what ended the exchange before."""
        if self.head_stamp is None and not self._is_over:
            await self._wait()
        if self.head_stamp is None and self._error is not None:
            raise self._error

    async def read(self, sink: Sink) -> None:
        """Call `sink` with each part of the body; return at its end. Raises what ended it before."""
        parts, self._parts = self._parts, []
        for data, stamp in parts:
            sink(data, stamp)
        self._sink = sink
        if not self._is_over:
            await self._wait()
        if self._error is not None:
            raise self._error

    async def _wait(self) -> None:
        self._waiter = asyncio.get_running_loop().create_future()
        try:
            await self._waiter
        finally:
            self._waiter = None

    def _wake(self) -> None:
        if self._waiter is not None and not self._waiter.done():
            self._waiter.set_result(None)
