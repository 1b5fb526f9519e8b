"""Objectives, judged: met or broken only when the whole 95 % interval lies on one side of the bound.

Rules: what a phase showed whose fault did not come about as asked, or a client that was itself too slow,
decides nothing. An undecided objective says how many streams would have decided it.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from chaoskit.analysis.formatting import between, said
from chaoskit.analysis.result import Estimated, Evidence, Judgement, Unit, Verdict
from chaoskit.analysis.statistics import intervals
from chaoskit.analysis.statistics.comparison import ratio
from chaoskit.analysis.statistics.estimates import FEW, Estimates, scale, unit
from chaoskit.analysis.streams.goodput import COMPARE
from chaoskit.analysis.streams.phase_samples import WHOLE, PhaseSamples
from chaoskit.spec.objectives import Objective

_MOST = 1_000_000  # streams beyond which nobody will wait for a verdict
_WORST = 5


@dataclass(frozen=True)
class Doubt:
    """Why no objective that rests on these phases can be decided. No phases: on any."""

    reason: str
    phases: frozenset[str] = frozenset()


@dataclass(frozen=True)
class Claim:
    """What an objective compares: an observed number and a bound, in one unit."""

    observed: Estimated
    bound: float
    unit: Unit
    streams: int
    tail: float | None  # of a quantile or a share of streams: how many may lie beyond
    beyond: int = 0  # how many streams do


def judge(
    objective: Objective, parts: Mapping[str, PhaseSamples], estimates: Estimates, doubts: Iterable[Doubt]
) -> Verdict:
    """The verdict on one objective."""
    needed = [name for name in (objective.phase or WHOLE, objective.reference) if name is not None]
    absent = [name for name in needed if name not in parts]
    if absent:
        return _open(objective, f"the run has no phase {absent[0]}: it ended before")
    claim = _claim(objective, parts, estimates)
    evidence = tuple(_evidence(objective.metric, parts[name]) for name in needed)
    if claim.observed.value is None:
        return _open(objective, claim.observed.missing, claim, evidence)
    for doubt in doubts:
        if not doubt.phases or WHOLE in needed or doubt.phases & set(needed):
            seen = f"{said(claim.observed.value, claim.unit)} over {claim.streams} streams"
            return _open(objective, f"{seen}, but {doubt.reason}", claim, evidence)
    return _decide(objective, claim, evidence)


def _claim(objective: Objective, parts: Mapping[str, PhaseSamples], estimates: Estimates) -> Claim:
    metric, part = objective.metric, parts[objective.phase or WHOLE]
    estimate = estimates.of(part, metric)
    if objective.factor is not None and objective.reference is not None:
        base = estimates.of(parts[objective.reference], metric)
        streams = min(estimate.streams, base.streams)
        return Claim(ratio(estimate, base), objective.factor, "ratio", streams, _tail(metric))
    assert objective.bound is not None
    bound = objective.bound / 1e9 if objective.kind == "share" else objective.bound
    tail = bound if metric == "interruption_rate" else _tail(metric)
    return Claim(
        estimate.scaled(scale(metric)),
        bound * scale(metric),
        unit(metric),
        estimate.streams,
        tail,
        _beyond(objective, part, bound),
    )


def _beyond(objective: Objective, part: PhaseSamples, bound: float) -> int:
    if objective.metric == "interruption_rate":
        return len(part.interrupted)
    name = objective.metric.rpartition("_")[0]
    return sum(value > bound for _, value in part.times.get(name, []))


def _tail(metric: str) -> float | None:
    """The share of streams that may lie beyond a quantile of one value per stream."""
    name, _, statistic = metric.rpartition("_")
    if name == "itl" or not statistic.startswith("p") or not statistic[1:].isdigit():
        return None
    return 1 - int(statistic[1:]) / 100


def _decide(objective: Objective, claim: Claim, evidence: tuple[Evidence, ...]) -> Verdict:
    holds = COMPARE[objective.operator]
    low, high = claim.observed.low, claim.observed.high
    assert low is not None
    assert high is not None
    sides = {holds(low, claim.bound), holds(high, claim.bound)}
    judgement: Judgement = "undecided" if len(sides) == 2 else "met" if sides.pop() else "broken"
    more = _would_decide(claim, low, high) if judgement == "undecided" else None
    return Verdict(
        text=objective.text,
        judgement=judgement,
        unit=claim.unit,
        bound=claim.bound,
        observed=claim.observed,
        streams=claim.streams,
        would_decide=more,
        reason=_reason(claim, judgement, more),
        evidence=evidence,
    )


def _reason(claim: Claim, judgement: Judgement, more: int | None) -> str:
    value, low, high = claim.observed.value, claim.observed.low, claim.observed.high
    seen = f"{said(value, claim.unit)} over {claim.streams} streams"
    if low != high:
        seen += f", 95 %: {between(low, high, claim.unit)}"
    if judgement != "undecided":
        return seen
    if more is None:
        return f"{seen}; no number of such streams would decide"
    return f"{seen}; about {more} streams would decide"


def _would_decide(claim: Claim, low: float, high: float) -> int | None:
    """How many streams would decide it if they behaved as these did; None when that is hopeless."""
    if claim.tail is not None and claim.unit != "ratio":
        return _for_share(claim.beyond, claim.streams, claim.tail)
    value = claim.observed.value
    assert value is not None
    end = high if value < claim.bound else low
    least = max(FEW, intervals.enough_for(claim.tail) if claim.tail else 0)
    if claim.streams < least:
        return least
    distance = abs(claim.bound - value)
    if not distance or math.isinf(end):
        return None if not distance else 2 * claim.streams
    needed = math.ceil(claim.streams * (abs(end - value) / distance) ** 2)
    return needed if needed <= _MOST else None


def _for_share(hits: int, count: int, bound: float) -> int | None:
    """The number of streams at which the same share of them would be told from `bound`."""
    if not count or not 0 < bound < 1:
        return None
    seen, number = hits / count, count
    while number <= _MOST:
        number = math.ceil(number * 1.05) + 1
        if intervals.excludes(round(seen * number), number, bound):
            return number
    return None


def _evidence(metric: str, part: PhaseSamples) -> Evidence:
    if metric == "interruption_rate":
        return Evidence(file="requests.jsonl", count=len(part.judged), worst=_few(s.number for s in part.interrupted))
    name = metric.rpartition("_")[0]
    if name in part.times and name != "max_gap":
        worst = sorted(part.times[name], key=lambda pair: -pair[1])
        return Evidence(file="requests.jsonl", count=len(worst), worst=_few(stream for stream, _ in worst))
    longest = sorted(part.times["max_gap"], key=lambda pair: -pair[1])
    return Evidence(file="tokens.jsonl", count=len(longest), worst=_few(stream for stream, _ in longest))


def _few(numbers: Iterable[int]) -> tuple[int, ...]:
    return tuple(numbers)[:_WORST]


def _open(
    objective: Objective, reason: str, claim: Claim | None = None, evidence: tuple[Evidence, ...] = ()
) -> Verdict:
    """Undecided for another reason than chance."""
    metric = objective.metric
    bound = (
        objective.factor
        if objective.factor is not None
        else (objective.bound or 0.0) * (1e-9 if objective.kind == "share" else scale(metric))
    )
    return Verdict(
        text=objective.text,
        judgement="undecided",
        unit="ratio" if objective.factor is not None else unit(metric),
        bound=bound,
        observed=claim.observed if claim else Estimated(value=None, missing=reason),
        streams=claim.streams if claim else 0,
        would_decide=None,
        reason=reason,
        evidence=evidence,
    )
