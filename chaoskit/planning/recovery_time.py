"""Warns of `recovers within` where the timeline leaves nothing to compare, or too little to look at."""

from __future__ import annotations

import math

from chaoskit.planning.timetable import SECOND, Timetable
from chaoskit.spec.objectives import Objective
from chaoskit.spec.sample_size import RECOVERY_ROW
from chaoskit.units import Duration, counted


def why_no_recovery(objective: Objective, table: Timetable) -> str:
    """Why this objective cannot be decided, and what to write; "" where it can, or is none for recovery."""
    if objective.metric != "recovery_time":
        return ""
    disturbed = [each.name for each in table.stretches if not each.is_calm]
    if not disturbed:
        return "has no value, for no phase has a fault or a surge; remove it"
    if objective.phase is not None and objective.phase not in disturbed:
        return f"has no value, for {objective.phase} has neither a fault nor a surge; write after {disturbed[0]}"
    share = table.share_of(objective.traffic_class, objective.workflow)
    phases = dict.fromkeys([objective.phase] if objective.phase is not None else disturbed)
    return next((told for phase in phases if (told := _why_not(objective, table, phase, share))), "")


def _why_not(objective: Objective, table: Timetable, phase: str, share: float) -> str:
    before, after = table.around(phase)
    if before is None:
        return f"has no value, for no clean phase stands before {phase}; write - baseline: 30s before it"
    if not after:
        return f"has no value, for no phase follows {phase}; write - recovery: 60s after it"
    alike = sum(each.length for each in table.stretches if each.name == before.name) * table.repeats
    level = math.floor(table.gives("interruption_rate", before.name, share).streams * before.length / alike)
    if level < RECOVERY_ROW:
        longer = Duration(math.ceil(before.length * RECOVERY_ROW / max(1, level) / SECOND) * SECOND)
        gets = f"gets about {counted(level, 'stream')} in {before.name}"
        return f"needs {counted(RECOVERY_ROW, 'stream')} before {phase}, {gets}; write {before.name}: {longer}"
    if objective.bound is not None and after <= objective.bound:
        bound = Duration(round(objective.bound))
        return f"can never be broken, for only {Duration(after)} follow {phase}; give them more than {bound}"
    return ""
