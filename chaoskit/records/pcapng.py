"""Writes the headers of a run's packets, for Wireshark, tshark, scapy and our own analysis.

Rules (draft-ietf-opsawg-pcapng): integers are little-endian; an interface per link, of raw IP packets, with stamps in
ns; a packet's original length is that of the whole packet, its bytes the headers; what the capture dropped so far is in
the interface statistics of the first interface, the last of which counts; a block is written whole, and a kill may tear
the last one.

Stamps are those of the monotonic clock, to which the real time minus the monotonic clock at the start is added: a clock
that is set during the capture changes none. That difference is in the section's comment, see `CLOCK`.
"""

from __future__ import annotations

import struct
from collections.abc import Iterable

CAPTURE = "capture.pcapng"
_AT_ROUTER = "capture-{}.pcapng"
CLOCK = "stamps minus the monotonic clock, ns: "
"""The section's comment, before the number."""
SECTION, INTERFACE, STATISTICS, PACKET = 0x0A0D0D0A, 1, 5, 6
BYTE_ORDER = 0x1A2B3C4D
ETHERNET, RAW = 1, 101
"""Types of links: frames; packets that begin with IP."""
COMMENT, NAME, RESOLUTION, FLAGS = 1, 2, 9, 2
"""Options: of any block; of an interface, its name and its clock's resolution; of a packet."""
RECEIVED, DROPPED = 4, 5
"""Options of interface statistics: packets since the start, those that found no room."""
IN, OUT = 1, 2
"""Flags of a packet: who sent it."""
_NANOSECONDS = b"\x09"  # 10 to the power of -9
_LONGEST = 262_144  # bytes of a packet that would be kept; here the filter decides
_HEAD, _TAIL = struct.Struct("<II"), struct.Struct("<I")
_LOW = 0xFFFFFFFF
_LAYOUTS: dict[int, struct.Struct] = {}
"""By the bytes kept of a packet: type, length, interface, upper and lower half of the stamp, bytes kept, original
length, the bytes, the option of flags, the end of options, length."""
_PADDING = (b"", b"\0\0\0", b"\0\0", b"\0")


PacketHeaders = tuple[int, int, bool, int, bytes]
"""What is written of a packet: when, ns, as the file's stamps are; its interface, from 0; whether it is outgoing; its
length; its headers."""


def capture_name(router: str = "") -> str:
    """The file of what passed this router of a lab; without one, of what the client sent and received."""
    return _AT_ROUTER.format(router) if router else CAPTURE


def section(program: str, clock_offset: int) -> bytes:
    """The first block of a file."""
    options = _option(COMMENT, f"{CLOCK}{clock_offset}".encode()) + _option(4, program.encode()) + _option(0, b"")
    return _block(SECTION, struct.pack("<IHHq", BYTE_ORDER, 1, 0, -1) + options)


def interface(name: str) -> bytes:
    """The block of a link. Those of packets name it by its place among these."""
    options = _option(NAME, name.encode()) + _option(RESOLUTION, _NANOSECONDS) + _option(0, b"")
    return _block(INTERFACE, struct.pack("<HHI", RAW, 0, _LONGEST) + options)


def packets(found: Iterable[PacketHeaders]) -> bytes:
    """The blocks of these packets."""
    blocks: list[bytes] = []
    add, layouts = blocks.append, _LAYOUTS
    for at, link, is_outgoing, length, headers in found:
        kept = len(headers)
        if kept not in layouts:
            layouts[kept] = struct.Struct(f"<7I{kept}s{-kept % 4}xHHIII")
        layout = layouts[kept]
        size, way = layout.size, OUT if is_outgoing else IN
        add(layout.pack(PACKET, size, link, at >> 32, at & _LOW, kept, length, headers, FLAGS, 4, way, 0, size))
    return b"".join(blocks)


def statistics(at: int, received: int, dropped: int) -> bytes:
    """The block of what was captured until then, on all links together."""
    counts = _option(RECEIVED, struct.pack("<Q", received)) + _option(DROPPED, struct.pack("<Q", dropped))
    return _block(STATISTICS, struct.pack("<III", 0, at >> 32, at & 0xFFFFFFFF) + counts + _option(0, b""))


def _block(kind: int, body: bytes) -> bytes:
    size = _HEAD.size + len(body) + _TAIL.size
    return _HEAD.pack(kind, size) + body + _TAIL.pack(size)


def _option(code: int, value: bytes) -> bytes:
    return struct.pack("<HH", code, len(value)) + value + _PADDING[len(value) & 3]
