"""Samples packets and drops of every shaped queue, once a second and at every change of phase.

The counters of filters, of links and of the router only grow: two samples, at both ends of a phase, are enough.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from itertools import chain

from chaoskit.counters import QueueCounters
from chaoskit.knobs import Kernel, Knob
from chaoskit.records.jsonl import Log
from chaoskit.records.model import Counters, Hop, Phase
from chaoskit.topology.lab import Topology
from chaoskit.topology.ways import may_send_too_big, other_end


def sample(kernel: Kernel, knobs: Iterable[Knob], phase: Phase, at: int, log: Log) -> None:
    """Record the counters of every existing qdisc among `knobs`."""
    _add(_counters(kernel, (knob for knob in knobs if knob.kind == "qdisc")), phase, at, log)


def sample_sizes(kernel: Kernel, topology: Topology, knobs: Iterable[Knob], phase: Phase, at: int, log: Log) -> None:
    """The same for filters, for what ends connections, and for both ends of every lab link whose MTU can change."""
    _add(kernel.filter_counters(tuple(knob for knob in knobs if knob.kind == "filter")), phase, at, log)
    _add(_counters(kernel, (knob for knob in knobs if knob.kind in ("cut", "idle-timeout"))), phase, at, log)
    links = [(knob, other_end(topology, knob)) for knob in knobs if knob.kind == "mtu" and knob.place]
    _add(_counters(kernel, dict.fromkeys(chain.from_iterable(links))), phase, at, log)


def _counters(kernel: Kernel, knobs: Iterable[Knob]) -> Mapping[Knob, QueueCounters]:
    seen = {knob: kernel.counters(knob) for knob in knobs}
    return {knob: counters for knob, counters in seen.items() if counters is not None}


def sample_hop(kernel: Kernel, topology: Topology, knobs: Iterable[Knob], phase: Phase, at: int, log: Log) -> None:
    """Record the counters of each router on which one of `knobs` can reduce an MTU."""
    for router in dict.fromkeys(knob.place for knob in knobs if may_send_too_big(topology, knob)):
        seen = kernel.hop_counters(router)
        if seen is not None:
            log.add(Hop(at, router, phase.name, phase.round, seen.received, seen.too_big, seen.icmp_too_big))
    log.flush()


def _add(seen: Mapping[Knob, QueueCounters], phase: Phase, at: int, log: Log) -> None:
    for knob, counters in seen.items():
        log.add(
            Counters(
                at=at,
                place=knob.place,
                name=knob.name,
                phase=phase.name,
                round=phase.round,
                packets=counters.packets,
                bytes=counters.bytes,
                drops=counters.drops,
                overlimits=counters.overlimits,
                qlen=counters.qlen,
                backlog=counters.backlog,
                kind=knob.kind,
            )
        )
    log.flush()
