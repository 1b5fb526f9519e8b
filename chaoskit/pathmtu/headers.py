"""The headers of packets that come from anybody: IP, and TCP's options.

Rules: no byte is read that is not there, and no length is believed that a packet tells of itself; what breaks off
or contradicts itself is None. Sources: RFC 791, RFC 8200, RFC 9293 (3.1 and 3.2).
"""

from __future__ import annotations

import socket
import struct
from dataclasses import dataclass

_MSS = 2


@dataclass(frozen=True, slots=True)
class Ip:
    """An IP header, and what follows it. `ttl` is the hop limit in version 6."""

    protocol: int
    ttl: int
    source: str
    target: str
    payload: bytes


@dataclass(frozen=True, slots=True)
class Tcp:
    """What is looked at of a TCP header. `mss` is None when there is no such option, or it breaks off."""

    source: int
    target: int
    flags: int
    mss: int | None


def ip4(data: bytes) -> Ip | None:
    """A packet of IPv4, or the beginning of one that a router quotes."""
    size = (data[0] & 15) * 4 if data else 0
    if size < 20 or size > len(data):
        return None
    source, target = socket.inet_ntop(socket.AF_INET, data[12:16]), socket.inet_ntop(socket.AF_INET, data[16:20])
    return Ip(data[9], data[8], source, target, data[size:])


def ip6(data: bytes) -> Ip | None:
    """A packet of IPv6 without extension headers, or the beginning of one that a router quotes."""
    if len(data) < 40:
        return None
    source, target = socket.inet_ntop(socket.AF_INET6, data[8:24]), socket.inet_ntop(socket.AF_INET6, data[24:40])
    return Ip(data[6], data[7], source, target, data[40:])


def tcp(data: bytes) -> Tcp | None:
    """A TCP segment."""
    if len(data) < 20:
        return None
    source, target = struct.unpack_from("!HH", data)
    return Tcp(source, target, data[13], _mss(data[20 : (data[12] >> 4) * 4]))


def _mss(options: bytes) -> int | None:
    at = 0
    while at < len(options) and options[at] != 0:  # 0 ends the list
        if options[at] == 1:  # a filler
            at += 1
            continue
        length = options[at + 1] if at + 1 < len(options) else 0
        if length < 2 or at + length > len(options):
            return None
        if options[at] == _MSS and length == 4:
            return int.from_bytes(options[at + 2 : at + 4])
        at += length
    return None
