"""Checks whether programs did what process faults asked, by the changes of state that were recorded.

What counts is the state in the middle of the time in which it was asked for: a phase begins while the faults of the one
before are taken back.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass

from chaoskit.analysis.findings import Evidence
from chaoskit.analysis.formatting import format_value
from chaoskit.analysis.load import RawRecords
from chaoskit.analysis.result import FidelityCheck
from chaoskit.analysis.streams.timeline import Timeline
from chaoskit.knobs import Knob, Process
from chaoskit.planning.model import Plan
from chaoskit.records.host_records import HostState
from chaoskit.records.jsonl import FILES
from chaoskit.topology.display_names import display_name

_MS = 1_000_000


@dataclass(frozen=True)
class _Asked:
    """A state of a program from `begin` to `end`, what it was in the middle, and when it was ready again, if it was."""

    state: str
    begin: int
    end: int
    seen: HostState | None
    ready: int | None

    @property
    def is_achieved(self) -> bool:
        return self.seen is not None and self.seen.state == self.state


def process_checks(plan: Plan, timeline: Timeline, raw: RawRecords) -> Iterator[FidelityCheck]:
    """One check for each program and each phase that the run has reached."""
    found: dict[tuple[str, Knob], list[_Asked]] = defaultdict(list)
    for span, phase in zip(timeline.spans, plan.phases, strict=False):
        ends = {knob: span.begin + after for after, knob in phase.ends}
        for change in phase.changes:
            if isinstance(change.setting, Process):
                states = [state for state in raw.host_states if state.host == change.knob.place]
                end = min(span.end, ends.get(change.knob, span.end))
                middle = (span.begin + end) // 2
                seen = next((state for state in reversed(states) if state.at <= middle), None)
                later = (state.at for state in states if state.state == "ready" and end <= state.at < span.end)
                asked = _Asked(change.setting.state, span.begin, end, seen, next(later, None))
                found[phase.name, change.knob].append(asked)
    for (name, knob), each in found.items():
        yield _check(name, display_name(knob, plan.lab), each)


def _check(phase: str, where: str, asked: list[_Asked]) -> FidelityCheck:
    others = [each for each in asked if not each.is_achieved]
    delays = [max(0, each.seen.at - each.begin) for each in asked if each.is_achieved and each.seen is not None]
    remark = "from the phase before on"
    if others:
        remark = f"it was {others[0].seen.state}" if others[0].seen is not None else "no state was recorded"
    elif max(delays, default=0):
        remark = f"{max(delays) / _MS:.2g} ms after the phase began"
    if again := [each.ready - each.begin for each in asked if each.ready is not None and not others]:
        remark += f", and ready again after {format_value(max(again) / _MS, 'ms')}"
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
