"""Summarizes a phase in short intervals, for a sparkline."""

from __future__ import annotations

from collections import defaultdict

from chaoskit.analysis.result import Bucket
from chaoskit.analysis.statistics.quantiles import MS, nearest_rank
from chaoskit.analysis.streams.assemble import Streams
from chaoskit.analysis.streams.latencies import latencies
from chaoskit.analysis.streams.phase_samples import SECOND, span_of_stream
from chaoskit.analysis.streams.timeline import Span, Timeline

_MAX_BUCKETS = 48  # in the longest phase
_ROUND_SECONDS = (0.5, 1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 1800, 3600)


def bucket_seconds(timeline: Timeline) -> float:
    """A length, the same for all phases, that cuts the longest one into at most 48."""
    longest = max((_seconds(span) for span in timeline.spans), default=0.0)
    return float(
        next((candidate for candidate in _ROUND_SECONDS if longest <= candidate * _MAX_BUCKETS), longest / _MAX_BUCKETS)
    )


def buckets(streams: Streams, timeline: Timeline) -> dict[str, tuple[Bucket, ...]]:
    """Buckets by phase name, all rounds of a phase together.

    A first token counts at its request's scheduled time, an interruption when the stream ended, or where that was
    after the phase at the last sign of life.
    """
    seconds = bucket_seconds(timeline)
    ttft: dict[tuple[str, int], list[float]] = defaultdict(list)
    interrupted: dict[tuple[str, int], int] = defaultdict(int)
    stalls: dict[tuple[str, int], int] = defaultdict(int)
    for stream in streams.ended:
        first = next((latency for latency in latencies(stream) if latency.name == "ttft"), None)
        if first is not None and not first.is_cut:
            ttft[_bucket_of(timeline.span_charged(first.begin, first.end), first.begin, seconds)].append(first.value)
        if stream.is_interrupted:
            span = span_of_stream(stream, timeline)
            died = stream.request.ended if stream.request.ended <= span.end else stream.last_sign_of_life
            interrupted[_bucket_of(span, died, seconds)] += 1
    for gap in streams.gaps.stalls:
        stalls[_bucket_of(timeline.span_charged(gap.begin, gap.end), gap.end, seconds)] += 1
    return {
        name: tuple(
            Bucket(
                at_s=index * seconds,
                requests=len(ttft[name, index]),
                ttft_p50_ms=nearest_rank(sorted(ttft[name, index]), 50) / MS if ttft[name, index] else None,
                interrupted=interrupted[name, index],
                stalls=stalls[name, index],
            )
            for index in range(max(_count(span, seconds) for span in timeline.spans if span.name == name))
        )
        for name in timeline.names
    }


def _bucket_of(span: Span, stamp: int, seconds: float) -> tuple[str, int]:
    """The phase and the index of the bucket; what lies outside the phase goes to its first or last bucket."""
    index = int((stamp - span.begin) / SECOND / seconds)
    return span.name, min(max(0, index), _count(span, seconds) - 1)


def _count(span: Span, seconds: float) -> int:
    return max(1, round(_seconds(span) / seconds))


def _seconds(span: Span) -> float:
    return (span.end - span.begin) / SECOND
