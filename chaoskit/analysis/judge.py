"""Judges the objectives of a run by its records: the verdicts, and all that they rest on."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass, replace
from urllib.parse import urlsplit

from chaoskit.analysis.attribution.run_evidence import timeline_of
from chaoskit.analysis.chains.inversions import inversions
from chaoskit.analysis.chains.measurements import FROM_SPANS, TierMeasurements, by_user, measure
from chaoskit.analysis.chains.places import Front
from chaoskit.analysis.chains.stops import stops
from chaoskit.analysis.conclusion import undecided_reasons
from chaoskit.analysis.health import health
from chaoskit.analysis.load import RawRecords
from chaoskit.analysis.network.connections_seen import SeenConnections
from chaoskit.analysis.network.fidelity import fidelity
from chaoskit.analysis.objectives import UndecidedReason, evaluate
from chaoskit.analysis.result import FidelityCheck, Health, ObjectiveResult
from chaoskit.analysis.run_spec import RunSpec
from chaoskit.analysis.statistics.estimates import Estimates
from chaoskit.analysis.streams.assemble import Stream
from chaoskit.analysis.streams.goodput import good_streams
from chaoskit.analysis.streams.phase_samples import PhaseSamples, phase_samples, span_of_stream
from chaoskit.analysis.streams.populations import Population, SamplesByPopulation
from chaoskit.analysis.streams.recovery import Recoveries
from chaoskit.analysis.streams.timeline import Timeline
from chaoskit.planning.model import Plan
from chaoskit.records.model import Request
from chaoskit.spec.phases import CLEAN_PHASES
from chaoskit.spec.sizes import mean_tokens
from chaoskit.spec.workload import Workload
from chaoskit.telemetry.traces import Traces, traces


@dataclass(frozen=True)
class Judgement:
    """The verdicts on the objectives of a run, in their order, and what they were made from."""

    verdicts: tuple[ObjectiveResult, ...]
    reasons: tuple[UndecidedReason, ...]
    timeline: Timeline
    samples: dict[str, PhaseSamples]
    populations: SamplesByPopulation
    estimates: Estimates
    traced: Traces
    hops: TierMeasurements
    seen: SeenConnections
    fidelity: tuple[FidelityCheck, ...]
    health: Health


def judge(raw: RawRecords, spec: RunSpec) -> Judgement:
    """The verdicts by these records."""
    streams, timeline = raw.streams, timeline_of(raw)
    in_lab = raw.plan is not None and raw.plan.interface is None
    traced = traces(raw.requests, raw.spans, raw.exports, has_one_clock=in_lab)
    classes = raw.plan.classes if raw.plan is not None else {}
    measured = replace(
        measure(raw.requests, traced, raw.numbering, _front(raw.plan), stops(raw.host_states)),
        inversions=inversions(raw.requests, raw.spans, classes),
    )
    hops = by_user(measured, streams.ended)
    samples = phase_samples(streams, timeline, more=hops.latencies, told=hops.told)
    populations = SamplesByPopulation(samples, raw.requests)
    intended = _intended(raw, streams.ended, spec.workload)
    good = good_streams(
        streams.ended, spec.objectives, lambda stream: span_of_stream(stream, timeline).name, intended, hops
    )
    recoveries = Recoveries(timeline, _by_user(streams.ended), good, _clean_phases(raw.plan))
    estimates = Estimates(good, intended, recoveries, hops.missing, spec.tail)
    seen = SeenConnections(raw.connection_ends, raw.host_sockets)
    checks = tuple(fidelity(raw.plan, timeline, raw, seen)) if raw.plan else ()
    client_health = health(streams, raw.vitals, raw.served)
    reasons = undecided_reasons(raw, streams.ended, checks, client_health)
    of_spans = [UndecidedReason(hops.lost_reason, metrics=frozenset(FROM_SPANS))] if hops.lost_reason else []
    verdicts = tuple(
        evaluate(objective, populations.of(Population.of(objective)), estimates, (*reasons, *of_spans))
        for objective in spec.objectives
    )
    return Judgement(
        verdicts, reasons, timeline, samples, populations, estimates, traced, hops, seen, checks, client_health
    )


def _by_user(streams: Sequence[Stream]) -> Iterator[Request]:
    """The last attempt of each user, as if it had been scheduled when he asked first."""
    for stream in streams:
        if stream.is_counted and not stream.is_asked_again:
            yield replace(stream.request, scheduled=stream.asked)


def _front(plan: Plan | None) -> Front | None:
    """The host of a service lab that the client asks."""
    if plan is None or not plan.asked_hosts:
        return None
    return Front(urlsplit(plan.target).hostname or "", plan.asked_hosts)


def _clean_phases(plan: Plan | None) -> Collection[str]:
    """The names of phases without a fault and a surge."""
    if plan is None:
        return CLEAN_PHASES
    return {phase.name for phase in plan.phases if not phase.faults and phase.demand == 1}


def _intended(raw: RawRecords, streams: Sequence[Stream], workload: Workload | None) -> dict[int, int]:
    """How many tokens the reference server meant to send; for streams that it never saw, the requested number."""
    stamped = {served.stream: served.tokens for served in raw.served if served.stream is not None}
    if not raw.served or workload is None:
        return stamped
    known = [stream.request.asked for stream in streams if stream.request.asked is not None]
    mean = round(mean_tokens(workload)) if workload.trace is None else round(sum(known) / max(1, len(known)))
    return {stream.number: stream.request.asked or mean for stream in streams} | stamped
