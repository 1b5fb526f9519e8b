"""Draws a search for a limit: what held at each dose, or the limits along a frontier."""

from __future__ import annotations

import re

import matplotlib
from matplotlib.axes import Axes

from chaoskit.analysis.limits.limit_result import LimitResult, LimitSearch
from chaoskit.report.dose_names import axis_words
from chaoskit.report.limit_console import headline, said
from chaoskit.report.limit_tables import label
from chaoskit.report.plots.figures import Plot, entitle
from chaoskit.report.plots.styles import PHASES, SETTINGS, plain
from chaoskit.terminal import shortened

_LONGEST = 24  # characters of a value on an axis
_NUMBER = re.compile(r"-?[0-9.]+")


def figure(found: LimitResult) -> Plot:
    """One panel."""
    with matplotlib.rc_context(SETTINGS):
        plot = Plot(figsize=(11.0, 4.6), layout="constrained")
        is_frontier = len(found.searches) > 1
        told = "the limit at each value, with its 95 % interval" if is_frontier else said(found)
        entitle(plot, f"{found.name}: {headline(found)}, {told}")
        axes = plot.subplots()
        if is_frontier:
            _frontier(axes, found)
        else:
            _doses(axes, found, found.searches[0])
    return plot


def _doses(axes: Axes, found: LimitResult, search: LimitSearch) -> None:
    """The share that held at each dose, its size by the number of runs; the limit with its interval."""
    runs = [run for run in search.runs if run.has_outcome]
    for dose in dict.fromkeys(run.dose for run in runs):
        those = [run.held for run in runs if run.dose == dose]
        share = those.count(True) / len(those)
        axes.scatter(_number(dose), share, s=30 * len(those), color=PHASES[0], alpha=0.7, linewidths=0)
    _draw_interval(axes, found, search)
    axes.set_ylim(-0.06, 1.06)
    axes.set_ylabel("share of the runs that held\n(a larger dot: more runs)")
    axes.set_xlabel(plain(_axis(found)))
    if found.goes_down:
        axes.invert_xaxis()


def _draw_interval(axes: Axes, found: LimitResult, search: LimitSearch) -> None:
    estimate = search.estimate
    if estimate is None or estimate.where in ("above", "below"):
        return
    low, high = _number(estimate.low or found.easy), _number(estimate.high or found.hard)
    axes.axvspan(low, high, color=PHASES[1], alpha=0.15, linewidth=0, label="95 % interval of the limit")
    if estimate.dose is not None:
        axes.axvline(_number(estimate.dose), color=PHASES[1], label="limit")
    axes.legend(loc="best")


def _frontier(axes: Axes, found: LimitResult) -> None:
    """The limit at each value. An arrow: the limit, or an end of its interval, lies beyond the range."""
    for place, search in enumerate(found.searches):
        estimate = search.estimate
        if estimate is None:
            continue
        if estimate.where in ("above", "below"):
            end, mark = (found.hard, "^") if estimate.where == "above" else (found.easy, "v")
            axes.plot(place, _number(end), marker=mark, color=PHASES[1])
            continue
        low, high = _number(estimate.low or found.easy), _number(estimate.high or found.hard)
        middle = _number(estimate.dose) if estimate.dose is not None else (low + high) / 2
        axes.errorbar(
            place, middle, [[abs(middle - low)], [abs(high - middle)]], marker="o", color=PHASES[0], capsize=4
        )
        for known, dose, mark in ((estimate.low, low, "v"), (estimate.high, high, "^")):
            if known is None:
                axes.plot(place, dose, marker=mark, color=PHASES[0])
    names = [plain(shortened(label(search), _LONGEST)) for search in found.searches]
    axes.set_xticks(range(len(names)), names)
    axes.set_ylabel(plain(_axis(found)))
    if found.goes_down:
        axes.invert_yaxis()


def _axis(found: LimitResult) -> str:
    return axis_words(found.path, _NUMBER.sub("", found.hard).strip())


def _number(dose: str) -> float:
    """The number of a dose; all are in one unit."""
    read = _NUMBER.match(dose)
    return float(read[0]) if read is not None else 0.0
