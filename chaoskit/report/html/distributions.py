"""Draws how first tokens and gaps are distributed, the phases side by side, with bands."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from typing import Any

import numpy as np

from chaoskit.analysis.formatting import NO_VALUE, format_level, format_value
from chaoskit.analysis.statistics.ecdf import Ecdf, Floats, Times, of_times, points_of
from chaoskit.analysis.statistics.quantiles import rank_of
from chaoskit.analysis.tables import distribution_samples as samples
from chaoskit.analysis.tables.distribution_samples import GapSample
from chaoskit.analysis.tables.run_tables import RunTables
from chaoskit.report.html.blocks import Cell, Grid
from chaoskit.report.html.charts import Chart, Line, spec
from chaoskit.units import counted

_MS = 1e6
_POINTS, _GAP_POINTS = 300, 64  # of a curve; a band of gaps takes some ms for each
_LEAST_MS = 0.1  # a logarithmic axis has no zero
_PERCENTS = (5, 25, 50, 75, 90, 95, 99)
_MOST_PHASES = 6
_FEWEST = 20  # below it a p95 is the maximum
_MOST_BANDS = 3
_GROUPS = "groups of streams that shared a connection"
_OF_WHOLE_CURVE = "for the whole curve (Dvoretzky, Kiefer, Wolfowitz)"


def distributions(tables: RunTables, reference: str, level: float) -> Iterator[Chart]:
    """Those of first tokens and of gaps, as far as there are any."""
    phases = tables.phases
    faulted = {str(name) for name, faults in zip(phases["phase"], phases["faults"], strict=True) if faults}
    names = list(dict.fromkeys(phases["phase"].tolist()))
    names.sort(key=lambda name: (name != reference, name not in faulted))
    first_tokens = {name: found for name in names if (found := samples.first_tokens(tables, name)).count}
    if any(len(times.reached) for times in first_tokens.values()):
        yield _first_token_chart(first_tokens, faulted, level)
    gaps = {name: sample for name in names if len((sample := samples.gaps(tables, name)).lengths)}
    if gaps:
        yield _gap_chart(gaps, faulted, level, _GROUPS if tables.groups.of else "streams")


def late_after(tables: RunTables, reference: str) -> float | None:
    """The seconds that 19 of 20 first tokens of the phase of reference took at most; None where there are too few."""
    reached = np.sort(samples.first_tokens(tables, reference).reached)
    return float(reached[rank_of(95, len(reached)) - 1]) / 1000 if len(reached) >= _FEWEST else None


def color_of(place: int) -> str:
    """That of the phase at this place."""
    return f"phase-{place % _MOST_PHASES}"


def _first_token_chart(found: dict[str, Times], faulted: Collection[str], level: float) -> Chart:
    points = _points(np.concatenate([times.reached for times in found.values()]), _POINTS)
    curves = {name: of_times(times, points, (1 - level) / 2) for name, times in found.items()}
    never = [
        f"in {name} {times.never} of {counted(times.count, 'stream')}" for name, times in found.items() if times.never
    ]
    is_grouped = any(times.groups is not None for times in found.values())
    kind = f"at each point for itself, with {_GROUPS} as the independent units" if is_grouped else _OF_WHOLE_CURVE
    rest = f" What never came keeps a curve below 100 %: {', '.join(never)}." if never else ""
    return Chart(
        "first-token",
        "First token",
        f"Share of streams whose first token came within a time, from when the request was due. Bands: "
        f"{_percent(level)} {kind}.{rest}",
        spec(points, _lines(curves, faulted), "share", False, 280),
        _percentiles({name: _quantiles_of_times(times) for name, times in found.items()}, "Streams", found),
    )


def _gap_chart(found: dict[str, GapSample], faulted: Collection[str], level: float, units: str) -> Chart:
    each = [points_of(np.maximum(sample.lengths / _MS, _LEAST_MS), _GAP_POINTS) for sample in found.values()]
    points = _points(np.concatenate(each), _GAP_POINTS)
    banded = _banded(list(found), faulted)
    curves = {
        name: sample.curve(points * _MS, (1 - level) / 2)
        if name in banded
        else Ecdf(np.searchsorted(np.sort(sample.lengths), points * _MS, "right") / len(sample.lengths))
        for name, sample in found.items()
    }
    table = {
        name: [float(value) / _MS for value in np.percentile(sample.lengths, _PERCENTS, method="inverted_cdf")]
        for name, sample in found.items()
    }
    counts = {name: len(sample.lengths) for name, sample in found.items()}
    return Chart(
        "gaps",
        "Gaps between tokens",
        f"Share of gaps that were at most so long; those inside one read count as {format_value(_LEAST_MS, 'ms')}. "
        f"Bands: {_percent(level)} at each point for itself, with {units} as the independent units.",
        spec(points, _lines(curves, faulted), "share", False, 280),
        _percentiles(table, "Gaps", counts),
    )


def _points(values: Floats, most: int) -> Floats:
    """With one below the first, so that each curve begins at 0."""
    found = points_of(np.maximum(values, _LEAST_MS), most)
    return np.concatenate(([found[0] * 0.9], found, [found[-1] * 1.1]))


def _lines(curves: dict[str, Ecdf], faulted: Collection[str]) -> list[Line]:
    banded = _banded(list(curves), faulted)
    return [
        Line(name, color_of(place), curve.share, "steps", *curve.band)
        if name in banded and curve.band is not None
        else Line(name, color_of(place), curve.share, "steps", dash=place)
        for place, (name, curve) in enumerate(curves.items())
    ]


def _banded(names: Sequence[str], faulted: Collection[str]) -> Collection[str]:
    """Bands that lie upon one another cannot be read, so only the first one and those with faults have them."""
    return [name for place, name in enumerate(names[:_MOST_BANDS]) if place == 0 or name in faulted]


def _quantiles_of_times(times: Times) -> list[float]:
    """In ms, infinite where never; by the same curve as is drawn."""
    values = np.unique(times.reached)
    shares = of_times(times, values).share
    found = []
    for percent in _PERCENTS:
        place = int(np.searchsorted(shares, percent / 100 - 1e-12))
        found.append(float(values[place]) if place < len(values) else float("inf"))
    return found


def _percentiles(values: dict[str, list[float]], noun: str, counts: dict[str, Any]) -> Grid:
    heads = ("", noun, *(f"{percent} %" for percent in _PERCENTS))
    rows = []
    for name, found in values.items():
        count = counts[name].count if isinstance(counts[name], Times) else counts[name]
        texts = [str(count), *(format_value(value, "ms") if found else NO_VALUE for value in found)]
        cells = (Cell((((text, ""),),), head, True) for text, head in zip(texts, heads[1:], strict=True))
        rows.append((Cell((((name, ""),),), is_head=True), *cells))
    return Grid(heads, (False, *[True] * (len(heads) - 1)), tuple(rows))


def _percent(level: float) -> str:
    return format_level((1 - level) / 2)
