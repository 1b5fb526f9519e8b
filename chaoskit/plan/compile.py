"""From an experiment to its plan. Pure: looks at no machine, and gives the same plan every time.

Every phase decides every knob that any phase touches, so that a phase's state never depends on what came
before it.
"""

from __future__ import annotations

from collections.abc import Iterator
from statistics import NormalDist

from chaoskit import __version__
from chaoskit.faults.losses import expectation
from chaoskit.faults.netem import NetemFault, NetemWords
from chaoskit.knobs import Knob, Netem, Setting
from chaoskit.plan.model import (
    Effect,
    Plan,
    PlannedChange,
    PlannedPhase,
    Promise,
    Rounding,
)
from chaoskit.spec.model import Experiment, Span
from chaoskit.topology import edge
from chaoskit.units import Duration

PORT = 8000
_KERNEL_LIMIT = 1000  # netem's own default, in packets
_PACKET = 1514  # bytes of a full frame
_EVENT = 400  # bytes of a frame that carries one token
_SEGMENT = 1448  # bytes of payload in a full frame
# Where half of the delays lie below, in jitters off the middle; the tables of tc-netem(8).
_HALF = float(0.5 ** (-1 / 3))
_MEDIAN = {"pareto": (_HALF - 1.5) * 4 / 3, "paretonormal": _HALF - 1.5}


def compile_plan(experiment: Experiment) -> Plan:
    """The plan of an experiment."""
    touched = _touched(experiment)
    shaped = frozenset(knob for knob in touched if knob.kind == "qdisc")
    limit = needed_limit(experiment)
    needs = edge.needs(shaped)
    for parts in experiment.faults.values():
        needs = needs.union(*(part.needs() for part in parts))
    distinct = {span.name: span for span in experiment.timeline}
    return Plan(
        chaoskit=__version__,
        name=experiment.name,
        question=experiment.question,
        target=_target(experiment),
        seed=experiment.seed,
        needs=needs,
        stage=tuple(PlannedChange(knob=knob, setting=setting) for knob, setting in edge.build(shaped)),
        phases=tuple(
            _phase(experiment, span, number, touched, limit)
            for number in range(experiment.repeats)
            for span in experiment.timeline
        ),
        workload=experiment.workload,
        server=experiment.server,
        objectives=experiment.objectives,
        promises=tuple(_promise(experiment, span, limit) for span in distinct.values()),
        roundings=tuple(_roundings(experiment)),
        warnings=tuple(_warnings(experiment, limit)),
        drain=_drain(experiment),
    )


def needed_limit(experiment: Experiment) -> int:
    """How many packets the busiest netem holds at once, at least netem's own 1000.

    Rate x delay in full frames for a shaped link, or as many token events and prompt segments as the
    workload can have on their way within the longest delay; twice that, for bursts.
    """
    most = 0
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


def _target(experiment: Experiment) -> str:
    host = edge.SERVER_V4 if experiment.stage.ip == "4" else f"[{edge.SERVER_V6}]"
    return f"http://{host}:{PORT}"


def _touched(experiment: Experiment) -> dict[Knob, Setting]:
    """Every knob that a phase may set, and what it holds in a phase without a fault on it."""
    used = {fault for span in experiment.timeline for fault in span.faults}
    knobs = (
        knob for name in experiment.faults if name in used for part in experiment.faults[name] for knob in part.knobs()
    )
    return dict.fromkeys(knobs)


def _phase(experiment: Experiment, span: Span, number: int, touched: dict[Knob, Setting], limit: int) -> PlannedPhase:
    wanted = touched | _settings(experiment, span, limit)
    return PlannedPhase(
        name=span.name,
        round=number,
        faults=span.faults,
        length=span.length,
        changes=tuple(PlannedChange(knob=knob, setting=setting) for knob, setting in wanted.items()),
    )


def _settings(experiment: Experiment, span: Span, limit: int) -> dict[Knob, Setting]:
    return {
        knob: setting
        for fault in span.faults
        for part in experiment.faults[fault]
        for knob, setting in part.changes(limit, experiment.seed)
    }


def _promise(experiment: Experiment, span: Span, limit: int) -> Promise:
    netems = {k: s for k, s in _settings(experiment, span, limit).items() if isinstance(s, Netem)}
    effects = tuple(_effect(knob, netem) for knob, netem in netems.items())
    delays = [effect.delay for effect in effects]
    known = [delay for delay in delays if delay is not None]
    return Promise(phase=span.name, effects=effects, rtt=sum(known) if len(known) == len(delays) else None)


def _effect(knob: Knob, netem: Netem) -> Effect:
    counted = netem.loss is not None and not netem.ecn and not netem.duplicate
    expected = expectation(netem.loss) if counted and netem.loss is not None else None
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
    """Time for a stream that starts last to end: its own length at its slowest, and one longest silence."""
    server, work = experiment.server, experiment.workload
    spread = server.first_token.p99 / max(server.first_token.median, 1)
    slowest = server.first_token.p99 * spread ** (NormalDist().inv_cdf(0.9999) / NormalDist().inv_cdf(0.99) - 1)
    wait = max(work.timeouts.first_token, work.timeouts.idle) + work.timeouts.connect
    return Duration(int(slowest) + work.output_tokens * server.token_interval + wait)


def _netems(experiment: Experiment) -> Iterator[NetemWords]:
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


def _misfits(netem: NetemWords, experiment: Experiment, limit: int) -> Iterator[str]:
    if netem.limit is not None and netem.limit < limit:
        yield (
            f"limit {netem.limit} is below the {limit} packets that can be on their way here; "
            "the queue's own drops will add to the loss that was asked for"
        )
    if 2 * netem.jitter > experiment.server.token_interval and netem.rate is None:
        yield (
            f"jitter {netem.jitter} lets tokens {experiment.server.token_interval} apart overtake each other "
            "(netem keeps no order), which TCP takes for loss; a rate keeps them in line"
        )
