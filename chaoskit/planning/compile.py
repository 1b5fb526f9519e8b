"""Compiles an experiment to its plan.

Pure: it reads nothing from the machine, and the same input gives the same plan. Every phase sets every knob that any
phase touches, so that a phase's state never depends on the phases before it. Where a phase changes a path MTU, the
lab's hosts also flush the path MTUs that they have cached.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from itertools import groupby
from statistics import NormalDist

from chaoskit import __version__
from chaoskit.faults.loss_models import expected_loss
from chaoskit.faults.netem import NetemFault, NetemSpec
from chaoskit.faults.tunnel import TunnelFault
from chaoskit.host_lookups import HostLookups
from chaoskit.knobs import Change, Knob, Netem, Pulse, Setting
from chaoskit.planning.client_load import most_per_second
from chaoskit.planning.idle_keys import idle_keys
from chaoskit.planning.injection import queue_limit
from chaoskit.planning.model import (
    Expectation,
    ExpectedEffect,
    Plan,
    PlannedChange,
    PlannedPhase,
    PlannedWorkload,
    Rounding,
)
from chaoskit.planning.model_room import too_small_models
from chaoskit.planning.stage import StageLookups, compile_stage, fault_site
from chaoskit.spec.classes import class_warnings
from chaoskit.spec.experiment import Experiment
from chaoskit.spec.phases import Span, surges
from chaoskit.spec.sizes import largest_prompt, mean_tokens, most_tokens
from chaoskit.spec.stage import EdgeStage, InterfaceStage, ServiceStage
from chaoskit.topology.fault_site import Lab, Site
from chaoskit.topology.lab import CLIENT
from chaoskit.topology.ways import is_between
from chaoskit.units import Duration

MOST_STREAMS = 10**9
"""Of one workload."""
_KERNEL_LIMIT = 1000  # netem's own default, in packets
_FULL_FRAME = 1514  # bytes of a full frame
_TOKEN_FRAME = 400  # bytes of a frame that carries one token
_SEGMENT = 1448  # bytes of payload in a full frame
_PATH_KINDS = ("mtu", "route", "rule")  # the kinds of knobs that decide the path MTU
_READER_TOKEN_INTERVAL = 50_000_000  # ns; how fast people read one token
# The median of each distribution of tc-netem(8), in jitters from the mean.
_HALF = float(0.5 ** (-1 / 3))
_MEDIAN = {"pareto": (_HALF - 1.5) * 4 / 3, "paretonormal": _HALF - 1.5}


@dataclass(frozen=True)
class _Context:
    """What settings depend on besides the fault itself: the site, the default queue limit, and the seed."""

    site: Site
    limit: int
    seed: int


def compile_plan(experiment: Experiment, lookups: HostLookups | None = None, classifier: str = "flower") -> Plan:
    """The plan of an experiment.

    On a real interface `lookups` describe it, and its filters use `classifier` (flower or u32). Raises RefusedError
    where the interface cannot be used, or must not be used without permission.
    """
    stage_lookups = StageLookups(lookups, classifier)
    context = _Context(fault_site(experiment, stage_lookups), needed_limit(experiment), experiment.seed)
    changes = tuple(change for name in _used_faults(experiment) for change in _changes(experiment, name, context))
    touched: dict[Knob, Setting] = dict.fromkeys(knob for knob, _ in changes)
    stage_plan = compile_stage(experiment, changes, context.limit, stage_lookups)
    needs = stage_plan.needs
    for name in _used_faults(experiment):
        needs = needs.union(*(part.needs() for part in experiment.faults[name]))
    distinct = {span.name: span for span in experiment.timeline}
    return Plan(
        chaoskit=__version__,
        name=experiment.name,
        question=experiment.question,
        target=stage_plan.target,
        interface=stage_plan.interface,
        topology=stage_plan.topology,
        hosts=stage_plan.hosts,
        folder=stage_plan.folder,
        ip=stage_plan.ip,
        access=stage_plan.access,
        memory=experiment.stage.guest_memory if isinstance(experiment.stage, ServiceStage) else None,
        seed=experiment.seed,
        order=experiment.order,
        needs=needs,
        stage=tuple(PlannedChange(knob=knob, setting=setting) for knob, setting in stage_plan.changes),
        phases=tuple(
            phase for number in range(experiment.repeats) for phase in _round(experiment, number, touched, context)
        ),
        workload=experiment.workload,
        workloads=tuple(_other_workloads(experiment, stage_plan.target)),
        classes=experiment.classes,
        client=experiment.client,
        telemetry=experiment.telemetry,
        evidence=experiment.evidence,
        server=stage_plan.server,
        objectives=experiment.objectives,
        expectations=tuple(_expectation(experiment, span, context, stage_plan.passes) for span in distinct.values()),
        roundings=tuple(_roundings(experiment)),
        warnings=(*_warnings(experiment, context.limit), *stage_plan.warnings),
        remarks=tuple(_remarks(experiment)),
        drain=_drain(experiment),
    )


def _other_workloads(experiment: Experiment, target: str) -> Iterator[PlannedWorkload]:
    """Their streams have numbers of their own, by which the server's records tell them apart."""
    for place, (name, work) in enumerate(experiment.workloads.items(), 1):
        timed = work.requests if isinstance(experiment.stage, EdgeStage) else work.requests.at_target()
        yield PlannedWorkload(
            name=name,
            target=work.target or target,
            workload=timed,
            objectives=work.objectives,
            first=place * MOST_STREAMS,
            traffic_class=work.class_,
        )


def needed_limit(experiment: Experiment) -> int:
    """How many packets the busiest netem holds at once, at least netem's own 1000.

    Rate x delay in frames for a shaped link, or as many token events and prompt segments as the workload sends
    within the longest delay; twice that, for bursts. A real interface may carry other traffic as well: see
    `injection.queue_limit`.
    """
    most = 0
    if isinstance(experiment.stage, InterfaceStage):
        return max((queue_limit(netem) for netem in _netems(experiment)), default=_KERNEL_LIMIT)
    for netem in _netems(experiment):
        reach = (netem.delay + 4 * netem.jitter) / 1e9
        if netem.rate is not None:
            most = max(most, int(netem.rate.rate / 8 * reach / _TOKEN_FRAME))
        else:
            most = max(most, int(_packets_per_second(experiment) * reach))
    return max(_KERNEL_LIMIT, 2 * most)


def _packets_per_second(experiment: Experiment) -> float:
    work, server = experiment.workload, experiment.server
    interval = max(server.token_interval.seconds, 1e-6)
    length = server.first_token.median.seconds + mean_tokens(work) * interval
    starts = (work.max_concurrency or 1) / length
    if work.is_open_loop:
        starts = most_per_second(work, surges(experiment.timeline, 1))
    open_streams = starts * length
    return open_streams / interval + starts * (largest_prompt(work) / _SEGMENT + 4)


def _used_faults(experiment: Experiment) -> list[str]:
    """The faults that the timeline names, in the file's order."""
    named = {fault for span in experiment.timeline for fault in span.faults}
    return [name for name in experiment.faults if name in named]


def _round(
    experiment: Experiment, number: int, touched: dict[Knob, Setting], context: _Context
) -> Iterator[PlannedPhase]:
    """The phases of a round. `touched` is every knob that any phase sets, with None: the setting where it has no fault.

    A fault for good is in force until the end of the round, whatever others ask of its knobs.
    """
    kept: dict[Knob, Setting] = {}
    for span in experiment.round(number):
        parts = [part for fault in span.faults for part in experiment.faults[fault]]
        kept |= dict(
            change
            for part in parts
            if part.is_for_good
            for change in part.changes(context.site, context.limit, context.seed)
        )
        wanted = touched | _settings(experiment, span, context) | kept
        yield PlannedPhase(
            name=span.name,
            round=number,
            faults=span.faults,
            length=span.length,
            changes=tuple(PlannedChange(knob=knob, setting=setting) for knob, setting in wanted.items()),
            pulses=_pulses(touched, context.site),
            ends=tuple(
                (part.lasts, knob)
                for part in parts
                if part.lasts is not None
                for knob, _ in part.changes(context.site, context.limit, context.seed)
                if knob not in kept
            ),
            demand=span.demand,
        )


def _pulses(touched: Iterable[Knob], site: Site) -> tuple[Pulse, ...]:
    if not isinstance(site, Lab) or not any(knob.kind in _PATH_KINDS for knob in touched):
        return ()
    return tuple(Pulse("flush-pmtu", host) for host in site.topology.hosts)


def _settings(experiment: Experiment, span: Span, context: _Context) -> dict[Knob, Setting]:
    return dict(change for fault in span.faults for change in _changes(experiment, fault, context))


def _changes(experiment: Experiment, fault: str, context: _Context) -> Iterator[Change]:
    for part in experiment.faults[fault]:
        yield from part.changes(context.site, context.limit, context.seed)


def _expectation(experiment: Experiment, span: Span, context: _Context, passes: int) -> Expectation:
    netems = {k: s for k, s in _settings(experiment, span, context).items() if isinstance(s, Netem)}
    effects = tuple(_effect(knob, netem) for knob, netem in netems.items())
    on_path = _on_path(experiment, context.site)
    delays = [effect.delay for effect in effects if on_path(effect.knob)]
    known = [delay for delay in delays if delay is not None]
    return Expectation(phase=span.name, effects=effects, rtt=passes * sum(known) if len(known) == len(delays) else None)


def _on_path(experiment: Experiment, site: Site) -> Callable[[Knob], bool]:
    """Whether a queue is on the way between the client and the target."""
    stage = experiment.stage
    if not isinstance(stage, ServiceStage) or not isinstance(site, Lab):
        return lambda _: True
    ends = {CLIENT, *(each.host for each in site.topology.members(stage.target_host))}
    return lambda knob: is_between(site.topology, knob, ends)


def _effect(knob: Knob, netem: Netem) -> ExpectedEffect:
    expected = expected_loss(netem.loss) if netem.loss is not None else (0.0, 0.0)
    share, memory = expected if expected is not None else (None, 1.0)
    if netem.ecn or netem.duplicate:
        share = None
    return ExpectedEffect(knob=knob, loss=share, memory=memory, delay=_typical_delay(netem))


def _typical_delay(netem: Netem) -> int | None:
    """The median delay of a small packet in ns; None where queueing, slots or a custom table decide."""
    if netem.rate or netem.slot or netem.reorder or isinstance(netem.distribution, tuple):
        return None
    off_middle = _MEDIAN.get(netem.distribution or "", 0.0)
    return max(0, round(netem.delay + netem.jitter * off_middle))


def _drain(experiment: Experiment) -> int:
    """The time in which the last stream to start can end: its slowest length, and the longest allowed silence.

    The speed of a foreign server is unknown: it is taken as reading speed after the latest allowed first token.
    """
    server, work = experiment.server, experiment.workload
    wait = max(work.timeouts.first_token, work.timeouts.idle) + work.timeouts.connect
    foreign = Duration(wait + most_tokens(work) * _READER_TOKEN_INTERVAL)
    if isinstance(experiment.stage, InterfaceStage) or not server.is_scripted:
        return foreign
    spread = server.first_token.p99 / max(server.first_token.median, 1)
    slowest = server.first_token.p99 * spread ** (NormalDist().inv_cdf(0.9999) / NormalDist().inv_cdf(0.99) - 1)
    scripted = Duration(int(slowest) + most_tokens(work) * server.token_interval + wait)
    return max(scripted, foreign) if isinstance(experiment.stage, ServiceStage) else scripted


def _netems(experiment: Experiment) -> Iterator[NetemSpec]:
    for parts in experiment.faults.values():
        for part in parts:
            if isinstance(part, NetemFault):
                yield part.netem


def _roundings(experiment: Experiment) -> Iterator[Rounding]:
    for name, parts in experiment.faults.items():
        for part in parts:
            for where, asked, kernel in part.roundings():
                yield Rounding(where=f"faults.{name}.{where}", asked=asked, kernel=kernel)


def _warnings(experiment: Experiment, limit: int) -> Iterator[str]:
    if experiment.order == "interleaved" and experiment.repeats % 2:
        yield f"order: the last round has no reverse one beside it; write repeats: {experiment.repeats + 1}"
    for name, parts in experiment.faults.items():
        for part in parts:
            for sentence in part.warnings():
                yield f"faults.{name}: {sentence}"
            if isinstance(part, NetemFault):
                for sentence in _netem_warnings(part.netem, experiment, limit):
                    yield f"faults.{name}: {sentence}"
            for sentence in part.warnings_within(_longest(experiment, name)):
                yield f"faults.{name}: {sentence}"
        if not any(name in span.faults for span in experiment.timeline):
            yield f"faults.{name}: no phase of the timeline uses it"
    if isinstance(experiment.stage, ServiceStage):
        yield from idle_keys(experiment.stage.hosts, experiment.key_lines)
    yield from too_small_models(experiment)
    if experiment.classes:
        is_foreign = isinstance(experiment.stage, InterfaceStage)
        yield from class_warnings(experiment.classes, experiment.workload.carry.class_place, is_foreign)


def _longest(experiment: Experiment, name: str) -> Duration:
    """The longest time for which a fault stays in force; the longest there is where no phase uses it."""
    runs = groupby(experiment.timeline, lambda span: name in span.faults)
    return Duration(max((sum(span.length for span in spans) for is_used, spans in runs if is_used), default=2**62))


def _remarks(experiment: Experiment) -> Iterator[str]:
    for name, parts in experiment.faults.items():
        for part in parts:
            if isinstance(part, TunnelFault):
                yield f"faults.{name}: {part.arithmetic}"


def _netem_warnings(netem: NetemSpec, experiment: Experiment, limit: int) -> Iterator[str]:
    is_lab = not isinstance(experiment.stage, InterfaceStage)  # elsewhere the traffic is unknown
    interval, connect = experiment.server.token_interval, experiment.workload.timeouts.connect
    if netem.delay >= connect:
        yield (
            f"delay {netem.delay} is not below the client's connect timeout {connect}: "
            "no stream can begin; write a larger timeouts: {connect: ...}"
        )
    if is_lab and netem.limit is not None and netem.limit < limit:
        yield (
            f"limit {netem.limit} is below the {limit} packets that can be in flight here; "
            "the queue's own drops will add to the requested loss"
        )
    if netem.rate is None and 2 * netem.jitter > (interval if is_lab else 0):
        yield (
            f"jitter {netem.jitter} lets {f'tokens {interval} apart' if is_lab else 'packets'} overtake each other "
            "(netem keeps no order), which TCP takes for loss; a rate keeps them in line"
        )
