"""Computes all metrics of one phase, or of the whole run."""

from __future__ import annotations

import re
from collections import Counter, defaultdict
from collections.abc import Sequence

from chaoskit.analysis.result import Failure, Metrics, Remark
from chaoskit.analysis.statistics.estimates import Estimates
from chaoskit.analysis.statistics.quantiles import MS, summarize_column
from chaoskit.analysis.streams.assemble import Stream
from chaoskit.analysis.streams.gaps import SEVERE
from chaoskit.analysis.streams.phase_samples import PhaseSamples
from chaoskit.analysis.summaries import LatencySummary
from chaoskit.spec.metrics import METRICS

_MAX_FAILURES = 8  # kinds that are listed
_MAX_DETAIL = 200  # characters kept of a server's message
_NAMES = re.compile(r"\S*[0-9]\S*")


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
        retries=sum(stream.request.attempt > 1 for stream in sample.streams),
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
        itl=summarize_column(gaps.length, METRICS["itl_p50"].missing, gaps.select(gaps.are_unfinished).length),
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
        recovery_time=estimates.of(sample, "recovery_time").scaled(1 / MS),
        events=sum(sample.events.values()),
        tokens=round(sum(sample.tokens.values())),
        tokens_per_second=estimates.of(sample, "tokens_per_second").scaled(),
    )


def _times(sample: PhaseSamples, name: str) -> LatencySummary:
    return sample.times_of(name).summary(METRICS[f"{name}_p50"].missing)


def _failures(sample: PhaseSamples) -> tuple[Failure, ...]:
    kinds: dict[tuple[str, str], list[Stream]] = defaultdict(list)
    for stream in sample.interrupted:
        kinds[stream.request.completion, _cause(stream.request.detail)].append(stream)
    failures = [
        Failure(
            completion=completion,
            detail=_common([stream.request.detail for stream in those]),
            count=len(those),
            streams=tuple(stream.number for stream in those[:5]),
        )
        for (completion, _), those in kinds.items()
    ]
    return tuple(sorted(failures, key=lambda failure: (-failure.count, failure.streams))[:_MAX_FAILURES])


def _cause(detail: str) -> str:
    """What is alike in the details of one cause: not what is quoted from a response, nor names with digits in it."""
    head, colon, rest = detail.partition(": ")
    is_quoted = rest.lstrip()[:1] in tuple("{[<\"'")
    return head + colon + ("" if is_quoted else _NAMES.sub("#", rest))


def _common(details: Sequence[str]) -> str:
    """What all these begin with, at the most `_MAX_DETAIL` characters of it."""
    first, last = min(details), max(details)  # between them stand all others
    same = next((at for at, pair in enumerate(zip(first, last, strict=False)) if len(set(pair)) > 1), len(first))
    told = first if first == last else f"{first[:same]}…"
    return told if len(told) <= _MAX_DETAIL else f"{told[:_MAX_DETAIL]}…"


def _remarks(sample: PhaseSamples) -> tuple[Remark, ...]:
    kinds: dict[str, list[int]] = defaultdict(list)
    for stream in sample.streams:
        for sentence in stream.request.remarks:
            kinds[sentence[:_MAX_DETAIL]].append(stream.number)
    remarks = [Remark(sentence=key, count=len(each), streams=tuple(each[:5])) for key, each in kinds.items()]
    return tuple(sorted(remarks, key=lambda remark: (-remark.count, remark.streams))[:_MAX_FAILURES])
