"""Puts the spans of a run on one clock, and says why requests have none. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from chaoskit.records.model import Request
from chaoskit.records.spans import Exports, Span
from chaoskit.telemetry.clocks import ClockShift, aligned
from chaoskit.units import counted


@dataclass(frozen=True)
class Traces:
    """The spans of a run, the programs whose clocks were corrected, and why requests have no span.

    `reason` is what the exports tell; "" where that is nothing. Whether requests have none is not decided here.
    """

    spans: list[Span]
    shifts: tuple[ClockShift, ...]
    reason: str


def traces(
    requests: Iterable[Request], spans: Sequence[Span], exports: Sequence[Exports], has_one_clock: bool
) -> Traces:
    """Those of a run. `has_one_clock`: all its programs ran on this kernel, as in a lab."""
    asked = {each.trace: each for each in requests if each.trace is not None}
    kept, shifts = (list(spans), []) if has_one_clock else aligned(spans, asked)
    return Traces(kept, tuple(shifts), why_none(exports, shifts))


def why_none(exports: Sequence[Exports], shifts: Sequence[ClockShift] = ()) -> str:
    """Why requests may have no span; "" where nothing tells."""
    wild = [each.host for each in shifts if each.shift is None]
    problem = next((each.problem for each in exports if each.refused and each.problem), None)
    foreign = sum(each.foreign for each in exports)
    beyond = sum(each.beyond for each in exports)
    if wild:
        return f"the clock of {', '.join(wild)} jumped, and its spans fit no request"
    if beyond:
        return f"there was no room for {counted(beyond, 'span')}"
    if foreign and not any(each.spans for each in exports):
        return f"{counted(foreign, 'exported span')} had other traces: the program must take over traceparent"
    if problem is not None:  # the last: it may be of a program that has nothing to do with the run
        none = "" if any(each.exports for each in exports) else "no program exported any that could be read; "
        return f"{none}{counted(sum(each.refused for each in exports), 'export')} could not be read: {problem}"
    return ""


def warnings(traces: Traces, listen: str | None) -> list[str]:
    """For people: what was done about clocks, and why there are no spans. `listen`: where a run was to receive some."""
    told = [clock_sentence(each) for each in traces.shifts]
    if not traces.spans and (traces.reason or listen is not None):
        hint = f"no program exported any; it finds the receiver by OTEL_EXPORTER_OTLP_ENDPOINT=http://{listen}"
        told.append(f"spans: {traces.reason or hint}")
    return told


def clock_sentence(shift: ClockShift) -> str:
    """For people: what was done about a program's clock."""
    if shift.shift is None:
        return f"the clock of {shift.host} jumped: its spans of {counted(shift.requests, 'request')} are left out"
    way = "behind" if shift.shift > 0 else "ahead"
    size = f"{abs(shift.shift) / 1e9:.3f} s, give or take {shift.within / 1e9:.3f} s"
    return f"the clock of {shift.host} is {way} by {size}: its spans were moved"
