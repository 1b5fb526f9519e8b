"""Records which host began and ended which TCP connection, as each namespace of a lab received it.

Rules: nothing is read unless something has arrived; one poll takes a bounded number of segments, and the kernel keeps
or counts the rest; what was lost is written down when the capture ends.
"""

from __future__ import annotations

import select
from collections.abc import Iterable
from contextlib import AbstractContextManager, ExitStack
from typing import Protocol

from chaoskit.clock import Clock, realtime_offset
from chaoskit.kernel.segment_capture import ACK, FIN, RST, SYN, Captured, SegmentCapture
from chaoskit.records.host_records import ConnectionEnd, EndKind
from chaoskit.records.jsonl import Log
from chaoskit.records.model import Counters
from chaoskit.topology.places import Places

KIND = "connection-ends"  # of counters
_MOST = 5000  # segments of one namespace in one poll
_SECOND = 10**9


class Namespaces(Protocol):
    """The part of a kernel that leads into its namespaces."""

    def inside(self, place: str) -> AbstractContextManager[None]:
        """Runs the body in that namespace; sockets that are created there stay there."""


class ConnectionEnds:
    """A capture in each namespace."""

    def __init__(self, kernel: Namespaces, places: Places, clock: Clock) -> None:
        """Raises RefusedError where this kernel cannot capture."""
        self._places, self._clock = places, clock
        self._captures: dict[int, tuple[str, SegmentCapture]] = {}
        self._poll = select.poll()
        with ExitStack() as opened:
            for place in places.all:
                with kernel.inside(place):
                    capture = SegmentCapture()
                opened.callback(capture.close)
                self._captures[capture.fileno()] = (place, capture)
                self._poll.register(capture.fileno(), select.POLLIN)
            self._closing = opened.pop_all()
        self._offset, self._offset_at = realtime_offset(), clock.now()

    def poll(self, log: Log) -> None:
        """Record what has arrived since the last call, in the order of its stamps."""
        ready = self._poll.poll(0)
        if not ready:
            return
        if self._clock.now() - self._offset_at >= _SECOND:
            self._offset, self._offset_at = realtime_offset(), self._clock.now()
        found = [
            self._record(place, each)
            for place, capture in (self._captures[descriptor] for descriptor, _ in ready)
            for each in capture.read(_MOST)
        ]
        for record in sorted(found, key=lambda each: each.at):
            log.add(record)
        log.flush()

    def totals(self) -> Iterable[Counters]:
        """How many segments each namespace had since the last call, and how many of them were lost."""
        at = self._clock.now()
        for place, capture in self._captures.values():
            count, dropped = capture.statistics()
            yield Counters(at, place, "", "", 0, count, 0, dropped, 0, 0, 0, KIND)

    def close(self) -> None:
        """Capture no more."""
        self._closing.close()

    def _record(self, place: str, captured: Captured) -> ConnectionEnd:
        segment = captured.segment
        return ConnectionEnd(
            at=max(0, captured.at - self._offset),
            place=place,
            link=captured.link,
            kind=end_kind(segment.flags),
            sender=self._places.name(segment.source),
            sender_port=segment.source_port,
            receiver=self._places.name(segment.destination),
            receiver_port=segment.destination_port,
        )


def end_kind(flags: int) -> EndKind:
    """What a segment with these flags does to its connection."""
    if flags & RST:
        return "rst"
    if flags & FIN:
        return "fin"
    return "syn-ack" if flags & (SYN | ACK) == SYN | ACK else "syn"
