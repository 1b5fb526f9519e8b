"""Tests the bytes of probes, and that only replies to them are accepted."""

from __future__ import annotations

import struct
from collections.abc import Iterator
from typing import Literal

import pytest
from scapy.layers.inet import ICMP, IP, TCP, UDP
from scapy.layers.inet6 import ICMPv6EchoReply, IPv6
from scapy.packet import Raw

from chaoskit.pathmtu.packets import Packets
from chaoskit.pathmtu.probes import Answer, Endpoints, Expired, Method, Probe, Reply, TooBig, Unreachable

ENDS = {
    4: Endpoints(4, "192.0.2.1", "198.51.100.7", 443),
    6: Endpoints(6, "2001:db8::1", "2001:db8:ffff::7", 443),
}
HOP = {4: "203.0.113.9", 6: "2001:db8:9::9"}
WAYS: tuple[Method, ...] = ("echo", "udp", "tcp")
VERSIONS: tuple[Literal[4, 6], ...] = (4, 6)
EACH = pytest.mark.parametrize(("version", "method"), [(version, method) for version in VERSIONS for method in WAYS])


def packets(version: int) -> Packets:
    """Those of one examination."""
    return Packets(ENDS[version], 4711)


def icmp4(kind: int, code: int, quoted: bytes, sender: str = HOP[4], mtu: int = 0) -> bytes:
    """An ICMP message as a raw socket hears it."""
    return bytes(IP(src=sender, dst="192.0.2.1", ttl=61) / ICMP(type=kind, code=code, nexthopmtu=mtu) / Raw(quoted))


def heard(version: int, kind: str, quoted: bytes, sender: str | None = None) -> tuple[int, Answer] | None:
    """What a router's message about a packet is taken for."""
    sender = sender or HOP[version]
    numbers = {"expired": (11, 0), "too big": (3, 4), "port": (3, 3), "barred": (3, 13)}
    if version == 4:
        return packets(4).read_icmp4(icmp4(*numbers[kind], quoted, sender, 1400))
    numbers = {"expired": (3, 0), "too big": (2, 0), "port": (1, 4), "barred": (1, 1)}
    return packets(6).read_icmp6(struct.pack("!BBHI", *numbers[kind], 0, 1400) + quoted, sender, 61)


@EACH
@pytest.mark.parametrize("size", [100, 101, 1280, 1500, 9000, 65535])
def test_a_probe_is_as_long_as_it_says(version: int, method: Method, size: int) -> None:
    """By its own length and by its header's, with the TTL that was asked, and not to be fragmented."""
    sent = packets(version).build(Probe(method, size, 7), 3)

    assert len(sent) == size
    if version == 4:
        assert struct.unpack_from("!H", sent, 2) == (size,)
        assert sent[6:8] == b"\x40\x00"
        assert sent[8] == 7
    else:
        assert struct.unpack_from("!H", sent, 4) == (size - 40,)
        assert sent[7] == 7


@EACH
def test_checksums_are_right(version: int, method: Method) -> None:
    """Summed up anew by RFC 1071, pseudo header and all."""
    sent = packets(version).build(Probe(method, 777), 3)
    head, protocol = ENDS[version].header, {"echo": 1 if version == 4 else 58, "udp": 17, "tcp": 6}[method]
    addresses = sent[12:20] if version == 4 else sent[8:40]
    pseudo = addresses + struct.pack("!II", len(sent) - head, protocol)

    covered = sent[head:] if (version, method) == (4, "echo") else pseudo + sent[head:]

    assert ones_sum(covered) == 0xFFFF
    assert version == 6 or ones_sum(sent[:20]) == 0xFFFF


def ones_sum(data: bytes) -> int:
    """The one's complement sum of 16-bit words."""
    total: int = sum(struct.unpack(f"!{(len(data) + 1) // 2}H", data + bytes(len(data) % 2)))
    while total >> 16:
        total = (total & 0xFFFF) + (total >> 16)
    return total


def test_a_syn_without_data_offers_the_largest_mss() -> None:
    """So that the MSS in the reply is the host's own limit, or a clamp."""
    for version in VERSIONS:
        syn = packets(version).build(Probe("tcp", ENDS[version].bare_syn), 3)

        tcp = TCP(syn[ENDS[version].header :])
        assert (str(tcp.flags), tcp.options, tcp.dport, bytes(tcp.payload)) == (
            "S",
            [("MSS", ENDS[version].offered_mss)],
            443,
            b"",
        )


@EACH
@pytest.mark.parametrize("quoted", [8, 20, 23, 24, 64, 1200])
def test_what_a_router_quotes_is_recognised(version: int, method: Method, quoted: int) -> None:
    """By the eight bytes after the IP header that are certain, or more; with the distance that the TTL tells, and of
    a SYN that is quoted with its options, the MSS."""
    sent = packets(version).build(Probe(method, 1300), 42)[: ENDS[version].header + quoted]
    mss = ENDS[version].offered_mss if method == "tcp" and quoted >= 24 else None

    assert heard(version, "expired", sent) == (42, Expired(HOP[version], mss))
    assert heard(version, "too big", sent) == (42, TooBig(HOP[version], 1400, 1))
    assert heard(version, "barred", sent) == (42, Unreachable(HOP[version], "prohibited"))


@pytest.mark.parametrize("version", VERSIONS)
def test_the_mss_of_a_quoted_syn_is_what_it_was_there(version: int) -> None:
    """A router has rewritten it, and taken another option's place or not."""
    head, sent = ENDS[version].header, packets(version).build(Probe("tcp", 1300), 42)
    for options, mss in (([("MSS", 1360)], 1360), ([("NOP", None)] * 4, None), ([("EOL", None), ("MSS", 1)], None)):
        segment = TCP(sent[head:])
        segment.options = options
        assert heard(version, "expired", sent[:head] + bytes(segment)) == (42, Expired(HOP[version], mss))


@pytest.mark.parametrize("version", VERSIONS)
def test_a_closed_port_is_an_answer_of_the_host_alone(version: int) -> None:
    """The same from a router is a refusal."""
    sent = packets(version).build(Probe("udp", 1300), 42)

    assert heard(version, "port", sent, ENDS[version].target) == (42, Reply(61))
    told = heard(version, "port", sent)
    assert told is not None
    assert isinstance(told[1], Unreachable)


@EACH
def test_a_host_that_rejects_has_been_reached(version: int, method: Method) -> None:
    """Whatever its own firewall says of a probe; the same from a router is a refusal."""
    sent = packets(version).build(Probe(method, 1300), 42)

    assert heard(version, "barred", sent, ENDS[version].target) == (42, Reply(61))
    assert heard(version, "barred", sent) == (42, Unreachable(HOP[version], "prohibited"))


@EACH
def test_what_is_quoted_of_others_is_not_ours(version: int, method: Method) -> None:
    """Not of another examination, not to another host, not another protocol, not when it breaks off."""
    sent = packets(version).build(Probe(method, 1300), 42)
    stranger = Packets(ENDS[version], 4799).build(Probe(method, 1300), 42)
    elsewhere = Endpoints(version, ENDS[version].source, HOP[version], 443)  # type: ignore[arg-type]
    protocol = bytes([*sent[:9], 99, *sent[10:]]) if version == 4 else bytes([*sent[:6], 99, *sent[7:]])

    assert heard(version, "too big", stranger) is None
    assert heard(version, "too big", Packets(elsewhere, 4711).build(Probe(method, 1300), 42)) is None
    assert heard(version, "too big", protocol) is None
    assert heard(version, "too big", sent[: ENDS[version].header + 7]) is None


def test_echoes_of_others_are_not_ours() -> None:
    """Not from another host, not to another program's ping."""
    known = packets(4).build(Probe("echo", 100), 5)[24:26]
    number = int.from_bytes(known)
    right = bytes(IP(src="198.51.100.7", dst="192.0.2.1", ttl=61) / ICMP(type=0, id=number, seq=5))
    host = bytes(IP(src="198.51.100.8", dst="192.0.2.1", ttl=61) / ICMP(type=0, id=number, seq=5))
    ping = bytes(IP(src="198.51.100.7", dst="192.0.2.1", ttl=61) / ICMP(type=0, id=number + 1, seq=5))
    six = bytes(ICMPv6EchoReply(id=number, seq=5, cksum=0))

    assert packets(4).read_icmp4(right) == (5, Reply(61))
    assert packets(4).read_icmp4(host) is None
    assert packets(4).read_icmp4(ping) is None
    assert packets(6).read_icmp6(six, ENDS[6].target, 61) == (5, Reply(61))
    assert packets(6).read_icmp6(six, HOP[6], 61) is None


@pytest.mark.parametrize(
    ("flags", "options", "answer"),
    [
        ("SA", [("MSS", 1360), ("NOP", None), ("WScale", 7)], Reply(61, 1360, is_open=True)),
        ("SA", [], Reply(61, None, is_open=True)),
        ("RA", [], Reply(61)),
        ("R", [], Reply(61)),
        ("A", [], None),
        ("S", [("MSS", 1360)], None),
    ],
)
def test_what_a_syn_is_answered_with(flags: str, options: list[tuple[str, int | None]], answer: Reply | None) -> None:
    """A SYN-ACK brings the MSS, a reset tells that the port is closed, and all else is not about us."""
    ours = TCP(packets(4).build(Probe("tcp", 100), 42)[20:])

    back = TCP(bytes(TCP(sport=443, dport=ours.sport, flags=flags, options=options, seq=1, ack=43)))

    assert packets(4).read_tcp(bytes(back), 61) == (None if answer is None else (42, answer))
    assert packets(4).read_tcp(bytes(TCP(sport=80, dport=ours.sport, flags="SA")), 61) is None
    assert packets(4).read_tcp(bytes(TCP(sport=443, dport=40000, flags="SA")), 61) is None


@pytest.mark.parametrize("version", VERSIONS)
def test_messages_that_break_off_are_nothing(version: int) -> None:
    """Whatever a socket hears, cut at any byte, raises nothing."""
    for message in messages(version):
        for end in range(8 if version == 6 else 28, len(message)):
            if version == 4:
                packets(4).read_icmp4(message[:end])
            else:
                packets(6).read_icmp6(message[:end], HOP[6], None)


def messages(version: int) -> Iterator[bytes]:
    """One of each sort."""
    for method in WAYS:
        sent = packets(version).build(Probe(method, 120), 42)
        if version == 4:
            yield icmp4(3, 4, sent, mtu=1400)
            yield icmp4(11, 0, sent)
        else:
            yield struct.pack("!BBHI", 2, 0, 0, 1400) + sent
            yield struct.pack("!BBHI", 129, 0, 0, 1400) + sent


def test_whole_packets_are_read_by_scapy_as_they_were_meant() -> None:
    """Its own reading of what we send: the addresses, the ports, the layers."""
    four = IP(packets(4).build(Probe("udp", 200), 3))
    six = IPv6(packets(6).build(Probe("udp", 200), 3))

    assert (four.src, four.dst, four[UDP].dport) == ("192.0.2.1", "198.51.100.7", 33437)
    assert (six.src, six.dst, six[UDP].dport) == ("2001:db8::1", "2001:db8:ffff::7", 33437)
