"""Opens packet sockets that see every link of a network namespace.

Rules: the namespace is that of the calling thread; a filter (classic BPF) is attached before the socket is bound, so
that no other packet is ever copied; a packet begins with its IP header, whatever the link. See packet(7) and the
kernel's filter.rst.
"""

from __future__ import annotations

import ctypes
import os
import socket
import struct
from collections.abc import Sequence

SOL_PACKET, OUTGOING = 263, 4  # linux/socket.h; linux/if_packet.h
Instruction = tuple[int, int, int, int]
"""Code, how many to jump over when true and when false, operand: `struct sock_filter`."""
_ETH_P_ALL = socket.htons(0x0003)
_SO_ATTACH_FILTER = 26  # asm-generic/socket.h
_ADDRESS = struct.Struct("=HH16x")  # struct sockaddr_ll with link 0, which is all

_libc = ctypes.CDLL(None, use_errno=True)


def packet_socket() -> socket.socket:
    """A packet socket that receives nothing yet. Raises OSError."""
    return socket.socket(socket.AF_PACKET, socket.SOCK_DGRAM | socket.SOCK_NONBLOCK, 0)


def attach_filter(sock: socket.socket, program: Sequence[Instruction]) -> None:
    """Let this socket receive what the program lets through, which returns how many bytes of it. Raises OSError."""
    code = b"".join(struct.pack("=HBBI", *each) for each in program)
    buffer = ctypes.create_string_buffer(code, len(code))
    sock.setsockopt(socket.SOL_SOCKET, _SO_ATTACH_FILTER, struct.pack("@HP", len(program), ctypes.addressof(buffer)))


def bind_to_all_links(sock: socket.socket) -> None:
    """Begin to receive. The socket module binds to one link only. Raises OSError."""
    address = _ADDRESS.pack(socket.AF_PACKET, _ETH_P_ALL)
    if _libc.bind(sock.fileno(), address, len(address)) < 0:
        raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()))
