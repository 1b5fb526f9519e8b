"""Draws the dose response of a sweep: each metric against an axis, a line for each phase.

The band is the 95 % interval. Other axes have lines of their own, told in the legend. An axis without numbers has its
values as words, in their order.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import cycle
from operator import itemgetter
from typing import Any

import matplotlib
from matplotlib.axes import Axes
from matplotlib.ticker import PercentFormatter

from chaoskit.analysis.doses import doses
from chaoskit.analysis.result import Unit
from chaoskit.analysis.sweep_points import MeasuredPoint, SweepMeasurement
from chaoskit.report.dose_names import axis_words
from chaoskit.report.plots.figures import Plot, entitle
from chaoskit.report.plots.styles import DASHES, MARKERS, PHASES, SETTINGS, plain
from chaoskit.report.sweep_console import headline, summary
from chaoskit.spec.metrics import HEADLINES
from chaoskit.terminal import shortened

_COLUMNS = 2
_LONGEST = 48  # characters of a name in the legend
_MOST_LINES = 18
_UNITS: Mapping[Unit, str] = {"ms": "ms", "per-minute": "1/min", "per-second": "1/s"}


@dataclass(frozen=True)
class _Line:
    """One line: its points by dose, each with its value and interval; None where there is no value."""

    name: str
    doses: tuple[float, ...]
    values: tuple[float, ...]
    lows: tuple[float, ...]
    highs: tuple[float, ...]


def figure(found: SweepMeasurement) -> Plot:
    """A panel for each metric."""
    metrics = found.metrics
    rows = max(1, math.ceil(len(metrics) / _COLUMNS))
    with matplotlib.rc_context(SETTINGS):
        plot = Plot(figsize=(11.0, 0.8 + 2.9 * rows), layout="constrained")
        entitle(plot, f"{found.sweep.name}: {headline(found.sweep)}, {summary(found.sweep)}")
        panels = list(plot.subplots(rows, _COLUMNS, squeeze=False).flat)
        for axes, (metric, unit) in zip(panels, metrics.items(), strict=False):
            _panel(axes, found, metric, unit)
        for axes in panels[len(metrics) :]:
            axes.set_axis_off()
    return plot


def _panel(axes: Axes, found: SweepMeasurement, metric: str, unit: Unit) -> None:
    place, numbers, ticks, label = _axis(found)
    drawn = list(_lines(found, metric, place, numbers))[:_MOST_LINES]
    for line, color, dash, mark in zip(drawn, cycle(PHASES), cycle(DASHES), cycle(MARKERS)):
        axes.fill_between(line.doses, line.lows, line.highs, color=color, alpha=0.15, linewidth=0)
        style: dict[str, Any] = {"color": color, "linestyle": dash, "marker": mark, "markersize": 4}
        axes.plot(line.doses, line.values, label=plain(shortened(line.name, _LONGEST)), **style)
    axes.set_title(HEADLINES.get(metric, metric))
    axes.set_xlabel(plain(label))
    axes.set_ylabel(_UNITS.get(unit, ""))
    if unit == "share":
        axes.yaxis.set_major_formatter(PercentFormatter(1))
    if ticks:
        axes.set_xticks(range(len(ticks)), [plain(shortened(tick, 16)) for tick in ticks])
    axes.set_ylim(bottom=0)
    if drawn:
        axes.legend(loc="best")


def _axis(found: SweepMeasurement) -> tuple[int, tuple[float, ...], list[str], str]:
    """The place of the axis that is drawn against, the number of each point on it, its words if any, its label."""
    values = [point.values for point in found.points]
    if not found.sweep.axes:
        return -1, (0.0,) * len(values), ["as it is"], ""
    if (numeric := doses(values)) is not None:
        return numeric.place, numeric.numbers, [], axis_words(found.sweep.paths[numeric.place], numeric.unit)
    words = list(dict.fromkeys(each[0] for each in values))
    return 0, tuple(float(words.index(each[0])) for each in values), words, axis_words(found.sweep.paths[0])


def _lines(found: SweepMeasurement, metric: str, place: int, numbers: Sequence[float]) -> Iterator[_Line]:
    """A line for each phase and combination of the other axes."""
    pairs = list(zip(found.points, numbers, strict=True))
    others = dict.fromkeys(_others(found, point, place) for point, _ in pairs)
    for phase in found.phases:
        for other in others:
            those = sorted(
                ((dose, point) for point, dose in pairs if _others(found, point, place) == other), key=itemgetter(0)
            )
            if (line := _line(", ".join((phase, *other)), those, phase, metric)) is not None:
                yield line


def _others(found: SweepMeasurement, point: MeasuredPoint, place: int) -> tuple[str, ...]:
    """The values of the other axes: `loss=1%`."""
    pairs = enumerate(zip(found.sweep.axes, point.values, strict=True))
    return tuple(f"{axis}={value}" for at, (axis, value) in pairs if at != place)


def _line(name: str, points: Sequence[tuple[float, MeasuredPoint]], phase: str, metric: str) -> _Line | None:
    """Its points with a finite value; a band without an end goes to the value."""
    rows = []
    for dose, point in points:
        one = point.of(phase, metric)
        value = one.estimate.value if one is not None else None
        if one is None or value is None or math.isinf(value):
            continue
        low, high = (
            end if end is not None and math.isfinite(end) else value for end in (one.estimate.low, one.estimate.high)
        )
        rows.append((dose, value, low, high))
    return _Line(name, *zip(*rows, strict=True)) if rows else None
