"""Who gets the processor first, of processes that become ready at one moment of virtual time.

The fair scheduler's order depends on what each has used before, down to what was imported. So a guest in virtual time
runs all in the order in which they became ready (SCHED_RR, sched(7)), and ahead of them what conducts: its own first
process, the conductor, the first process of each host. What these change at a moment is in force for all that happens
at that moment.

| fact of sched(7)                      | here                                                                    |
|---------------------------------------|-------------------------------------------------------------------------|
| who has used up its turn goes behind  | a turn is one tick of the kernel: no rest of a turn is left to remember |
| a sleep of the fair class is late     | none: timers are exact, where others are up to 50 us late               |
| kernel threads are of the fair class  | its server gives them 50 ms of each second in which they would get none |
| children inherit                      | programs of hosts and commands of `exec` take their turns as all do     |
"""

from __future__ import annotations

import os
from pathlib import Path

from chaoskit.clock import is_virtual

_IN_TURN, _AHEAD = 1, 2
_TURN = Path("/proc/sys/kernel/sched_rr_timeslice_ms")
_TICK = "10"  # ms, CONFIG_HZ=100


def begin() -> None:
    """As the first process of a guest in virtual time: run this process, and what it starts, ahead of those in turn."""
    _TURN.write_text(_TICK)
    os.sched_setscheduler(0, os.SCHED_RR, os.sched_param(_AHEAD))


def ahead() -> None:
    """Run this process, and what it starts, ahead of those in turn; nothing where time is real."""
    _set(_AHEAD)


def in_turn() -> None:
    """Run this process, and what it starts, in turn; nothing where time is real."""
    _set(_IN_TURN)


def _set(priority: int) -> None:
    if is_virtual():
        os.sched_setscheduler(0, os.SCHED_RR, os.sched_param(priority))
