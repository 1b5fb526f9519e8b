"""Checks whether programs did what process faults asked, by the changes of state that were recorded.

What counts is the state in the middle of each phase: a phase begins while the faults of the one before are taken back.
"""

from __future__ import annotations

from collections.abc import Iterator

from chaoskit.analysis.findings import Evidence
from chaoskit.analysis.load import RawRecords
from chaoskit.analysis.result import FidelityCheck
from chaoskit.analysis.streams.timeline import Span, Timeline
from chaoskit.knobs import Process
from chaoskit.plan.model import Plan
from chaoskit.records.jsonl import FILES
from chaoskit.records.model import HostState
from chaoskit.topology.display_names import display_name

_MS = 1_000_000


def process_checks(plan: Plan, timeline: Timeline, raw: RawRecords) -> Iterator[FidelityCheck]:
    """One check for each program and each phase that the run has reached."""
    changes = {phase.name: phase.changes for phase in plan.phases}
    for name in timeline.names:
        spans = [span for span in timeline.spans if span.name == name]
        for change in changes.get(name, ()):
            if isinstance(change.setting, Process):
                states = [state for state in raw.host_states if state.host == change.knob.place]
                where = display_name(change.knob, plan.lab)
                yield _check(name, where, change.setting.state, [(span, _state(states, span)) for span in spans])


def _state(states: list[HostState], span: Span) -> HostState | None:
    """The state in the middle of the span."""
    middle = (span.begin + span.end) // 2
    return next((state for state in reversed(states) if state.at <= middle), None)


def _check(phase: str, where: str, asked: str, seen: list[tuple[Span, HostState | None]]) -> FidelityCheck:
    others = [state for _, state in seen if state is None or state.state != asked]
    delays = [max(0, state.at - span.begin) for span, state in seen if state is not None and state.state == asked]
    remark = "from the phase before on"
    if others:
        remark = f"it was {others[0].state}" if others[0] is not None else "no state was recorded"
    elif max(delays, default=0):
        remark = f"{max(delays) / _MS:.2g} ms after the phase began"
    return FidelityCheck(
        phase=phase,
        kind="process",
        where=where,
        unit="ms",
        requested=None,
        measured=max(delays) / _MS if delays and not others else None,
        tolerance=0,
        samples=len(delays),
        verdict="not-achieved" if others else "achieved",
        remark=remark,
        evidence=Evidence(file=FILES[HostState], count=len(delays)),
    )
