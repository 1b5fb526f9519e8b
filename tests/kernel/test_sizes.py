"""Tests the counters of oversized packets, to the packet: a router's and a filter's."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from contextlib import suppress

import pytest
from edge_lab import SERVER_V4, SERVER_V6, build, drop_oversized, drop_too_big, limit_path_mtu
from lab import are_usable

from chaoskit.counters import HopCounters
from chaoskit.facts import Facts
from chaoskit.kernel.linux import LinuxKernel
from chaoskit.knobs import Address, Change, Knob, Mtu, Neighbour
from chaoskit.topology.steering import Remote, TrafficSelector, blackhole, steer
from chaoskit.topology.steering import drop_oversized as cut_of

DISCOVER = {4: (socket.IPPROTO_IP, 10), 6: (socket.IPPROTO_IPV6, 23)}  # linux/in.h and in6.h: IP_MTU_DISCOVER
PROBE, DONT = 3, 0  # never taken apart, whatever is known of the path; taken apart where need be
HEADERS = {4: 28, 6: 48}  # of IP and UDP
LONG, SHORT = 3, 2
EACH = 2 * (LONG + SHORT)  # datagrams: before each a tiny one
SMALLER = (Knob("mtu", "router", "to-server"), Mtu(1400))


@pytest.fixture(scope="module")
def lab(facts: Facts) -> Iterator[LinuxKernel]:
    """The lab with a clsact on both router links."""
    touched = {knob for direction in ("up", "down") for knob, _ in drop_too_big(direction, (4, 6))}
    with LinuxKernel(facts) as kernel:
        for change in build(frozenset(touched)):
            kernel.write(*change)
        are_usable(kernel, "client", "server")
        yield kernel


def send(kernel: LinuxKernel, here: str, there: str, host: str, apart: int = PROBE) -> None:
    """Sends some datagrams of 1401 bytes, then some of 1400; returns when the last of them has arrived."""
    ip = 6 if ":" in host else 4
    family = socket.AF_INET6 if ip == 6 else socket.AF_INET
    with kernel.inside(there):
        listener = socket.socket(family, socket.SOCK_DGRAM)
    with kernel.inside(here):
        speaker = socket.socket(family, socket.SOCK_DGRAM)
    with listener, speaker:
        listener.settimeout(10)
        listener.bind((host, 0))
        speaker.setsockopt(*DISCOVER[ip], apart)
        speaker.connect(listener.getsockname()[:2])
        for size in [1401] * LONG + [1400] * SHORT:
            with suppress(OSError):  # what a signal told of the one before
                speaker.send(bytes(1))
            speaker.send(bytes(size - HEADERS[ip]))
        left = SHORT
        while left:
            left -= len(listener.recv(2000)) == 1400 - HEADERS[ip]


def seen(kernel: LinuxKernel, *hosts: str, apart: int = PROBE) -> HopCounters:
    """The router's counters while the client sends to each of these addresses."""
    before = kernel.hop_counters("router")
    for host in hosts:
        send(kernel, "client", "server", host, apart)
    after = kernel.hop_counters("router")
    assert before is not None
    assert after is not None
    return HopCounters(
        after.received - before.received, after.too_big - before.too_big, after.icmp_too_big - before.icmp_too_big
    )


@pytest.mark.parametrize("host", [SERVER_V4, SERVER_V6])
@pytest.mark.parametrize("changes", [limit_path_mtu("up", (4, 6), 1400), (SMALLER,)], ids=["a route", "a link"])
def test_a_router_counts_oversized_packets(lab: LinuxKernel, host: str, changes: tuple[Change, ...]) -> None:
    """Each oversized packet and its signal are counted once, whether a route or a link is too small. The filters that
    drop the signals count each of them."""
    every = (*changes, *drop_too_big("up", (4, 6)))
    at_rest = {knob: lab.read(knob) for knob, _ in every}
    for change in every:
        lab.write(*change)

    found = seen(lab, host)
    lost = [
        counters.drops
        for counters in lab.filter_counters(tuple(knob for knob, _ in drop_too_big("up", (4, 6)))).values()
    ]
    for knob, _ in reversed(every):
        lab.write(knob, at_rest[knob])

    assert found == HopCounters(received=EACH, too_big=LONG, icmp_too_big=LONG)
    assert sorted(lost) == [0, LONG]


def test_fragmented_packets_count_as_oversized(lab: LinuxKernel) -> None:
    """Over IPv4, where the sender allows fragmentation; no signal is sent."""
    for change in limit_path_mtu("up", (4,), 1400):
        lab.write(*change)

    found = seen(lab, SERVER_V4, apart=DONT)
    for knob, _ in limit_path_mtu("up", (4,), 1400):
        lab.write(knob, None)

    assert found == HopCounters(received=EACH, too_big=LONG, icmp_too_big=0)


def test_a_router_without_limit_counts_received_packets(lab: LinuxKernel) -> None:
    """None is oversized; a namespace that does not exist has no counters."""
    assert seen(lab, SERVER_V4, SERVER_V6) == HopCounters(2 * EACH, 0, 0)
    assert lab.hop_counters("nowhere") is None


@pytest.mark.parametrize("host", [SERVER_V4, SERVER_V6])
def test_a_filter_counts_drops_and_passes(lab: LinuxKernel, host: str) -> None:
    """A filter counts dropped and passed packets; one that does not exist has no counters."""
    ((knob, setting),) = drop_oversized("router-server", "up", 1400)
    assert lab.filter_counters((knob,)) == {}
    lab.write(knob, setting)

    send(lab, "client", "server", host)
    (found,) = lab.filter_counters((knob, Knob("filter", "nowhere", knob.name))).values()
    lab.write(knob, None)

    assert (found.packets, found.drops) == (EACH - LONG, LONG)


@pytest.mark.parametrize("host", [SERVER_V4, SERVER_V6])
def test_a_link_counts_packets_that_it_cannot_receive(lab: LinuxKernel, host: str) -> None:
    """It accepts four bytes more than its MTU, as for a VLAN tag; received packets are counted too."""
    knob = Knob("mtu", "server", "eth0")
    at_rest, before = lab.read(knob), lab.counters(knob)
    lab.write(knob, Mtu(1396))

    send(lab, "client", "server", host)
    after = lab.counters(knob)
    lab.write(knob, at_rest)

    assert before is not None
    assert after is not None
    assert (after.drops - before.drops) == LONG
    assert (after.packets - before.packets) >= EACH - LONG
    assert lab.counters(Knob("mtu", "server", "eth7")) is None


@pytest.mark.parametrize("kind", ["matchall", "flower", "u32"])
@pytest.mark.parametrize("direction", ["up", "down"])
def test_filters_on_an_interface_count_too(kernel: LinuxKernel, facts: Facts, direction: str, kind: str) -> None:
    """With any classifier, whether oversized packets go to the blackhole ifb or are dropped in place."""
    for place, number, other in (("here", 1, 2), ("there", 2, 1)):
        kernel.write(Knob("address", place, f"cable 10.9.0.{number}/24"), Address())
        kernel.write(Knob("neighbour", place, f"cable 10.9.0.{other}"), Neighbour(f"02:00:00:00:00:0{other}"))
    selector = (
        TrafficSelector() if kind == "matchall" else TrafficSelector((Remote("10.9.0.2/32"),), versions=frozenset({4}))
    )
    cuts = cut_of("cable", selector, (direction,), 1400, kind)  # type: ignore[arg-type]
    with kernel.inside("here"), LinuxKernel(facts) as here:
        for change in (*blackhole(), *steer("cable", selector, {}, kind), *cuts):
            here.write(*change)
        if direction == "up":
            send(kernel, "here", "there", "10.9.0.2")
        else:
            send(kernel, "there", "here", "10.9.0.1")
        found = here.filter_counters(tuple(knob for knob, _ in cuts))

    assert [(each.packets, each.drops) for each in found.values()] == [(EACH - LONG, LONG)]
