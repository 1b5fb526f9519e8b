"""Lines to the server: httpx clients whose connections are ours.

| connections | lines                                                    |
|-------------|----------------------------------------------------------|
| fresh       | one for each stream, closed with it                      |
| kept        | one for each stream at a time, idle ones are taken again |
| shared      | one for all, HTTP/2 multiplexes                          |

A line is one pool with (but for `shared`) one connection, as httpcore's pool looks at all of its connections
whenever a request begins or ends. The pool is httpcore's own, given our backend by its public interface.
"""

from __future__ import annotations

import contextlib
import itertools
import ssl
from collections.abc import AsyncIterable, AsyncIterator
from typing import Literal

import httpcore
import httpx

from chaoskit.probe.backend import Backend
from chaoskit.probe.stamps import StampClock
from chaoskit.probe.target import Target
from chaoskit.spec.model import Workload


class Line:
    """A client, and the backend below it."""

    def __init__(self, backend: Backend, tls: ssl.SSLContext | None, http: Literal["1.1", "2"]) -> None:
        self.backend = backend
        pool = httpcore.AsyncConnectionPool(
            ssl_context=tls,
            max_connections=None,
            http1=http == "1.1" or tls is not None,
            http2=http == "2",
            network_backend=backend,
        )
        self.client = httpx.AsyncClient(transport=_Pool(pool), trust_env=False, timeout=None)

    async def aclose(self) -> None:
        """Close its connections."""
        await self.client.aclose()


class Lines:
    """All lines of one drive, by the workload's rule about connections."""

    def __init__(self, target: Target, workload: Workload, clock: StampClock) -> None:
        self._target = target
        self._workload = workload
        self._clock = clock
        self._tls = _trust(target) if target.url.startswith("https:") else None
        self._numbers = itertools.count()
        self._idle: list[Line] = []

    def take(self) -> Line:
        """A line for one stream."""
        if self._workload.connections == "shared":
            if not self._idle:
                self._idle.append(self._new())
            return self._idle[0]
        return self._idle.pop() if self._idle else self._new()

    async def give_back(self, line: Line, is_clean: bool) -> None:
        """The stream has ended; cleanly if its response was read to the end."""
        match self._workload.connections:
            case "kept" if is_clean:
                self._idle.append(line)
            case "fresh" | "kept":
                await line.aclose()

    async def aclose(self) -> None:
        """Close those that are idle or shared."""
        for line in self._idle:
            await line.aclose()

    def _new(self) -> Line:
        http2_only = self._workload.http == "2" and self._tls is None
        target = self._target
        backend = Backend(self._clock, self._numbers, http2_only, target.addresses, target.sockets)
        return Line(backend, self._tls, self._workload.http)


class _Pool(httpx.AsyncBaseTransport):
    """httpx over an httpcore pool. Errors come through as httpcore's own."""

    def __init__(self, pool: httpcore.AsyncConnectionPool) -> None:
        self._pool = pool

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        """Send it; returns when the response's headers are there."""
        assert isinstance(request.stream, httpx.AsyncByteStream)
        url = httpcore.URL(
            scheme=request.url.raw_scheme,
            host=request.url.raw_host,
            port=request.url.port,
            target=request.url.raw_path,
        )
        response = await self._pool.handle_async_request(
            httpcore.Request(
                method=request.method,
                url=url,
                headers=request.headers.raw,
                content=request.stream,
                extensions=request.extensions,
            )
        )
        return httpx.Response(
            status_code=response.status,
            headers=response.headers,
            stream=_Body(response),
            extensions=response.extensions,
        )

    async def aclose(self) -> None:
        """Close its connections."""
        await self._pool.aclose()


class _Body(httpx.AsyncByteStream):
    """A response's body as httpcore hands it out: frame by frame, chunk by chunk."""

    def __init__(self, response: httpcore.Response) -> None:
        self._response = response

    def __aiter__(self) -> AsyncIterator[bytes]:
        assert isinstance(self._response.stream, AsyncIterable)
        return aiter(self._response.stream)

    async def aclose(self) -> None:
        await self._response.aclose()


def _trust(target: Target) -> ssl.SSLContext:
    """Made once: it takes 30 ms and more."""
    context = httpx.create_ssl_context()
    if target.ca_file is not None:
        context.load_verify_locations(target.ca_file)
    return context


async def rehearse() -> None:
    """Have httpcore import what it imports with the first request of either HTTP version, without a network."""
    for http2 in (False, True):
        network = httpcore.AsyncMockBackend([b""])
        async with httpcore.AsyncConnectionPool(http1=not http2, http2=http2, network_backend=network) as pool:
            with contextlib.suppress(httpcore.RemoteProtocolError):  # the end of that network
                await pool.request("GET", "http://nowhere")
