"""Captures the headers of TCP segments with SYN, FIN or RST that a network namespace receives.

Rules: the namespace is that of the calling thread; the kernel filters (classic BPF, attached before the socket is
bound), so that a token costs no copy and no system call; what the namespace itself sends is not seen; a packet is seen
before tc's ingress and netfilter, where it comes in, whatever a fault does with it; only headers are copied. Stamps are
the kernel's, see packet(7) and socket(7).
"""

from __future__ import annotations

import errno
import socket
import struct
from collections.abc import Iterator
from ipaddress import IPv4Address, IPv6Address
from typing import NamedTuple

from chaoskit.errors import RefusedError
from chaoskit.kernel.packet_socket import (
    SOL_PACKET,
    Instruction,
    attach_filter,
    bind_to_all_links,
    packet_socket,
)

FIN, SYN, RST, ACK = 0x01, 0x02, 0x04, 0x10  # RFC 9293, section 3.1
_PACKET_STATISTICS, _PACKET_IGNORE_OUTGOING = 6, 23  # linux/if_packet.h
_SO_TIMESTAMPNS = 35  # asm-generic/socket.h; also the control message's type
_TIMESPEC = struct.Struct("@qq")
_ANCILLARY = socket.CMSG_SPACE(_TIMESPEC.size)
_BUFFER = 4 << 20  # bytes; the kernel gives what net.core.rmem_max allows
_TCP = 6
_V6_HEADER, _FLAGS_AT = 40, 13  # bytes; the second in the header of TCP
_PORTS = struct.Struct("!HH")
_HEADERS = 80  # bytes: IPv4 with all its options, and TCP

_LOAD_BYTE, _LOAD_HALF, _LOAD_V4_LENGTH, _LOAD_BEHIND = 0x30, 0x28, 0xB1, 0x50  # linux/bpf_common.h
_AND, _IF_EQUAL, _IF_ANY_BIT, _RETURN = 0x54, 0x15, 0x45, 0x06
_WANTED = FIN | SYN | RST
FILTER: tuple[Instruction, ...] = (
    (_LOAD_BYTE, 0, 0, 0),
    (_AND, 0, 0, 0xF0),
    (_IF_EQUAL, 0, 7, 0x40),  # IPv4
    (_LOAD_BYTE, 0, 0, 9),
    (_IF_EQUAL, 0, 11, _TCP),
    (_LOAD_HALF, 0, 0, 6),
    (_IF_ANY_BIT, 9, 0, 0x1FFF),  # a later fragment, without a header of TCP
    (_LOAD_V4_LENGTH, 0, 0, 0),
    (_LOAD_BEHIND, 0, 0, _FLAGS_AT),
    (_IF_ANY_BIT, 5, 6, _WANTED),
    (_IF_EQUAL, 0, 5, 0x60),  # IPv6, without extension headers
    (_LOAD_BYTE, 0, 0, 6),
    (_IF_EQUAL, 0, 3, _TCP),
    (_LOAD_BYTE, 0, 0, _V6_HEADER + _FLAGS_AT),
    (_IF_ANY_BIT, 0, 1, _WANTED),
    (_RETURN, 0, 0, _HEADERS),
    (_RETURN, 0, 0, 0),
)


class Segment(NamedTuple):
    """Who sent which flags to whom."""

    source: str
    source_port: int
    destination: str
    destination_port: int
    flags: int


class Captured(NamedTuple):
    """A segment, the interface that received it, and when, in ns of the real-time clock."""

    at: int
    link: str
    segment: Segment


class SegmentCapture:
    """The socket that captures. Raises RefusedError where the kernel or its privileges do not allow one."""

    def __init__(self) -> None:
        try:
            self._socket = packet_socket()
        except OSError as error:
            raise _refusal(error) from error
        try:
            attach_filter(self._socket, FILTER)
            self._socket.setsockopt(socket.SOL_SOCKET, _SO_TIMESTAMPNS, 1)
            self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, _BUFFER)
            self._socket.setsockopt(SOL_PACKET, _PACKET_IGNORE_OUTGOING, 1)
            bind_to_all_links(self._socket)
        except OSError as error:
            self._socket.close()
            raise _refusal(error) from error

    def fileno(self) -> int:
        """The socket's file descriptor, to wait for segments."""
        return self._socket.fileno()

    def read(self, most: int) -> Iterator[Captured]:
        """The segments that wait, `most` of them at the most. The kernel drops, and counts, what finds no room."""
        for _ in range(most):
            try:
                data, ancillary, _, sender = self._socket.recvmsg(_HEADERS, _ANCILLARY)
            except (BlockingIOError, InterruptedError):
                return
            except OSError as error:
                if error.errno == errno.ENETDOWN:  # a link was set down, which a packet socket says once
                    continue
                raise _refusal(error) from error
            segment = decode(data)
            if segment is not None:
                yield Captured(_stamp(ancillary), sender[0], segment)

    def statistics(self) -> tuple[int, int]:
        """How many segments there were since the last call, and how many of them the kernel had to drop."""
        count, dropped = struct.unpack("=II", self._socket.getsockopt(SOL_PACKET, _PACKET_STATISTICS, 8))
        return count, dropped

    def close(self) -> None:
        """Capture no more."""
        self._socket.close()


def decode(packet: bytes) -> Segment | None:
    """The segment in a packet that the filter let through, which may be cut off; None for anything else."""
    if len(packet) >= _V6_HEADER and packet[0] >> 4 == 6 and packet[6] == _TCP:
        header = _V6_HEADER
        source, destination = str(IPv6Address(packet[8:24])), str(IPv6Address(packet[24:40]))
    elif len(packet) >= 20 and packet[0] >> 4 == 4 and packet[9] == _TCP:
        header = (packet[0] & 15) * 4
        source, destination = str(IPv4Address(packet[12:16])), str(IPv4Address(packet[16:20]))
    else:
        return None
    if len(packet) <= header + _FLAGS_AT:
        return None
    ports = _PORTS.unpack_from(packet, header)
    return Segment(source, ports[0], destination, ports[1], packet[header + _FLAGS_AT])


def _stamp(ancillary: list[tuple[int, int, bytes]]) -> int:
    for level, kind, data in ancillary:
        if kind == _SO_TIMESTAMPNS and level == socket.SOL_SOCKET:
            seconds, rest = _TIMESPEC.unpack_from(data)
            return int(seconds) * 1_000_000_000 + int(rest)
    return 0


def _refusal(error: OSError) -> RefusedError:
    return RefusedError(f"the ends of connections cannot be captured here: {error.strerror}")
