"""A dump of sockets says what each socket says of itself."""

from __future__ import annotations

import os
import socket
from collections.abc import Iterator

import pytest

from chaoskit.kernel.socket_diag import DumpedSocket, SocketDiag, parse
from chaoskit.records import tcp_info

CASES = [
    (socket.AF_INET, "127.0.0.1", "127.0.0.1"),
    (socket.AF_INET6, "::1", "::1"),
    (socket.AF_INET6, "::", "127.0.0.1"),
]


@pytest.fixture
def diag() -> Iterator[SocketDiag]:
    """A netlink socket."""
    made = SocketDiag()
    yield made
    made.close()


def dumped(diag: SocketDiag, own: socket.socket) -> DumpedSocket:
    """What the dump has of this socket."""
    port, remote = own.getsockname()[1], own.getpeername()[1]
    sockets, beyond = diag.sockets(10_000)
    assert beyond == 0
    (found,) = (each for each in sockets if (each.local_port, each.remote_port) == (port, remote))
    return found


@pytest.mark.parametrize(("family", "listening", "address"), CASES)
def test_a_connection_has_its_ends_and_its_tcp_info(
    family: socket.AddressFamily, listening: str, address: str, diag: SocketDiag
) -> None:
    """Of both IP versions; IPv4 on a socket of IPv6 is IPv4."""
    listener = socket.create_server((listening, 0), family=family, dualstack_ipv6=listening == "::")
    with listener, socket.create_connection((address, listener.getsockname()[1])) as caller:
        called, _ = listener.accept()
        with called:
            caller.sendall(b"x" * 777)
            assert called.recv(777, socket.MSG_WAITALL)

            for own in (caller, called):
                found, told = dumped(diag, own), tcp_info.sample(own)
                assert (found.local, found.remote) == (address, address)
                for name in ("state", "bytes_received", "bytes_sent", "snd_mss", "pmtu"):
                    assert found.fields[name] == told[name], name
            assert found.fields["bytes_received"] == 777
            assert found.fields["last_data_recv"] < 5000


def test_what_listens_is_no_connection(diag: SocketDiag) -> None:
    """Only sockets with data are listed."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        assert listener.getsockname()[1] not in [each.local_port for each in diag.sockets(10_000)[0]]


def test_a_host_with_many_sockets_is_bounded(diag: SocketDiag) -> None:
    """So many and no more, and how many are left out."""
    with socket.create_server(("127.0.0.1", 0), backlog=300) as listener:
        callers = [socket.create_connection(listener.getsockname()) for _ in range(150)]
        sockets, beyond = diag.sockets(100)
        for each in callers:
            each.close()

    assert len(sockets) == 100
    assert beyond >= 200


def test_a_damaged_message_is_no_endless_loop() -> None:
    """Attributes of any size end."""
    for seed in range(200):
        parse(os.urandom(72 + seed))
