"""Looking on while an experiment runs elsewhere, and passing on the wish to end it."""

from __future__ import annotations

import signal
from pathlib import Path
from types import FrameType

from rich.console import Console

from chaoskit.clock import RealClock
from chaoskit.plan.model import Plan
from chaoskit.report.live import Live
from chaoskit.substrate.running import Running

_TICK = 200_000_000


def watch(running: Running, plan: Plan, directory: Path, screen: Console) -> int:
    """Show progress until the run has ended. Returns its exit code.

    The first Ctrl-C (or SIGTERM, SIGHUP) asks the run to end and put everything back; it is waited for.
    """
    clock = RealClock()

    def ask(sign: int, _frame: FrameType | None) -> None:
        running.interrupt(signal.Signals(sign))

    former = {sign: signal.signal(sign, ask) for sign in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)}
    try:
        with Live(plan, directory, screen) as live:
            while running.poll() is None:
                live.tick()
                clock.sleep_until(clock.now() + _TICK)
    finally:
        for sign, handler in former.items():
            signal.signal(sign, handler)
    return running.finish()
