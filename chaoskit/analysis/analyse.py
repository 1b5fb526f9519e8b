"""Computes the result of a run directory: reads its files, calls pure functions for all metrics."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from os.path import lexists
from pathlib import Path

from chaoskit import __version__
from chaoskit.analysis.attribution.phase_causes import PhaseCauses
from chaoskit.analysis.attribution.run_evidence import run_evidence
from chaoskit.analysis.beside import with_workloads
from chaoskit.analysis.capture_warnings import capture_warnings
from chaoskit.analysis.chains.ladder import LadderResult, ladder_result
from chaoskit.analysis.chains.model_queue import model_queues
from chaoskit.analysis.chains.phase_tiers import span_counts, tiers_by_phase
from chaoskit.analysis.compression import compare_compression, compression_warnings
from chaoskit.analysis.conclusion import outcome, warnings, with_path_mtu_cause
from chaoskit.analysis.judge import judge
from chaoskit.analysis.load import RawRecords, load_records, load_workload
from chaoskit.analysis.looks import until_decided
from chaoskit.analysis.network.closings import EndedStream, closings
from chaoskit.analysis.network.counter_deltas import namespace_deltas
from chaoskit.analysis.network.path_mtu import path_mtu
from chaoskit.analysis.provenance import Provenance
from chaoskit.analysis.result import Bucket, NamespaceCounts, PhaseResult, Result, Round
from chaoskit.analysis.run_spec import RunSpec, of_programs, spec_of
from chaoskit.analysis.statistics.comparison import compare
from chaoskit.analysis.statistics.estimates import Estimates
from chaoskit.analysis.statistics.metrics import metrics
from chaoskit.analysis.statistics.quantiles import MS
from chaoskit.analysis.streams.buckets import bucket_seconds, buckets
from chaoskit.analysis.streams.phase_samples import SECOND, WHOLE_RUN, PhaseSamples, span_of_stream
from chaoskit.analysis.streams.timeline import Timeline
from chaoskit.analysis.vllm_figures import vllm_figures
from chaoskit.folder import display_path
from chaoskit.planning.model import Plan
from chaoskit.planning.phase_settings import phase_settings
from chaoskit.records.directory import UNCOMPRESSED, WORKLOADS
from chaoskit.telemetry.traces import warnings as span_warnings


def analyse(run: Path) -> Result:
    """The result of the run in this directory.

    Raises SpecError when this is no run directory, or when a file in it is not a valid record.
    """
    raw = load_records(run)
    others = raw.plan.workloads if raw.plan is not None else ()
    workloads = [(other, load_workload(run, raw, other)) for other in others if lexists(run / WORKLOADS / other.name)]
    uncompressed = load_records(run / UNCOMPRESSED) if raw.plan is None and lexists(run / UNCOMPRESSED) else None
    found = analyse_records(raw, run, spec_of(raw.plan or raw.probe), uncompressed)
    if not workloads:
        return found
    results = [(other, analyse_records(records, run, spec_of(records.plan))) for other, records in workloads]
    return with_workloads(found, results)


def analyse_records(raw: RawRecords, run: Path, spec: RunSpec, uncompressed: RawRecords | None = None) -> Result:
    """The same for records that have been read, and those without compression. `run` is only named in the result."""
    streams, reader = raw.streams, raw.streams.table.reader
    asked = raw.plan or raw.probe
    judged = judge(raw, spec)
    run_timeline, samples, estimates, hops = judged.timeline, judged.samples, judged.estimates, judged.hops
    checks, client_health, reasons = judged.fidelity, judged.health, judged.reasons
    known = run_evidence(raw, run_timeline, judged.seen)
    causes = PhaseCauses(raw, known, samples.get(spec.reference))
    phases = tuple(_phases(raw, run_timeline, samples, estimates, buckets(streams, run_timeline), causes))
    tiers = tiers_by_phase(hops, judged.populations, estimates, run_timeline, spec.reference)
    phases = tuple(phase.model_copy(update={"tiers": tiers.get(phase.name)}) for phase in phases)
    ended = _in_phases(known.ended, run_timeline)
    phases = tuple(_with_closings(phase, samples[phase.name], ended, raw) for phase in phases)
    verdicts = tuple(with_path_mtu_cause(*pair, phases) for pair in zip(judged.verdicts, spec.objectives, strict=True))
    return Result(
        chaoskit=__version__,
        name=spec.name,
        question=spec.question,
        target=spec.target,
        model=spec.model,
        protocol=spec.protocol,
        conditions=(*spec.conditions, *of_programs(raw.plan, raw.machine.get("clock", ""))),
        level=1 - 2 * spec.tail,
        until_decided=until_decided(raw, run_timeline),
        seed=spec.seed,
        run=str(display_path(run)),
        clock=raw.machine.get("clock", ""),
        kernel=raw.machine.get("kernel", ""),
        provenance=_provenance(raw),
        machine=raw.state,
        vllm=None if raw.plan else vllm_figures(streams.ended),
        origin=run_timeline.begin,
        seconds=max(0, raw.end - run_timeline.begin) / SECOND,
        outcome=outcome(raw, streams.ended, verdicts, reasons),
        reference=spec.reference,
        overall=metrics(samples[WHOLE_RUN], estimates),
        phases=phases,
        bucket_s=bucket_seconds(run_timeline),
        stall_threshold_ms=reader.stall / MS,
        reading_rate=SECOND / reader.pace,
        comparisons=tuple(compare(samples, spec.reference, estimates)),
        objectives=verdicts,
        intermediaries=known.intermediaries,
        compression=compare_compression(raw, uncompressed),
        models=model_queues(raw.model_states, raw.spans, run_timeline),
        tiers=tiers.get(WHOLE_RUN),
        spans=span_counts(hops),
        ladders=tuple(_ladders(raw)),
        fidelity=checks,
        tokens_per_event=streams.table.token_counts.told,
        health=client_health,
        warnings=(
            *raw.warnings,
            *_of_unseen_connections(raw),
            *capture_warnings(raw),
            *warnings(raw.plan, streams.ended, client_health, phases, raw.warmups),
            *compression_warnings(raw, uncompressed is not None),
            *span_warnings(judged.traced, asked.telemetry.address if asked is not None and asked.telemetry else None),
        ),
    )


def _ladders(raw: RawRecords) -> Iterator[LadderResult]:
    """What the degradation of each gateway did."""
    for host in raw.plan.hosts if raw.plan is not None else ():
        keys = host.spec.gateway.degradation if host.spec.gateway is not None else None
        if keys is not None and keys.settings is not None:
            yield ladder_result(host.name, keys.settings, raw.requests, raw.spans)


def _of_unseen_connections(raw: RawRecords) -> Iterator[str]:
    """That the kernel of a lab did not let anybody look."""
    if unseen := raw.machine.get("unseen"):
        yield f"who ended streams is not known: {unseen}"


def _provenance(raw: RawRecords) -> Provenance | None:
    """Without the date in virtual time, where the same run has the same result."""
    if raw.provenance is not None and raw.machine.get("clock") == "virtual":
        return raw.provenance.model_copy(update={"started": None})
    return raw.provenance


def _phases(
    raw: RawRecords,
    run_timeline: Timeline,
    samples: Mapping[str, PhaseSamples],
    estimates: Estimates,
    phase_buckets: Mapping[str, tuple[Bucket, ...]],
    causes: PhaseCauses,
) -> Iterator[PhaseResult]:
    full_segments = path_mtu(raw, run_timeline)
    namespaces = namespace_deltas(raw.namespaces, run_timeline)
    arrivals = Counter(run_timeline.span_at(stream.request.scheduled).name for stream in raw.streams.ended)
    settings = _settings(raw.plan) if raw.plan is not None else {}
    for name in run_timeline.names:
        sample = samples[name]
        spans = [span for span in run_timeline.spans if span.name == name]
        yield PhaseResult(
            name=name,
            faults=spans[0].faults,
            settings=settings.get(name, ()),
            seconds=sample.seconds,
            arrivals=arrivals[name],
            rounds=tuple(
                Round(
                    number=span.round,
                    begin_s=(span.begin - run_timeline.begin) / SECOND,
                    ready_s=(span.ready - run_timeline.begin) / SECOND,
                    end_s=(span.end - run_timeline.begin) / SECOND,
                )
                for span in spans
            ),
            metrics=metrics(sample, estimates),
            **causes.of(sample),
            timeline=phase_buckets[name],
            path_mtu=full_segments[name],
            namespaces=tuple(
                NamespaceCounts(place=place, counters=counters, missing=missing)
                for place, (counters, missing) in namespaces.get(name, {}).items()
            ),
        )


def _with_closings(
    phase: PhaseResult, sample: PhaseSamples, ended: Sequence[EndedStream], raw: RawRecords
) -> PhaseResult:
    numbers = {stream.number for stream in sample.interrupted}
    here = [each for each in ended if each.stream.number in numbers]
    lost = sum(each.drops for each in raw.counters if each.kind == "connection-ends")
    return phase.model_copy(update={"closings": closings(here, len(numbers), lost)})


def _in_phases(ended: Sequence[EndedStream], run_timeline: Timeline) -> tuple[EndedStream, ...]:
    """The same with the phase in which each ended, where the interruption is charged to an earlier one."""
    last = [run_timeline.span_at(each.stream.request.ended).name for each in ended]
    own = [span_of_stream(each.stream, run_timeline).name for each in ended]
    return tuple(
        each if name == before else replace(each, during=name)
        for each, before, name in zip(ended, own, last, strict=True)
    )


def _settings(plan: Plan) -> dict[str, tuple[str, ...]]:
    """What each phase sets, by its name; of those with one name the first."""
    return {each.name: phase_settings(each, plan.lab) for each in reversed(plan.phases)}
