"""Groups past runs into tracks of comparable ones: the same file by the same clock.

Rules: a file that changed begins another track, unless told otherwise; a track is current when the newest run of its
experiment, variant and clock is in it. Only a current track can have a regression: what an older file did is the past.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from chaoskit.analysis.trends.change_points import ALPHA
from chaoskit.analysis.trends.flapping import Flapping, flapping
from chaoskit.analysis.trends.points import PastRun, Series
from chaoskit.analysis.trends.trend import Change, Trend, trends

PROBE = "probe"
"""The name of all probes."""


@dataclass(frozen=True)
class Track:
    """Comparable runs in the order of time, and how many different files they ran (1 unless told otherwise)."""

    runs: tuple[PastRun, ...]
    is_current: bool
    files: int = 1

    @property
    def newest(self) -> PastRun:
        """The last run."""
        return self.runs[-1]


@dataclass(frozen=True)
class JudgedTrack:
    """A track with its trends, and the verdicts in it that flap."""

    track: Track
    trends: tuple[Trend, ...]
    flapping: tuple[Flapping, ...]

    def regressions(self, tolerance: float) -> tuple[tuple[Trend, Change], ...]:
        """The trends whose newest change is one to the worse, beyond the tolerance; none of a track of the past."""
        found = [(each, each.regression(tolerance)) for each in self.trends if self.track.is_current]
        return tuple((each, change) for each, change in found if change is not None)


def tracks(runs: Iterable[PastRun], joins_files: bool = False) -> tuple[Track, ...]:
    """The tracks of these runs, which are in the order of time; that of the newest run is the last one.

    `joins_files`: one track for all files of an experiment.
    """
    groups: dict[tuple[str, ...], list[PastRun]] = defaultdict(list)
    newest: dict[tuple[str, ...], PastRun] = {}
    for run in runs:
        newest[experiment_of(run)] = run
        groups[(*experiment_of(run), *([] if joins_files else [run.experiment]))].append(run)
    ended = sorted(groups.values(), key=lambda group: (group[-1].started, group[-1].name, group[-1].variant))
    return tuple(
        Track(tuple(group), newest[experiment_of(group[-1])] is group[-1], len({each.experiment for each in group}))
        for group in ended
    )


def judge(found: Sequence[tuple[Track, Sequence[Series]]]) -> tuple[JudgedTrack, ...]:
    """The trends of these series of each track, and its verdicts that flap.

    All series of current tracks are judged together: one of them makes a gate fail.
    """
    count = sum(len(series) for track, series in found if track.is_current)
    rates = [ALPHA * len(series) / count if track.is_current and count else ALPHA for track, series in found]
    return tuple(
        JudgedTrack(track, trends(series, rate), flapping(track.runs))
        for (track, series), rate in zip(found, rates, strict=True)
    )


def experiment_of(run: PastRun) -> tuple[str, ...]:
    """What makes runs those of one experiment, whatever its file says."""
    return (run.name, run.variant, run.clock, run.target if run.name == PROBE else "")
