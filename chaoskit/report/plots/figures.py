"""Puts the panels of a run together to figures, and writes them as PNG or SVG."""

from __future__ import annotations

import io
from collections.abc import Sequence
from textwrap import wrap
from typing import BinaryIO

import matplotlib
from matplotlib.figure import Figure

from chaoskit.analysis.result import Result
from chaoskit.analysis.tables.run_tables import RunTables
from chaoskit.report.formats.source import Run, Source
from chaoskit.report.headline import headline, word
from chaoskit.report.plots import panels
from chaoskit.report.plots.styles import SETTINGS, plain
from chaoskit.terminal import shortened

_WIDTH = 11.0  # inches
_DPI = 150
_LINE, _LONGEST_TITLE = 110, 500  # characters


class Plot(Figure):
    """A figure that a notebook shows by itself."""

    def _repr_png_(self) -> bytes:
        file = io.BytesIO()
        save(self, file, "png")
        return file.getvalue()


def first_tokens(tables: RunTables, level: float = 0.95) -> Plot:
    """How first-token latencies are distributed."""
    with matplotlib.rc_context(SETTINGS):
        plot = Plot(figsize=(6, 3.6), layout="constrained")
        panels.first_tokens(plot.subplots(), tables, level)
    return plot


def gaps(tables: RunTables, level: float = 0.95) -> Plot:
    """How gaps between tokens are distributed."""
    with matplotlib.rc_context(SETTINGS):
        plot = Plot(figsize=(6, 3.6), layout="constrained")
        panels.gaps(plot.subplots(), tables, level)
    return plot


def streams(tables: RunTables) -> Plot:
    """Each stream a row in time."""
    with matplotlib.rc_context(SETTINGS):
        plot = Plot(figsize=(_WIDTH, 5), layout="constrained")
        panels.streams(plot.subplots(), tables)
    return plot


def network(tables: RunTables) -> Plot:
    """What the kernel told in time: round trips, windows, segments sent again, queues."""
    shown = [panel for panel in panels.network_panels(tables) if panel[2]]
    with matplotlib.rc_context(SETTINGS):
        plot = Plot(figsize=(_WIDTH, 1.9 * max(1, len(shown))), layout="constrained")
        axes = plot.subplots(max(1, len(shown)), squeeze=False)
        for (each,), panel in zip(axes, shown, strict=False):
            panels.network(each, tables, *panel)
            each.label_outer()
        if not shown:
            axes[0, 0].set_axis_off()
            axes[0, 0].text(0.5, 0.5, "nothing was sampled", ha="center")
    return plot


def whole(source: Source) -> Plot:
    """Everything of one run; of a matrix, the distributions of all variants."""
    title = f"{source.name}: {word(source.found)}, {headline(source.found)}"
    with matplotlib.rc_context(SETTINGS):
        if isinstance(source.found, Result):
            return _one(source.runs[0].tables, title, source.found.level)
        return _variants(source.runs, title)


def _variants(runs: Sequence[Run], title: str) -> Plot:
    heights = [0.6 if run.result is None else 3.2 for run in runs]
    plot = Plot(figsize=(_WIDTH, 1 + sum(heights)), layout="constrained")
    entitle(plot, title)
    for part, run in zip(plot.subfigures(len(runs), squeeze=False, height_ratios=heights).flat, runs, strict=True):
        name = f"{run.variant}: {run.missing}" if run.missing else run.variant
        part.suptitle(_lines(name), x=0.01, ha="left", fontsize=10)
        if run.result is not None:
            left, right = part.subplots(1, 2)
            panels.first_tokens(left, run.tables, run.result.level)
            panels.gaps(right, run.tables, run.result.level)
    return plot


def _one(tables: RunTables, title: str, level: float) -> Plot:
    shown = [panel for panel in panels.network_panels(tables) if panel[2]]
    heights = [3.4, 4.6, *[1.8] * len(shown)]
    plot = Plot(figsize=(_WIDTH, sum(heights) + 0.6), layout="constrained")
    entitle(plot, title)
    grid = plot.add_gridspec(len(heights), 2, height_ratios=heights)
    panels.first_tokens(plot.add_subplot(grid[0, 0]), tables, level)
    panels.gaps(plot.add_subplot(grid[0, 1]), tables, level)
    panels.streams(plot.add_subplot(grid[1, :]), tables)
    for place, panel in enumerate(shown, 2):
        axes = plot.add_subplot(grid[place, :])
        panels.network(axes, tables, *panel)
        axes.label_outer()
    return plot


def entitle(plot: Plot, title: str) -> None:
    """Give the figure a title of its own, in as many lines as it needs."""
    plot.suptitle(_lines(title), x=0.01, ha="left", fontsize=11, fontweight="bold")


def _lines(text: str) -> str:
    return "\n".join(wrap(plain(shortened(text, _LONGEST_TITLE)), _LINE))


def save(plot: Figure, file: BinaryIO, kind: str) -> None:
    """Write it as `png` or `svg`; the same figure gives the same bytes."""
    metadata = {"Software": None} if kind == "png" else {"Date": None, "Creator": "chaoskit"}
    with matplotlib.rc_context(SETTINGS):
        plot.savefig(file, format=kind, dpi=_DPI, metadata=metadata)
