"""Lines to the server: httpx clients whose connections are ours.

| connections | lines                                                    |
|-------------|----------------------------------------------------------|
| fresh       | one for each stream, closed with it                      |
| kept        | one for each stream at a time, idle ones are taken again |
| shared      | one for all, HTTP/2 multiplexes                          |

A line is one pool with (but for `shared`) one connection, as httpcore's pool looks at all of its connections
whenever a request begins or ends. The pool is httpcore's own, given our backend by its public interface.

Of a response the httpx client sees the status and the bytes, and no header: it would parse a redirect's location and
cookies, raise for some of them, and keep the others. `Response` has the headers, as text that nobody obeys.
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
from chaoskit.probe.completion import FOREIGN
from chaoskit.probe.dns import Resolver
from chaoskit.probe.network_backend import Backend, Reach
from chaoskit.probe.receive_stamps import StampClock
from chaoskit.probe.target import Target
from chaoskit.spec.experiment import Workload

_HEADERS = "headers"  # where a response's own are kept
_CLOSING = 1.0  # s that a connection is given to be closed; it takes no waiting


class Response:
    """A response whose head has come."""

    def __init__(self, response: httpx.Response) -> None:
        self.status = response.status_code
        self.http = response.http_version
        self._response = response

    @property
    def is_success(self) -> bool:
        """A 2xx."""
        return 200 <= self.status < 300

    def header(self, name: bytes) -> str | None:
        """The first header of this name (in lower case), as text: one character for each byte."""
        found = (value for key, value in self._response.extensions[_HEADERS] if key.lower() == name)
        return next((value.decode("latin-1") for value in found), None)

    def chunks(self) -> AsyncIterator[bytes]:
        """Its body as httpcore hands it out: frame by frame, chunk by chunk."""
        assert isinstance(self._response.stream, httpx.AsyncByteStream)
        return aiter(self._response.stream)

    async def aclose(self) -> None:
        """Done with it."""
        await self._response.aclose()


class Client:
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
        self._client = httpx.AsyncClient(transport=_Pool(pool), trust_env=False, timeout=None)

    async def send(self, request: httpx.Request, key: list[tuple[bytes, bytes]]) -> Response:
        """Send it with the headers that hold the key, in place of those of that name; returns with the response's head.

        Errors come through as httpcore's own.
        """
        replaced = {name for name, _ in key}
        headers = [*((name, value) for name, value in request.headers.raw if name.lower() not in replaced), *key]
        asked = httpx.Request(
            request.method, request.url, headers=headers, content=request.content, extensions=request.extensions
        )
        return Response(await self._client.send(asked, stream=True))

    async def aclose(self) -> None:
        """Close its connections; whatever the far side has done to them, and in bounded time."""
        with contextlib.suppress(TimeoutError, *FOREIGN):
            async with asyncio.timeout(_CLOSING):
                await self._client.aclose()


class _Pool(httpx.AsyncBaseTransport):
    """httpx over an httpcore pool. Errors come through as httpcore's own."""

    def __init__(self, pool: httpcore.AsyncConnectionPool) -> None:
        self._pool = pool

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        """Send it; returns when the response's head is there."""
        url = httpcore.URL(
            scheme=request.url.raw_scheme,
            host=request.url.raw_host,
            port=request.url.port,
            target=request.url.raw_path,
        )
        headers, content, extensions = request.headers.raw, request.content, request.extensions
        asked = httpcore.Request(request.method, url, headers=headers, content=content, extensions=extensions)
        response = await self._pool.handle_async_request(asked)
        extensions = {**response.extensions, _HEADERS: response.headers}
        return httpx.Response(response.status, stream=_Body(response), extensions=extensions)

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


class ClientPool:
    """All lines of one drive, by the workload's rule about connections."""

    def __init__(self, target: Target, workload: Workload, clock: StampClock, tls: ssl.SSLContext | None) -> None:
        self._workload = workload
        self._clock = clock
        self._tls = tls
        self._numbers = itertools.count()
        self._idle: list[Client] = []
        self._reach = Reach(
            Resolver(),
            workload.limits.headers,
            target.addresses,
            target.sockets,
            http2_only=workload.http == "2" and self._tls is None,
        )

    def take(self) -> Client:
        """A line for one stream."""
        if self._workload.connections == "shared":
            if not self._idle:
                self._idle.append(self._new())
            return self._idle[0]
        return self._idle.pop() if self._idle else self._new()

    async def give_back(self, line: Client, is_clean: bool) -> None:
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

    def _new(self) -> Client:
        return Client(Backend(self._clock, self._numbers, self._reach), self._tls, self._workload.http)


def trust(target: Target) -> ssl.SSLContext | None:
    """What its server's certificate is checked with; None without TLS. Made once: it takes 30 ms and more.

    Raises SpecError for a file that holds no certificates.
    """
    if not target.url.lower().startswith("https:"):
        return None
    context = httpx.create_ssl_context()
    if target.ca_file is not None:
        try:
            context.load_verify_locations(target.ca_file)
        except OSError as error:
            said = error.strerror or "it holds no certificates"
            raise SpecError(f"{target.ca_file}: {said}; give a file of certificates in PEM") from None
    return context


async def rehearse() -> None:
    """Have httpcore import what it imports with the first request of either HTTP version, without a network."""
    for http2 in (False, True):
        network = httpcore.AsyncMockBackend([b""])
        async with httpcore.AsyncConnectionPool(http1=not http2, http2=http2, network_backend=network) as pool:
            with contextlib.suppress(httpcore.RemoteProtocolError):  # the end of that network
                await pool.request("GET", "http://nowhere")
