"""What a run's numbers come to, in sentences: doubts, the outcome, warnings."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from chaoskit.analysis.formatting import said
from chaoskit.analysis.health import LOOP_MS, SCHEDULING_MS, SERVER_LATE_MS
from chaoskit.analysis.load import RawRecords
from chaoskit.analysis.objectives import Doubt
from chaoskit.analysis.result import Achievement, Found, Health, Outcome, PhaseResult, Verdict
from chaoskit.analysis.streams.assemble import Stream
from chaoskit.plan.model import Plan
from chaoskit.spec.objectives import Objective

_DEADLY = ("black-hole", "probed")


def doubts(raw: RawRecords, found: Sequence[Stream], achieved: Sequence[Achievement], own: Health) -> tuple[Doubt, ...]:
    """Why this run, or some of its phases, can decide nothing."""
    return (*_of_the_end(raw), *_of_the_client(found, own), *_of_the_faults(achieved))


def _of_the_end(raw: RawRecords) -> Iterator[Doubt]:
    if raw.how == "finished" and raw.detail:
        yield Doubt(raw.detail)


def _of_the_client(found: Sequence[Stream], own: Health) -> Iterator[Doubt]:
    if not found:
        yield Doubt("no request was made")
    if own.overloaded:
        lags = {
            "requests started": (own.scheduling_lag_p99_ms, SCHEDULING_MS),
            "its loop woke": (own.loop_lag_p99_ms, LOOP_MS),
        }
        told = [f"{what} {said(lag, 'ms')} late" for what, (lag, most) in lags.items() if (lag or 0) > most]
        yield Doubt(f"the client was too slow: {', '.join(told)} (p99)")


def _of_the_faults(achieved: Sequence[Achievement]) -> Iterator[Doubt]:
    for each in achieved:
        if each.verdict == "not-achieved":
            asked, seen = said(each.asked, each.unit), said(each.achieved, each.unit)
            told = f"{each.what} {seen}" + (f" instead of {asked}" if each.asked is not None else "")
            yield Doubt(
                f"{each.phase} was not as asked: {told}, {each.where} ({each.remark})",
                frozenset({each.phase}),
            )


def outcome(
    raw: RawRecords, streams: Sequence[Stream], verdicts: Sequence[Verdict], doubted: Sequence[Doubt]
) -> Outcome:
    """How it went and what it found, with the first reason. Without objectives, something must have been seen."""
    found, reason = _found(verdicts, doubted)
    if found == "none" and not any(stream.tokens for stream in streams):
        found, reason = "undecided", "no stream brought a token"
    return Outcome(how=raw.how, detail=raw.detail, found=found, reason=reason)


def _found(verdicts: Sequence[Verdict], doubted: Sequence[Doubt]) -> tuple[Found, str]:
    for verdict in verdicts:
        if verdict.judgement == "broken":
            return "broken", f"{verdict.text}: {said(verdict.observed.value, verdict.unit)}"
    if doubted:
        return "undecided", doubted[0].reason
    for verdict in verdicts:
        if verdict.judgement == "undecided":
            return "undecided", f"{verdict.text}: {_why(verdict)}"
    if not verdicts:
        return "none", "no objective was asked"
    return "met", f"all {len(verdicts)} objectives" if len(verdicts) > 1 else verdicts[0].text


def _why(verdict: Verdict) -> str:
    if verdict.observed.value is None or verdict.would_decide is None:
        return verdict.reason
    return f"{said(verdict.observed.value, verdict.unit)}; about {verdict.would_decide} streams would decide"


def explained(verdict: Verdict, objective: Objective, phases: Sequence[PhaseResult]) -> Verdict:
    """A broken objective with what became of full segments meanwhile, where they died."""
    died = [
        f"full segments died on their way {one.direction} in {phase.name}"
        for phase in phases
        if verdict.judgement == "broken" and objective.phase in (None, phase.name)
        for one in phase.path_mtu
        if one.kind in _DEADLY
    ]
    return verdict.model_copy(update={"reason": "; ".join([verdict.reason, *dict.fromkeys(died)])})


def warnings(
    plan: Plan | None, found: Sequence[Stream], own: Health, phases: Sequence[PhaseResult] = ()
) -> Iterator[str]:
    """What a reader of the numbers should know, the plan's own warnings first."""
    yield from plan.warnings if plan else ()
    for phase in phases:
        for one in phase.path_mtu:
            if not phase.faults and one.kind in _DEADLY:
                yield f"{phase.name}: no fault was in force, and full segments died on their way {one.direction}"
    cancelled = sum(stream.is_cancelled for stream in found)
    if own.overloaded:
        yield "the client shaped what it measured: ask for less, or give it a processor of its own"
    if own.unfinished:
        yield f"streams open when the records break off, and counted nowhere: {own.unfinished}"
    if cancelled:
        yield f"streams still running when time was up, neither complete nor interrupted: {cancelled}"
    if (own.server_late_p99_ms or 0) > SERVER_LATE_MS:
        yield f"the reference server was late by its own schedule: {said(own.server_late_p99_ms, 'ms')} (p99)"
