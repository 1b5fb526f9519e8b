"""Finds what a fault did: a metric of a phase that became worse beyond chance, and whose that is.

Rules: an effect is a change whose interval excludes no change (`is_inconclusive` is the one rule, for sentences and for
the marks of tables); its cause is that of the same metric in the same phase. Streams that ended early come before late
first tokens, these before stalls.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from chaoskit.analysis.conclusion import black_holes
from chaoskit.analysis.formatting import ANYTHING, format_change, format_change_interval, format_interval, format_value
from chaoskit.analysis.result import Comparison, PhaseResult, Result
from chaoskit.analysis.streams.phase_samples import WARM_UP
from chaoskit.report.blame import whose
from chaoskit.spec.metrics import METRICS

LABELS = {
    "interruption_rate": "interrupted streams",
    "ttft_p95": "p95 first token",
    "ttft_p50": "median first token",
    "stalls_per_minute": "stalls",
    "stall_ratio": "a reader's waiting",
}
"""The metrics that can be an effect, the most important first, and what a sentence calls them."""
_FIRST = "ttft_p95"


@dataclass(frozen=True)
class Effect:
    """A change of a metric in a phase against the reference phase, whose name is `reference`."""

    phase: PhaseResult
    change: Comparison
    reference: str
    level: float

    @property
    def label(self) -> str:
        """What the metric is called in a sentence."""
        return LABELS[self.change.metric]

    @property
    def told(self) -> str:
        """`p95 first token 100 ms → 400 ms under wifi (4×, 95 %: 3.1–5×)`."""
        before, after = (format_value(each, self.change.unit) for each in (self.change.reference, self.change.value))
        return f"{self.label} {before} → {after} {during(self.phase)} ({self.size})"

    @property
    def size(self) -> str:
        """The ratio with its interval; without one the difference."""
        ratio, difference, unit = self.change.ratio, self.change.difference, self.change.unit
        if ratio.value is not None and math.isfinite(ratio.value):
            size, interval = format_value(ratio.value, "ratio"), format_interval(ratio.low, ratio.high, "ratio")
        else:
            is_endless = difference.value is None or math.isinf(difference.value)
            size = format_value(difference.value, unit) if is_endless else format_change(difference.value or 0.0, unit)
            interval = format_change_interval(difference.low, difference.high, unit)
        sure = f"{100 * self.level:.3g} %: {interval if interval not in ('', ANYTHING) else 'too few streams'}"
        return f"{size}, {sure}"

    def causes(self) -> Iterator[str]:
        """Whose it is, and the black hole that explains it."""
        yield from causes([self.phase], self.change.metric)
        yield from black_holes(self.phase)


def causes(phases: Sequence[PhaseResult], metric: str) -> Iterator[str]:
    """Whose it is that this metric suffered. Of a median it is what was done to all: late first tokens are few."""
    if not metric.endswith("_p50"):
        yield from whose(phases, metric)
    elif settings := list(dict.fromkeys(each for phase in phases for each in phase.settings)):
        more = f" and {len(settings) - 1} more" if settings[1:] else ""
        yield f"the fault was {settings[0]}{more}"


def during(phase: PhaseResult) -> str:
    """`under wifi` of a phase with a fault, `in recovery` of another one."""
    return f"{'under' if phase.faults else 'in'} {phase.name}"


def effects(result: Result) -> list[Effect]:
    """Each phase's most important one; the worst phase first, and those with a fault before the others."""
    found = [each for phase in result.phases if (each := _most_important(result, phase)) is not None]
    order = tuple(LABELS)
    return sorted(
        found,
        key=lambda each: (not each.phase.faults, order.index(each.change.metric), -_size(each.change)),
    )


def largest_by_chance(result: Result) -> Effect | None:
    """The change of first tokens under a fault that has to be mentioned where none is beyond chance."""
    known = [each for each in _changes(result) if each.change.metric == _FIRST and each.change.ratio.value is not None]
    return max(known, key=lambda each: (bool(each.phase.faults), _size(each.change)), default=None)


def is_inconclusive(comparison: Comparison) -> bool:
    """Whether the interval of the change includes no change: it could be chance."""
    low, high = comparison.difference.low, comparison.difference.high
    return low is not None and high is not None and low <= 0 <= high


def is_worse(comparison: Comparison) -> bool:
    """Whether a metric changed for the worse beyond chance."""
    is_up = (comparison.difference.value or 0.0) > 0
    return is_change(comparison) and is_up != METRICS[comparison.metric].more_is_better


def is_better(comparison: Comparison) -> bool:
    """Whether it changed for the better beyond chance, and is one whose better side says so."""
    known = METRICS[comparison.metric]
    is_up = (comparison.difference.value or 0.0) > 0
    return is_change(comparison) and not known.why_no_gain and is_up == known.more_is_better


def is_change(comparison: Comparison) -> bool:
    """Whether a metric changed beyond chance."""
    return bool(comparison.difference.value) and not is_inconclusive(comparison)


def _most_important(result: Result, phase: PhaseResult) -> Effect | None:
    of_phase = {each.change.metric: each for each in _changes(result) if each.phase is phase}
    return next((of_phase[name] for name in LABELS if name in of_phase and is_worse(of_phase[name].change)), None)


def _changes(result: Result) -> Iterator[Effect]:
    for phase in result.phases:
        for each in result.comparisons:
            if each.phase == phase.name and each.metric in LABELS and phase.name != WARM_UP:
                yield Effect(phase, each, result.reference, result.level)


def _size(change: Comparison) -> float:
    """How large a change is, among those of one metric."""
    ratio = change.ratio.value
    return ratio if ratio is not None else change.difference.value or 0.0
