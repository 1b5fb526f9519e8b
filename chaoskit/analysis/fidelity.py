"""Did the fault come about as asked? The plan's promises against the kernel's counters and handshakes.

| promise    | held against                                       | tolerance                                   |
|------------|----------------------------------------------------|---------------------------------------------|
| loss share | the qdisc's own drops and packets in that phase    | z sqrt(p(1-p)/N (1+m)/(1-m)) + 1/N, z = 3.3 |
| round trip | median handshake RTT, less that of the reference   | a tenth, or 2 ms + 4 jitter / sqrt(n)       |

m is the lag-1 correlation of the loss process: bursts tell less than their packets. Where the tolerance is
as wide as the promise there were too few packets to tell. A queue that no packet passed did nothing.
"""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from itertools import pairwise
from statistics import median
from typing import NamedTuple

from chaoskit.analysis.result import Achievement, Evidence
from chaoskit.analysis.timeline import DRAIN, Timeline
from chaoskit.knobs import Knob, Netem
from chaoskit.plan.model import Effect, Plan, Promise
from chaoskit.records.model import Counters, TcpInfo
from chaoskit.topology.edge import qdiscs

_Z = 3.3
_MEMORY = 0.999  # of a process that hardly ever changes its mind
_FEW_HANDSHAKES = 5
_MS = 1_000_000
_US = 1_000
_FULL = 0.95  # of a queue's limit


class Passed(NamedTuple):
    """What went through a qdisc in one phase; `fullest` is the most packets ever seen waiting in it."""

    offered: int = 0
    drops: int = 0
    fullest: int = 0
    samples: int = 0


def fidelity(
    plan: Plan, timeline: Timeline, counters: Sequence[Counters], infos: Iterable[TcpInfo]
) -> Iterator[Achievement]:
    """One achievement for each promise of a phase that the run has reached."""
    reached = set(timeline.names)
    passed = passages(counters, timeline)
    handshakes = round_trips(infos, timeline)
    for promise in plan.promises:
        if promise.phase not in reached or not promise.effects:
            continue
        for effect in promise.effects:
            yield _loss(promise.phase, effect, passed[promise.phase, effect.knob], _netem(plan, promise, effect))
        if promise.rtt is not None and promise.phase != plan.reference:
            yield _round_trip(plan, promise, handshakes)


def passages(counters: Iterable[Counters], timeline: Timeline) -> dict[tuple[str, Knob], Passed]:
    """What passed each qdisc in each phase (the drain is its last phase's), between its samples there."""
    series: dict[Knob, list[Counters]] = defaultdict(list)
    for sample in counters:
        series[Knob("qdisc", sample.place, sample.name)].append(sample)
    last = timeline.spans[-1].name if timeline.spans else ""
    found: dict[tuple[str, Knob], Passed] = defaultdict(Passed)
    for knob, samples in series.items():
        for before, after in pairwise(samples):
            names = [last if sample.phase == DRAIN else sample.phase for sample in (before, after)]
            if names[0] == names[1] and before.round == after.round:
                found[names[0], knob] = _more(found[names[0], knob], before, after)
    return found


def _more(so_far: Passed, before: Counters, after: Counters) -> Passed:
    """Counters that have fallen belong to a new qdisc, which began at 0."""
    if after.packets < before.packets or after.drops < before.drops:
        packets, drops, waiting = after.packets, after.drops, after.qlen
    else:
        packets, drops = after.packets - before.packets, after.drops - before.drops
        waiting = after.qlen - before.qlen
    return Passed(
        so_far.offered + max(0, packets + drops + waiting),
        so_far.drops + drops,
        max(so_far.fullest, after.qlen),
        so_far.samples + 1,
    )


def round_trips(infos: Iterable[TcpInfo], timeline: Timeline) -> dict[str, list[float]]:
    """Handshake round trips in ns by phase, of those that lie wholly within it."""
    found: dict[str, list[float]] = defaultdict(list)
    for info in infos:
        took = info.fields.get("rtt", 0) * _US
        if info.when != "connected" or not took or not timeline.spans:
            continue
        span = timeline.at(info.at - took)
        if info.at - took >= span.ready and info.at <= span.end:
            found[span.name].append(took)
    return found


def _loss(phase: str, effect: Effect, passed: Passed, netem: Netem | None) -> Achievement:
    share = passed.drops / passed.offered if passed.offered else None
    tolerance = _tolerance(effect, passed.offered)
    verdict, remark = "achieved", ""
    if not passed.samples:
        verdict, remark = "too-few-packets-to-tell", "no counters were written down"
    elif share is None:
        verdict, remark = "not-achieved", "no packet passed"
    elif effect.loss is None:
        remark = "this fault promises no share"
    elif abs(share - effect.loss) > tolerance:
        verdict, remark = "not-achieved", _why(share > effect.loss, passed, netem)
    elif effect.loss and tolerance >= effect.loss:
        verdict, remark = "too-few-packets-to-tell", "a loss this rare needs more packets"
    return Achievement(
        phase=phase,
        what="loss",
        where=where(effect.knob),
        unit="share",
        asked=effect.loss,
        achieved=share,
        tolerance=tolerance,
        samples=passed.offered,
        verdict=verdict,
        remark=remark,
        evidence=Evidence(file="counters.jsonl", count=passed.samples),
    )


def _tolerance(effect: Effect, count: int) -> float:
    if effect.loss is None or not count:
        return 0.0
    memory = min(max(effect.memory, -_MEMORY), _MEMORY)
    spread = effect.loss * (1 - effect.loss) / count * (1 + memory) / (1 - memory)
    return _Z * math.sqrt(spread) + 1 / count


def _why(is_more: bool, passed: Passed, netem: Netem | None) -> str:
    if not is_more:
        return "fewer packets lost than asked"
    if netem is not None and passed.fullest >= _FULL * netem.limit:
        return f"the queue overflowed: its limit is {netem.limit} packets"
    return "more packets lost than asked: the queue overflowed between two looks, or something else drops them"


def _round_trip(plan: Plan, promise: Promise, handshakes: dict[str, list[float]]) -> Achievement:
    assert promise.rtt is not None
    here, base = handshakes.get(promise.phase, []), handshakes.get(plan.reference, [])
    at_rest = next((p.rtt or 0 for p in plan.promises if p.phase == plan.reference), 0)
    asked = promise.rtt - at_rest
    few = min(len(here), len(base))
    jitter = sum(netem.jitter for effect in promise.effects if (netem := _netem(plan, promise, effect)))
    tolerance = max(abs(asked) / 10, 2 * _MS + (4 * jitter / math.sqrt(few) if few else 0))
    added = median(here) - median(base) if few else None
    verdict, remark = "achieved", ""
    if added is None or few < _FEW_HANDSHAKES:
        verdict, remark = "too-few-packets-to-tell", "too few handshakes here or in the reference"
    elif abs(added - asked) > tolerance:
        verdict, remark = "not-achieved", "the round trip is not what the fault should make of it"
    return Achievement(
        phase=promise.phase,
        what="round-trip",
        where="client to server and back",
        unit="ms",
        asked=asked / _MS,
        achieved=added / _MS if added is not None else None,
        tolerance=tolerance / _MS,
        samples=len(here),
        verdict=verdict,
        remark=remark,
        evidence=Evidence(file="tcp_info.jsonl", count=len(here) + len(base)),
    )


def _netem(plan: Plan, promise: Promise, effect: Effect) -> Netem | None:
    for phase in plan.phases:
        for change in phase.changes:
            if phase.name == promise.phase and change.knob == effect.knob and isinstance(change.setting, Netem):
                return change.setting
    return None


def where(knob: Knob) -> str:
    """A qdisc by the link and direction that it shapes: `client-router down`."""
    for segment in ("client-router", "router-server"):
        for direction in ("down", "up"):
            if knob in qdiscs(segment, direction):
                return f"{segment} {direction}"
    return str(knob)
