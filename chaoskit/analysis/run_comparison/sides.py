"""Pools the runs of one side of a comparison, and estimates its metrics."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass

from chaoskit.analysis.run_comparison.measured import MeasuredRun, MeasuredWorkload
from chaoskit.analysis.statistics.estimates import Estimates
from chaoskit.analysis.statistics.estimators import Estimate
from chaoskit.analysis.streams.phase_samples import WARM_UP, WHOLE_RUN, PhaseSamples
from chaoskit.analysis.streams.pooled import pool, requests_of
from chaoskit.analysis.streams.populations import Population, SamplesByPopulation


@dataclass(frozen=True)
class Key:
    """What is compared: one metric of one phase, of some requests of a workload."""

    workload: str
    population: Population
    phase: str
    metric: str


class Side:
    """One run, or several of the same experiment; of a matrix those of one variant."""

    def __init__(self, runs: Sequence[MeasuredRun]) -> None:
        self.runs = tuple(runs)
        names = dict.fromkeys(name for run in runs for name in run.workloads)
        self.workloads = {
            name: _together([run.workloads[name] for run in runs if name in run.workloads]) for name in names
        }
        self._estimates: dict[tuple[str, float], Estimates] = {}

    @property
    def tail(self) -> float:
        """The probability beyond each end of its intervals: less than usual where its runs took several looks."""
        return min(run.spec.tail for run in self.runs)

    def has_records_of(self, other: Side) -> bool:
        """Whether each run of either has the same records as one of the other."""
        return all(
            any(run.has_records_of(each) for each in runs)
            for ours, runs in ((self.runs, other.runs), (other.runs, self.runs))
            for run in ours
        )

    def phases(self, workload: str) -> tuple[str, ...]:
        """The phases that are compared, without a warm-up."""
        return tuple(name for name in self.workloads[workload].samples if name not in (WARM_UP, WHOLE_RUN))

    def sample(self, key: Key) -> PhaseSamples:
        """The streams that a metric is computed from."""
        return self.workloads[key.workload].populations.of(key.population)[key.phase]

    def estimate(self, key: Key, tail: float) -> Estimate:
        """The metric, with an interval of which so much is beyond each end."""
        place = (key.workload, tail)
        if place not in self._estimates:
            self._estimates[place] = self.workloads[key.workload].estimates.at(tail)
        return self._estimates[place].of(self.sample(key), key.metric)

    def why_undecided(self, key: Key) -> str:
        """Why this run, or this phase of it, decides nothing; "" where it does."""
        for run in self.runs:
            for reason in run.workloads[key.workload].reasons if key.workload in run.workloads else ():
                if reason.concerns(key.metric, _phases(key)):
                    return f"in {run.name}: {reason.reason}"
        return ""


def _phases(key: Key) -> Collection[str | None]:
    return {key.phase}


def _together(parts: Sequence[MeasuredWorkload]) -> MeasuredWorkload:
    """The same client in all runs; each objective once."""
    objectives = tuple({each.text: each for part in parts for each in part.objectives}.values())
    if len(parts) == 1:
        return MeasuredWorkload(
            parts[0].samples, parts[0].populations, parts[0].estimates, objectives, parts[0].reasons
        )
    samples, firsts = pool([part.samples for part in parts])
    return MeasuredWorkload(
        samples,
        SamplesByPopulation(samples, requests_of(samples)),
        Estimates.pooled([(part.estimates, first) for part, first in zip(parts, firsts, strict=True)]),
        objectives,
        tuple(reason for part in parts for reason in part.reasons),
    )


Sides = Mapping[str, Side]
"""By variant; of runs without a matrix only ""."""
