"""Collects what is known of each stream beside its stamps."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterable, Mapping, Sequence, Set
from dataclasses import dataclass, field
from types import MappingProxyType

from chaoskit.analysis.attribution.connection_attempts import ConnectionAttempts
from chaoskit.analysis.attribution.gap_evidence import SocketEvidence
from chaoskit.analysis.attribution.sent_again import SentAgain, sent_again
from chaoskit.analysis.segments.captured_connections import Capture
from chaoskit.analysis.segments.links import Links
from chaoskit.analysis.statistics.quantiles import MS
from chaoskit.analysis.streams.gaps import Gap
from chaoskit.records.host_records import HostSocket
from chaoskit.records.model import ServedResponse, TcpInfo, Vitals

LATE = 20 * MS
"""Lateness counts from it on, in ns, as `health` has it."""
_VITALS_INTERVAL = 500 * MS  # a line has the longest wait since the line before
_RISE = 50_000  # us: more than an acknowledgement is delayed by


@dataclass(frozen=True)
class StreamEvidence:
    """What is known beside the stamps.

    `server_kept_sending` are the streams whose server sent more than arrived, `server_was_silent` those whose client
    left while it had all that had been sent, and more was to come; `out_of_order` those during which their connection
    received segments out of order, `retransmitted` those whose server had to send segments again, or saw the round trip
    rise, `held_back` those that something in between held back, `cut_off` those that a host in between ended.
    `sent_again` is what the server's kernel sent again, by stream. `server_late` is how far the server was behind its
    schedule at most, ns, by stream: a stream without it has no record of the server. `client_late` is when the event
    loop of one of the client's `processes` had woken late, in order of time, by how much, ns, and which one. The
    processes took the streams in turn. `has_between`: something that holds streams back may stand between the client
    and the server; `has_front`: a host of the lab does, and answers the client. `sockets` has what the client's own
    tell of each stall; `origin` is when the run began, ns. `capture` has the packets of the streams' connections, which
    had these `ports` of the client, and `links` where they passed a lab's routers; `attempts` are all of the client to
    connect.
    """

    server_kept_sending: Set[int] = frozenset()
    server_was_silent: Set[int] = frozenset()
    out_of_order: Set[int] = frozenset()
    retransmitted: Set[int] = frozenset()
    sent_again: Mapping[int, SentAgain] = field(default_factory=dict)
    held_back: Set[int] = frozenset()
    server_late: Mapping[int, int] = field(default_factory=dict)
    client_late: Sequence[tuple[int, int, int]] = ()
    processes: int = 1
    cut_off: Set[int] = frozenset()
    has_between: bool = True
    has_front: bool = False
    sockets: SocketEvidence = field(default_factory=SocketEvidence)
    origin: int = 0
    capture: Capture = field(default_factory=Capture)
    ports: Mapping[int, int] = field(default_factory=dict)
    attempts: ConnectionAttempts = field(default_factory=ConnectionAttempts)
    links: Links = field(default_factory=Links)

    def client_late_in(self, gap: Gap) -> int:
        """How late the event loop of its process woke during a gap at most, ns."""
        place = bisect_left(self.client_late, (gap.begin, 0, 0))
        found = 0
        for at, lag, process in self.client_late[place:]:
            if at - _VITALS_INTERVAL > gap.end:
                break
            if process == gap.stream % self.processes:
                found = max(found, lag)
        return found


def stream_evidence(
    arrived: Mapping[int, int],
    infos: Iterable[TcpInfo],
    served: Iterable[ServedResponse],
    vitals: Sequence[Vitals],
    looks: Mapping[int, Sequence[HostSocket]] = MappingProxyType({}),
) -> StreamEvidence:
    """From the records; `arrived` has the number of each stream's tokens, `looks` those at the server's socket."""
    known = {one.stream: one for one in served if one.stream is not None and one.stream in arrived}
    return StreamEvidence(
        server_kept_sending=frozenset(stream for stream, one in known.items() if one.tokens_sent > arrived[stream]),
        server_was_silent=frozenset(stream for stream, one in known.items() if _was_silent(one, arrived[stream])),
        out_of_order=out_of_order_streams(infos),
        retransmitted=frozenset(stream for stream, one in known.items() if _saw_trouble(one)),
        sent_again={stream: sent_again(one, looks.get(stream, ())) for stream, one in known.items()},
        server_late={stream: one.max_late for stream, one in known.items()},
        client_late=sorted((line.at, line.lag, line.process or 0) for line in vitals if line.lag > LATE),
        processes=1 + max((line.process or 0 for line in vitals), default=0),
    )


def out_of_order_streams(infos: Iterable[TcpInfo]) -> frozenset[int]:
    """The streams during which segments arrived out of order, by the receiver's `rcv_ooopack`."""
    first: dict[int, int] = {}
    found = set()
    for info in infos:
        count = info.fields.get("rcv_ooopack")
        if count is not None and count > first.setdefault(info.stream, count):
            found.add(info.stream)
    return frozenset(found)


def _was_silent(served: ServedResponse, arrived: int) -> bool:
    return served.outcome == "client-left" and served.tokens_sent <= arrived < served.tokens


def _saw_trouble(served: ServedResponse) -> bool:
    """Whether the server's own TCP sent segments again, or saw the round trip rise."""
    begin, end = served.tcp_info_at_start, served.tcp_info
    again = end.get("total_retrans", 0) > begin.get("total_retrans", 0)
    return again or end.get("rtt", 0) > 2 * begin.get("rtt", 0) + _RISE
