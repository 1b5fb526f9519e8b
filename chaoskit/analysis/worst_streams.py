"""Names the records that a verdict rests on, and the worst of the streams that count against it.

| objective of                        | streams that count against it                          |
|-------------------------------------|--------------------------------------------------------|
| a latency with a bound              | those beyond the bound                                 |
| a mean, a multiple of another phase | all, the slowest first                                 |
| a share of the streams              | the interrupted, the empty, the short, the shed, ...   |
| `goodput`                           | those that did not meet every objective                |
| `delivered_fraction`                | those that received less than the server meant to send |
| stalls, waiting                     | those that stalled or waited, the longest first        |
| `tokens_per_second`, `recovery_time` | none: they are of all streams together                |
"""

from __future__ import annotations

from collections.abc import Iterable

from chaoskit.analysis.findings import Evidence
from chaoskit.analysis.statistics.estimates import Estimates
from chaoskit.analysis.streams.phase_samples import PhaseSamples
from chaoskit.analysis.streams.worst_first import stalled_times, worst_first
from chaoskit.records.jsonl import FILES
from chaoskit.records.model import Request, SocketRead
from chaoskit.records.spans import Span
from chaoskit.spec.objectives import Objective
from chaoskit.spec.sample_size import OF_SPANS, SHARES_OF_STREAMS, bound_of

_MAX_WORST = 5
_REQUESTS, _TOKENS, _SPANS = FILES[Request], FILES[SocketRead], FILES[Span]
_Pairs = Iterable[tuple[int, float]]  # (stream, how bad)


def evidence_of(objective: Objective, sample: PhaseSamples, estimates: Estimates) -> Evidence:
    """The file, how many streams of this phase were judged by it, and the worst of those that count against it."""
    match objective.metric:
        case metric if metric in SHARES_OF_STREAMS:
            found = ((stream.number, 0.0) for stream in sample.share_of_streams(metric))
            file = _SPANS if metric in OF_SPANS else _REQUESTS
            return _evidence(file, len(sample.base_of_share(metric)), found)
        case "recovery_time":
            return _evidence(_REQUESTS, len(sample.counted), ())
        case "goodput":
            ended = len(sample.delivered) + len(sample.interrupted)
            return _evidence(_REQUESTS, ended, ((number, 0.0) for number in estimates.not_good(sample)))
        case "delivered_fraction":
            return _evidence(_REQUESTS, len(sample.counted), estimates.undelivered(sample).items())
        case "tokens_per_second":
            return _evidence(_TOKENS, len(sample.counted), ())
        case "stalls_per_minute" | "stall_interval_fraction":
            return _evidence(_TOKENS, len(sample.by_stream.streams), stalled_times(sample.gaps).items(), least=0)
        case "stall_ratio":
            sums = sample.by_stream
            return _evidence(_TOKENS, len(sums.streams), zip(sums.streams, sums.wait, strict=True), least=0)
    return _of_latency(objective, sample)


def _of_latency(objective: Objective, sample: PhaseSamples) -> Evidence:
    name, _, statistic = objective.metric.rpartition("_")
    of_gaps = name in ("itl", "max_gap")
    times = sample.times.get("max_gap" if of_gaps else name, [])
    is_any = objective.factor is not None or statistic == "mean"
    sign = 1 if objective.operator in ("<", "<=") else -1
    beyond = [(stream, sign * value) for stream, value in times if is_any or sign * value > sign * bound_of(objective)]
    file = _TOKENS if of_gaps else _SPANS if name == "toolchain" else _REQUESTS
    return _evidence(file, len(times), beyond)


def _evidence(file: str, count: int, bad: _Pairs, least: float | None = None) -> Evidence:
    """Those that are worse than `least`, the worst first, and of equal ones the first."""
    found: dict[int, float] = {}
    for stream, value in bad:
        if least is None or value > least:
            found[stream] = max(value, found.get(stream, value))
    return Evidence(file=file, count=count, worst=tuple(worst_first(found)[:_MAX_WORST]))
