"""All the numbers of one part."""

from __future__ import annotations

from collections import Counter, defaultdict

from chaoskit.analysis.result import Estimated, Failure, Metrics, Times
from chaoskit.analysis.statistics.estimates import Estimates
from chaoskit.analysis.statistics.quantiles import MS, of_column, times
from chaoskit.analysis.streams.gaps import SEVERE, STALL
from chaoskit.analysis.streams.phase_samples import PhaseSamples

_FAILURES = 8  # kinds that are told apart; a run that fails in more ways fails for one reason
_DETAIL = 200  # characters kept of what a server said
_MISSING = {
    "ttfo": "no stream gave output apart from reasoning",
    "tpot": "no stream had two tokens",
    "dns": "no name was looked up",
    "connect": "no connection was made: all were used again",
    "tls": "no TLS was spoken",
    "upload": "no upload was timed",
    "max_gap": "no stream had two tokens",
}


def metrics(part: PhaseSamples, estimates: Estimates) -> Metrics:
    """The metrics of everything that is charged to this part."""
    gaps, sums = part.gaps, part.by_stream
    coalesced = int(gaps.are_coalesced.sum())
    stalls: list[int] = gaps.stalls.excess.tolist()
    completions = Counter(stream.request.completion for stream in part.streams)
    return Metrics(
        started=len(part.streams),
        complete=completions["complete"],
        interrupted=len(part.interrupted),
        cancelled=completions["cancelled"],
        completions=dict(sorted(completions.items())),
        failures=_failures(part),
        ttft=_times(part, "ttft"),
        ttft_from_sent=_times(part, "ttft_from_sent"),
        ttf_event=_times(part, "ttf_event"),
        ttfo=_times(part, "ttfo"),
        itl=of_column(gaps.length, _MISSING["max_gap"]),
        itl_uncoalesced=of_column(gaps.those(~gaps.are_coalesced).length, _MISSING["max_gap"]),
        tpot=_times(part, "tpot"),
        e2el=_times(part, "e2el"),
        dns=_times(part, "dns"),
        connect=_times(part, "connect"),
        tls=_times(part, "tls"),
        upload=_times(part, "upload"),
        max_gap=_times(part, "max_gap"),
        gaps=len(gaps),
        coalesced=coalesced,
        streaming_ms=sum(sums.length) / MS,
        stalls=len(stalls),
        severe_stalls=sum(excess > SEVERE for excess in stalls),
        stall_time_ms=sum(excess - STALL for excess in stalls) / MS,
        stalls_per_minute=estimates.of(part, "stalls_per_minute").scaled(),
        stall_ratio=estimates.of(part, "stall_ratio").scaled(),
        stall_interval_fraction=estimates.of(part, "stall_interval_fraction").scaled(),
        interruption_rate=estimates.of(part, "interruption_rate").scaled(),
        delivered_fraction=estimates.of(part, "delivered_fraction").scaled(),
        goodput=estimates.of(part, "goodput").scaled(),
        tokens=part.tokens,
        throughput=_throughput(part),
    )


def _times(part: PhaseSamples, name: str) -> Times:
    missing = _MISSING.get(name, "no stream was started")
    return times((value for _, value in part.times.get(name, [])), missing)


def _throughput(part: PhaseSamples) -> Estimated:
    if not part.seconds:
        return Estimated(value=None, missing="the phase has no length")
    return Estimated(value=part.tokens / part.seconds)


def _failures(part: PhaseSamples) -> tuple[Failure, ...]:
    kinds: dict[tuple[str, str], list[int]] = defaultdict(list)
    for stream in part.interrupted:
        kinds[stream.request.completion, stream.request.detail[:_DETAIL]].append(stream.number)
    found = [
        Failure(completion=completion, detail=detail, count=len(numbers), streams=tuple(numbers[:5]))
        for (completion, detail), numbers in kinds.items()
    ]
    return tuple(sorted(found, key=lambda failure: (-failure.count, failure.streams))[:_FAILURES])
