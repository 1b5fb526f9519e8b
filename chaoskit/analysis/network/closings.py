"""Says who ended each interrupted stream of a lab, and for whose data that host had waited.

| what the namespaces saw                                                      | finding                             |
|------------------------------------------------------------------------------|-------------------------------------|
| a host sent the first FIN or RST, and gave up a connection to another host    | that host, after so much silence of |
| within a moment of it                                                         | the other one                       |
| the same, but the other host had ended that connection just before            | the other host, and so on           |
| a host sent the first FIN or RST, and nothing else ended                      | that host                           |
| it did, but that did not arrive                                               | that host, and a path that lost it  |
| an RST arrived that no router received from its sender                        | what is between them                |
| the client sent the first one, after one of its own timeouts                  | the client: it gave up              |
| neither did until the stream ended                                            | the host, inside an open connection |
| no SYN-ACK came: what became of the SYN                                       | the host that refused it, or the    |
|                                                                               | client, which gave up               |

Two hosts' clocks are one clock here, and a program closes its connections within microseconds: `_MOMENT` is for
machines that are busy.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace

from chaoskit.analysis.findings import Closing, ClosingKind, Evidence
from chaoskit.analysis.formatting import format_value
from chaoskit.analysis.network.connections_seen import End, Ended, SeenConnection, SeenConnections
from chaoskit.analysis.statistics.quantiles import MS
from chaoskit.analysis.streams.assemble import Stream
from chaoskit.records.host_records import ConnectionEnd
from chaoskit.records.jsonl import FILES
from chaoskit.topology.lab import CLIENT
from chaoskit.units import counted

_MOMENT = 100_000_000  # ns between the two ends of one decision
_CLOCK = 1_000_000  # ns by which the probe may read a FIN before its kernel's stamp of it
_SILENT = 1_000_000_000  # ns: a shorter silence is the pace of a stream
_HOPS = 8  # hosts of a chain
_MAX_WORST = 5
_GAVE_UP = ("idle_timeout", "first_token_timeout", "stream_timeout", "abandoned")


@dataclass(frozen=True)
class EndedStream:
    """How one stream ended. `waited_for`: the host whose connection `by` gave up; `via` are hosts that passed it on.

    `silence` is how long that had been silent, or the stream itself; `lasted` the time since the request was sent;
    `during` is the phase in which it ended, where that is a later one than the stream's.
    """

    stream: Stream
    kind: ClosingKind
    by: str
    waited_for: str
    via: tuple[str, ...]
    silence: int
    lasted: int
    apart: int | None = None
    rivals: tuple[str, ...] = ()
    during: str = ""

    @property
    def is_by_intermediary(self) -> bool:
        """Whether a host ended it that had asked another one."""
        return bool(self.waited_for) and self.by not in ("", CLIENT)

    @property
    def is_silent(self) -> bool:
        """Whether silence explains it, and not the time since the request."""
        return self.silence >= _SILENT and self.silence >= self.lasted / 4


def ended_streams(streams: Iterable[Stream], seen: SeenConnections) -> Iterator[EndedStream]:
    """How each interrupted stream ended, of those whose connection was seen."""
    for stream in streams:
        request = stream.request
        if not stream.is_interrupted:
            continue
        if request.completion == "connect_failed" and request.port is None:
            attempt = seen.unanswered(CLIENT, request.started - _CLOCK, request.ended + _CLOCK)
            if attempt is not None:
                yield _never_opened(stream, attempt)
        elif request.port is not None and request.sent is not None:
            connection = seen.opened_by(CLIENT, request.port, request.sent + _CLOCK)
            if connection is not None:
                yield _ended(stream, connection, seen)


def closings(ended: Sequence[EndedStream], interrupted: int, lost_records: int) -> tuple[Closing, ...]:
    """Streams that ended alike, of those that were interrupted in a phase; the most frequent end first."""
    groups: dict[tuple[object, ...], list[EndedStream]] = defaultdict(list)
    for each in ended:
        groups[each.kind, each.by, each.waited_for, each.via, each.is_silent, each.during, _words(each)].append(each)
    found = sorted(groups.values(), key=lambda group: (-len(group), group[0].stream.number))
    return tuple(_closing(group, interrupted, lost_records) for group in found)


def _ended(stream: Stream, connection: SeenConnection, seen: SeenConnections) -> EndedStream:
    request, host = stream.request, connection.other
    sent = request.sent or request.started
    theirs = connection.end_by(host, sent)
    ours = connection.end_by(connection.opener, sent)
    is_theirs = theirs is not None and theirs.at <= request.ended + _CLOCK and (ours is None or theirs.at <= ours.at)
    at = theirs.at if theirs is not None and is_theirs else request.ended
    found = EndedStream(
        stream,
        _kind(stream, theirs if is_theirs else None, connection, seen),
        by=host.host,
        waited_for="",
        via=(),
        silence=at - max(min(stream.last_sign_of_life, at), sent),
        lasted=at - sent,
    )
    match found.kind:
        case "gave-up" | "unanswered":
            return replace(found, by=CLIENT, waited_for=host.host)
        case "reset-between":
            return replace(found, by="", waited_for=host.host)
        case _:
            return _traced(found, host.host, at, seen)


def _never_opened(stream: Stream, attempt: SeenConnection) -> EndedStream:
    """By what became of its SYN."""
    host, lasted = attempt.other.host, stream.request.ended - stream.request.started
    kind: ClosingKind = "syn-lost"
    answer = attempt.end_by(attempt.other)
    if answer is not None and answer.kind == "rst":
        kind = "refused" if answer.passed else "reset-between"
    elif any(flags == "syn-ack" for flags, _ in attempt.handshake):
        kind = "syn-ack-lost"
    elif ("syn", host) in attempt.handshake:
        kind = "syn-unanswered"
    by = {"refused": host, "reset-between": ""}.get(kind, CLIENT)
    return EndedStream(stream, kind, by, "" if by == host else host, via=(), silence=0, lasted=lasted)


def _kind(stream: Stream, theirs: End | None, connection: SeenConnection, seen: SeenConnections) -> ClosingKind:
    completion = stream.request.completion
    if theirs is not None:
        if theirs.arrived is None and completion in _GAVE_UP:
            return "end-lost"
        if not theirs.passed and theirs.kind == "rst":
            return "reset-between"
        return "reset" if theirs.kind == "rst" else "closed"
    if completion in _GAVE_UP:
        sample = seen.sample(connection.other, connection.opener, stream.request.ended)
        return "unanswered" if sample is not None and sample.fields.get("retransmits") else "gave-up"
    return "answered" if completion == "http_error" else "inside"


def _traced(found: EndedStream, host: str, at: int, seen: SeenConnections) -> EndedStream:
    """The same with the host that began it: the last one of the chain behind `host`, which ended it at that time."""
    passed_on: list[str] = []
    for _ in range(_HOPS):
        candidates = [
            each
            for each in _candidates(host, at, found.stream, seen)
            if each.connection.peer(host).host not in passed_on
        ]
        if not candidates:
            return replace(found, by=host, via=tuple(passed_on))
        best = min(candidates, key=lambda each: _distance(each, host, at, found.stream, seen))
        other = best.connection.peer(host)
        rivals = {_outcome(each, host) for each in candidates} - {_outcome(best, host)}
        found = replace(found, rivals=(*found.rivals, *sorted(name for name, _ in rivals)))
        if best.end.sender.host == host:
            last = seen.last_data_received(best.connection.own(host), other, best.end.at)
            silence = found.silence if last is None else min(at, best.end.at) - last
            return replace(
                found,
                by=host,
                via=tuple(passed_on),
                waited_for=other.host,
                silence=max(0, silence),
                apart=abs(best.end.at - at),
            )
        passed_on.append(host)
        host, at = other.host, best.end.at
    return replace(found, by=host, via=tuple(passed_on))


def _candidates(host: str, at: int, stream: Stream, seen: SeenConnections) -> Iterator[Ended]:
    """The connections to further hosts that may be why this host ended a stream at that time."""
    sent = stream.request.sent or stream.request.started
    for each in seen.ended_between(host, at - _MOMENT, at + _MOMENT):
        other = each.connection.peer(host)
        if other.host in (CLIENT, host) or (each.end.sender == other and each.noticed > at + _CLOCK):
            continue
        last = seen.last_data_received(each.connection.own(host), other, each.end.at)
        if each.connection.opened >= sent - _MOMENT or (last is not None and last >= sent - _MOMENT):
            yield each


def _distance(each: Ended, host: str, at: int, stream: Stream, seen: SeenConnections) -> tuple[int, int]:
    """How badly a connection fits a stream: by its last data, and by the moment of its end."""
    own, other = each.connection.own(host), each.connection.peer(host)
    last = seen.last_data_received(own, other, each.end.at)
    by_data = abs(last - stream.last_sign_of_life) // _MOMENT if last is not None else 0
    return by_data, abs(each.noticed - at)


def _outcome(each: Ended, host: str) -> tuple[str, bool]:
    return each.connection.peer(host).host, each.end.sender.host == host


def _words(each: EndedStream) -> str:
    """What the host or the client did, so far as the completion says more than the kind."""
    request = each.stream.request
    if each.kind == "answered":
        return f"answered HTTP {request.status}"
    return request.completion if each.kind in ("gave-up", "unanswered") else ""


def _closing(group: Sequence[EndedStream], interrupted: int, lost_records: int) -> Closing:
    one = group[0]
    times = sorted(each.silence if one.is_silent else each.lasted for each in group)
    apart = max((each.apart for each in group if each.apart is not None), default=None)
    rivals = sorted({rival for each in group for rival in each.rivals})
    reason = f"{one.by} ended its connections to {', '.join(rivals)} at the same moment" if rivals else ""
    if lost_records:
        reason = f"{counted(lost_records, 'segment')} with SYN, FIN or RST found no room in the records"
    numbers = sorted(each.stream.number for each in group)
    closing = Closing(
        kind=one.kind,
        by=one.by,
        waited_for=one.waited_for,
        via=one.via,
        during=one.during,
        streams=len(group),
        of_streams=interrupted,
        seconds=times[len(times) // 2] / 1e9,
        since="last-data" if one.is_silent else "request",
        spread_ms=(times[-1] - times[0]) / MS,
        apart_ms=None if apart is None else apart / MS,
        confidence="likely" if reason else "certain",
        reason=reason,
        evidence=Evidence(file=FILES[ConnectionEnd], count=len(group), worst=tuple(numbers)[:_MAX_WORST]),
        sentence="",
    )
    probably = "probably " if rivals else ""
    during = f" during {one.during}" if one.during else ""
    sentence = f"{len(group)} of {interrupted} {probably}{_what(one)}{during} {_when(closing, _is_flowing(group))}"
    return closing.model_copy(update={"sentence": sentence})


def _what(one: EndedStream) -> str:
    relayed = f", passed on by {' and '.join(reversed(one.via))}," if one.via else ""
    match one.kind:
        case "closed" | "reset":
            return f"{'ended' if relayed else one.kind} by {one.by}{relayed}"
        case "answered":
            return f"{_words(one)} by {one.by}{relayed}"
        case "inside":
            return f"ended by {one.by}{relayed} inside a connection that stayed open"
        case "end-lost":
            return f"closed by {one.by}, whose FIN never arrived,"
        case "reset-between":
            return f"reset by neither end, but between client and {one.waited_for},"
        case "unanswered":
            return f"given up by the client ({_words(one)}), while {one.waited_for} kept sending what never arrived,"
        case "gave-up":
            return f"given up by the client ({_words(one)})"
        case "refused":
            return f"refused by {one.by}, with an RST to the SYN,"
        case "syn-lost":
            return f"given up by the client, whose SYN never reached {one.waited_for},"
        case "syn-unanswered":
            return f"given up by the client, whose SYN {one.waited_for} did not answer,"
        case "syn-ack-lost":
            return f"given up by the client, which {one.waited_for}'s SYN-ACK never reached,"


def _is_flowing(group: Sequence[EndedStream]) -> bool:
    """Whether data arrived until the end."""
    return all(each.silence < _SILENT and each.stream.request.first_token is not None for each in group)


def _when(closing: Closing, is_flowing: bool) -> str:
    notes = [f"spread {format_value(closing.spread_ms, 'ms')}"] if closing.streams > 1 else []
    if closing.apart_ms is not None and closing.waited_for:
        notes.append(f"it left {closing.waited_for} within {format_value(closing.apart_ms, 'ms')} of that")
    note = f" ({', '.join(notes)})" if notes else ""
    if closing.since == "last-data":
        source = f" from {closing.waited_for}" if closing.waited_for else ""
        return f"after {closing.seconds:.2f} s of silence{source}{note}"
    return f"{closing.seconds:.2f} s after the request{', while data arrived' if is_flowing else ''}{note}"
