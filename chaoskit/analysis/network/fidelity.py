"""Did the fault come about as asked? The plan's promises against the kernel's counters and handshakes.

| promise    | held against                                       | tolerance                                   |
|------------|----------------------------------------------------|---------------------------------------------|
| loss share | the qdisc's own drops and packets in that phase    | z sqrt(p(1-p)/N (1+m)/(1-m)) + 1/N, z = 3.3 |
| round trip | median handshake RTT, less that of the reference   | a tenth, or 2 ms + 4 jitter / sqrt(n)       |
| sizes      | see `too_long`                                     |                                             |

m is the lag-1 correlation of the loss process: bursts tell less than their packets. Where the tolerance is
as wide as the promise there were too few packets to tell. A queue that no packet passed did nothing.

A real interface hands over trains of segments. The counters call each segment a packet, but a drop takes a whole
train, so the share of what was handed over lies between that of the segments and that of the fewest trains that
so many bytes can have come in.
"""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Iterable, Iterator
from statistics import median

from chaoskit.analysis.load import RawRecords
from chaoskit.analysis.network.counter_deltas import Passed, passages
from chaoskit.analysis.network.size_faults import too_long
from chaoskit.analysis.result import Achievement, Evidence
from chaoskit.analysis.streams.timeline import Timeline
from chaoskit.knobs import Netem
from chaoskit.plan.model import Expectation, ExpectedEffect, Plan
from chaoskit.records.model import TcpInfo
from chaoskit.topology.display_names import display_name

_Z = 3.3
_MEMORY = 0.999  # of a process that hardly ever changes its mind
_FEW_HANDSHAKES = 5
_MS = 1_000_000
_US = 1_000
_FULL = 0.95  # of a queue's limit
_LEAST_SEGMENT = 1200  # bytes with headers; of a train all but the last are full, and no path in use has less
_LONGEST_FRAME = 9216  # bytes; a longer MTU is loopback's, at both ends


def fidelity(plan: Plan, timeline: Timeline, raw: RawRecords) -> Iterator[Achievement]:
    """What a phase that the run has reached promises, one achievement each."""
    reached = set(timeline.names)
    passed = passages(raw.counters, timeline)
    handshakes = round_trips(raw.infos, timeline)
    sizes = list(too_long(plan, timeline, raw, passed))
    for expectation in plan.expectations:
        if expectation.phase not in reached:
            continue
        for effect in expectation.effects:
            yield _loss(plan, expectation, effect, passed[expectation.phase, effect.knob])
        yield from (each for each in sizes if each.phase == expectation.phase)
        if expectation.effects and expectation.rtt is not None and expectation.phase != plan.reference:
            yield _round_trip(plan, expectation, handshakes)


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


def _loss(plan: Plan, expectation: Expectation, effect: ExpectedEffect, passed: Passed) -> Achievement:
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
        most = passed.drops / fewest(plan, passed)
        if share < effect.loss <= most + tolerance:
            verdict, remark = "too-few-packets-to-tell", f"of whole trains of segments it may be up to {most:.2%}"
        else:
            verdict, remark = "not-achieved", _why(share > effect.loss, passed, _netem(plan, expectation, effect))
    elif effect.loss and tolerance >= effect.loss:
        verdict, remark = "too-few-packets-to-tell", "a loss this rare needs more packets"
    return Achievement(
        phase=expectation.phase,
        what="loss",
        where=display_name(effect.knob),
        unit="share",
        asked=effect.loss,
        achieved=share,
        tolerance=tolerance,
        samples=passed.offered,
        verdict=verdict,
        remark=remark,
        evidence=Evidence(file="counters.jsonl", count=passed.samples),
    )


def fewest(plan: Plan, passed: Passed) -> int:
    """In how few pieces that which was offered can have been handed over: in a lab, each packet is one."""
    if plan.interface is None:
        return passed.offered
    mtu = plan.interface.mtu
    segment = _LEAST_SEGMENT if mtu <= _LONGEST_FRAME else mtu // 2
    return max(passed.drops, 1, passed.offered - passed.bytes // segment)


def _tolerance(effect: ExpectedEffect, count: int) -> float:
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


def _round_trip(plan: Plan, expectation: Expectation, handshakes: dict[str, list[float]]) -> Achievement:
    assert expectation.rtt is not None
    here, base = handshakes.get(expectation.phase, []), handshakes.get(plan.reference, [])
    at_rest = next((p.rtt or 0 for p in plan.expectations if p.phase == plan.reference), 0)
    asked = expectation.rtt - at_rest
    few = min(len(here), len(base))
    jitter = sum(netem.jitter for effect in expectation.effects if (netem := _netem(plan, expectation, effect)))
    tolerance = max(abs(asked) / 10, 2 * _MS + (4 * jitter / math.sqrt(few) if few else 0))
    added = median(here) - median(base) if few else None
    verdict, remark = "achieved", ""
    if added is None or few < _FEW_HANDSHAKES:
        verdict, remark = "too-few-packets-to-tell", "too few handshakes here or in the reference"
    elif abs(added - asked) > tolerance:
        verdict, remark = "not-achieved", "the round trip is not what the fault should make of it"
    return Achievement(
        phase=expectation.phase,
        what="round-trip",
        where="client to server and back" if plan.interface is None else "to the target and back",
        unit="ms",
        asked=asked / _MS,
        achieved=added / _MS if added is not None else None,
        tolerance=tolerance / _MS,
        samples=len(here),
        verdict=verdict,
        remark=remark,
        evidence=Evidence(file="tcp_info.jsonl", count=len(here) + len(base)),
    )


def _netem(plan: Plan, expectation: Expectation, effect: ExpectedEffect) -> Netem | None:
    for phase in plan.phases:
        for change in phase.changes:
            if phase.name == expectation.phase and change.knob == effect.knob and isinstance(change.setting, Netem):
                return change.setting
    return None
