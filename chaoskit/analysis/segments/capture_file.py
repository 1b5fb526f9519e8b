"""Reads the blocks of `capture.pcapng`, which a kill may have torn and anybody may have changed.

Rules (draft-ietf-opsawg-pcapng): whatever is in the file, reading ends; a block that cannot be one ends it, and is
told; blocks and packets of unknown kinds are counted and left out; links carry raw IP packets or Ethernet frames.
"""

from __future__ import annotations

import os
import struct
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from chaoskit.records import pcapng
from chaoskit.records.untrusted_files import open_regular

_HEAD = struct.Struct("<II")
_SHORTEST, _PACKET_HEAD, _LINK_HEAD = 12, 32, 16  # bytes of a block; the latter two with its length at the end
_LARGEST = 1 << 31  # bytes of a file that is read
_MOST_LINKS = 4096
_ALIGNED = 3
_NANOSECONDS = 9
_LONGEST_NAME = 64  # bytes
_FRAME_HEAD = 14  # bytes of Ethernet
_CLOCK = pcapng.CLOCK.encode()


@dataclass(eq=False)
class CaptureFile:
    """The bytes of a capture, and where its packets are.

    `begins` has the place of each packet's IP header, `kept` how many bytes of it there are, `at` its stamp in ns of
    the monotonic clock, `is_outgoing` whether this machine sent it, and `numbers` its number in the file, from 1.
    `links` has the place in `names` of the link that it passed.
    """

    data: NDArray[np.uint8]
    begins: NDArray[np.int64]
    kept: NDArray[np.int64]
    at: NDArray[np.int64]
    is_outgoing: NDArray[np.bool_]
    numbers: NDArray[np.int64]
    links: NDArray[np.int64]
    names: tuple[str, ...] = ()
    received: int = 0
    dropped: int = 0
    left_out: int = 0
    is_torn: bool = False


@dataclass
class _Blocks:
    """What a walk through the blocks found; of packets the places of their blocks, and 14 for each on Ethernet."""

    packets: list[int] = field(default_factory=list)
    heads: list[int] = field(default_factory=list)
    numbers: list[int] = field(default_factory=list)
    links: list[int] = field(default_factory=list)
    names: list[str] = field(default_factory=list)
    passed: list[int] = field(default_factory=list)
    clock: int = 0
    received: int = 0
    dropped: int = 0
    left_out: int = 0
    is_torn: bool = False


def read_capture(path: Path) -> CaptureFile | None:
    """The packets of a capture; None where there is no such file. Raises SpecError for what is no regular file."""
    file = open_regular(path)
    if file is None:
        return None
    with file:
        size = os.fstat(file.fileno()).st_size
        raw = file.read(min(size, _LARGEST))
    found = _walk(raw)
    found.is_torn |= size > _LARGEST
    return _packets(raw, found)


def _walk(raw: bytes) -> _Blocks:
    found, place, end, number = _Blocks(), 0, len(raw), 0
    unpack = _HEAD.unpack_from
    if end < _SHORTEST or unpack(raw)[0] != pcapng.SECTION or struct.unpack_from("<I", raw, 8)[0] != pcapng.BYTE_ORDER:
        found.is_torn = True
        return found
    while place < end:
        if place + _SHORTEST > end:
            found.is_torn = True
            break
        kind, size = unpack(raw, place)
        if size < _SHORTEST or size & _ALIGNED or place + size > end:
            found.is_torn = True
            break
        if kind == pcapng.PACKET:
            number += 1
            link = _link(raw, place, size, found.links)
            if link < 0:
                found.left_out += 1
            else:
                found.packets.append(place)
                found.heads.append(found.links[link])
                found.passed.append(len(found.names) - len(found.links) + link)
                found.numbers.append(number)
        else:
            _note(raw, (kind, place, size), found)
        place += size
    return found


def _link(raw: bytes, place: int, size: int, links: list[int]) -> int:
    """The link of the packet in this block; -1: it is left out."""
    if size < _PACKET_HEAD:
        return -1
    interface: int
    kept: int
    interface, _, _, kept = struct.unpack_from("<4I", raw, place + 8)
    if interface >= len(links) or kept > size - _PACKET_HEAD or links[interface] < 0:
        return -1
    return interface


def _note(raw: bytes, block: tuple[int, int, int], found: _Blocks) -> None:
    """What a block that is no packet says."""
    kind, place, size = block
    if kind == pcapng.SECTION and size >= 28:
        found.links.clear()
        for code, value in _options(raw, place + 24, place + size - 4):
            number = value[len(_CLOCK) :]
            if code == pcapng.COMMENT and value.startswith(_CLOCK) and len(number) < 20 and number.isdigit():
                found.clock = int(number)
    elif kind == pcapng.INTERFACE and size >= _LINK_HEAD + 4 and len(found.links) < _MOST_LINKS:
        options = dict(_options(raw, place + _LINK_HEAD, place + size - 4))
        is_exact = options.get(pcapng.RESOLUTION, b"\x06")[:1] == bytes([_NANOSECONDS])
        heads = {pcapng.RAW: 0, pcapng.ETHERNET: _FRAME_HEAD} if is_exact else {}
        (kind_of_link,) = struct.unpack_from("<H", raw, place + 8)
        found.links.append(heads.get(kind_of_link, -1))
        found.names.append(options.get(pcapng.NAME, b"")[:_LONGEST_NAME].decode(errors="replace"))
    elif kind == pcapng.STATISTICS and size >= 24:
        options = dict(_options(raw, place + 20, place + size - 4))
        found.received = _count(options.get(pcapng.RECEIVED, b""), found.received)
        found.dropped = _count(options.get(pcapng.DROPPED, b""), found.dropped)
    else:
        found.left_out += 1


def _count(value: bytes, before: int) -> int:
    return min(int.from_bytes(value, "little"), 2**60) if len(value) == 8 else before


def _options(raw: bytes, place: int, end: int) -> list[tuple[int, bytes]]:
    found = []
    while place + 4 <= end:
        code, length = struct.unpack_from("<HH", raw, place)
        if code == 0 or place + 4 + length > end:
            break
        found.append((code, raw[place + 4 : place + 4 + length]))
        place += 4 + (length + _ALIGNED & ~_ALIGNED)
    return found


def _packets(raw: bytes, found: _Blocks) -> CaptureFile:
    data = np.frombuffer(raw, dtype=np.uint8)
    places, heads = np.array(found.packets, dtype=np.int64), np.array(found.heads, dtype=np.int64)
    words = data[: len(data) & ~_ALIGNED].view("<u4")
    first = places >> 2
    upper, lower = words[first + 3].astype(np.int64), words[first + 4].astype(np.int64)
    kept = words[first + 5].astype(np.int64)
    at = ((upper & 0x3FFFFFFF) << 32 | lower) - found.clock
    return CaptureFile(
        data=data,
        begins=places + 28 + heads,
        kept=kept - heads,
        at=at,
        is_outgoing=_outgoing(words, first, kept),
        numbers=np.array(found.numbers, dtype=np.int64),
        links=np.array(found.passed, dtype=np.int64),
        names=tuple(found.names),
        received=found.received,
        dropped=found.dropped,
        left_out=found.left_out,
        is_torn=found.is_torn,
    )


def _outgoing(words: NDArray[np.uint32], first: NDArray[np.int64], kept: NDArray[np.int64]) -> NDArray[np.bool_]:
    """By the flags, where they are the first option."""
    option = first + 7 + (kept + _ALIGNED >> 2)
    last = first + (words[first + 1] >> 2).astype(np.int64) - 1
    has_flags = option + 1 < last
    option = np.where(has_flags, option, 0)
    has_flags &= words[option] == pcapng.FLAGS | 4 << 16
    is_out: NDArray[np.bool_] = words[np.where(has_flags, option + 1, 0)] & 3 == pcapng.OUT
    return has_flags & is_out
