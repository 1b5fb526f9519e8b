"""Tests the ports of a standing lab: which are chosen here, and how a connection is passed on."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext

import pytest

from chaoskit.clock import RealClock
from chaoskit.conduct import port_forward
from chaoskit.conduct.port_forward import Forward, listen
from chaoskit.errors import RefusedError
from chaoskit.planning.publish import Published


def port_of(listener: socket.socket) -> int:
    """Its own."""
    return int(listener.getsockname()[1])


@pytest.fixture
def used() -> Iterator[socket.socket]:
    """A socket that listens on a port of this machine."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        yield listener


def closed(forwards: tuple[Forward, ...]) -> list[int]:
    """Their local ports, which are free afterwards."""
    for forward in forwards:
        forward.listener.close()
    return [int(forward.local.removeprefix("127.0.0.1:")) for forward in forwards]


def test_the_hosts_own_port_is_taken_where_it_is_free(used: socket.socket) -> None:
    """A busy one gives way to any other."""
    port = port_of(used)

    taken = closed(listen([Published("model", port, ("127.0.0.1",))]))
    used.close()
    free = closed(listen([Published("model", port, ("127.0.0.1",))]))

    assert taken != [port]
    assert free == [port]


def test_two_hosts_may_have_one_port() -> None:
    """Only one of them gets its number here."""
    with socket.create_server(("127.0.0.1", 0)) as probe:
        port = port_of(probe)

    one, other = closed(listen([Published(name, port, ("127.0.0.1",)) for name in ("a", "b")]))

    assert one == port
    assert other != port


def test_a_local_port_that_was_asked_for_and_is_in_use(used: socket.socket) -> None:
    """It is refused with what to type."""
    port = port_of(used)

    with pytest.raises(RefusedError, match=f"the local port {port} is in use: .*--publish model:8000:LOCALPORT"):
        listen([Published("model", 8000, ("127.0.0.1",), port)])


@contextmanager
def forwarded(to: Published) -> Iterator[int]:
    """The local port, while it is forwarded in this namespace."""
    forwards = listen([to])
    worker = port_forward.start(forwards, nullcontext())
    try:
        yield int(forwards[0].local.removeprefix("127.0.0.1:"))
    finally:
        worker.stop(RealClock())


def called(port: int) -> socket.socket:
    """A connection to a port of this machine."""
    return socket.create_connection(("127.0.0.1", port), timeout=20)


def test_each_direction_ends_by_itself(used: socket.socket) -> None:
    """A caller that has sent everything still gets the whole answer, of any size."""
    answer = bytes(range(256)) * 4000

    with forwarded(Published("model", port_of(used), ("127.0.0.1",))) as port, called(port) as caller:
        caller.sendall(b"question")
        caller.shutdown(socket.SHUT_WR)
        there, _ = used.accept()
        with there, there.makefile("rb") as asked:
            assert asked.read() == b"question"
            there.sendall(answer)

        with caller.makefile("rb") as answered:
            assert answered.read() == answer


def test_the_second_address_is_tried(used: socket.socket) -> None:
    """A host that listens for one IP version only is reached."""
    to = Published("model", port_of(used), ("::1", "127.0.0.1"))

    with forwarded(to) as port, called(port):
        used.settimeout(20)
        used.accept()[0].close()


def test_a_port_on_which_nobody_listens() -> None:
    """The caller is reset, and the port stays."""
    with socket.socket() as bound:
        bound.bind(("127.0.0.1", 0))

        with forwarded(Published("model", port_of(bound), ("127.0.0.1",))) as port:
            for _ in range(2):
                with pytest.raises(ConnectionResetError), called(port) as caller:
                    caller.recv(1)
