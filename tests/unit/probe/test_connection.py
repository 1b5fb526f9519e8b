"""Sockets stamp when their bytes arrived."""

import asyncio
import contextlib
import itertools
import socket
import struct
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass

import pytest
from far_side import until_acknowledged

from chaoskit.clock import now
from chaoskit.probe.transport.connect import ConnectOptions, Connector
from chaoskit.probe.transport.connection import Connection, ConnectTimings, Inbox
from chaoskit.probe.transport.dns import Resolver
from chaoskit.probe.transport.exchange import Exchange
from chaoskit.probe.transport.stamps import ReadStamp, StampClock


class Watcher:
    """Receives what a connection reads, and watches how it was made."""

    def __init__(self) -> None:
        self.reads: list[tuple[bytes, ReadStamp]] = []
        self.ends: list[Exception | None] = []
        self.timings = ConnectTimings()
        self._changed = asyncio.Event()

    def receive(self, data: bytes, stamp: ReadStamp) -> None:
        """Keep it."""
        self.reads.append((data, stamp))
        self._changed.set()

    def connection_ended(self, error: Exception | None) -> None:
        """Keep why."""
        self.ends.append(error)
        self._changed.set()

    async def read(self) -> tuple[bytes, ReadStamp]:
        """The next read."""
        while not self.reads:
            await self._change()
        return self.reads.pop(0)

    async def ended(self) -> Exception | None:
        """Why the connection has ended."""
        while not self.ends:
            await self._change()
        return self.ends[0]

    async def _change(self) -> None:
        self._changed.clear()
        await self._changed.wait()

    def connecting(self, timings: ConnectTimings) -> None:
        """Keep them."""
        self.timings = timings

    def connected(self, connection: Connection) -> None:
        """Not looked at, as all that follows."""

    def queued(self, streams: int) -> None:
        """See `connected`."""

    def sending(self, exchange: Exchange) -> None:
        """See `connected`."""

    def uploaded(self) -> None:
        """See `connected`."""

    def reconnecting(self) -> None:
        """See `connected`."""


@dataclass
class Pair:
    """A connection, what it reads, and the plain blocking socket at its other end."""

    connection: Connection
    reads: Watcher
    other: socket.socket


Test = Callable[[Pair], Awaitable[None]]


class SetClock(StampClock):
    """A clock whose real-time offset changes by `ahead` ns without a refresh."""

    ahead = 0

    def read(self, ancillary: list[tuple[int, int, bytes]]) -> int | None:
        """As if the kernel had stamped by the new date."""
        at = super().read(ancillary)
        return None if at is None else at + self.ahead


@contextlib.asynccontextmanager
async def pair(clock: StampClock) -> AsyncIterator[Pair]:
    """Both ends of a connection."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        watcher = Watcher()
        connector = Connector(ConnectOptions(Resolver()), clock, Inbox())
        connection = await connector.connect("127.0.0.1", listener.getsockname()[1], watcher, False)
        connection.attach(watcher)
        other, _ = listener.accept()
        with other:
            other.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            yield Pair(connection, watcher, other)
    connection.close()
    clock.close()


def with_pair(test: Test, clock: StampClock | None = None) -> None:
    """Run a test with a pair, when the kernel has begun to stamp."""

    async def main() -> None:
        async with pair(StampClock()) as early, asyncio.timeout(10):
            while True:
                early.other.send(b"x")
                _, stamp = await early.reads.read()
                if stamp.at != stamp.read_at:
                    break
            async with pair(clock or StampClock()) as both:
                await test(both)

    asyncio.run(main())


def test_given_addresses_replace_the_host_and_are_tried_in_order() -> None:
    """A host with given addresses is not resolved: they are tried in order, and the one that refuses is named."""

    async def main() -> tuple[str, ConnectTimings]:
        with socket.create_server(("127.0.0.1", 0)) as listener:
            watcher = Watcher()
            options = ConnectOptions(Resolver(), ("::1", "127.0.0.1"))
            connector = Connector(options, clock := StampClock(), Inbox())
            port = listener.getsockname()[1]
            connection = await connector.connect("no-such-host.invalid", port, watcher, False)
            other, (caller, _) = listener.accept()
            other.close()
            connection.close()
            clock.close()
            return caller, watcher.timings

    caller, timings = asyncio.run(main())

    assert caller == "127.0.0.1"
    assert timings.dns is None
    assert timings.unreachable == ("::1",)


@pytest.mark.flaky(reruns=4)  # real time, on a machine that others use
def test_a_read_has_the_kernels_stamp() -> None:
    """However late a busy loop reads, `at` is when the kernel received the bytes, and `read_at` when they were read."""

    async def test(both: Pair) -> None:
        for _ in range(3):
            before = now()
            both.other.send(b"hello")
            until_acknowledged(both.other)
            there = now()
            time.sleep(0.03)  # the loop is held up

            data, stamp = await both.reads.read()

            assert data == b"hello"
            assert before < stamp.at < there + 100_000
            assert stamp.read_at - there > 29_000_000

    with_pair(test)


def test_sockets_are_read_before_what_they_brought_is_processed() -> None:
    """However long the bytes of one connection take, those of another that came meanwhile have been read."""

    class Slow(Watcher):
        def receive(self, data: bytes, stamp: ReadStamp) -> None:
            super().receive(data, stamp)
            time.sleep(0.02)

    async def test(first: Pair) -> None:
        async with pair(StampClock()) as second:
            watchers = Slow(), Slow()
            for both, watcher in zip((first, second), watchers, strict=True):
                both.connection.attach(watcher)
                both.other.send(b"x")
                until_acknowledged(both.other)

            stamps = [(await watcher.read())[1] for watcher in watchers]

            assert abs(stamps[0].read_at - stamps[1].read_at) < 15_000_000

    with_pair(test)


def test_bytes_that_came_before_the_receiver_are_not_lost() -> None:
    """What a server says before somebody listens is delivered with its own stamps, and so is its end."""

    async def test(both: Pair) -> None:
        both.connection.attach(None)
        both.other.send(b"early")
        both.other.close()
        while not both.connection.has_ended:
            await asyncio.sleep(0)
        late = Watcher()
        before = now()

        both.connection.attach(late)

        ((data, stamp),) = late.reads
        assert data == b"early"
        assert stamp.read_at < before
        assert late.ends == [None]

    with_pair(test)


def test_a_large_request_is_sent_as_the_peer_reads() -> None:
    """What does not fit into the kernel's buffer follows; `when_sent` is called after the last byte."""

    async def test(both: Pair) -> None:
        sent = asyncio.Event()
        size = 8 << 20

        both.connection.write(bytes(size), sent.set)

        assert not sent.is_set()
        assert both.connection.has_too_much_unsent
        received = await asyncio.to_thread(_receive_all, both.other, size)
        await sent.wait()
        assert received == size
        assert not both.connection.has_too_much_unsent

    with_pair(test)


def test_fin_and_rst_are_distinguished() -> None:
    """FIN ends a connection without an error and sets `eof_received`; RST with the kernel's errno."""

    async def ends(both: Pair) -> None:
        both.other.send(b"last")
        both.other.close()

        assert (await both.reads.read())[0] == b"last"
        assert await both.reads.ended() is None
        assert both.connection.eof_received

    async def breaks(both: Pair) -> None:
        both.other.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        both.other.close()

        assert isinstance(await both.reads.ended(), ConnectionResetError)
        assert not both.connection.eof_received

    with_pair(ends)
    with_pair(breaks)


def test_tcp_info_outlives_the_socket() -> None:
    """Closing keeps TCP_INFO as it was; a second close does nothing."""

    async def test(both: Pair) -> None:
        both.other.send(b"12345")
        await both.reads.read()
        both.connection.close()
        both.connection.close()

        at, fields = both.connection.info()

        assert fields["bytes_received"] == 5
        assert both.connection.tcp_info_at_connect[0] <= at <= now()
        assert both.connection.tcp_info_at_connect[1]["rtt"] > 0

    with_pair(test)


def test_setting_the_clock_makes_no_gap() -> None:
    """Stamps never run backwards or ahead of the read time, even when the clock was set since the last refresh."""

    clock = SetClock()

    async def test(both: Pair) -> None:
        arrivals = []
        for hours in (0, -1, 1):
            clock.ahead = hours * 3600 * 10**9
            both.other.send(b"x")
            arrivals.append((await both.reads.read())[1])

        assert all(one.at <= one.read_at for one in arrivals)
        assert all(before.at <= after.at for before, after in itertools.pairwise(arrivals))

    with_pair(test, clock)


def _receive_all(other: socket.socket, size: int) -> int:
    received = 0
    while received < size:
        received += len(other.recv(1 << 20))
    return received
