"""Who gets the processor first, of processes that become ready at one moment of virtual time.

The fair scheduler's order depends on what each has used before, down to what was imported. So a guest in virtual time
runs all by turns, in the order in which they became ready (SCHED_RR, sched(7)), and the conductor ahead of them: what it
changes at a moment is in force for all that happens at that moment.
"""

from __future__ import annotations

import os

_ALL, _CONDUCTOR = 1, 2


def by_turns() -> None:
    """Run this process and all that it starts by turns."""
    os.sched_setscheduler(0, os.SCHED_RR, os.sched_param(_ALL))


def ahead_of_all() -> None:
    """Run this process, and what it starts, ahead of those that run by turns; nothing where none does."""
    if os.sched_getscheduler(0) == os.SCHED_RR:
        os.sched_setscheduler(0, os.SCHED_RR, os.sched_param(_CONDUCTOR))


def behind_conductor() -> None:
    """Run a process that the conductor started by turns again."""
    if os.sched_getscheduler(0) == os.SCHED_RR:
        by_turns()
