"""HTTP/2's streams without a network: flow control of what nobody reads, lengths, and who gets a free stream."""

from __future__ import annotations

import asyncio
from typing import Any

import h2.config
import h2.connection
import pytest
from test_connection import Watcher
from test_http2 import frame

from chaoskit.probe.framing import MalformedError, TooLargeError
from chaoskit.probe.transport.exchange import Exchange, Limits, NetworkError, Outgoing
from chaoskit.probe.transport.http2 import Http2
from chaoskit.probe.transport.stamps import ReadStamp
from chaoskit.units import Size

STAMP = ReadStamp(1, 2, 3, 2, 4)
REQUEST = Outgoing(b"POST", b"http", b"x", b"/", [(b"host", b"x")], b"{}")
LIMITS = Limits(Size(10_000), Size(1 << 30))


class Wire:
    """Stands for the connection: keeps what is written."""

    def __init__(self) -> None:
        self.written = b""
        self.has_ended = False

    has_too_much_unsent = False

    def attach(self, _: object) -> None:
        """Nothing has come."""

    def poll(self) -> None:
        """Nothing comes."""

    def write(self, data: bytes, when_sent: Any = None) -> None:
        """Keep it; it is sent at once."""
        self.written += data
        if when_sent is not None:
            when_sent()

    def close(self) -> None:
        """Closed."""
        self.has_ended = True


class Server:
    """The other end, by h2."""

    def __init__(self, *headers: tuple[str, str]) -> None:
        self.wire = Wire()
        self.client = Http2(self.wire, Size(10_000))  # type: ignore[arg-type]
        self.state = h2.connection.H2Connection(h2.config.H2Configuration(client_side=False))
        self.state.initiate_connection()
        self.headers = [(":status", "200"), *headers]

    async def ask(self) -> Exchange:
        """One request, whose response's head has come."""
        exchange = Exchange(Watcher(), self.wire, LIMITS, is_reused=False)  # type: ignore[arg-type]
        await self.client.send(exchange, REQUEST)
        self.state.receive_data(self.wire.written)
        self.wire.written = b""
        self.state.send_headers(exchange.number, self.headers)
        self.tell()
        return exchange

    def tell(self) -> None:
        """What h2 has to send."""
        self.client.receive(self.state.data_to_send(), STAMP)

    def tell_raw(self, data: bytes) -> None:
        """These bytes."""
        self.client.receive(data, STAMP)


def test_data_for_an_ended_stream_returns_to_the_window() -> None:
    """What a server sends on a stream that nobody reads any more does not use up the connection's window."""

    async def main() -> None:
        server = Server()
        exchange = await server.ask()
        server.client.cancel(exchange)

        for _ in range(80):
            server.tell_raw(frame(0, 0, exchange.number, bytes(16_000)))

        assert not server.wire.has_ended
        assert frame(8, 0, 0, (66 * 16_000).to_bytes(4, "big")) in server.wire.written

    asyncio.run(main())


def test_data_beyond_the_window_of_an_ended_stream_ends_the_connection() -> None:
    """A server that goes on beyond what it was allowed is cut off, and others on the connection are told why."""

    async def main() -> None:
        server = Server()
        first, second = await server.ask(), await server.ask()
        server.client.cancel(first)

        for _ in range(1060):
            server.tell_raw(frame(0, 0, first.number, bytes(16_000)))

        assert server.wire.has_ended
        with pytest.raises(TooLargeError, match="more data for streams that have ended than was allowed"):
            await second.read(lambda _data, _stamp: None)

    asyncio.run(main())


@pytest.mark.parametrize(("length", "is_right"), [(3, True), (4, False)])
def test_a_length_is_checked(length: int, is_right: bool) -> None:
    """A body that is not as long as its content-length is invalid; its parts are delivered."""

    async def main() -> None:
        server = Server(("content-length", str(length)))
        exchange = await server.ask()
        server.tell_raw(frame(0, 0, exchange.number, b"ab") + frame(0, 1, exchange.number, b"c"))
        parts: list[bytes] = []

        reading = exchange.read(lambda data, _: parts.append(data))
        if is_right:
            await reading
            assert parts == [b"ab", b"c"]
        else:
            with pytest.raises(MalformedError, match="invalid HTTP/2"):
                await reading
            assert parts == [b"ab"]

    asyncio.run(main())


def test_parts_before_a_reset_are_delivered() -> None:
    """DATA and RST_STREAM in one read: the data comes first, and the error code is kept."""

    async def main() -> None:
        server = Server()
        exchange = await server.ask()
        server.tell_raw(frame(0, 0, exchange.number, b"ab") + frame(3, 0, exchange.number, (2).to_bytes(4, "big")))
        parts: list[bytes] = []

        with pytest.raises(NetworkError):
            await exchange.read(lambda data, _: parts.append(data))

        assert parts == [b"ab"]
        assert exchange.reset == 2

    asyncio.run(main())


def test_a_free_stream_goes_to_who_waited_longest() -> None:
    """Requests that wait get their turn in order; one that gives up takes no turn."""

    async def main() -> None:
        server = Server()
        server.state.update_settings({h2.settings.SettingCodes.MAX_CONCURRENT_STREAMS: 1})
        server.tell()
        first = await server.ask()
        later = [asyncio.create_task(server.ask()) for _ in range(3)]
        await asyncio.sleep(0)
        later[0].cancel()
        await asyncio.sleep(0)

        server.state.send_data(first.number, b"x", end_stream=True)
        server.tell()
        second = await later[1]

        assert not later[2].done()
        server.client.cancel(second)
        assert (await later[2]).number == 5

    asyncio.run(main())
