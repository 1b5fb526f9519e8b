"""Pools httpx clients whose connections run over the probe's own sockets.

| connections | clients                                                  |
|-------------|----------------------------------------------------------|
| fresh       | one for each stream, closed with it                      |
| kept        | one for each open stream; idle clients are reused        |
| shared      | one for all streams, multiplexed by HTTP/2               |

A client has one httpcore pool, with one connection unless `shared`, because httpcore's pool scans all its connections
whenever a request begins or ends. The pool gets the probe's network backend through httpcore's public interface.

The httpx client gets a response's status and body, but no headers: it would parse Location and Set-Cookie, raise for
some of them and store others. `Response` gives access to the headers as plain text.
"""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import ssl
from collections.abc import AsyncIterable, AsyncIterator
from typing import Literal

import httpcore
import httpx

from chaoskit.errors import SpecError
from chaoskit.probe.completion import PEER_ERRORS
from chaoskit.probe.dns import Resolver
from chaoskit.probe.network_backend import Backend, ConnectOptions
from chaoskit.probe.receive_stamps import StampClock
from chaoskit.probe.target import Target
from chaoskit.spec.experiment import Workload

_HEADERS = "headers"  # the extension that holds a response's headers
_CLOSE_TIMEOUT = 1.0  # s; closing normally does not wait


class Response:
    """A response whose headers have been received."""

    def __init__(self, response: httpx.Response) -> None:
        self.status = response.status_code
        self.http = response.http_version
        self._response = response

    @property
    def is_success(self) -> bool:
        """Whether the status is 2xx."""
        return 200 <= self.status < 300

    def header(self, name: bytes) -> str | None:
        """The first header with this lower-case name, decoded as latin-1."""
        found = (value for key, value in self._response.extensions[_HEADERS] if key.lower() == name)
        return next((value.decode("latin-1") for value in found), None)

    def chunks(self) -> AsyncIterator[bytes]:
        """The body as httpcore yields it: by HTTP/2 frame or HTTP/1.1 chunk."""
        assert isinstance(self._response.stream, httpx.AsyncByteStream)
        return aiter(self._response.stream)

    async def aclose(self) -> None:
        """Close the response."""
        await self._response.aclose()


class Client:
    """An httpx client and its network backend."""

    def __init__(self, backend: Backend, tls: ssl.SSLContext | None, http: Literal["1.1", "2"]) -> None:
        self.backend = backend
        pool = httpcore.AsyncConnectionPool(
            ssl_context=tls,
            max_connections=None,
            http1=http == "1.1" or tls is not None,
            http2=http == "2",
            network_backend=backend,
        )
        self._client = httpx.AsyncClient(transport=_Pool(pool), trust_env=False, timeout=None)

    async def send(self, request: httpx.Request, key_headers: list[tuple[bytes, bytes]]) -> Response:
        """Send it with `key_headers`, which replace headers of the same names; returns when the headers are received.

        Raises httpcore's exceptions unchanged.
        """
        replaced = {name for name, _ in key_headers}
        headers = [
            *((name, value) for name, value in request.headers.raw if name.lower() not in replaced),
            *key_headers,
        ]
        keyed = httpx.Request(
            request.method, request.url, headers=headers, content=request.content, extensions=request.extensions
        )
        return Response(await self._client.send(keyed, stream=True))

    async def aclose(self) -> None:
        """Close its connections, whatever their state, within bounded time."""
        with contextlib.suppress(TimeoutError, *PEER_ERRORS):
            async with asyncio.timeout(_CLOSE_TIMEOUT):
                await self._client.aclose()


class _Pool(httpx.AsyncBaseTransport):
    """An httpx transport over an httpcore pool. Raises httpcore's exceptions unchanged."""

    def __init__(self, pool: httpcore.AsyncConnectionPool) -> None:
        self._pool = pool

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        """Send it; returns when the response's headers are received."""
        url = httpcore.URL(
            scheme=request.url.raw_scheme,
            host=request.url.raw_host,
            port=request.url.port,
            target=request.url.raw_path,
        )
        headers, content, extensions = request.headers.raw, request.content, request.extensions
        core_request = httpcore.Request(request.method, url, headers=headers, content=content, extensions=extensions)
        response = await self._pool.handle_async_request(core_request)
        extensions = {**response.extensions, _HEADERS: response.headers}
        return httpx.Response(response.status, stream=_Body(response), extensions=extensions)

    async def aclose(self) -> None:
        """Close its connections."""
        await self._pool.aclose()


class _Body(httpx.AsyncByteStream):
    """A response's body as httpcore yields it."""

    def __init__(self, response: httpcore.Response) -> None:
        self._response = response

    def __aiter__(self) -> AsyncIterator[bytes]:
        assert isinstance(self._response.stream, AsyncIterable)
        return aiter(self._response.stream)

    async def aclose(self) -> None:
        await self._response.aclose()


class ClientPool:
    """All clients of one drive, according to the workload's `connections`."""

    def __init__(self, target: Target, workload: Workload, clock: StampClock, tls: ssl.SSLContext | None) -> None:
        self._workload = workload
        self._clock = clock
        self._tls = tls
        self._numbers = itertools.count()
        self._idle: list[Client] = []
        self._options = ConnectOptions(
            Resolver(),
            workload.limits.headers,
            target.addresses,
            target.sockets,
            http2_only=workload.http == "2" and self._tls is None,
        )

    def acquire(self) -> Client:
        """A client for one stream."""
        if self._workload.connections == "shared":
            if not self._idle:
                self._idle.append(self._new())
            return self._idle[0]
        return self._idle.pop() if self._idle else self._new()

    async def release(self, client: Client, is_clean: bool) -> None:
        """Return the client of a stream that has ended; `is_clean` if its response was read to the end."""
        match self._workload.connections:
            case "kept" if is_clean:
                self._idle.append(client)
            case "fresh" | "kept":
                await client.aclose()

    async def aclose(self) -> None:
        """Close idle and shared clients."""
        for client in self._idle:
            await client.aclose()

    def _new(self) -> Client:
        return Client(Backend(self._clock, self._numbers, self._options), self._tls, self._workload.http)


def tls_context(target: Target) -> ssl.SSLContext | None:
    """The TLS context for its server; None without TLS. Created once, because that takes 30 ms or more.

    Raises SpecError for a file that holds no certificates.
    """
    if not target.url.lower().startswith("https:"):
        return None
    context = httpx.create_ssl_context()
    if target.ca_file is not None:
        try:
            context.load_verify_locations(target.ca_file)
        except OSError as error:
            reason = error.strerror or "it holds no certificates"
            raise SpecError(f"{target.ca_file}: {reason}; give a file of certificates in PEM") from None
    return context


async def preload() -> None:
    """Make httpcore import what it imports lazily for its first HTTP/1.1 and HTTP/2 requests, without a network."""
    for http2 in (False, True):
        network = httpcore.AsyncMockBackend([b""])
        async with httpcore.AsyncConnectionPool(http1=not http2, http2=http2, network_backend=network) as pool:
            with contextlib.suppress(httpcore.RemoteProtocolError):  # the mock connection ends
                await pool.request("GET", "http://nowhere")
