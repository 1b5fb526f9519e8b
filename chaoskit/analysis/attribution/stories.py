"""Tells single streams from the records: their tokens, phases and stalls, and whose these were."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import groupby
from pathlib import Path

import numpy as np

from chaoskit.analysis.attribution.evidence import StreamEvidence
from chaoskit.analysis.attribution.first_tokens import FirstTokens, Steps, first_tokens_of
from chaoskit.analysis.attribution.run_evidence import run_evidence, timeline_of
from chaoskit.analysis.attribution.stalls import verdicts
from chaoskit.analysis.attribution.verdict import Verdict
from chaoskit.analysis.load import RawRecords, load_records
from chaoskit.analysis.network.connections_seen import SeenConnections
from chaoskit.analysis.segments.captured_connections import Segments
from chaoskit.analysis.segments.links import Traffic
from chaoskit.analysis.streams.assemble import Stream
from chaoskit.analysis.streams.columns import Ints
from chaoskit.analysis.streams.timeline import Span
from chaoskit.analysis.streams.worst_first import stalled_times, worst_first
from chaoskit.errors import SpecError
from chaoskit.records.model import Request


@dataclass(frozen=True)
class Story:
    """One stream: the stamps of its tokens in ns, the phases that it touched, the verdicts on its stalls in order.

    `first_token` has the parts of the time to it; None where it never came. `packets` are those of its connection, None
    where they were not captured; `links` what passed those of a lab, from the far end to the client. `origin` is when
    the run began.
    """

    request: Request
    first_token: Steps | None
    tokens: Ints
    spans: tuple[Span, ...]
    verdicts: tuple[Verdict, ...]
    packets: Segments | None
    origin: int
    links: tuple[Traffic, ...] = ()

    @property
    def begin(self) -> int:
        """When it was scheduled."""
        return self.request.scheduled

    @property
    def end(self) -> int:
        """When it ended."""
        return max(self.request.ended, self.begin + 1)

    def tokens_in(self, parts: int) -> list[int]:
        """How many tokens came in each part of its time, all parts being equally long."""
        return self._counts(self.tokens, parts)

    def segments_in(self, parts: int) -> tuple[list[int], list[int]] | None:
        """Likewise how many segments of the server with data, and how many of these had been sent before."""
        if self.packets is None:
            return None
        down = self.packets.down
        during = (down.length > 0) & (down.at >= self.begin) & (down.at <= self.end)
        every, again = down.at[during], down.at[during & self.packets.sent_again]
        return self._counts(every, parts), self._counts(again, parts)

    def _counts(self, stamps: Ints, parts: int) -> list[int]:
        step = (self.end - self.begin) / parts
        places = np.clip((stamps - self.begin) / step, 0, parts - 1).astype(np.int64)
        return np.bincount(places, minlength=parts).tolist()  # type: ignore[no-any-return]


@dataclass(frozen=True)
class Stories:
    """Those that were asked for, the worst first, and how many streams of the run stalled."""

    told: tuple[Story, ...]
    stalled: int
    streams: int


def stories(run: Path, numbers: Sequence[int], worst: int) -> Stories:
    """The stories of these streams; without any, of so many with the longest stalls.

    Raises SpecError when this is no run directory, a record is invalid, or a number is not that of a stream.
    """
    raw = load_records(run)
    evidence = _evidence(raw)
    every = verdicts(raw.streams.gaps, evidence)
    found = {stream: tuple(group) for stream, group in groupby(every, key=lambda verdict: verdict.stall.gap.stream)}
    known = {stream.number: stream for stream in raw.streams.ended}
    for number in numbers:
        if number not in known:
            most = f"this run has streams {min(known)} to {max(known)}" if known else "no stream of this run ended"
            raise SpecError(f"there is no stream {number}: {most}")
    chosen = list(dict.fromkeys(numbers)) or worst_first(stalled_times(raw.streams.gaps))[:worst]
    first_tokens = first_tokens_of(raw, evidence)
    told = tuple(_story(raw, known[number], first_tokens, found.get(number, ())) for number in chosen)
    return Stories(told, len(found), len(known))


def _evidence(raw: RawRecords) -> StreamEvidence:
    seen = SeenConnections(raw.connection_ends, raw.host_sockets)
    return run_evidence(raw, timeline_of(raw), seen).evidence


def _story(raw: RawRecords, stream: Stream, first_tokens: FirstTokens, own: tuple[Verdict, ...]) -> Story:
    timeline, table, request = timeline_of(raw), raw.streams.table, stream.request
    first, after = table.rows_of(request.stream)
    spans = tuple(_touched(timeline.spans, request))
    packets = first_tokens.connection(request)
    links = tuple(_traffic(raw, request, packets))
    steps = first_tokens.steps(request)
    return Story(request, steps, table.at[first:after], spans, own, packets, timeline.begin, links)


def _traffic(raw: RawRecords, request: Request, packets: Segments | None) -> Iterator[Traffic]:
    way = raw.links.way(packets) if packets is not None else None
    if way is not None:
        yield from way.traffic(request.scheduled, request.ended)


def _touched(spans: Sequence[Span], request: Request) -> Iterator[Span]:
    """The phases in which it was open; the last one has what comes after it."""
    for span in spans:
        is_last = span is spans[-1]
        if span.begin <= request.ended and (request.scheduled < span.end or is_last):
            yield span
