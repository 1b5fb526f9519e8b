"""Defines the raw records of a run. Stamps are monotonic ns; None means "not known".

| file               | record           | written by | one line for each                                         |
|--------------------|------------------|------------|-----------------------------------------------------------|
| `phases.jsonl`     | `Phase`          | conductor  | phase, when its faults are in force and read back         |
| `requests.jsonl`   | `Request`        | probe      | request, when it ended                                    |
| `tokens.jsonl`     | `SocketRead`     | probe      | socket read that completed at least one token             |
| `keepalives.jsonl` | `Keepalives`     | probe      | series of events without a token, between two tokens      |
| `tcp_info.jsonl`   | `TcpInfo`        | probe      | TCP_INFO sample                                           |
| `vitals.jsonl`     | `Vitals`         | probe      | half second of the probe's own state                      |
| `served.jsonl`     | `ServedResponse` | server     | request that the reference server answered                |
| `unacked.jsonl`    | `UnackedSample`  | server     | TCP_INFO sample of a connection that keeps retransmitting |
| `counters.jsonl`   | `Counters`       | conductor  | qdisc each second; dropping filter at the ends of a phase |
| `hops.jsonl`       | `Hop`            | conductor  | end of a phase in which a fault may exceed the router's MTU |

Lines are flushed a few times a second: a kill loses at most the last quarter of a second and leaves one torn line.
`tokens.jsonl` and `keepalives.jsonl` grow with what a server sends: their lines are arrays of integers.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal, get_args

Completion = Literal[
    "complete",
    "truncated",
    "reset",
    "idle_timeout",
    "first_token_timeout",
    "stream_timeout",
    "connect_failed",
    "http_error",
    "error_event",
    "protocol_error",
    "too_large",
    "client_error",
    "internal_error",
    "cancelled",
]
# `too_large`: more events, bytes or headers than the limits of one stream; `client_error`: this machine ran out of open
# files, ports or memory; `internal_error`: a bug in chaoskit. Neither of the two is the endpoint's failure.
EventKind = Literal["content", "reasoning", "meta", "ping", "finish", "done", "error"]
# `done` is the protocol's end marker; `finish` a finish_reason before it; `meta` any other event without text.
KINDS: tuple[EventKind, ...] = get_args(EventKind)
TOKENS: tuple[EventKind, ...] = ("content", "reasoning")


@dataclass(frozen=True, slots=True)
class Phase:
    """A phase of the timeline. At `begin` chaoskit starts to change the network; at `ready` the change is read back.

    `until` is the planned end. Every timeline ends with the phase "drain": no new requests, open streams end.
    """

    name: str
    round: int
    faults: tuple[str, ...]
    begin: int
    ready: int
    until: int


@dataclass(frozen=True, slots=True)
class Event:
    """One server-sent event or NDJSON line. `seq`, `due`, `sent` are stamps of the reference server, None for
    others."""

    kind: EventKind
    seq: int | None = None
    due: int | None = None
    sent: int | None = None


@dataclass(frozen=True, slots=True)
class SocketRead:
    """One socket read. `at` is the kernel's receive stamp (`read_at` if it gave none), `read_at` the time of the read.

    `number` counts the reads of a connection; all events of one read share its stamp (their gaps are "coalesced").
    In `tokens.jsonl` the events are tokens only; the others are counted in `Keepalives`.
    """

    stream: int
    number: int
    at: int
    read_at: int
    size: int
    events: tuple[Event, ...]


@dataclass(frozen=True, slots=True)
class Keepalives:
    """Consecutive events of a stream without a token: keepalives, and the end of the stream.

    `tokens` is the number of tokens before them. `first` and `last` are the stamps of their first and last read,
    `size` the bytes of all their reads, `largest` those of the largest one. A series ends with the next token, the end
    of the stream, or a flush.
    """

    stream: int
    tokens: int
    first: int
    last: int
    size: int
    largest: int
    meta: int = 0
    ping: int = 0
    finish: int = 0
    done: int = 0
    error: int = 0


@dataclass(frozen=True, slots=True)
class Request:
    """One request and its outcome. Fields are stamps; those that end in `_duration` are in ns."""

    stream: int
    scheduled: int
    started: int
    ended: int
    completion: Completion
    detail: str = ""
    sent: int | None = None
    dns_duration: int | None = None
    connect_duration: int | None = None
    tls_duration: int | None = None
    upload_duration: int | None = None
    headers: int | None = None
    first_event: int | None = None
    first_token: int | None = None
    first_output: int | None = None
    last_token: int | None = None
    tokens: int = 0
    status: int | None = None
    http: str | None = None
    connection: int | None = None
    reused: bool = False


@dataclass(frozen=True, slots=True)
class TcpInfo:
    """TCP_INFO of a stream's connection. `rtt` at "connected" is the RTT of the handshake.

    "stuck": nothing was received for 1 s, 2 s, 4 s, ...
    """

    stream: int
    when: Literal["connected", "start", "stuck", "end"]
    at: int
    fields: dict[str, int] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Vitals:
    """The state of the probe itself: `lag` is the longest delay of its event loop since the last record, `cpu` the
    processor time of the process so far, both in ns."""

    at: int
    open: int
    started: int
    ended: int
    lag: int
    cpu: int
    last_ttft: int | None = None


@dataclass(frozen=True, slots=True)
class ServedResponse:
    """One response of the reference server. `tokens` are scheduled, `tokens_sent` were sent.

    `max_late` is the longest time that an event was sent after its due time, in ns. `tcp_info_at_start` is TCP_INFO
    when the request was received, `tcp_info` when the last byte was written to the socket.
    """

    stream: int | None
    received: int
    first_due: int
    ended: int
    tokens: int
    tokens_sent: int
    max_late: int
    outcome: Literal["sent", "client-left", "failed"]
    tcp_info: dict[str, int] = field(default_factory=dict)
    tcp_info_at_start: dict[str, int] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class UnackedSample:
    """TCP_INFO of a socket of the reference server from its second consecutive retransmission on; again after each
    further one, and once when they have ended. `stream` is the latest request on this connection."""

    stream: int
    at: int
    fields: dict[str, int] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Counters:
    """A qdisc's counters since its creation. `phase` is the phase at that time.

    A filter's `drops` are the packets that it dropped, its `packets` those that it passed; on a real interface a GSO
    packet of several segments is one drop. Kind `mtu` is a link of a lab: packets received, and dropped as too long.
    """

    at: int
    place: str
    name: str
    phase: str
    round: int
    packets: int
    bytes: int
    drops: int
    overlimits: int
    qlen: int
    backlog: int
    kind: str = "qdisc"


@dataclass(frozen=True, slots=True)
class Hop:
    """The forwarding counters of a lab's router since its creation: see `knobs.HopCounters`."""

    at: int
    place: str
    phase: str
    round: int
    came: int
    too_long: int
    signals: int


Record = Phase | Request | SocketRead | Keepalives | TcpInfo | Vitals | ServedResponse | UnackedSample | Counters | Hop
