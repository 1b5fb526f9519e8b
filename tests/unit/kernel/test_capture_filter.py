"""The filter of a capture lets through the target's packets and nothing else, and of them the headers alone."""

from __future__ import annotations

import random
import socket
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

import pytest
from scapy.layers.inet import IP, TCP, UDP
from scapy.layers.inet6 import IPv6, IPv6ExtHdrHopByHop
from scapy.packet import Packet, Raw

from chaoskit.kernel.capture_filter import MOST_ENDPOINTS, Endpoint, capture_filter, connection_filter
from chaoskit.kernel.packet_socket import attach_filter

TARGETS = [("10.2.0.1", 8000), ("10.2.0.1", 443), ("192.0.2.7", 8000), ("fd02::1", 8000), ("2001:db8::5:6", 443)]
OTHERS = [("10.2.0.2", 8000), ("10.2.0.1", 8001), ("192.0.2.7", 443), ("fd02::2", 8000), ("2001:db8::5:6", 8000)]


@contextmanager
def filtered(endpoints: Sequence[Endpoint]) -> Iterator[tuple[socket.socket, socket.socket]]:
    """Where to write packets, and a socket that receives those that the kernel's own filter lets through."""
    writer, reader = socket.socketpair(socket.AF_UNIX, socket.SOCK_DGRAM)
    with writer, reader:
        attach_filter(reader, connection_filter(endpoints))
        reader.setblocking(False)
        yield writer, reader


def passed(sockets: tuple[socket.socket, socket.socket], packet: bytes) -> bytes | None:
    """What arrives of a packet."""
    writer, reader = sockets
    writer.send(packet)
    try:
        return reader.recv(65536)
    except BlockingIOError:
        return None


def segment(end: Endpoint, chance: random.Random) -> tuple[Packet, int]:
    """A packet from or to this end, with any options and data, and how long its headers are."""
    address, port = end
    near = ("10.2.0.9", "fd02::9")[":" in address]
    ports, ends = [port, chance.randrange(30_000, 60_000)], [address, near]
    if chance.random() < 0.5:
        ports.reverse()
        ends.reverse()
    options = chance.choice(([], [("MSS", 1460)], [("NOP", None), ("NOP", None), ("Timestamp", (1, 2))]))
    tcp = TCP(sport=ports[0], dport=ports[1], flags=chance.randrange(256), options=options)
    data = Raw(chance.randbytes(chance.choice((0, 9, 900))))
    if ":" in address:
        return IPv6(src=ends[0], dst=ends[1]) / tcp / data, 40 + len(bytes(tcp))
    padding = b"\x01" * (4 * chance.randrange(10))
    ip = IP(src=ends[0], dst=ends[1], options=[Raw(padding)] if padding else [])
    return ip / tcp / data, len(bytes(ip)) + len(bytes(tcp))


@pytest.mark.parametrize("seed", range(10))
def test_the_headers_of_the_target_s_packets_pass(seed: int) -> None:
    """In both directions, of both versions of IP, to the last byte of the options and not one further."""
    chance = random.Random(seed)
    with filtered(TARGETS) as sockets:
        for end in TARGETS * 20:
            packet, headers = segment(end, chance)

            assert passed(sockets, bytes(packet)) == bytes(packet)[:headers], packet


@pytest.mark.parametrize("seed", range(10))
def test_nothing_else_passes(seed: int) -> None:
    """Neither the target's address with another port, nor its port at another address."""
    chance = random.Random(seed)
    with filtered(TARGETS) as sockets:
        for end in OTHERS * 20:
            assert passed(sockets, bytes(segment(end, chance)[0])) is None, end


@pytest.mark.parametrize(
    "packet",
    [
        IP(dst="10.2.0.1") / UDP(sport=7, dport=8000) / Raw(b"\xff" * 40),
        IP(dst="10.2.0.1", frag=100) / TCP(dport=8000),
        IPv6(dst="fd02::1") / UDP(sport=7, dport=8000) / Raw(b"\xff" * 40),
        IPv6(dst="fd02::1") / IPv6ExtHdrHopByHop() / TCP(dport=8000),
        Raw(b"\x06" * 60),
        Raw(b"\x45"),
    ],
)
def test_what_is_no_segment_of_the_target_is_left_out(packet: Packet) -> None:
    """Other protocols, later fragments, extension headers, garbage."""
    with filtered(TARGETS) as sockets:
        assert passed(sockets, bytes(packet)) is None


@pytest.mark.parametrize("count", [1, MOST_ENDPOINTS])
def test_as_many_endpoints_as_are_promised_fit(count: int) -> None:
    """Whatever their number, the first and the last are found, of both versions."""
    four, six = [(f"10.9.{n}.1", 80) for n in range(count)], [(f"fd09::{n + 1:x}", 80) for n in range(count)]
    chance = random.Random(1)
    for ends in (four, six):
        with filtered(ends) as sockets:
            for end in (ends[0], ends[-1]):
                packet, headers = segment(end, chance)
                assert passed(sockets, bytes(packet)) == bytes(packet)[:headers]


def test_without_a_link_nothing_passes() -> None:
    """The part that looks at the link comes first: a packet from nowhere has none."""
    assert len(capture_filter(TARGETS)) == len(connection_filter(TARGETS)) + 5
