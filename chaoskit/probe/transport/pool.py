"""Sends httpx's requests over the probe's own connections, and decides which is used again.

| connections | rule                                                     |
|-------------|----------------------------------------------------------|
| fresh       | one for each request, closed with it                     |
| kept        | one for each open request; idle ones are used again      |
| shared      | one for all requests, multiplexed by HTTP/2              |

The requests of a conversation use one connection in any case; afterwards it is closed, or idle.

Rules: a request is sent again where that is safe: when the server has not begun with it (GOAWAY, a refused stream), or
when it had closed the connection that was to be used again. Without HTTP/2, `shared` is as `kept`.

The httpx response has a status and a body, but no headers: httpx would parse Location and Set-Cookie, raise for some of
them and store others. `Response` gives access to the headers as plain text.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import Literal

import httpx

from chaoskit.probe.transport.connect import ConnectOptions, Connector
from chaoskit.probe.transport.connection import Inbox
from chaoskit.probe.transport.exchange import (
    Exchange,
    Headers,
    Limits,
    Observer,
    Outgoing,
    Sink,
    StaleError,
    UnprocessedError,
)
from chaoskit.probe.transport.http1 import Http1
from chaoskit.probe.transport.http2 import Http2
from chaoskit.probe.transport.stamps import ReadStamp, StampClock

EXTENSION = "chaoskit"
"""The key of a request's `Call` in httpx's extensions, and of a response's `Exchange`."""
_MAX_SENT_AGAIN = 3
_PORTS = {b"http": 80, b"https": 443}
Link = Http1 | Http2


@dataclass(frozen=True)
class Call:
    """What a request carries beside what httpx knows. `secret` headers replace those of the same names.

    Requests of one `conversation` use one connection, whatever the rule of others.
    """

    observer: Observer
    secret: Headers
    conversation: int | None = None


class Response:
    """A response whose head has been received."""

    def __init__(self, response: httpx.Response) -> None:
        self.status = response.status_code
        self._response = response
        self._exchange: Exchange = response.extensions[EXTENSION]

    @property
    def http(self) -> str:
        """The HTTP version."""
        return self._exchange.http

    @property
    def head_stamp(self) -> ReadStamp:
        """The read that completed the head."""
        assert self._exchange.head_stamp is not None
        return self._exchange.head_stamp

    @property
    def is_success(self) -> bool:
        """Whether the status is 2xx."""
        return 200 <= self.status < 300

    def header(self, name: bytes) -> str | None:
        """The first header with this lower-case name, decoded as latin-1."""
        found = (value for key, value in self._exchange.headers if key.lower() == name)
        return next((value.decode("latin-1") for value in found), None)

    async def read(self, sink: Sink) -> None:
        """Call `sink` with the body's part in each read; return when the body has ended as it should."""
        await self._exchange.read(sink)

    async def aclose(self) -> None:
        """Close the response."""
        await self._response.aclose()


class Transport(httpx.AsyncBaseTransport):
    """All connections of one drive. Raises what `NetworkError` and the parsers' errors say, never httpx's own.

    With `http` "2" and without TLS, HTTP/2 is spoken with prior knowledge.
    """

    def __init__(
        self,
        options: ConnectOptions,
        clock: StampClock,
        limits: Limits,
        http: Literal["1.1", "2"],
        connections: Literal["fresh", "kept", "shared"],
    ) -> None:
        self._options = options
        self._connector = Connector(options, clock, Inbox())
        self._limits = limits
        self._http = http
        self._connections = connections
        self._idle: list[Link] = []
        self._shared: Http2 | None = None
        self._is_http1 = False  # the server has chosen HTTP/1.1, which shares no connection
        self._of_conversations: dict[int, Link] = {}  # between two of their requests
        self._draining: set[Http2] = set()
        self._making = asyncio.Lock()

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        """Send it; returns when the response's head is received."""
        call: Call = request.extensions[EXTENSION]
        outgoing = _outgoing(request, call.secret)
        port = request.url.port or _PORTS[outgoing.scheme]
        link, exchange = await self._exchange(outgoing, port, call)
        extensions = {"http_version": exchange.http.encode(), EXTENSION: exchange}
        return httpx.Response(
            exchange.status, stream=_Body(self, link, exchange, call.conversation), extensions=extensions
        )

    async def aclose(self) -> None:
        """Close all connections that are still open."""
        for link in (*self._idle, *self._of_conversations.values(), *self._draining, self._shared):
            if link is not None:
                link.close()

    def end_conversation(self, conversation: int) -> None:
        """No more requests of this conversation will come."""
        link = self._of_conversations.pop(conversation, None)
        if link is not None and self._connections == "kept":
            self._idle.append(link)
        elif link is not None:
            link.close()

    def release(self, link: Link, exchange: Exchange, conversation: int | None = None) -> None:
        """The response is complete, or nobody reads the rest of it."""
        link.cancel(exchange)
        if link is self._shared or link in self._draining:
            self._retire(link)
        elif not exchange.is_complete or not link.is_reusable:
            link.close()
        elif conversation is not None:
            self._of_conversations[conversation] = link
        elif self._connections == "fresh":
            link.close()
        else:
            self._idle.append(link)

    async def _exchange(self, request: Outgoing, port: int, call: Call) -> tuple[Link, Exchange]:
        """Send it, and again where that is safe; returns when the head of its response has come."""
        sent_again, observer = 0, call.observer
        while True:
            kept = None if call.conversation is None else self._of_conversations.pop(call.conversation, None)
            link = kept or await self._link(request, port, observer, is_new=sent_again > 0)
            exchange = Exchange(observer, link.connection, self._limits, link.was_used)
            try:
                await link.send(exchange, request)
                await exchange.head()
            except UnprocessedError as error:
                self.release(link, exchange)
                sent_again += 1
                if sent_again > _MAX_SENT_AGAIN:
                    raise
                if isinstance(error, StaleError):
                    observer.reconnecting()
            except BaseException:
                self.release(link, exchange)
                raise
            else:
                return link, exchange

    async def _link(self, request: Outgoing, port: int, observer: Observer, is_new: bool) -> Link:
        """A connection for one request. `is_new`: not one that has been idle."""
        if self._connections != "shared" or self._is_http1:
            return self._idle.pop() if self._idle and not is_new else await self._make(request, port, observer)
        async with self._making:
            if self._shared is not None and not self._shared.is_reusable:
                self._draining.add(self._shared)
                self._retire(self._shared)
                self._shared = None
            if self._shared is not None:
                return self._shared
            link = await self._make(request, port, observer)
            if isinstance(link, Http2):
                self._shared = link
            self._is_http1 = isinstance(link, Http1)
            return link

    async def _make(self, request: Outgoing, port: int, observer: Observer) -> Link:
        options = self._options
        is_prior_knowledge = options.tls is None and self._http == "2"
        tunnel = options.tls is not None or is_prior_knowledge
        connection = await self._connector.connect(request.host.decode("ascii"), port, observer, tunnel)
        if is_prior_knowledge or connection.alpn == "h2":
            return Http2(connection, self._limits.headers)
        whole_url = options.proxy is not None and not tunnel
        authorization = options.proxy.authorization if options.proxy is not None and whole_url else b""
        return Http1(connection, whole_url, authorization)

    def _retire(self, link: Link) -> None:
        """Close a shared connection that takes no more requests, when its last response has ended."""
        if isinstance(link, Http2) and not link.is_reusable and link.is_idle:
            link.close()
            self._draining.discard(link)


class _Body(httpx.AsyncByteStream):
    """A response's body. The probe reads it by `Response.read`; httpx itself can iterate over it."""

    def __init__(self, transport: Transport, link: Link, exchange: Exchange, conversation: int | None) -> None:
        self._conversation = conversation
        self._transport = transport
        self._link = link
        self._exchange = exchange
        self._is_closed = False

    async def __aiter__(self) -> AsyncIterator[bytes]:
        parts: asyncio.Queue[bytes] = asyncio.Queue()  # bounded by the limits of a response
        reading = asyncio.ensure_future(self._exchange.read(lambda data, _: parts.put_nowait(data)))
        reading.add_done_callback(lambda _: parts.put_nowait(b""))
        while part := await parts.get():
            yield part
        await reading

    async def aclose(self) -> None:
        if not self._is_closed:
            self._is_closed = True
            self._transport.release(self._link, self._exchange, self._conversation)


def _outgoing(request: httpx.Request, secret: Headers) -> Outgoing:
    replaced = {name for name, _ in secret}
    headers = [*((name, value) for name, value in request.headers.raw if name.lower() not in replaced), *secret]
    url = request.url
    return Outgoing(request.method.encode(), url.raw_scheme, url.raw_host, url.raw_path, headers, request.content)
