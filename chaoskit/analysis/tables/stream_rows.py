"""Makes the rows of the table of streams."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from chaoskit.analysis.attribution.interruptions import interruption_cause
from chaoskit.analysis.attribution.run_evidence import RunEvidence
from chaoskit.analysis.attribution.verdict import Verdict
from chaoskit.analysis.load import RawRecords
from chaoskit.analysis.streams.assemble import Stream
from chaoskit.analysis.streams.phase_samples import WHOLE_RUN, phase_samples, span_of_stream
from chaoskit.analysis.streams.stream_sums import StreamSums
from chaoskit.analysis.streams.timeline import Timeline


@dataclass(frozen=True)
class StreamContext:
    """The records of a run, and what was found out about them."""

    raw: RawRecords
    timeline: Timeline
    known: RunEvidence
    verdicts: Sequence[Verdict]

    @cached_property
    def ttft_phase(self) -> dict[int, str]:
        """The phase whose first-token latencies each stream's is one of, also if it was cut off before."""
        found: dict[int, str] = {}
        for name, sample in phase_samples(self.raw.streams, self.timeline).items():
            if name != WHOLE_RUN:
                cut = sample.unreached["ttft"].cut if "ttft" in sample.unreached else ()
                found |= dict.fromkeys((*(stream for stream, _ in sample.times.get("ttft", ())), *cut), name)
        return found

    @cached_property
    def stalled(self) -> dict[int, list[int]]:
        """What each stall of a stream was longer than the threshold, ns."""
        found: dict[int, list[int]] = defaultdict(list)
        for verdict in self.verdicts:
            found[verdict.stall.gap.stream].append(verdict.stall.time)
        return found

    @cached_property
    def gaps(self) -> dict[int, tuple[int, int]]:
        """The longest gap of each stream, and how long its reader had nothing to read, ns."""
        gaps = self.raw.streams.gaps
        sums = StreamSums(gaps)
        pairs = zip(sums.largest(gaps.length), sums.of(gaps.wait), strict=True)
        return dict(zip(sums.streams, pairs, strict=True))

    @cached_property
    def bytes(self) -> dict[int, int]:
        """The bytes of all reads of each stream."""
        table = self.raw.streams.table
        if not len(table.at):
            return {}
        starts = np.flatnonzero(np.append(True, table.stream[1:] != table.stream[:-1]))
        is_again = np.append(False, table.is_coalesced[:-1])
        sums = np.add.reduceat(np.where(is_again, 0, table.size.astype(np.int64)), starts)
        return dict(zip(table.stream[starts].tolist(), sums.tolist(), strict=True))

    @cached_property
    def causes(self) -> dict[int, str]:
        """Whose the interruption of each interrupted stream was."""
        died = {verdict.stall.gap.stream: verdict for verdict in self.verdicts if verdict.stall.after is None}
        ended = {each.stream.number: each for each in self.known.ended}
        return {
            stream.number: interruption_cause(
                stream, ended.get(stream.number), died.get(stream.number), self.known.evidence
            )
            for stream in self.raw.streams.ended
            if stream.is_interrupted
        }


def stream_rows(context: StreamContext) -> Iterator[tuple[object, ...]]:
    """A row for each stream."""
    for stream in context.raw.streams.ended:
        yield _row(stream, context)


def _row(stream: Stream, context: StreamContext) -> tuple[object, ...]:
    request, number = stream.request, stream.number
    span = span_of_stream(stream, context.timeline)
    origin = context.timeline.begin
    stalled = context.stalled.get(number, [])
    longest, wait = context.gaps.get(number, (None, 0))
    first = request.first_token

    def since(stamp: int | None) -> int | None:
        return None if stamp is None else stamp - origin

    return (
        number,
        span.name,
        span.round,
        since(request.scheduled),
        since(stream.asked),
        since(request.started),
        since(request.sent),
        since(request.headers),
        since(first),
        since(request.last_token),
        since(request.ended),
        request.completion,
        request.detail,
        context.causes.get(number),
        request.status,
        stream.events,
        stream.tokens,
        context.bytes.get(number, 0),
        None if first is None else max(0, first - stream.asked),
        context.ttft_phase.get(number),
        len(stalled),
        sum(stalled),
        longest,
        wait,
        request.flag,
        request.finish,
        request.asked,
        request.workflow,
        request.traffic_class,
        request.tier_asked,
        request.tier_served,
        request.degraded,
        request.attempt,
        request.retry_of,
        request.connection,
        request.port,
        request.reused,
        request.http,
        request.coding,
        request.dns_duration,
        request.connect_duration,
        request.tls_duration,
        request.upload_duration,
        request.trace,
    )
