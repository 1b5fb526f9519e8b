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
| `connection_ends.jsonl` | `ConnectionEnd` | conductor | SYN, FIN or RST, in each namespace of a lab that received it |
| `host_sockets.jsonl` | `HostSocket`   | conductor  | second in which something changed on a host's TCP socket  |
| `host_states.jsonl` | `HostState`     | conductor  | change of what the program of a host does                 |
| `spans.jsonl`      | `Span`           | a tier     | hop of a request, and each attempt of it                  |
| `model_states.jsonl` | `ModelState`   | server     | second of the queue of a model that batches requests      |
| `exports.jsonl`    | `Exports`        | conductor  | program that exported spans, when the run ends            |

Lines are flushed a few times a second: a kill loses at most the last quarter of a second and leaves one torn line.
`tokens.jsonl` and `keepalives.jsonl` grow with what a server sends: their lines are arrays of integers.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal, get_args

from chaoskit.records.host_records import ConnectionEnd, HostSocket, HostState, NamespaceCounters
from chaoskit.records.look_record import Look
from chaoskit.records.spans import Exports, ModelState, Span

Completion = Literal[
    "complete",
    "truncated",
    "reset",
    "idle_timeout",
    "first_token_timeout",
    "stream_timeout",
    "abandoned",
    "connect_failed",
    "http_error",
    "error_event",
    "protocol_error",
    "too_large",
    "client_error",
    "internal_error",
    "cancelled",
]
# `abandoned`: its user gave up before the first token; `too_large`: more events, bytes or headers than the limits of
# one stream; `client_error`: this machine ran out of open files, ports or memory; `internal_error`: a bug in chaoskit.
# Neither of the last two is the endpoint's failure.
NOT_INTERRUPTED: tuple[Completion, ...] = ("complete", "cancelled", "client_error")
TCP_HANDSHAKE = "TCP handshake"  # how the detail begins of a request that nothing answered when it wanted to connect
ASKED_AGAIN = "; asked again "  # in the detail of a refused request, before what was changed
DRAIN = "drain"  # the name of the phase after the last one
EventKind = Literal["content", "reasoning", "media", "meta", "ping", "finish", "done", "error"]
# `media` is output that is no text: audio, an image. `done` is the protocol's end marker; `finish` a finish reason
# before it; `meta` any other event without output.
KINDS: tuple[EventKind, ...] = get_args(EventKind)
TOKENS: tuple[EventKind, ...] = ("content", "reasoning", "media")
Flag = Literal["empty", "short"]
# Of a complete response: it has no token; it has far fewer than were asked for, and not because the model had finished.


@dataclass(frozen=True, slots=True)
class Phase:
    """A phase of the timeline. The last one is `drain`: no new requests, open streams end."""

    name: str
    """From the timeline; `drain` for the last one."""
    round: int
    """Which repetition of the timeline, from 0."""
    faults: tuple[str, ...]
    """Names of the faults in force."""
    begin: int
    """When chaoskit began to change the network: as planned, if it was late by less than 1 ms."""
    ready: int
    """When every change was read back: the faults are in force."""
    until: int
    """The planned end."""


@dataclass(frozen=True, slots=True)
class Event:
    """One server-sent event or NDJSON line. `seq`, `due`, `sent` are the reference server's; others give none."""

    kind: EventKind
    """What it carries."""
    seq: int | None = None
    """Its number in the response."""
    due: int | None = None
    """When the reference server planned to send it."""
    sent: int | None = None
    """When it wrote it to the socket."""


@dataclass(frozen=True, slots=True)
class SocketRead:
    """One socket read that completed at least one token. All its tokens share its stamp: their gaps are "coalesced"."""

    stream: int
    """The request's number."""
    number: int
    """Counts the reads of a connection, from 0."""
    at: int
    """When the kernel received it; `read_at` if it gave no stamp."""
    read_at: int
    """When the probe read it."""
    looked_at: int
    """When its event loop had last found nothing there: all of this read came after that. Not known: `at`."""
    size: int
    """Bytes."""
    events: tuple[Event, ...]
    """The events that this read completed."""


@dataclass(frozen=True, slots=True)
class Keepalives:
    """Consecutive events of a stream without a token: keepalives, and the end of the stream.

    A series ends with the next token, the end of the stream, or a flush.
    """

    stream: int
    """The request's number."""
    tokens: int
    """Tokens of the stream before them."""
    first: int
    """Stamp of the first read."""
    last: int
    """Stamp of the last read."""
    size: int
    """Bytes of all their reads."""
    largest: int
    """Bytes of the largest read."""
    meta: int = 0
    """Other events without text."""
    ping: int = 0
    """Pings and comments."""
    finish: int = 0
    """Events with a finish reason."""
    done: int = 0
    """The protocol's end marker."""
    error: int = 0
    """Error events."""


@dataclass(frozen=True, slots=True)
class Request:
    """One request and its outcome. Fields are stamps; those that end in `_duration` are in ns."""

    stream: int
    """Its number, from 0."""
    scheduled: int
    """When the arrival process wanted it to start."""
    started: int
    """When the probe started it."""
    ended: int
    """When it ended."""
    completion: Completion
    """How it ended."""
    detail: str = ""
    """Why, where it is not `complete`."""
    sent: int | None = None
    """When the last byte of the request was written."""
    dns_duration: int | None = None
    """Name lookup; null on a reused connection, as the next two."""
    connect_duration: int | None = None
    """TCP handshake."""
    tls_duration: int | None = None
    """TLS handshake."""
    upload_duration: int | None = None
    """Writing head and body of the request."""
    headers: int | None = None
    """When the response's head was read."""
    first_event: int | None = None
    """First event of any kind."""
    first_token: int | None = None
    """First event with output: text, reasoning, audio or an image."""
    first_output: int | None = None
    """First event with output that is not reasoning."""
    last_token: int | None = None
    """Last event with output."""
    tokens: int = 0
    """Events with output."""
    usage: int | None = None
    """Tokens of those events, as the server counted them; null where it did not tell."""
    status: int | None = None
    """HTTP status."""
    coding: str | None = None
    """Content coding of the response, such as gzip; null where it had none."""
    http: str | None = None
    """HTTP version."""
    connection: int | None = None
    """Number of the connection."""
    port: int | None = None
    """The client's TCP port of the connection."""
    reused: bool = False
    """Whether an earlier request used the connection."""
    warmup: bool = False
    """Whether it does not count: a warm-up request, or a refused one that was asked again in other words."""
    reconnected: bool = False
    """Whether the server had closed the connection that it was to use again: it took a new one."""
    queue_duration: int | None = None
    """Waiting in this client, until the server allowed one more HTTP/2 stream on the connection."""
    unreachable: tuple[str, ...] = ()
    """Addresses that did not accept, or not within 250 ms, while another one did."""
    asked: int | None = None
    """The most tokens that it asked for; null where it asked for no number."""
    finish: str | None = None
    """The server's word for why the answer ended."""
    flag: Flag | None = None
    """What is wrong with a complete answer."""
    remarks: tuple[str, ...] = ()
    """What is odd about the response, although it could be understood."""
    trace: str | None = None
    """The trace that its `traceparent` names, 32 hexadecimal digits; null where it had none."""
    workflow: str | None = None
    """The workflow that it asked for; null where it named none."""
    traffic_class: str | None = None
    """Its traffic class; null where it had none."""
    attempt: int = 1
    """How often its user had asked with it: 1 for the first time."""
    retry_of: int | None = None
    """The number of the request that the user gave up before it; null for a first attempt."""
    tier_asked: str | None = None
    """The `service_tier` that it asked for; null where it asked for none."""
    tier_served: str | None = None
    """The `service_tier` that the answer tells."""
    degraded: str | None = None
    """What the answer's header `x-degraded` tells: how it is less than what was asked for."""
    computed: int | None = None
    """The tokens that an engine of the reference server meant its answer to have; null without one."""


@dataclass(frozen=True, slots=True)
class TcpInfo:
    """TCP_INFO of a stream's connection. Its `rtt` at `connected` is the round trip of the handshake."""

    stream: int
    """The request's number."""
    when: Literal["connected", "start", "silent", "resumed", "stuck", "end"]
    """`silent`: in a stall, after half of its threshold; `resumed`: at the read that ended it; `stuck`: nothing was
    received for 1 s, 2 s, 4 s, ..."""
    at: int
    """When it was taken."""
    fields: dict[str, int] = field(default_factory=dict)
    """By the kernel's names, without `tcpi_`. At `silent` and `stuck` also `rmem_alloc`: bytes of memory that hold what
    has been received and cannot be read yet."""


@dataclass(frozen=True, slots=True)
class Vitals:
    """The state of the probe itself, of each of its processes, twice a second."""

    at: int
    """When it was taken."""
    open: int
    """Streams in flight."""
    started: int
    """Requests started so far."""
    ended: int
    """Requests ended so far."""
    lag: int
    """The longest delay of the event loop since the last record, ns."""
    cpu: int
    """Processor time of the probe so far, ns."""
    last_ttft: int | None = None
    """The latest first-token latency, ns."""
    process: int | None = None
    """Number of the process, from 0; no such field where there is only one."""


@dataclass(frozen=True, slots=True)
class ServedResponse:
    """One response of the reference server."""

    stream: int | None
    """The request's number, as its header says."""
    received: int
    """When the request's head was read."""
    first_due: int
    """When the first token was due."""
    ended: int
    """When the last byte was written."""
    tokens: int
    """Tokens that were planned."""
    tokens_sent: int
    """Tokens that were written."""
    max_late: int
    """The longest time that an event was sent after it was due, ns."""
    outcome: Literal["sent", "client-left", "failed"]
    """How it ended for the server."""
    tcp_info: dict[str, int] = field(default_factory=dict)
    """TCP_INFO when the last byte was written."""
    tcp_info_at_start: dict[str, int] = field(default_factory=dict)
    """TCP_INFO when the request was received."""
    sent_again: tuple[tuple[int, int, int, int, int], ...] = ()
    """Each change of TCP_INFO's `total_retrans`, `dsack_dups` and `reord_seen` from the writing of one token to that of
    the next: both times, and the new counts."""


@dataclass(frozen=True, slots=True)
class UnackedSample:
    """TCP_INFO of a socket of the reference server from its second consecutive retransmission on.

    Again after each further one, and once when they have ended.
    """

    stream: int
    """The latest request on this connection."""
    at: int
    """When it was taken."""
    fields: dict[str, int] = field(default_factory=dict)
    """TCP_INFO, by the kernel's names without `tcpi_`."""


@dataclass(frozen=True, slots=True)
class Counters:
    """The counters of a qdisc, a filter or a link since its creation.

    A filter's `drops` are the packets that it dropped, its `packets` those that it passed; on a real interface a GSO
    packet of several segments is one drop. Kind `mtu` is a link of a lab: packets received, and dropped as too long.
    Kinds `connection-ends` and `sockets`: records, and those of them that found no room in these files.
    """

    at: int
    """When they were read."""
    place: str
    """The network namespace; empty: the one that chaoskit runs in."""
    name: str
    """The interface, or the filter."""
    phase: str
    """The phase at that time."""
    round: int
    """Its repetition."""
    packets: int
    """Packets that passed."""
    bytes: int
    """Bytes that passed."""
    drops: int
    """Packets that were dropped."""
    overlimits: int
    """Times that a limit delayed a packet."""
    qlen: int
    """Packets in the queue."""
    backlog: int
    """Bytes in the queue."""
    kind: str = "qdisc"
    """`qdisc`, `filter`, `mtu`, `connection-ends` or `sockets`."""


@dataclass(frozen=True, slots=True)
class Hop:
    """The forwarding counters of a lab's router since its creation, at the end of a phase."""

    at: int
    """When they were read."""
    place: str
    """The network namespace."""
    phase: str
    """The phase that ended."""
    round: int
    """Its repetition."""
    came: int
    """Packets received to be forwarded."""
    too_long: int
    """Packets longer than the next link's MTU."""
    signals: int
    """ICMP messages about that: type 3 code 4, and Packet Too Big."""


Record = (
    Phase
    | Request
    | SocketRead
    | Keepalives
    | TcpInfo
    | Vitals
    | ServedResponse
    | UnackedSample
    | Counters
    | Hop
    | Look
    | ConnectionEnd
    | HostSocket
    | HostState
    | NamespaceCounters
    | Span
    | ModelState
    | Exports
)
