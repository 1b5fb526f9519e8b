"""From an experiment to its plan. Pure: looks at no machine, and gives the same plan every time.

Every phase decides every knob that any phase touches, so that a phase's state never depends on what came
before it. Where a phase changes what a path takes, the lab's hosts also forget what they have learned of it.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from statistics import NormalDist

from chaoskit import __version__
from chaoskit.faults.loss_models import expected_loss
from chaoskit.faults.netem import NetemFault, NetemSpec
from chaoskit.faults.tunnel import TunnelFault
from chaoskit.host_lookups import HostLookups
from chaoskit.knobs import Change, Knob, Netem, Pulse, Setting
from chaoskit.plan.injection import queue
from chaoskit.plan.model import (
    Effect,
    Plan,
    PlannedChange,
    PlannedPhase,
    Promise,
    Rounding,
)
from chaoskit.plan.stage import StageLookups, lay_out, site_of
from chaoskit.spec.experiment import Experiment, Span
from chaoskit.spec.stage import InterfaceStage
from chaoskit.topology.fault_site import Lab, Site
from chaoskit.units import Duration

_KERNEL_LIMIT = 1000  # netem's own default, in packets
_PACKET = 1514  # bytes of a full frame
_EVENT = 400  # bytes of a frame that carries one token
_SEGMENT = 1448  # bytes of payload in a full frame
_OF_PATHS = ("mtu", "route")  # the kinds of knobs that decide what a path takes
_READING = 50_000_000  # ns that a reader takes for a token
# Where half of the delays lie below, in jitters off the middle; the tables of tc-netem(8).
_HALF = float(0.5 ** (-1 / 3))
_MEDIAN = {"pareto": (_HALF - 1.5) * 4 / 3, "paretonormal": _HALF - 1.5}


@dataclass(frozen=True)
class _Terms:
    """What settings depend on besides the words of a fault: where it is, the room of a queue, and chance."""

    site: Site
    limit: int
    seed: int


def compile_plan(experiment: Experiment, ground: HostLookups | None = None, classifier: str = "flower") -> Plan:
    """The plan of an experiment.

    On a real interface `ground` is what was looked up of it, and its filters are of the kind `classifier`
    (flower or u32). Raises RefusedError where that interface cannot, or must not, be worked on.
    """
    looked = StageLookups(ground, classifier)
    terms = _Terms(site_of(experiment, looked), needed_limit(experiment), experiment.seed)
    changes = tuple(change for name in _used(experiment) for change in _changes(experiment, name, terms))
    touched: dict[Knob, Setting] = dict.fromkeys(knob for knob, _ in changes)
    scene = lay_out(experiment, changes, terms.limit, looked)
    needs = scene.needs
    for name in _used(experiment):
        needs = needs.union(*(part.needs() for part in experiment.faults[name]))
    distinct = {span.name: span for span in experiment.timeline}
    return Plan(
        chaoskit=__version__,
        name=experiment.name,
        question=experiment.question,
        target=scene.target,
        interface=scene.interface,
        seed=experiment.seed,
        needs=needs,
        stage=tuple(PlannedChange(knob=knob, setting=setting) for knob, setting in scene.changes),
        phases=tuple(
            _phase(experiment, span, number, touched, terms)
            for number in range(experiment.repeats)
            for span in experiment.timeline
        ),
        workload=experiment.workload,
        client=experiment.client,
        server=None if scene.interface else experiment.server,
        objectives=experiment.objectives,
        promises=tuple(_promise(experiment, span, terms, scene.passes) for span in distinct.values()),
        roundings=tuple(_roundings(experiment)),
        warnings=(*_warnings(experiment, terms.limit), *scene.warnings),
        remarks=tuple(_remarks(experiment)),
        drain=_drain(experiment),
    )


def needed_limit(experiment: Experiment) -> int:
    """How many packets the busiest netem holds at once, at least netem's own 1000.

    Rate x delay in full frames for a shaped link, or as many token events and prompt segments as the
    workload can have on their way within the longest delay; twice that, for bursts. On a real interface others
    may speak as well: see `injection.queue`.
    """
    most = 0
    if isinstance(experiment.stage, InterfaceStage):
        return max((queue(netem) for netem in _netems(experiment)), default=_KERNEL_LIMIT)
    for netem in _netems(experiment):
        reach = (netem.delay + 4 * netem.jitter) / 1e9
        if netem.rate is not None:
            most = max(most, int(netem.rate.rate / 8 * reach / _EVENT))
        else:
            most = max(most, int(_packets_per_second(experiment) * reach))
    return max(_KERNEL_LIMIT, 2 * most)


def _packets_per_second(experiment: Experiment) -> float:
    work, server = experiment.workload, experiment.server
    interval = max(server.token_interval.seconds, 1e-6)
    length = server.first_token.median.seconds + work.output_tokens * interval
    starts = work.request_rate.per_second if work.request_rate else (work.max_concurrency or 1) / length
    open_streams = starts * length
    return open_streams / interval + starts * (work.prompt_size / _SEGMENT + 4)


def _used(experiment: Experiment) -> list[str]:
    """The faults that the timeline names, in the file's order."""
    named = {fault for span in experiment.timeline for fault in span.faults}
    return [name for name in experiment.faults if name in named]


def _phase(
    experiment: Experiment, span: Span, number: int, touched: dict[Knob, Setting], terms: _Terms
) -> PlannedPhase:
    """`touched` is every knob that a phase may set: None, where this one has no fault on it."""
    wanted = touched | _settings(experiment, span, terms)
    return PlannedPhase(
        name=span.name,
        round=number,
        faults=span.faults,
        length=span.length,
        changes=tuple(PlannedChange(knob=knob, setting=setting) for knob, setting in wanted.items()),
        pulses=_pulses(touched, terms.site),
    )


def _pulses(touched: Iterable[Knob], site: Site) -> tuple[Pulse, ...]:
    if not isinstance(site, Lab) or not any(knob.kind in _OF_PATHS for knob in touched):
        return ()
    return (Pulse("forget-paths", "client"), Pulse("forget-paths", "server"))


def _settings(experiment: Experiment, span: Span, terms: _Terms) -> dict[Knob, Setting]:
    return dict(change for fault in span.faults for change in _changes(experiment, fault, terms))


def _changes(experiment: Experiment, fault: str, terms: _Terms) -> Iterator[Change]:
    for part in experiment.faults[fault]:
        yield from part.changes(terms.site, terms.limit, terms.seed)


def _promise(experiment: Experiment, span: Span, terms: _Terms, passes: int) -> Promise:
    netems = {k: s for k, s in _settings(experiment, span, terms).items() if isinstance(s, Netem)}
    effects = tuple(_effect(knob, netem) for knob, netem in netems.items())
    delays = [effect.delay for effect in effects]
    known = [delay for delay in delays if delay is not None]
    return Promise(phase=span.name, effects=effects, rtt=passes * sum(known) if len(known) == len(delays) else None)


def _effect(knob: Knob, netem: Netem) -> Effect:
    counted = netem.loss is not None and not netem.ecn and not netem.duplicate
    expected = expected_loss(netem.loss) if counted and netem.loss is not None else None
    share, memory = expected if expected is not None else (None, 0.0)
    if netem.loss is None and not netem.duplicate:
        share = 0.0
    return Effect(knob=knob, loss=share, memory=memory, delay=_typical_delay(netem))


def _typical_delay(netem: Netem) -> int | None:
    """The median delay of a small packet in ns; None where queueing, slots or a custom table decide."""
    if netem.rate or netem.slot or netem.reorder or isinstance(netem.distribution, tuple):
        return None
    off_middle = _MEDIAN.get(netem.distribution or "", 0.0)
    return max(0, round(netem.delay + netem.jitter * off_middle))


def _drain(experiment: Experiment) -> int:
    """Time for a stream that starts last to end: its own length at its slowest, and one longest silence.

    Nobody knows how slow a foreign server is: as slow as people read, and its first token at the last moment.
    """
    server, work = experiment.server, experiment.workload
    wait = max(work.timeouts.first_token, work.timeouts.idle) + work.timeouts.connect
    if isinstance(experiment.stage, InterfaceStage):
        return Duration(wait + work.output_tokens * _READING)
    spread = server.first_token.p99 / max(server.first_token.median, 1)
    slowest = server.first_token.p99 * spread ** (NormalDist().inv_cdf(0.9999) / NormalDist().inv_cdf(0.99) - 1)
    return Duration(int(slowest) + work.output_tokens * server.token_interval + wait)


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
    for name, parts in experiment.faults.items():
        for part in parts:
            for sentence in part.warnings():
                yield f"faults.{name}: {sentence}"
            if isinstance(part, NetemFault):
                for sentence in _misfits(part.netem, experiment, limit):
                    yield f"faults.{name}: {sentence}"
        if not any(name in span.faults for span in experiment.timeline):
            yield f"faults.{name}: no phase of the timeline uses it"


def _remarks(experiment: Experiment) -> Iterator[str]:
    for name, parts in experiment.faults.items():
        for part in parts:
            if isinstance(part, TunnelFault):
                yield f"faults.{name}: {part.arithmetic}"


def _misfits(netem: NetemSpec, experiment: Experiment, limit: int) -> Iterator[str]:
    is_lab = not isinstance(experiment.stage, InterfaceStage)  # elsewhere nobody knows how much comes how fast
    interval = experiment.server.token_interval
    if is_lab and netem.limit is not None and netem.limit < limit:
        yield (
            f"limit {netem.limit} is below the {limit} packets that can be on their way here; "
            "the queue's own drops will add to the loss that was asked for"
        )
    if netem.rate is None and 2 * netem.jitter > (interval if is_lab else 0):
        yield (
            f"jitter {netem.jitter} lets {f'tokens {interval} apart' if is_lab else 'packets'} overtake each other "
            "(netem keeps no order), which TCP takes for loss; a rate keeps them in line"
        )
