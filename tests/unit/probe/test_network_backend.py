"""Sockets stamp when their bytes arrived."""

import asyncio
import contextlib
import fcntl
import itertools
import socket
import struct
import termios
import time
from collections.abc import AsyncIterator, Awaitable, Callable

import httpcore
import pytest
from far_side import until_acknowledged

from chaoskit.clock import now
from chaoskit.probe.dns import Resolver
from chaoskit.probe.network_backend import Backend, ConnectOptions
from chaoskit.probe.receive_stamps import StampClock
from chaoskit.probe.socket_stream import Connection

Test = Callable[[Connection, socket.socket], Awaitable[None]]


class SetClock(StampClock):
    """A clock whose real-time offset changes by `ahead` ns without a refresh."""

    ahead = 0

    def read(self, ancillary: list[tuple[int, int, bytes]]) -> int | None:
        """As if the kernel had stamped by the new date."""
        at = super().read(ancillary)
        return None if at is None else at + self.ahead


@contextlib.asynccontextmanager
async def pair(clock: StampClock) -> AsyncIterator[tuple[Connection, socket.socket]]:
    """A connection, and the plain blocking socket at its other end."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        backend = Backend(clock, itertools.count(), ConnectOptions(Resolver(), 1000))
        connection = await backend.connect_tcp(*listener.getsockname())
        assert isinstance(connection, Connection)
        other, _ = listener.accept()
        with other:
            other.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            yield connection, other
    await connection.aclose()
    clock.close()


def with_pair(test: Test, clock: StampClock | None = None) -> None:
    """Run a test with a pair, when the kernel has begun to stamp."""

    async def main() -> None:
        async with pair(StampClock()) as (early, its_other), asyncio.timeout(10):
            while early.last.at == early.last.read_at:
                its_other.send(b"x")
                await early.read(100)
            async with pair(clock or StampClock()) as (connection, other):
                await test(connection, other)

    asyncio.run(main())


def test_given_addresses_replace_the_host_and_are_tried_in_order() -> None:
    """A host with given addresses is not resolved: they are tried in order."""

    async def main() -> tuple[str, int | None]:
        with socket.create_server(("127.0.0.1", 0)) as listener:
            addresses = ("::1", "127.0.0.1")
            backend = Backend(clock := StampClock(), itertools.count(), ConnectOptions(Resolver(), 1000, addresses))
            connection = await backend.connect_tcp("no-such-host.invalid", listener.getsockname()[1])
            other, (caller, _) = listener.accept()
            other.close()
            await connection.aclose()
            clock.close()
            return caller, backend.timings.dns

    assert asyncio.run(main()) == ("127.0.0.1", None)


@pytest.mark.flaky(reruns=4)  # real time, on a machine that others use
def test_a_read_has_the_kernels_stamp() -> None:
    """However late a busy loop reads, `at` is when the kernel received the bytes, and `read_at` when they were read."""

    async def test(connection: Connection, other: socket.socket) -> None:
        for _ in range(3):
            before = now()
            other.send(b"hello")
            until_acknowledged(other)
            there = now()
            time.sleep(0.03)  # the loop is held up

            data = await connection.read(100)

            assert data == b"hello"
            assert before < connection.last.at < there + 100_000
            assert connection.last.read_at - there > 29_000_000

    with_pair(test)


def test_reads_do_not_depend_on_a_reader() -> None:
    """Bytes are read as they arrive even when no task waits: each segment is a read with its own stamp."""

    async def test(connection: Connection, other: socket.socket) -> None:
        sent = []
        for letter in b"abc":
            sent.append(now())
            other.send(bytes([letter]))
            while _unread_in_the_kernel(connection) or not until_acknowledged_once(other):
                await asyncio.sleep(0)
            await asyncio.sleep(0)

        arrivals = []
        for letter in b"abc":
            assert await connection.read(100) == bytes([letter])
            arrivals.append(connection.last)

        assert [one.number for one in arrivals] == [1, 2, 3]
        assert all(stamp < one.at <= one.read_at for stamp, one in zip(sent, arrivals, strict=True))
        assert arrivals[0].read_at < sent[1] < arrivals[1].read_at < sent[2]

    with_pair(test)


def test_unread_bytes_are_bounded() -> None:
    """A flood stays in the kernel, but for a few hundred kilobytes."""

    async def test(connection: Connection, other: socket.socket) -> None:
        other.setblocking(False)
        quiet = 0
        while quiet < 100:  # rounds of the loop in which nobody took anything
            await asyncio.sleep(0)
            try:
                other.send(bytes(100_000))
                quiet = 0
            except BlockingIOError:
                quiet = quiet + 1 if _unread_in_the_kernel(connection) else 0

        at_hand = 0
        while True:
            reading = connection.read(1 << 20)
            try:
                while reading.send(None) is None:
                    pass  # the loop's turn, which a reader gives it now and then
            except StopIteration as done:
                at_hand += len(done.value)
            else:
                reading.close()
                break

        assert 256 * 1024 < at_hand <= (256 + 64) * 1024

    with_pair(test)


def test_fin_and_rst_are_distinguished() -> None:
    """FIN is empty bytes and `eof_received`; RST is a ReadError whose context is the kernel's errno."""

    async def ends(connection: Connection, other: socket.socket) -> None:
        other.send(b"last")
        other.close()

        assert await connection.read(100) == b"last"
        assert not connection.eof_received
        assert await connection.read(100) == b""
        assert connection.eof_received

    async def breaks(connection: Connection, other: socket.socket) -> None:
        other.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        other.close()

        with pytest.raises(httpcore.ReadError) as caught:
            await connection.read(100)
        assert isinstance(caught.value.__context__, ConnectionResetError)
        assert not connection.eof_received

    with_pair(ends)
    with_pair(breaks)


def test_tcp_info_outlives_the_socket() -> None:
    """Closing keeps TCP_INFO as it was; a second close does nothing."""

    async def test(connection: Connection, other: socket.socket) -> None:
        other.send(b"12345")
        await connection.read(100)
        await connection.aclose()
        await connection.aclose()

        at, fields = connection.info()

        assert fields["bytes_received"] == 5
        assert connection.tcp_info_at_connect[0] <= at <= now()
        assert connection.tcp_info_at_connect[1]["rtt"] > 0

    with_pair(test)


def test_closing_wakes_a_reader() -> None:
    """A reader of a connection that is closed gets EOF."""

    async def test(connection: Connection, other: socket.socket) -> None:
        reading = asyncio.ensure_future(connection.read(100))
        await asyncio.sleep(0)
        await connection.aclose()

        assert await reading == b""

    with_pair(test)


def test_setting_the_clock_makes_no_gap() -> None:
    """Stamps never run backwards or ahead of the read time, even when the clock was set since the last refresh."""

    clock = SetClock()

    async def test(connection: Connection, other: socket.socket) -> None:
        arrivals = []
        for hours in (0, -1, 1):
            clock.ahead = hours * 3600 * 10**9
            other.send(b"x")
            await connection.read(100)
            arrivals.append(connection.last)

        assert all(one.at <= one.read_at for one in arrivals)
        assert all(before.at <= after.at for before, after in itertools.pairwise(arrivals))

    with_pair(test, clock)


def _unread_in_the_kernel(connection: Connection) -> int:
    count: int
    (count,) = struct.unpack("i", fcntl.ioctl(connection.get_extra_info("socket"), termios.FIONREAD, b"\0" * 4))
    return count


def until_acknowledged_once(other: socket.socket) -> bool:
    """Whether the peer's kernel has everything."""
    return not struct.unpack("i", fcntl.ioctl(other, termios.TIOCOUTQ, b"\0" * 4))[0]
