"""The probe's sockets are tuned before they connect, every one of them, or nobody is asked at all."""

from __future__ import annotations

import asyncio
import itertools
import socket

import pytest
from far_side import DONE, END, HEAD, ask, chunk, far_side, token, workload

from chaoskit.errors import RefusedError
from chaoskit.probe.dns import Resolver
from chaoskit.probe.network_backend import Backend, ConnectOptions
from chaoskit.probe.receive_stamps import StampClock
from chaoskit.probe.socket_options import check_supported
from chaoskit.probe.socket_stream import Connection
from chaoskit.probe.target import SocketOptions, Target

TUNED = SocketOptions(maxseg=1000, congestion_control="reno")
TIMESTAMPS = 12  # bytes of each segment that TCP's option takes


async def one_token(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """A server of short answers."""
    await reader.readuntil(b"\r\n\r\n")
    writer.write(HEAD + chunk(token(), DONE) + END)
    await writer.drain()
    await reader.read()


@pytest.mark.parametrize("host", ["127.0.0.1", "::1"])
def test_a_connection_is_tuned_from_its_first_packet(host: str) -> None:
    """The other side is told the MSS in the handshake; the algorithm is in force; over IPv4 and IPv6."""

    async def main() -> tuple[int, int, bytes]:
        family = socket.AF_INET6 if ":" in host else socket.AF_INET
        with socket.create_server((host, 0), family=family) as listener:
            backend = Backend(clock := StampClock(), itertools.count(), ConnectOptions(Resolver(), 1000, sockets=TUNED))
            connection = await backend.connect_tcp(*listener.getsockname()[:2])
            assert isinstance(connection, Connection)
            other, _ = listener.accept()
            with other:
                told = other.getsockopt(socket.IPPROTO_TCP, socket.TCP_MAXSEG)
            algorithm = connection.get_extra_info("socket").getsockopt(socket.IPPROTO_TCP, socket.TCP_CONGESTION, 16)
            own = connection.tcp_info_at_connect[1]["snd_mss"]
            await connection.aclose()
            clock.close()
            return told, own, algorithm.rstrip(b"\0")

    assert asyncio.run(main()) == (1000 - TIMESTAMPS, 1000 - TIMESTAMPS, b"reno")


def test_every_stream_of_a_drive_is_tuned() -> None:
    """A target's sockets are so in each of its records, and are left as they are where nothing was asked."""

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
def test_what_the_kernel_will_not_have_is_refused_before_anybody_is_asked(options: SocketOptions, words: str) -> None:
    """One sentence with the word and what to type, and no request has left."""

    async def main() -> None:
        async def nobody_comes(_reader: asyncio.StreamReader, _writer: asyncio.StreamWriter) -> None:
            raise AssertionError("somebody was asked")

        async with far_side(nobody_comes) as url:
            with pytest.raises(RefusedError) as caught:
                await ask(Target(url, sockets=options), workload())
        assert words in str(caught.value)

    asyncio.run(main())


@pytest.mark.parametrize("maxseg", [88, 32_767])
def test_the_bounds_are_the_kernels(maxseg: int) -> None:
    """Both are taken."""
    check_supported(SocketOptions(maxseg=maxseg))
