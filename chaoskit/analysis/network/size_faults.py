"""Did the faults that are about sizes come about? Each phase's knobs against counters and sockets.

| fault                    | held against                                                                           |
|--------------------------|----------------------------------------------------------------------------------------|
| what is longer is lost   | the filter's own count of what it took                                                 |
| the router is narrow     | the router's count of what was too long to be sent on, and of the signals that it made |
| its signals are lost     | the filter's own count                                                                 |
| handshakes are clamped   | the segments of all connections that were made meanwhile, at both ends                 |
| a smaller link           | the path MTU of those at that end; at the router's end, the router's counts            |
| a smaller end of a link  | also the link's own count of what it could not receive                                 |

A fault that took a packet is achieved. Where no packet was long enough there was nothing to hit, and that is no
failure: what is short passes any hole. It is one where, in a lab, something longer came through all the same, as the
receiver's `rcv_mss` tells, which is a segment that has arrived.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from chaoskit.analysis.load import RawRecords
from chaoskit.analysis.network.counter_deltas import Passed, hop
from chaoskit.analysis.network.sender_state import Look, senders
from chaoskit.analysis.result import Achieved, Achievement, Evidence, What
from chaoskit.analysis.streams.timeline import Timeline
from chaoskit.knobs import Clamp, Filter, HopCounters, Knob, Mtu, Route, Setting
from chaoskit.plan.model import Plan
from chaoskit.records.jsonl import FILES
from chaoskit.records.model import Counters, Hop, TcpInfo
from chaoskit.topology.display_names import display_name
from chaoskit.topology.edge import (
    LINK_MTU,
    ROUTER,
    VLAN_TAG,
    affected_direction,
    drops_too_big,
    may_send_too_big,
    other_end,
    received_direction,
)
from chaoskit.topology.steering import OneDirection

_HEADERS = {4: 40, 6: 60}  # bytes of IP and TCP, without options
_STAMPS, _HAS_STAMPS = 12, 1  # bytes of TCP's timestamps; linux/tcp.h: TCPI_OPT_TIMESTAMPS
_THE_ROUTER = f"the {ROUTER}"
_FROM: dict[OneDirection, str] = {"up": "client", "down": "server"}


class _Judged(NamedTuple):
    verdict: Achieved = "achieved"
    remark: str = ""


_UNCOUNTED = _Judged("too-few-packets-to-tell", "no counters were written down")
_OF_THE_OTHERS = _Judged("nothing-to-hit", "all were about the other direction")


class _Count(NamedTuple):
    """How many, of how many; and what that rests on."""

    hit: int
    of: int
    evidence: Evidence


@dataclass(frozen=True)
class _Connection:
    """One end's view of a connection that was asked for, and looked at, while the phase's faults were in force."""

    end: str
    looks: tuple[Look, ...]


@dataclass(frozen=True)
class _Phase:
    """What is known of all passages of a phase; `hop` is None when nobody counted."""

    name: str
    plan: Plan
    settings: Mapping[Knob, Setting]
    born: Sequence[_Connection]
    passed: Mapping[tuple[str, Knob], Passed]
    hop: HopCounters | None


def too_long(
    plan: Plan, course: Timeline, raw: RawRecords, passed: Mapping[tuple[str, Knob], Passed]
) -> Iterator[Achievement]:
    """The achievements of every phase that the run has reached."""
    hops, born = hop(raw.hops, course), _born(raw, course)
    changes = {phase.name: phase.changes for phase in plan.phases}
    for name in course.names:
        settings = {change.knob: change.setting for change in changes.get(name, ()) if change.setting is not None}
        phase = _Phase(name, plan, settings, born[name], passed, hops.get(name))
        yield from _cuts(phase)
        yield from _unreceived(phase)
        yield from _narrow(phase)
        yield from _seen_by_sockets(phase)


def _born(raw: RawRecords, course: Timeline) -> Mapping[str, Sequence[_Connection]]:
    """By the phase's name. A connection with a stream that nobody wrote down the end of may be older than it seems."""
    found: dict[str, list[_Connection]] = defaultdict(list)
    started = {request.stream: request.started for request in raw.requests}
    for sender in senders(raw):
        if not started.keys() >= set(sender.streams):
            continue
        begin = min(started[stream] for stream in sender.streams)
        span = course.at(begin)
        looks = tuple(look for look in sender.looks if course.at(look.at) is span)
        if begin >= span.ready and looks:
            found[span.name].append(_Connection(_FROM[sender.direction], looks))
    return found


def _cuts(phase: _Phase) -> Iterator[Achievement]:
    """What filters lost for its size, place by place."""
    cuts: dict[str, dict[Knob, int]] = defaultdict(dict)
    for knob, setting in phase.settings.items():
        if isinstance(setting, Filter) and setting.over:
            cuts[display_name(knob)][knob] = setting.over
    for place, limits in cuts.items():
        count = _lost(phase, list(limits))
        judged = _by_size(phase, count, {affected_direction(knob): limit for knob, limit in limits.items()})
        if count.hit and phase.plan.interface is not None:
            judged = _Judged(remark="a whole train of segments counts as one")
        yield _counted(phase, "too-long", place, count, judged)


def _unreceived(phase: _Phase) -> Iterator[Achievement]:
    """What came to the smaller end of a link whose ends do not match."""
    links = {knob for knob, setting in phase.settings.items() if isinstance(setting, Mtu) and knob.place}
    for knob in sorted(links | set(map(other_end, links)), key=display_name):
        size = _size(phase.settings.get(knob))
        if size < _size(phase.settings.get(other_end(knob))):
            count = _lost(phase, [knob])
            judged = _by_size(phase, count, {received_direction(knob): size + VLAN_TAG})
            yield _counted(phase, "too-long", display_name(knob), count, judged)


def _lost(phase: _Phase, knobs: Sequence[Knob]) -> _Count:
    counts = [phase.passed[phase.name, knob] for knob in knobs if (phase.name, knob) in phase.passed]
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
    for way, limit in limits.items():
        longest = _arrived(phase, way)
        if longest > limit:
            return _Judged("not-achieved", f"packets of {longest} bytes came through {way}")
    return _Judged("nothing-to-hit", f"no packet was longer than {min(limits.values())} bytes")


def _arrived(phase: _Phase, way: OneDirection) -> int:
    """The longest packet of the probe's own that is known to have come through a lab; 0 when none is."""
    if phase.plan.interface is not None:
        return 0  # a filter there may be for somebody else
    headers = _HEADERS[6 if "[" in phase.plan.target else 4]
    looks = [look for one in phase.born if one.end != _FROM[way] for look in one.looks]
    return max((look.fields.get("rcv_mss", 0) + headers + _stamps(look) for look in looks), default=0)


def _stamps(look: Look) -> int:
    return _STAMPS if look.fields.get("options", 0) & _HAS_STAMPS else 0


def _narrow(phase: _Phase) -> Iterator[Achievement]:
    """What the router could not send on, and what became of its signals."""
    limits: dict[OneDirection, int] = {}
    for knob, setting in phase.settings.items():
        size = _size(setting) if may_send_too_big(knob) else LINK_MTU
        if size < LINK_MTU:
            limits[affected_direction(knob)] = min(size, limits.get(affected_direction(knob), size))
    if not limits:
        return
    seen = phase.hop or HopCounters(0, 0, 0)
    evidence = Evidence(file=FILES[Hop], count=0 if phase.hop is None else 1)
    count = _Count(seen.too_big, seen.received, evidence)
    yield _counted(phase, "too-long", _THE_ROUTER, count, _by_size(phase, count, limits))
    if not seen.too_big:
        return
    mutes: dict[str, list[Knob]] = defaultdict(list)
    for knob, setting in phase.settings.items():
        if isinstance(setting, Filter) and drops_too_big(knob):
            mutes[display_name(knob)].append(knob)
    lost = {place: _lost(phase, knobs)._replace(of=seen.icmp_too_big) for place, knobs in mutes.items()}
    total, are_all_mute = sum(each.hit for each in lost.values()), len(mutes) >= len(limits)
    for place, each in lost.items():
        yield _counted(phase, "untold", place, each, _of_the_mute(each.hit, total, are_all_mute))
    if not are_all_mute:
        told = _Count(seen.icmp_too_big - total, seen.too_big, evidence)
        yield _counted(phase, "told", _THE_ROUTER, told, _of_the_told(told.hit, seen.icmp_too_big))


def _size(setting: Setting | None) -> int:
    match setting:
        case Route(mtu=size) | Mtu(size) if size:
            return size
        case _:
            return LINK_MTU


def _of_the_mute(lost: int, total: int, are_all_mute: bool) -> _Judged:
    if lost:
        return _Judged()
    return _OF_THE_OTHERS if total or not are_all_mute else _Judged("not-achieved", "no signal was lost")


def _of_the_told(told: int, signals: int) -> _Judged:
    if told > 0:
        return _Judged()
    return _OF_THE_OTHERS if signals else _Judged("not-achieved", "no signal was made")


def _seen_by_sockets(phase: _Phase) -> Iterator[Achievement]:
    for knob, setting in phase.settings.items():
        match setting:
            case Clamp(mss):
                sizes = [one.looks[0].segment + _stamps(one.looks[0]) for one in phase.born]
                yield _sized(phase, "segment", display_name(knob), mss, sizes)
            case Mtu(size) if not may_send_too_big(knob):
                here = [one for one in phase.born if one.end == (knob.place or "client")]
                yield _sized(
                    phase, "mtu", display_name(knob), size, [max(look.path for look in one.looks) for one in here]
                )
            case _:
                pass


def _sized(phase: _Phase, what: What, place: str, asked: int, sizes: Sequence[int]) -> Achievement:
    judged = _Judged()
    if not sizes:
        judged = _Judged("too-few-packets-to-tell", "nobody looked at a connection that was made here")
    elif max(sizes) > asked:
        judged = _Judged("not-achieved", f"{sum(size > asked for size in sizes)} of {len(sizes)} have more")
    return Achievement(
        phase=phase.name,
        what=what,
        where=place,
        unit="bytes",
        asked=asked,
        achieved=max(sizes, default=None),
        tolerance=0,
        samples=len(sizes),
        verdict=judged.verdict,
        remark=judged.remark,
        evidence=Evidence(file=FILES[TcpInfo], count=len(sizes)),
    )


def _counted(phase: _Phase, what: What, place: str, count: _Count, judged: _Judged) -> Achievement:
    return Achievement(
        phase=phase.name,
        what=what,
        where=place,
        unit="count",
        asked=None,
        achieved=count.hit if count.evidence.count else None,
        tolerance=0,
        samples=count.of,
        verdict=judged.verdict,
        remark=judged.remark,
        evidence=count.evidence,
    )
