"""Divides what late first tokens took beyond the usual, by whose it was.

Late is what came later than 19 of 20 in the phase of reference; usual is its median.

| part of the time to a first token, as far as it is longer than usual                       | whose         |
|--------------------------------------------------------------------------------------------|---------------|
| from the time at which it was scheduled until the client began, and until it could be sent | the client's  |
| name lookup, connecting, TLS, upload: mostly round trips                                   | the network's |
| from the request's arrival at the reference server until it sent the first token           | the server's  |
| the rest, where the reference server stamps its events: both ways                          | the network's |
| the rest elsewhere, if segments of this client had to be sent again                        | the network's |
| the rest elsewhere                                                                         | unknown       |
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from statistics import median
from typing import NamedTuple

from chaoskit.analysis.attribution.gap_evidence import SocketEvidence
from chaoskit.analysis.attribution.verdict import CAUSES, Lateness
from chaoskit.analysis.result import Cause
from chaoskit.analysis.statistics.quantiles import MS, nearest_rank
from chaoskit.records.model import Request, ServedResponse

_FEWEST = 20  # of a phase of reference: below it a p95 is the maximum


class _Steps(NamedTuple):
    """The parts of the time to a first token, ns; `server` is None where nothing stamps it."""

    own: int
    connecting: int
    rest: int
    server: int | None

    @property
    def total(self) -> int:
        return self.own + self.connecting + self.rest + (self.server or 0)


@dataclass(frozen=True)
class FirstTokens:
    """What the records tell of first tokens: the server's stamp of each stream's, and its record of the request."""

    sent: Mapping[int, int] = field(default_factory=dict)
    served: Mapping[int, ServedResponse] = field(default_factory=dict)
    sockets: SocketEvidence = field(default_factory=SocketEvidence)

    def late(self, requests: Sequence[Request], reference: Sequence[Request]) -> tuple[int, dict[Cause, float]]:
        """How many of these were late, and by how many ms in all, by cause. None were, where there is no reference."""
        usual = [steps for request in reference if (steps := self._steps(request)) is not None]
        if len(usual) < _FEWEST:
            return 0, {}
        bound = nearest_rank(sorted(steps.total for steps in usual), 95)
        found = [
            self._divided(request, steps, usual)
            for request in requests
            if (steps := self._steps(request)) is not None and steps.total > bound
        ]
        sums = [sum(each) for each in zip(Lateness(), *found, strict=True)]
        return len(found), {cause: time / MS for cause in CAUSES if (time := getattr(Lateness(*sums), cause))}

    def _steps(self, request: Request) -> _Steps | None:
        if request.first_token is None or request.sent is None:
            return None
        durations = (request.dns_duration, request.connect_duration, request.tls_duration, request.upload_duration)
        connecting = sum(each for each in durations if each is not None)
        own = max(0, request.sent - request.scheduled - connecting + (request.upload_duration or 0))
        served, sent = self.served.get(request.stream), self.sent.get(request.stream)
        server = max(0, sent - served.received) if served is not None and sent is not None else None
        rest = max(0, request.first_token - request.scheduled - own - connecting - (server or 0))
        return _Steps(own, connecting, rest, server)

    def _divided(self, request: Request, steps: _Steps, usual: Sequence[_Steps]) -> Lateness:
        """The parts of one that was late."""
        own, connecting, rest = (
            max(0.0, mine - median(getattr(each, name) for each in usual))
            for name, mine in (("own", steps.own), ("connecting", steps.connecting), ("rest", steps.rest))
        )
        server = 0.0
        if steps.server is not None:
            server = max(0.0, steps.server - median(each.server or 0 for each in usual))
        has_trouble = not request.reused and self.sockets.had_trouble_before_token(request.stream)
        is_path = steps.server is not None or has_trouble
        parts = Lateness(
            server=server,
            network=connecting + (rest if is_path else 0.0),
            client=own,
            unknown=0.0 if is_path else rest,
        )
        time = steps.total - median(each.total for each in usual)
        total = sum(parts)
        return Lateness(*(part * time / total for part in parts)) if total else Lateness(unknown=time)
