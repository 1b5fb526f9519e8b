"""Tests path-MTU faults with sockets at both ends: which sizes pass, which are dropped, and who is signalled."""

from __future__ import annotations

import select
import socket
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, Literal

import pytest
from edge_lab import build
from lab import run, state
from pydantic import TypeAdapter

from chaoskit.engine.apply_restore import apply, restore
from chaoskit.engine.journal import Journal
from chaoskit.facts import Facts
from chaoskit.faults import Fault, knobs
from chaoskit.kernel.linux import LinuxKernel
from chaoskit.knobs import Address, Knob, Link, Neighbour, Pulse
from chaoskit.topology.fault_site import Interface, Lab
from chaoskit.topology.steering import Remote, TrafficSelector, blackhole, steer

FAULT: TypeAdapter[Fault] = TypeAdapter(Fault)
ADDRESSES = {("client", 4): "10.1.0.1", ("client", 6): "fd01::1", ("server", 4): "10.2.0.1", ("server", 6): "fd02::1"}
HEADERS = {4: 28, 6: 48}  # of IP and UDP
UP, DOWN, OUT, IN = ("client", "server"), ("server", "client"), ("here", "there"), ("there", "here")
PATIENCE = 500  # ms after which a packet counts as lost
DO = 2  # linux/in.h and in6.h: IP_PMTUDISC_DO
SOCKET = {4: (socket.AF_INET, socket.IPPROTO_IP, 10, 14), 6: (socket.AF_INET6, socket.IPPROTO_IPV6, 23, 24)}
"""The family, the level, and the numbers of IP_MTU_DISCOVER and IP_MTU there."""
Seen = Literal["passes", "lost", "told"]
BLACK_HOLE = {"mtu": "1400", "signal": "dropped"}
# The fault, the size that still passes, and what becomes of one byte more on its way up, and on its way down.
CASES: list[tuple[dict[str, Any], int, Seen, Seen]] = [
    ({"pmtu": "1400", "direction": "up"}, 1400, "told", "passes"),
    ({"pmtu": "1400", "direction": "down"}, 1400, "passes", "told"),
    ({"pmtu": "1280", "direction": "both"}, 1280, "told", "told"),
    ({"pmtu": BLACK_HOLE, "direction": "up"}, 1400, "lost", "passes"),
    ({"pmtu": BLACK_HOLE, "direction": "down"}, 1400, "passes", "lost"),
    ({"pmtu": BLACK_HOLE, "direction": "both"}, 1400, "lost", "lost"),
    ({"size-drop": "1400", "link": "client-router", "direction": "up"}, 1400, "lost", "passes"),
    ({"size-drop": "1400", "link": "client-router", "direction": "down"}, 1400, "passes", "lost"),
    ({"size-drop": "1400", "link": "router-server", "direction": "up"}, 1400, "lost", "passes"),
    ({"size-drop": "1400", "link": "router-server", "direction": "down"}, 1400, "passes", "lost"),
    ({"mtu": "1400", "link": "router-server"}, 1400, "told", "told"),
    ({"tunnel": "wireguard"}, 1420, "told", "told"),
    ({"tunnel": "pppoe", "signal": "dropped", "direction": "up"}, 1492, "lost", "passes"),
    ({"tunnel": "jumbo-mismatch"}, 1500, "lost", "lost"),
]


def fault(words: dict[str, Any]) -> Fault:
    return FAULT.validate_python(words)


@pytest.fixture(scope="module")
def lab(facts: Facts) -> Iterator[LinuxKernel]:
    """The lab prepared for each of these faults, with listeners at both ends."""
    touched = {knob for words, *_ in CASES for knob in knobs(fault(words), Lab(4))}
    with LinuxKernel(facts) as kernel:
        for knob, setting in build(frozenset(touched)):
            kernel.write(knob, setting)
        yield kernel


@contextmanager
def in_force(kernel: LinuxKernel, folder: Path, words: dict[str, Any]) -> Iterator[None]:
    """Applies the fault during the body, and restores everything."""
    with Journal.at(folder) as journal:
        for change in fault(words).changes(Lab(4), 1000, 0):
            apply(kernel, journal, change)
        for place in ("client", "server"):
            kernel.pulse(Pulse("flush-pmtu", place))
        try:
            yield
        finally:
            assert restore(kernel, journal) == []


def send(kernel: LinuxKernel, way: tuple[str, str], host: str, size: int) -> Seen:
    """The fate of one datagram of this many bytes with DF set, as the remote end or the local kernel reports it."""
    here, there = way
    ip = 6 if ":" in host else 4
    family, level, discover, mtu = SOCKET[ip]
    with kernel.inside(there):
        listener = socket.socket(family, socket.SOCK_DGRAM)
    with kernel.inside(here):
        speaker = socket.socket(family, socket.SOCK_DGRAM)
    with listener, speaker:
        listener.bind(("::" if ip == 6 else "0.0.0.0", 0))
        speaker.setsockopt(level, discover, DO)
        speaker.connect((host, listener.getsockname()[1]))
        with suppress(OSError):  # too long for the first link, or a signal that came at once
            speaker.send(bytes(size - HEADERS[ip]))
        for _ in range(PATIENCE // 10):
            if select.select([listener], [], [], 0.01)[0]:
                return "passes"
            if speaker.getsockopt(level, mtu) < size:
                return "told"
    return "lost"


@pytest.mark.parametrize(("words", "size", "up", "down"), CASES, ids=lambda each: str(each) if each else "")
def test_the_size_limit_is_exact_to_the_byte(
    lab: LinuxKernel, tmp_path: Path, words: dict[str, Any], size: int, up: Seen, down: Seen
) -> None:
    """A packet of the limit passes both ways, and one byte more is dropped, or its sender signalled, in the affected
    direction alone; over IPv4 and IPv6."""
    with in_force(lab, tmp_path, words):
        for ip in (4, 6):
            for way, wanted in ((UP, up), (DOWN, down)):
                host = ADDRESSES[way[1], ip]

                assert send(lab, way, host, size) == "passes"
                assert send(lab, way, host, size + 1) == wanted


def test_mismatched_mtus(lab: LinuxKernel, tmp_path: Path) -> None:
    """Where one end of a link has a smaller MTU, its own senders are signalled, and packets to it are dropped silently
    once they exceed the MTU by more than a VLAN tag."""
    with in_force(lab, tmp_path, {"mtu": "1400", "link": "router-server", "end": "router"}):
        for ip in (4, 6):
            assert send(lab, UP, ADDRESSES["server", ip], 1401) == "told"
            seen = [send(lab, DOWN, ADDRESSES["client", ip], 1400 + more) for more in (0, 4, 5)]

            assert seen == ["passes", "passes", "lost"]


def test_hosts_flush_cached_path_mtus(lab: LinuxKernel, tmp_path: Path) -> None:
    """After a signal the sender's kernel caches the path MTU, and after the pulse it does not."""
    with in_force(lab, tmp_path, {"pmtu": "1400", "direction": "up"}):
        for ip in (4, 6):
            server = ADDRESSES["server", ip]
            assert _known(lab, server) == ""

            assert send(lab, UP, server, 1401) == "told"
            assert "mtu 1400" in _known(lab, server)
            lab.pulse(Pulse("flush-pmtu", "client"))

            assert "mtu 1400" not in _known(lab, server)


def _known(kernel: LinuxKernel, host: str) -> str:
    with kernel.inside("client"):
        told = run("ip", *(("-6",) if ":" in host else ()), "route", "get", host)
    return told[told.index("expires") :] if "expires" in told else ""


def pair(kernel: LinuxKernel) -> None:
    """One address on this side of the cable, two on the other, with permanent neighbours."""
    for place, other, numbers in (("here", "02:00:00:00:00:02", (1,)), ("there", "02:00:00:00:00:01", (2, 3))):
        for number in numbers:
            kernel.write(Knob("address", place, f"cable 10.9.0.{number}/24"), Address())
            with kernel.inside(place):
                run("ip", "address", "add", f"fd09::{number}/64", "dev", "cable", "nodad")
        for far in {1, 2, 3} - set(numbers):
            for host in (f"10.9.0.{far}", f"fd09::{far}"):
                kernel.write(Knob("neighbour", place, f"cable {host}"), Neighbour(other))


@pytest.mark.parametrize("classifier", ["flower", "u32"])
@pytest.mark.parametrize("direction", ["up", "down", "both"])
def test_size_drops_on_an_interface(
    kernel: LinuxKernel, facts: Facts, tmp_path: Path, direction: str, classifier: str
) -> None:
    """Selected packets above the size are dropped in the given direction alone, to the byte; other packets pass at any
    size; everything is restored."""
    pair(kernel)
    before = state(kernel, "here")
    site = Interface(
        "cable", TrafficSelector((Remote("10.9.0.2/32"),), protocol="udp", versions=frozenset({4})), classifier
    )
    with kernel.inside("here"), LinuxKernel(facts) as here, Journal.at(tmp_path) as journal:
        stage = (*blackhole(), *steer("cable", site.selector, {}, classifier))
        for change in (*stage, *fault({"size-drop": "1400", "direction": direction}).changes(site, 1, 0)):
            apply(here, journal, change)
        up = [
            send(kernel, OUT, host, size) for host, size in (("10.9.0.2", 1400), ("10.9.0.2", 1401), ("10.9.0.3", 1500))
        ]
        down = [send(kernel, IN, "10.9.0.1", size) for size in (1400, 1401)]
        left = restore(here, journal)

    assert up == ["passes", "lost" if direction != "down" else "passes", "passes"]
    assert down == ["passes", "lost" if direction != "up" else "passes"]
    assert left == []
    assert state(kernel, "here") == before


def test_an_interface_mtu_is_restored(kernel: LinuxKernel, facts: Facts, tmp_path: Path) -> None:
    """MTU and addresses are restored byte for byte; while it is smaller, the local kernel refuses longer packets."""
    pair(kernel)
    before = state(kernel, "here")
    with kernel.inside("here"), LinuxKernel(facts) as here, Journal.at(tmp_path) as journal:
        for change in fault({"mtu": "1300"}).changes(Interface("cable", TrafficSelector()), 1, 0):
            apply(here, journal, change)
        seen = [send(kernel, OUT, host, size) for host in ("10.9.0.2", "fd09::2") for size in (1300, 1301)]
        assert here.read(Knob("link", "", "cable")) == Link(True, 1300, 1)
        left = restore(here, journal)

    assert seen == ["passes", "told", "passes", "told"]
    assert left == []
    assert state(kernel, "here") == before
