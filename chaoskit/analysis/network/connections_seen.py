"""Puts together each TCP connection of a lab: who opened it, who ended it, when its last data came.

A packet is seen where it comes in: first on the sender's router, before any fault of the lab, last on the receiver's
host. The time of the last data comes from the hosts' sockets, uncertain by one tick of the kernel (10 ms at HZ=100);
data in the last second of a connection may be missing.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from itertools import chain
from typing import NamedTuple

from chaoskit.records.host_records import ConnectionEnd, EndKind, HostSocket

_MS = 1_000_000
_ORDER: tuple[EndKind, ...] = ("syn", "syn-ack", "fin", "rst")  # of what was seen at one moment, in virtual time


class Endpoint(NamedTuple):
    """A host and its port."""

    host: str
    port: int


class End(NamedTuple):
    """The first FIN or RST of one side of a connection.

    `arrived`: when the other side received it; `passed`: whether any router received it from its sender.
    """

    at: int
    kind: EndKind
    sender: Endpoint
    arrived: int | None
    passed: bool


@dataclass
class SeenConnection:
    """A connection: who opened it, its other end, and when; `sights` are of FIN and RST, in order.

    `handshake` has the places at which its SYN and SYN-ACK were seen.
    """

    opener: Endpoint
    other: Endpoint
    opened: int
    sights: list[ConnectionEnd] = field(default_factory=list)
    handshake: set[tuple[EndKind, str]] = field(default_factory=set)

    @property
    def is_answered(self) -> bool:
        """Whether the opener received a SYN-ACK."""
        return ("syn-ack", self.opener.host) in self.handshake

    def peer(self, host: str) -> Endpoint:
        """The end that is not on this host."""
        return self.other if self.opener.host == host else self.opener

    def own(self, host: str) -> Endpoint:
        """The end on this host."""
        return self.opener if self.opener.host == host else self.other

    def end_by(self, sender: Endpoint, since: int = 0) -> End | None:
        """The first end that this side sent from `since` on."""
        sights = [each for each in self.sights if (each.sender, each.sender_port) == sender and each.at >= since]
        if not sights:
            return None
        first = sights[0]
        arrivals = [each.at for each in sights if each.place == each.receiver]
        passed = any(each.place not in (each.sender, each.receiver) for each in sights)
        return End(first.at, first.kind, sender, min(arrivals, default=None), passed)

    def first_end(self, since: int = 0) -> End | None:
        """The first end of either side from `since` on."""
        ends = (self.end_by(side, since) for side in (self.opener, self.other))
        return min((end for end in ends if end is not None), default=None, key=lambda end: end.at)


class Ended(NamedTuple):
    """A connection with its first end, and when a host of it made that or learned of it."""

    noticed: int
    end: End
    connection: SeenConnection


class SeenConnections:
    """All connections of a run, and the sockets of its hosts."""

    def __init__(self, ends: Iterable[ConnectionEnd], sockets: Iterable[HostSocket]) -> None:
        self._by_pair: dict[tuple[Endpoint, Endpoint], list[SeenConnection]] = defaultdict(list)
        self._by_host: dict[str, list[SeenConnection]] = defaultdict(list)
        self._by_opener: dict[Endpoint, list[SeenConnection]] = defaultdict(list)
        self._unanswered: dict[str, list[SeenConnection]] = {}
        self._samples: dict[tuple[Endpoint, Endpoint], list[HostSocket]] = defaultdict(list)
        self._ended: dict[str, list[Ended]] = {}
        for each in sorted(ends, key=lambda each: (each.at, _ORDER.index(each.kind))):
            self._add(each)
        for sample in sockets:
            pair = Endpoint(sample.host, sample.port), Endpoint(sample.remote, sample.remote_port)
            self._samples[pair].append(sample)

    def __bool__(self) -> bool:
        return bool(self._by_pair)

    def __iter__(self) -> Iterator[SeenConnection]:
        return chain.from_iterable(self._by_pair.values())

    @property
    def intermediaries(self) -> frozenset[str]:
        """Hosts that others connect to, and that connect to others."""
        return frozenset(each.opener.host for each in self) & frozenset(each.other.host for each in self)

    def opened_by(self, host: str, port: int, before: int) -> SeenConnection | None:
        """The latest connection that this end opened before this moment."""
        found = (each for each in self._by_opener.get(Endpoint(host, port), ()) if each.opened <= before)
        return max(found, default=None, key=lambda each: each.opened)

    def unanswered(self, host: str, begin: int, end: int) -> SeenConnection | None:
        """The latest connection that this host tried to open in this time, and to which no SYN-ACK came."""
        if host not in self._unanswered:
            tried = (each for each in self._by_host.get(host, ()) if each.opener.host == host)
            self._unanswered[host] = sorted(
                (each for each in tried if not each.is_answered), key=lambda each: each.opened
            )
        index = bisect_right(self._unanswered[host], end, key=lambda each: each.opened)
        found = self._unanswered[host][index - 1] if index else None
        return found if found is not None and found.opened >= begin else None

    def ended_between(self, host: str, begin: int, end: int) -> Sequence[Ended]:
        """The connections of this host whose end it made, or learned of, in this time."""
        if host not in self._ended:
            found = [Ended(_noticed(first, host), first, each) for each, first in self._first_ends(host)]
            self._ended[host] = sorted(found, key=lambda each: each.noticed)
        ended = self._ended[host]
        first = bisect_left(ended, begin, key=lambda each: each.noticed)
        return ended[first : bisect_right(ended, end, key=lambda each: each.noticed)]

    def sample(self, own: Endpoint, peer: Endpoint, at: int) -> HostSocket | None:
        """The latest sample of this socket until then."""
        samples = self._samples.get((own, peer), [])
        index = bisect_right(samples, at, key=lambda each: each.at)
        return samples[index - 1] if index else None

    def samples(self, own: Endpoint, peer: Endpoint, begin: int, end: int) -> Sequence[HostSocket]:
        """The samples of this socket in this time."""
        samples = self._samples.get((own, peer), [])
        first = bisect_left(samples, begin, key=lambda each: each.at)
        return samples[first : bisect_right(samples, end, key=lambda each: each.at)]

    def last_data_received(self, own: Endpoint, peer: Endpoint, at: int) -> int | None:
        """When this socket last received data before that moment, or since when it has been open without any."""
        sample = self.sample(own, peer, at)
        if sample is None or "last_data_recv" not in sample.fields:
            return None
        return sample.at - sample.fields["last_data_recv"] * _MS

    def _first_ends(self, host: str) -> Iterator[tuple[SeenConnection, End]]:
        for each in self._by_host.get(host, ()):
            end = each.first_end()
            if end is not None:
                yield each, end

    def _add(self, each: ConnectionEnd) -> None:
        sender, receiver = Endpoint(each.sender, each.sender_port), Endpoint(each.receiver, each.receiver_port)
        if each.kind == "syn-ack":
            sender, receiver = receiver, sender  # the opener first
        pair = (min(sender, receiver), max(sender, receiver))
        known = self._by_pair[pair]
        is_new = each.kind in ("syn", "syn-ack") and (not known or bool(known[-1].sights))
        if is_new:
            known.append(SeenConnection(sender, receiver, each.at))
            self._by_opener[sender].append(known[-1])
            for host in {sender.host, receiver.host}:
                self._by_host[host].append(known[-1])
        if not known:  # opened before anybody looked
            del self._by_pair[pair]
        elif each.kind in ("fin", "rst"):
            known[-1].sights.append(each)
        else:
            known[-1].handshake.add((each.kind, each.place))


def _noticed(end: End, host: str) -> int:
    return end.at if end.sender.host == host or end.arrived is None else end.arrived
