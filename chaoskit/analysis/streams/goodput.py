"""Selects the requests that count as goodput: complete, not empty or short, within every objective.

For one request a quantile of a latency is that latency, an ITL quantile is the quantile of the request's own gaps, a
rate is the request's own. An objective for one phase applies to that phase's requests only; one that compares two
phases does not apply to a single request.
"""

from __future__ import annotations

import operator
from collections.abc import Callable, Iterable, Mapping, Sequence

from chaoskit.analysis.chains.measurements import TierMeasurements
from chaoskit.analysis.statistics.quantiles import nearest_rank
from chaoskit.analysis.streams.assemble import Stream
from chaoskit.analysis.streams.gaps import Gaps
from chaoskit.analysis.streams.latencies import Latency, latencies
from chaoskit.analysis.streams.populations import Population
from chaoskit.spec.metrics import METRICS
from chaoskit.spec.objectives import Objective

OPERATORS: dict[str, Callable[[float, float], bool]] = {
    "<": operator.lt,
    "<=": operator.le,
    ">": operator.gt,
    ">=": operator.ge,
}
_MINUTE = 60 * 10**9


def good_streams(
    streams: Iterable[Stream],
    objectives: Sequence[Objective],
    phase: Callable[[Stream], str],
    intended: Mapping[int, int],
    hops: TierMeasurements | None = None,
) -> frozenset[int]:
    """The numbers of the good streams; `phase` gives the name of a stream's phase, `hops` what spans tell."""
    told = {**hops.told, "toolchain": _first(hops.latencies)} if hops else {}
    return frozenset(
        stream.number
        for stream in streams
        if stream.is_complete
        and stream.request.flag is None
        and all(
            _meets(stream, objective, intended, told)
            for objective in objectives
            if objective.phase in (None, phase(stream)) and Population.of(objective).has(stream.request)
        )
    )


def _first(found: Iterable[Latency]) -> dict[int, float]:
    return {each.stream: each.value for each in found}


def _meets(
    stream: Stream, objective: Objective, intended: Mapping[int, int], told: Mapping[str, Mapping[int, float]]
) -> bool:
    if objective.bound is None:
        return True
    name = METRICS[objective.metric].name
    if name in told:
        value: float | None = told[name].get(stream.number)
    else:
        value = _of_request(stream, objective.metric, intended)
    bound = objective.bound / 1e9 if objective.kind == "share" else objective.bound
    return value is None or OPERATORS[objective.operator](value, bound)


def _of_request(stream: Stream, metric: str, intended: Mapping[int, int]) -> float | None:
    """The metric of this request alone, in base units; None where it is not defined."""
    name, _, statistic = metric.rpartition("_")
    match metric:
        case "interruption_rate":
            return 0.0 if stream.is_complete else 1.0
        case "empty_rate" | "short_rate":
            return 1.0 if metric == f"{stream.request.flag}_rate" else 0.0
        case "delivered_fraction":
            wanted = intended.get(stream.number)
            return stream.tokens / wanted if wanted else None
        case "stall_ratio" | "stall_interval_fraction" | "stalls_per_minute":
            return _of_stalls(stream.gaps, metric)
    if name in ("itl", "max_gap"):
        return _of_lengths(sorted(stream.gaps.length.tolist()), "max" if name == "max_gap" else statistic)
    return next((latency.value for latency in latencies(stream) if latency.name == name), None)


def _of_stalls(gaps: Gaps, metric: str) -> float | None:
    streaming, waits = sum(map(int, gaps.length)), sum(map(int, gaps.wait))
    stalls = int(gaps.are_stalls.sum())
    if metric == "stall_interval_fraction":
        return stalls / len(gaps) if len(gaps) else None
    if not streaming:
        return None
    return waits / streaming if metric == "stall_ratio" else stalls * _MINUTE / streaming


def _of_lengths(lengths: Sequence[int], statistic: str) -> float | None:
    if not lengths:
        return None
    if statistic == "mean":
        return sum(lengths) / len(lengths)
    return lengths[-1] if statistic == "max" else nearest_rank(lengths, int(statistic.removeprefix("p")))
