"""Puts the captured packets of one connection together: `Segments`, from which evidence is read.

A port of the client may have been used again: a connection begins with the client's SYN.
"""

from __future__ import annotations

from bisect import bisect_right
from collections import Counter
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from itertools import pairwise
from pathlib import Path

import numpy as np

from chaoskit.analysis.segments.behind_faults import as_received
from chaoskit.analysis.segments.capture_file import read_capture
from chaoskit.analysis.segments.columns import MS, Bools, Column, no_column, unwrapped
from chaoskit.analysis.segments.delivery import delivered
from chaoskit.analysis.segments.packet_ids import PacketIds, label_changes, packet_ids
from chaoskit.analysis.segments.packets import ACK, FIN, RST, SYN, Packets, decode
from chaoskit.analysis.segments.sender_clock import SenderClock, sender_clock, sure_tick

NOT_KNOWN = int(np.iinfo(np.int64).min)
"""Of what the client had acknowledged, where nothing tells."""
_TIMESTAMPS_SIZE = 12  # bytes of a segment that its timestamps take
_USUAL_MSS = 1460
_ENOUGH = 32  # connections
_AT_ONCE = 10 * MS  # ns, where the round trip is not known


@dataclass(frozen=True, eq=False)
class Ticks:
    """How long a tick of the servers' clocks is, by the connections of a capture that tell it."""

    connections: list[Packets] = field(default_factory=list)

    @cached_property
    def usual(self) -> int | None:
        """That of most of the longest ones, ns; None where none tells."""
        longest = sorted(self.connections, key=lambda each: -len(each.at))[:_ENOUGH]
        found = Counter(tick for each in longest if (tick := sure_tick(each.tsval, each.tsecr)))
        return found.most_common(1)[0][0] if found else None


@dataclass(frozen=True, eq=False)
class Segments:
    """The packets of one connection: those of the server (`down`) without its SYN, and the client's (`up`).

    `round_trip` is that of the handshake, ns, None where none was captured; `mss` the most data of one packet.
    `resets`: those with which it was reset from the server's side. `dropped` packets of the whole capture are missing.
    `begin`: when its first packet was captured; `scale`: by which power of two the client's windows are multiplied.
    `until`: when the last packet of the whole capture was; `ticks` are those of all connections.
    """

    down: Packets
    up: Packets
    round_trip: int | None
    mss: int
    resets: Packets
    dropped: int
    begin: int
    scale: int
    until: int
    ticks: Ticks

    @cached_property
    def seq(self) -> Column:
        """Where the data of each of the server's packets begins."""
        return unwrapped(self.down.seq, 32)

    @cached_property
    def end(self) -> Column:
        """Where it ends; a FIN is one byte."""
        ends: Column = self.seq + self.down.length + (self.down.flags & FIN != 0)
        return ends

    @cached_property
    def acks(self) -> tuple[Column, Column]:
        """When the client acknowledged, and up to which byte of the server's data."""
        ups = self.up.select(self.up.flags & ACK != 0)
        if not len(ups.at) or not len(self.seq):
            return ups.at[:0], ups.at[:0]
        first = int(self.down.seq[0])
        offset = ((ups.ack[:1] - first + (1 << 31)) % (1 << 32)) - (1 << 31)
        return ups.at, np.maximum.accumulate(int(self.seq[0]) + offset[0] + unwrapped(ups.ack, 32) - ups.ack[0])

    def acked_at(self, times: Column) -> Column:
        """Up to which byte the client had acknowledged at each of these times; NOT_KNOWN before the first."""
        at, acks = self.acks
        place = np.searchsorted(at, times, side="right")
        return np.append(NOT_KNOWN, acks)[place]

    @cached_property
    def acked(self) -> Column:
        """What the client had acknowledged before each of the server's packets arrived."""
        return self.acked_at(self.down.at)

    @cached_property
    def delivered(self) -> Column:
        """How far the data was in order once each of the server's packets had arrived."""
        stamps = unwrapped(self.down.tsval, 32) if self.clock.is_believed else no_column()
        return delivered(self.seq, self.end, self.acked, stamps)

    @cached_property
    def deliveries(self) -> Column:
        """The rows of the server's packets with which more data was in order."""
        before = np.append(self.seq[:1], self.delivered[:-1])
        return np.flatnonzero(self.delivered > before)

    @cached_property
    def parts(self) -> Column:
        """Of how many packets each is made: the receiving machine puts full ones together (GRO)."""
        return np.maximum(1, -(-self.down.length // self.mss))

    @cached_property
    def clock(self) -> SenderClock:
        """When the server's kernel sent each of its packets."""
        return sender_clock(self.down.at, self.down.tsval, self.down.tsecr, self.ticks.usual)

    @cached_property
    def ids(self) -> PacketIds:
        """The number of each of the server's packets in the order in which they were sent."""
        if len(self.down.ident) and self.down.ident[0] < 0:
            return PacketIds(doubt="IPv6 does not count packets")
        moments = self.clock.sent if self.clock.is_believed else self.down.at
        soon = np.append(False, np.diff(moments) < (self.round_trip or _AT_ONCE))
        return packet_ids(unwrapped(self.down.ident, 16), self.seq, self.end, self.parts, soon)

    @cached_property
    def sent_again(self) -> Bools:
        """Which of the server's packets have data that had been sent before, as far as its numbers tell."""
        order = np.arange(len(self.seq))
        if self.clock.is_believed:
            order = np.argsort(self.clock.sent, kind="stable")
        elif self.ids.are_believed:
            order = np.argsort(self.ids.counts, kind="stable")
        newest = np.maximum.accumulate(self.end[order])
        found = np.zeros(len(order), dtype=np.bool_)
        found[order[1:]] = (self.seq[order[1:]] < newest[:-1]) & (self.down.length[order[1:]] > 0)
        return found

    @cached_property
    def is_lossy(self) -> bool:
        """Whether any segment had to wait behind a hole, or a timer of the server had run out."""
        changes = self.label_changes
        return bool((self.seq[1:] > self.delivered[:-1]).any()) or (len(changes) > 0 and int(changes[-1]) > 0)

    @cached_property
    def label_changes(self) -> Column:
        """How often the server's flow label had changed; empty where that tells nothing."""
        return label_changes(self.down.label)


@dataclass(frozen=True)
class Capture:
    """All connections of a capture by the client's port, each port's in order of time."""

    by_port: Mapping[int, list[Segments]] = field(default_factory=dict)
    packets: int = 0
    dropped: int = 0
    left_out: int = 0
    is_torn: bool = False

    def connection(self, port: int | None, at: int) -> Segments | None:
        """The connection that had this port at a time; None where the capture has none."""
        found = self.by_port.get(port, []) if port is not None else []
        place = bisect_right([each.begin for each in found], at)
        return found[place - 1] if place else None


def load_capture(path: Path, ports: Collection[int]) -> Capture | None:
    """The connections with these ports of the client; None where nothing was captured. Raises SpecError."""
    file = read_capture(path)
    if file is None:
        return None
    packets, others = decode(file, ports)
    until, ticks = int(file.at.max(initial=0)), Ticks()
    by_port: dict[int, list[Segments]] = {}
    for rows in _connections(packets):
        by_port.setdefault(int(rows.port[0]), []).append(_segments(rows, file.dropped, until, ticks))
    for found in by_port.values():
        found.sort(key=lambda each: each.begin)
    return Capture(by_port, len(file.begins), file.dropped, file.left_out + others, file.is_torn)


def _connections(packets: Packets) -> Iterator[Packets]:
    """The packets of each connection, in order of time."""
    order = np.lexsort((packets.number, packets.at, packets.key, packets.port))
    ordered = packets.select(order)
    if not len(order):
        return
    is_other = (np.diff(ordered.port) != 0) | (ordered.key[1:] != ordered.key[:-1])
    bounds = [0, *(np.flatnonzero(is_other) + 1).tolist(), len(order)]
    for first, after in pairwise(bounds):
        yield from _again(ordered.select(np.arange(first, after)))


def _again(packets: Packets) -> Iterator[Packets]:
    """The same, parted where the client's port was used again: at a SYN with another sequence number."""
    syns = np.flatnonzero(~packets.is_down & (packets.flags & (SYN | ACK) == SYN))
    numbers = packets.seq[syns]
    starts = syns[np.append(True, numbers[1:] != numbers[:-1])] if len(syns) else syns
    bounds = [0, *[start for start in starts.tolist() if start], len(packets.at)]
    for first, after in pairwise(bounds):
        yield packets.select(np.arange(first, after))


def _segments(packets: Packets, dropped: int, until: int, ticks: Ticks) -> Segments:
    down, up = as_received(packets.select(packets.is_down)), packets.select(~packets.is_down)
    if up.is_outgoing.any() and not up.is_outgoing.all():
        up = up.select(up.is_outgoing)
    syn, answer = up.select(up.flags & SYN != 0), down.select(down.flags & SYN != 0)
    asked = [int(part.mss[0]) for part in (syn, answer) if len(part.mss) and part.mss[0] > 0]
    mss = min(asked, default=_USUAL_MSS) - (_TIMESTAMPS_SIZE if (down.tsval >= 0).any() else 0)
    round_trip = int(answer.at[0] - syn.at[-1]) if len(answer.at) and len(syn.at) else 0
    data = down.select(down.flags & (SYN | RST) == 0)
    begin = int(packets.at[0])
    scale = int(syn.scale[0]) if len(syn.at) and len(answer.at) and answer.scale[0] >= 0 else 0
    ticks.connections.append(data)
    return Segments(
        down=data,
        up=up,
        round_trip=round_trip if round_trip > 0 else None,
        mss=max(mss, 1),
        resets=down.select(down.flags & RST != 0),
        dropped=dropped,
        begin=begin,
        scale=scale,
        until=until,
        ticks=ticks,
    )
