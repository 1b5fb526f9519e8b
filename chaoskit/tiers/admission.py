"""Decides which requests of a gateway run, which wait, and which are refused.

| policy     | who waits                                  | who is refused                                           |
|------------|--------------------------------------------|----------------------------------------------------------|
| `none`     | nobody                                     | nobody                                                   |
| `fcfs`     | who finds no room, in the order of arrival | who finds the queue full, who has waited too long        |
| `priority` | the same, the more important class first   | the same; a full queue puts out the least important      |
| `shed`     | as `priority`                              | as well, from a saturation on, the classes it names      |
| `gradient` | nobody                                     | who is above its class' part of a limiter's limit        |

There is room while fewer than `max_in_flight` requests run; without that number, while the model is not saturated. A
class with a budget has room while it has fewer running; others go past those who wait for it. A class that is over its
budget is refused where nobody waits.

Rules: every request that arrives is admitted, refused, abandoned or still waiting, once; what is told of a number that
is not known is ignored; the time is an argument.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Literal

from chaoskit.tiers.limiters import Limiter, LimiterSettings, limiter
from chaoskit.tiers.saturation import STALE_AFTER, Telemetry

Policy = Literal["none", "fcfs", "priority", "shed", "gradient"]
Reason = Literal["saturated", "queue-full", "displaced", "ttl-expired", "budget", "concurrency-limit"]
STATUS: Mapping[Reason, int] = {
    "saturated": 429,
    "queue-full": 429,
    "displaced": 429,
    "ttl-expired": 429,
    "budget": 429,
    "concurrency-limit": 503,
}
"""As llm-d's router and Envoy's adaptive concurrency answer."""
QUEUES: tuple[Policy, ...] = ("fcfs", "priority", "shed")
_SECOND = 10**9  # ns


@dataclass(frozen=True)
class Rank:
    """A class: the higher its priority, the more important; at most `budget` requests of it run at a time."""

    name: str
    priority: int
    budget: int | None = None


@dataclass(frozen=True)
class AdmissionSettings:
    """A policy and its limits. Times in ns.

    `thresholds`: from which saturation on a class is refused (shed), or from which part of the limit on (gradient). A
    class without one is never refused for that reason (shed), or at the whole limit (gradient).
    """

    policy: Policy = "none"
    ranks: tuple[Rank, ...] = ()
    max_in_flight: int | None = None
    max_queue: int = 1000
    ttl: int = 60 * _SECOND
    thresholds: Mapping[str, float] = field(default_factory=dict)
    limiter: LimiterSettings = field(default_factory=LimiterSettings)
    retry_after: int = _SECOND
    poll: int = 50_000_000
    stale_after: int = STALE_AFTER

    @property
    def needs_telemetry(self) -> bool:
        """Whether it looks at the model's metrics."""
        return self.policy == "shed" or (self.policy in QUEUES and self.max_in_flight is None)


@dataclass(frozen=True)
class Admitted:
    """A request may run. `waited` ns; `inversions`: more important requests that still wait for the same room."""

    number: int
    waited: int
    inversions: int = 0


@dataclass(frozen=True)
class Refused:
    """A request is answered with `STATUS[reason]`, after it waited so many ns."""

    number: int
    reason: Reason
    waited: int = 0


Decision = Admitted | Refused


@dataclass(frozen=True)
class _Waiting:
    number: int
    rank: Rank
    arrived: int
    place: int


@dataclass
class ClassCounts:
    """What became of the requests of a class. `waited` ns, of all that were queued."""

    arrived: int = 0
    admitted: int = 0
    queued: int = 0
    refused: int = 0
    abandoned: int = 0
    waited: int = 0
    inversions: int = 0


class Admission:
    """The requests that run and wait. Every method returns what is decided by it, of any request."""

    def __init__(self, settings: AdmissionSettings, telemetry: Telemetry | None = None) -> None:
        self.counts: dict[str, ClassCounts] = {rank.name: ClassCounts() for rank in settings.ranks}
        self._settings = settings
        self._telemetry = telemetry or Telemetry((), settings.stale_after)
        self._limiter: Limiter | None = limiter(settings.limiter) if settings.policy == "gradient" else None
        self._ranks = {rank.name: rank for rank in settings.ranks}
        self._least = min(settings.ranks, key=lambda rank: rank.priority, default=Rank("", 0))
        self._waiting: dict[str, dict[int, _Waiting]] = {rank.name: {} for rank in (*settings.ranks, self._least)}
        self._running: dict[int, tuple[Rank, int]] = {}
        self._places = 0

    @property
    def in_flight(self) -> int:
        """Requests that run."""
        return len(self._running)

    @property
    def waiting(self) -> int:
        """Requests that wait."""
        return sum(map(len, self._waiting.values()))

    def rank(self, name: str | None) -> Rank:
        """The class of this name; the least important one for any other."""
        return self._ranks.get(name or "", self._least)

    def saturation(self, now: int) -> float:
        """How saturated the model is, with the requests that wait for it here."""
        return self._telemetry.saturation(now, self.waiting)

    def arrive(self, number: int, traffic_class: str | None, now: int) -> tuple[Decision, ...]:
        """A request. Nothing is decided of it when it is queued."""
        rank = self.rank(traffic_class)
        self._counts(rank).arrived += 1
        if (reason := self._refusal(rank, now)) is not None:
            return (self._refuse(number, rank, reason),)
        self._places += 1
        newcomer = _Waiting(number, rank, now, self._places)
        if self._settings.policy not in QUEUES:
            return (self._admit(newcomer, now),)
        before = tuple(self._dispatch(now))
        if self._has_room(now) and not self._is_over_budget(rank):
            return (*before, self._admit(newcomer, now))
        if self.waiting >= self._settings.max_queue:
            least = min(self._all_waiting(), key=lambda each: (each.rank.priority, -each.place), default=newcomer)
            if self._settings.policy == "fcfs" or least.rank.priority >= rank.priority:
                return (*before, self._refuse(number, rank, "queue-full"))
            before = (*before, self._put_out(least, "displaced", now))
        self._waiting[rank.name][number] = newcomer
        return before

    def first_token(self, number: int, now: int) -> tuple[Decision, ...]:
        """The first token of its answer has come."""
        self._sample(number, now, "first-token")
        return ()

    def ended(self, number: int, now: int, is_whole: bool = True) -> tuple[Decision, ...]:
        """A request that ran has ended. The time of one that is not `is_whole` tells a limiter nothing."""
        if is_whole:
            self._sample(number, now, "answer")
        return tuple(self._dispatch(now)) if self._running.pop(number, None) is not None else ()

    def abandoned(self, number: int, now: int) -> tuple[Decision, ...]:
        """Its client has left: one that waits does so no longer."""
        for queue in self._waiting.values():
            if (gone := queue.pop(number, None)) is not None:
                counts = self._counts(gone.rank)
                counts.abandoned += 1
                counts.waited += now - gone.arrived
                return ()
        return self.ended(number, now, is_whole=False)

    def telemetry_changed(self, now: int) -> tuple[Decision, ...]:
        """The model's metrics were read, or could not be."""
        return tuple(self._dispatch(now))

    def expire(self, now: int) -> tuple[Decision, ...]:
        """Refuse those who have waited for `ttl`."""
        late = [each for each in self._all_waiting() if now - each.arrived >= self._settings.ttl]
        return tuple(self._put_out(each, "ttl-expired", now) for each in late)

    @property
    def next_expiry(self) -> int | None:
        """When `expire` has something to do next; None: nobody waits."""
        firsts = [next(iter(queue.values())).arrived for queue in self._waiting.values() if queue]
        return min(firsts) + self._settings.ttl if firsts else None

    def _refusal(self, rank: Rank, now: int) -> Reason | None:
        """Why a newcomer of this class is refused at once."""
        threshold = self._settings.thresholds.get(rank.name)
        if self._settings.policy == "shed" and threshold is not None and self.saturation(now) >= threshold:
            return "saturated"
        if self._limiter is not None and self.in_flight >= self._limiter.limit * min(1.0, threshold or 1.0):
            return "concurrency-limit"
        if self._settings.policy not in QUEUES and self._is_over_budget(rank):
            return "budget"
        return None

    def _dispatch(self, now: int) -> Iterator[Decision]:
        """Admit those for whom there is room, in the policy's order."""
        while self.waiting and self._has_room(now) and (first := self._first()) is not None:
            del self._waiting[first.rank.name][first.number]
            yield self._admit(first, now)

    def _has_room(self, now: int) -> bool:
        if self._settings.max_in_flight is not None:
            return self.in_flight < self._settings.max_in_flight
        return self._telemetry.saturation(now) < 1

    def _first(self) -> _Waiting | None:
        heads = [
            next(iter(queue.values())) for queue in self._waiting.values() if queue and not self._is_held_back(queue)
        ]
        if self._settings.policy == "fcfs":
            return min(heads, key=lambda each: each.place, default=None)
        return min(heads, key=lambda each: (-each.rank.priority, each.place), default=None)

    def _is_held_back(self, queue: Mapping[int, _Waiting]) -> bool:
        return self._is_over_budget(next(iter(queue.values())).rank)

    def _is_over_budget(self, rank: Rank) -> bool:
        return rank.budget is not None and sum(each == rank for each, _ in self._running.values()) >= rank.budget

    def _all_waiting(self) -> Iterator[_Waiting]:
        for queue in self._waiting.values():
            yield from queue.values()

    def _admit(self, one: _Waiting, now: int) -> Admitted:
        inversions = sum(
            len(queue)
            for queue in self._waiting.values()
            if queue and next(iter(queue.values())).rank.priority > one.rank.priority and not self._is_held_back(queue)
        )
        self._running[one.number] = (one.rank, now)
        counts, waited = self._counts(one.rank), now - one.arrived
        counts.admitted += 1
        counts.queued += waited > 0
        counts.waited += waited
        counts.inversions += inversions
        return Admitted(one.number, waited, inversions)

    def _put_out(self, one: _Waiting, reason: Reason, now: int) -> Refused:
        del self._waiting[one.rank.name][one.number]
        return self._refuse(one.number, one.rank, reason, now - one.arrived)

    def _refuse(self, number: int, rank: Rank, reason: Reason, waited: int = 0) -> Refused:
        counts = self._counts(rank)
        counts.refused += 1
        counts.waited += waited
        return Refused(number, reason, waited)

    def _sample(self, number: int, now: int, what: str) -> None:
        found = self._running.get(number)
        if self._limiter is not None and found is not None and self._settings.limiter.sampled == what:
            self._limiter.sample(now - found[1], self.in_flight, now)

    def _counts(self, rank: Rank) -> ClassCounts:
        return self.counts.setdefault(rank.name, ClassCounts())
