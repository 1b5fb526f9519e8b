"""Tests long bodies over real connections: their outcomes, and the count of packets."""

from __future__ import annotations

import socket
import struct
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from threading import Thread

from chaoskit.clock import RealClock
from chaoskit.pathmtu.long_body import BODY_SIZE, Body, send_body
from chaoskit.pathmtu.probes import SECOND, Endpoints
from chaoskit.pathmtu.transport import Budget

CLOCK = RealClock()


def budget(packets: int = 100) -> Budget:
    """A minute, and so many packets."""
    return Budget(packets, CLOCK.now() + 60 * SECOND)


@contextmanager
def server(serve: Callable[[socket.socket], None]) -> Iterator[Endpoints]:
    """Serves one connection on loopback, and is done when the body is."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        listener.settimeout(20)

        def once() -> None:
            connection, _ = listener.accept()
            connection.settimeout(20)
            with connection:
                serve(connection)

        thread = Thread(target=once)
        thread.start()
        yield Endpoints(4, "127.0.0.1", "127.0.0.1", listener.getsockname()[1])
        thread.join()


def test_a_body_that_is_read_is_taken() -> None:
    """All of it, and what the server gets is a request that is never finished, by a reset."""
    heard = bytearray()

    def read_all(connection: socket.socket) -> None:
        try:
            while data := connection.recv(1 << 16):
                heard.extend(data)
        except ConnectionResetError:
            heard.extend(b"|reset")

    counted = budget()

    with server(read_all) as endpoints:
        body = send_body(endpoints, "api.example.com", counted, CLOCK)

    head, _, rest = bytes(heard).partition(b"\r\n\r\n")
    assert head.startswith(b"POST / HTTP/1.1\r\nHost: api.example.com\r\n")
    assert f"Content-Length: {BODY_SIZE + 1}".encode() in head
    assert rest == b" " * BODY_SIZE + b"|reset"
    assert (body.ending, body.acked) == ("taken", body.asked)
    assert body.asked == len(head) + 4 + BODY_SIZE
    assert 3 <= counted.sent <= 12


def test_the_largest_packet_is_reported() -> None:
    """As large as half a window on loopback; and no MSS, because the host's is not what limits it."""

    def read_a_little(connection: socket.socket) -> None:
        connection.recv(1 << 16)

    with server(read_a_little) as endpoints:
        body = send_body(endpoints, "localhost", budget(), CLOCK)

    assert body.size is not None
    assert 20_000 < body.size <= 65_536
    assert body.mss is None


def test_a_server_that_hangs_up_at_once_proves_nothing() -> None:
    """A reset before anything was acknowledged is neither a black hole nor a passage."""

    def hang_up(connection: socket.socket) -> None:
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))

    endings = set()
    for _ in range(5):
        with server(hang_up) as endpoints:
            endings.add(send_body(endpoints, "localhost", budget(), CLOCK).ending)

    assert endings <= {"cut", "taken"}


def test_a_closed_port_is_refused() -> None:
    """With the system's own word, and one packet counted."""
    counted = budget()

    with socket.socket() as nobody:  # has the port, and does not listen
        nobody.bind(("127.0.0.1", 0))
        endpoints = Endpoints(4, "127.0.0.1", "127.0.0.1", nobody.getsockname()[1])
        body = send_body(endpoints, "localhost", counted, CLOCK)

    assert body == Body("refused", why="Connection refused")
    assert counted.sent == 1


def test_too_few_packets_send_nothing() -> None:
    """The budget that is left is asked before the connection is opened."""
    counted = budget(23)

    body = send_body(Endpoints(4, "127.0.0.1", "127.0.0.1", 9), "localhost", counted, CLOCK)

    assert body == Body("unsent")
    assert counted.sent == 0
