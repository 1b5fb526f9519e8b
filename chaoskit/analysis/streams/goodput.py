"""Which requests were good: complete, and each objective's own meaning for one request met.

A quantile of a latency means that latency; an ITL quantile the same quantile of the request's own gaps; a
rate the request's own. An objective for one phase asks only that phase's requests; one that compares two
phases says nothing about a request.
"""

from __future__ import annotations

import operator
from collections.abc import Callable, Iterable, Mapping, Sequence

from chaoskit.analysis.statistics.quantiles import nearest
from chaoskit.analysis.streams.assemble import Stream
from chaoskit.analysis.streams.gaps import Gaps
from chaoskit.analysis.streams.latencies import latencies
from chaoskit.spec.objectives import Objective

COMPARE: dict[str, Callable[[float, float], bool]] = {
    "<": operator.lt,
    "<=": operator.le,
    ">": operator.gt,
    ">=": operator.ge,
}
_MINUTE = 60 * 10**9


def good(
    streams: Iterable[Stream],
    objectives: Sequence[Objective],
    phase: Callable[[Stream], str],
    intended: Mapping[int, int],
) -> frozenset[int]:
    """The numbers of the good ones; `phase` tells which phase a stream belongs to."""
    return frozenset(
        stream.number
        for stream in streams
        if stream.is_complete
        and all(
            _meets(stream, objective, intended) for objective in objectives if objective.phase in (None, phase(stream))
        )
    )


def _meets(stream: Stream, objective: Objective, intended: Mapping[int, int]) -> bool:
    if objective.bound is None:
        return True
    value = _own(stream, objective.metric, intended)
    bound = objective.bound / 1e9 if objective.kind == "share" else objective.bound
    return value is None or COMPARE[objective.operator](value, bound)


def _own(stream: Stream, metric: str, intended: Mapping[int, int]) -> float | None:
    """The metric of this request alone, in base units; None where it has none."""
    name, _, statistic = metric.rpartition("_")
    match metric:
        case "interruption_rate":
            return 0.0 if stream.is_complete else 1.0
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
    return lengths[-1] if statistic == "max" else nearest(lengths, int(statistic.removeprefix("p")))
