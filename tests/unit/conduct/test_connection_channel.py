"""Connections that are carried over one channel are as they would be without it."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine
from contextlib import asynccontextmanager, suppress
from functools import partial
from typing import Any

import pytest

from chaoskit.conduct.connection_channel import TERMINAL, WINDOW, Channel, Ends
from chaoskit.probe.transport import event_loop

Serve = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Coroutine[None, None, None]]
ANY = ("127.0.0.1", 0)


def address(server: asyncio.Server) -> tuple[str, int]:
    """Where it listens."""
    host, port = server.sockets[0].getsockname()
    return str(host), int(port)


@asynccontextmanager
async def carried(serve: Serve, *, limit: int | None = None) -> AsyncIterator[Callable[[int], Awaitable[Ends]]]:
    """Connects to a server by way of a channel; port 0 is the server's, and nobody listens at port 1."""
    far = await asyncio.start_server(serve, *ANY)
    mine, its = socket.socketpair()
    callers = []

    async def connect(port: int) -> Ends:
        if port:
            raise ConnectionRefusedError
        return await asyncio.open_connection(*address(far))

    channels = (
        Channel(await asyncio.open_unix_connection(sock=its), connect, has_terminal=limit is not None),
        Channel(await asyncio.open_unix_connection(sock=mine), limit=limit),
    )
    tasks = [asyncio.create_task(channel.serve()) for channel in channels]
    near = [await asyncio.start_server(partial(opened, channels[1], port), *ANY) for port in (0, 1)]

    async def call(port: int) -> Ends:
        callers.append(await asyncio.open_connection(*address(near[port])))
        return callers[-1]

    yield call
    for _, writer in callers:
        writer.transport.abort()
    for server in (far, *near):
        server.close()
    for task in tasks:
        task.cancel()
    await asyncio.sleep(0.2)  # until what they have begun has ended


async def opened(channel: Channel, port: int, *ends: Any) -> None:
    """What a server does with a caller."""
    await channel.open(port, ends)


async def echo(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Give everything back, and end when the caller has."""
    while data := await reader.read(1 << 14):
        writer.write(data)
        await writer.drain()
    writer.close()


@pytest.mark.parametrize("limit", [None, TERMINAL])
def test_many_at_a_time_arrive_whole(limit: int | None) -> None:
    """Every byte of twenty connections comes back, in order, and the end of each direction is passed on."""
    sent = [bytes([number]) * (20_000 + 997 * number) for number in range(20)]

    async def one(connect: Callable[[int], Awaitable[Ends]], data: bytes) -> bytes:
        reader, writer = await connect(0)
        writer.write(data)
        writer.write_eof()
        got = await reader.read(-1)
        writer.close()
        return got

    async def work() -> list[bytes]:
        async with carried(echo, limit=limit) as connect:
            return await asyncio.wait_for(asyncio.gather(*(one(connect, data) for data in sent)), 60)

    assert event_loop.run(work()) == sent


def test_a_port_where_nobody_listens_resets() -> None:
    """A connection that cannot be made is reset."""

    async def work() -> None:
        async with carried(echo) as connect:
            reader, _writer = await connect(1)
            with pytest.raises(ConnectionResetError):
                await asyncio.wait_for(reader.read(1), 30)

    event_loop.run(work())


def test_a_reset_is_passed_on() -> None:
    """A server that resets its connection resets the caller's."""

    async def refuse(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read(1)
        writer.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
        writer.transport.abort()

    async def work() -> None:
        async with carried(refuse) as connect:
            reader, writer = await connect(0)
            writer.write(b"x")
            with pytest.raises(ConnectionResetError):
                await asyncio.wait_for(reader.read(1), 30)

    event_loop.run(work())


def test_a_slow_reader_slows_nobody_else_and_little_is_buffered() -> None:
    """A caller that reads nothing stops its server soon, and another connection goes on meanwhile."""
    written = 0

    async def pour(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal written
        if await reader.read(1) == b"e":
            await echo(reader, writer)
            return
        with suppress(OSError, asyncio.CancelledError):
            while True:
                writer.write(bytes(1 << 14))
                await writer.drain()
                written += 1 << 14

    async def work() -> bytes:
        async with carried(pour) as connect:
            _slow, slow_writer = await connect(0)
            slow_writer.write(b"p")
            before = -1
            while before != written:
                before = written
                await asyncio.sleep(0.3)
            reader, writer = await connect(0)
            writer.write(b"ehello")
            got = await asyncio.wait_for(reader.readexactly(5), 30)
            slow_writer.transport.abort()
            return got

    assert event_loop.run(work()) == b"hello"
    assert written < 100 * WINDOW  # most of it is in buffers of the kernel


def test_the_end_of_the_channel_resets_all() -> None:
    """When the other side is gone, its callers are told."""

    async def work() -> None:
        mine, its = socket.socketpair()
        channel = Channel(await asyncio.open_unix_connection(sock=mine))
        serving = asyncio.create_task(channel.serve())
        near = await asyncio.start_server(partial(opened, channel, 0), *ANY)
        reader, writer = await asyncio.open_connection(*address(near))
        its.close()
        with pytest.raises(ConnectionResetError):
            await asyncio.wait_for(reader.read(1), 30)
        await serving
        near.close()
        writer.close()

    event_loop.run(work())
