"""Makes the rows of the tables of TCP, queues and hops."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping

from chaoskit.analysis.load import RawRecords
from chaoskit.records.model import Counters
from chaoskit.telemetry.traces import traces

_FIELDS = (
    *("rtt", "rto", "snd_cwnd", "unacked", "lost", "retransmits", "total_retrans"),
    *("bytes_sent", "bytes_acked", "bytes_received", "rcv_ooopack", "snd_mss", "pmtu"),
)
_NOT_QUEUES = ("connection-ends", "sockets")  # counters of records
Row = tuple[object, ...]


def tcp_rows(raw: RawRecords, origin: int) -> Iterator[Row]:
    """Of all samples of TCP_INFO, in order of time."""
    return iter(sorted(_tcp_rows(raw, origin), key=lambda row: row[0]))  # type: ignore[arg-type, return-value]


def _tcp_rows(raw: RawRecords, origin: int) -> Iterator[Row]:
    ports = {request.stream: request.port for request in raw.requests}
    for info in raw.infos:
        yield (info.at - origin, "client", info.stream, info.when, ports.get(info.stream), "", None, *_of(info.fields))
    for one in raw.served:
        port = ports.get(one.stream) if one.stream is not None else None
        for at, when, fields in (
            (one.received, "start", one.tcp_info_at_start),
            (one.ended, "end", one.tcp_info),
        ):
            if fields:
                yield (at - origin, "server", one.stream, when, None, "client", port, *_of(fields))
    for sample in raw.unacked:
        peer_port = ports.get(sample.stream)
        yield (sample.at - origin, "server", sample.stream, "unacked", None, "client", peer_port, *_of(sample.fields))
    for each in raw.host_sockets:
        yield (
            *(each.at - origin, each.host, None, "sampled", each.port, each.remote, each.remote_port),
            *_of(each.fields),
        )


def _of(fields: Mapping[str, int]) -> Iterator[int | None]:
    return (fields.get(name) for name in _FIELDS)


def queue_rows(counters: Iterable[Counters], origin: int) -> Iterator[Row]:
    """Of the counters of queues, filters and links."""
    for each in counters:
        if each.kind not in _NOT_QUEUES:
            yield (
                *(each.at - origin, each.place, each.name, each.kind, each.phase, each.round),
                *(each.packets, each.bytes, each.drops, each.overlimits, each.qlen, each.backlog),
            )


def hop_rows(raw: RawRecords, origin: int) -> Iterator[Row]:
    """Of all spans, on the run's clock."""
    of_trace = {request.trace: request.stream for request in reversed(raw.requests) if request.trace is not None}
    has_one_clock = raw.plan is not None and raw.plan.interface is None
    for span in traces(raw.requests, raw.spans, raw.exports, has_one_clock).spans:
        yield (
            *(of_trace.get(span.trace), span.trace, span.span, span.parent, span.host, span.name, span.operation),
            *(span.begin - origin, span.end - origin, span.error),
            json.dumps(span.attributes, sort_keys=True),
        )
