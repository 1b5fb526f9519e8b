"""Sends and receives probes over raw sockets, which needs CAP_NET_RAW.

Rules: the sockets set DF and ignore the cached path MTU (IP_PMTUDISC_PROBE, ip(7)), so that the kernel refuses nothing
that the link takes. They receive what this machine's firewall lets in, like the kernel's TCP. They receive TCP from
the host only, and a few ICMP types from every address.
"""

from __future__ import annotations

import errno
import select
import socket
import struct

from chaoskit.clock import Clock
from chaoskit.errors import RefusedError
from chaoskit.pathmtu.packets import Packets
from chaoskit.pathmtu.probes import SECOND, Answer, Endpoints, Method, Probe
from chaoskit.pathmtu.transport import refusal

_MTU_DISCOVER = {4: (socket.IPPROTO_IP, 10), 6: (socket.IPPROTO_IPV6, 23)}  # IP_MTU_DISCOVER, IPV6_MTU_DISCOVER
_PROBE = 3  # IP_PMTUDISC_PROBE
_ICMP_FILTER = 1  # raw(7), also ICMPV6_FILTER
_SOL_RAW = 255
_ICMP_TYPES = {4: (0, 3, 11), 6: (1, 2, 3, 129)}  # echo reply, unreachable, too big, time exceeded
_LONGEST = 65536
_LOST = (errno.ENOBUFS, errno.EHOSTUNREACH, errno.EHOSTDOWN)  # treated as lost on the first link


class RawProbeSocket:
    """A `ProbeSocket`; `start` as in `Packets`. A context manager. Raises PermissionError without CAP_NET_RAW."""

    methods: tuple[Method, ...] = ("echo", "udp", "tcp")

    def __init__(self, endpoints: Endpoints, start: int, clock: Clock) -> None:
        self._endpoints, self._packets, self._clock = endpoints, Packets(endpoints, start), clock
        family, icmp = (
            (socket.AF_INET, socket.IPPROTO_ICMP)
            if endpoints.version == 4
            else (socket.AF_INET6, socket.IPPROTO_ICMPV6)
        )
        self._out = socket.socket(family, socket.SOCK_RAW, socket.IPPROTO_RAW)
        self._icmp = socket.socket(family, socket.SOCK_RAW, icmp)
        self._tcp = socket.socket(family, socket.SOCK_RAW, socket.IPPROTO_TCP)
        self._out.setsockopt(*_MTU_DISCOVER[endpoints.version], _PROBE)
        if endpoints.version == 4:
            received = sum(1 << kind for kind in _ICMP_TYPES[4])
            self._icmp.setsockopt(_SOL_RAW, _ICMP_FILTER, struct.pack("=I", ~received & 0xFFFF_FFFF))
        else:
            words = [0xFFFF_FFFF] * 8
            for kind in _ICMP_TYPES[6]:
                words[kind >> 5] &= ~(1 << (kind & 31))
            self._icmp.setsockopt(socket.IPPROTO_ICMPV6, _ICMP_FILTER, struct.pack("=8I", *words))
            for each in (self._icmp, self._tcp):
                each.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_RECVHOPLIMIT, 1)
        self._tcp.connect((endpoints.target, 0))

    def __enter__(self) -> RawProbeSocket:
        return self

    def __exit__(self, *_: object) -> None:
        for each in (self._out, self._icmp, self._tcp):
            each.close()

    def send(self, probe: Probe, token: int) -> None:
        """As `ProbeSocket.send`."""
        try:
            self._out.sendto(self._packets.build(probe, token), (self._endpoints.target, 0))
        except OSError as error:
            if error.errno not in _LOST:
                raise RefusedError(refusal(self._endpoints.target, error)) from error

    def receive(self, until: int) -> tuple[int, Answer] | None:
        """As `ProbeSocket.receive`."""
        while True:
            left = max(0, until - self._clock.now()) / SECOND
            ready, _, _ = select.select([self._icmp, self._tcp], [], [], left)
            if not ready:
                return None
            for each in ready:
                received = self._read(each)
                if received is not None:
                    return received

    def _read(self, sock: socket.socket) -> tuple[int, Answer] | None:
        try:
            data, extra, _, sender = sock.recvmsg(_LONGEST, 64)
        except OSError:  # an ICMP error about a SYN; the ICMP message itself arrives as well
            return None
        if self._endpoints.version == 4:
            if sock is self._icmp:
                return self._packets.read_icmp4(data)
            return self._packets.read_tcp(data[(data[0] & 15) * 4 :], data[8])
        ttl = next((struct.unpack("=i", value)[0] for _, kind, value in extra if kind == socket.IPV6_HOPLIMIT), None)
        if sock is self._icmp:
            return self._packets.read_icmp6(data, sender[0], ttl)
        return self._packets.read_tcp(data, ttl)
