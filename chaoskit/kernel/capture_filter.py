"""Compiles which connections are captured, and how much of each packet, to a classic BPF program.

Rules: a packet passes when one end is one of the endpoints, with its address and its port; of it the headers of IP and
TCP are kept to the last byte, and nothing after them: no byte of what a connection carries leaves the kernel. On the
loopback link each packet is seen once. A later IPv4 fragment has no TCP header, and does not pass; nor does IPv6 with
extension headers.

Every jump is forwards, and short: the clause of an endpoint ends where that of the next one begins.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from ipaddress import IPv4Address, ip_address

from chaoskit.kernel.packet_socket import OUTGOING, Instruction

MOST_ENDPOINTS = 32
"""Of many more, the program takes more memory than a socket may have (net.core.optmem_max, 20 KiB in older kernels)."""
_LOAD_WORD, _LOAD_HALF, _LOAD_BYTE = 0x20, 0x28, 0x30  # linux/bpf_common.h, absolute
_LOAD_HALF_BEHIND, _LOAD_BYTE_BEHIND, _LOAD_V4_LENGTH, _LOAD_X = 0x48, 0x50, 0xB1, 0x01
_AND, _SHIFT_RIGHT, _ADD_X, _IF_EQUAL, _IF_ANY_BIT, _JUMP = 0x54, 0x74, 0x0C, 0x15, 0x45, 0x05
_RETURN, _RETURN_A = 0x06, 0x16
_PACKET_TYPE, _LINK = 0xFFFFF004, 0xFFFFF008  # SKF_AD_OFF + SKF_AD_PKTTYPE and SKF_AD_IFINDEX, linux/filter.h
_LOOPBACK = 1  # its index in every namespace
_TCP, _V6_HEADER = 6, 40
_DATA_OFFSET = 12  # byte of TCP's header whose upper half has its length in words
_NOTHING: Instruction = (_RETURN, 0, 0, 0)
Endpoint = tuple[str, int]
"""An address and a port."""


def capture_filter(endpoints: Sequence[Endpoint]) -> tuple[Instruction, ...]:
    """The program for these endpoints, MOST_ENDPOINTS of them at the most."""
    return (*_ONCE, *connection_filter(endpoints))


def connection_filter(endpoints: Sequence[Endpoint]) -> tuple[Instruction, ...]:
    """The same, which looks at the packet alone: twice on the loopback link."""
    unique = dict.fromkeys((ip_address(address), port) for address, port in endpoints)
    version_4 = [(int(address), port) for address, port in unique if isinstance(address, IPv4Address)]
    version_6 = [(int(address), port) for address, port in unique if not isinstance(address, IPv4Address)]
    four = (*_V4_HEAD, *(each for end in version_4 for each in _v4_clause(*end)), _NOTHING)
    six = (*_V6_HEAD, *(each for end in version_6 for each in _v6_clause(*end)), _NOTHING)
    return (*_is_version(4, len(four)), *four, *_is_version(6, len(six)), *six, _NOTHING)


_ONCE: tuple[Instruction, ...] = (
    (_LOAD_WORD, 0, 0, _LINK),
    (_IF_EQUAL, 0, 3, _LOOPBACK),
    (_LOAD_BYTE, 0, 0, _PACKET_TYPE),
    (_IF_EQUAL, 0, 1, OUTGOING),
    _NOTHING,
)
_V4_HEAD: tuple[Instruction, ...] = (
    (_LOAD_BYTE, 0, 0, 9),
    (_IF_EQUAL, 1, 0, _TCP),
    _NOTHING,
    (_LOAD_HALF, 0, 0, 6),
    (_IF_ANY_BIT, 0, 1, 0x1FFF),
    _NOTHING,
    (_LOAD_V4_LENGTH, 0, 0, 0),
)
_V6_HEAD: tuple[Instruction, ...] = (
    (_LOAD_BYTE, 0, 0, 6),
    (_IF_EQUAL, 1, 0, _TCP),
    _NOTHING,
    (_LOAD_X, 0, 0, _V6_HEADER),
)
_HEADERS: tuple[Instruction, ...] = (  # X + four times the words of TCP's header
    (_LOAD_BYTE_BEHIND, 0, 0, _DATA_OFFSET),
    (_AND, 0, 0, 0xF0),
    (_SHIFT_RIGHT, 0, 0, 2),
    (_ADD_X, 0, 0, 0),
    (_RETURN_A, 0, 0, 0),
)


def _is_version(version: int, length: int) -> tuple[Instruction, ...]:
    """Jumps over the next `length` instructions where the packet has another version of IP."""
    return (
        (_LOAD_BYTE, 0, 0, 0),
        (_AND, 0, 0, 0xF0),
        (_IF_EQUAL, 1, 0, version << 4),
        (_JUMP, 0, 0, length),
    )


def _v4_clause(address: int, port: int) -> Iterable[Instruction]:
    return (*_end([(12, address)], 0, port), *_end([(16, address)], 2, port))


def _v6_clause(address: int, port: int) -> Iterable[Instruction]:
    words = [(address >> shift) & 0xFFFFFFFF for shift in (96, 64, 32, 0)]
    source, destination = ([(start + 4 * place, word) for place, word in enumerate(words)] for start in (8, 24))
    return (*_end(source, 0, port), *_end(destination, 2, port))


def _end(words: Sequence[tuple[int, int]], port_at: int, port: int) -> Iterable[Instruction]:
    """Returns the headers where these words and this port are there; else goes on behind itself."""
    left = 2 * len(words) + 2 + len(_HEADERS)
    for at, word in words:
        left -= 2
        yield (_LOAD_WORD, 0, 0, at)
        yield (_IF_EQUAL, 0, left, word)
    yield (_LOAD_HALF_BEHIND, 0, 0, port_at)
    yield (_IF_EQUAL, 0, len(_HEADERS), port)
    yield from _HEADERS
