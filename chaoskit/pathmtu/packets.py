"""Builds probe packets with scapy, and parses untrusted replies with `headers`. Sends nothing.

A reply is matched to its probe by the token: in the fields that an echo or TCP reply repeats, and in the packet that an
ICMP error quotes, of which eight bytes after the IP header are certain (RFC 792). Source ports are above Linux's
ephemeral range, so that no connection of this machine matches. Any reply of the host itself, port unreachable and
firewall rejections included, proves that the probe reached it.
"""

from __future__ import annotations

import struct

from scapy.layers.inet import ICMP, IP, TCP, UDP
from scapy.layers.inet6 import ICMPv6EchoRequest, IPv6
from scapy.packet import Packet, Raw

from chaoskit.pathmtu import headers
from chaoskit.pathmtu.probes import DEFAULT_TTL, Answer, Endpoints, Expired, Method, Probe, Reply, TooBig, Unreachable

_SOURCES = range(61000, 65500)  # above net.ipv4.ip_local_port_range
_UDP = 33434  # traceroute's first port, usually closed
_PROTOCOLS = {6: "tcp", 17: "udp", 1: "echo", 58: "echo"}
_HEADERS: dict[Method, int] = {"echo": 8, "udp": 8, "tcp": 24}  # bytes; of a SYN with an MSS option
_ICMP = 1
_ICMP_HEADER = 8  # bytes
_SYN_ACK, _RST = 0x12, 0x04
_UNREACHABLE = {
    4: {0: "network unreachable", 1: "host unreachable", 9: "prohibited", 10: "prohibited", 13: "prohibited"},
    6: {0: "no route", 1: "prohibited", 3: "address unreachable", 5: "prohibited", 6: "rejected"},
}


class Packets:
    """Builds and parses the packets of one examination. `start` distinguishes it from concurrent ones."""

    def __init__(self, endpoints: Endpoints, start: int) -> None:
        self._endpoints = endpoints
        self._id = start & 0xFFFF
        self._port = _SOURCES[start % len(_SOURCES)]

    def build(self, probe: Probe, token: int) -> bytes:
        """The whole IP packet: `probe.size` bytes, not to be fragmented."""
        endpoints, inner = self._endpoints, self._inner(probe.method, token)
        padding = Raw(bytes(probe.size - endpoints.header - _HEADERS[probe.method]))
        if endpoints.version == 4:
            head: Packet = IP(src=endpoints.source, dst=endpoints.target, flags="DF", ttl=probe.ttl, id=token + 1)
        else:
            head = IPv6(src=endpoints.source, dst=endpoints.target, hlim=probe.ttl)
        return bytes(head / inner / padding)

    def _inner(self, method: Method, token: int) -> Packet:
        if method == "udp":
            return UDP(sport=self._port, dport=_UDP + token)
        if method == "tcp":
            options = [("MSS", self._endpoints.offered_mss)]
            return TCP(sport=self._tcp_port(token), dport=self._endpoints.port, seq=token, flags="S", options=options)
        if self._endpoints.version == 4:
            return ICMP(type=8, id=self._id, seq=token)
        return ICMPv6EchoRequest(id=self._id, seq=token)

    def _tcp_port(self, token: int) -> int:
        return _SOURCES[(_SOURCES.index(self._port) + token) % len(_SOURCES)]

    def read_tcp(self, segment: bytes, ttl: int | None) -> tuple[int, Answer] | None:
        """The reply in a TCP segment from the host; None if it is not for a probe."""
        segment_header = headers.tcp(segment)
        if segment_header is None or segment_header.source != self._endpoints.port:
            return None
        token = self._token_of_port(segment_header.target)
        if token is None or not (segment_header.flags & _RST or segment_header.flags & _SYN_ACK == _SYN_ACK):
            return None
        if segment_header.flags & _RST:
            return token, Reply(ttl)
        return token, Reply(ttl, segment_header.mss, is_open=True)

    def read_icmp4(self, packet: bytes) -> tuple[int, Answer] | None:
        """The reply in an ICMP packet with its IP header; None if it is not for a probe."""
        ip = headers.ip4(packet)
        if ip is None or ip.protocol != _ICMP or len(ip.payload) < _ICMP_HEADER:
            return None
        kind, code, known, last = struct.unpack_from("!BB2xHH", ip.payload)
        if kind == 0:
            return (last, Reply(ip.ttl)) if known == self._id and ip.source == self._endpoints.target else None
        quoted = headers.ip4(ip.payload[_ICMP_HEADER:])
        token = None if kind not in (3, 11) or quoted is None else self._token(quoted)
        if quoted is None or token is None:
            return None
        match kind, code:
            case 11, _:
                return token, Expired(ip.source, _quoted_mss(quoted))
            case 3, 4:
                return token, TooBig(ip.source, last, _index(quoted.ttl))
            case 3, _ if ip.source == self._endpoints.target:
                return token, Reply(ip.ttl)
            case _:
                return token, Unreachable(ip.source, _UNREACHABLE[4].get(code, "unreachable"))

    def read_icmp6(self, message: bytes, sender: str, ttl: int | None) -> tuple[int, Answer] | None:
        """The reply in an ICMPv6 message from `sender`; None if it is not for a probe."""
        if len(message) < _ICMP_HEADER:
            return None
        kind, code, rest = struct.unpack_from("!BB2xI", message)
        if kind == 129:
            return (rest & 0xFFFF, Reply(ttl)) if rest >> 16 == self._id and sender == self._endpoints.target else None
        quoted = headers.ip6(message[_ICMP_HEADER:])
        token = None if kind not in (1, 2, 3) or quoted is None else self._token(quoted)
        if quoted is None or token is None:
            return None
        match kind, code:
            case 3, _:
                return token, Expired(sender, _quoted_mss(quoted))
            case 2, _:
                return token, TooBig(sender, rest, _index(quoted.ttl))
            case 1, _ if sender == self._endpoints.target:
                return token, Reply(ttl)
            case _:
                return token, Unreachable(sender, _UNREACHABLE[6].get(code, "unreachable"))

    def _token(self, quoted: headers.Ip) -> int | None:
        """The token of the quoted probe, from the eight bytes after its IP header; None if it is not a probe."""
        if quoted.target != self._endpoints.target or len(quoted.payload) < 8:
            return None
        one, other, rest = struct.unpack_from("!HHI", quoted.payload)
        match _PROTOCOLS.get(quoted.protocol):
            case "udp":
                return other - _UDP if one == self._port else None
            case "tcp":
                token = self._token_of_port(one)
                return token if token == rest and other == self._endpoints.port else None
            case "echo":
                return rest & 0xFFFF if rest >> 16 == self._id else None
            case _:
                return None

    def _token_of_port(self, port: int) -> int | None:
        return (port - self._port) % len(_SOURCES) if port in _SOURCES else None


def _quoted_mss(quoted: headers.Ip) -> int | None:
    """The MSS of a quoted SYN, or None if it is not quoted."""
    segment_header = headers.tcp(quoted.payload) if _PROTOCOLS.get(quoted.protocol) == "tcp" else None
    return None if segment_header is None else segment_header.mss


def _index(left: int) -> int | None:
    """How many hops away a packet was whose TTL (`DEFAULT_TTL` at first) is `left`; see `hops.locate_router`."""
    return DEFAULT_TTL - left + 1 if 0 < left <= DEFAULT_TTL else None
