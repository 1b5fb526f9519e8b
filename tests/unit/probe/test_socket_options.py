"""Socket options are set on every socket before it connects, or no request is sent."""

from __future__ import annotations

import asyncio
import os
import socket

import pytest
from far_side import DONE, END, HEAD, ask, chunk, far_side, token, workload
from test_connection import Watcher

from chaoskit.errors import RefusedError
from chaoskit.probe.target import SocketOptions, Target
from chaoskit.probe.transport.connect import ConnectOptions, Connector
from chaoskit.probe.transport.connection import Inbox
from chaoskit.probe.transport.dns import Resolver
from chaoskit.probe.transport.socket_options import check_supported
from chaoskit.probe.transport.stamps import StampClock

TUNED = SocketOptions(maxseg=1000, congestion_control="reno")
TIMESTAMPS = 12  # bytes of each segment that TCP's option takes


async def one_token(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """A server with short responses."""
    await reader.readuntil(b"\r\n\r\n")
    writer.write(HEAD + chunk(token(), DONE) + END)
    await writer.drain()
    await reader.read()


@pytest.mark.parametrize("host", ["127.0.0.1", "::1"])
def test_options_apply_from_the_first_packet(host: str) -> None:
    """The peer sees the MSS in the handshake, and the algorithm is in use; over IPv4 and IPv6."""

    async def main() -> tuple[int, int, bytes]:
        family = socket.AF_INET6 if ":" in host else socket.AF_INET
        with socket.create_server((host, 0), family=family) as listener:
            connector = Connector(ConnectOptions(Resolver(), sockets=TUNED), clock := StampClock(), Inbox())
            connection = await connector.connect(host, listener.getsockname()[1], Watcher(), False)
            other, _ = listener.accept()
            with other:
                told = other.getsockopt(socket.IPPROTO_TCP, socket.TCP_MAXSEG)
            with socket.socket(fileno=os.dup(connection.fileno())) as own_socket:
                algorithm = own_socket.getsockopt(socket.IPPROTO_TCP, socket.TCP_CONGESTION, 16)
            own = connection.tcp_info_at_connect[1]["snd_mss"]
            connection.close()
            clock.close()
            return told, own, algorithm.rstrip(b"\0")

    assert asyncio.run(main()) == (1000 - TIMESTAMPS, 1000 - TIMESTAMPS, b"reno")


def test_options_apply_to_every_stream() -> None:
    """Every record of a target shows its options; without options the defaults stay."""

    async def main(sockets: SocketOptions) -> set[int]:
        async with far_side(one_token) as url:
            outcome = await ask(Target(url, sockets=sockets), workload())
        assert outcome.ending == ("complete", "")
        return {info.fields["snd_mss"] for info in outcome.tcp_infos}

    assert asyncio.run(main(TUNED)) == {1000 - TIMESTAMPS}
    assert min(asyncio.run(main(SocketOptions()))) > 1000


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (SocketOptions(congestion_control="no-such"), "congestion-control no-such: this kernel has none of that name"),
        (SocketOptions(congestion_control="no-such"), "sysctl net.ipv4.tcp_available_congestion_control"),
        (SocketOptions(maxseg=87), "maxseg 87: the kernel says 'Invalid argument'; give 88 to 32767"),
    ],
)
def test_unsupported_options_are_refused_before_sending(options: SocketOptions, words: str) -> None:
    """One sentence with the option and what to type; no request is sent."""

    async def main() -> None:
        async def nobody_comes(_reader: asyncio.StreamReader, _writer: asyncio.StreamWriter) -> None:
            raise AssertionError("somebody was asked")

        async with far_side(nobody_comes) as url:
            with pytest.raises(RefusedError) as caught:
                await ask(Target(url, sockets=options), workload())
        assert words in str(caught.value)

    asyncio.run(main())


@pytest.mark.parametrize("maxseg", [88, 32_767])
def test_the_bounds_match_the_kernel(maxseg: int) -> None:
    """Both bounds are accepted."""
    check_supported(SocketOptions(maxseg=maxseg))
