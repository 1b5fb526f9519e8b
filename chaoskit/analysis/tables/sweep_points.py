"""Defines the table of a sweep: a row for each metric of each phase of each point."""

from __future__ import annotations

import math

from chaoskit.analysis.sweep_points import MeasuredPoint, SweepMeasurement
from chaoskit.analysis.tables.table import Column, Table, TableSchema

_VERDICTS = ("met", "broken", "undecided", "failed")
SCHEMA = TableSchema(
    "points",
    "one metric of one phase of a point, over all its runs",
    (
        Column("phase", "text", "", "The phase."),
        Column("metric", "text", "", "The metric, by its name in objectives."),
        Column("unit", "text", "", "ms, share (of 1), per-minute or per-second."),
        Column("value", "float64", "", "Its value; lacks where there is none, or it was never reached.", may_lack=True),
        Column("low", "float64", "", "The lower end of its 95 % interval.", may_lack=True),
        Column("high", "float64", "", "The upper end; lacks where the interval has none.", may_lack=True),
        Column("missing", "text", "", "Why there is no value."),
        Column("runs", "int32", "", "Runs of the point that have a result."),
        Column("streams", "int64", "", "Their streams."),
        *(Column(word, "int32", "", f"Runs of the point that are {word}.") for word in _VERDICTS),
    ),
)


def axes(found: SweepMeasurement) -> tuple[Column, ...]:
    """The columns before them: the value on each axis, by its path."""
    return tuple(Column(path, "text", "", "The value that was set.") for path in found.sweep.paths)


def rows(point: MeasuredPoint) -> Table:
    """The rows of a point."""
    counts = (point.runs, point.streams, *(point.verdicts.get(word, 0) for word in _VERDICTS))
    return Table.of_rows(
        SCHEMA,
        [
            (
                each.phase,
                each.metric,
                each.unit,
                *map(_finite, (each.estimate.value, each.estimate.low, each.estimate.high)),
                each.estimate.missing or ("never reached" if each.estimate.value == math.inf else ""),
                *counts,
            )
            for each in point.metrics
        ],
    )


def _finite(number: float | None) -> float | None:
    return number if number is not None and math.isfinite(number) else None
