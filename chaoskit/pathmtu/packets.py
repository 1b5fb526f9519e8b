"""Probes to bytes and answers from bytes, by scapy. Nothing is sent here.

A probe is known again by its token: in what an echo or a TCP answer repeats, and in what a router quotes of it, of
which eight bytes after the IP header are certain (RFC 792). Ports are those above Linux's ephemeral ones, so that no
connection of this machine is meant. Whatever the host itself says of a probe, be it that nobody listens or that its
firewall rejects it, the probe has reached it.
"""

from __future__ import annotations

import struct
from typing import Any

from scapy.layers.inet import ICMP, IP, TCP, UDP, IPerror
from scapy.layers.inet6 import ICMPv6EchoRequest, IPerror6, IPv6
from scapy.packet import Packet, Raw

from chaoskit.pathmtu.model import FAR, Answer, Barred, Ends, Expired, How, Probe, Reply, TooBig

_SOURCES = range(61000, 65500)  # above net.ipv4.ip_local_port_range
_UDP = 33434  # traceroute's first port; where nobody listens
_PROTOCOLS = {6: "tcp", 17: "udp", 1: "echo", 58: "echo"}
_HEADERS: dict[How, int] = {"echo": 8, "udp": 8, "tcp": 24}  # bytes; of a SYN with an MSS option
_SYN_ACK, _RST = 0x12, 0x04
_UNREACHABLE = {
    4: {0: "network unreachable", 1: "host unreachable", 9: "prohibited", 10: "prohibited", 13: "prohibited"},
    6: {0: "no route", 1: "prohibited", 3: "address unreachable", 5: "prohibited", 6: "rejected"},
}


class Packets:
    """Writes and reads the packets of one examination. `start` tells it from others that run at the same time."""

    def __init__(self, ends: Ends, start: int) -> None:
        self._ends = ends
        self._id = start & 0xFFFF
        self._port = _SOURCES[start % len(_SOURCES)]

    def build(self, probe: Probe, token: int) -> bytes:
        """The whole IP packet: `probe.size` bytes, not to be fragmented."""
        ends, inner = self._ends, self._inner(probe.how, token)
        padding = Raw(bytes(probe.size - ends.header - _HEADERS[probe.how]))
        if ends.version == 4:
            head: Packet = IP(src=ends.source, dst=ends.target, flags="DF", ttl=probe.ttl, id=token + 1)
        else:
            head = IPv6(src=ends.source, dst=ends.target, hlim=probe.ttl)
        return bytes(head / inner / padding)

    def _inner(self, how: How, token: int) -> Packet:
        if how == "udp":
            return UDP(sport=self._port, dport=_UDP + token)
        if how == "tcp":
            options = [("MSS", self._ends.offered_mss)]
            return TCP(sport=self._tcp_port(token), dport=self._ends.port, seq=token, flags="S", options=options)
        if self._ends.version == 4:
            return ICMP(type=8, id=self._id, seq=token)
        return ICMPv6EchoRequest(id=self._id, seq=token)

    def _tcp_port(self, token: int) -> int:
        return _SOURCES[(_SOURCES.index(self._port) + token) % len(_SOURCES)]

    def read_tcp(self, segment: bytes, ttl: int | None) -> tuple[int, Answer] | None:
        """What a TCP segment from the host means; None when it is not about us."""
        tcp = TCP(segment)
        token = self._token_of_port(tcp.dport)
        flags = int(tcp.flags)
        if tcp.sport != self._ends.port or token is None or not (flags & _RST or flags & _SYN_ACK == _SYN_ACK):
            return None
        if flags & _RST:
            return token, Reply(ttl)
        return token, Reply(ttl, _mss(tcp), is_open=True)

    def read_icmp4(self, packet: bytes) -> tuple[int, Answer] | None:
        """What an ICMP message means, IP header and all; None when it is not about us."""
        ip = IP(packet)
        icmp = ip.payload
        if not isinstance(icmp, ICMP):
            return None
        if icmp.type == 0:
            return (icmp.seq, Reply(ip.ttl)) if icmp.id == self._id and ip.src == self._ends.target else None
        quoted = packet[ip.ihl * 4 + 8 :]
        if icmp.type not in (3, 11) or len(quoted) < 28:
            return None
        inner = IPerror(quoted)
        token = self._token(inner.proto, inner.dst, quoted[inner.ihl * 4 :])
        if token is None:
            return None
        match icmp.type, icmp.code:
            case 11, _:
                return token, Expired(ip.src, _quoted_mss(inner.proto, quoted[inner.ihl * 4 :]))
            case 3, 4:
                return token, TooBig(ip.src, struct.unpack_from("!H", packet, ip.ihl * 4 + 6)[0], _index(inner.ttl))
            case 3, _ if ip.src == self._ends.target:
                return token, Reply(ip.ttl)
            case _, code:
                return token, Barred(ip.src, _UNREACHABLE[4].get(code, "unreachable"))

    def read_icmp6(self, message: bytes, sender: str, ttl: int | None) -> tuple[int, Answer] | None:
        """What an ICMPv6 message from `sender` means; None when it is not about us."""
        kind, code = message[0], message[1]
        if kind == 129:
            known, seq = struct.unpack_from("!HH", message, 4)
            return (seq, Reply(ttl)) if known == self._id and sender == self._ends.target else None
        quoted = message[8:]
        if kind not in (1, 2, 3) or len(quoted) < 48:
            return None
        inner = IPerror6(quoted)
        token = self._token(inner.nh, inner.dst, quoted[40:])
        if token is None:
            return None
        match kind, code:
            case 3, _:
                return token, Expired(sender, _quoted_mss(inner.nh, quoted[40:]))
            case 2, _:
                return token, TooBig(sender, struct.unpack_from("!I", message, 4)[0], _index(inner.hlim))
            case 1, _ if sender == self._ends.target:
                return token, Reply(ttl)
            case _:
                return token, Barred(sender, _UNREACHABLE[6].get(code, "unreachable"))

    def _token(self, protocol: int, target: Any, start: bytes) -> int | None:
        """Which probe begins with these eight bytes; None for none of ours."""
        if target != self._ends.target:
            return None
        one, other, rest = struct.unpack_from("!HHI", start)
        match _PROTOCOLS.get(protocol):
            case "udp":
                return other - _UDP if one == self._port else None
            case "tcp":
                token = self._token_of_port(one)
                return token if token == rest and other == self._ends.port else None
            case "echo":
                return rest & 0xFFFF if rest >> 16 == self._id else None
            case _:
                return None

    def _token_of_port(self, port: int) -> int | None:
        return (port - self._port) % len(_SOURCES) if port in _SOURCES else None


def _quoted_mss(protocol: int, quoted: bytes) -> int | None:
    """The MSS of a SYN of which so much is quoted, or None."""
    return _mss(TCP(quoted)) if _PROTOCOLS.get(protocol) == "tcp" and len(quoted) >= _HEADERS["tcp"] else None


def _mss(tcp: TCP) -> int | None:
    return next((value for name, value in tcp.options if name == "MSS"), None)


def _index(left: int) -> int | None:
    """How many hops away a packet was that had this TTL left of ours (see model.FAR); see `hops.locate`."""
    return FAR - left + 1 if 0 < left <= FAR else None
