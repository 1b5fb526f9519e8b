"""One direction of the network in one phase: who sent, what died, what passed.

Rules: a run is charged to a phase as a gap is, and is looked at only until that phase is over; what went on with
segments of the same size by then has survived a loss, all else is held. What arrived without being acknowledged
died on the other way.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import NamedTuple

from chaoskit.analysis.network.loss_odds import Tally
from chaoskit.analysis.network.sender_state import Look, Run, Sender
from chaoskit.analysis.result import Direction
from chaoskit.analysis.streams.assemble import Heard
from chaoskit.analysis.streams.columns import Ints
from chaoskit.analysis.streams.timeline import FOREVER, Span, Timeline
from chaoskit.records.model import Request

_NEAR = 0.95  # of a full segment


@dataclass(frozen=True)
class Small:
    """Moments at which something small arrived: handshakes, and reads of fewer than `least` bytes.

    Of a run of signs of life only the first and the last are known, and only if all its reads were small.
    """

    handshakes: tuple[int, ...]
    heard: Heard
    least: int

    def came(self, begin: int, until: int) -> bool:
        """Whether one arrived then; `until` is no longer part of it."""
        if any(begin <= at < until for at in self.handshakes):
            return True
        heard, signs = self.heard, self.heard.signs
        all_small = signs.largest < self.least
        return (
            _any_within(signs.first[all_small], begin, until)
            or _any_within(signs.last[all_small], begin, until)
            or _any_within(heard.at[heard.size < self.least], begin, until)
        )


def _any_within(stamps: Ints, begin: int, until: int) -> bool:
    return bool(((stamps >= begin) & (stamps < until)).any())


class Held(NamedTuple):
    """A run, and the last look at it before the phase was over."""

    sender: Sender
    run: Run
    last: Look


def over(span: Span, begin: int, end: int) -> bool:
    """Whether this stretch of time has a part in the span."""
    return begin <= _until(span) and end >= span.begin


def _until(span: Span) -> int:
    """When its faults were gone, or its time was over."""
    return max(span.end, span.cleared if span.cleared != FOREVER else 0)


@dataclass(frozen=True)
class DirectionView:
    """`small` is what arrived without filling a segment, `receivers` the other side's view of connections."""

    direction: Direction
    spans: tuple[Span, ...]
    course: Timeline
    requests: Mapping[int, Request]
    senders: tuple[Sender, ...]
    receivers: tuple[Sender, ...]
    small: Small

    def has(self, stamp: int) -> bool:
        """Whether it lies in this phase."""
        return any(span.begin <= stamp < span.end for span in self.spans)

    def pays(self, begin: int, end: int) -> Span | None:
        """The span that this stretch of time is charged to, if it is one of ours."""
        span = self.course.charge(begin, end)
        return span if span in self.spans else None

    @cached_property
    def asked(self) -> frozenset[int]:
        """The streams whose request was sent here."""
        return frozenset(n for n, one in self.requests.items() if one.sent is not None and self.has(one.sent))

    def open(self, sender: Sender, begin: int, end: int) -> set[int]:
        """Which of a sender's streams were open then; those whose end was not written down are."""
        known = {stream: self.requests[stream] for stream in sender.streams if stream in self.requests}
        return {
            stream
            for stream in sender.streams
            if stream not in known or (known[stream].started <= end and known[stream].ended >= begin)
        }

    @cached_property
    def held(self) -> tuple[Held, ...]:
        """The runs that nothing but the phase's end, or a smaller segment, ended."""
        return tuple(one for one, survived in self._runs() if not survived)

    @cached_property
    def survived(self) -> tuple[int, ...]:
        """The deaths in a row of segments that arrived in the end."""
        return tuple(one.last.deaths for one, survived in self._runs() if survived)

    def _runs(self) -> Iterable[tuple[Held, bool]]:
        for sender in self.senders:
            for run in sender.runs:
                span = self.pays(run.begin, run.looks[0].at)
                if span is None:
                    continue
                until = _until(span)
                looks = [look for look in run.looks if look.at <= until]
                if not looks or self._arrived(sender, looks[-1]):
                    continue
                went_on = run.after is not None and run.after.at <= until
                if not went_on:
                    yield Held(sender, run, looks[-1]), False
                elif run.after is not None and run.after.segment >= looks[-1].segment:
                    yield Held(sender, run, looks[-1]), True

    @cached_property
    def _receiving(self) -> Mapping[int, Sender]:
        """The other side of each stream's connection."""
        return {stream: receiver for receiver in self.receivers for stream in receiver.streams}

    def _arrived(self, sender: Sender, look: Look) -> bool:
        """Whether the other side had more by then than it could acknowledge: it is the way back that is broken."""
        receiver = next((self._receiving[stream] for stream in sender.streams if stream in self._receiving), None)
        theirs = [there for there in receiver.looks if there.at <= look.at] if receiver else []
        seen = max((there.fields.get("bytes_received", 0) for there in theirs), default=0)
        return seen > look.acked + 1  # the SYN may count as one

    def tally(self) -> Tally:
        """What arrived and what was lost on this way, but for the held and for what became smaller."""
        arrived = lost = 0
        runs = {id(one.sender): one.last.deaths for one in self.held}
        for sender in self.senders:
            here = [look for look in sender.looks if self.has(look.at)]
            if here and here[-1].segment >= sender.looks[0].segment:
                arrived += here[-1].fields.get("delivered", 0)
                lost += max(0, here[-1].fields.get("total_retrans", 0) - runs.get(id(sender), 0))
        failed = [one for one in self.requests.values() if one.completion == "connect_failed"]
        return Tally(arrived, lost + sum(self.has(one.started) for one in failed))

    def passed(self, segment: int) -> set[int]:
        """Streams of connections made here on which segments of this size arrived while the phase lasted."""
        found: set[int] = set()
        for receiver in self.receivers:
            if self.has(receiver.looks[0].at):
                found |= _of(receiver, [look for look in receiver.looks if self.has(look.at)], segment)
        for sender in self.senders:
            here = [look for look in sender.looks if self.has(look.at) and look.segment >= segment]
            if self.direction == "up" and here and here[-1].acked - here[0].acked >= 2 * segment:
                found |= set(sender.streams)  # a client hands a request on in one piece
        return found

    def passing(self) -> bool:
        """Whether small ones arrived between the first vain retransmission and the last."""
        begin, end = min(one.run.begin for one in self.held), max(one.last.vain[1] for one in self.held)
        return any(
            self.small.came(max(begin, span.begin), min(end + 1, span.end)) for span in self.spans if span.begin <= end
        )


def _of(receiver: Sender, looks: Sequence[Look], segment: int) -> set[int]:
    biggest = max((look.fields.get("rcv_mss", 0) for look in looks), default=0)
    return set(receiver.streams) if biggest >= _NEAR * segment else set()
