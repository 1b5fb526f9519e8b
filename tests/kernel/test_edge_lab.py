"""Tests the edge lab on a real kernel: connectivity, delays, and that nothing of it is left."""

from __future__ import annotations

import gc
import re
import socket
from collections.abc import Iterator
from pathlib import Path

import pytest
from edge_lab import SERVER_V4, SERVER_V6, build, qdiscs
from lab import SHAPED, as_nobody, quickest, run, state

from chaoskit.clock import now
from chaoskit.engine.apply_restore import apply, restore
from chaoskit.engine.journal import Journal
from chaoskit.facts import Facts
from chaoskit.faults.base import Direction, Segment
from chaoskit.kernel.features import detect_features
from chaoskit.kernel.linux import LinuxKernel
from chaoskit.kernel.namespaces import enter_user_namespace
from chaoskit.knobs import Knob, Netem

MS = 1_000_000
DELAY = 25 * MS
ADDRESSES = {"client": ("10.1.0.1", "fd01::1"), "server": (SERVER_V4, SERVER_V6)}
SEGMENTS: tuple[Segment, ...] = ("client-router", "router-server")
DIRECTIONS: tuple[Direction, ...] = ("down", "up")


@pytest.fixture
def clean(edge: LinuxKernel) -> Iterator[LinuxKernel]:
    """The lab without any fault, before and after."""
    yield edge
    for knob in SHAPED:
        edge.write(knob, None)


def echo(kernel: LinuxKernel, at: str, towards: str, address: str) -> int:
    """How many bytes are echoed on a TCP connection between two ends."""
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    with kernel.inside(towards):
        listener = socket.create_server((address, 0), family=family)
    with kernel.inside(at):
        caller = socket.socket(family)
    with listener, caller:
        caller.settimeout(30)
        caller.connect(listener.getsockname()[:2])
        called, _ = listener.accept()
        with called, caller.makefile("rb") as answers:
            back = 0
            for _ in range(20):
                caller.sendall(b"x" * 10_000)
                called.sendall(called.recv(10_000, socket.MSG_WAITALL))
                back += len(answers.read(10_000))
    return back


def test_the_lab_carries_tcp_both_ways(clean: LinuxKernel) -> None:
    """Client and server connect to each other in either direction, over IPv4 and IPv6."""
    for at, towards in (("client", "server"), ("server", "client")):
        for address in ADDRESSES[towards]:
            assert echo(clean, at, towards, address) == 200_000, (at, address)


def test_each_qdisc_delays_its_own_direction(clean: LinuxKernel) -> None:
    """A delay on any of the four qdiscs delays packets of its direction by that time, and the others not at all."""
    for segment in SEGMENTS:
        for direction in DIRECTIONS:
            (knob,) = qdiscs(segment, direction)
            clean.write(knob, Netem(delay=DELAY))
            for way, ends in (("up", ("client", "server")), ("down", ("server", "client"))):
                least = DELAY if way == direction else 0
                assert least <= one_way(clean, *ends, least + 10 * MS) < least + 10 * MS, (segment, direction, way)
            clean.write(knob, None)


def test_ping_measures_the_sum_of_delays(clean: LinuxKernel) -> None:
    """The round trip is the sum of all delays on its path, by ping's own clock, over IPv4 and IPv6."""
    for number, knob in enumerate(sorted(SHAPED), 1):
        clean.write(knob, Netem(delay=number * 10 * MS))

    for address in (SERVER_V4, SERVER_V6):
        with clean.inside("client"):
            printed = run("ping", "-q", "-c", "20", "-i", "0.05", address)
        fastest = float(re.findall(r"= ([\d.]+)/", printed)[0])
        assert 100 <= fastest < 105, address


def one_way(kernel: LinuxKernel, at: str, towards: str, below: int) -> int:
    """The shortest one-way time of a datagram, in ns, or the first that is `below`; both ends share one clock."""
    address = ADDRESSES[towards][0]
    with kernel.inside(towards):
        receiver = socket.socket(type=socket.SOCK_DGRAM)
    with kernel.inside(at):
        sender = socket.socket(type=socket.SOCK_DGRAM)
    with receiver, sender:
        receiver.settimeout(10)
        receiver.bind((address, 9))

        def trip() -> int:
            sent = now()
            sender.sendto(b"x", (address, 9))
            receiver.recv(1)
            return now() - sent

        trip()
        return quickest(trip, below)


def test_a_restore_leaves_nothing(facts: Facts, tmp_path: Path) -> None:
    """After the lab and its faults are restored, ip, tc and every sysctl show what they showed before, and no
    descriptor stays open."""
    with LinuxKernel(facts) as kernel, Journal.at(tmp_path) as journal:
        before, descriptors = state(kernel, ""), open_descriptors()

        for change in (*build(SHAPED), *((knob, Netem(delay=DELAY)) for knob in sorted(SHAPED))):
            apply(kernel, journal, change)
        assert open_descriptors() > descriptors
        assert restore(kernel, journal) == []
        assert journal.pending() == []

        assert state(kernel, "") == before
        assert open_descriptors() == descriptors
        assert all(kernel.read(Knob("namespace", "", node)) is None for node in ("client", "router", "server"))


def test_the_own_namespace_is_restored(facts: Facts, tmp_path: Path) -> None:
    """A lab whose router is the own namespace leaves it as it was, sysctls, links and all."""
    with LinuxKernel(facts) as kernel, Journal.at(tmp_path) as journal:
        before = state(kernel, "")

        for knob, setting in build(SHAPED):
            ours = Knob(knob.kind, "" if knob.place == "router" else knob.place, knob.name)
            apply(kernel, journal, (ours, setting))
        assert "to-client" in state(kernel, "")
        assert restore(kernel, journal) == []
        assert journal.pending() == []

        assert state(kernel, "") == before


def open_descriptors() -> int:
    gc.collect()  # of earlier tests
    return len(list(Path("/proc/self/fd").iterdir()))


def test_an_unprivileged_user_builds_the_lab_too(tmp_path: Path) -> None:
    """The user nobody, in a user namespace, builds the lab, delays in it, and removes it again."""
    tmp_path.chmod(0o777)
    for parent in tmp_path.parents[:2]:
        parent.chmod(0o755)

    assert as_nobody(lambda: build_and_use(tmp_path)) == 0


def build_and_use(run_directory: Path) -> None:
    facts = detect_features()
    assert (facts.root, facts.user_namespaces) == (False, True)
    assert {"netem", "ifb", "clsact", "matchall", "veth", "namespaces"} <= facts.features
    enter_user_namespace()
    with LinuxKernel(facts) as kernel, Journal.at(run_directory) as journal:
        for change in (*build(SHAPED), *((knob, Netem(delay=5 * MS)) for knob in sorted(SHAPED))):
            apply(kernel, journal, change)
        assert one_way(kernel, "client", "server", 10 * MS) >= 10 * MS
        assert echo(kernel, "client", "server", SERVER_V6) == 200_000
        assert restore(kernel, journal) == []
