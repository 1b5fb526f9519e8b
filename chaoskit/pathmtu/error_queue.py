"""Probes without any right: datagrams, and echoes where the kernel lets everybody ping, by the sockets' error queues.

The kernel writes what routers say about a datagram into its socket's error queue (IP_RECVERR, ip(7)), with who said
it; so sizes, hops and signals can be had without root. Not so a SYN: what MSS the host offers is for
`chaoskit.pathmtu.long_body` to tell, as far as it can.
"""

from __future__ import annotations

import select
import socket
import struct
from contextlib import suppress
from dataclasses import dataclass

from chaoskit.clock import Clock
from chaoskit.errors import RefusedError
from chaoskit.pathmtu.probes import SECOND, Answer, Barred, Ends, Expired, How, Probe, Reply, TooBig
from chaoskit.pathmtu.transport import refusal

_PROBE = 3  # IP_PMTUDISC_PROBE: forbids fragmentation, heeds no cached path MTU
_ERRQUEUE = 0x2000  # MSG_ERRQUEUE
_UDP = 33434  # traceroute's first port
_LONGEST = 65536
_TRIES = 3  # a socket first reports what became of earlier packets, instead of sending
_EXTENDED = struct.Struct("=IBBBxII")  # linux/errqueue.h: sock_extended_err; after it the offender's address
_BY_ROUTER = (2, 3)  # SO_EE_ORIGIN_ICMP, SO_EE_ORIGIN_ICMP6


@dataclass(frozen=True)
class _Numbers:
    """What one IP version calls it."""

    family: socket.AddressFamily
    icmp: int
    level: int
    discover: int
    errors: int
    ttl: int
    hear_ttl: int
    echo: int
    too_big: tuple[int, int]  # type and code
    expired: int
    unreachable: int


_IP = {
    4: _Numbers(
        family=socket.AF_INET,
        icmp=socket.IPPROTO_ICMP,
        level=socket.IPPROTO_IP,
        discover=10,  # IP_MTU_DISCOVER
        errors=11,  # IP_RECVERR
        ttl=socket.IP_TTL,
        hear_ttl=12,  # IP_RECVTTL
        echo=8,
        too_big=(3, 4),
        expired=11,
        unreachable=3,
    ),
    6: _Numbers(
        family=socket.AF_INET6,
        icmp=socket.IPPROTO_ICMPV6,
        level=socket.IPPROTO_IPV6,
        discover=23,  # IPV6_MTU_DISCOVER
        errors=25,  # IPV6_RECVERR
        ttl=socket.IPV6_UNICAST_HOPS,
        hear_ttl=socket.IPV6_RECVHOPLIMIT,
        echo=128,
        too_big=(2, 0),
        expired=3,
        unreachable=1,
    ),
}


class ErrorQueueWire:
    """A `Wire`. Use as a context manager."""

    def __init__(self, ends: Ends, clock: Clock) -> None:
        self._ends, self._clock, self._ip = ends, clock, _IP[ends.version]
        self._socks: dict[How, socket.socket] = {"udp": socket.socket(self._ip.family, socket.SOCK_DGRAM)}
        with suppress(PermissionError):  # net.ipv4.ping_group_range, icmp(7): not for everybody everywhere
            self._socks["echo"] = socket.socket(self._ip.family, socket.SOCK_DGRAM, self._ip.icmp)
        for each in self._socks.values():
            each.setsockopt(self._ip.level, self._ip.discover, _PROBE)
            each.setsockopt(self._ip.level, self._ip.errors, 1)
            each.setsockopt(self._ip.level, self._ip.hear_ttl, 1)
            each.setblocking(False)
        self.ways: tuple[How, ...] = tuple(self._socks)

    def __enter__(self) -> ErrorQueueWire:
        return self

    def __exit__(self, *_: object) -> None:
        for each in self._socks.values():
            each.close()

    def send(self, probe: Probe, token: int) -> None:
        """As `Wire.send`."""
        sock = self._socks[probe.how]
        padding = bytes(probe.size - self._ends.header - 8)
        head = struct.pack("!BBHHH", self._ip.echo, 0, 0, 0, token) if probe.how == "echo" else b""
        sock.setsockopt(self._ip.level, self._ip.ttl, probe.ttl)
        place = (self._ends.target, _UDP + token if probe.how == "udp" else 0)
        for _ in range(_TRIES - 1):
            with suppress(OSError):
                sock.sendto(head + padding, place)
                return
        try:
            sock.sendto(head + padding, place)
        except OSError as error:
            raise RefusedError(refusal(self._ends.target, error)) from error

    def receive(self, until: int) -> tuple[int, Answer] | None:
        """As `Wire.receive`."""
        while True:
            for how, sock in self._socks.items():
                heard = self._told(how, sock) or self._answered(how, sock)
                if heard is not None:
                    return heard
            left = until - self._clock.now()
            if left <= 0:
                return None
            select.select(list(self._socks.values()), [], [], left / SECOND)

    def _told(self, how: How, sock: socket.socket) -> tuple[int, Answer] | None:
        """What the error queue says next."""
        try:
            data, extra, _, place = sock.recvmsg(_LONGEST, 512, _ERRQUEUE)
        except OSError:
            return None
        told = [value for level, kind, value in extra if (level, kind) == (self._ip.level, self._ip.errors)]
        if not told or (how == "echo" and len(data) < 8):
            return None
        token = place[1] - _UDP if how == "udp" else struct.unpack_from("!H", data, 6)[0]
        answer = self._answer(told[0])
        return None if answer is None else (token, answer)

    def _answer(self, told: bytes) -> Answer | None:
        _, origin, kind, code, info, _ = _EXTENDED.unpack_from(told)
        if origin not in _BY_ROUTER:
            return None
        hop = self._offender(told[_EXTENDED.size :])
        if (kind, code) == self._ip.too_big:
            return TooBig(hop, info)
        if kind == self._ip.expired:
            return Expired(hop)
        if kind == self._ip.unreachable and hop == self._ends.target:
            return Reply()
        return Barred(hop, "unreachable or prohibited")

    def _offender(self, place: bytes) -> str:
        """The address in a sockaddr_in or a sockaddr_in6."""
        if self._ends.version == 4:
            return socket.inet_ntop(socket.AF_INET, place[4:8])
        return socket.inet_ntop(socket.AF_INET6, place[8:24])

    def _answered(self, how: How, sock: socket.socket) -> tuple[int, Answer] | None:
        """An answer of the host's own: an echo, or a datagram of whoever listens there after all."""
        try:
            data, extra, _, place = sock.recvmsg(_LONGEST, 64)
        except OSError:
            return None
        if place[0] != self._ends.target:
            return None
        if how == "udp":
            return place[1] - _UDP, Reply()
        ttl = next((struct.unpack("=i", value)[0] for level, _, value in extra if level == self._ip.level), None)
        return struct.unpack_from("!H", data, 6)[0], Reply(ttl)
