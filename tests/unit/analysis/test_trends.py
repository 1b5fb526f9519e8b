"""Trends: a regression is the newest state, error rates are shared, verdicts that flap are found."""

from __future__ import annotations

import math

import numpy as np
import pytest
from made_past import run, series

from chaoskit.analysis.trends.flapping import flapping
from chaoskit.analysis.trends.points import Subject
from chaoskit.analysis.trends.tracks import judge, tracks
from chaoskit.analysis.trends.trend import trends

GOOD, BAD = [100.0, 101.0, 99.0] * 4, [150.0, 152.0, 149.0] * 2


def test_a_regression_is_between_two_commits() -> None:
    """It names the last run of the former state and the first of the new one, with both levels."""
    (found,) = trends([series([*GOOD, *BAD])])

    change = found.regression()
    assert change is not None
    assert (change.before.identity, change.after.identity) == ("11", "12")
    assert (change.level_before, change.level_after) == (100, 150)
    assert change.share == pytest.approx(0.5)


def test_what_became_better_again_is_no_regression() -> None:
    """Only the newest change counts."""
    (found,) = trends([series([*GOOD, *BAD, *GOOD])])

    assert [change.direction for change in found.changes] == ["worse", "better"]
    assert found.regression() is None


def test_an_improvement_is_no_regression() -> None:
    """Less is better for a latency, and more for goodput."""
    (slower, goodput) = trends(
        [series([*BAD, *GOOD]), series([*GOOD, *BAD], Subject("goodput", "goodput", "per-second"))]
    )

    assert slower.newest is not None
    assert goodput.newest is not None
    assert slower.newest.direction == goodput.newest.direction == "better"


def test_less_goodput_is_a_regression() -> None:
    """The table of metrics says what is worse."""
    (found,) = trends([series([*BAD, *GOOD], Subject("goodput", "goodput", "per-second"))])

    assert found.regression() is not None


def test_a_tolerance_passes_over_a_small_change() -> None:
    """A step of half a percent without noise is a change, and no regression beyond 1 %."""
    (found,) = trends([series([*[100.0] * 10, *[100.5] * 5])])

    assert found.regression() is not None
    assert found.regression(0.01) is None


def test_no_tolerance_passes_over_never() -> None:
    """First tokens that never come have no share."""
    (found,) = trends([series([*GOOD, *[math.inf] * 6])])

    assert found.regression(0.99) is not None


def test_series_that_are_judged_together_share_the_error_rate() -> None:
    """Of 150 families of 8 series without a change at most 5 % have a flag, as far as 150 tell."""
    generator = np.random.default_rng(1)

    families = [[series([*generator.normal(100, 5, 16)]) for _ in range(8)] for _ in range(150)]
    flagged = [any(each.changes for each in trends(family)) for family in families]

    assert sum(flagged) / len(flagged) <= 0.05 + 3 * math.sqrt(0.05 * 0.95 / 150)


def test_a_file_that_changed_is_another_track() -> None:
    """The track of the newest run is current, the other one is the past, and cannot have a regression."""
    runs = [run(at, experiment=("a" if at < 18 else "b") * 64) for at in range(24)]

    past, current = tracks(runs)

    assert [past.is_current, current.is_current] == [False, True]
    assert [len(past.runs), len(current.runs)] == [18, 6]
    assert [each.regressions(0) for each in judge([(past, [series([*GOOD, *BAD])]), (current, [])])] == [(), ()]
    assert [each.files for each in tracks(runs, joins_files=True)] == [2]


def test_variants_and_clocks_are_tracks_of_their_own() -> None:
    """All of them current."""
    runs = [run(0), run(1, variant="a"), run(2, clock="virtual"), run(3, variant="a"), run(4)]

    assert [(len(each.runs), each.is_current) for each in tracks(runs)] == [(1, True), (2, True), (2, True)]


def test_probes_of_different_urls_are_different() -> None:
    """Although all are called probe."""
    runs = [run(at, name="probe", target=f"http://{at % 2}", experiment=str(at % 2)) for at in range(4)]

    assert [each.is_current for each in tracks(runs)] == [True, True]


def test_verdicts_of_the_same_that_differ_flap() -> None:
    """They are counted, for each commit."""
    verdicts = ["met", "met", "broken", "met", "undecided", "met"]
    runs = [run(at, commit="cd"[at // 4] * 40, verdict=verdict) for at, verdict in enumerate(verdicts)]

    assert [each.verdicts for each in flapping(runs)] == [{"met": 3, "broken": 1}, {"undecided": 1, "met": 1}]


@pytest.mark.parametrize(
    "other",
    [
        {"commit": "b" * 40},
        {"commit": ""},
        {"is_dirty": True},
        {"is_dirty": None},
        {"experiment": "f" * 64},
        {"chaoskit": "0.2.0"},
        {"kernel": "6.18"},
        {"clock": "virtual"},
        {"status": "interrupted"},
        {"verdict": "met"},
    ],
    ids=str,
)
def test_what_is_not_known_to_be_the_same_does_not_flap(other: dict[str, object]) -> None:
    """Another commit, other versions, changes in no commit, an interruption."""
    common: dict[str, object] = {"commit": "a" * 40, "verdict": "broken"}

    assert flapping([run(0, commit="a" * 40), run(1, **(common | other))]) == ()


def test_all_current_tracks_share_the_error_rate() -> None:
    """A step that one experiment alone would show is not enough among forty."""
    alone = [(tracks([run(0)])[0], [series([100.0, 101, 102, 103, 104, 110, 111, 112])])]
    among = [(track, alone[0][1]) for track in tracks([run(at, name=str(at)) for at in range(40)])]

    assert [len(each.trends[0].changes) for each in judge(alone)] == [1]
    assert {len(each.trends[0].changes) for each in judge(among)} == {0}
