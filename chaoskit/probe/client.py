"""The httpx client of one drive, over the probe's own transport."""

from __future__ import annotations

import ssl

import httpx

from chaoskit.probe.shares import WHOLE, Share
from chaoskit.probe.target import Target
from chaoskit.probe.transport.connect import ConnectOptions
from chaoskit.probe.transport.dns import Resolver
from chaoskit.probe.transport.exchange import Headers, Limits, Observer
from chaoskit.probe.transport.pool import EXTENSION, Call, Response, Transport
from chaoskit.probe.transport.stamps import StampClock
from chaoskit.probe.transport.tunnel import parse_proxy
from chaoskit.spec.workload import Workload


class Client:
    """Sends the requests of all streams."""

    def __init__(self, options: ConnectOptions, workload: Workload, clock: StampClock) -> None:
        limits = Limits(workload.limits.headers, workload.limits.body)
        transport = Transport(options, clock, limits, workload.http, workload.connections)
        self._transport = transport
        self._client = httpx.AsyncClient(transport=transport, trust_env=False, timeout=None)

    async def send(
        self, request: httpx.Request, secret: Headers, observer: Observer, conversation: int | None = None
    ) -> Response:
        """Send it with the secret headers; returns when the head of the response is received.

        Requests of the same `conversation` use the same connection. Raises NetworkError, MalformedError, TooLargeError.
        """
        request.extensions[EXTENSION] = Call(observer, secret, conversation)
        return Response(await self._client.send(request, stream=True))

    def end_conversation(self, conversation: int | None) -> None:
        """Its connection is free; None: there is none."""
        if conversation is not None:
            self._transport.end_conversation(conversation)

    async def aclose(self) -> None:
        """Close all connections."""
        await self._client.aclose()


def connect_options(target: Target, tls: ssl.SSLContext | None, share: Share = WHOLE) -> ConnectOptions:
    """How connections to it are made. Raises SpecError for a proxy that cannot be one."""
    proxy = None if target.proxy is None else parse_proxy(target.proxy)
    return ConnectOptions(Resolver(), target.addresses, target.sockets, tls, proxy, target.uds, share)
