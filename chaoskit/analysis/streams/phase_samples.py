"""Attributes each stream's measurements to one phase, and to the whole run without its warm-up."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from types import MappingProxyType

import numpy as np

from chaoskit.analysis.statistics.censored import CensoredTimes
from chaoskit.analysis.streams.assemble import Stream, Streams
from chaoskit.analysis.streams.connection_groups import Groups, groups
from chaoskit.analysis.streams.gaps import Gaps, GapTable
from chaoskit.analysis.streams.latencies import ALL_REACHED, Latency, Unreached, latencies, resolve_censored
from chaoskit.analysis.streams.stream_sums import StreamSums, group_starts
from chaoskit.analysis.streams.timeline import Span, Timeline
from chaoskit.analysis.streams.token_counts import TokenCounts

WHOLE_RUN = ""  # the name of the samples of all phases but the warm-up
WARM_UP = "warm-up"
SECOND = 10**9
OF_ALL_STREAMS = ("interruption_rate", "empty_rate", "short_rate")
"""The shares whose whole is all streams."""
_BATCH = 1_000_000  # tokens that are processed at a time


@dataclass(frozen=True, eq=False)
class PhaseSamples:
    """The measurements of one phase.

    `streams` are those attributed to it as a whole; `times` holds (stream, ns) for each latency by name, `unreached`
    what is known of those without an end; `tokens` has the number of each stream's tokens that arrived in it, `events`
    that of its events with text. `delivered` are the complete streams whose last token arrived in it: what arrives in
    the drain is in no phase. All but `streams` may be of streams that as a whole belong to another phase. `told` is
    what spans say of streams, by the metric that counts them: whether each one counts. `population` names the streams
    that it is about, `only_of` are their numbers; "" and None for all. `groups` are those of the whole run.
    """

    name: str
    seconds: float
    streams: tuple[Stream, ...]
    times: dict[str, list[tuple[int, float]]]
    gaps: Gaps
    tokens: Mapping[int, float]
    events: Mapping[int, int]
    delivered: frozenset[int] = frozenset()
    told: Mapping[str, Mapping[int, bool]] = field(default_factory=dict)
    population: str = ""
    only_of: frozenset[int] | None = None
    unreached: Mapping[str, Unreached] = field(default_factory=dict)
    groups: Groups = Groups()  # noqa: RUF009  frozen

    def only(self, numbers: frozenset[int], population: str) -> PhaseSamples:
        """The measurements of these streams alone."""
        return replace(
            self,
            streams=tuple(stream for stream in self.streams if stream.number in numbers),
            times={name: [pair for pair in pairs if pair[0] in numbers] for name, pairs in self.times.items()},
            gaps=self.gaps.select(np.isin(self.gaps.stream, list(numbers))),
            tokens={number: tokens for number, tokens in self.tokens.items() if number in numbers},
            events={number: events for number, events in self.events.items() if number in numbers},
            delivered=self.delivered & numbers,
            population=population,
            only_of=numbers,
            unreached={name: known.only(numbers) for name, known in self.unreached.items()},
        )

    def times_of(self, name: str) -> CensoredTimes:
        """The times of a latency."""
        return CensoredTimes(self.times.get(name, ()), self.unreached.get(name, ALL_REACHED))

    @cached_property
    def by_stream(self) -> PerStreamSums:
        """The sums of its gaps by stream."""
        gaps = self.gaps
        sums = StreamSums(gaps)
        return PerStreamSums(
            streams=sums.streams,
            counts=sums.counts,
            length=sums.of(gaps.length),
            wait=sums.of(gaps.wait),
            stalls=sums.of(gaps.are_stalls),
        )

    @property
    def counted(self) -> tuple[Stream, ...]:
        """Its streams without those that the end of the run cut off, or that this machine could not run."""
        return tuple(stream for stream in self.streams if stream.is_counted)

    @property
    def has_moved(self) -> bool:
        """Whether any of its streams received a token: where none did, nothing can be said of stalls."""
        streams = self.counted
        return not streams or any(stream.events for stream in streams)

    @property
    def interrupted(self) -> tuple[Stream, ...]:
        """Its streams that were interrupted."""
        return tuple(stream for stream in self.streams if stream.is_interrupted)

    def share_of_streams(self, metric: str) -> tuple[Stream, ...]:
        """Those of its streams that a share of streams counts."""
        match metric:
            case "interruption_rate":
                return self.interrupted
            case "empty_rate":
                return tuple(stream for stream in self.streams if stream.request.flag == "empty")
            case "short_rate":
                return tuple(stream for stream in self.streams if stream.request.flag == "short")
        told = self.told.get(metric, {})
        return tuple(stream for stream in self.counted if told.get(stream.number))

    def base_of_share(self, metric: str) -> tuple[Stream, ...]:
        """Those of its streams that a share of streams is a share of."""
        if metric in OF_ALL_STREAMS:
            return self.counted
        told = self.told.get(metric, {})
        return tuple(stream for stream in self.counted if stream.number in told)


@dataclass(frozen=True)
class PerStreamSums:
    """For each stream: the number of gaps, the sums of their lengths and waits in ns, the number of stalls."""

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
    events: Counter[int] = field(default_factory=Counter)
    delivered: set[int] = field(default_factory=set)


def phase_samples(
    streams: Streams,
    timeline: Timeline,
    more: Iterable[Latency] = (),
    told: Mapping[str, Mapping[int, bool]] = MappingProxyType({}),
) -> dict[str, PhaseSamples]:
    """The samples of each phase by name, and of the whole run under `WHOLE_RUN`.

    `more` are latencies beyond those of the streams, `told` is as in `PhaseSamples`.
    """
    drafts = {name: _Draft() for name in (*timeline.names, WHOLE_RUN)}
    for span in timeline.spans:
        for draft in _drafts_of(drafts, span):
            draft.seconds += (span.end - span.begin) / SECOND
    for latency in more:
        _attribute_latency(latency, timeline, drafts)
    for stream in streams.ended:
        _attribute(stream, timeline, drafts)
        end = stream.request.last_token or stream.request.ended
        span = timeline.span_at(end)
        if stream.is_complete and timeline.begin <= end <= span.end:
            for draft in _drafts_of(drafts, span):
                draft.delivered.add(stream.number)
    for span, events in _events(streams.table, timeline):
        for draft in _drafts_of(drafts, span):
            draft.events += events
    gaps = _gaps(streams.gaps, timeline)
    counts = streams.table.token_counts
    found = {name: _samples(name, drafts.pop(name), gaps[name], counts) for name in list(drafts)}
    shared = groups(stream.request for stream in streams.ended)
    return {name: replace(sample, told=told, groups=shared) for name, sample in found.items()}


def span_of_stream(stream: Stream, timeline: Timeline) -> Span:
    """The span that a stream as a whole belongs to: that of its interruption, else of its scheduled time."""
    if stream.is_interrupted:
        return timeline.span_charged(stream.last_sign_of_life, stream.request.ended)
    return timeline.span_charged(stream.request.scheduled, stream.request.scheduled)


def _attribute(stream: Stream, timeline: Timeline, drafts: dict[str, _Draft]) -> None:
    for draft in _drafts_of(drafts, span_of_stream(stream, timeline)):
        draft.streams.append(stream)
    for latency in latencies(stream):
        _attribute_latency(latency, timeline, drafts)


def _attribute_latency(latency: Latency, timeline: Timeline, drafts: dict[str, _Draft]) -> None:
    for draft in _drafts_of(drafts, timeline.span_charged(latency.begin, latency.end)):
        draft.times[latency.name].append(latency)


def _events(table: GapTable, timeline: Timeline) -> Iterator[tuple[Span, Counter[int]]]:
    """How many events with text of each stream arrived in each span."""
    if not timeline.spans:
        return
    ends = np.array([span.end for span in timeline.spans], dtype=np.int64)
    counts: list[Counter[int]] = [Counter() for _ in ends]
    for first in range(0, len(table.at), _BATCH):
        at, stream = table.at[first : first + _BATCH], table.stream[first : first + _BATCH]
        index = timeline.indices_at(at)
        is_within = (at >= timeline.begin) & (at <= ends[index])
        index, stream = index[is_within], stream[is_within]
        for span in np.flatnonzero(np.bincount(index)).tolist():
            ordered = stream[index == span]
            starts = group_starts(ordered)
            found = np.diff(starts, append=len(ordered))
            counts[span].update(dict(zip(ordered[starts].tolist(), found.tolist(), strict=True)))
    yield from zip(timeline.spans, counts, strict=True)


def _gaps(gaps: Gaps, timeline: Timeline) -> dict[str, Gaps]:
    """The gaps of each phase, and of the whole run."""
    if not timeline.spans:
        return {WHOLE_RUN: gaps}
    names = timeline.names
    of_span = np.array([names.index(span.name) for span in timeline.spans], dtype=np.int32)
    charged = [of_span[timeline.indices_charged(batch.begin, batch.begin + batch.length)] for batch in gaps.batches()]
    place = np.concatenate([np.empty(0, dtype=np.int32), *charged])
    streams = {name: gaps.select(place == number) for number, name in enumerate(names)}
    streams[WHOLE_RUN] = gaps.select(place != names.index(WARM_UP)) if WARM_UP in names else gaps
    return streams


def _drafts_of(drafts: dict[str, _Draft], span: Span) -> Sequence[_Draft]:
    phase = drafts[span.name]
    return (phase,) if span.name == WARM_UP else (phase, drafts[WHOLE_RUN])


def _samples(name: str, draft: _Draft, gaps: Gaps, counts: TokenCounts) -> PhaseSamples:
    known = {latency: resolve_censored(streams) for latency, streams in draft.times.items()}
    times = {latency: pairs for latency, (pairs, _) in known.items()}
    unreached = {latency: rest for latency, (_, rest) in known.items()}
    sums = StreamSums(gaps)
    times["max_gap"] = [
        (stream, float(longest)) for stream, longest in zip(sums.streams, sums.largest(gaps.length), strict=True)
    ]
    unreached["max_gap"] = Unreached(unfinished=_died_in_longest(gaps, dict(times["max_gap"])))
    tokens = {stream: counts.of(stream, events) for stream, events in draft.events.items()}
    delivered = frozenset(draft.delivered)
    return PhaseSamples(
        name, draft.seconds, tuple(draft.streams), times, gaps, tokens, draft.events, delivered, unreached=unreached
    )


def _died_in_longest(gaps: Gaps, longest: Mapping[int, float]) -> frozenset[int]:
    """The streams that died in the longest of their gaps."""
    last = gaps.select(gaps.are_unfinished)
    pairs = zip(last.stream.tolist(), last.length.tolist(), strict=True)
    return frozenset(stream for stream, length in pairs if length == longest[stream])
