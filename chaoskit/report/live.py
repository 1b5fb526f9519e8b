"""A run as it happens, seen through its own records: one line that changes, or plain lines now and then.

Rules: only the run directory is looked at; its stamps are the kernel's under test, so they are compared with
each other and never with a clock of ours. A directory that is still empty is a kernel that still starts.
"""

from __future__ import annotations

from pathlib import Path
from types import TracebackType
from typing import TypeVar

from rich.console import Console

from chaoskit.analysis.formatting import said
from chaoskit.analysis.streams.timeline import DRAIN
from chaoskit.plan.model import Plan
from chaoskit.records.jsonl import follow
from chaoskit.records.model import Phase, Request, Vitals
from chaoskit.records.untrusted_files import START, Position
from chaoskit.report.screen import live, one_line
from chaoskit.report.styles import styled

_SECOND = 10**9
_MS = 10**6
_EVERY = 10 * _SECOND  # of the run's own time, between plain lines within a phase

R = TypeVar("R", Phase, Request, Vitals)


class Live:
    """Use as a context manager and call `tick` a few times a second."""

    def __init__(self, plan: Plan, run: Path, console: Console, label: str = "") -> None:
        self._plan, self._run, self._console, self._label = plan, run, console, label
        self._marks: dict[type[Phase | Request | Vitals], Position] = {}
        self._phases: list[Phase] = []
        self._vitals: Vitals | None = None
        self._interrupted = 0
        self._told = (-1, 0)  # how many phases had begun, and the stamp, at the last plain line
        self._screen = live(console)

    def __enter__(self) -> Live:
        if self._screen is not None:
            self._screen.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._screen is not None:
            self._screen.stop()

    def tick(self) -> None:
        """Look at what was written since the last time, and show it."""
        self._look()
        line = self._line()
        if self._screen is not None:
            self._screen.update(one_line(line), refresh=True)
        elif self._is_time():
            self._console.print(styled(line), soft_wrap=True)

    def _look(self) -> None:
        self._phases += self._new(Phase)
        self._interrupted += sum(request.completion not in ("complete", "cancelled") for request in self._new(Request))
        vitals = self._new(Vitals)
        self._vitals = vitals[-1] if vitals else self._vitals

    def _new(self, kind: type[R]) -> list[R]:
        records, self._marks[kind] = follow(self._run, kind, self._marks.get(kind, START))
        return records

    @property
    def _now(self) -> int:
        """The latest stamp that was seen; 0 before the first."""
        stamps = [self._phases[-1].begin] if self._phases else []
        return max([*stamps, *([self._vitals.at] if self._vitals else [])], default=0)

    def _is_time(self) -> bool:
        """True at the start, at every change of phase, and every ten seconds of the run's own time."""
        count, stamp = self._told
        if len(self._phases) == count and self._now - stamp < _EVERY:
            return False
        self._told = (len(self._phases), self._now)
        return True

    def _line(self) -> str:
        return self._label + ("  ".join((self._where(), *self._streams())) if self._phases else "starting")

    def _where(self) -> str:
        phase = self._phases[-1]
        done = max(0, min(self._now, phase.until) - phase.begin)
        left = max(0, phase.until - self._now)
        if phase.name == DRAIN:
            return f"draining: open streams may take another {_seconds(left)}"
        total = max(0, self._phases[0].begin + self._plan.length - self._now)
        return (
            f"{phase.name} {len(self._phases)}/{len(self._plan.phases)}  "
            f"{_seconds(done)} of {_seconds(phase.until - phase.begin)}, {_seconds(total)} to go"
        )

    def _streams(self) -> list[str]:
        if self._vitals is None:
            return []
        dead = f", {self._interrupted} interrupted" if self._interrupted else ""
        told = [f"{self._vitals.open} open, {self._vitals.ended} ended{dead}"]
        if self._vitals.last_ttft is not None:
            told.append(f"TTFT {said(self._vitals.last_ttft / _MS, 'ms')}")
        return told


def _seconds(span: int) -> str:
    """Whole seconds, as minutes from two on."""
    seconds = round(span / _SECOND)
    return f"{seconds} s" if seconds < 120 else f"{seconds // 60}:{seconds % 60:02d} min"
