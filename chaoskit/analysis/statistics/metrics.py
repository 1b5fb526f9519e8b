"""Computes all metrics of one phase, or of the whole run."""

from __future__ import annotations

from collections import Counter, defaultdict

from chaoskit.analysis.result import Failure, LatencySummary, Metrics, Remark
from chaoskit.analysis.statistics.estimates import Estimates
from chaoskit.analysis.statistics.quantiles import MS, summarize, summarize_column
from chaoskit.analysis.streams.gaps import SEVERE
from chaoskit.analysis.streams.phase_samples import PhaseSamples
from chaoskit.spec.metrics import METRICS

_MAX_FAILURES = 8  # kinds that are listed
_MAX_DETAIL = 200  # characters kept of a server's message


def metrics(sample: PhaseSamples, estimates: Estimates) -> Metrics:
    """The metrics of everything that is attributed to this phase."""
    gaps, sums = sample.gaps, sample.by_stream
    coalesced = int(gaps.are_coalesced.sum())
    stalls: list[int] = gaps.stalls.excess.tolist()
    completions = Counter(stream.request.completion for stream in sample.streams)
    return Metrics(
        started=len(sample.streams),
        complete=completions["complete"],
        interrupted=len(sample.interrupted),
        cancelled=completions["cancelled"],
        empty=len(sample.share_of_streams("empty_rate")),
        short=len(sample.share_of_streams("short_rate")),
        completions=dict(sorted(completions.items())),
        failures=_failures(sample),
        remarks=_remarks(sample),
        ttfb=_times(sample, "ttfb"),
        ttft=_times(sample, "ttft"),
        ttft_from_sent=_times(sample, "ttft_from_sent"),
        ttf_event=_times(sample, "ttf_event"),
        ttfo=_times(sample, "ttfo"),
        itl=summarize_column(gaps.length, METRICS["itl_p50"].missing),
        itl_uncoalesced=summarize_column(gaps.select(~gaps.are_coalesced).length, METRICS["itl_p50"].missing),
        tpot=_times(sample, "tpot"),
        e2el=_times(sample, "e2el"),
        dns=_times(sample, "dns"),
        connect=_times(sample, "connect"),
        tls=_times(sample, "tls"),
        upload=_times(sample, "upload"),
        max_gap=_times(sample, "max_gap"),
        planned_pace=_times(sample, "planned_pace"),
        gaps=len(gaps),
        coalesced=coalesced,
        streaming_ms=sum(sums.length) / MS,
        stalls=len(stalls),
        severe_stalls=sum(excess > SEVERE for excess in stalls),
        stall_time_ms=sum(excess - gaps.threshold for excess in stalls) / MS,
        stalls_per_minute=estimates.of(sample, "stalls_per_minute").scaled(),
        stall_ratio=estimates.of(sample, "stall_ratio").scaled(),
        stall_interval_fraction=estimates.of(sample, "stall_interval_fraction").scaled(),
        interruption_rate=estimates.of(sample, "interruption_rate").scaled(),
        empty_rate=estimates.of(sample, "empty_rate").scaled(),
        short_rate=estimates.of(sample, "short_rate").scaled(),
        delivered_fraction=estimates.of(sample, "delivered_fraction").scaled(),
        goodput=estimates.of(sample, "goodput").scaled(),
        events=sample.events,
        tokens=round(sum(sample.tokens)),
        tokens_per_second=estimates.of(sample, "tokens_per_second").scaled(),
    )


def _times(sample: PhaseSamples, name: str) -> LatencySummary:
    return summarize((value for _, value in sample.times.get(name, [])), METRICS[f"{name}_p50"].missing)


def _failures(sample: PhaseSamples) -> tuple[Failure, ...]:
    kinds: dict[tuple[str, str], list[int]] = defaultdict(list)
    for stream in sample.interrupted:
        kinds[stream.request.completion, stream.request.detail[:_MAX_DETAIL]].append(stream.number)
    failures = [
        Failure(completion=completion, detail=detail, count=len(numbers), streams=tuple(numbers[:5]))
        for (completion, detail), numbers in kinds.items()
    ]
    return tuple(sorted(failures, key=lambda failure: (-failure.count, failure.streams))[:_MAX_FAILURES])


def _remarks(sample: PhaseSamples) -> tuple[Remark, ...]:
    kinds: dict[str, list[int]] = defaultdict(list)
    for stream in sample.streams:
        for sentence in stream.request.remarks:
            kinds[sentence[:_MAX_DETAIL]].append(stream.number)
    remarks = [Remark(sentence=key, count=len(each), streams=tuple(each[:5])) for key, each in kinds.items()]
    return tuple(sorted(remarks, key=lambda remark: (-remark.count, remark.streams))[:_MAX_FAILURES])
