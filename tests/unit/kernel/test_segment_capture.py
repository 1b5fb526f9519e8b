"""The filter lets through, and the decoder reads, what scapy wrote into the packet, and nothing else."""

from __future__ import annotations

import random
import socket
from collections.abc import Iterator

import pytest
from scapy.layers.inet import ICMP, IP, TCP, UDP
from scapy.layers.inet6 import IPv6, IPv6ExtHdrHopByHop
from scapy.packet import Packet, Raw

from chaoskit.evidence.connection_ends import end_kind
from chaoskit.kernel.packet_socket import attach_filter
from chaoskit.kernel.segment_capture import FILTER, FIN, RST, SYN, Segment, decode

WANTED = FIN | SYN | RST


@pytest.fixture
def filtered() -> Iterator[tuple[socket.socket, socket.socket]]:
    """Where to write packets, and a socket that receives those that the kernel's own filter lets through."""
    writer, reader = socket.socketpair(socket.AF_UNIX, socket.SOCK_DGRAM)
    with writer, reader:
        attach_filter(reader, FILTER)
        reader.setblocking(False)
        yield writer, reader


def passed(filtered: tuple[socket.socket, socket.socket], packet: bytes) -> bytes | None:
    """What arrives of a packet."""
    writer, reader = filtered
    writer.send(packet)
    try:
        return reader.recv(65536)
    except BlockingIOError:
        return None


def random_segment(chance: random.Random) -> tuple[Packet, Segment]:
    """A packet with TCP of either version, with and without options and data, and what it says."""
    ports, flags = (chance.randrange(1, 65536), chance.randrange(1, 65536)), chance.randrange(256)
    options = chance.choice(([], [("MSS", 1460)], [("MSS", 1460), ("NOP", None), ("WScale", 7), ("Timestamp", (1, 2))]))
    tcp = TCP(sport=ports[0], dport=ports[1], flags=flags, options=options) / Raw(
        chance.randbytes(chance.choice((0, 9, 900)))
    )
    if chance.random() < 0.5:
        ends = [f"10.{chance.randrange(256)}.{chance.randrange(256)}.{chance.randrange(1, 255)}" for _ in range(2)]
        padding = b"\x01" * (4 * chance.randrange(10))
        packet: Packet = IP(src=ends[0], dst=ends[1], options=[Raw(padding)] if padding else []) / tcp
    else:
        ends = [f"fd{chance.randrange(10, 100)}::{chance.randrange(1, 10_000):x}" for _ in range(2)]
        packet = IPv6(src=ends[0], dst=ends[1]) / tcp
    return packet, Segment(ends[0], ports[0], ends[1], ports[1], flags)


@pytest.mark.parametrize("seed", range(20))
def test_segments_with_these_flags_pass_and_are_read(seed: int, filtered: tuple[socket.socket, socket.socket]) -> None:
    """And no other one; of those that pass the headers alone."""
    chance = random.Random(seed)
    for _ in range(200):
        packet, told = random_segment(chance)
        arrived = passed(filtered, bytes(packet))

        assert (arrived is not None) == bool(told.flags & WANTED), packet
        if arrived is not None:
            assert decode(arrived) == told
            assert len(arrived) <= 80


@pytest.mark.parametrize(
    "packet",
    [
        IP() / UDP(sport=7, dport=7) / Raw(b"\xff" * 40),
        IP() / ICMP() / Raw(b"\xff" * 40),
        IP(frag=100) / TCP(flags="S"),
        IPv6() / UDP(sport=7, dport=7) / Raw(b"\xff" * 40),
        IPv6() / IPv6ExtHdrHopByHop() / TCP(flags="S"),
        Raw(b"\x06" * 60),
    ],
)
def test_anything_else_does_not_pass(packet: Packet, filtered: tuple[socket.socket, socket.socket]) -> None:
    """Other protocols, later fragments, extension headers, rubbish."""
    assert passed(filtered, bytes(packet)) is None


def test_any_beginning_of_a_packet_is_read_or_refused() -> None:
    """Never with an error, and never as another segment."""
    chance = random.Random(1)
    for _ in range(200):
        packet, told = random_segment(chance)
        for length in range(90):
            assert decode(bytes(packet)[:length]) in (None, told)
        decode(chance.randbytes(chance.randrange(90)))


@pytest.mark.parametrize(
    ("flags", "kind"), [("S", "syn"), ("SA", "syn-ack"), ("SEC", "syn"), ("FA", "fin"), ("RA", "rst"), ("FR", "rst")]
)
def test_the_kind_of_an_end(flags: str, kind: str) -> None:
    """What the flags do to the connection, by the strongest of them."""
    assert end_kind(int(TCP(flags=flags).flags)) == kind
