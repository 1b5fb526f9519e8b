"""Defines what a result says of tiers, phase by phase: classes, workflows, hops, the critical path."""

from __future__ import annotations

from typing import ClassVar

from pydantic import Field

from chaoskit.analysis.findings import Evidence
from chaoskit.analysis.finite_json import FiniteJson
from chaoskit.analysis.summaries import IntervalEstimate, LatencySummary
from chaoskit.records.spans import Operation

NOT_OF_A_CLASS = "of every class"
NOT_OF_A_WORKFLOW = "of every workflow"


class Count(FiniteJson):
    """How often something of this name occurred."""

    name: str
    count: int


class Retrievals(FiniteJson):
    """Retrievals by outcome; `untold` where nothing tells whether it found something. `fallbacks`: what stood in."""

    hit: int = 0
    miss: int = 0
    timeout: int = 0
    error: int = 0
    degraded: int = 0
    untold: int = 0
    fallbacks: tuple[Count, ...] = ()

    @property
    def total(self) -> int:
        """All of them."""
        return self.hit + self.miss + self.timeout + self.error + self.degraded + self.untold


class Requests(FiniteJson):
    """The requests of a phase, of one class, or of one workflow: what became of them."""

    why_missing: ClassVar = {"traffic_class": NOT_OF_A_CLASS, "workflow": NOT_OF_A_WORKFLOW}
    traffic_class: str | None
    workflow: str | None
    started: int
    complete: int
    interrupted: int
    ttft: LatencySummary
    toolchain: LatencySummary
    goodput: IntervalEstimate
    admitted: int
    queued: int
    shed: int
    inversions: int = Field(description="Requests that went before a waiting one of a more important class.")
    retrievals: Retrievals
    degraded: tuple[Count, ...] = Field(description="By step of the ladder: requests while it was in force.")
    downgraded: tuple[Count, ...] = Field(description="By `asked -> served`: requests of another tier.")
    retrieval_fallback_ratio: IntervalEstimate
    retrieval_miss_ratio: IntervalEstimate
    retrieval_timeout_ratio: IntervalEstimate
    retrieval_error_ratio: IntervalEstimate
    retrieval_degraded_ratio: IntervalEstimate
    degraded_ratio: IntervalEstimate
    shed_rate: IntervalEstimate
    queued_rate: IntervalEstimate
    downgrade_rate: IntervalEstimate


class HopResult(FiniteJson):
    """The calls for one purpose that a host answered, or was asked last in, and all attempts at it.

    `slow_share` is that of the time of the slow chains spent in these calls.
    """

    why_missing: ClassVar = {"slow_share": "no chain ended in this phase"}
    operation: Operation
    host: str
    calls: int
    attempts: int
    hedges: int
    errors: tuple[Count, ...]
    duration: LatencySummary
    slow_share: float | None


class PathShare(FiniteJson):
    """What the slow chains of a phase waited for: on average, and beyond what chains of the reference phase wait."""

    why_missing: ClassVar = {"usual_ms": "no chain ended in the reference phase", "added_ms": "as usual_ms"}
    place: str
    host: str
    cause: str
    link: tuple[str, ...] = ()
    mean_ms: float
    share: float
    usual_ms: float | None
    added_ms: float | None


class LateCause(FiniteJson):
    """Late first tokens with one cause, the place that took the longest beyond its usual time; the mean of that."""

    place: str
    host: str
    cause: str
    link: tuple[str, ...] = ()
    requests: int
    mean_ms: float
    streams: tuple[int, ...]


class LateFirstTokens(FiniteJson):
    """First tokens later than 19 of 20 in the reference phase, or that never came, and why.

    `unknown` have no span, or nothing that took longer than usual.
    """

    why_missing: ClassVar = {"beyond_ms": "the reference phase has no first token"}
    late: int
    beyond_ms: float | None
    causes: tuple[LateCause, ...]
    unknown: int = 0
    evidence: Evidence


class FailoverTimes(FiniteJson):
    """Calls that another host than usual answered, and the longest time from the begin and the end of the phase.

    `over_ms`: from the moment at which its faults were in force until a call that `instead` answered was made;
    `back_ms`: from the moment at which they were gone until one that `usual` answered.
    """

    why_missing: ClassVar = {"over_ms": "no call was moved", "back_ms": "no later call was answered by the usual host"}
    operation: Operation
    usual: str
    instead: str
    calls: int
    over_ms: float | None
    back_ms: float | None


class PhaseTiers(FiniteJson):
    """What the hops of the requests of a phase did. `slow` chains are its slowest tenth, one at the least."""

    rows: tuple[Requests, ...]
    hops: tuple[HopResult, ...] = ()
    slow: int = 0
    path: tuple[PathShare, ...] = ()
    late_first_tokens: LateFirstTokens | None = Field(default=None)
    failover: tuple[Count, ...] = Field(default=(), description="Requests by what their users saw of a failure.")
    failover_times: tuple[FailoverTimes, ...] = ()
    why_missing: ClassVar = {"late_first_tokens": "no span was recorded"}


class SpanCounts(FiniteJson):
    """The spans of a run, and those that were not as they should be: counted, and misleading nothing."""

    spans: int
    requests: int
    without_span: int
    duplicates: int = 0
    without_parent: int = 0
    in_circles: int = 0
    negative: int = 0
    of_no_request: int = 0
