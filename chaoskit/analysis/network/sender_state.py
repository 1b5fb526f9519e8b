"""What the kernel of each sender knew of its connection, look by look: up is the client's, down the server's.

A run is a stretch of looks at a connection that sends the same bytes again and again: the retransmission timer
ran out twice or more, what is outstanding fills a segment, and of that all is lost but what was acknowledged out
of order. Its deaths are the first sending and the retransmissions; their times follow from the timer's doubling
(RFC 6298, 5.5): when it stands at R after n of them, the last was `last_data_sent` ago and the first
R (1 - 2^(1-n)) before that.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from chaoskit.analysis.load import RawRecords
from chaoskit.analysis.result import Direction

_MS, _US = 1_000_000, 1_000
_AGAIN = 2  # timeouts in a row that make a run
_FULL = 0.95  # of a segment
_NEEDED = {"bytes_sent", "bytes_retrans", "unacked", "last_data_sent", "rto"}  # to tell whether a sender is stuck

Fields = Mapping[str, int]


class Look(NamedTuple):
    """TCP_INFO of a sender at one moment."""

    at: int
    fields: Fields

    @property
    def segment(self) -> int:
        """Bytes that a full segment carries."""
        return self.fields.get("snd_mss", 0)

    @property
    def path(self) -> int:
        """The path MTU that the socket believes in."""
        return self.fields.get("pmtu", 0)

    @property
    def offered(self) -> int:
        """Bytes of a segment that this side asked for in its handshake: all that its own link and route allow."""
        return self.fields.get("advmss", 0)

    @property
    def acked(self) -> int:
        """Bytes acknowledged so far."""
        return self.fields.get("bytes_acked", 0)

    @property
    def deaths(self) -> int:
        """How often in a row the oldest outstanding segment was sent in vain."""
        return self.fields.get("retransmits", 0) + 1

    @property
    def is_stuck(self) -> bool:
        """Whether full segments may be dying here."""
        fields = self.fields
        if fields.get("retransmits", 0) < _AGAIN or not fields.get("lost") or not fields.keys() >= _NEEDED:
            return False
        flight = fields["bytes_sent"] - fields["bytes_retrans"] - self.acked
        lost, sacked = fields["lost"], fields.get("sacked", 0)
        arrived = flight - lost * self.segment  # bytes at least, of those acknowledged out of order
        return (
            flight >= self.segment and lost + sacked == fields["unacked"] and arrived <= _FULL * sacked * self.segment
        )

    @property
    def since(self) -> int:
        """When what it shows had begun: with the first vain retransmission, or only now."""
        return self.vain[0] if self.is_stuck else self.at

    @property
    def vain(self) -> tuple[int, int]:
        """When the first and the last retransmission of this run were sent, ns."""
        last = self.at - self.fields["last_data_sent"] * _MS
        return last - round(self.fields["rto"] * _US * (1 - 2.0 ** (1 - self.fields["retransmits"]))), last


class Run(NamedTuple):
    """Looks at the same bytes being sent in vain; `after` is the next look at which more had been acknowledged."""

    looks: tuple[Look, ...]
    after: Look | None

    @property
    def begin(self) -> int:
        """When the first retransmission was sent."""
        return self.looks[0].vain[0]


@dataclass(frozen=True)
class Sender:
    """One side of one connection: who used it, and the looks at it, in order."""

    direction: Direction
    streams: tuple[int, ...]
    looks: tuple[Look, ...]

    @property
    def begin(self) -> int:
        """The first look."""
        return self.looks[0].at

    @property
    def end(self) -> int:
        """The last look."""
        return self.looks[-1].at

    @property
    def runs(self) -> Iterator[Run]:
        """In order."""
        stuck: list[Look] = []
        for look in self.looks:
            if stuck and look.acked > stuck[-1].acked:
                yield Run(tuple(stuck), look)
                stuck = []
            if look.is_stuck:
                stuck.append(look)
        if stuck:
            yield Run(tuple(stuck), None)


def senders(raw: RawRecords) -> list[Sender]:
    """All of a run, the client's first."""
    lines = {request.stream: request.connection for request in raw.requests if request.connection is not None}
    up = ((info.stream, Look(info.at, info.fields)) for info in raw.infos)
    return [*_of("up", up, lines), *_of("down", _answers(raw), lines)]


def _answers(raw: RawRecords) -> Iterator[tuple[int, Look]]:
    for served in raw.served:
        if served.stream is not None:
            yield served.stream, Look(served.received, served.tcp_info_at_start)
            yield served.stream, Look(served.ended, served.tcp_info)
    for unacked in raw.unacked:
        yield unacked.stream, Look(unacked.at, unacked.fields)


def _of(direction: Direction, looks: Iterable[tuple[int, Look]], lines: Mapping[int, int]) -> Iterator[Sender]:
    """Streams of one connection together; one whose connection nobody wrote down is alone."""
    seen: dict[tuple[bool, int], list[tuple[int, Look]]] = defaultdict(list)
    for stream, look in looks:
        if look.segment:
            seen[stream in lines, lines.get(stream, stream)].append((stream, look))
    for _, found in sorted(seen.items()):
        yield Sender(direction, tuple(sorted({stream for stream, _ in found})), _ordered(found))


def _ordered(found: Sequence[tuple[int, Look]]) -> tuple[Look, ...]:
    return tuple(sorted((look for _, look in found), key=lambda look: look.at))
