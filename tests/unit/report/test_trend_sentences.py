"""What is said of a change: by how much, between which commits, and what else is not the same there."""

from __future__ import annotations

import io
import math
from dataclasses import replace

import pytest
from made_past import TTFT, run, series

from chaoskit.analysis.trends.points import Series
from chaoskit.analysis.trends.tracks import judge, tracks
from chaoskit.analysis.trends.trend import trends
from chaoskit.report.screen import Screen
from chaoskit.report.trends import change_sentence, plot, render, state

STEP = [100.0, 101.0, 99.0] * 4 + [150.0, 152.0, 149.0] * 2


def stepped(**after: object) -> Series:
    """A step at the thirteenth run; the later ones have these values."""
    made = series(STEP)
    later = [replace(point, run=replace(point.run, **after)) for point in made.points[12:]]  # type: ignore[arg-type]
    return Series(TTFT, (*made.points[:12], *later))


@pytest.mark.parametrize(
    ("after", "said"),
    [
        ({"commit": "f" * 40}, "between 00000000 (2026-01-12 00:00) and ffffffff (2026-01-13 00:00)"),
        ({"commit": "f" * 40, "is_dirty": True}, "and ffffffff+ (2026-01-13 00:00)"),
        ({"commit": ""}, "and no commit (2026-01-13 00:00)"),
        ({"commit": f"{11:040x}"}, "at commit 00000000, between 2026-01-12 00:00 and 2026-01-13 00:00"),
        ({"chaoskit": "0.2.0"}, "; chaoskit went from 0.1.0 to 0.2.0"),
        ({"chaoskit": "0.2.0", "kernel": "6.18"}, "to 0.2.0 and the kernel went from 6.12 to 6.18"),
    ],
    ids=str,
)
def test_a_change_is_between_two_runs(after: dict[str, object], said: str) -> None:
    """With their commits, or their dates at one commit; and with what else changed there."""
    (trend,) = trends([stepped(**after)])

    (change,) = trend.changes
    sentence = change_sentence(trend.series, change)

    assert sentence.startswith("ttft_p95 during wifi is worse: 100 ms before, 150 ms after (+50 %), ")
    assert said in sentence


def test_never_is_said_without_a_share() -> None:
    """It is not so many per cent more."""
    (trend,) = trends([series([*STEP[:12], *[math.inf] * 6])])

    assert "100 ms before, never after, between" in change_sentence(trend.series, trend.changes[0])
    assert plot(trend).endswith("|!!!!!!")


def test_a_plot_has_few_characters() -> None:
    """Of 300 runs as well, with a mark before each change."""
    (trend,) = trends([series([100.0 + at % 3 for at in range(150)] + [200.0 + at % 3 for at in range(150)])])

    assert len(plot(trend)) <= 25
    assert plot(trend).count("|") == 1


def test_too_few_runs_are_not_called_steady() -> None:
    """Nothing is known yet."""
    few, many = trends([series([100.0] * 7), series([100.0] * 8)])

    assert (state(few), state(many)) == ("too few", "steady")


def test_a_run_that_did_not_end_is_listed_and_has_no_value() -> None:
    """Its status stands in the place of a verdict."""
    runs = [run(at) for at in range(3)]
    runs[-1] = replace(runs[-1], status="interrupted")
    (track,) = tracks(runs)
    file = io.StringIO()

    render(judge([(track, [series([100.0, 101.0])])]), Screen(file, 80), 0.0)

    (line,) = [line for line in file.getvalue().splitlines() if "interrupted" in line]
    assert line.split() == ["2026-01-03", "00:00", "00000000", "interrupted"]
