"""Estimates how many streams, and how many minutes of streaming, the phases of a plan give.

| arrivals    | streams of a phase                                                                              |
|-------------|-------------------------------------------------------------------------------------------------|
| open loop   | those that the seed starts in it; of very many, as many as its rate says                        |
| closed loop | as many as fit into its length, by the script of the lab's server; of another server it is taken |
|             | that it sends its first token after a second, and then 20 tokens/s, or 50 where slow is better  |

What ends in a phase with a fault is charged to that phase: a phase without one gives up what it starts at its very end.
A stream that a fault makes longer is not foreseen.
"""

from __future__ import annotations

import math
from bisect import bisect_left
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from functools import lru_cache
from itertools import chain, takewhile
from statistics import NormalDist

from chaoskit.intervals import TAIL
from chaoskit.planning.model import Plan
from chaoskit.spec.arrivals import expected, schedule
from chaoskit.spec.demand_curve import DemandCurve, Surges
from chaoskit.spec.interleaving import Order, in_order
from chaoskit.spec.server import Server
from chaoskit.spec.sizes import late_tokens, mean_tokens
from chaoskit.spec.workload import Workload

SECOND = 10**9
WARM_UP = "warm-up"
_MAX_SCHEDULED, _MAX_PHASES = 20_000, 2_000  # that are counted one by one; of more the rate is good enough
_FIRST_TOKEN = SECOND  # of an unknown server
_READING = 50_000_000  # ns for a token of a slow one: 20 tokens/s
_FAST = 20_000_000  # ns for a token of a fast one: 50 tokens/s
_FIRST = ("ttfb", "ttft", "ttft_from_sent", "ttfo", "ttf_event", "itl", "max_gap")  # known with the first token
_WHOLE = ("e2el", "tpot")
_OF_GAPS = ("itl", "tpot", "max_gap")
_CONNECTIONS = ("dns", "connect", "tls")


@dataclass(frozen=True)
class Supply:
    """How many streams have a value of a metric, how many minutes they stream and how many gaps they have together."""

    streams: int
    minutes: float
    gaps: int


@dataclass(frozen=True)
class Stretch:
    """One phase of a timeline, in ns. `rtt` is what its faults add to a round trip; `demand` multiplies the rate."""

    name: str
    length: int
    rtt: int = 0
    is_clean: bool = False
    demand: float = 1.0

    @property
    def is_calm(self) -> bool:
        """Whether it has neither a fault nor a surge."""
        return self.is_clean and self.demand == 1


@dataclass(frozen=True)
class Timetable:
    """The timeline of one round, how often it is run, and the load. `server` None: not the lab's.

    `classes` are their shares of the requests. `has_spans`: something may record what hops do. `tail` is the
    probability beyond each end of the intervals; `is_until_decided`: its rounds are as many as the time allows.
    """

    stretches: tuple[Stretch, ...]
    repeats: int
    workload: Workload
    server: Server | None
    seed: int
    classes: Mapping[str, float] = field(default_factory=dict, hash=False)
    has_spans: bool = True
    order: Order = "as-written"
    tail: float = TAIL
    is_until_decided: bool = False

    @classmethod
    def of(cls, plan: Plan) -> Timetable:
        """That of a plan."""
        added = {each.phase: each.rtt or 0 for each in plan.expectations}
        first = [phase for phase in plan.phases if phase.round == 0]
        return cls(
            stretches=tuple(
                Stretch(phase.name, phase.length, added.get(phase.name, 0), not phase.faults, phase.demand)
                for phase in first
            ),
            repeats=len(plan.phases) // len(first),
            workload=plan.workload,
            server=plan.server,
            seed=plan.seed,
            order=plan.order,
            tail=plan.tail,
            is_until_decided=plan.looks is not None,
            classes={name: each.share.fraction for name, each in plan.classes.items()},
            has_spans=plan.has_traces,
        )

    def share_of(self, traffic_class: str | None, workflow: str | None) -> float:
        """The share of the requests that are of this class and this workflow; None: of any."""
        known = 1.0 if traffic_class is None else self.classes.get(traffic_class, 0.0)
        if not self.workload.demand:
            return known
        return sum(
            each.share.fraction * (known if each.class_ is None else traffic_class in (None, each.class_))
            for name, each in self.workload.demand.items()
            if workflow in (None, name)
        )

    def around(self, phase: str) -> tuple[Stretch | None, int]:
        """The nearest calm phase before this one, without a warm-up, and how long calm phases follow it, ns."""
        names = [each.name for each in self.stretches]
        at = names.index(phase)
        before = [each for each in self.stretches[:at] if each.is_calm and each.name != WARM_UP]
        following = [*self.stretches[at + 1 :], *(self.stretches if self.repeats > 1 else ())]
        after = takewhile(lambda each: each.is_calm, following)
        return before[-1] if before else None, sum(each.length for each in after)

    def gives(self, metric: str, phase: str | None, share: float = 1.0) -> Supply:
        """What this phase gives to a metric of this share of the requests; None: all phases but the warm-up."""
        found = self._gives(metric, phase)
        if share >= 1:
            return found
        return Supply(math.floor(found.streams * share), found.minutes * share, math.floor(found.gaps * share))

    def _gives(self, metric: str, phase: str | None) -> Supply:
        if self._is_counted:
            return self.supply(
                metric, sum(self._counted(metric, *each) for each in self._all() if _is_of(each[0], phase))
            )
        if self.order == "interleaved":
            return self.supply(
                metric, sum(self._estimated(metric, *each) for each in self._all() if _is_of(each[0], phase))
            )
        following = (*self.stretches[1:], self.stretches[0] if self.repeats > 1 else None)
        in_a_round, at = 0.0, 0
        for stretch, after in zip(self.stretches, following, strict=True):
            in_a_round += self._estimated(metric, stretch, after, at) if _is_of(stretch, phase) else 0
            at += stretch.length
        return self.supply(metric, in_a_round * self.repeats)

    @property
    def started(self) -> int | None:
        """How many streams the run starts, by the arrivals of its seed; None in a closed loop."""
        if not self.workload.is_open_loop:
            return None
        return len(self._starts) if self._is_counted else round(self._expected(0, self.length))

    def most_per_second(self, metric: str) -> float | None:
        """The most that an open loop can give of a metric that is a number per second, by the mean of its arrivals."""
        rate, curve = self.workload.request_rate, DemandCurve(self._surges, self.workload.diurnal)
        most = {"goodput": 1, "tokens_per_second": mean_tokens(self.workload)}.get(metric)
        return None if rate is None or most is None else most * rate.per_second * curve.highest

    @property
    def length(self) -> int:
        """All phases of all rounds together, ns."""
        return sum(each.length for each in self.stretches) * self.repeats

    def with_length(self, name: str, length: int) -> Timetable:
        """With this length of each phase of this name."""
        changed = (replace(each, length=length) if each.name == name else each for each in self.stretches)
        return replace(self, stretches=tuple(changed))

    def with_workload(self, **changed: object) -> Timetable:
        """With these values of the workload, by field."""
        return replace(self, workload=self.workload.model_copy(update=changed))

    def supply(self, metric: str, streams: float) -> Supply:
        """What so many streams give to a metric."""
        name, gaps = metric.rpartition("_")[0], mean_tokens(self.workload) - 1
        if gaps <= 0 and (name in _OF_GAPS or metric.startswith("stall")):
            streams = 0
        if name in _CONNECTIONS and self.workload.connections != "fresh":
            streams = min(streams, self._connections())
        events = gaps / (self._paced.tokens_per_event if self._paced is not None else 1)
        minutes = streams * gaps * self._interval(metric) / SECOND / 60
        return Supply(math.floor(streams), minutes, math.floor(streams * events))

    def assumption(self, metric: str) -> str:
        """What the numbers take for granted of a server that is not the lab's; "" when nothing."""
        if self.server is not None:
            return ""
        is_of_speed = metric == "stalls_per_minute" or (self.stretches and not self.workload.is_open_loop)
        return f"at {SECOND // self._interval(metric)} tokens/s" if is_of_speed else ""

    def _all(self) -> Iterator[tuple[Stretch, Stretch | None, int]]:
        """Every phase of every round with the one after it, and when it begins."""
        rounds, at = self._rounds, 0
        for stretch, after in zip(rounds, (*rounds[1:], None), strict=True):
            yield stretch, after, at
            at += stretch.length

    @property
    def _rounds(self) -> tuple[Stretch, ...]:
        """The phases of all rounds."""
        each = (in_order(self.stretches, self.order, number, self.seed) for number in range(self.repeats))
        return tuple(chain.from_iterable(each))

    @property
    def _is_counted(self) -> bool:
        """Whether the arrivals are known, and so few that they are counted one by one."""
        if not self.workload.is_open_loop or len(self.stretches) * self.repeats > _MAX_PHASES:
            return False
        return self._expected(0, self.length) <= _MAX_SCHEDULED

    @property
    def _starts(self) -> list[int]:
        return _starts(self.workload, self.seed, self.length, self._surges)

    @property
    def _surges(self) -> Surges:
        if all(each.demand == 1 for each in self.stretches):
            return ()
        return tuple((each.length, each.demand) for each in self._rounds)

    def _expected(self, begin: int, end: int) -> float:
        """How many streams start, by the mean of the arrivals."""
        return expected(self.workload, begin, end, self._surges)

    def _counted(self, metric: str, stretch: Stretch, after: Stretch | None, begin: int) -> int:
        starts = self._starts
        end = begin + self._useful(metric, stretch, after)
        return bisect_left(starts, end) - bisect_left(starts, begin)

    def _estimated(self, metric: str, stretch: Stretch, after: Stretch | None, begin: int) -> float:
        """In the first round; the others are taken to be at the same hours of the day."""
        length = self._useful(metric, stretch, after)
        if self.workload.is_open_loop:
            return self._expected(begin, begin + length)
        trips = 2 if self.workload.connections == "fresh" else 1
        return (self.workload.max_concurrency or 1) * length / (self._length(metric) + trips * stretch.rtt)

    def _useful(self, metric: str, stretch: Stretch, after: Stretch | None) -> int:
        """The part of this phase whose streams it keeps, ns."""
        is_cut = stretch.is_clean and after is not None and not after.is_clean
        return max(0, stretch.length - (self._reach(metric) if is_cut else 0))

    def _length(self, metric: str, tokens: float | None = None) -> int:
        """How long a stream of so many tokens lasts without any fault, ns; None: of the mean number."""
        count = mean_tokens(self.workload) if tokens is None else tokens
        return max(1, round(self._first_token() + (count - 1) * self._interval(metric)))

    def _interval(self, metric: str) -> int:
        """From one token to the next, ns; of an unknown server the one that gives the metric less."""
        if self._paced is not None:
            return self._paced.token_interval
        return _FAST if metric == "stalls_per_minute" else _READING

    def _reach(self, metric: str) -> int:
        """How long after its start a stream has its value, ns; a late one, so that none is counted too many."""
        name = metric.rpartition("_")[0]
        if name in _WHOLE:
            return self._length(metric, late_tokens(self.workload)) + self._latest_first_token()
        return self._latest_first_token() if name in _FIRST else 0

    def _latest_first_token(self) -> int:
        return _FIRST_TOKEN if self._paced is None else self._paced.first_token.p99

    @property
    def _paced(self) -> Server | None:
        """The server, where its pace is known."""
        return self.server if self.server is not None and self.server.is_scripted else None

    def _first_token(self) -> float:
        """The mean, of a log-normal distribution."""
        if self._paced is None:
            return _FIRST_TOKEN
        median, p99 = self._paced.first_token.median, self._paced.first_token.p99
        sigma = math.log(p99 / median) / NormalDist().inv_cdf(0.99) if median else 0.0
        return median * math.exp(sigma**2 / 2)

    def _connections(self) -> float:
        """How many connections there are at the most, while none fails."""
        if self.workload.connections == "shared":
            return 1
        if not self.workload.is_open_loop:
            return self.workload.max_concurrency or 1
        rate = self.workload.request_rate.per_second if self.workload.request_rate is not None else 1.0
        return max(1.0, rate * self._length("connect") / SECOND)


def _is_of(stretch: Stretch, phase: str | None) -> bool:
    return stretch.name == phase if phase is not None else stretch.name != WARM_UP


@lru_cache(maxsize=8)
def _starts(workload: Workload, seed: int, length: int, surges: Surges) -> list[int]:
    return schedule(workload, seed, length, surges)
