"""Writes the past of experiments for programs and for pull requests: JSON, CSV, Markdown.

Each escapes what its reader would interpret, as `terminal` says.
"""

from __future__ import annotations

import csv
import io
import json
import math
from bisect import bisect_right
from collections.abc import Iterator, Sequence
from typing import Any

from chaoskit.analysis.formatting import format_value
from chaoskit.analysis.trends.points import PastRun
from chaoskit.analysis.trends.tracks import JudgedTrack
from chaoskit.analysis.trends.trend import Change, Trend
from chaoskit.report.formats.csv_tables import cell
from chaoskit.report.markdown_text import bounded, code, prose, table
from chaoskit.report.trends import change_sentence, flapping_sentence, past_line, plot, state, subject
from chaoskit.units import counted

_RUN = (
    *("name", "variant", "experiment", "clock", "started", "commit", "branch", "is_dirty", "chaoskit", "kernel"),
    *("status", "verdict"),
)
_POINT = ("label", "metric", "unit", "value", "low", "high", "never", "n", "state")


def as_json(found: Sequence[JudgedTrack], tolerance: float) -> str:
    """One object with all tracks. A value that was never reached is null, with `never`."""
    return json.dumps({"schema_version": 1, "tracks": [_track(each, tolerance) for each in found]}, indent=1)


def as_csv(found: Sequence[JudgedTrack]) -> str:
    """A line for each value of each run."""
    file = io.StringIO()
    writer = csv.writer(file, lineterminator="\n")
    writer.writerow((*_RUN, *_POINT))
    for each in found:
        for trend in each.trends:
            for run, point in zip((one.run for one in trend.series.points), _points(trend), strict=True):
                writer.writerow([_cell(value) for value in (*_run(run).values(), *point.values())])
    return file.getvalue()


def as_markdown(found: Sequence[JudgedTrack], tolerance: float) -> str:
    """A table for each current track, and what changed in it."""
    parts = [
        (prose(subject(each.track.newest)), part)
        for each in found
        for part in (_section(each, tolerance) if each.track.is_current else [f"_{prose(past_line(each))}_"])
    ]
    return bounded(parts)


def _section(each: JudgedTrack, tolerance: float) -> Iterator[str]:
    runs = each.track.runs
    yield f"### {prose(subject(runs[-1]))}"
    started, commit, verdict = map(prose, (runs[-1].started, runs[-1].short_commit, runs[-1].verdict))
    yield f"{counted(len(runs), 'run')}, the newest of {started} at {commit}: **{verdict}**"
    if each.trends:
        yield table(["", "runs", "trend", "now", ""], map(_cells, each.trends))
    worse = {id(change) for _, change in each.regressions(tolerance)}
    for trend in each.trends:
        for change in trend.changes:
            sign = "**Regression:** " if id(change) in worse else ""
            yield f"{sign}{prose(change_sentence(trend.series, change))}"
    for flapping in each.flapping:
        yield prose(flapping_sentence(flapping))


def _cells(trend: Trend) -> tuple[str, ...]:
    """A row of the table."""
    series = trend.series
    now = format_value(series.points[-1].value, series.subject.unit)
    return (prose(series.subject.label), str(len(series.points)), code(plot(trend, mark="¦")), prose(now), state(trend))


def _track(each: JudgedTrack, tolerance: float) -> dict[str, Any]:
    run = each.track.newest
    worse = {id(trend) for trend, _ in each.regressions(tolerance)}
    return {
        "name": run.name,
        "variant": run.variant,
        "target": run.target,
        "experiment": run.experiment,
        "clock": run.clock,
        "is_current": each.track.is_current,
        "runs": [_run(one) for one in each.track.runs],
        "series": [
            {
                "label": trend.series.subject.label,
                "metric": trend.series.subject.metric,
                "unit": trend.series.subject.unit,
                "state": state(trend),
                "is_regression": id(trend) in worse,
                "changes": [_change(change) for change in trend.changes],
                "points": [
                    {"started": one.run.started, "commit": one.run.commit or None} | _numbers(point)
                    for one, point in zip(trend.series.points, _points(trend), strict=True)
                ],
            }
            for trend in each.trends
        ],
        "flapping": [{"commit": one.newest.commit, "verdicts": one.verdicts} for one in each.flapping],
    }


def _numbers(point: dict[str, Any]) -> dict[str, Any]:
    return {name: point[name] for name in ("value", "low", "high", "never", "n", "state")}


def _change(change: Change) -> dict[str, Any]:
    levels = [None if math.isinf(each) else each for each in (change.level_before, change.level_after)]
    sides = [{"started": run.started, "commit": run.commit or None} for run in (change.before, change.after)]
    return {
        "direction": change.direction,
        "before": {**sides[0], "level": levels[0]},
        "after": {**sides[1], "level": levels[1]},
    }


def _run(run: PastRun) -> dict[str, Any]:
    return {name: getattr(run, name) for name in _RUN}


def _points(trend: Trend) -> Iterator[dict[str, Any]]:
    """Each point, with the number of its state, from 1."""
    subject, starts = trend.series.subject, [change.after.identity for change in trend.changes]
    places = [at for at, each in enumerate(trend.series.points) if each.run.identity in starts]
    for at, each in enumerate(trend.series.points):
        is_never = math.isinf(each.value)
        yield {
            "label": subject.label,
            "metric": subject.metric,
            "unit": subject.unit,
            "value": None if is_never else each.value,
            "low": each.low,
            "high": each.high,
            "never": is_never,
            "n": each.count,
            "state": 1 + bisect_right(places, at),
        }


def _cell(value: object) -> str:
    """Exact, and nothing that a spreadsheet would compute."""
    if value is None:
        return ""
    if isinstance(value, bool):
        return str(value).lower()
    return cell(value) if isinstance(value, str) else str(value)
