"""From a run directory to a result. Reads files and does nothing else; all numbers come from pure functions."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from chaoskit import __version__
from chaoskit.analysis.conclusion import doubts, explained, outcome, warnings
from chaoskit.analysis.health import health
from chaoskit.analysis.load import RawRecords, load
from chaoskit.analysis.network.attribution import Traces, blame, disordered
from chaoskit.analysis.network.fidelity import fidelity
from chaoskit.analysis.network.path_mtu import path_mtu
from chaoskit.analysis.objectives import judge
from chaoskit.analysis.result import Bucket, PhaseResult, Result, Round
from chaoskit.analysis.statistics.comparison import compare
from chaoskit.analysis.statistics.estimates import Estimates
from chaoskit.analysis.statistics.metrics import metrics
from chaoskit.analysis.streams.assemble import Stream
from chaoskit.analysis.streams.buckets import bucket_seconds, buckets
from chaoskit.analysis.streams.goodput import good
from chaoskit.analysis.streams.phase_samples import SECOND, WHOLE, PhaseSamples, home, parts
from chaoskit.analysis.streams.timeline import Timeline, single, timeline
from chaoskit.faults.tc_format import format_setting
from chaoskit.folder import display_path
from chaoskit.plan.model import Plan
from chaoskit.spec.endpoint import redacted
from chaoskit.spec.experiment import Workload
from chaoskit.spec.objectives import Objective
from chaoskit.topology.display_names import display_name

ALONE = "run"  # the one phase of a run without a plan


@dataclass(frozen=True)
class Asked:
    """What a run was to show: from its plan, or for a bare probe from whoever asks."""

    objectives: tuple[Objective, ...] = ()
    workload: Workload | None = None
    name: str = "probe"
    question: str = ""
    target: str = ""
    seed: int = 0
    reference: str = ALONE


def analyse(run: Path, asked: Asked | None = None) -> Result:
    """The result of the run in this directory. `asked` stands in for a plan where there is none.

    Raises SpecError when this is no run directory, or when it holds something that is no record.
    """
    raw = load(run)
    return understand(raw, run, _asked(raw.plan) if raw.plan else asked or Asked())


def understand(raw: RawRecords, run: Path, asked: Asked) -> Result:
    """The same for records that have been read. `run` is only named in the result."""
    found = raw.streams
    course = _timeline(raw)
    by_name = parts(found, course)
    intended = _intended(raw, found.each, asked.workload)
    passed = good(found.each, asked.objectives, lambda stream: home(stream, course).name, intended)
    estimates = Estimates(asked.seed, passed, intended)
    achieved = tuple(fidelity(raw.plan, course, raw)) if raw.plan else ()
    own = health(found, raw.vitals)
    doubted = doubts(raw, found.each, achieved, own)
    verdicts = tuple(judge(objective, by_name, estimates, doubted) for objective in asked.objectives)
    phases = tuple(_phases(raw, course, by_name, estimates, buckets(found, course)))
    verdicts = tuple(explained(*pair, phases) for pair in zip(verdicts, asked.objectives, strict=True))
    return Result(
        chaoskit=__version__,
        name=asked.name,
        question=asked.question,
        target=asked.target,
        seed=asked.seed,
        run=str(display_path(run)),
        clock=raw.machine.get("clock", ""),
        kernel=raw.machine.get("kernel", ""),
        origin=course.begin,
        seconds=max(0, raw.last - course.begin) / SECOND,
        outcome=outcome(raw, found.each, verdicts, doubted),
        reference=asked.reference,
        whole=metrics(by_name[WHOLE], estimates),
        phases=phases,
        bucket_s=bucket_seconds(course),
        comparisons=tuple(compare(by_name, asked.reference, estimates)),
        objectives=verdicts,
        fidelity=achieved,
        health=own,
        warnings=(*raw.doubts, *warnings(raw.plan, found.each, own, phases)),
    )


def _asked(plan: Plan) -> Asked:
    return Asked(
        objectives=plan.objectives,
        workload=plan.workload,
        name=plan.name,
        question=plan.question,
        target=redacted(plan.target),
        seed=plan.seed,
        reference=plan.reference,
    )


def _timeline(raw: RawRecords) -> Timeline:
    if raw.phases:
        return timeline(raw.phases, raw.last)
    if not raw.requests:
        return Timeline(())
    return single(ALONE, min(request.scheduled for request in raw.requests), raw.last)


def _intended(raw: RawRecords, found: Sequence[Stream], workload: Workload | None) -> dict[int, int]:
    """How many tokens the reference server meant to send; to streams it never saw, what was asked of it."""
    told = {served.stream: served.intended for served in raw.served if served.stream is not None}
    if not raw.served or workload is None:
        return told
    return {stream.number: workload.output_tokens for stream in found} | told


def _phases(
    raw: RawRecords,
    course: Timeline,
    by_name: Mapping[str, PhaseSamples],
    estimates: Estimates,
    stretches: Mapping[str, tuple[Bucket, ...]],
) -> Iterator[PhaseResult]:
    traces = Traces(_went_on(raw), disordered(raw.infos))
    full_segments = path_mtu(raw, course)
    for name in course.names:
        part = by_name[name]
        spans = [span for span in course.spans if span.name == name]
        yield PhaseResult(
            name=name,
            faults=spans[0].faults,
            asked=_settings(raw.plan, name),
            seconds=part.seconds,
            rounds=tuple(
                Round(
                    number=span.round,
                    begin_s=(span.begin - course.begin) / SECOND,
                    ready_s=(span.ready - course.begin) / SECOND,
                    end_s=(span.end - course.begin) / SECOND,
                )
                for span in spans
            ),
            metrics=metrics(part, estimates),
            blame=blame(part.gaps, traces),
            timeline=stretches[name],
            path_mtu=full_segments[name],
        )


def _went_on(raw: RawRecords) -> frozenset[int]:
    """The streams to which the server sent more than arrived."""
    arrived = {request.stream: request.tokens for request in raw.requests}
    return frozenset(
        served.stream for served in raw.served if served.stream in arrived and served.sent > arrived[served.stream]
    )


def _settings(plan: Plan | None, name: str) -> tuple[str, ...]:
    """What this phase sets, knob by knob, in tc's words."""
    phase = next((phase for phase in plan.phases if phase.name == name), None) if plan else None
    if phase is None:
        return ()
    told = (
        f"{display_name(change.knob)}: {format_setting(change.setting)}" for change in phase.changes if change.setting
    )
    return tuple(dict.fromkeys(told))
