"""Shows the progress of several runs: lines that are redrawn, or a line for each begin and end.

The remaining time follows from the plans: what a planned second has taken so far. In real time that is a second.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from types import TracebackType

from rich.console import Group, RenderableType
from rich.text import Text

from chaoskit.analysis.formatting import whole_seconds
from chaoskit.report.screen import Screen, cropped_line, live_display
from chaoskit.report.styles import styled
from chaoskit.units import Duration, counted

_NS = 10**9


@dataclass(frozen=True)
class Pace:
    """A run as far as it concerns the time: planned and elapsed time in ns, and whether it has ended."""

    planned: int
    elapsed: int
    is_virtual: bool
    state: str


def remaining(runs: Sequence[Pace], jobs: int) -> int | None:
    """The time in ns until all have ended; None where nothing says how fast virtual time is yet.

    Runs in virtual time share `jobs` processors, those in real time are alone.
    """
    open_ = [run for run in runs if run.state in ("waiting", "running")]
    ended = [run for run in runs if run.state == "ended" and run.is_virtual and run.planned]
    real = sum(max(0, run.planned - run.elapsed) for run in open_ if not run.is_virtual)
    virtual = [run for run in open_ if run.is_virtual]
    if not virtual:
        return real
    if not ended:
        return None
    speed = sum(run.elapsed for run in ended) / sum(run.planned for run in ended)
    each = [max(0.0, run.planned * speed - run.elapsed) for run in virtual]
    return real + round(max(sum(each) / min(jobs, len(virtual)), max(each)))


class RunsProgress:
    """Use as a context manager; without a screen it shows nothing."""

    def __init__(self, count: int, jobs: int, screen: Screen | None) -> None:
        self._count, self._jobs, self._screen = count, jobs, screen
        self._live = live_display(screen) if screen is not None else None
        self._ended = 0

    def __enter__(self) -> RunsProgress:
        if self._live is not None:
            self._live.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._live is not None:
            self._live.stop()

    def begin(self, name: str, planned: Duration) -> None:
        """A run begins."""
        if self._screen is not None and self._live is None:
            self._screen.print(styled(f"begins: {name}, planned {planned.spaced()}"), soft_wrap=True)

    def end(self, how: Text) -> None:
        """A run has ended, or will not begin: its name, and how."""
        self._ended += 1
        if self._screen is not None:
            number = f"{self._ended:>{len(str(self._count))}}/{self._count}  "
            self._screen.print(Text().append(number, "dim").append_text(how), soft_wrap=True)

    def tick(self, runs: Sequence[tuple[str, Pace]]) -> None:
        """Redraw: a line for all, and one for each that runs."""
        if self._live is not None:
            self._live.update(self._drawn(runs), refresh=True)

    def _drawn(self, runs: Sequence[tuple[str, Pace]]) -> RenderableType:
        running = [(name, pace) for name, pace in runs if pace.state == "running"]
        left = remaining([pace for _, pace in runs], self._jobs)
        planned = sum(pace.planned for _, pace in runs if pace.state in ("waiting", "running"))
        left_words = f"about {whole_seconds(left)}" if left is not None else f"{whole_seconds(planned)} of virtual time"
        head = f"{self._ended} of {counted(self._count, 'run')} ended, {len(running)} running, {left_words} to go"
        lines = [cropped_line(head)]
        lines += [cropped_line(f"  {name}  {_of(pace)}") for name, pace in running]
        return Group(*lines)


def _of(pace: Pace) -> str:
    """How long it has run; in real time also how long that will be."""
    of = "" if pace.is_virtual else f" of {whole_seconds(pace.planned)}"
    return f"{whole_seconds(pace.elapsed)}{of}"
