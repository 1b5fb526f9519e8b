"""Traffic of others on an interface while a fault is in force there: what of it was touched, and how long it took.

A neighbour is a question and an answer, each one packet. An answer that does not come, or comes later than half
of the fault's delay, was touched.
"""

from __future__ import annotations

import os
import selectors
import signal
import socket
import time
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

from chaoskit.kernel import namespaces
from soak import interfaces

OTHER_HOST = "10.7.0.3"
LATE = 0.025  # s: half of the fault's delay
_PORTS = (interfaces.PORT, interfaces.OTHER_PORT)


@dataclass(frozen=True)
class Neighbour:
    """Somebody's traffic with the far end of `bare`."""

    protocol: str
    host: str
    port: int

    def __str__(self) -> str:
        return f"{self.protocol} {f'[{self.host}]' if ':' in self.host else self.host}:{self.port}"


TARGET = Neighbour("tcp", interfaces.far("bare"), interfaces.PORT)
NEIGHBOURS = (
    Neighbour("tcp", interfaces.far("bare"), interfaces.OTHER_PORT),
    Neighbour("udp", interfaces.far("bare"), interfaces.PORT),
    Neighbour("udp", interfaces.far("bare"), interfaces.OTHER_PORT),
    Neighbour("tcp", OTHER_HOST, interfaces.PORT),
    Neighbour("udp", OTHER_HOST, interfaces.PORT),
    Neighbour("tcp", interfaces.far("bare", 6), interfaces.PORT),
    Neighbour("udp", interfaces.far("bare", 6), interfaces.OTHER_PORT),
)
"""The same host, another host, the other protocol, the other IP version: each as near to the target as can be."""

FAULT = (
    *("inject", "--interface", "bare", "--to", f"{TARGET.host}:{TARGET.port}", "--protocol", "tcp"),
    *("--down", "delay 50ms loss 30%", "--up", "delay 50ms loss 30%"),
)


class ProbeSocket:
    """A socket that asks a neighbour's far end, again and again."""

    def __init__(self, neighbour: Neighbour) -> None:
        family = socket.AF_INET6 if ":" in neighbour.host else socket.AF_INET
        kind = socket.SOCK_STREAM if neighbour.protocol == "tcp" else socket.SOCK_DGRAM
        self._socket = socket.socket(family, kind)
        self._socket.settimeout(1)
        self._socket.connect((neighbour.host, neighbour.port))
        if kind == socket.SOCK_STREAM:
            self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)

    def ask(self) -> int:
        """ns until the answer; a second when it does not come."""
        begun = time.monotonic_ns()
        self._socket.send(b"?" * 64)
        try:
            self._socket.recv(64)
        except TimeoutError:
            return 10**9
        return time.monotonic_ns() - begun

    def close(self) -> None:
        """Hang up."""
        self._socket.close()


def open_sockets(neighbours: tuple[Neighbour, ...], stack: ExitStack) -> list[ProbeSocket]:
    """One talk with each, closed with the stack."""
    made = [ProbeSocket(neighbour) for neighbour in neighbours]
    for talk in made:
        stack.callback(talk.close)
    return made


def block(those: list[ProbeSocket], questions: int) -> Iterator[int]:
    """The answers' times, in turns, so that each talk meets the same moments."""
    for _ in range(questions):
        for talk in those:
            yield talk.ask()


def start_echo_server() -> int:
    """Start to answer behind `bare`, TCP and UDP on both ports, on all addresses; the process that does."""
    ready, tell = os.pipe()
    process = os.fork()
    if process == 0:
        try:
            _echo(tell)
        finally:
            os.kill(os.getpid(), signal.SIGKILL)
    os.close(tell)
    os.read(ready, 1)
    os.close(ready)
    return process


def _echo(tell: int) -> None:
    place = os.open("/run/netns/far-bare", os.O_RDONLY)
    namespaces.enter(place)
    eyes = selectors.DefaultSelector()
    for port in _PORTS:
        listener = socket.create_server(("::", port), family=socket.AF_INET6, dualstack_ipv6=True)
        eyes.register(listener, selectors.EVENT_READ, "listener")
        for host in (
            interfaces.far("bare"),
            OTHER_HOST,
            interfaces.far("bare", 6),
        ):  # an answer comes from where it was asked
            datagrams = socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET, socket.SOCK_DGRAM)
            datagrams.bind((host, port))
            eyes.register(datagrams, selectors.EVENT_READ, "datagrams")
    os.write(tell, b"!")
    while True:
        for key, _ in eyes.select():
            ready = key.fileobj
            assert isinstance(ready, socket.socket)
            match key.data:
                case "listener":
                    caller, _ = ready.accept()
                    caller.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
                    eyes.register(caller, selectors.EVENT_READ, "stream")
                case "datagrams":
                    said, whence = ready.recvfrom(64)
                    if len(said) == 64:  # the background datagrams are longer, and get no answer
                        ready.sendto(said, whence)
                case _:
                    if said := ready.recv(64):
                        ready.send(said)
                    else:
                        eyes.unregister(ready)
                        ready.close()


@dataclass(frozen=True)
class NeighbourCounts:
    """How many answers there were, and how many were touched: of the neighbours, and of the target itself."""

    asked: int
    touched: int
    target_asked: int
    target_touched: int


def measure_neighbours(questions: int, target_questions: int = 20) -> NeighbourCounts:
    """Ask all neighbours while a fault is in force, and the target too: it must feel it."""
    with ExitStack() as stack:
        those = open_sockets(NEIGHBOURS, stack)
        times = list(block(those, questions))
        target = [_reach(stack) for _ in range(target_questions)]
    return NeighbourCounts(len(times), sum(map(_is_touched, times)), len(target), sum(map(_is_touched, target)))


def _is_touched(time: int) -> bool:
    return time > LATE * 1e9


def _reach(stack: ExitStack) -> int:
    """ns until a connection to the target stands; a second when it does not."""
    begun = time.monotonic_ns()
    caller = stack.enter_context(socket.socket(socket.AF_INET, socket.SOCK_STREAM))
    caller.settimeout(0.3)
    try:
        caller.connect((TARGET.host, TARGET.port))
    except TimeoutError:
        return 10**9
    return time.monotonic_ns() - begun


def add_other_host() -> None:
    """One more address behind `bare`, and who has it."""
    interfaces.tool("ip", "-n", "far-bare", "address", "add", f"{OTHER_HOST}/24", "dev", "bare")
    mac = Path("/sys/class/net/bare/address").read_text().strip().removesuffix("1") + "2"
    interfaces.tool("ip", "neighbour", "add", OTHER_HOST, "lladdr", mac, "dev", "bare", "nud", "permanent")
