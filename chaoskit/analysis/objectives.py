"""Evaluates objectives: decided only when the whole interval lies on one side of the bound.

Rules: an objective is undecided where its phase's fault was not achieved as requested, or where the client was
overloaded. An undecided objective says how many streams would have decided it.
"""

from __future__ import annotations

import math
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass

from chaoskit import intervals
from chaoskit.analysis.findings import Evidence
from chaoskit.analysis.formatting import about, format_interval, format_level, format_value
from chaoskit.analysis.result import ObjectiveResult, ObjectiveVerdict, Unit
from chaoskit.analysis.statistics.comparison import ratio
from chaoskit.analysis.statistics.estimates import MINUTE, Estimates, scale, unit
from chaoskit.analysis.streams.goodput import OPERATORS
from chaoskit.analysis.streams.phase_samples import WHOLE_RUN, PhaseSamples
from chaoskit.analysis.summaries import IntervalEstimate
from chaoskit.analysis.worst_streams import evidence_of
from chaoskit.spec.metrics import METRICS
from chaoskit.spec.objectives import Objective
from chaoskit.spec.sample_size import MIN_STREAMS, SHARES_OF_STREAMS, bound_of, gap_tail, sample_sizes, tail_beyond
from chaoskit.units import counted

_MAX_STREAMS = 1_000_000  # more than anybody waits for


@dataclass(frozen=True)
class UndecidedReason:
    """Why no objective of these phases and these metrics can be decided. Without either: of any."""

    reason: str
    phases: frozenset[str] = frozenset()
    metrics: frozenset[str] = frozenset()

    def concerns(self, metric: str, phases: Collection[str | None]) -> bool:
        """Whether it is about an objective of this metric that uses these phases."""
        is_here = not self.phases or WHOLE_RUN in phases or not self.phases.isdisjoint(phases)
        return is_here and (not self.metrics or METRICS[metric].name in self.metrics)


@dataclass(frozen=True)
class Claim:
    """What an objective compares: an observed number and a bound, in one unit."""

    observed: IntervalEstimate
    bound: float
    unit: Unit
    streams: int
    beyond: float | None  # of a quantile or a share of streams: the share that may lie beyond the bound
    tail: float  # of its interval
    streams_beyond: int = 0  # how many streams lie beyond it
    minutes: float = 0.0  # that they streamed, together; of a rate of stalls
    gaps: int = 0  # of a quantile of gaps
    at_least: float | None = None  # the observed number is longer, and nothing more is known of it
    never: int = 0  # how many streams ended without what is measured
    groups: int | None = None  # how many groups they are, where some shared a connection

    @property
    def has_too_few_groups(self) -> bool:
        """Whether so many streams shared connections that nothing is known of how they differ."""
        return self.groups is not None and self.groups < MIN_STREAMS

    @property
    def is_not_waited_for(self) -> bool:
        """Whether it is only known to be longer than a time below the bound, however many streams there are."""
        return self.at_least is not None and self.at_least <= self.bound


def evaluate(
    objective: Objective, samples: Mapping[str, PhaseSamples], estimates: Estimates, reasons: Iterable[UndecidedReason]
) -> ObjectiveResult:
    """The verdict on one objective."""
    needed = [name for name in (objective.phase or WHOLE_RUN, objective.reference) if name is not None]
    absent = [name for name in needed if name not in samples]
    if absent:
        return _undecided(objective, f"the run ended before phase {absent[0]}")
    empty = [name for name in needed if not samples[name].streams and samples[name].only_of is not None]
    if empty:
        during = f" during {empty[0]}" if empty[0] else ""
        return _undecided(objective, f"no request {samples[empty[0]].population} came{during}")
    claim = _claim(objective, samples, estimates)
    evidence = tuple(evidence_of(objective, samples[name], estimates) for name in needed)
    verdict = _judge(objective, claim, evidence, reasons)
    return verdict.model_copy(update={"streams_started": min(len(samples[name].streams) for name in needed)})


def _judge(
    objective: Objective, claim: Claim, evidence: tuple[Evidence, ...], reasons: Iterable[UndecidedReason]
) -> ObjectiveResult:
    phases = {objective.phase or WHOLE_RUN, objective.reference} - {None}
    if claim.observed.value is None:
        nothing = tuple(each.model_copy(update={"worst": ()}) for each in evidence)
        return _undecided(objective, claim.observed.missing, claim, nothing)
    for reason in reasons:
        if reason.concerns(objective.metric, phases):
            seen = f"{_observed(claim)} over {counted(claim.streams, 'stream')}"
            return _undecided(objective, f"{seen}, but {reason.reason}", claim, evidence)
    return _decide(objective, claim, evidence)


def _claim(objective: Objective, samples: Mapping[str, PhaseSamples], estimates: Estimates) -> Claim:
    metric, sample = objective.metric, samples[objective.phase or WHOLE_RUN]
    estimate = estimates.of(sample, metric)
    if objective.factor is not None and objective.reference is not None:
        reference = estimates.of(samples[objective.reference], metric)
        streams = min(estimate.streams, reference.streams)
        gaps = min(_gaps(sample, metric), _gaps(samples[objective.reference], metric))
        return Claim(
            ratio(estimate, reference, metric),
            objective.factor,
            "ratio",
            streams,
            tail_beyond(metric),
            estimates.tail,
            gaps=gaps,
            never=estimate.never,
            groups=min((each.groups for each in (estimate, reference) if each.groups is not None), default=None),
        )
    bound = bound_of(objective)
    return Claim(
        estimate.scaled(scale(metric)),
        bound * scale(metric),
        unit(metric),
        estimate.streams,
        bound if metric in SHARES_OF_STREAMS else tail_beyond(metric),
        estimates.tail,
        _streams_beyond(objective, sample, bound),
        sum(sample.by_stream.length) / MINUTE if unit(metric) == "per-minute" else 0.0,
        _gaps(sample, metric),
        None if estimate.at_least is None else estimate.at_least * scale(metric),
        estimate.never,
        estimate.groups,
    )


def _gaps(sample: PhaseSamples, metric: str) -> int:
    return len(sample.gaps) if gap_tail(metric) is not None else 0


def _streams_beyond(objective: Objective, sample: PhaseSamples, bound: float) -> int:
    if objective.metric in SHARES_OF_STREAMS:
        return len(sample.share_of_streams(objective.metric))
    name = objective.metric.rpartition("_")[0]
    return sum(value > bound for _, value in sample.times.get(name, []))


def _decide(objective: Objective, claim: Claim, evidence: tuple[Evidence, ...]) -> ObjectiveResult:
    holds = OPERATORS[objective.operator]
    low, high = claim.observed.low, claim.observed.high
    assert low is not None
    assert high is not None
    sides = {holds(low, claim.bound), holds(high, claim.bound)}
    judgement: ObjectiveVerdict = "undecided" if len(sides) == 2 else "met" if sides.pop() else "broken"
    is_recovery = objective.metric == "recovery_time"
    needed_streams = _streams_needed(objective, claim) if judgement == "undecided" and not is_recovery else None
    reason = _reason(claim, judgement, needed_streams)
    if is_recovery and judgement == "undecided":
        reason = (
            f"not back within the {format_value(low, claim.unit)} that were watched; make the phase after it longer"
        )
    return ObjectiveResult(
        text=objective.text,
        verdict=judgement,
        unit=claim.unit,
        bound=claim.bound,
        observed=claim.observed,
        streams=claim.streams,
        streams_needed=needed_streams,
        reason=reason,
        evidence=evidence,
    )


def _reason(claim: Claim, judgement: ObjectiveVerdict, needed_streams: int | None) -> str:
    value, low, high = claim.observed.value, claim.observed.low, claim.observed.high
    seen = f"{_observed(claim)} over {counted(claim.streams, 'stream')}"
    if claim.groups is not None:
        seen += f" in {counted(claim.groups, 'group')} that shared a connection"
    if claim.at_least is not None or (value is not None and math.isinf(value) and claim.never):
        seen += f", {claim.never} of which ended {'in a gap' if claim.gaps else 'without'}"
    if format_value(low, claim.unit) != format_value(high, claim.unit):
        seen += f", {format_level(claim.tail)}: {format_interval(low, high, claim.unit)}"
    if judgement != "undecided":
        return seen
    if claim.has_too_few_groups:
        return (
            f"{seen}; streams of one connection are not independent, and fewer than {MIN_STREAMS} groups have no "
            f"interval: let it fall silent in between, or use connections: kept"
        )
    if claim.is_not_waited_for:
        return f"{seen}; no stream was waited for longer than the bound: raise timeouts"
    if needed_streams is None:
        return f"{seen}; no feasible number of streams would decide"
    return f"{seen}; {about(needed_streams, 'stream')} would decide"


def _observed(claim: Claim) -> str:
    """The observed number, or what it is longer than."""
    if claim.at_least is not None:
        return f"> {format_value(claim.at_least, claim.unit)}"
    return format_value(claim.observed.value, claim.unit)


def _streams_needed(objective: Objective, claim: Claim) -> int | None:
    """How many streams would decide it if they behaved as these did; None when no feasible number would.

    More than there were, and at least as many as it takes in the clearest case: `spec.sample_size`.
    """
    if claim.is_not_waited_for or claim.has_too_few_groups:
        return None
    sizes = sample_sizes(objective, claim.tail)
    value = claim.observed.value
    assert value is not None
    size = sizes.to_be_met if OPERATORS[objective.operator](value, claim.bound) else sizes.to_be_broken
    if size is None:
        return None
    least = size.streams
    if size.minutes and claim.minutes:
        least = max(least, math.ceil(claim.streams * size.minutes / claim.minutes))
    if size.gaps and claim.gaps:
        least = max(least, math.ceil(claim.streams * size.gaps / claim.gaps))
    found = least if claim.streams < least else streams_by_spread(claim)
    return max(found, least, claim.streams + 1) if found is not None and least <= _MAX_STREAMS else None


def streams_by_spread(claim: Claim) -> int | None:
    """The number at which an interval as wide as this one, but for the number of streams, excludes the bound."""
    value, low, high = claim.observed.value, claim.observed.low, claim.observed.high
    assert value is not None
    assert low is not None
    assert high is not None
    if claim.beyond is not None and claim.unit != "ratio":
        return _streams_for_share(claim.streams_beyond, claim.streams, claim.beyond, claim.tail)
    end, distance = (high if value < claim.bound else low), abs(claim.bound - value)
    if not distance or math.isinf(end) or math.isinf(distance):
        return None if not distance else 2 * claim.streams
    spread = abs(end - value) / distance
    needed = math.ceil(claim.streams * (spread if value == 0 else spread**2))  # of a rate of nothing seen it is linear
    return needed if needed <= _MAX_STREAMS else None


def _streams_for_share(hits: int, count: int, bound: float, tail: float) -> int | None:
    """The number of streams at which the interval around the same share excludes `bound`."""
    if not count or not 0 < bound < 1:
        return None
    seen, least, number = hits / count, count, count
    while not intervals.excludes(round(seen * number), number, bound, tail):
        if number > _MAX_STREAMS:
            return None
        least, number = number, math.ceil(number * 1.05) + 1
    return next(n for n in range(least, number + 1) if intervals.excludes(round(seen * n), n, bound, tail))


def _undecided(
    objective: Objective, reason: str, claim: Claim | None = None, evidence: tuple[Evidence, ...] = ()
) -> ObjectiveResult:
    """Undecided for another reason than too few streams."""
    metric = objective.metric
    bound = (
        objective.factor
        if objective.factor is not None
        else (objective.bound or 0.0) * (1e-9 if objective.kind == "share" else scale(metric))
    )
    return ObjectiveResult(
        text=objective.text,
        verdict="undecided",
        unit="ratio" if objective.factor is not None else unit(metric),
        bound=bound,
        observed=claim.observed if claim else IntervalEstimate(value=None, missing=reason),
        streams=claim.streams if claim else 0,
        streams_needed=None,
        reason=reason,
        evidence=evidence,
    )
