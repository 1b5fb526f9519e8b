"""Packs and unpacks netlink attributes; see netlink(7)."""

from __future__ import annotations

import struct
from collections.abc import Mapping
from typing import Any

Attributes = dict[int, bytes]


def unpack(data: bytes) -> Attributes:
    """Attributes by type, without the flags in the type field (linux/netlink.h: NLA_TYPE_MASK)."""
    found: Attributes = {}
    while len(data) >= 4:
        length, number = struct.unpack_from("=HH", data)
        found[number & 0x3FFF] = data[4:length]
        data = data[max(length + 3 & ~3, 4) :]
    return found


def pack(attributes: Mapping[int, bytes]) -> bytes:
    """The reverse of `unpack`."""
    packed = (struct.pack("=HH", len(value) + 4, number) + value for number, value in attributes.items())
    return b"".join(each + bytes(-len(each) % 4) for each in packed)


def unnamed(message: Any, number: int) -> int:
    """A 32-bit attribute of a message that pyroute2 has no name for; 0 when it is not there."""
    for slot in message["attrs"]:
        name, cell = slot.cell
        if name == "UNKNOWN":
            found = unpack(bytes(cell.data[cell.offset : cell.offset + cell.length]))
            if len(found.get(number, b"")) == 4:
                return int(struct.unpack("=I", found[number])[0])
    return 0
