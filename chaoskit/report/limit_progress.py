"""Shows the progress of a search: a line for each run, and what is known so far."""

from __future__ import annotations

from collections.abc import Mapping
from types import TracebackType

from rich.console import Console, Group
from rich.text import Text

from chaoskit.analysis.formatting import whole_seconds
from chaoskit.analysis.limits.limit_result import LimitResult, LimitRun, LimitSearch, seconds_of_a_run
from chaoskit.report.limit_console import run_line
from chaoskit.report.limit_tables import label
from chaoskit.report.screen import cropped_line, live_display
from chaoskit.units import counted

_NS = 10**9


class LimitProgress:
    """Use as a context manager; without a screen it shows nothing. `most`: runs that a search may have."""

    def __init__(self, most: int, screen: Console | None) -> None:
        self._most, self._screen = most, screen
        self._live = live_display(screen) if screen is not None else None

    def __enter__(self) -> LimitProgress:
        if self._live is not None:
            self._live.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._live is not None:
            self._live.stop()

    def end(self, found: LimitResult, search: LimitSearch, run: LimitRun) -> None:
        """A run of this search has ended."""
        if self._screen is not None and run.state == "ended":
            at = Text(f"{label(search)}  " if search.at else "", "dim")
            number = Text(f"{_ended(search):>3}  ", "dim")
            line = Text().append_text(number).append_text(at).append_text(run_line(run))
            self._screen.print(line.append(f"  so far {known(search)}", "dim"), soft_wrap=True)

    def tick(
        self, found: LimitResult, search: LimitSearch, running: Mapping[str, int], time_left: int | None = None
    ) -> None:
        """Redraw: what is known, and one line for each run under way. `time_left`: ns that --max-time still allows."""
        if self._live is None:
            return
        left, each = self._most - _ended(search), seconds_of_a_run(found.runs)
        to_go = f"at most {counted(left, 'run')} to go"
        if each is not None:
            longest = round(left * each / max(1, found.slots) * _NS)
            to_go += f", {whole_seconds(longest if time_left is None else min(longest, time_left))}"
        doses = {run.name: run.dose for run in search.runs}
        lines = [f"limit {known(search)}; {to_go}"]
        lines += [f"  {name}  {doses.get(name, '')}  {whole_seconds(span)}" for name, span in running.items()]
        self._live.update(Group(*map(cropped_line, lines)), refresh=True)


def known(search: LimitSearch) -> str:
    """The interval so far: `2.1% to 3.4%`."""
    estimate = search.estimate
    if estimate is None:
        return "unknown"
    return f"{estimate.low or 'the easy end or below'} to {estimate.high or 'the hard end or above'}"


def _ended(search: LimitSearch) -> int:
    return sum(run.state == "ended" for run in search.runs)
