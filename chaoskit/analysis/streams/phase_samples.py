"""The streams' measurements, each charged to one phase. The whole run is a part as well, its warm-up apart."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from functools import cached_property

import numpy as np

from chaoskit.analysis.streams.assemble import Stream, Streams
from chaoskit.analysis.streams.columns import Ints
from chaoskit.analysis.streams.gaps import Gaps, Sums
from chaoskit.analysis.streams.latencies import Latency, latencies, settle
from chaoskit.analysis.streams.timeline import Span, Timeline

WHOLE = ""  # the name of the part that is everything
WARM_UP = "warm-up"
SECOND = 10**9
_AT_ONCE = 1_000_000  # tokens that are looked at at a time


@dataclass(frozen=True, eq=False)
class PhaseSamples:
    """What belongs to one phase.

    `streams` are those charged to it as a whole; `times` holds (stream, ns) for each latency by name; both these
    and `gaps` may be of streams that as a whole belong to a neighbour.
    """

    name: str
    seconds: float
    streams: tuple[Stream, ...]
    times: dict[str, list[tuple[int, float]]]
    gaps: Gaps
    tokens: int

    @cached_property
    def by_stream(self) -> ByStream:
        """Its gaps, summed up."""
        gaps = self.gaps
        sums = Sums(gaps)
        return ByStream(
            streams=sums.streams,
            counts=sums.counts,
            length=sums.of(gaps.length),
            wait=sums.of(gaps.wait),
            stalls=sums.of(gaps.are_stalls),
        )

    @property
    def judged(self) -> tuple[Stream, ...]:
        """Its streams without those that our own end of the run cut off."""
        return tuple(stream for stream in self.streams if not stream.is_cancelled)

    @property
    def interrupted(self) -> tuple[Stream, ...]:
        """Its streams that died."""
        return tuple(stream for stream in self.streams if stream.is_interrupted)


@dataclass(frozen=True)
class ByStream:
    """Of each stream's gaps: how many there are, the sum of their lengths and waits in ns, how many are stalls."""

    streams: list[int]
    counts: list[int]
    length: list[int]
    wait: list[int]
    stalls: list[int]


@dataclass
class _Draft:
    seconds: float = 0.0
    streams: list[Stream] = field(default_factory=list)
    times: dict[str, list[Latency]] = field(default_factory=lambda: defaultdict(list))
    tokens: int = 0


def parts(found: Streams, timeline: Timeline) -> dict[str, PhaseSamples]:
    """A part for each phase by name, and one for the whole run under "" (`WHOLE`)."""
    drafts = {name: _Draft() for name in (*timeline.names, WHOLE)}
    for span in timeline.spans:
        for draft in _shares(drafts, span):
            draft.seconds += (span.end - span.begin) / SECOND
    for stream in found.each:
        _charge(stream, timeline, drafts)
    for span, tokens in _tokens(found.table.at, timeline):
        for draft in _shares(drafts, span):
            draft.tokens += tokens
    gaps = _gaps(found.gaps, timeline)
    return {name: _part(name, drafts.pop(name), gaps[name]) for name in list(drafts)}


def home(stream: Stream, timeline: Timeline) -> Span:
    """The span that a stream as a whole belongs to: that of its death, or else of its scheduled time."""
    if stream.is_interrupted:
        return timeline.charge(stream.alive, stream.request.ended)
    return timeline.charge(stream.request.scheduled, stream.request.scheduled)


def _charge(stream: Stream, timeline: Timeline, drafts: dict[str, _Draft]) -> None:
    for draft in _shares(drafts, home(stream, timeline)):
        draft.streams.append(stream)
    for latency in latencies(stream):
        for draft in _shares(drafts, timeline.charge(latency.begin, latency.end)):
            draft.times[latency.name].append(latency)


def _tokens(at: Ints, timeline: Timeline) -> Iterator[tuple[Span, int]]:
    """How many tokens came while each span lasted."""
    if not timeline.spans:
        return
    ends = np.array([span.end for span in timeline.spans], dtype=np.int64)
    counts = np.zeros(len(ends), dtype=np.int64)
    for first in range(0, len(at), _AT_ONCE):
        some = at[first : first + _AT_ONCE]
        index = timeline.index_at(some)
        is_within = (some >= timeline.begin) & (some <= ends[index])
        counts += np.bincount(index[is_within], minlength=len(ends))
    yield from zip(timeline.spans, counts.tolist(), strict=True)


def _gaps(gaps: Gaps, timeline: Timeline) -> dict[str, Gaps]:
    """Those of each part."""
    if not timeline.spans:
        return {WHOLE: gaps}
    names = timeline.names
    of_span = np.array([names.index(span.name) for span in timeline.spans], dtype=np.int32)
    charged = [of_span[timeline.index_charged(some.begin, some.begin + some.length)] for some in gaps.batches()]
    place = np.concatenate([np.empty(0, dtype=np.int32), *charged])
    found = {name: gaps.those(place == number) for number, name in enumerate(names)}
    found[WHOLE] = gaps.those(place != names.index(WARM_UP)) if WARM_UP in names else gaps
    return found


def _shares(drafts: dict[str, _Draft], span: Span) -> Sequence[_Draft]:
    own = drafts[span.name]
    return (own,) if span.name == WARM_UP else (own, drafts[WHOLE])


def _part(name: str, draft: _Draft, gaps: Gaps) -> PhaseSamples:
    times = {latency: settle(found) for latency, found in draft.times.items()}
    sums = Sums(gaps)
    times["max_gap"] = [
        (stream, float(longest)) for stream, longest in zip(sums.streams, sums.largest(gaps.length), strict=True)
    ]
    return PhaseSamples(name, draft.seconds, tuple(draft.streams), times, gaps, draft.tokens)
