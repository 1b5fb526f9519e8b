"""Concludes a run in sentences: reasons why it is undecided, its outcome, its warnings."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence

from chaoskit.analysis.connections import connection_warnings
from chaoskit.analysis.findings import PathMtu, is_black_hole
from chaoskit.analysis.formatting import FIDELITY_LABELS, about, format_value
from chaoskit.analysis.health import (
    MAX_CLIENT_ERRORS,
    MAX_LOOP_LAG_MS,
    MAX_SCHEDULING_LAG_MS,
    MAX_SERVER_LATENESS_MS,
    MAX_SERVER_PAUSE_MS,
)
from chaoskit.analysis.load import RawRecords
from chaoskit.analysis.objectives import UndecidedReason
from chaoskit.analysis.result import FidelityCheck, Health, ObjectiveResult, Outcome, PhaseResult, RunVerdict
from chaoskit.analysis.statistics.quantiles import is_too_few
from chaoskit.analysis.streams.assemble import Stream
from chaoskit.planning.model import Plan
from chaoskit.records.jsonl import FILES
from chaoskit.records.model import ASKED_AGAIN, Request, SocketRead
from chaoskit.spec.objectives import Objective
from chaoskit.units import counted

_MOST_REMARKS = 8


def undecided_reasons(
    raw: RawRecords, streams: Sequence[Stream], checks: Sequence[FidelityCheck], client_health: Health
) -> tuple[UndecidedReason, ...]:
    """Why this run, or some of its phases, cannot decide an objective."""
    return (
        *_of_an_early_end(raw),
        *_of_the_files(raw),
        *_of_the_client(streams, client_health),
        *_of_the_faults(checks),
    )


def _of_an_early_end(raw: RawRecords) -> Iterator[UndecidedReason]:
    if raw.status == "refused":
        yield UndecidedReason("the run was stopped before its end")
    elif raw.status == "finished" and raw.detail:
        yield UndecidedReason(raw.detail)


def _of_the_files(raw: RawRecords) -> Iterator[UndecidedReason]:
    """A run that ended by itself has a request for each stream with tokens."""
    name = FILES[Request]
    if raw.status == "finished" and not raw.has_requests_file:
        yield UndecidedReason(f"{name} is missing: no stream can be counted")
    elif raw.status == "finished" and raw.streams.unfinished:
        lost = raw.streams.unfinished
        yield UndecidedReason(f"{name} is cut: {counted(lost, 'stream')} of {FILES[SocketRead]} missing in it")


def _of_the_client(streams: Sequence[Stream], client_health: Health) -> Iterator[UndecidedReason]:
    if not streams:
        yield UndecidedReason("no request was made")
    if client_health.client_errors > MAX_CLIENT_ERRORS * len(streams):
        yield UndecidedReason(_client_errors(streams))
    if client_health.overloaded:
        lags = {
            "requests started": (client_health.scheduling_lag_p99_ms, MAX_SCHEDULING_LAG_MS),
            "its event loop woke": (client_health.loop_lag_p99_ms, MAX_LOOP_LAG_MS),
        }
        late = [f"{what} {format_value(lag, 'ms')} late" for what, (lag, limit) in lags.items() if (lag or 0) > limit]
        yield UndecidedReason(f"the client was too slow: {', '.join(late)} (p99)")


def _client_errors(streams: Sequence[Stream]) -> str:
    """How many requests this machine could not do, and its most frequent reason."""
    details = [stream.request.detail for stream in streams if stream.is_client_error]
    return (
        f"{len(details)} of {counted(len(streams), 'request')} failed in the client: {max(details, key=details.count)}"
    )


def _of_the_faults(checks: Sequence[FidelityCheck]) -> Iterator[UndecidedReason]:
    for each in checks:
        if each.verdict == "not-achieved":
            requested, seen = format_value(each.requested, each.unit), format_value(each.measured, each.unit)
            measured = f"{FIDELITY_LABELS[each.kind]} {seen}" + (
                f" instead of {requested}" if each.requested is not None else ""
            )
            yield UndecidedReason(
                f"{each.phase} was not as requested: {measured}, {each.where} ({each.remark})",
                frozenset({each.phase}),
            )


def outcome(
    raw: RawRecords, streams: Sequence[Stream], verdicts: Sequence[ObjectiveResult], reasons: Sequence[UndecidedReason]
) -> Outcome:
    """How the run ended and its verdict, with the first reason. Without objectives some stream must be complete."""
    verdict, reason = _verdict(verdicts, reasons)
    interrupted = sum(stream.is_interrupted for stream in streams)
    complete = sum(stream.is_complete for stream in streams)
    if verdict == "none" and not any(stream.events for stream in streams):
        verdict, reason = "undecided", "no stream received a token"
    elif verdict == "none" and interrupted and not complete:
        verdict, reason = "undecided", f"no stream was complete, {interrupted} of {len(streams)} were interrupted"
    elif verdict == "none" and is_too_few(95, complete):
        verb = "says" if complete == 1 else "say"
        reason += f", and {counted(complete, 'complete stream')} {verb} little: a p95 takes 20"
    return Outcome(status=raw.status, detail=raw.detail, verdict=verdict, reason=reason)


def _verdict(verdicts: Sequence[ObjectiveResult], reasons: Sequence[UndecidedReason]) -> tuple[RunVerdict, str]:
    for verdict in verdicts:
        if verdict.verdict == "broken":
            return "broken", f"{verdict.text}: {format_value(verdict.observed.value, verdict.unit)}"
    if reasons:
        return "undecided", reasons[0].reason
    for verdict in verdicts:
        if verdict.verdict == "undecided":
            return "undecided", f"{verdict.text}: {_undecided_because(verdict)}"
    if not verdicts:
        return "none", "no objectives are set"
    return "met", f"all {counted(len(verdicts), 'objective')}" if len(verdicts) > 1 else verdicts[0].text


def _of_warmups(warmups: Sequence[Request]) -> Iterator[str]:
    """What was asked in other words because the server refused it, and warm-up requests that failed."""
    changes = [request.detail for request in warmups if ASKED_AGAIN in request.detail]
    for change in dict.fromkeys(detail.rpartition(ASKED_AGAIN)[2] for detail in changes):
        first = next(detail for detail in changes if detail.endswith(f"{ASKED_AGAIN}{change}"))
        yield f"the server refused a request, which was then asked {change}: {first.rpartition(ASKED_AGAIN)[0]}"
    failed = [each for each in warmups if each.completion != "complete" and ASKED_AGAIN not in each.detail]
    if failed:
        ends = ", ".join(dict.fromkeys(request.completion for request in failed))
        yield f"{len(failed)} of {counted(len(warmups) - len(changes), 'warm-up request')} not complete: {ends}"


def _undecided_because(verdict: ObjectiveResult) -> str:
    if verdict.observed.value is None or verdict.streams_needed is None:
        return verdict.reason
    seen = format_value(verdict.observed.value, verdict.unit)
    return f"{seen}; {about(verdict.streams_needed, 'stream')} would decide"


def with_path_mtu_cause(
    verdict: ObjectiveResult, objective: Objective, phases: Sequence[PhaseResult]
) -> ObjectiveResult:
    """A broken objective, with the black holes for full segments in the phases that it looks at."""
    found = [
        sentence
        for phase in phases
        if verdict.verdict == "broken" and objective.phase in (None, phase.name)
        for sentence in black_holes(phase, f" in {phase.name}")
    ]
    return verdict.model_copy(update={"reason": "; ".join([verdict.reason, *dict.fromkeys(found)])})


def black_holes(phase: PhaseResult, where: str = "") -> Iterator[str]:
    """What black holes for full segments did in a phase, a sentence for each direction."""
    yield from dict.fromkeys(_lost_segments(one, where) for one in phase.path_mtu if is_black_hole(one))


def _flagged(streams: Sequence[Stream]) -> Iterator[str]:
    """Answers that are complete, and yet not what was asked for."""
    flags = [stream.request.flag for stream in streams if stream.is_complete]
    if empty := flags.count("empty"):
        yield f"{empty} of {counted(len(flags), 'complete stream')} ended well without a token; they are no goodput"
    if short := flags.count("short"):
        yield (
            f"{short} of {counted(len(flags), 'complete stream')} ended well with far fewer tokens than asked for; "
            "they are no goodput"
        )


def _remarks(streams: Sequence[Stream]) -> Iterator[str]:
    """What was odd about responses that could be understood, the most frequent first."""
    counts = Counter(remark for stream in streams for remark in stream.request.remarks)
    for remark, count in counts.most_common(_MOST_REMARKS):
        yield f"{count} of {counted(len(streams), 'stream')}: {remark}"


def _lost_segments(finding: PathMtu, where: str = "") -> str:
    """What a black hole does, with the confidence of the finding."""
    if finding.confidence == "certain":
        return f"full segments were lost {finding.direction}{where}"
    return f"full segments were probably lost {finding.direction}{where} ({finding.reason})"


def warnings(
    plan: Plan | None,
    streams: Sequence[Stream],
    client_health: Health,
    phases: Sequence[PhaseResult] = (),
    warmups: Sequence[Request] = (),
) -> Iterator[str]:
    """What limits the numbers, the plan's own warnings first."""
    yield from plan.warnings if plan else ()
    yield from _of_warmups(warmups)
    for phase in phases:
        for one in phase.path_mtu:
            if not phase.faults and is_black_hole(one):
                yield f"{phase.name}: no fault was in force, and {_lost_segments(one)}"
    yield from _flagged(streams)
    yield from _remarks(streams)
    yield from connection_warnings([stream.request for stream in streams])
    cancelled = sum(stream.is_cancelled for stream in streams)
    if client_health.overloaded:
        yield "the client was overloaded and distorted its measurements: lower the request rate, or give it its own CPU"
    if client_health.client_errors:
        yield f"{_client_errors(streams)}; they are not counted"
    if client_health.unfinished:
        yield f"streams still open when the records end, not counted: {client_health.unfinished}"
    if cancelled:
        yield f"streams still running when the run ended, neither complete nor interrupted: {cancelled}"
    if plan is None or plan.server is None or not plan.server.pause:
        yield from _of_server(client_health)


def _of_server(client_health: Health) -> Iterator[str]:
    """That the reference server was late, without a pause in its script."""
    if (client_health.server_late_p99_ms or 0) > MAX_SERVER_LATENESS_MS:
        lateness = format_value(client_health.server_late_p99_ms, "ms")
        yield f"the reference server was behind its own schedule: {lateness} (p99)"
    elif (client_health.server_late_max_ms or 0) > MAX_SERVER_PAUSE_MS:
        lateness = format_value(client_health.server_late_max_ms, "ms")
        yield (
            f"the reference server was once {lateness} behind its own schedule: it was stopped, its machine was "
            "overloaded, or its client did not read"
        )
