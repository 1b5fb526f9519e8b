"""Asks an HTTP proxy for a tunnel to the target (CONNECT, RFC 9110, section 9.3.6)."""

from __future__ import annotations

import asyncio
import base64
from dataclasses import dataclass

import httpx

from chaoskit.errors import SpecError
from chaoskit.probe.framing import MalformedError, TooLargeError
from chaoskit.probe.transport.connection import Connection
from chaoskit.probe.transport.foreign_bytes import describe
from chaoskit.probe.transport.stamps import ReadStamp
from chaoskit.spec.endpoint import redacted

_MAX_HEAD = 64 * 1024  # bytes


@dataclass(frozen=True)
class Proxy:
    """An HTTP proxy. `authorization` is its header's value, b"" without a password; never shown."""

    host: str
    port: int
    authorization: bytes = b""


def parse_proxy(text: str) -> Proxy:
    """The proxy of this URL. Raises SpecError, without its password."""
    try:
        url = httpx.URL(text if "://" in text else f"http://{text}")
    except httpx.InvalidURL:
        url = httpx.URL("")
    if not url.host or url.path not in ("", "/") or url.scheme not in ("http", "https", "socks5", "socks5h", "socks4"):
        raise SpecError(f"proxy {redacted(text)!r} is not a URL of a proxy; write for example http://127.0.0.1:3128")
    if url.scheme != "http":
        raise SpecError(f"proxy {redacted(text)!r}: only http:// proxies are known, which also carry https")
    authorization = b""
    if url.userinfo:
        authorization = b"Basic " + base64.b64encode(f"{url.username}:{url.password}".encode())
    return Proxy(url.host, url.port or 80, authorization)


async def open_tunnel(connection: Connection, proxy: Proxy, host: str, port: int) -> None:
    """Return when the connection leads to the target. Raises MalformedError, TooLargeError, OSError."""
    name = f"[{host}]" if ":" in host else host
    head = f"CONNECT {name}:{port} HTTP/1.1\r\nHost: {name}:{port}\r\n".encode()
    if proxy.authorization:
        head += b"Proxy-Authorization: " + proxy.authorization + b"\r\n"
    answer = _Answer(connection)
    connection.attach(answer)
    connection.write(head + b"\r\n")
    status_line = await answer.status_line()
    status = status_line.split(b" ")[1:2]
    if not status_line.startswith(b"HTTP/") or not status:
        raise MalformedError(f"the proxy answers CONNECT with {describe(status_line)}")
    if status[0][:1] != b"2":
        text = b" ".join(status_line.split(b" ")[1:]).decode("latin-1")
        raise MalformedError(f"the proxy refuses a tunnel to {name}:{port}: {text}")


class _Answer:
    """The proxy's answer. Bytes after its head are the target's."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        self._head = b""
        self._error: Exception | None = None
        self._done: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    async def status_line(self) -> bytes:
        """The first line, when the head is there."""
        await self._done
        if self._error is not None:
            raise self._error
        return self._head.partition(b"\r\n")[0]

    def receive(self, data: bytes, stamp: ReadStamp) -> None:
        """See `Receiver`."""
        head, end, rest = (self._head + data).partition(b"\r\n\r\n")
        self._head = head
        if end:
            self._connection.attach(None)
            if rest:
                self._connection.give_back(rest, stamp)
        elif len(head) > _MAX_HEAD:
            self._error = TooLargeError(f"the proxy's answer has more than {_MAX_HEAD} bytes")
        elif head[:5] == b"HTTP/"[: len(head)]:
            return
        if not self._done.done():
            self._done.set_result(None)

    def connection_ended(self, error: Exception | None) -> None:
        """See `Receiver`."""
        self._error = error or MalformedError("the proxy closed the connection without an answer")
        if not self._done.done():
            self._done.set_result(None)
