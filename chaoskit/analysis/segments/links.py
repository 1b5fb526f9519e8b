"""Follows a connection's data over the links of a lab: when it left the far end, where it was lost.

A router captures a packet where it comes in, before any fault, and where it leaves a queue, behind the fault. All of a
lab's stamps are of one clock, so that the times between them are those of the stretches in between:

    server .. (in) router (ifb: behind a fault on what the server sends) (out: behind one on what comes) .. client

A packet that passed one point and never the next was lost between them. Without rights, or after a kill, points are
missing; of packets that a router's capture dropped itself it cannot be told, and `dropped` says how many there were.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence, Set
from dataclasses import dataclass, field
from functools import cached_property
from itertools import pairwise
from pathlib import Path
from typing import NamedTuple

import numpy as np

from chaoskit.analysis.segments.capture_file import read_capture
from chaoskit.analysis.segments.captured_connections import Segments
from chaoskit.analysis.segments.columns import Bools, Column
from chaoskit.analysis.segments.packets import ACK, FIN, SYN, Packets, decode
from chaoskit.knobs import Knob
from chaoskit.records.pcapng import CAPTURE, capture_name
from chaoskit.topology.lab import CLIENT, Topology
from chaoskit.topology.ways import PAIR

_NEVER = int(np.iinfo(np.int64).max)
_WRAP = 1 << 32
_IFB, _LAST = "ifb-", 3
Name = tuple[int, int, int, int]
"""What tells packets with data of one connection apart: sequence number, length, timestamp, identification."""


class Point(NamedTuple):
    """Where packets were captured: at a router, as they came in from `node` or left for it, or behind a fault."""

    router: str
    link: str
    is_outgoing: bool


@dataclass(frozen=True)
class Sent:
    """A packet with data that the far end sent: `at` has when it passed each point, ns, None where it did not.

    The last point is the client. `records` name it in the files; `end` is where its data ends.
    """

    seq: int
    end: int
    at: tuple[int | None, ...]
    records: tuple[tuple[str, int], ...]

    @property
    def left(self) -> int:
        """When it left the far end; where only later points saw it, when it passed the first of these."""
        return next(at for at in self.at if at is not None)

    @property
    def arrived(self) -> int | None:
        """When the client received it; None: never."""
        return self.at[-1]

    @property
    def lost_on(self) -> int | None:
        """The number of the stretch on which it was lost."""
        if self.arrived is not None:
            return None
        return max(place for place, at in enumerate(self.at) if at is not None)

    def times(self) -> list[int | None]:
        """How long each stretch took, ns."""
        return [
            None if before is None or after is None else after - before
            for before, after in zip(self.at[:-1], self.at[1:], strict=True)
        ]

    def has(self, seq: int) -> bool:
        """Whether it holds the byte with this sequence number."""
        return (seq - self.seq) % _WRAP < (self.end - self.seq) % _WRAP


@dataclass(frozen=True)
class Traffic:
    """What passed between two neighbours on a way: when packets came to it, those that were lost there, and delays.

    Times in ns; `longest` is how much longer than usual a packet was there at most.
    """

    near: str
    far: str
    came: tuple[int, ...]
    lost: tuple[int, ...]
    longest: int


@dataclass(frozen=True)
class Way:
    """The way of a connection's data to the client: the far end's name, each stretch's two ends, all that was sent.

    `dropped` packets of all captures are missing, and what passed after `until`, where a capture ended early.
    """

    far: str
    stretches: tuple[tuple[str, str], ...]
    sent: tuple[Sent, ...]
    dropped: int
    until: int

    @cached_property
    def usual(self) -> list[int]:
        """The least time that each stretch took, ns."""
        times = zip(*(each.times() for each in self.sent), strict=True)
        return [min((time for time in stretch if time is not None), default=0) for stretch in times]

    @property
    def _places(self) -> range:
        return range(len(self.stretches))

    def with_byte(self, seq: int) -> list[Sent]:
        """All copies of the data that holds this byte, in the order in which they left."""
        return [each for each in self.sent if each.has(seq)]

    def between(self, begin: int, end: int) -> list[Sent]:
        """What left the far end in this time."""
        return [each for each in self.sent if begin < each.left <= end]

    def has_lost(self, begin: int, end: int) -> bool:
        """Whether anything of what left the far end in this time was lost."""
        return any(each.lost_on is not None for each in self.between(begin, end))

    def changes_order(self, begin: int, end: int) -> bool:
        """Whether a packet that left the far end in this time arrived before another one that had left earlier."""
        arrived = [each.arrived for each in self.between(begin, end) if each.arrived is not None]
        return any(later < earlier for earlier, later in pairwise(arrived))

    def slowest(self, sent: Sent) -> tuple[int, int]:
        """The stretch on which a packet lost most time, and how much longer than usual it took there, ns."""
        longer = [(0 if time is None else time - usual) for time, usual in zip(sent.times(), self.usual, strict=True)]
        most = max(self._places, key=longer.__getitem__)
        return most, longer[most]

    def traffic(self, begin: int, end: int) -> Iterator[Traffic]:
        """Of what was sent in this time, by neighbours; several stretches may be between the same two."""
        sent = [each for each in self.sent if begin <= each.left <= end]
        times = [each.times() for each in sent]
        for pair in dict.fromkeys(self.stretches):
            own = [place for place in self._places if self.stretches[place] == pair]
            longer = [(row[place] or 0) - self.usual[place] for row in times for place in own]
            yield Traffic(
                *pair,
                came=tuple(at for each in sent if (at := each.at[own[0]]) is not None),
                lost=tuple(
                    each.at[each.lost_on] or 0 for each in sent if each.lost_on in own and each.lost_on is not None
                ),
                longest=max(0, *longer) if longer else 0,
            )

    def named(self, stretch: int) -> str:
        """A stretch for people."""
        near, far = self.stretches[stretch]
        return f"between {near} and {far}"


@dataclass(frozen=True, eq=False)
class _Router:
    """What one router captured, in the order of the connections."""

    name: str
    packets: Packets
    links: Column
    names: tuple[str, ...]
    dropped: int
    is_torn: bool
    last: int

    def of(self, port: int, key: int) -> Column:
        """The rows of a connection in the order of the file."""
        first, after = (int(np.searchsorted(self.packets.port, port, side=side)) for side in ("left", "right"))
        return first + np.flatnonzero(self.packets.key[first:after] == key)


@dataclass(frozen=True, eq=False)
class Links:
    """What the routers of a lab captured, from the far end to the client; empty where nothing was.

    `filtered` are links, with their routers, on which a fault may drop what comes in, so that no point is behind it.
    """

    topology: Topology | None = None
    routers: Sequence[_Router] = ()
    filtered: Set[tuple[str, str]] = frozenset()
    _ways: dict[int, Way | None] = field(default_factory=dict, init=False, repr=False)

    @property
    def dropped(self) -> Mapping[str, int]:
        """How many packets the capture of a router dropped, where it did."""
        return {each.name: each.dropped for each in self.routers if each.dropped}

    @property
    def torn(self) -> tuple[str, ...]:
        """The routers whose files end in the middle of a packet."""
        return tuple(each.name for each in self.routers if each.is_torn)

    def way(self, connection: Segments) -> Way | None:
        """That of this connection's data; None where no router has seen it."""
        if id(connection) not in self._ways:
            self._ways[id(connection)] = self._followed(connection)
        return self._ways[id(connection)]

    def _followed(self, connection: Segments) -> Way | None:
        down = connection.down
        if self.topology is None or not len(down.at):
            return None
        seen: dict[Point, dict[Name, tuple[int, str, int]]] = {}
        for router in self.routers:
            rows = router.of(int(down.port[0]), int(down.key[0]))
            here = router.packets.select(rows)
            is_own = (here.at >= connection.begin) & (here.at < _next_begin(here, int(down.at[-1])))
            is_wanted = _has_data(here) & here.is_down & is_own
            found = here.select(is_wanted)
            points: dict[Point, dict[Name, tuple[int, str, int]]] = {}
            file = capture_name(router.name)
            for link, out, name, at, number in zip(
                router.links[rows][is_wanted].tolist(),
                found.is_outgoing.tolist(),
                _names(found),
                found.at.tolist(),
                found.number.tolist(),
                strict=True,
            ):
                point = Point(router.name, router.names[link], out)
                points.setdefault(point, {}).setdefault(name, (at, file, number))
            seen |= dict(sorted(points.items(), key=lambda each: _order(each[0])))
        if not seen:
            return None
        data = down.select(_has_data(down))
        arrived = {
            name: (at, CAPTURE, number)
            for name, at, number in zip(_names(data), data.at.tolist(), data.number.tolist(), strict=True)
        }
        columns = [*seen.values(), arrived]
        dropped = connection.dropped + sum(each.dropped for each in self.routers)
        return Way(
            far=self._node(next(iter(seen))),
            stretches=tuple(self._stretches(list(seen))),
            sent=tuple(sorted(_sent(columns), key=lambda each: each.left)),
            dropped=dropped,
            until=min((each.last for each in self.routers if each.is_torn), default=_NEVER),
        )

    def _stretches(self, points: Sequence[Point]) -> Iterator[tuple[str, str]]:
        for before, after in zip(points, [*points[1:], None], strict=True):
            if after is None:
                yield before.router, CLIENT
            elif after.router != before.router:
                yield before.router, after.router
            elif after.link.startswith(_IFB):
                yield self._node(before), before.router
            else:
                leaves = [each for each in points if each.router == after.router and _order(each) == _LAST]
                is_filtered = not before.is_outgoing and (before.router, before.link) in self.filtered
                near = self._node(before) if is_filtered else after.router
                yield near, self._node(leaves[0] if leaves else after)

    def _node(self, point: Point) -> str:
        """What is at the other end of a point's link."""
        assert self.topology is not None
        for each in (*self.topology.attachments, *self.topology.trunks()):
            if each.router == point.router and point.link == each.link:
                return each.host
            if each.host == point.router and point.link == f"to-{each.router}":
                return each.router
        return "the far end"


def load_links(run: Path, topology: Topology, faults: Iterable[Knob], ports: Collection[int]) -> Links:
    """What was captured of the connections with these ports of the client, on links with these faults' knobs.

    Raises SpecError.
    """
    filters = [(knob.place, *knob.name.split()) for knob in faults if knob.kind == "filter"]
    filtered = frozenset((place, link) for place, link, hook, _ in filters if hook == "ingress")
    found = (_router(run, name, ports) for name in reversed(topology.routers))
    return Links(topology, [each for each in found if each is not None], filtered)


def _router(run: Path, name: str, ports: Collection[int]) -> _Router | None:
    file = read_capture(run / capture_name(name))
    if file is None:
        return None
    packets, _ = decode(file, ports)
    order = np.lexsort((packets.number, packets.port))
    ordered = packets.select(order)
    rows = np.searchsorted(file.numbers, ordered.number)
    last = int(file.at.max(initial=0))
    return _Router(name, ordered, file.links[rows], file.names, file.dropped, file.is_torn, last)


def _next_begin(packets: Packets, after: int) -> int:
    """When another connection with the same port begins, after a time."""
    syns = packets.at[~packets.is_down & (packets.flags & (SYN | ACK) == SYN) & (packets.at > after)]
    return int(syns.min(initial=_NEVER))


def _has_data(packets: Packets) -> Bools:
    found: Bools = (packets.length > 0) | (packets.flags & FIN != 0)
    return found


def _names(packets: Packets) -> list[Name]:
    columns = (packets.seq, packets.length + (packets.flags & FIN != 0), packets.tsval, packets.ident)
    return list(zip(*(column.tolist() for column in columns), strict=True))


def _order(point: Point) -> int:
    """What comes in, passes a fault on what comes in, one on this pair of hosts alone, and leaves."""
    if not point.is_outgoing:
        return 0
    return 1 if point.link.startswith(_IFB) else 2 if point.link.startswith(PAIR) else _LAST


def _sent(columns: Sequence[Mapping[Name, tuple[int, str, int]]]) -> Iterator[Sent]:
    for name in dict.fromkeys(name for column in columns for name in column):
        passed = [column.get(name) for column in columns]
        yield Sent(
            seq=name[0],
            end=name[0] + name[1],
            at=tuple(None if each is None else each[0] for each in passed),
            records=tuple((each[1], each[2]) for each in passed if each is not None),
        )
