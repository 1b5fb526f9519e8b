"""Tells single streams from the records: their tokens, phases and stalls, and whose these were."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import groupby
from pathlib import Path

import numpy as np

from chaoskit.analysis.attribution.first_tokens import FirstTokens, Steps, first_tokens_of
from chaoskit.analysis.attribution.interruptions import interruption_cause
from chaoskit.analysis.attribution.run_evidence import RunEvidence, run_evidence, timeline_of
from chaoskit.analysis.attribution.stalls import verdicts
from chaoskit.analysis.attribution.verdict import Verdict
from chaoskit.analysis.findings import is_black_hole
from chaoskit.analysis.load import RawRecords, load_records
from chaoskit.analysis.network.closings import closings
from chaoskit.analysis.network.connections_seen import SeenConnections
from chaoskit.analysis.network.path_mtu import path_mtu
from chaoskit.analysis.result import Cause
from chaoskit.analysis.segments.captured_connections import Segments
from chaoskit.analysis.segments.links import Traffic
from chaoskit.analysis.streams.assemble import Stream
from chaoskit.analysis.streams.columns import Ints
from chaoskit.analysis.streams.timeline import Span
from chaoskit.errors import SpecError
from chaoskit.records.model import Request


@dataclass(frozen=True)
class Interruption:
    """Whose it is that a stream was cut off, and what was seen of its end; "" where nothing was."""

    cause: Cause
    sentence: str = ""


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
    interruption: Interruption | None = None

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
    """Those that were asked for, the worst first, how many streams of the run stalled, and how others were cut off.

    `interrupted`: how many streams ended by each completion that is an interruption. `lost`: what is known of full
    segments that were lost, a sentence for each phase and direction.
    """

    told: tuple[Story, ...]
    stalled: int
    streams: int
    interrupted: Mapping[str, int]
    lost: tuple[str, ...] = ()


def stories(run: Path, numbers: Sequence[int], worst: int) -> Stories:
    """The stories of these streams; without any, of so many with the longest stalls, and then of those cut off.

    Raises SpecError when this is no run directory, a record is invalid, or a number is not that of a stream.
    """
    raw = load_records(run)
    whole = run_evidence(raw, timeline_of(raw), SeenConnections(raw.connection_ends, raw.host_sockets))
    evidence = whole.evidence
    every = verdicts(raw.streams.gaps, evidence)
    found = {stream: tuple(group) for stream, group in groupby(every, key=lambda verdict: verdict.stall.gap.stream)}
    known = {stream.number: stream for stream in raw.streams.ended}
    for number in numbers:
        if number not in known:
            most = f"this run has streams {min(known)} to {max(known)}" if known else "no stream of this run ended"
            raise SpecError(f"there is no stream {number}: {most}")
    cut = [stream for stream in known.values() if stream.is_interrupted]
    order = sorted(found, key=lambda stream: (-sum(each.stall.time for each in found[stream]), stream))
    order += sorted(stream.number for stream in cut if stream.number not in found)
    chosen = list(dict.fromkeys(numbers)) or order[:worst]
    first_tokens = first_tokens_of(raw, evidence)
    told = tuple(
        replace(
            _story(raw, known[number], first_tokens, found.get(number, ())),
            interruption=_interruption(known[number], found.get(number, ()), whole),
        )
        for number in chosen
    )
    lost = tuple(_lost(raw)) if cut else ()
    return Stories(told, len(found), len(known), Counter(stream.request.completion for stream in cut), lost)


def _lost(raw: RawRecords) -> Iterator[str]:
    for name, of_phase in path_mtu(raw, timeline_of(raw)).items():
        yield from (f"in {name}: {each.sentence}" for each in of_phase if is_black_hole(each))


def _interruption(stream: Stream, own: Sequence[Verdict], whole: RunEvidence) -> Interruption | None:
    """Whose it was, by the same evidence as in a report."""
    if not stream.is_interrupted:
        return None
    ended = next((each for each in whole.ended if each.stream.number == stream.number), None)
    died = next((each for each in own if each.stall.after is None), None)
    cause = interruption_cause(stream, ended, died, whole.evidence)
    seen = closings([ended], 1, 0) if ended is not None else ()
    return Interruption(cause, seen[0].sentence if seen else "")


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
