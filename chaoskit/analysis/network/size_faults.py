"""Checks whether faults by packet size were achieved, by counters and sockets.

| fault                     | compared with                                                                           |
|---------------------------|-----------------------------------------------------------------------------------------|
| size drop                 | the filter's own count of dropped packets                                               |
| smaller path MTU          | the router's counts of packets too big to forward, and of ICMP errors that it generated |
| ICMP errors are dropped   | the filter's own count                                                                  |
| MSS clamp                 | the MSS of all connections that were made in the phase, at both ends                    |
| smaller link MTU          | the path MTU of sockets at that end; at the router's end, the router's counts           |
| one smaller end of a link | also the link's own count of packets too long to receive                                |

A fault that affected a packet is achieved. Where no packet was long enough the fault was not exercised, which is no
failure. In a lab it is a failure where a longer packet arrived all the same, by the receiver's `rcv_mss`, which is the
size of a segment that has arrived.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from chaoskit.analysis.findings import Evidence
from chaoskit.analysis.load import RawRecords
from chaoskit.analysis.network.counter_deltas import CounterDelta, router_deltas
from chaoskit.analysis.network.sender_state import TcpInfoSample, senders, timestamp_bytes
from chaoskit.analysis.result import FidelityCheck, FidelityKind, FidelityVerdict
from chaoskit.analysis.streams.timeline import Timeline
from chaoskit.counters import HopCounters
from chaoskit.knobs import Clamp, Filter, Knob, Mtu, Route, Setting
from chaoskit.planning.model import Plan
from chaoskit.records.jsonl import FILES
from chaoskit.records.model import Counters, Hop, TcpInfo
from chaoskit.topology.display_names import display_name
from chaoskit.topology.lab import EDGE
from chaoskit.topology.lab_build import LINK_MTU, VLAN_TAG
from chaoskit.topology.steering import OneDirection, filter_direction
from chaoskit.topology.ways import drops_too_big, may_send_too_big, one_direction, other_end, way_of

_HEADERS = {4: 40, 6: 60}  # bytes of IP and TCP, without options
_FROM: dict[OneDirection, str] = {"up": "client", "down": "server"}


class _Judged(NamedTuple):
    verdict: FidelityVerdict = "achieved"
    remark: str = ""


_UNCOUNTED = _Judged("too-few-packets", "no counters were recorded")
_OTHER_DIRECTION = _Judged("not-exercised", "all were for the other direction")


class _Count(NamedTuple):
    """How many of how many, and the records it is taken from."""

    hit: int
    of: int
    evidence: Evidence


@dataclass(frozen=True)
class _Connection:
    """One end's view of a connection that was opened and sampled while the phase's faults were in force."""

    end: str
    samples: tuple[TcpInfoSample, ...]


@dataclass(frozen=True)
class _Phase:
    """The counters and connections of all rounds of a phase; `routers` are the counters of those that have some."""

    name: str
    plan: Plan
    settings: Mapping[Knob, Setting]
    connections: Sequence[_Connection]
    deltas: Mapping[tuple[str, Knob], CounterDelta]
    routers: Mapping[str, HopCounters]

    def named(self, knob: Knob) -> str:
        """The knob's place, for people."""
        return display_name(knob, self.plan.lab)

    def direction(self, knob: Knob) -> OneDirection:
        """Whose packets a filter drops, or are too long for a route or an MTU: those away from the client, or those
        towards it."""
        if self.plan.lab is None:
            return filter_direction(knob)
        way = way_of(self.plan.lab, knob)
        return "down" if way is None else one_direction(way)

    def received_direction(self, knob: Knob) -> OneDirection:
        """Which direction's packets this end of a link receives."""
        return "up" if self.direction(knob) == "down" else "down"


def size_checks(
    plan: Plan, timeline: Timeline, raw: RawRecords, deltas: Mapping[tuple[str, Knob], CounterDelta]
) -> Iterator[FidelityCheck]:
    """The checks of every phase that the run has reached."""
    routers, connections = router_deltas(raw.hops, timeline), _new_connections(raw, timeline)
    changes = {phase.name: phase.changes for phase in plan.phases}
    for name in timeline.names:
        settings = {change.knob: change.setting for change in changes.get(name, ()) if change.setting is not None}
        here = {router: counters for (phase, router), counters in routers.items() if phase == name}
        phase = _Phase(name, plan, settings, connections[name], deltas, here)
        yield from _size_drops(phase)
        yield from _link_cuts(phase)
        yield from _too_long_to_receive(phase)
        for router in plan.topology.routers:
            yield from _router_limits(phase, router)
        if not plan.hosts:  # there the sockets of all hosts tell: `host_sizes`
            yield from _socket_sizes(phase)


def _new_connections(raw: RawRecords, timeline: Timeline) -> Mapping[str, Sequence[_Connection]]:
    """New connections by phase name, without those with an unrecorded stream: they may be older than they seem."""
    found: dict[str, list[_Connection]] = defaultdict(list)
    started = {request.stream: request.started for request in raw.requests}
    for sender in senders(raw):
        if not started.keys() >= set(sender.streams):
            continue
        begin = min(started[stream] for stream in sender.streams)
        span = timeline.span_at(begin)
        samples = tuple(sample for sample in sender.samples if timeline.span_at(sample.at) is span)
        if begin >= span.ready and samples:
            found[span.name].append(_Connection(_FROM[sender.direction], samples))
    return found


def _size_drops(phase: _Phase) -> Iterator[FidelityCheck]:
    """What filters dropped for its size, place by place."""
    drops: dict[str, dict[Knob, int]] = defaultdict(dict)
    for knob, setting in phase.settings.items():
        if isinstance(setting, Filter) and setting.over:
            drops[phase.named(knob)][knob] = setting.over
    for place, limits in drops.items():
        count = _dropped(phase, list(limits))
        judged = _by_size(phase, count, {phase.direction(knob): limit for knob, limit in limits.items()})
        if count.hit and phase.plan.interface is not None:
            judged = _Judged(remark="a whole GSO packet counts as one")
        yield _count_check(phase, "oversized", place, count, judged)


def _link_cuts(phase: _Phase) -> Iterator[FidelityCheck]:
    """What was lost on links that were cut, place by place."""
    cuts: dict[str, list[Knob]] = defaultdict(list)
    for knob, setting in phase.settings.items():
        if isinstance(setting, Filter) and not setting.over and setting.redirect_to is None and not drops_too_big(knob):
            cuts[phase.named(knob)].append(knob)
    for place, knobs in cuts.items():
        count = _dropped(phase, knobs)
        judged = _Judged() if count.hit else _Judged("not-exercised", "no packet came")
        yield _count_check(phase, "lost", place, count, judged if count.evidence.count else _UNCOUNTED)


def _too_long_to_receive(phase: _Phase) -> Iterator[FidelityCheck]:
    """What was too long for the smaller end of a link whose MTUs differ."""
    links = {knob for knob, setting in phase.settings.items() if isinstance(setting, Mtu) and knob.place}
    others = {knob: other_end(phase.plan.topology, knob) for knob in links}
    for knob in sorted(links | set(others.values()), key=phase.named):
        size = _size(phase.settings.get(knob))
        if size < _size(phase.settings.get(other_end(phase.plan.topology, knob))):
            count = _dropped(phase, [knob])
            judged = _by_size(phase, count, {phase.received_direction(knob): size + VLAN_TAG})
            yield _count_check(phase, "oversized", phase.named(knob), count, judged)


def _dropped(phase: _Phase, knobs: Sequence[Knob]) -> _Count:
    counts = [phase.deltas[phase.name, knob] for knob in knobs if (phase.name, knob) in phase.deltas]
    return _Count(
        sum(each.drops for each in counts),
        sum(each.offered for each in counts),
        Evidence(file=FILES[Counters], count=sum(each.samples for each in counts)),
    )


def _by_size(phase: _Phase, count: _Count, limits: Mapping[OneDirection, int]) -> _Judged:
    if not count.evidence.count:
        return _UNCOUNTED
    if count.hit:
        return _Judged()
    if not count.of:
        return _Judged("not-achieved", "no packet passed")
    for direction, limit in limits.items():
        longest = _longest_arrived(phase, direction)
        if longest > limit:
            return _Judged("not-achieved", f"packets of {longest} bytes passed {direction}")
    return _Judged("not-exercised", f"no packet was longer than {min(limits.values())} bytes")


def _longest_arrived(phase: _Phase, direction: OneDirection) -> int:
    """The longest packet of the probe that is known to have passed the lab; 0 when none is."""
    if phase.plan.lab != EDGE:
        return 0  # a filter there may be for other traffic
    headers = _HEADERS[6 if "[" in phase.plan.target else 4]
    samples = [
        sample
        for connection in phase.connections
        if connection.end != _FROM[direction]
        for sample in connection.samples
    ]
    return max(
        (sample.fields.get("rcv_mss", 0) + headers + timestamp_bytes(sample.fields) for sample in samples), default=0
    )


def _router_limits(phase: _Phase, router: str) -> Iterator[FidelityCheck]:
    """What the router could not forward, and what happened to its ICMP errors."""
    limits: dict[OneDirection, int] = {}
    for knob, setting in phase.settings.items():
        is_here = knob.place == router and may_send_too_big(phase.plan.topology, knob)
        size = _size(setting) if is_here else LINK_MTU
        if size < LINK_MTU:
            limits[phase.direction(knob)] = min(size, limits.get(phase.direction(knob), size))
    if not limits:
        return
    where, known = f"the {router}", phase.routers.get(router)
    seen = known or HopCounters(0, 0, 0)
    evidence = Evidence(file=FILES[Hop], count=0 if known is None else 1)
    count = _Count(seen.too_big, seen.received, evidence)
    yield _count_check(phase, "oversized", where, count, _by_size(phase, count, limits))
    if not seen.too_big:
        return
    icmp_drops: dict[str, list[Knob]] = defaultdict(list)
    for knob, setting in phase.settings.items():
        if isinstance(setting, Filter) and knob.place == router and drops_too_big(knob):
            icmp_drops[phase.named(knob)].append(knob)
    lost = {place: _dropped(phase, knobs)._replace(of=seen.icmp_too_big) for place, knobs in icmp_drops.items()}
    total, are_all_dropped = sum(each.hit for each in lost.values()), len(icmp_drops) >= len(limits)
    for place, each in lost.items():
        yield _count_check(phase, "icmp-lost", place, each, _judge_icmp_lost(each.hit, total, are_all_dropped))
    if not are_all_dropped:
        sent = _Count(seen.icmp_too_big - total, seen.too_big, evidence)
        yield _count_check(phase, "icmp-sent", where, sent, _judge_icmp_sent(sent.hit, seen.icmp_too_big))


def _size(setting: Setting | None) -> int:
    match setting:
        case Route(mtu=size) | Mtu(size) if size:
            return size
        case _:
            return LINK_MTU


def _judge_icmp_lost(lost: int, total: int, are_all_dropped: bool) -> _Judged:
    if lost:
        return _Judged()
    return _OTHER_DIRECTION if total or not are_all_dropped else _Judged("not-achieved", "no ICMP error was dropped")


def _judge_icmp_sent(sent: int, signals: int) -> _Judged:
    if sent > 0:
        return _Judged()
    return _OTHER_DIRECTION if signals else _Judged("not-achieved", "no ICMP error was generated")


def _socket_sizes(phase: _Phase) -> Iterator[FidelityCheck]:
    for knob, setting in phase.settings.items():
        match setting:
            case Clamp(mss, of) if of is None or phase.plan.lab is None:
                sizes = [
                    connection.samples[0].snd_mss + timestamp_bytes(connection.samples[0].fields)
                    for connection in phase.connections
                ]
                yield _size_check(phase, "mss", phase.named(knob), mss, sizes)
            case Mtu(size) if not may_send_too_big(phase.plan.topology, knob):
                here = [connection for connection in phase.connections if connection.end == (knob.place or "client")]
                yield _size_check(
                    phase,
                    "mtu",
                    phase.named(knob),
                    size,
                    [max(sample.pmtu for sample in connection.samples) for connection in here],
                )
            case _:
                pass


def _size_check(phase: _Phase, kind: FidelityKind, place: str, requested: int, sizes: Sequence[int]) -> FidelityCheck:
    judged = _Judged()
    if not sizes:
        judged = _Judged("too-few-packets", "no connection of this phase was sampled")
    elif max(sizes) > requested:
        judged = _Judged("not-achieved", f"{sum(size > requested for size in sizes)} of {len(sizes)} exceed it")
    return FidelityCheck(
        phase=phase.name,
        kind=kind,
        where=place,
        unit="bytes",
        requested=requested,
        measured=max(sizes, default=None),
        tolerance=0,
        samples=len(sizes),
        verdict=judged.verdict,
        remark=judged.remark,
        evidence=Evidence(file=FILES[TcpInfo], count=len(sizes)),
    )


def _count_check(phase: _Phase, kind: FidelityKind, place: str, count: _Count, judged: _Judged) -> FidelityCheck:
    return FidelityCheck(
        phase=phase.name,
        kind=kind,
        where=place,
        unit="count",
        requested=None,
        measured=count.hit if count.evidence.count else None,
        tolerance=0,
        samples=count.of,
        verdict=judged.verdict,
        remark=judged.remark,
        evidence=count.evidence,
    )
