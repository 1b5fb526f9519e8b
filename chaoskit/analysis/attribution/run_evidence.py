"""Collects the evidence of a whole run: who ended streams, and what stands in between."""

from __future__ import annotations

import math
from collections.abc import Sequence, Set
from dataclasses import dataclass, replace
from urllib.parse import urlsplit

from chaoskit.analysis.attribution.connection_attempts import ConnectionAttempts
from chaoskit.analysis.attribution.evidence import StreamEvidence, out_of_order_streams, stream_evidence
from chaoskit.analysis.attribution.gap_evidence import SocketEvidence
from chaoskit.analysis.findings import Intermediary
from chaoskit.analysis.load import RawRecords
from chaoskit.analysis.network.buffering import held_back
from chaoskit.analysis.network.closings import EndedStream, ended_streams
from chaoskit.analysis.network.connection_faults import with_own_timer
from chaoskit.analysis.network.connections_seen import SeenConnections
from chaoskit.analysis.network.timers import timers
from chaoskit.analysis.segments.captured_connections import Capture
from chaoskit.analysis.streams.phase_samples import span_of_stream
from chaoskit.analysis.streams.timeline import Timeline, build_timeline, single_phase
from chaoskit.planning.model import Plan
from chaoskit.records.host_records import HostSocket
from chaoskit.topology.lab import CLIENT

_SOON = 1_000_000_000  # ns after a stream's end; sockets are looked at each second
SINGLE_PHASE = "run"
"""The one phase of a run without a plan."""


@dataclass(frozen=True)
class RunEvidence:
    """What is known of each stream, how the interrupted ones ended, and what stands in between."""

    evidence: StreamEvidence
    ended: tuple[EndedStream, ...]
    intermediaries: tuple[Intermediary, ...]


def run_evidence(raw: RawRecords, run_timeline: Timeline, seen: SeenConnections) -> RunEvidence:
    """The evidence of these records."""
    streams, in_lab = raw.streams, raw.plan is not None and raw.plan.interface is None
    ended = tuple(ended_streams(streams.ended, seen))
    held, intermediaries = _intermediaries(raw, run_timeline, ended, seen.intermediaries)
    arrived = {stream.number: math.ceil(stream.tokens) for stream in streams.ended}
    has_front = raw.plan is not None and raw.plan.asks_program
    evidence = replace(
        stream_evidence(arrived, raw.infos, raw.served, raw.vitals, _looks_at_server(raw)),
        held_back=held,
        cut_off=frozenset(each.stream.number for each in ended if each.is_by_intermediary),
        sockets=SocketEvidence(raw.infos, streams.arrivals.signs, run_timeline.begin),
        origin=run_timeline.begin,
        has_between=not in_lab or has_front,
        has_front=has_front,
        capture=raw.capture or Capture(),
        links=raw.links,
        attempts=ConnectionAttempts(raw.requests),
        ports={each.stream: each.port for each in raw.requests if each.port is not None},
    )
    return RunEvidence(evidence, ended, intermediaries)


def timeline_of(raw: RawRecords) -> Timeline:
    """The phases of a run; one of a run without a plan."""
    if raw.phases:
        return build_timeline(raw.phases, raw.last_stamp)
    if not raw.requests:
        return Timeline(())
    return single_phase(SINGLE_PHASE, min(request.scheduled for request in raw.requests), raw.end)


def _looks_at_server(raw: RawRecords) -> dict[int, list[HostSocket]]:
    """The samples of the socket at the far end of each stream's connection, as long as the client had it open."""
    by_port: dict[int, list[HostSocket]] = {}
    for each in raw.host_sockets:
        if each.remote == CLIENT:
            by_port.setdefault(each.remote_port, []).append(each)
    return {
        request.stream: [look for look in by_port[request.port] if request.scheduled < look.at < request.ended + _SOON]
        for request in raw.requests
        if request.port in by_port
    }


def _intermediaries(
    raw: RawRecords, run_timeline: Timeline, ended: Sequence[EndedStream], passing_on: Set[str]
) -> tuple[Set[int], tuple[Intermediary, ...]]:
    """The streams that were held back, and all findings; in a lab only hosts can be in between.

    What is late behind a program of a lab is not the network's, unless the client's own connection shows a loss: it was
    held by the program, or on the links beyond it.
    """
    streams, lossy = raw.streams, out_of_order_streams(raw.infos)
    clean = [each for each in streams.ended if not span_of_stream(each, run_timeline).faults]
    if raw.plan is None or raw.plan.interface is not None:
        held, found = held_back(clean, streams.bursts, raw.infos, lossy)
        return held, (*(with_own_timer(each, raw.plan) for each in timers(streams.ended)), *found)
    by_hosts = [each for each in ended if each.is_by_intermediary]
    cuts = [
        finding
        for host in dict.fromkeys(each.by for each in by_hosts)
        for finding in timers([each.stream for each in by_hosts if each.by == host], host)
    ]
    if not raw.plan.asks_program:
        return frozenset(), tuple(cuts)
    _, found = held_back(clean, streams.bursts, raw.infos, lossy, _hosts_between(raw.plan, passing_on))
    return frozenset(each.number for each in streams.ended) - lossy, (*cuts, *found)


def _hosts_between(plan: Plan, passing_on: Set[str]) -> tuple[str, ...]:
    """The hosts that may hold streams back, the target's first: those seen `passing_on`; replicas as one."""
    asked = [each.host for each in plan.topology.members(urlsplit(plan.target).hostname or "")]
    groups = {member: group for group, members in plan.topology.groups.items() for member in members}
    hosts = [*asked, *sorted(passing_on - set(asked))]
    return tuple(dict.fromkeys(groups.get(host, host) for host in hosts))
