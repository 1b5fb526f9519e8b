"""Shows a history in the form that was asked for, adds runs to it, and gives the exit code."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from chaoskit.terminal import say, say_json

if TYPE_CHECKING:
    from chaoskit.analysis.trends.tracks import JudgedTrack
    from chaoskit.history.reading import Selection

FAILED = 1
"""The exit code where there is what --fail-on names."""


@dataclass(frozen=True)
class Judged:
    """What fails, the share by which something may become worse, and the form of the output."""

    fails_on: frozenset[str]
    tolerance: str
    format: str


def add_runs(path: Path, directories: Sequence[Path]) -> None:
    """Add the runs in these directories. Raises SpecError, and adds none, where one holds none."""
    from chaoskit.history.adding import add, results_in
    from chaoskit.units import counted

    found = [each for directory in directories for each in results_in(directory)]
    new = add(path, found)
    known = f"; {counted(len(found) - new, 'run')} {'was' if len(found) - new == 1 else 'were'} there" * (
        new < len(found)
    )
    say(f"{counted(new, 'run')} added to {path}{known}")


def show(path: Path, selection: Selection, judged: Judged) -> int:
    """Show what is selected. Returns the exit code."""
    from chaoskit.clock import wall
    from chaoskit.history.reading import judged_tracks
    from chaoskit.report import trend_documents
    from chaoskit.spec.options import share

    tolerance = share("tolerance", judged.tolerance)
    found = judged_tracks(path, selection, wall())
    match judged.format:
        case "json":
            say_json(trend_documents.as_json(found, tolerance))
        case "csv":
            say(*trend_documents.as_csv(found).rstrip("\n").split("\n"))
        case "markdown":
            say(*trend_documents.as_markdown(found, tolerance).rstrip("\n").split("\n"))
        case _:
            _render(found, tolerance, is_page=selection.name is not None)
    is_worse = any(each.regressions(tolerance) for each in found)
    is_flaky = any(each.flapping for each in found if each.track.is_current)
    met = {"regression": is_worse, "flaky": is_flaky}
    return FAILED if any(met[each] for each in judged.fails_on) else 0


def _render(found: Sequence[JudgedTrack], tolerance: float, is_page: bool) -> None:
    from chaoskit.report import trends
    from chaoskit.report.screen import Screen

    names = {each.track.newest.name for each in found}
    if is_page or len(names) == 1:
        trends.render(found, Screen(), tolerance)
    else:
        trends.render_list(found, Screen(), tolerance)
