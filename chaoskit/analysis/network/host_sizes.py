"""Checks the sizes of segments between the hosts of a service lab, by what the hosts' sockets knew.

| fault            | compared with                                                                           |
|------------------|-----------------------------------------------------------------------------------------|
| MSS clamp        | the MSS at both ends of the connections that it is for, and that were made in the phase |
| smaller link MTU | the path MTU of that host's sockets, of connections that were made in the phase         |

Sockets are sampled once a second: a shorter connection is not seen.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence

from chaoskit.analysis.findings import Evidence
from chaoskit.analysis.network.connections_seen import SeenConnection, SeenConnections
from chaoskit.analysis.network.sender_state import timestamp_bytes
from chaoskit.analysis.result import FidelityCheck, FidelityKind
from chaoskit.analysis.streams.timeline import Timeline
from chaoskit.knobs import Clamp, Knob, Mtu
from chaoskit.planning.model import Plan, PlannedChange
from chaoskit.records.host_records import HostSocket
from chaoskit.records.jsonl import FILES
from chaoskit.topology.display_names import display_name
from chaoskit.topology.lab import CLIENT, Topology
from chaoskit.topology.ways import may_send_too_big


def host_size_checks(plan: Plan, timeline: Timeline, seen: SeenConnections) -> Iterator[FidelityCheck]:
    """The checks of every phase that the run has reached; none outside of a service lab."""
    changes: Mapping[str, Sequence[PlannedChange]] = {phase.name: phase.changes for phase in plan.phases}
    for phase in timeline.names if plan.hosts else ():
        new = [each for each in seen if _was_opened_in(phase, each, timeline)]
        for change in changes.get(phase, ()):
            knob = change.knob
            match change.setting:
                case Clamp(mss) as clamp:
                    here = [each for each in new if _is_clamped(plan.topology, knob, clamp, each)]
                    ends = [(each, end.host) for each in here for end in (each.opener, each.other)]
                    yield _check(
                        (phase, "mss", mss), display_name(knob, plan.lab), _sizes(ends, "snd_mss", timeline, seen)
                    )
                case Mtu(size) if not may_send_too_big(plan.topology, knob):
                    ends = [(each, knob.place) for each in new if knob.place in (each.opener.host, each.other.host)]
                    yield _check(
                        (phase, "mtu", size), display_name(knob, plan.lab), _sizes(ends, "pmtu", timeline, seen)
                    )
                case _:
                    pass


def _was_opened_in(phase: str, connection: SeenConnection, timeline: Timeline) -> bool:
    """Whether that was while the faults of this phase were in force."""
    span = timeline.span_at(connection.opened)
    return span.name == phase and connection.opened >= span.ready


def _is_clamped(topology: Topology, knob: Knob, clamp: Clamp, connection: SeenConnection) -> bool:
    """Whether the clamp is for the handshake of this connection."""
    hosts = {connection.opener.host, connection.other.host}
    if clamp.of is None:
        return CLIENT in hosts
    names = {net.host: each.host for each in topology.attachments for net in each.nets.values()}
    for flow in clamp.of:
        near = next(each.host for each in topology.attachments if (each.router, each.link) == (knob.place, flow.link))
        peer = flow.source or flow.destination
        if near in hosts and (peer is None or names.get(peer.partition("/")[0]) in hosts - {near}):
            return True
    return False


def _sizes(
    ends: Iterable[tuple[SeenConnection, str]], field: str, timeline: Timeline, seen: SeenConnections
) -> list[int]:
    """The largest size in the samples of each of these ends, so far as there are any in the phase of its connection."""
    found = []
    for connection, host in ends:
        own, peer = connection.own(host), connection.peer(host)
        until = timeline.span_at(connection.opened).end
        sizes = [_size(each, field) for each in seen.samples(own, peer, connection.opened, until)]
        found += [max(sizes)] if any(sizes) else []
    return found


def _size(sample: HostSocket, field: str) -> int:
    size = sample.fields.get(field, 0)
    return size + timestamp_bytes(sample.fields) if size and field == "snd_mss" else size


def _check(asked: tuple[str, FidelityKind, int], where: str, sizes: Sequence[int]) -> FidelityCheck:
    """`asked`: the phase, the kind of size, and the largest that is allowed, bytes."""
    phase, kind, limit = asked
    above = sum(size > limit for size in sizes)
    remark = f"{above} of {len(sizes)} exceed it" if above else ""
    return FidelityCheck(
        phase=phase,
        kind=kind,
        where=where,
        unit="bytes",
        requested=limit,
        measured=max(sizes, default=None),
        tolerance=0,
        samples=len(sizes),
        verdict="not-achieved" if above else "achieved" if sizes else "too-few-packets",
        remark=remark if sizes else "no connection that was made in this phase was sampled",
        evidence=Evidence(file=FILES[HostSocket], count=len(sizes)),
    )
