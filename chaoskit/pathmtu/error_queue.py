"""Sends probes without privileges: UDP, and pings where allowed; reads ICMP from socket error queues.

The kernel puts the ICMP errors about a datagram into its socket's error queue (IP_RECVERR, ip(7)), with their sender;
so sizes, hops and signals are found without root. SYNs cannot be sent: `chaoskit.pathmtu.long_body` finds the MSS that
the host offers, if it can.
"""

from __future__ import annotations

import select
import socket
import struct
from contextlib import suppress
from dataclasses import dataclass

from chaoskit.clock import Clock
from chaoskit.errors import RefusedError
from chaoskit.pathmtu.probes import SECOND, Answer, Endpoints, Expired, Method, Probe, Reply, TooBig, Unreachable
from chaoskit.pathmtu.transport import refusal

_PROBE = 3  # IP_PMTUDISC_PROBE: sets DF, ignores the cached path MTU
_ERRQUEUE = 0x2000  # MSG_ERRQUEUE
_UDP = 33434  # traceroute's first port
_LONGEST = 65536
_SEND_ATTEMPTS = 3  # a send may fail with the error of an earlier packet
_EXTENDED = struct.Struct("=IBBBxII")  # linux/errqueue.h: sock_extended_err; the sender's address follows
_ORIGIN_ICMP = (2, 3)  # SO_EE_ORIGIN_ICMP, SO_EE_ORIGIN_ICMP6


@dataclass(frozen=True)
class _Constants:
    """Constants of one IP version."""

    family: socket.AddressFamily
    icmp: int
    level: int
    discover: int
    errors: int
    ttl: int
    recv_ttl: int
    echo: int
    too_big: tuple[int, int]  # type and code
    expired: int
    unreachable: int


_IP = {
    4: _Constants(
        family=socket.AF_INET,
        icmp=socket.IPPROTO_ICMP,
        level=socket.IPPROTO_IP,
        discover=10,  # IP_MTU_DISCOVER
        errors=11,  # IP_RECVERR
        ttl=socket.IP_TTL,
        recv_ttl=12,  # IP_RECVTTL
        echo=8,
        too_big=(3, 4),
        expired=11,
        unreachable=3,
    ),
    6: _Constants(
        family=socket.AF_INET6,
        icmp=socket.IPPROTO_ICMPV6,
        level=socket.IPPROTO_IPV6,
        discover=23,  # IPV6_MTU_DISCOVER
        errors=25,  # IPV6_RECVERR
        ttl=socket.IPV6_UNICAST_HOPS,
        recv_ttl=socket.IPV6_RECVHOPLIMIT,
        echo=128,
        too_big=(2, 0),
        expired=3,
        unreachable=1,
    ),
}


class ErrorQueueSocket:
    """A `ProbeSocket`. Use as a context manager."""

    def __init__(self, endpoints: Endpoints, clock: Clock) -> None:
        self._endpoints, self._clock, self._ip = endpoints, clock, _IP[endpoints.version]
        self._socks: dict[Method, socket.socket] = {"udp": socket.socket(self._ip.family, socket.SOCK_DGRAM)}
        with suppress(PermissionError):  # net.ipv4.ping_group_range, icmp(7): not every user may ping
            self._socks["echo"] = socket.socket(self._ip.family, socket.SOCK_DGRAM, self._ip.icmp)
        for each in self._socks.values():
            each.setsockopt(self._ip.level, self._ip.discover, _PROBE)
            each.setsockopt(self._ip.level, self._ip.errors, 1)
            each.setsockopt(self._ip.level, self._ip.recv_ttl, 1)
            each.setblocking(False)
        self.methods: tuple[Method, ...] = tuple(self._socks)

    def __enter__(self) -> ErrorQueueSocket:
        return self

    def __exit__(self, *_: object) -> None:
        for each in self._socks.values():
            each.close()

    def send(self, probe: Probe, token: int) -> None:
        """As `ProbeSocket.send`."""
        sock = self._socks[probe.method]
        padding = bytes(probe.size - self._endpoints.header - 8)
        head = struct.pack("!BBHHH", self._ip.echo, 0, 0, 0, token) if probe.method == "echo" else b""
        sock.setsockopt(self._ip.level, self._ip.ttl, probe.ttl)
        address = (self._endpoints.target, _UDP + token if probe.method == "udp" else 0)
        for _ in range(_SEND_ATTEMPTS - 1):
            with suppress(OSError):
                sock.sendto(head + padding, address)
                return
        try:
            sock.sendto(head + padding, address)
        except OSError as error:
            raise RefusedError(refusal(self._endpoints.target, error)) from error

    def receive(self, until: int) -> tuple[int, Answer] | None:
        """As `ProbeSocket.receive`."""
        while True:
            for method, sock in self._socks.items():
                received = self._read_error(method, sock) or self._read_reply(method, sock)
                if received is not None:
                    return received
            left = until - self._clock.now()
            if left <= 0:
                return None
            select.select(list(self._socks.values()), [], [], left / SECOND)

    def _read_error(self, method: Method, sock: socket.socket) -> tuple[int, Answer] | None:
        """The next entry of the error queue."""
        try:
            data, extra, _, address = sock.recvmsg(_LONGEST, 512, _ERRQUEUE)
        except OSError:
            return None
        error = [value for level, kind, value in extra if (level, kind) == (self._ip.level, self._ip.errors)]
        if not error or (method == "echo" and len(data) < 8):
            return None
        token = address[1] - _UDP if method == "udp" else struct.unpack_from("!H", data, 6)[0]
        answer = self._answer(error[0])
        return None if answer is None else (token, answer)

    def _answer(self, error: bytes) -> Answer | None:
        _, origin, kind, code, info, _ = _EXTENDED.unpack_from(error)
        if origin not in _ORIGIN_ICMP:
            return None
        hop = self._router_address(error[_EXTENDED.size :])
        if (kind, code) == self._ip.too_big:
            return TooBig(hop, info)
        if kind == self._ip.expired:
            return Expired(hop)
        if kind == self._ip.unreachable and hop == self._endpoints.target:
            return Reply()
        return Unreachable(hop, "unreachable or prohibited")

    def _router_address(self, address: bytes) -> str:
        """The address in a sockaddr_in or sockaddr_in6."""
        if self._endpoints.version == 4:
            return socket.inet_ntop(socket.AF_INET, address[4:8])
        return socket.inet_ntop(socket.AF_INET6, address[8:24])

    def _read_reply(self, method: Method, sock: socket.socket) -> tuple[int, Answer] | None:
        """A reply of the host itself: an echo, or a datagram if something listens on that port."""
        try:
            data, extra, _, address = sock.recvmsg(_LONGEST, 64)
        except OSError:
            return None
        if address[0] != self._endpoints.target:
            return None
        if method == "udp":
            return address[1] - _UDP, Reply()
        ttl = next((struct.unpack("=i", value)[0] for level, _, value in extra if level == self._ip.level), None)
        return struct.unpack_from("!H", data, 6)[0], Reply(ttl)
