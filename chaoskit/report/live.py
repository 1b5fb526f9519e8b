"""Shows the progress of runs from their records: a line of each that is redrawn, or plain lines.

Rules: only a run directory is read; its stamps are those of the kernel under test, so they are compared with each
other and never with this process's clock. An empty directory is a kernel that is still starting.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from types import TracebackType
from typing import TypeVar

from rich.console import Console, Group

from chaoskit.analysis.formatting import format_value, whole_seconds
from chaoskit.planning.model import Plan
from chaoskit.records.jsonl import follow
from chaoskit.records.model import DRAIN, NOT_INTERRUPTED, Phase, Request, Vitals
from chaoskit.records.untrusted_files import START, Position
from chaoskit.report.screen import cropped_line, live_display
from chaoskit.report.styles import styled

_SECOND = 10**9
_MS = 10**6
PLAIN_INTERVAL = 10 * _SECOND  # of the run's own time, between plain lines within a phase

R = TypeVar("R", Phase, Request, Vitals)


class RunLine:
    """What a run's records tell of its progress, after `label`. `look` reads what was written since the last call."""

    def __init__(self, plan: Plan, run: Path, label: str = "") -> None:
        self._plan, self._run, self._label = plan, run, label
        self._marks: dict[type[Phase | Request | Vitals], Position] = {}
        self._phases: list[Phase] = []
        self._vitals: Vitals | None = None
        self._interrupted = 0
        self._told = (-1, 0)  # how many phases had begun, and the stamp, when `is_news` was true

    def look(self) -> None:
        """Read it."""
        self._phases += self._new(Phase)
        self._interrupted += sum(
            request.completion not in NOT_INTERRUPTED and not request.warmup for request in self._new(Request)
        )
        vitals = self._new(Vitals)
        self._vitals = vitals[-1] if vitals else self._vitals

    def _new(self, kind: type[R]) -> list[R]:
        records, self._marks[kind] = follow(self._run, kind, self._marks.get(kind, START))
        return records

    @property
    def _now(self) -> int:
        """The latest stamp that was read; 0 before the first."""
        stamps = [self._phases[-1].begin] if self._phases else []
        return max([*stamps, *([self._vitals.at] if self._vitals else [])], default=0)

    def is_news(self) -> bool:
        """True at the start, at every change of phase, and every ten seconds of the run's own time."""
        count, stamp = self._told
        if len(self._phases) == count and self._now - stamp < PLAIN_INTERVAL:
            return False
        self._told = (len(self._phases), self._now)
        return True

    def __str__(self) -> str:
        return self._label + ("  ".join((self._where(), *self._streams())) if self._phases else "starting")

    def _where(self) -> str:
        phase = self._phases[-1]
        done = max(0, min(self._now, phase.until) - phase.begin)
        left = max(0, phase.until - self._now)
        if phase.name == DRAIN:
            if self._vitals is not None and not self._vitals.open:
                return "draining: all streams have ended"
            return f"draining: open streams may take another {whole_seconds(left)}"
        total = max(0, self._phases[0].begin + self._plan.length - self._now)
        most = "at most " if self._plan.looks is not None else ""
        return (
            f"{phase.name} {len(self._phases)}/{len(self._plan.phases)}  "
            f"{whole_seconds(done)} of {whole_seconds(phase.until - phase.begin)}, {most}{whole_seconds(total)} to go"
        )

    def _streams(self) -> list[str]:
        if self._vitals is None:
            return []
        interrupted = f", {self._interrupted} interrupted" if self._interrupted else ""
        parts = [f"{self._vitals.open} open, {self._vitals.ended} ended{interrupted}"]
        if self._vitals.last_ttft is not None:
            parts.append(f"TTFT {format_value(self._vitals.last_ttft / _MS, 'ms')}")
        return parts


class RunProgress:
    """The lines of the runs under way. Use as a context manager and call `tick` a few times a second."""

    def __init__(self, console: Console, lines: Sequence[RunLine]) -> None:
        self._console, self._lines = console, lines
        self._screen = live_display(console)

    def __enter__(self) -> RunProgress:
        if self._screen is not None:
            self._screen.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._screen is not None:
            self._screen.stop()

    def tick(self) -> None:
        """Read what was written since the last call, and show it."""
        for line in self._lines:
            line.look()
        if self._screen is not None:
            self._screen.update(Group(*(cropped_line(str(line)) for line in self._lines)), refresh=True)
            return
        for line in self._lines:
            if line.is_news():
                self._console.print(styled(str(line)), soft_wrap=True)
