"""The streams' measurements, each charged to one phase. The whole run is a part as well, its warm-up apart."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

from chaoskit.analysis.latencies import Latency, latencies, settle
from chaoskit.analysis.streams import Gap, Stream
from chaoskit.analysis.timeline import Span, Timeline

WHOLE = ""  # the name of the part that is everything
WARM_UP = "warm-up"
SECOND = 10**9


@dataclass(frozen=True, eq=False)
class Part:
    """What belongs to one phase.

    `streams` are those charged to it as a whole; `times` holds (stream, ns) for each latency by name, `gaps`
    the gaps by stream; both may name streams that as a whole belong to a neighbour.
    """

    name: str
    seconds: float
    streams: tuple[Stream, ...]
    times: dict[str, list[tuple[int, float]]]
    gaps: dict[int, list[Gap]]
    tokens: int

    @property
    def judged(self) -> tuple[Stream, ...]:
        """Its streams without those that our own end of the run cut off."""
        return tuple(stream for stream in self.streams if not stream.is_cancelled)

    @property
    def interrupted(self) -> tuple[Stream, ...]:
        """Its streams that died."""
        return tuple(stream for stream in self.streams if stream.is_interrupted)


@dataclass
class _Draft:
    seconds: float = 0.0
    streams: list[Stream] = field(default_factory=list)
    times: dict[str, list[Latency]] = field(default_factory=lambda: defaultdict(list))
    gaps: dict[int, list[Gap]] = field(default_factory=lambda: defaultdict(list))
    tokens: int = 0


def parts(found: Iterable[Stream], timeline: Timeline) -> dict[str, Part]:
    """A part for each phase by name, and one for the whole run under "" (`WHOLE`)."""
    drafts = {name: _Draft() for name in (*timeline.names, WHOLE)}
    for span in timeline.spans:
        for draft in _shares(drafts, span):
            draft.seconds += (span.end - span.begin) / SECOND
    for stream in found:
        _charge(stream, timeline, drafts)
    return {name: _part(name, draft) for name, draft in drafts.items()}


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
    for gap in stream.gaps:
        for draft in _shares(drafts, timeline.charge(gap.before.at, gap.end)):
            draft.gaps[gap.stream].append(gap)
    for token in stream.tokens:
        span = timeline.at(token.at)
        if span.begin <= token.at <= span.end:
            for draft in _shares(drafts, span):
                draft.tokens += 1


def _shares(drafts: dict[str, _Draft], span: Span) -> Sequence[_Draft]:
    own = drafts[span.name]
    return (own,) if span.name == WARM_UP else (own, drafts[WHOLE])


def _part(name: str, draft: _Draft) -> Part:
    times = {latency: settle(found) for latency, found in draft.times.items()}
    times["max_gap"] = [(stream, float(max(gap.length for gap in gaps))) for stream, gaps in draft.gaps.items()]
    return Part(name, draft.seconds, tuple(draft.streams), times, dict(draft.gaps), draft.tokens)
