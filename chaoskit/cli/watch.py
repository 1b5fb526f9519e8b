"""Looking on while an experiment runs elsewhere, to its end."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from chaoskit.analysis.load import read_outcome
from chaoskit.cli.interrupts import InterruptHandler
from chaoskit.clock import RealClock
from chaoskit.errors import EXIT_SOFTWARE
from chaoskit.plan.model import Plan
from chaoskit.records.directory import conclude
from chaoskit.report.live import RunProgress
from chaoskit.report.screen import Screen
from chaoskit.substrate.running import last_words
from chaoskit.substrate.selection import Substrate
from chaoskit.terminal import complain

_TICK = 200_000_000
_REPORT = 16  # lines of a crash report at the most


@dataclass(frozen=True)
class Job:
    """One run: what to do, where it runs, the directory that it writes in."""

    plan: Plan
    substrate: Substrate
    directory: Path


def watch(job: Job, screen: Screen, ear: InterruptHandler, label: str = "") -> int:
    """Run it, showing how it goes behind `label`. Returns its exit code."""
    plan, clock = job.plan, RealClock()
    running = job.substrate.start(job.directory, plan.length + plan.drain, plan.seed)
    ear.of(running)
    try:
        with RunProgress(plan, job.directory, screen, label) as live:
            while running.poll() is None:
                live.tick()
                clock.sleep_until(clock.now() + _TICK)
    finally:
        ear.of(None)
    return _ended(job, running.finish(), running.log)


def _ended(job: Job, code: int, log: Path) -> int:
    """The exit code. A mistake of ours is told here, for its report is in the log, and written down if it is not yet.

    A conductor never returns 1, but a Python that cannot even start does.
    """
    if code not in (1, EXIT_SOFTWARE):
        return code
    if read_outcome(job.directory, is_experiment=True)[0] == "interrupted":
        conclude(job.directory, "crashed", f"before the experiment began; see {log.name}")
    complain(f"a mistake in chaoskit ended the run, {log} has its report:{last_words(log, _REPORT)}")
    return EXIT_SOFTWARE
