"""Draws the past of experiments: series with change points, the last runs, flapping verdicts."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from itertools import groupby

from rich.console import Console, RenderableType
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from chaoskit.analysis.formatting import format_interval, format_value
from chaoskit.analysis.trends.change_points import FEWEST
from chaoskit.analysis.trends.flapping import Flapping
from chaoskit.analysis.trends.points import PastRun, Point, Series
from chaoskit.analysis.trends.tracks import PROBE, JudgedTrack, experiment_of
from chaoskit.analysis.trends.trend import Change, Trend
from chaoskit.report.sparkline import level, scale_of
from chaoskit.report.styles import VERDICT_STYLES, styled
from chaoskit.report.table import plain_table
from chaoskit.units import counted

_RUNS = 10  # the last ones are shown one by one
_PLOT = 24  # characters
_EARLIER = "earlier: runs that had another file; --despite experiment takes them together"
_STYLES = {"worse": "bold red", "better": "green", "steady": ""}


def render(found: Sequence[JudgedTrack], console: Console, tolerance: float) -> None:
    """Print the current tracks one after the other, and a line for each of the past."""
    for number, each in enumerate(track for track in found if track.track.is_current):
        for part in (*([Text()] if number else []), *_page(each, tolerance)):
            console.print(part)
    past = [each for each in found if not each.track.is_current]
    if past:
        console.print()
    for each in past:
        console.print(styled(past_line(each), "dim"))


def render_list(found: Sequence[JudgedTrack], console: Console, tolerance: float) -> None:
    """Print a line for each experiment, and under it what became worse and what flaps."""
    past = Counter(experiment_of(run) for each in found if not each.track.is_current for run in each.track.runs)
    table = plain_table()
    for name in ("experiment", "runs", *(["earlier"] if past else []), "newest", "commit", "verdict"):
        is_count = name in ("runs", "earlier")
        table.add_column(
            name, header_style="dim", justify="right" if is_count else "left", no_wrap=name != "experiment"
        )
    current = [each for each in found if each.track.is_current]
    for each in current:
        run = each.track.newest
        table.add_row(
            styled(subject(run), "bold"),
            str(len(each.track.runs)),
            *([str(past[experiment_of(run)] or "")] if past else []),
            _moment(run),
            styled(run.short_commit),
            _verdict(run),
        )
    console.print(table)
    if past:
        console.print()
        console.print(styled(_EARLIER, "dim"))
    for each in current:
        notes = [*regression_sentences(each, tolerance), *map(flapping_sentence, each.flapping)]
        if notes:
            console.print()
            console.print(styled(subject(each.track.newest), "bold"))
        for sentence in notes:
            console.print(Padding(styled(sentence), (0, 0, 0, 2)))


def subject(run: PastRun) -> str:
    """What people call it: the experiment with its variant, or the target of a probe."""
    if run.name == PROBE:
        return f"{PROBE} {run.target}"
    return f"{run.name} {run.variant}".rstrip()


def past_line(each: JudgedTrack) -> str:
    """A track whose file is not that of the newest run."""
    track = each.track
    asked = "asked otherwise" if track.newest.name == PROBE else f"had another file ({track.newest.experiment[:8]})"
    count = counted(len(track.runs), "earlier run")
    return (
        f"{subject(track.newest)}: {count} until {_moment(track.newest)} {asked}; "
        "--despite experiment takes them together"
    )


def state(trend: Trend) -> str:
    """`worse`, `better` or `steady` by the newest change; `too few` runs for any."""
    if trend.newest is not None:
        return trend.newest.direction
    return "steady" if len(trend.series.points) >= FEWEST else "too few"


def regression_sentences(each: JudgedTrack, tolerance: float) -> list[str]:
    """A sentence for each regression."""
    return [change_sentence(trend.series, change) for trend, change in each.regressions(tolerance)]


def change_sentence(series: Series, change: Change) -> str:
    """What became worse or better, by how much, and between which commits."""
    unit = series.subject.unit
    share = "" if change.share is None else f" ({change.share:+.0%})".replace("%", " %")
    levels = f"{format_value(change.level_before, unit)} before, {format_value(change.level_after, unit)} after{share}"
    return f"{series.subject.label} is {change.direction}: {levels}, {_between(change)}"


def flapping_sentence(found: Flapping) -> str:
    """How often each verdict came of the same."""
    verdicts = ", ".join(f"{count} {verdict}" for verdict, count in found.verdicts.items())
    return f"the verdict flaps: {verdicts}, of the same file at commit {found.newest.commit[:8]}"


def plot(trend: Trend, mark: str = "|") -> str:
    """A character for each run, higher for a larger value, `!` for never, and a mark before each change.

    Of many runs several are one character.
    """
    points = trend.series.points
    starts = {change.after.identity for change in trend.changes}
    step = -(-len(points) // _PLOT)
    ends = scale_of(each.value for each in points) or (1.0, 1.0)
    drawn = ""
    for first in range(0, len(points), step):
        group = points[first : first + step]
        middle = sorted(each.value for each in group)[(len(group) - 1) // 2]
        is_start = any(each.run.identity in starts for each in group)
        drawn += (mark if is_start else "") + level(middle, ends)
    return drawn


def _page(each: JudgedTrack, tolerance: float) -> Iterator[RenderableType]:
    runs = each.track.runs
    title = styled(subject(each.track.newest), "bold")
    yield title.append(
        f"  {counted(len(runs), 'run')}, {_days(runs)}, {runs[-1].clock or 'unknown'} time", "not bold dim"
    )
    yield styled(_about(each), "dim")
    if each.trends:
        yield Text()
        yield Padding(_table(each.trends), (0, 0, 0, 2))
    changes = [change_sentence(trend.series, change) for trend in each.trends for change in trend.changes]
    for sentence in (*changes, *map(flapping_sentence, each.flapping)):
        yield Text()
        yield Padding(styled(sentence), (0, 0, 0, 2))
    yield Text()
    yield Padding(_last_runs(each), (0, 0, 0, 2))


def _about(each: JudgedTrack) -> str:
    counts = [
        f"{len(list(group))} {verdict}" for verdict, group in groupby(sorted(run.verdict for run in each.track.runs))
    ]
    files = (
        f"{each.track.files} different files" if each.track.files > 1 else f"file {each.track.newest.experiment[:8]}"
    )
    return f"{files}; verdicts: {', '.join(counts)}"


def _table(found: Sequence[Trend]) -> Table:
    table = plain_table()
    for name in ("", "runs", "trend", "now", ""):
        table.add_column(
            name, header_style="dim", justify="right" if name in ("runs", "now") else "left", no_wrap=bool(name)
        )
    for each in found:
        what = state(each)
        last = each.series.points[-1]
        table.add_row(
            styled(each.series.subject.label, "bold"),
            str(len(each.series.points)),
            Text(plot(each)),
            styled(format_value(last.value, each.series.subject.unit)),
            Text(what, _STYLES.get(what, "dim")),
        )
    return table


def _last_runs(each: JudgedTrack) -> Table:
    """The newest runs first, with the value of the first series."""
    first = each.trends[0].series if each.trends else None
    values = {point.run.identity: point for point in first.points} if first else {}
    table = plain_table()
    for name in ("started, UTC", "commit", "verdict"):
        table.add_column(name, header_style="dim", no_wrap=True)
    if first:
        table.add_column(styled(first.subject.label), header_style="dim")
    for run in reversed(each.track.runs[-_RUNS:]):
        cells = [_value(first, values.get(run.identity))] if first else []
        table.add_row(_moment(run), styled(run.short_commit), _verdict(run), *cells)
    return table


def _value(series: Series, point: Point | None) -> Text:
    if point is None:
        return Text()
    unit = series.subject.unit
    interval = "" if point.low == point.high else format_interval(point.low, point.high, unit)
    return styled(format_value(point.value, unit)).append(f"  {interval}" if interval else "", "dim")


def _verdict(run: PastRun) -> Text:
    if run.status != "finished":
        return styled(run.status, "bold red" if run.status == "dirty" else "magenta")
    return styled(run.verdict, VERDICT_STYLES.get(run.verdict, ""))


def _between(change: Change) -> str:
    before, after = change.before, change.after
    if before.commit and before.commit == after.commit:
        return f"at commit {after.short_commit}, between {_moment(before)} and {_moment(after)}{_versions(change)}"
    told = (f"{run.short_commit} ({_moment(run)})" for run in (before, after))
    return f"between {' and '.join(told)}{_versions(change)}"


def _versions(change: Change) -> str:
    """What else is not the same on both sides."""
    pairs = (
        ("chaoskit", change.before.chaoskit, change.after.chaoskit),
        ("the kernel", change.before.kernel, change.after.kernel),
    )
    told = [f"{name} went from {old} to {new}" for name, old, new in pairs if old != new]
    return f"; {' and '.join(told)}" if told else ""


def _moment(run: PastRun) -> str:
    """`2026-11-29 21:50`."""
    return run.started[:16].replace("T", " ")


def _days(runs: Sequence[PastRun]) -> str:
    first, last = runs[0].started[:10], runs[-1].started[:10]
    return first if first == last else f"{first} to {last}"
