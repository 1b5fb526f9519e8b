"""Describes charts: what `scripts/charts.js` draws with uPlot, and the numbers of a table behind each.

`Chart.spec` is JSON: `x` has the points of all lines; a line has a label and `y`, with a band also `low` and `high`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np

from chaoskit.report.html.blocks import Grid

Kind = Literal["steps", "line", "points", "bars"]


@dataclass(frozen=True)
class Chart:
    """A picture with a title, what it shows in words, the chart itself, and a table with its main numbers."""

    key: str
    title: str
    caption: str
    spec: dict[str, Any]
    table: Grid | None = None


@dataclass(frozen=True, eq=False)
class Line:
    """One line. `color` is a custom property of page.css."""

    label: str
    color: str
    y: Any
    kind: Kind
    low: Any = None
    high: Any = None
    dash: int = 0


def spec(
    x: Any, lines: Sequence[Line], unit: str, over_time: bool, height: int = 150, least: float = 1
) -> dict[str, Any]:
    """The chart as JSON. `x` is in seconds over time, else in ms on a logarithmic axis; `least` of the largest y."""
    return {
        "x": _rounded(x),
        "xLabel": "time" if over_time else "up to",
        "overTime": over_time,
        "log": not over_time,
        "unit": unit,
        "height": height,
        "least": least,
        "lines": [
            {
                "label": line.label,
                "color": line.color,
                "as": line.kind,
                "dash": line.dash,
                "y": _rounded(line.y),
                **({"low": _rounded(line.low), "high": _rounded(line.high)} if line.low is not None else {}),
            }
            for line in lines
        ],
    }


def _rounded(values: Any) -> list[float | None]:
    """Six digits; None where there is no number."""
    return [None if value is None or not np.isfinite(value) else float(f"{value:.6g}") for value in list(values)]
