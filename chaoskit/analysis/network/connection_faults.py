"""Checks whether cuts and idle timeouts ended connections, by the rules' own counters.

A connection that was ended makes the fault achieved. Where none was, the fault was not exercised, which is no failure.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from chaoskit.analysis.findings import Evidence, Intermediary
from chaoskit.analysis.result import FidelityCheck, FidelityKind, FidelityVerdict
from chaoskit.analysis.streams.timeline import Timeline
from chaoskit.knobs import Filter, Knob
from chaoskit.middlebox import Cut, IdleTimeout
from chaoskit.planning.model import Plan, PlannedChange
from chaoskit.records.jsonl import FILES
from chaoskit.records.model import Counters
from chaoskit.topology.display_names import display_name
from chaoskit.topology.ways import drops_too_big
from chaoskit.units import Duration, Size

_MS = 1_000_000
_NEAR = 0.03  # of a fault's time
Samples = Mapping[tuple[str, Knob], Sequence[tuple[Counters, Counters]]]


def connection_checks(plan: Plan, timeline: Timeline, samples: Samples) -> Iterator[FidelityCheck]:
    """One check for each of these faults of each phase that the run has reached."""
    changes = {phase.name: phase.changes for phase in plan.phases}
    for name in timeline.names:
        for change in changes.get(name, ()):
            if isinstance(change.setting, Cut | IdleTimeout):
                where = display_name(change.knob, plan.lab)
                yield _check(name, where, change.setting, samples.get((name, change.knob), ()))


def silences(plan: Plan | None, name: str) -> bool:
    """Whether a fault of this phase drops all packets of connections: that looks like a black hole, and is none."""
    phases = (phase for phase in (plan.phases if plan else ()) if phase.name == name)
    return any(_silences(change) for phase in phases for change in phase.changes)


def _silences(change: PlannedChange) -> bool:
    """Whether no packet passes any more: a connection that is cut silently, or a link that is cut."""
    match change.setting:
        case Cut(by=by) | IdleTimeout(by=by):
            return by == "silence"
        case Filter(redirect_to=None, over=0):
            return not drops_too_big(change.knob)
        case _:
            return False


def with_own_timer(finding: Intermediary, plan: Plan | None) -> Intermediary:
    """A timer that is a fault of the plan, instead of a guess whose it is."""
    for change in (change for phase in (plan.phases if plan else ()) for change in phase.changes):
        if isinstance(change.setting, Cut | IdleTimeout) and change.setting.ms:
            seconds = change.setting.ms / 1000
            if abs(finding.seconds - seconds) <= seconds * _NEAR:
                said, _, _ = finding.sentence.rpartition(" (")
                return finding.model_copy(update={"sentence": f"{said} (the {change.setting.type} that is in force)"})
    return finding


def describe_limit(setting: Cut | IdleTimeout) -> str:
    """`after 1kB`, `after 2s`, `after 60s of silence`."""
    if isinstance(setting, IdleTimeout):
        return f"after {Duration(setting.ms * _MS)} of silence"
    return f"after {Size(setting.bytes) if setting.bytes else Duration(setting.ms * _MS)}"


def _check(
    phase: str, where: str, setting: Cut | IdleTimeout, pairs: Sequence[tuple[Counters, Counters]]
) -> FidelityCheck:
    packets, ended, dropped = (
        sum(getattr(after, field) - getattr(before, field) for before, after in pairs)
        for field in ("packets", "overlimits", "drops")
    )
    kind: FidelityKind = "cut" if isinstance(setting, Cut) else "idle-timeout"
    verdict: FidelityVerdict = "achieved" if ended else "not-exercised"
    remark = f"{describe_limit(setting)}, by {setting.by}"
    if not pairs:
        verdict, remark = "too-few-packets", "no counters were recorded"
    elif not packets:
        remark = "no packet of a connection passed"
    elif not ended:
        remark = _why_none(setting)
    return FidelityCheck(
        phase=phase,
        kind=kind,
        where=where,
        unit="count",
        requested=None,
        measured=ended if pairs else None,
        tolerance=0,
        samples=dropped,
        verdict=verdict,
        remark=remark,
        evidence=Evidence(file=FILES[Counters], count=len(pairs)),
    )


def _why_none(setting: Cut | IdleTimeout) -> str:
    if isinstance(setting, IdleTimeout):
        return f"no connection was idle for {Duration(setting.ms * _MS)} and then used"
    return f"no connection had data {describe_limit(setting)}"
