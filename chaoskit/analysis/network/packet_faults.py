"""Checks what netem does besides loss and delay, or says why nothing tells.

| parameter   | compared with                                           | only where                                   |
|-------------|---------------------------------------------------------|----------------------------------------------|
| `rate`      | bytes that left the queue between two samples           | both saw more than the delay keeps queued    |
| `duplicate` | `dsack_dups`: what receivers said arrived twice         | the sender's TCP_INFO is known               |
| `reorder`   | `reord_seen`: whether senders saw any                   | the sender's TCP_INFO is known               |
| `corrupt`   | nothing: its receiver drops it, which looks like a loss |                                              |
| `jitter`    | nothing: handshakes tell the median, not the spread     |                                              |
| `slot`      | nothing: no counter of the kernel tells                 |                                              |
| `ecn`       | nothing: marks are not counted apart                    |                                              |

That less than the rate passed is no failure, for the queue may have run empty between two samples: more than it is.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from chaoskit.analysis.findings import Evidence
from chaoskit.analysis.formatting import format_value
from chaoskit.analysis.network.sender_state import Sender, TcpInfoSample, growth
from chaoskit.analysis.result import FidelityCheck, FidelityKind, FidelityVerdict, Unit
from chaoskit.analysis.streams.timeline import Span
from chaoskit.knobs import Netem
from chaoskit.records.jsonl import FILES
from chaoskit.records.model import Counters, ServedResponse, TcpInfo

_U32 = 2**32 - 1
_Z = 3.3
_BITS = 8
_FRAME = 1514  # bytes: a sample may fall within a packet
_SECOND = 10**9
_RATE_TOLERANCE = 0.05
_SHARE_TOLERANCE = 0.1
_SURE = 20  # so many expected and none seen: none was made
_UNITS: dict[FidelityKind, Unit] = {"rate": "bit-per-second", "reorder": "count", "jitter": "ms", "slot": "ms"}
_UNCOUNTED: dict[FidelityKind, str] = {
    "corrupt": "a receiver drops what is corrupted, which looks like a loss",
    "jitter": "handshakes tell the median of the delay, not its spread",
    "slot": "no counter of the kernel tells",
    "ecn": "no counter of the kernel tells marks from losses",
}


@dataclass(frozen=True)
class PacketFault:
    """One netem of a phase, and where it is, with what was recorded while it was in force.

    `samples` are pairs of successive counters of its queue, `senders` all of its direction, `spans` the phase's.
    """

    phase: str
    where: str
    netem: Netem
    samples: Sequence[tuple[Counters, Counters]]
    senders: Sequence[Sender]
    spans: Sequence[Span]


class _Measured(NamedTuple):
    value: float | None
    samples: int
    verdict: FidelityVerdict
    remark: str = ""
    tolerance: float = 0.0


def packet_checks(fault: PacketFault) -> Iterator[FidelityCheck]:
    """One check for each of these parameters that the fault sets."""
    netem = fault.netem
    if netem.rate:
        evidence = Evidence(file=FILES[Counters], count=len(fault.samples))
        yield _check(fault, "rate", netem.rate * _BITS, _rate(fault), evidence)
    if netem.duplicate:
        share = netem.duplicate / _U32
        yield _check(fault, "duplicate", share, _duplicates(fault, share), _evidence(fault))
    if netem.reorder:
        yield _check(fault, "reorder", None, _reordering(fault), _evidence(fault))
    uncounted: dict[FidelityKind, bool] = {
        "corrupt": netem.corrupt > 0,
        "jitter": netem.jitter > 0,
        "slot": netem.slot is not None,
        "ecn": netem.ecn,
    }
    for kind, is_set in uncounted.items():
        if is_set:
            nothing = Evidence(file=FILES[Counters], count=0)
            yield _check(fault, kind, None, _Measured(None, 0, "not-measured", _UNCOUNTED[kind]), nothing)


def _rate(fault: PacketFault) -> _Measured:
    """While the queue held more than the delay keeps there, what left it is the rate."""
    netem, limit = fault.netem, fault.netem.rate * _BITS
    if netem.cell_size or netem.cell_overhead:
        return _Measured(None, 0, "not-measured", "the sizes of its cells are not counted")
    delayed = netem.rate * (netem.delay + 4 * netem.jitter) / _SECOND + 2 * _FRAME
    busy = sent = 0
    fastest = 0.0
    for before, after in fault.samples:
        time, size = after.at - before.at, after.bytes - before.bytes
        if time <= 0 or size < 0 or after.packets < before.packets:
            continue
        size += netem.packet_overhead * (after.packets - before.packets)
        fastest = max(fastest, (size - _FRAME) * _BITS * _SECOND / time)
        if min(before.backlog, after.backlog) > delayed:
            busy, sent = busy + time, sent + size
    tolerance = limit * _RATE_TOLERANCE
    if fastest > limit + tolerance:
        return _Measured(fastest, len(fault.samples), "not-achieved", "more than that passed", tolerance)
    if not busy:
        most = format_value(max(0.0, fastest), "bit-per-second")
        return _Measured(None, 0, "not-measured", f"the queue was never seen full; at most {most} passed", tolerance)
    seen, count = sent * _BITS * _SECOND / busy, round(busy / _SECOND)
    tolerance += _FRAME * _BITS * _SECOND / busy
    if seen < limit - tolerance:
        passed = format_value(seen, "bit-per-second")
        return _Measured(None, count, "not-measured", f"the queue ran empty at times; {passed} passed", tolerance)
    return _Measured(seen, count, "achieved", "", tolerance)


def _duplicates(fault: PacketFault, share: float) -> _Measured:
    twice, segments = _growth(fault, "dsack_dups"), _growth(fault, "delivered")
    if not segments:
        return _Measured(None, 0, "not-measured", "only the sender's TCP_INFO tells, and there is none")
    seen = twice / segments
    tolerance = _Z * math.sqrt(share * (1 - share) / segments) + 1 / segments + _SHARE_TOLERANCE * share
    if abs(seen - share) <= tolerance:
        is_few = tolerance >= share
        remark = "so rare a duplicate needs more packets" if is_few else ""
        return _Measured(seen, segments, "too-few-packets" if is_few else "achieved", remark, tolerance)
    if not twice and share * segments >= _SURE:
        return _Measured(seen, segments, "not-achieved", "no segment arrived twice", tolerance)
    told = f"receivers told that {format_value(seen, 'share')} of {segments} came twice"
    remark = f"{told}: other causes count, too, and not each is told"
    return _Measured(None, segments, "not-measured", remark, tolerance)


def _reordering(fault: PacketFault) -> _Measured:
    seen, segments = _growth(fault, "reord_seen"), _growth(fault, "delivered")
    if not segments:
        return _Measured(None, 0, "not-measured", "only the sender's TCP_INFO tells, and there is none")
    if not seen:
        return _Measured(0, segments, "not-exercised", "no segment overtook another")
    return _Measured(seen, segments, "achieved", "its share is not counted, only that it happened")


def _growth(fault: PacketFault, name: str) -> int:
    """By how much a count of the senders grew in the phase."""
    return sum(growth(part, name) for sender in fault.senders for part in _parts(sender, fault.spans))


def _parts(sender: Sender, spans: Sequence[Span]) -> Iterator[Sequence[TcpInfoSample]]:
    for span in spans:
        part = [sample for sample in sender.samples if span.ready <= sample.at <= max(span.end, span.ready)]
        if len(part) > 1:
            yield part


def _evidence(fault: PacketFault) -> Evidence:
    is_down = any(sender.direction == "down" for sender in fault.senders)
    parts = [part for sender in fault.senders for part in _parts(sender, fault.spans)]
    return Evidence(file=FILES[ServedResponse if is_down else TcpInfo], count=sum(map(len, parts)))


def _check(
    fault: PacketFault, kind: FidelityKind, requested: float | None, found: _Measured, evidence: Evidence
) -> FidelityCheck:
    return FidelityCheck(
        phase=fault.phase,
        kind=kind,
        where=fault.where,
        unit=_UNITS.get(kind, "share"),
        requested=requested,
        measured=found.value,
        tolerance=found.tolerance,
        samples=found.samples,
        verdict=found.verdict,
        remark=found.remark,
        evidence=evidence,
    )
