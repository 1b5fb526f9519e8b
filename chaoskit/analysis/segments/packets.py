"""Decodes the headers of all captured packets at once, by column.

Rules: the client is who has one of the requests' ports; what is no TCP, is cut off within its headers, or belongs to
nobody, is counted and left out. Lengths are those that IP tells: a packet has no more payload than that. Timestamps are
looked for where senders put them (after two NOPs, or first); of a packet with other options before them all are read.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from chaoskit.analysis.segments.capture_file import CaptureFile
from chaoskit.analysis.segments.columns import Bools, Column

NONE = -1
"""Of a field that a packet does not have."""
FIN, SYN, RST, PSH, ACK = 0x01, 0x02, 0x04, 0x08, 0x10  # RFC 9293, section 3.1
_TCP, _V6_HEADER, _TCP_HEADER = 6, 40, 20
_MSS, _SCALE, _TIMESTAMPS = 2, 3, 8  # kinds of options
_MULTIPLIERS = np.array([0x9E3779B97F4A7C15, 0xC2B2AE3D27D4EB4F, 0x165667B19E3779F9], dtype=np.uint64)
_MOST_BATCH = 500_000


class Packets(NamedTuple):
    """A row for each packet. `key` tells connections with the same `port` of the client apart.

    `ident` is IPv4's identification, `label` IPv6's flow label, `ttl` IPv4's time to live or IPv6's hop limit.
    `mss` and `scale` are those of a SYN.
    """

    number: Column
    at: Column
    is_outgoing: Bools
    is_down: Bools
    port: Column
    key: Column
    ident: Column
    label: Column
    ttl: Column
    seq: Column
    ack: Column
    flags: Column
    window: Column
    length: Column
    tsval: Column
    tsecr: Column
    mss: Column
    scale: Column

    def select(self, chosen: Bools | Column) -> Packets:
        """These rows."""
        return Packets._make(column[chosen] for column in self)


def decode(file: CaptureFile, ports: Iterable[int]) -> tuple[Packets, int]:
    """The packets of connections with these ports of the client, and how many others there were."""
    is_port = np.zeros(1 << 16, dtype=np.bool_)
    is_port[[port for port in ports if 0 <= port < 1 << 16]] = True
    total = len(file.begins)
    parts = [_decode(file, slice(at, at + _MOST_BATCH), is_port) for at in range(0, total, _MOST_BATCH)]
    if not parts:
        parts = [_decode(file, slice(0, 0), is_port)]
    found = Packets._make(map(np.concatenate, zip(*parts, strict=True)))
    return found, total - len(found.at)


def _decode(file: CaptureFile, rows: slice, is_port: Bools) -> Packets:
    data, begins, kept = file.data, file.begins[rows], file.kept[rows]
    number, at, outgoing = file.numbers[rows], file.at[rows], file.is_outgoing[rows]

    def keep(chosen: Bools) -> None:
        nonlocal begins, kept, number, at, outgoing
        begins, kept, number, at, outgoing = begins[chosen], kept[chosen], number[chosen], at[chosen], outgoing[chosen]

    keep(kept >= _TCP_HEADER + 20)
    version = data[begins] >> 4
    keep((version == 4) | ((version == 6) & (kept >= _V6_HEADER + _TCP_HEADER)))
    is_four = data[begins] >> 4 == 4
    header = np.where(is_four, (data[begins] & 15).astype(np.int64) * 4, _V6_HEADER)
    is_first = ~is_four | (_half(data, begins + 6) & 0x1FFF == 0)
    chosen = (data[begins + np.where(is_four, 9, 6)] == _TCP) & (header >= 20) & (kept >= header + _TCP_HEADER)
    chosen &= is_first
    keep(chosen)
    is_four, header = is_four[chosen], header[chosen]
    tcp = begins + header
    source, destination = _half(data, tcp), _half(data, tcp + 2)
    options = (data[tcp + 12] >> 4).astype(np.int64) * 4
    whole = np.where(is_four, _half(data, begins + 2), _half(data, begins + 4) + _V6_HEADER)
    chosen = (is_port[source] | is_port[destination]) & (options >= _TCP_HEADER) & (kept >= header + options)
    keep(chosen)
    is_four, header, tcp, whole = is_four[chosen], header[chosen], tcp[chosen], whole[chosen]
    source, destination, options = source[chosen], destination[chosen], options[chosen]
    is_down = is_port[destination]
    flags = data[tcp + 13].astype(np.int64)
    tsval, tsecr, mss, scale = _options(data, tcp, options, flags)
    return Packets(
        number=number,
        at=at,
        is_outgoing=outgoing,
        is_down=is_down,
        port=np.where(is_down, destination, source),
        key=_keys(data, begins, is_four, is_down, np.where(is_down, source, destination)),
        ident=np.where(is_four, _half(data, begins + 4), NONE),
        label=np.where(is_four, NONE, _word(data, begins) & 0xFFFFF),
        ttl=data[begins + np.where(is_four, 8, 7)].astype(np.int64),
        seq=_word(data, tcp + 4),
        ack=_word(data, tcp + 8),
        flags=flags,
        window=_half(data, tcp + 14),
        length=np.maximum(whole - header - options, 0),
        tsval=tsval,
        tsecr=tsecr,
        mss=mss,
        scale=scale,
    )


def _half(data: NDArray[np.uint8], at: Column) -> Column:
    return data[at].astype(np.int64) << 8 | data[at + 1]


def _word(data: NDArray[np.uint8], at: Column) -> Column:
    return _half(data, at) << 16 | _half(data, at + 2)


def _keys(data: NDArray[np.uint8], begins: Column, is_four: Bools, is_down: Bools, far_port: Column) -> Column:
    """A number for each pair of addresses and port of the far end. Of IPv6 the addresses' last eight bytes count."""
    ends = [
        np.where(is_four, _word(data, begins + four), _word(data, begins + six) << 16 ^ _word(data, begins + six + 4))
        for four, six in ((12, 16), (16, 32))
    ]
    far, near = np.where(is_down, ends[0], ends[1]), np.where(is_down, ends[1], ends[0])
    columns = (far, near, far_port)
    mixed = np.zeros(len(begins), dtype=np.uint64)
    for column, multiplier in zip(columns, _MULTIPLIERS, strict=True):
        mixed ^= column.astype(np.uint64) * multiplier
    return mixed.view(np.int64)


def _options(
    data: NDArray[np.uint8], tcp: Column, length: Column, flags: Column
) -> tuple[Column, Column, Column, Column]:
    """The timestamps of each packet, and the MSS and the window scale of each SYN."""
    tsval, tsecr, mss, scale = (np.full(len(tcp), NONE, dtype=np.int64) for _ in range(4))
    has_room = length >= _TCP_HEADER + 12
    at = np.where(has_room, tcp + _TCP_HEADER, tcp)
    usual = has_room & (_word(data, at) == 0x0101080A)
    tsval[usual], tsecr[usual] = _word(data, at[usual] + 4), _word(data, at[usual] + 8)
    other = np.flatnonzero((length > _TCP_HEADER) & (~usual | (flags & SYN != 0)))
    for row in other.tolist():
        begin = int(tcp[row]) + _TCP_HEADER
        found = _read_options(data[begin : begin + int(length[row]) - _TCP_HEADER].tobytes())
        if len(stamps := found.get(_TIMESTAMPS, b"")) == 8:
            tsval[row], tsecr[row] = int.from_bytes(stamps[:4], "big"), int.from_bytes(stamps[4:], "big")
        if flags[row] & SYN:
            mss[row] = int.from_bytes(found.get(_MSS, b"")[:2], "big") or NONE
            scale[row] = int.from_bytes(found[_SCALE][:1], "big") & 15 if _SCALE in found else 0
    return tsval, tsecr, mss, scale


def _read_options(raw: bytes) -> dict[int, bytes]:
    found: dict[int, bytes] = {}
    place = 0
    while place < len(raw) and raw[place] != 0:
        if raw[place] == 1:
            place += 1
            continue
        size = raw[place + 1] if place + 1 < len(raw) else 0
        if size < 2 or place + size > len(raw):
            break
        found.setdefault(raw[place], raw[place + 2 : place + size])
        place += size
    return found
