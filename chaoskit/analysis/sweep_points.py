"""Measures the points of a sweep: every metric, from the raw records of all its repeats together.

Rules: a point is measured once, when all its cells have ended, into `points/NAME.json`; without that file it is
measured again from its run directories. The repeats differ by their seeds, so that their streams are pooled as if one
run had had them all, and an interval is as narrow as so many streams allow.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path

from pydantic import Field, ValidationError

from chaoskit.analysis.finite_json import FiniteJson
from chaoskit.analysis.formatting import ANYTHING, format_interval, format_value
from chaoskit.analysis.result import Unit
from chaoskit.analysis.run_comparison.measured import MeasuredRun, measure
from chaoskit.analysis.run_comparison.repeats import counted_once
from chaoskit.analysis.run_comparison.sides import Key, Side
from chaoskit.analysis.statistics.estimates import scale, unit
from chaoskit.analysis.streams.phase_samples import PhaseSamples
from chaoskit.analysis.streams.populations import EVERYBODY
from chaoskit.analysis.summaries import IntervalEstimate
from chaoskit.analysis.sweep_result import SweepResult, load_sweep
from chaoskit.errors import ChaoskitError
from chaoskit.records.untrusted_files import damage_error, parse_json, read_document

POINTS = "points"
METRICS = ("ttft_p50", "ttft_p95", "itl_p99", "stall_ratio", "stalls_per_minute", "interruption_rate", "goodput")
"""Those of every sweep; the metrics of its objectives come first."""


class PointMetric(FiniteJson):
    """One metric of one phase of a point, with its interval, in the units of results."""

    phase: str
    metric: str
    unit: Unit
    estimate: IntervalEstimate


class MeasuredPoint(FiniteJson):
    """What a point measured. `runs`: how many of its cells have a result; `reasons`: why others have none."""

    name: str
    values: tuple[str, ...]
    runs: int = 0
    streams: int = 0
    verdicts: dict[str, int] = Field(default={})
    reasons: tuple[str, ...] = ()
    metrics: tuple[PointMetric, ...] = ()

    def of(self, phase: str, metric: str) -> PointMetric | None:
        """This metric of this phase."""
        return next((each for each in self.metrics if (each.phase, each.metric) == (phase, metric)), None)

    @property
    def phases(self) -> tuple[str, ...]:
        """The phases that it measured, in their order."""
        return tuple(dict.fromkeys(each.phase for each in self.metrics))


class SweepMeasurement(FiniteJson):
    """A sweep and what all its points measured: what reports are made of."""

    sweep: SweepResult
    points: tuple[MeasuredPoint, ...]

    @property
    def phases(self) -> tuple[str, ...]:
        """Those of all points."""
        return tuple(dict.fromkeys(phase for point in self.points for phase in point.phases))

    @property
    def metrics(self) -> Mapping[str, Unit]:
        """Those of all points, with their units."""
        return {each.metric: each.unit for point in self.points for each in point.metrics}

    @property
    def exit_code(self) -> int:
        """That of the sweep."""
        return self.sweep.exit_code


def measure_point(sweep: SweepResult, place: int, folder: Path) -> MeasuredPoint:
    """Measure the point at this place from the run directories of its cells that have ended."""
    point, cells = sweep.points[place], sweep.cells_of(place)
    verdicts = [cell.verdict for cell in cells if cell.verdict is not None]
    reasons = [f"{cell.name}: {cell.reason}" for cell in cells if cell.verdict == "failed"]
    runs: list[MeasuredRun] = []
    for cell in cells:
        if cell.verdict not in (None, "failed"):
            try:
                runs.append(measure(folder / cell.name))
            except ChaoskitError as error:
                reasons.append(f"{cell.name}: {error}")
    pooled = [run for _, run in counted_once([("", run) for run in runs])]
    side = Side(pooled) if pooled else None
    return MeasuredPoint(
        name=point.name,
        values=point.values,
        runs=len(runs),
        streams=sum(len(each.streams) for each in _samples(side)) if side is not None else 0,
        verdicts={word: verdicts.count(word) for word in dict.fromkeys(sorted(verdicts))},
        reasons=tuple(reasons),
        metrics=tuple(_metrics(side)) if side is not None else (),
    )


def _samples(side: Side) -> Iterator[PhaseSamples]:
    """Those of its phases."""
    return (side.sample(Key("", EVERYBODY, phase, "ttft_p50")) for phase in side.phases(""))


def _metrics(side: Side) -> Iterator[PointMetric]:
    workload = side.workloads[""]
    of_objectives = (each.metric for each in workload.objectives)
    for phase in side.phases(""):
        for metric in dict.fromkeys((*of_objectives, *METRICS)):
            found = side.estimate(Key("", EVERYBODY, phase, metric), side.tail)
            yield PointMetric(phase=phase, metric=metric, unit=unit(metric), estimate=found.scaled(scale(metric)))


def load_point(sweep: SweepResult, place: int, folder: Path) -> MeasuredPoint:
    """What the point at this place measured: from its file, or from its run directories. Raises SpecError."""
    file = folder / POINTS / f"{sweep.points[place].name}.json"
    text = read_document(file)
    if text is None:
        return measure_point(sweep, place, folder)
    try:
        return MeasuredPoint.model_validate(parse_json(text))
    except ValidationError as error:
        raise damage_error(file, error.errors()[0]["msg"]) from None


def load_measurement(sweep: SweepResult, folder: Path) -> SweepMeasurement:
    """What all its points measured. Raises SpecError."""
    points = tuple(load_point(sweep, place, folder) for place in range(len(sweep.points)))
    return SweepMeasurement(sweep=sweep, points=points)


def load_swept(folder: Path) -> SweepMeasurement:
    """What the sweep of this folder measured. Raises SpecError."""
    return load_measurement(load_sweep(folder), folder)


def shown(found: PointMetric | None) -> str:
    """The value and its interval: `312 ms (298-330)`."""
    if found is None or found.estimate.value is None:
        return ""
    between = format_interval(found.estimate.low, found.estimate.high, found.unit)
    return format_value(found.estimate.value, found.unit) + (f" ({between})" if between != ANYTHING else "")
