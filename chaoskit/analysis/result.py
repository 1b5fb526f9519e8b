"""What a run found. `result.json` is this, and nothing else; every report is made from it.

Rules: times are floats in milliseconds and their names end in `_ms`; shares lie between 0 and 1; a missing
value is None and says why; "never" (a first token that did not come) is longer than everything: infinity in
memory, the word `"never"` in JSON, `"-never"` below zero. There is no NaN and no Infinity in the file.
"""

from __future__ import annotations

import math
from typing import Annotated, Any, Literal

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, PlainSerializer

from chaoskit.errors import EXIT_SOFTWARE

SCHEMA: Literal[1] = 1

How = Literal["finished", "interrupted", "refused", "crashed", "dirty"]
Found = Literal["met", "broken", "undecided", "none"]
Judgement = Literal["met", "broken", "undecided"]
Confidence = Literal["exact", "likely", "none"]
Direction = Literal["up", "down"]
PathMtuKind = Literal["black-hole", "silence", "probed", "signalled", "clamped"]
Unit = Literal["ms", "share", "per-minute", "per-second", "ratio", "count", "bytes"]
What = Literal["loss", "round-trip", "too-long", "told", "untold", "segment", "mtu"]
Achieved = Literal["achieved", "not-achieved", "too-few-packets-to-tell", "nothing-to-hit"]


def _from_json(value: Any) -> Any:
    if value in ("never", "-never"):
        return math.inf if value == "never" else -math.inf
    if isinstance(value, float) and math.isnan(value):
        raise ValueError("a missing value is null, never NaN")
    return value


def _to_json(value: float) -> float | str:
    if math.isinf(value):
        return "never" if value > 0 else "-never"
    return value


Number = Annotated[float, BeforeValidator(_from_json), PlainSerializer(_to_json, when_used="json")]


class _Frozen(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class Times(_Frozen):
    """A set of times. Quantiles by nearest rank; those named in `small` are the maximum, for want of values."""

    count: int
    never: int = 0
    p50_ms: Number | None = None
    p90_ms: Number | None = None
    p95_ms: Number | None = None
    p99_ms: Number | None = None
    max_ms: Number | None = None
    mean_ms: Number | None = None
    small: tuple[str, ...] = ()
    missing: str = ""


class Estimated(_Frozen):
    """A number with its 95 % interval, or why there is none."""

    value: Number | None
    low: Number | None = None
    high: Number | None = None
    missing: str = ""


class Failure(_Frozen):
    """Streams that ended in the same way for the same reason. `streams` are the first few."""

    completion: str
    detail: str
    count: int
    streams: tuple[int, ...]


class Metrics(_Frozen):
    """Every number of METRICS that a set of streams gives. Times count from `scheduled` unless named otherwise."""

    started: int
    complete: int
    interrupted: int
    cancelled: int
    completions: dict[str, int]
    failures: tuple[Failure, ...]
    ttft: Times
    ttft_from_sent: Times
    ttf_event: Times
    ttfo: Times
    itl: Times
    itl_uncoalesced: Times
    tpot: Times
    e2el: Times
    dns: Times
    connect: Times
    tls: Times
    upload: Times
    max_gap: Times
    gaps: int
    coalesced: int
    streaming_ms: float
    stalls: int
    severe_stalls: int
    stall_time_ms: float
    stalls_per_minute: Estimated
    stall_ratio: Estimated
    stall_interval_fraction: Estimated
    interruption_rate: Estimated
    delivered_fraction: Estimated
    goodput: Estimated
    tokens: int
    throughput: Estimated


class Blame(_Frozen):
    """Where the time of a phase's stalls went, `unknown` where nobody can tell; how sure that is, and why not."""

    stalls: int
    server_ms: float
    network_ms: float
    client_ms: float
    unknown_ms: float
    confidence: Confidence = "exact"
    reason: str = ""


class Round(_Frozen):
    """One passage of a phase; seconds since the first phase began. The faults were in force from `ready_s`."""

    number: int
    begin_s: float
    ready_s: float
    end_s: float


class Bucket(_Frozen):
    """A short stretch of a phase, all its rounds together; `at_s` since the phase began."""

    at_s: float
    requests: int
    ttft_p50_ms: Number | None
    interrupted: int
    stalls: int


class Evidence(_Frozen):
    """The records a verdict rests on: which file, how many of its streams, the worst first."""

    file: str
    count: int
    worst: tuple[int, ...] = ()


class PathMtu(_Frozen):
    """What became of full segments on one way, `streams` of the `of` that used it, in one sentence for people.

    `segment` are the bytes that one carries, `path_mtu` what the sender's socket believes. Sure is what the
    sender's own TCP_INFO shows; anything less says why.
    """

    kind: PathMtuKind
    direction: Direction
    streams: int
    of: int
    segment: int | None
    path_mtu: int | None
    retransmissions: int = 0
    confidence: Literal["sure", "likely", "none"]
    reason: str = ""
    evidence: Evidence
    sentence: str


class PhaseResult(_Frozen):
    """Everything that is charged to the phases of one name."""

    name: str
    faults: tuple[str, ...]
    asked: tuple[str, ...]
    seconds: float
    rounds: tuple[Round, ...]
    metrics: Metrics
    blame: Blame
    timeline: tuple[Bucket, ...]
    path_mtu: tuple[PathMtu, ...] = ()


class Comparison(_Frozen):
    """One metric in one phase against the reference phase, with 95 % intervals resampled by stream."""

    phase: str
    metric: str
    unit: Unit
    value: Number | None
    reference: Number | None
    difference: Estimated
    ratio: Estimated


class Verdict(_Frozen):
    """One objective, judged. `bound` and `observed` are in `unit`; `would_decide` counts streams."""

    text: str
    judgement: Judgement
    unit: Unit
    bound: Number
    observed: Estimated
    streams: int
    would_decide: int | None
    reason: str
    evidence: tuple[Evidence, ...]


class Achievement(_Frozen):
    """A fault as asked and as it came about.

    | what         | unit  | asked       | achieved                            | samples             |
    |--------------|-------|-------------|-------------------------------------|---------------------|
    | `loss`       | share | lost        | lost                                | packets             |
    | `round-trip` | ms    | added       | added                               | handshakes          |
    | `too-long`   | count | None        | packets that were too long          | packets that came   |
    | `told`       | count | None        | signals that went out               | packets, too long   |
    | `untold`     | count | None        | signals that were lost              | signals made        |
    | `segment`    | bytes | at most     | most that anybody was asked to send | connections         |
    | `mtu`        | bytes | at most     | longest packet that a socket knew of | connections        |
    """

    phase: str
    what: What
    where: str
    unit: Unit
    asked: Number | None
    achieved: Number | None
    tolerance: Number
    samples: int
    verdict: Achieved
    remark: str
    evidence: Evidence


class Health(_Frozen):
    """How the measuring itself went. A run that is `overloaded` measured its own client, and decides nothing."""

    scheduling_lag_p99_ms: Number | None
    loop_lag_p99_ms: Number | None
    overloaded: bool
    server_late_p99_ms: Number | None
    unfinished: int


class Outcome(_Frozen):
    """How it went, and what it found."""

    how: How
    detail: str
    found: Found
    reason: str


class Result(_Frozen):
    """One run, understood."""

    schema_version: Literal[1] = SCHEMA
    chaoskit: str
    name: str
    question: str
    target: str
    seed: int
    run: str = Field(default="", exclude=True, description="Where it lies; not part of what it is. Empty: not kept.")
    clock: str = Field(description="real, virtual, or nothing when the run was killed before it said so.")
    kernel: str
    origin: int
    seconds: float
    outcome: Outcome
    reference: str
    whole: Metrics
    phases: tuple[PhaseResult, ...]
    bucket_s: float
    comparisons: tuple[Comparison, ...]
    objectives: tuple[Verdict, ...]
    fidelity: tuple[Achievement, ...]
    health: Health
    warnings: tuple[str, ...]

    @property
    def mistake(self) -> str:
        """What a mistake in chaoskit did to this run, in a sentence; "" when there was none."""
        count = self.whole.completions.get("internal_error", 0)
        details = [failure.detail for failure in self.whole.failures if failure.completion == "internal_error"]
        told = "; ".join(details) or "a mistake in chaoskit"
        return f"{count} stream{'s' * (count > 1)} ended by {told}; please report it" if count else ""

    @property
    def exit_code(self) -> int:
        """What the command line returns: how it went first, then what it found."""
        match self.outcome.how:
            case "dirty":
                return 4
            case "refused":
                return 3
            case "crashed":
                return EXIT_SOFTWARE
            case "interrupted":
                return 143 if self.outcome.detail == "SIGTERM" else 130
            case "finished" if self.mistake:
                return EXIT_SOFTWARE
            case "finished":
                return {"broken": 1, "undecided": 5, "met": 0, "none": 0}[self.outcome.found]

    def phase(self, name: str) -> PhaseResult | None:
        """The phase of that name."""
        return next((phase for phase in self.phases if phase.name == name), None)
