"""The raw records of a run. All stamps are monotonic ns of the machine that ran it; None means "not known".

| file              | record     | written by | one line for each                                        |
|-------------------|------------|------------|----------------------------------------------------------|
| `phases.jsonl`    | `Phase`    | conductor  | phase, when its faults are in force and read back        |
| `requests.jsonl`  | `Request`  | probe      | request, when it ended                                   |
| `tokens.jsonl`    | `Read`     | probe      | socket read that completed at least one token            |
| `signs.jsonl`     | `Signs`    | probe      | run of events without text, between two tokens           |
| `tcp_info.jsonl`  | `TcpInfo`  | probe      | TCP_INFO sample                                          |
| `vitals.jsonl`    | `Vitals`   | probe      | half second of the probe's own life                      |
| `served.jsonl`    | `Served`   | server     | request that the reference server answered               |
| `unacked.jsonl`   | `Unacked`  | server     | look at a connection that keeps on retransmitting        |
| `counters.jsonl`  | `Counters` | conductor  | qdisc and second; filter that loses, at a phase's ends   |
| `hops.jsonl`      | `Hop`      | conductor  | a phase's ends, where a fault makes the router narrow    |

Lines are flushed a few times a second: a kill loses at most the last quarter of a second and a torn line.
`tokens.jsonl` and `signs.jsonl` grow with what a server sends: their lines are arrays of whole numbers.
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
    "internal_error",
    "cancelled",
]
# `too_large`: more events, bytes or headers than one stream may have; `internal_error`: a mistake in chaoskit.
EventKind = Literal["content", "reasoning", "meta", "ping", "finish", "done", "error"]
# `done` is the protocol's own end marker; `finish` a finish_reason before it; `meta` a sign of life without text.
KINDS: tuple[EventKind, ...] = get_args(EventKind)
TOKENS: tuple[EventKind, ...] = ("content", "reasoning")


@dataclass(frozen=True, slots=True)
class Phase:
    """From `begin` the change towards this phase was under way; at `ready` it was read back.

    `until` is the planned end. The phase "drain" closes every timeline: no new requests, the open ones end.
    """

    name: str
    round: int
    faults: tuple[str, ...]
    begin: int
    ready: int
    until: int


@dataclass(frozen=True, slots=True)
class Event:
    """One server-sent event or NDJSON line. `seq`, `due`, `sent` are the reference server's stamps, if it is one."""

    kind: EventKind
    seq: int | None = None
    due: int | None = None
    sent: int | None = None


@dataclass(frozen=True, slots=True)
class Read:
    """One socket read. `at` is the kernel's receive stamp (`user` where it gave none); `user` when we had it.

    `read` numbers the reads of a connection; all events of one read share its stamp (their gaps are "coalesced").
    In `tokens.jsonl` the events are tokens only; the others are counted in `Signs`.
    """

    stream: int
    read: int
    at: int
    user: int
    size: int
    events: tuple[Event, ...]


@dataclass(frozen=True, slots=True)
class Signs:
    """Events that are no tokens, as many as came in a row: signs of life, and the end.

    `tokens` is how many tokens the stream had before. `first` and `last` are the stamps of their first and last
    read, `size` the bytes of all their reads, `largest` those of the largest one. A run ends with the next token,
    with its stream, or with a flush.
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
    """One request from wish to end. Stamps, except the four durations in ns that end in `_took`."""

    stream: int
    scheduled: int
    started: int
    ended: int
    completion: Completion
    detail: str = ""
    sent: int | None = None
    dns_took: int | None = None
    connect_took: int | None = None
    tls_took: int | None = None
    upload_took: int | None = None
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
    """The kernel's view of a stream's connection. `rtt` at "connected" is the handshake's, the in-band RTT.

    "stuck": nothing had come for a second, or for its next double.
    """

    stream: int
    when: Literal["connected", "start", "stuck", "end"]
    at: int
    fields: dict[str, int] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Vitals:
    """How the probe itself was doing, in ns: `lag` is the longest wait of its loop since the last line, `cpu` the
    processor time that the process has used so far."""

    at: int
    open: int
    started: int
    ended: int
    lag: int
    cpu: int
    last_ttft: int | None = None


@dataclass(frozen=True, slots=True)
class Served:
    """One answer of the reference server. `late` is the longest that an event left after its due time, in ns.

    `met` is TCP_INFO when the request was there, `tcp_info` when the last byte had been handed to the kernel.
    """

    stream: int | None
    received: int
    first_due: int
    ended: int
    intended: int
    sent: int
    late: int
    fate: Literal["sent", "client-left", "failed"]
    tcp_info: dict[str, int] = field(default_factory=dict)
    met: dict[str, int] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Unacked:
    """The reference server's socket while it retransmits for the second time or more; again when that has got worse,
    and once when it has ended. `stream` is the latest that asked on this connection."""

    stream: int
    at: int
    fields: dict[str, int] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Counters:
    """A qdisc's counters at one moment, since it was made. `phase` is the phase that was in force.

    A filter's `drops` are what it took, its `packets` what it let go on; on a real interface a train of segments is
    one drop. An `mtu` is a lab's link: what it received, and lost because it was too long for it. Earlier runs have
    qdiscs alone.
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
    """What the router of a lab did with packets at one moment, since it was made: see `knobs.HopCounters`."""

    at: int
    place: str
    phase: str
    round: int
    came: int
    too_long: int
    signals: int


Record = Phase | Request | Read | Signs | TcpInfo | Vitals | Served | Unacked | Counters | Hop
