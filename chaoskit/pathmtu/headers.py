"""Parses IP headers and TCP options of untrusted packets.

Rules: nothing is read beyond the end, and no length field is trusted; a truncated or inconsistent header is None.
Sources: RFC 791, RFC 8200, RFC 9293 (3.1 and 3.2).
"""

from __future__ import annotations

import socket
import struct
from dataclasses import dataclass

_MSS = 2


@dataclass(frozen=True, slots=True)
class Ip:
    """An IP header and its payload. `ttl` is the hop limit in version 6."""

    protocol: int
    ttl: int
    source: str
    target: str
    payload: bytes


@dataclass(frozen=True, slots=True)
class Tcp:
    """The used fields of a TCP header. `mss` is None if the option is missing or truncated."""

    source: int
    target: int
    flags: int
    mss: int | None


def ip4(data: bytes) -> Ip | None:
    """An IPv4 packet, or the beginning of one that an ICMP error quotes."""
    size = (data[0] & 15) * 4 if data else 0
    if size < 20 or size > len(data):
        return None
    source, target = socket.inet_ntop(socket.AF_INET, data[12:16]), socket.inet_ntop(socket.AF_INET, data[16:20])
    return Ip(data[9], data[8], source, target, data[size:])


def ip6(data: bytes) -> Ip | None:
    """An IPv6 packet without extension headers, or the beginning of one that an ICMP error quotes."""
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
        if options[at] == 1:  # no-operation
            at += 1
            continue
        length = options[at + 1] if at + 1 < len(options) else 0
        if length < 2 or at + length > len(options):
            return None
        if options[at] == _MSS and length == 4:
            return int.from_bytes(options[at + 2 : at + 4])
        at += length
    return None
