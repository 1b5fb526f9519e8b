"""Decides what of a suite may begin, and what ends it early. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from chaoskit.analysis.formatting import whole_seconds
from chaoskit.gameday.preparation import PreparedRun
from chaoskit.spec.suite import Abort
from chaoskit.units import Duration, counted


@dataclass(frozen=True)
class Condition:
    """How many runs failed so far."""

    broken: int
    errors: int


def may_begin(is_virtual: bool, running: Sequence[bool], jobs: int) -> bool:
    """Whether a run may begin beside the running ones; each is given by whether it is in virtual time."""
    if not running:
        return True
    return is_virtual and all(running) and len(running) < jobs


def shortage(prepared: PreparedRun, left: int | None, budget: Duration | None) -> str:
    """Why a run does not fit into the rest of the budget; "" where it fits.

    In virtual time that is not known before, so it begins as long as there is any.
    """
    if left is None or budget is None:
        return ""
    if left <= 0:
        return f"the budget of {budget.spaced()} was used up"
    if not prepared.is_virtual and prepared.run.length > left:
        takes, rest = prepared.run.length.spaced(), whole_seconds(left // 10**9 * 10**9)
        return f"takes {takes}, and {rest} of the budget of {budget.spaced()} were left"
    return ""


def abort_reason(abort: Abort, so_far: Condition) -> str:
    """Why the suite is ended now; "" where it goes on."""
    if abort.broken is not None and so_far.broken >= abort.broken:
        return f"{counted(so_far.broken, 'run')} did not end as expected"
    if abort.errors is not None and so_far.errors >= abort.errors:
        return f"{counted(so_far.errors, 'run')} ended with an error"
    return ""
