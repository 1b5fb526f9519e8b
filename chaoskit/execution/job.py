"""Runs an experiment in its substrate and shows its progress until it ends."""

from __future__ import annotations

import os
from contextlib import nullcontext
from dataclasses import dataclass
from pathlib import Path

from chaoskit.analysis.load import read_outcome
from chaoskit.clock import RealClock
from chaoskit.errors import EXIT_SOFTWARE, RefusedError
from chaoskit.execution.interrupts import InterruptHandler
from chaoskit.planning.model import Plan
from chaoskit.records.directory import conclude
from chaoskit.report.live import RunLine, RunProgress
from chaoskit.report.screen import Screen
from chaoskit.substrate.running import log_tail
from chaoskit.substrate.selection import Substrate
from chaoskit.terminal import complain

_TICK = 200_000_000
_REPORT = 16  # lines of a crash report that are shown


@dataclass(frozen=True)
class Job:
    """One run: its plan, its substrate, its run directory."""

    plan: Plan
    substrate: Substrate
    directory: Path


def watch(job: Job, screen: Screen | None, interrupts: InterruptHandler, label: str = "") -> int:
    """Run it and show its progress after `label`, if there is a screen. Returns its exit code.

    Raises RefusedError if its guest could not go on, which is then its outcome.
    """
    try:
        return _watched(job, screen, interrupts, label)
    except RefusedError as error:
        if read_outcome(job.directory, is_experiment=True)[0] == "interrupted":
            conclude(job.directory, "refused", str(error))
        raise


def _watched(job: Job, screen: Screen | None, interrupts: InterruptHandler, label: str) -> int:
    plan, clock = job.plan, RealClock()
    variables = {name: os.environ[name] for name in plan.variables if name in os.environ}
    running = job.substrate.start(job.directory, plan.length + plan.drain, plan.seed, variables)
    interrupts.forward_to(running)
    line = RunLine(plan, job.directory, label)
    try:
        with RunProgress(screen, [line]) if screen else nullcontext() as live:
            while running.poll() is None:
                if live is not None:
                    live.tick()
                clock.sleep_until(clock.now() + _TICK)
    finally:
        interrupts.forward_to(None)
    code = running.finish()
    if running.shortage:
        conclude(job.directory, "refused", running.shortage)
        raise RefusedError(running.shortage)
    if interrupts.received is not None and code == 128 + interrupts.received:
        conclude(job.directory, "interrupted", interrupts.received.name)  # it may have had no time for that
    return _exit_code(job, code, running.log)


def _exit_code(job: Job, code: int, log: Path) -> int:
    """The exit code. A crash is shown here, because its report is in the log, and recorded unless it is already.

    A conductor never returns 1, but a Python that cannot start does.
    """
    if code not in (1, EXIT_SOFTWARE):
        return code
    if read_outcome(job.directory, is_experiment=True)[0] == "interrupted":
        conclude(job.directory, "crashed", f"before the experiment began; see {log.name}")
    complain(f"a mistake in chaoskit ended the run, {log} has its report:{log_tail(log, _REPORT)}")
    return EXIT_SOFTWARE
