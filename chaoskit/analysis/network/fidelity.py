"""Checks whether faults were achieved as requested, by the kernel's counters and handshakes.

| promise    | compared with                                      | tolerance                                   |
|------------|----------------------------------------------------|---------------------------------------------|
| loss share | the qdisc's own drops and packets in that phase    | z sqrt(p(1-p)/N (1+m)/(1-m)) + 1/N, z = 3.3 |
| round trip | median RTT of `handshakes`, less the reference's    | a tenth, or 2 ms + 4 jitter / sqrt(n)       |
| the rest   | see `packet_faults`                                |                                             |
| sizes      | see `size_faults`                                  |                                             |
| ended      | see `connection_faults`                            |                                             |
| programs   | see `process_faults`                               |                                             |

m is the lag-1 correlation of the loss process: n packets lost in bursts are fewer than n independent samples. Where
the tolerance is as wide as the promise there are too few packets. A queue that no packet passed had no effect. A round
trip that too few handshakes tell is not measured, and no reason to call the fault another one: its loss is counted.

A real interface receives GSO packets of several segments. Its counters count each segment, but a drop takes a whole
GSO packet, so the share lost lies between that of the segments and that of the fewest GSO packets that so many bytes
can have come in.
"""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from statistics import median
from urllib.parse import urlsplit

from chaoskit.analysis.findings import Direction, Evidence
from chaoskit.analysis.formatting import format_value
from chaoskit.analysis.load import RawRecords
from chaoskit.analysis.network.connection_faults import connection_checks
from chaoskit.analysis.network.connections_seen import SeenConnections
from chaoskit.analysis.network.counter_deltas import CounterDelta, queue_deltas, queue_samples
from chaoskit.analysis.network.handshakes import Handshake, handshakes, round_trips
from chaoskit.analysis.network.host_sizes import host_size_checks
from chaoskit.analysis.network.packet_faults import PacketFault, packet_checks
from chaoskit.analysis.network.process_faults import process_checks
from chaoskit.analysis.network.sender_state import senders
from chaoskit.analysis.network.size_faults import size_checks
from chaoskit.analysis.result import FidelityCheck
from chaoskit.analysis.streams.timeline import Timeline
from chaoskit.knobs import Knob, Netem
from chaoskit.planning.model import Expectation, ExpectedEffect, Plan
from chaoskit.topology.display_names import display_name
from chaoskit.topology.lab import CLIENT
from chaoskit.topology.steering import IFBS
from chaoskit.topology.ways import Way, is_between, one_direction, way_of
from chaoskit.units import counted

_Z = 3.3
_MAX_CORRELATION = 0.999  # keeps the tolerance finite
_CLEAN_IN_REFERENCE = 0.5  # of its handshakes at least: there is no loss, or that of a real path
_MS = 1_000_000
_FULL = 0.95  # of a queue's limit
_MIN_SEGMENT = 1200  # bytes with headers; of a GSO packet all segments but the last are full; no real path has less
_MAX_FRAME = 9216  # bytes; only loopback has a larger MTU, at both ends


def fidelity(plan: Plan, timeline: Timeline, raw: RawRecords, seen: SeenConnections) -> Iterator[FidelityCheck]:
    """One check for each promise of each phase that the run has reached."""
    reached = set(timeline.names)
    delta = queue_deltas(raw.counters, timeline)
    by_phase = handshakes(raw.infos, timeline)
    others = list(size_checks(plan, timeline, raw, delta))
    pairs, everyone = queue_samples(raw.counters, timeline), senders(raw)
    others += [*host_size_checks(plan, timeline, seen)]
    others += [*connection_checks(plan, timeline, pairs), *process_checks(plan, timeline, raw)]
    for expectation in plan.expectations:
        if expectation.phase not in reached:
            continue
        for effect in expectation.effects:
            yield _loss(plan, expectation, effect, delta[expectation.phase, effect.knob])
            netem, sends = _netem(plan, expectation, effect), measured_direction(effect.knob, plan)
            if netem is not None:
                yield from packet_checks(
                    PacketFault(
                        expectation.phase,
                        display_name(effect.knob, plan.lab),
                        netem,
                        pairs[expectation.phase, effect.knob],
                        [sender for sender in everyone if sender.direction == sends],
                        [span for span in timeline.spans if span.name == expectation.phase],
                    )
                )
        yield from (each for each in others if each.phase == expectation.phase)
        if expectation.effects and expectation.phase != plan.reference:
            aside = tuple(effect for effect in expectation.effects if not _is_on_path(plan, effect.knob))
            if len(aside) < len(expectation.effects):
                on_path = tuple(effect for effect in expectation.effects if effect not in aside)
                yield _round_trip(plan, expectation.model_copy(update={"effects": on_path}), by_phase, delta)
            if any(effect.delay != 0 for effect in aside):
                yield _delay_aside(plan, expectation.phase, aside)


def _is_on_path(plan: Plan, knob: Knob) -> bool:
    """Whether the client's handshakes with the target pass this queue."""
    return not plan.hosts or is_between(plan.topology, knob, (CLIENT, *_target_hosts(plan)))


def _target_hosts(plan: Plan) -> tuple[str, ...]:
    return tuple(each.host for each in plan.topology.members(urlsplit(plan.target).hostname or ""))


def _delay_aside(plan: Plan, phase: str, effects: Sequence[ExpectedEffect]) -> FidelityCheck:
    """A delay between other hosts, whose handshakes nobody measures."""
    trips: dict[frozenset[str | None], int] = defaultdict(int)
    for effect in effects:
        way = way_of(plan.topology, effect.knob) or Way()
        trips[frozenset({way.to, way.from_})] += effect.delay or 0
    is_known = all(effect.delay is not None for effect in effects)
    return FidelityCheck(
        phase=phase,
        kind="round-trip",
        where=" and ".join(dict.fromkeys(display_name(effect.knob, plan.lab) for effect in effects)),
        unit="ms",
        requested=max(trips.values()) / _MS if is_known else None,  # of replicas, of one
        measured=None,
        tolerance=0,
        samples=0,
        verdict="not-measured",
        remark="no handshake with the target takes this way",
        evidence=Evidence(file="tcp_info.jsonl", count=0),
    )


def measured_direction(knob: Knob, plan: Plan) -> Direction | None:
    """Whose packets a qdisc delays: those of the senders in this direction; None where no sender is measured.

    In a service lab that is the client alone: connections of the servers may lead to other hosts.
    """
    if plan.lab is None:
        return next((direction for direction, ifb in IFBS.items() if ifb == knob.name), None)
    way = way_of(plan.lab, knob)
    if way is None or (plan.hosts and way != Way(from_=CLIENT)):
        return None
    return one_direction(way)


def _loss(plan: Plan, expectation: Expectation, effect: ExpectedEffect, delta: CounterDelta) -> FidelityCheck:
    share = delta.drops / delta.offered if delta.offered else None
    tolerance = _tolerance(effect, delta.offered)
    verdict, remark = "achieved", ""
    if not delta.samples:
        verdict, remark = "too-few-packets", "no counters were recorded"
    elif share is None:
        verdict, remark = "not-achieved", "no packet passed"
    elif effect.loss is None:
        verdict, remark = "not-measured", _no_fixed_share(_netem(plan, expectation, effect), share)
    elif abs(share - effect.loss) > tolerance:
        max_share = delta.drops / min_packets(plan, delta)
        if share < effect.loss <= max_share + tolerance:
            verdict, remark = "too-few-packets", f"of GSO packets it may be up to {max_share:.2%}"
        else:
            verdict, remark = "not-achieved", _why(share > effect.loss, delta, _netem(plan, expectation, effect))
    elif effect.loss and tolerance >= effect.loss:
        verdict, remark = "too-few-packets", "so rare a loss needs more packets"
    return FidelityCheck(
        phase=expectation.phase,
        kind="loss",
        where=display_name(effect.knob, plan.lab),
        unit="share",
        requested=effect.loss,
        measured=share,
        tolerance=tolerance,
        samples=delta.offered,
        verdict=verdict,
        remark=remark,
        evidence=Evidence(file="counters.jsonl", count=delta.samples),
    )


def min_packets(plan: Plan, delta: CounterDelta) -> int:
    """The fewest GSO packets that the offered segments can have come in: in a lab, each packet is one."""
    if plan.interface is None:
        return delta.offered
    mtu = plan.interface.mtu
    segment = _MIN_SEGMENT if mtu <= _MAX_FRAME else mtu // 2
    return max(delta.drops, 1, delta.offered - delta.bytes // segment)


def _tolerance(effect: ExpectedEffect, count: int) -> float:
    if effect.loss is None or not count:
        return 0.0
    correlation = min(max(effect.memory, -_MAX_CORRELATION), _MAX_CORRELATION)
    variance = effect.loss * (1 - effect.loss) / count * (1 + correlation) / (1 - correlation)
    return _Z * math.sqrt(variance) + 1 / count


def _no_fixed_share(netem: Netem | None, share: float) -> str:
    """Why no share of loss is expected, and which was seen."""
    seen = f"{format_value(share, 'share')} was dropped"
    if netem is not None and netem.duplicate:
        return f"what is duplicated and lost counts as neither; {seen}"
    if netem is not None and netem.ecn:
        return f"marks take the place of losses; {seen}"
    return f"its share depends on how long it lasts, or is not what it says; {seen}"


def _why(is_above: bool, delta: CounterDelta, netem: Netem | None) -> str:
    if not is_above:
        return "fewer packets lost than requested"
    if netem is not None and delta.max_backlog >= _FULL * netem.limit:
        return f"the queue overflowed: its limit is {counted(netem.limit, 'packet')}"
    return "more packets lost than requested: by a rare draw of this seed, a queue that overflowed, or something else"


def _round_trip(
    plan: Plan,
    expectation: Expectation,
    by_phase: Mapping[str, Sequence[Handshake]],
    delta: Mapping[tuple[str, Knob], CounterDelta],
) -> FidelityCheck:
    server = (urlsplit(plan.target).hostname or "") if plan.hosts else "server"
    where = f"client to {server} and back" if plan.interface is None else "to the target and back"
    if expectation.rtt is None:
        return FidelityCheck(
            phase=expectation.phase,
            kind="round-trip",
            where=where,
            unit="ms",
            requested=None,
            measured=None,
            tolerance=0,
            samples=0,
            verdict="not-measured",
            remark="with a rate, slots, reordering or a table it depends on the traffic",
            evidence=Evidence(file="tcp_info.jsonl", count=len(by_phase.get(expectation.phase, []))),
        )
    here, base = by_phase.get(expectation.phase, []), by_phase.get(plan.reference, [])
    requested = expectation.rtt - next((p.rtt or 0 for p in plan.expectations if p.phase == plan.reference), 0)
    jitter = sum(netem.jitter for effect in expectation.effects if (netem := _netem(plan, expectation, effect)))
    before = round_trips(base, 0, _CLEAN_IN_REFERENCE, 0.0)
    around = median(before.rtts) if before.rtts else 0
    lost = [_share_lost(delta[expectation.phase, effect.knob], effect) for effect in expectation.effects]
    now = round_trips(
        here,
        around + requested + 4 * jitter,
        math.prod(1 - share for share in lost),
        max(min(max(effect.memory, 0.0), _MAX_CORRELATION) for effect in expectation.effects),
    )
    count = min(len(now.rtts), len(before.rtts))
    tolerance = max(abs(requested) / 10, 2 * _MS + (4 * jitter / math.sqrt(count) if count else 0))
    added = median(now.rtts) - around if count else None
    verdict, remark = "achieved", ""
    if added is None:
        verdict, remark = "not-measured", now.missing or f"{plan.reference}: {before.missing}"
    elif abs(added - requested) > tolerance:
        verdict, remark = "not-achieved", "the round trip is not the requested one"
    return FidelityCheck(
        phase=expectation.phase,
        kind="round-trip",
        where=where,
        unit="ms",
        requested=requested / _MS,
        measured=added / _MS if added is not None else None,
        tolerance=tolerance / _MS,
        samples=len(now.rtts),
        verdict=verdict,
        remark=remark,
        evidence=Evidence(file="tcp_info.jsonl", count=len(here) + len(base)),
    )


def _share_lost(delta: CounterDelta, effect: ExpectedEffect) -> float:
    """As the qdisc counted it, else as requested."""
    return delta.drops / delta.offered if delta.offered else effect.loss or 0.0


def _netem(plan: Plan, expectation: Expectation, effect: ExpectedEffect) -> Netem | None:
    for phase in plan.phases:
        for change in phase.changes:
            if phase.name == expectation.phase and change.knob == effect.knob and isinstance(change.setting, Netem):
                return change.setting
    return None
