"""What a comparison of runs says while it reads, and how it puts a change into words."""

from __future__ import annotations

import io
import re
from pathlib import Path

import pytest
from simulated_pairs import simulated

from chaoskit.analysis.run_comparison.compare import compare_runs
from chaoskit.analysis.run_comparison.request import request
from chaoskit.report.run_comparison import console
from chaoskit.report.run_comparison.progress import line
from chaoskit.report.screen import Screen

SECOND = 10**9


@pytest.mark.parametrize(
    ("done", "total", "elapsed", "said"),
    [
        (0, 100, 0, "reading runs/b  0 %"),
        (25, 100, 10 * SECOND, "reading runs/b  25 %  about 30 s to go"),
        (0, 0, 0, "reading runs/b"),
    ],
)
def test_progress_tells_what_is_left(done: int, total: int, elapsed: int, said: str) -> None:
    """By the bytes that were read so far."""
    assert line("runs/b", done, total, elapsed) == said


def test_every_run_is_told_before_it_is_read(tmp_path: Path) -> None:
    """And that comparing begins, when all are read."""
    runs = [simulated(seed, streams=12).write(tmp_path / str(seed)) for seed in (1, 2)]
    told: list[tuple[str, int, int]] = []

    compare_runs(request(runs, [], [], (), None), lambda *news: told.append(news))

    assert [what for what, _, _ in told] == [*map(str, runs), ""]
    assert [done for _, done, _ in told] == sorted(done for _, done, _ in told)
    assert told[-1][1:] == (told[-1][2], told[-1][2])


def test_a_wide_screen_has_the_ratio_as_well(tmp_path: Path) -> None:
    """Difference and ratio, each with its interval; a narrow one has what the verdict is about."""
    runs = [simulated(seed).write(tmp_path / str(seed)) for seed in (1, 2)]
    found = compare_runs(request(runs, [], [], ("20%",), None))
    shown = {}
    for width in (80, 160):
        text = io.StringIO()
        console.render(found, Screen(text, width=width))
        shown[width] = text.getvalue()

    assert "ratio" not in shown[80]
    row = next(each for each in shown[80].splitlines() if each.startswith("  TTFT p50"))
    assert re.search(r"×\)\s+no worse$", row)
    assert "no worse: within the tolerance, 20%" in shown[80]
    row = next(each for each in shown[160].splitlines() if each.startswith("  TTFT p50"))
    assert " ms (" in row
    assert "× (" in row
