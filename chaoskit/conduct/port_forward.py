"""Forwards TCP connections from loopback ports of this machine to hosts of a lab, through its client.

A socket stays in the network namespace that it was made in: those that listen are made before this process enters one,
those that connect in the client's. Rules: only 127.0.0.1 listens; what a host does to its connection, the end of one
direction or a reset, is done to the other one as well; little is buffered, so that a slow reader slows its server.
"""

from __future__ import annotations

import asyncio
import errno
import socket
from collections.abc import Iterable
from contextlib import AbstractContextManager, suppress
from dataclasses import dataclass

from chaoskit.conduct.connection_channel import Channel, reset
from chaoskit.conduct.worker import Worker
from chaoskit.errors import RefusedError
from chaoskit.planning.publish import Published

LOOPBACK = "127.0.0.1"
_BACKLOG, _CHUNK = 128, 1 << 16


@dataclass(frozen=True)
class Forward:
    """A port of a host, the socket that listens for it here, and its address here with the port."""

    to: Published
    listener: socket.socket
    local: str


def listen(asked: Iterable[Published]) -> tuple[Forward, ...]:
    """Listen for all; where no local port is asked for, at the host's own if that is free, else at any.

    Raises RefusedError for a port that is in use.
    """
    wanted = sorted(asked, key=lambda each: each.local is None)
    listeners = [(each, _listener(each)) for each in wanted]
    return tuple(Forward(to, listener, f"{LOOPBACK}:{listener.getsockname()[1]}") for to, listener in listeners)


def start(forwards: tuple[Forward, ...], inside: AbstractContextManager[None]) -> Worker:
    """The process that forwards; `inside` moves it into the client's namespace. The listening sockets are its own."""

    async def work(stop: asyncio.Event) -> None:
        servers = [
            await asyncio.start_server(_Relay(forward.to).serve, sock=forward.listener, limit=_CHUNK)
            for forward in forwards
        ]
        await stop.wait()
        for server in servers:
            server.close()

    worker = Worker("port forward", inside, work)
    for forward in forwards:
        forward.listener.close()
    return worker


def start_over(terminal: int, ports: tuple[Published, ...], inside: AbstractContextManager[None]) -> Worker:
    """The process in a guest that connects callers of this machine, whose connections come over the terminal."""

    async def work(stop: asyncio.Event) -> None:
        channel = await Channel.over_terminal(terminal, lambda port: connect(ports[port]))
        both = {asyncio.create_task(channel.serve()), asyncio.create_task(stop.wait())}
        await asyncio.wait(both, return_when=asyncio.FIRST_COMPLETED)

    return Worker("port forward", inside, work)


class _Relay:
    """Connects each caller of one port with its host."""

    def __init__(self, to: Published) -> None:
        self._to = to

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """One caller, to its end."""
        try:
            there, to_there = await connect(self._to)
        except OSError:  # as it is inside: nobody listens, or no answer comes
            reset(writer)
            return
        both = (writer, to_there)
        try:
            await asyncio.gather(_copy(reader, to_there), _copy(there, writer))
        except OSError:
            for each in both:
                reset(each)
        finally:
            for each in both:
                each.close()


async def connect(to: Published) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    """A connection to a port of a host, by the first of its addresses that answers. Raises OSError."""
    failed: OSError = ConnectionRefusedError()
    for address in to.addresses:
        try:
            return await asyncio.open_connection(address, to.port, limit=_CHUNK)
        except OSError as error:
            failed = error
    raise failed


async def _copy(source: asyncio.StreamReader, sink: asyncio.StreamWriter) -> None:
    """To the end of this direction, which is passed on."""
    while data := await source.read(_CHUNK):
        sink.write(data)
        await sink.drain()
    with suppress(OSError):
        sink.write_eof()


def _listener(asked: Published) -> socket.socket:
    ports = (asked.port, 0) if asked.local is None else (asked.local,)
    for port in ports:
        try:
            return socket.create_server((LOOPBACK, port), backlog=_BACKLOG)
        except OSError as error:
            if port != ports[-1]:
                continue
            why = "is in use" if error.errno == errno.EADDRINUSE else f"cannot be used ({error.strerror})"
            where = f"{asked.host}:{asked.port}"
            raise RefusedError(
                f"the local port {port} {why}: give another, --publish {where}:LOCALPORT, or any, --publish {where}"
            ) from error
    raise AssertionError("there is a last port")
