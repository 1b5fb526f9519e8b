"""Selects the senders, retransmissions and deliveries of one direction in one phase.

Rules: a retransmission run is attributed to a phase as a gap is, and only its samples until the end of that phase
count. A sender that continued with segments of the same size by then has recovered from a loss, every other one is
stuck. Where the data arrived and was not acknowledged, the loss was in the other direction.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import pairwise
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from chaoskit.analysis.findings import Direction
from chaoskit.analysis.network.loss_odds import LossTally
from chaoskit.analysis.network.sender_state import RetransmissionRun, Sender, TcpInfoSample
from chaoskit.analysis.streams.assemble import Arrivals
from chaoskit.analysis.streams.timeline import FOREVER, Span, Timeline
from chaoskit.records.model import Request

_NEAR = 0.95  # of a full segment


@dataclass(frozen=True)
class SmallArrivals:
    """When something small arrived: handshakes, and reads of fewer than `below` bytes.

    Of a run of signs of life only the first and the last count, and only if all its reads were small.
    """

    handshakes: tuple[int, ...]
    arrivals: Arrivals
    below: int

    @cached_property
    def _stamps(self) -> NDArray[np.int64]:
        arrivals, signs = self.arrivals, self.arrivals.signs
        all_small = signs.largest < self.below
        small = arrivals.at[arrivals.size < self.below]
        found = np.concatenate((self.handshakes, signs.first[all_small], signs.last[all_small], small))
        return np.sort(found.astype(np.int64, copy=False))

    def any_between(self, begin: int, until: int) -> bool:
        """Whether one arrived from `begin` to before `until`."""
        place = int(np.searchsorted(self._stamps, begin))
        return place < len(self._stamps) and int(self._stamps[place]) < until


class StuckRun(NamedTuple):
    """A retransmission run, and its last sample before the phase was over."""

    sender: Sender
    run: RetransmissionRun
    last: TcpInfoSample


def overlaps(span: Span, begin: int, end: int) -> bool:
    """Whether this interval overlaps the span."""
    return begin <= _until(span) and end >= span.begin


def _until(span: Span) -> int:
    """When its faults were removed, or its time was over; those of the last phase stay for the drain."""
    return max(span.end, span.cleared)


def _end(span: Span) -> int:
    """The end of its time; the last phase has the drain too."""
    return FOREVER if span.cleared == FOREVER else span.end


@dataclass(frozen=True)
class DirectionView:
    """One direction in one phase. `small` arrived without filling a segment; `receivers` are the opposite senders."""

    direction: Direction
    spans: tuple[Span, ...]
    timeline: Timeline
    requests: Mapping[int, Request]
    senders: tuple[Sender, ...]
    receivers: tuple[Sender, ...]
    small: SmallArrivals

    def contains(self, stamp: int) -> bool:
        """Whether the stamp lies in this phase."""
        return any(span.begin <= stamp < _end(span) for span in self.spans)

    def is_in_force(self, stamp: int) -> bool:
        """The same without the time until the faults were set."""
        return any(span.ready <= stamp < _end(span) for span in self.spans)

    def charged_span(self, begin: int, end: int) -> Span | None:
        """The span that this interval is attributed to, if it is one of this phase."""
        span = self.timeline.span_charged(begin, end)
        return span if span in self.spans else None

    @cached_property
    def streams_sent(self) -> frozenset[int]:
        """The streams whose request was sent in this phase."""
        sent = {stream: request.sent for stream, request in self.requests.items()}
        return frozenset(stream for stream, stamp in sent.items() if stamp is not None and self.contains(stamp))

    def open_streams(self, sender: Sender, begin: int, end: int) -> set[int]:
        """Which of a sender's streams were open in this interval; those without a recorded end count as open."""
        known = {stream: self.requests[stream] for stream in sender.streams if stream in self.requests}
        return {
            stream
            for stream in sender.streams
            if stream not in known or (known[stream].started <= end and known[stream].ended >= begin)
        }

    @cached_property
    def stuck(self) -> tuple[StuckRun, ...]:
        """The runs that only the phase's end, or a smaller segment, ended."""
        return tuple(self._stuck_runs())

    def _stuck_runs(self) -> Iterable[StuckRun]:
        for sender in self.senders:
            for run in sender.runs:
                span = self.charged_span(run.begin, run.samples[0].at)
                if span is None:
                    continue
                until = _until(span)
                samples = [sample for sample in run.samples if sample.at <= until]
                if not samples or self._arrived(sender, samples[-1]):
                    continue
                continued = run.after is not None and run.after.at <= until
                if not continued:
                    yield StuckRun(sender, run, samples[-1])

    @cached_property
    def _receiving(self) -> Mapping[int, Sender]:
        """The other side of each stream's connection."""
        return {stream: receiver for receiver in self.receivers for stream in receiver.streams}

    def _arrived(self, sender: Sender, sample: TcpInfoSample) -> bool:
        """Whether the other side had received more than was acknowledged: then the loss is in the other direction."""
        receiver = next((self._receiving[stream] for stream in sender.streams if stream in self._receiving), None)
        received = [theirs for theirs in receiver.samples if theirs.at <= sample.at] if receiver else []
        seen = max((theirs.fields.get("bytes_received", 0) for theirs in received), default=0)
        return seen > sample.bytes_acked + 1  # the SYN may count as one

    def independent_losses(self, sample: TcpInfoSample) -> int:
        """How often its oldest segment was lost, where something small passed since the loss before.

        What was acknowledged out of order was sent with it, and passed.
        """
        times = sample.transmission_times
        has_passed = [self.small.any_between(*pair) for pair in pairwise(times)]
        has_passed[0] = has_passed[0] or bool(sample.fields.get("sacked", 0))
        return 1 + sum(has_passed)

    def loss_tally(self) -> LossTally:
        """What arrived and what was lost in this direction, without the runs that were stuck or escaped."""
        arrived = lost = 0
        for sender in self.senders:
            here = [sample for sample in sender.samples if self.contains(sample.at)]
            full = [sample for sample in here if sample.snd_mss >= sender.samples[0].snd_mss]
            if full:
                last = full[-1]
                arrived += last.fields.get("delivered", 0)
                lost += max(0, last.fields.get("total_retrans", 0) - last.transmissions * last.is_stuck)
        failed = [request for request in self.requests.values() if request.completion == "connect_failed"]
        return LossTally(arrived, lost + sum(self.contains(request.started) for request in failed))

    def streams_passing(self, segment: int) -> set[int]:
        """Streams of connections made under this phase's faults on which segments of this size arrived under them."""
        found: set[int] = set()
        for receiver in self.receivers:
            if self.is_in_force(receiver.samples[0].at):
                found |= _receiving_full_segments(
                    receiver, [sample for sample in receiver.samples if self.is_in_force(sample.at)], segment
                )
        for sender in self.senders:
            here = [sample for sample in sender.samples if self.is_in_force(sample.at) and sample.snd_mss >= segment]
            if self.direction == "up" and here and here[-1].bytes_acked - here[0].bytes_acked >= 2 * segment:
                found |= set(sender.streams)  # a client writes a request in one piece
        return found

    def small_packets_pass(self) -> bool:
        """Whether small packets arrived between the first unacknowledged retransmission and the last."""
        begin, end = (
            min(stuck.run.begin for stuck in self.stuck),
            max(stuck.last.retransmission_span[1] for stuck in self.stuck),
        )
        return any(
            self.small.any_between(max(begin, span.begin), min(end + 1, _end(span)))
            for span in self.spans
            if span.begin <= end
        )


def _receiving_full_segments(receiver: Sender, samples: Sequence[TcpInfoSample], segment: int) -> set[int]:
    largest = max((sample.fields.get("rcv_mss", 0) for sample in samples), default=0)
    return set(receiver.streams) if largest >= _NEAR * segment else set()
