"""Looking on while an experiment runs elsewhere, and passing on the wish to end it."""

from __future__ import annotations

import signal
from dataclasses import dataclass
from pathlib import Path
from types import FrameType, TracebackType

from rich.console import Console

from chaoskit.clock import RealClock
from chaoskit.plan.model import Plan
from chaoskit.report.live import Live
from chaoskit.substrate.choose import Substrate
from chaoskit.substrate.running import Running

_TICK = 200_000_000


@dataclass(frozen=True)
class Job:
    """One run: what to do, where it runs, the directory that it writes in."""

    plan: Plan
    substrate: Substrate
    directory: Path


class Ear:
    """Hears Ctrl-C, SIGTERM and SIGHUP within its `with`: what runs is asked to end, and is waited for."""

    def __init__(self) -> None:
        self.heard: signal.Signals | None = None
        self._running: Running | None = None

    def __enter__(self) -> Ear:
        ending = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
        self._former = {sign: signal.signal(sign, self._hear) for sign in ending}
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for sign, handler in self._former.items():
            signal.signal(sign, handler)

    def _hear(self, sign: int, _frame: FrameType | None) -> None:
        self.heard = signal.Signals(sign)
        self.of(self._running)

    def of(self, running: Running | None) -> None:
        """From now on this is what runs."""
        self._running = running
        if running is not None and self.heard is not None:
            running.interrupt(self.heard)


def watch(job: Job, screen: Console, ear: Ear, label: str = "") -> int:
    """Run it, showing how it goes behind `label`. Returns its exit code."""
    plan, clock = job.plan, RealClock()
    running = job.substrate.start(job.directory, plan.length + plan.drain, plan.seed)
    ear.of(running)
    try:
        with Live(plan, job.directory, screen, label) as live:
            while running.poll() is None:
                live.tick()
                clock.sleep_until(clock.now() + _TICK)
    finally:
        ear.of(None)
    return running.finish()
