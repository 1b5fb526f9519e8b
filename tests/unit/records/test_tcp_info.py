"""TCP_INFO is parsed as far as the kernel filled it."""

import socket
from collections.abc import Iterator
from typing import cast

import pytest

from chaoskit.records import tcp_info


@pytest.fixture
def pair() -> Iterator[tuple[socket.socket, socket.socket]]:
    """Two ends of one loopback connection."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        client = socket.create_connection(listener.getsockname())
        server, _ = listener.accept()
    with client, server:
        yield client, server


class Filled:
    """A socket whose TCP_INFO has another value in each byte."""

    info = bytes(range(1, 250))

    def fileno(self) -> int:
        """It is open."""
        return 3

    def getsockopt(self, level: int, name: int, size: int) -> bytes:
        """So many bytes of it at most."""
        return self.info[:size]


def test_what_was_sent_again_is_read_from_its_places() -> None:
    """The three counts are those of the whole structure, whatever is between them; a kernel without one has 0."""
    full, old = Filled(), Filled()
    old.info = full.info[:110]
    known = tcp_info.parse(full.info)

    assert tcp_info.sent_again(cast("socket.socket", full)) == (
        *(known["total_retrans"], known["dsack_dups"], known["reord_seen"]),
    )
    assert tcp_info.sent_again(cast("socket.socket", old)) == (known["total_retrans"], 0, 0)


def test_counts_what_was_sent(pair: tuple[socket.socket, socket.socket]) -> None:
    """Bytes sent and received match TCP_INFO exactly."""
    client, server = pair
    client.sendall(b"x" * 1234)
    assert server.recv(4096) == b"x" * 1234

    sender, receiver = tcp_info.sample(client), tcp_info.sample(server)

    assert sender["state"] == receiver["state"] == 1  # TCP_ESTABLISHED
    assert sender["bytes_sent"] == 1234
    assert receiver["bytes_received"] == 1234
    assert sender["data_segs_out"] == receiver["data_segs_in"] == 1
    assert sender["bytes_retrans"] == sender["total_retrans"] == 0
    assert 0 < sender["rtt"] < 1_000_000
    assert sender["advmss"] <= sender["pmtu"]


def test_every_length_is_parsed(pair: tuple[socket.socket, socket.socket]) -> None:
    """For a shorter struct of an older kernel, the included fields are the same, and the rest absent."""
    raw = pair[0].getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, 512)
    whole = tcp_info.parse(raw)

    for length in range(len(raw) + 1):
        part = tcp_info.parse(raw[:length])
        assert part.items() <= whole.items()
    assert tcp_info.parse(raw[:104]).keys() >= {"rto", "total_retrans"}  # Linux 2.6
    assert "pacing_rate" not in tcp_info.parse(raw[:104])


def test_newer_kernels_are_parsed(pair: tuple[socket.socket, socket.socket]) -> None:
    """Fields that a future kernel appends change nothing."""
    raw = pair[0].getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, 512)

    assert tcp_info.parse(raw.ljust(248, b"\0")) == tcp_info.parse(raw.ljust(248, b"\0") + b"\xff" * 100)


def test_a_closed_socket_has_none(pair: tuple[socket.socket, socket.socket]) -> None:
    """A closed socket gives an empty result instead of an error."""
    pair[0].close()

    assert tcp_info.sample(pair[0]) == {}
