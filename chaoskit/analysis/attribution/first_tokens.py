"""Divides what late first tokens took beyond the usual, by part of the way and by whose it was.

Late is what came later than 19 of 20 in the phase of reference; usual is the median of each part there.

| part of the time to a first token, as far as it is longer than usual                       | whose         |
|--------------------------------------------------------------------------------------------|---------------|
| `waiting`: from the time at which it was scheduled until the client began, and could send  | the client's  |
| `name-lookup`, `connect`, `tls`: mostly round trips                                        | the network's |
| `upload`: until the server has the request, by the packets; else until it could be written | the network's |
| `server`: by the reference server's stamps, or by the packets                              | the server's  |
| `return`: from the server's kernel to the client, by the packets                           | the network's |
| `unsplit`: all that is left, where nothing divides it, see below                           |               |

| what is left, where                                                                        | is            |
|--------------------------------------------------------------------------------------------|---------------|
| the reference server stamps its events, and answers itself: both ways                      | the network's |
| segments of this client had to be sent again, or the answer waited for a missing one       | the network's |
| the handshake's round trip had grown: as much                                              | the network's |
| the reference server stamps its events, and a host of the lab answers for it               | between       |
| the server had acknowledged the request, and for a second nothing came                     | the server's  |
| else                                                                                       | unknown       |
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from statistics import median
from typing import NamedTuple, get_args

from chaoskit.analysis.attribution.evidence import StreamEvidence
from chaoskit.analysis.attribution.verdict import CAUSES, Lateness
from chaoskit.analysis.load import RawRecords
from chaoskit.analysis.result import Cause, Confidence, FirstTokenPart
from chaoskit.analysis.segments.captured_connections import Segments
from chaoskit.analysis.segments.request_path import RequestPath, request_path
from chaoskit.analysis.statistics.quantiles import MS, nearest_rank
from chaoskit.records.model import Request, ServedResponse

PARTS: tuple[FirstTokenPart, ...] = get_args(FirstTokenPart)
_NETWORK: tuple[FirstTokenPart, ...] = ("name-lookup", "connect", "tls", "upload", "return")
_FIRST_DIVIDED = PARTS.index("upload")
_FEWEST = 20  # of a phase of reference: below it a p95 is the maximum


@dataclass(frozen=True)
class Steps:
    """The time to a first token, ns: `parts` in the order of `PARTS`. `is_stamped`: by the server's own stamps.

    `path` is what the packets tell, where they were captured; `round_trip` that of the connection's handshake.
    """

    parts: tuple[int, ...]
    is_stamped: bool = False
    path: RequestPath | None = None
    round_trip: int | None = None

    @property
    def total(self) -> int:
        """All of it."""
        return sum(self.parts)

    @property
    def evidence(self) -> tuple[bool, bool]:
        """What divides it."""
        return self.is_stamped, self.path is not None

    def undivided(self) -> Steps:
        """The same without what the server or the packets tell."""
        rest = sum(self.parts[_FIRST_DIVIDED:])
        return Steps((*self.parts[:_FIRST_DIVIDED], 0, 0, 0, rest), round_trip=self.round_trip)


class LateFirstToken(NamedTuple):
    """One that was late, and what it took beyond the usual, ns, by part and by cause."""

    request: Request
    steps: Steps
    parts: Mapping[FirstTokenPart, float]
    time: Lateness


class LateFirstTokens(NamedTuple):
    """How many were late, and what they took beyond the usual, ms, by cause and by part."""

    late: int = 0
    causes: Mapping[Cause, float] = {}
    parts: Mapping[FirstTokenPart, float] = {}
    confidence: Confidence = "exact"


@dataclass(frozen=True)
class FirstTokens:
    """What the records tell: the server's stamps of first tokens, its records of the requests, and all evidence."""

    sent: Mapping[int, int] = field(default_factory=dict)
    served: Mapping[int, ServedResponse] = field(default_factory=dict)
    evidence: StreamEvidence = field(default_factory=StreamEvidence)

    def late(self, requests: Sequence[Request], reference: Sequence[Request]) -> LateFirstTokens:
        """Those of these that were late. None were, where there is no reference."""
        causes, parts = Counter[Cause](), Counter[FirstTokenPart]()
        late = list(self.late_ones(requests, reference))
        for each in late:
            parts.update({part: time / MS for part, time in each.parts.items()})
            causes.update({cause: time / MS for cause in CAUSES if (time := getattr(each.time, cause))})
        is_exact = not self.evidence.has_front and all(each.steps.is_stamped for each in late)
        confidence: Confidence = "exact" if is_exact else "likely"
        is_known = any(causes[cause] for cause in CAUSES if cause != "unknown")
        return LateFirstTokens(
            len(late),
            {cause: causes[cause] for cause in CAUSES if causes[cause]},
            {part: parts[part] for part in PARTS if parts[part]},
            confidence if is_known or not late else "none",
        )

    def late_ones(self, requests: Sequence[Request], reference: Sequence[Request]) -> Iterator[LateFirstToken]:
        """Each of these that was late."""
        usual = [steps for request in reference if (steps := self.steps(request)) is not None]
        if len(usual) < _FEWEST:
            return
        bound = nearest_rank(sorted(steps.total for steps in usual), 95)
        for request in requests:
            steps = self.steps(request)
            if steps is not None and steps.total > bound:
                yield LateFirstToken(request, steps, *self._excess(request, steps, usual))

    def steps(self, request: Request) -> Steps | None:
        """The parts of one; None where it never came."""
        if request.first_token is None or request.sent is None:
            return None
        lookup, connect, tls = (
            each or 0 for each in (request.dns_duration, request.connect_duration, request.tls_duration)
        )
        waiting = max(0, request.sent - request.scheduled - lookup - connect - tls)
        rest = max(0, request.first_token - max(request.sent, request.scheduled))
        upload = min(rest, request.upload_duration or 0)
        path = self._path(request)
        served, stamp = self.served.get(request.stream), self.sent.get(request.stream)
        before, trip = (waiting, lookup, connect, tls), self.evidence.sockets.round_trip(request.stream)
        if served is not None and stamp is not None:
            server = min(rest, max(0, stamp - served.received, path.server if path is not None else 0))
            if path is not None and path.up + path.down:
                up = (rest - server) * path.up // (path.up + path.down)
                return Steps((*before, up, server, rest - server - up, 0), True, path, trip)
            upload = min(upload, rest - server)
            return Steps((*before, upload, server, 0, rest - server - upload), True, None, trip)
        if path is not None:
            return Steps((*before, path.up, path.server, path.down, 0), False, path, trip)
        return Steps((*before, upload, 0, 0, rest - upload), False, None, trip)

    def connection(self, request: Request) -> Segments | None:
        """The packets of its connection, where they were captured."""
        if request.sent is None:
            return None
        return self.evidence.capture.connection(self.evidence.ports.get(request.stream), request.sent)

    def _path(self, request: Request) -> RequestPath | None:
        """By the packets. A connection of HTTP/2 has those of other requests as well."""
        connection = self.connection(request)
        if connection is None or request.sent is None or request.first_token is None or request.http == "HTTP/2":
            return None
        return request_path(connection, request.sent, request.first_token)

    def _excess(
        self, request: Request, steps: Steps, usual: Sequence[Steps]
    ) -> tuple[dict[FirstTokenPart, float], Lateness]:
        """What one that was late took beyond the usual, ns, by part and by cause."""
        alike = [each for each in usual if each.evidence == steps.evidence]
        if len(alike) < _FEWEST:
            alike = [each.undivided() for each in usual]
            longer = _as_divided(_longer(steps.undivided(), alike), steps)
        else:
            longer = _longer(steps, alike)
        time = steps.total - median(each.total for each in alike)
        if not sum(longer):
            return {"unsplit": time}, Lateness(unknown=time)
        excess = {part: each * time / sum(longer) for part, each in zip(PARTS, longer, strict=True) if each}
        left = excess.get("unsplit", 0.0)
        network, server = self._left(request, steps, left, alike)
        rest = left - network - server
        is_between = steps.is_stamped and self.evidence.has_front
        return excess, Lateness(
            server=excess.get("server", 0.0) + server,
            network=network + sum(excess.get(part, 0.0) for part in _NETWORK),
            client=excess.get("waiting", 0.0),
            between=rest if is_between else 0.0,
            unknown=0.0 if is_between else rest,
        )

    def _left(self, request: Request, steps: Steps, left: float, alike: Sequence[Steps]) -> tuple[float, float]:
        """How much of what is left is the network's, and the server's."""
        sockets, stream = self.evidence.sockets, request.stream
        has_trouble = not request.reused and sockets.had_trouble_before_token(stream)
        is_whole = steps.is_stamped and not self.evidence.has_front
        if is_whole or has_trouble or sockets.waited_before_token(stream):
            return left, 0.0
        trips = [each.round_trip for each in alike if each.round_trip is not None]
        risen = 0.0
        if trips and steps.round_trip is not None and not request.reused:
            risen = min(left, max(0.0, steps.round_trip - median(trips)))
        is_served = not steps.is_stamped and sockets.was_answered_in_silence(stream)
        return risen, left - risen if is_served else 0.0


def _longer(steps: Steps, alike: Sequence[Steps]) -> list[float]:
    """By how much each part is longer than usual."""
    columns = zip(*(each.parts for each in alike), strict=True)
    return [max(0.0, mine - median(column)) for mine, column in zip(steps.parts, columns, strict=True)]


def _as_divided(longer: list[float], steps: Steps) -> list[float]:
    """The same where what is usual is not divided: the rest in shares of the parts that this one has."""
    *known, rest = longer
    own = steps.parts[_FIRST_DIVIDED:]
    total = sum(own)
    shares = [rest * each / total for each in own] if total else [0.0] * (len(own) - 1) + [rest]
    return [*known[:_FIRST_DIVIDED], *shares]


def first_tokens_of(raw: RawRecords, evidence: StreamEvidence) -> FirstTokens:
    """What the records of a run tell."""
    served = {one.stream: one for one in raw.served if one.stream is not None}
    return FirstTokens(raw.streams.table.first_sent, served, evidence)
