"""Defines the result of a run: `result.json` is exactly this, and every report is made from it.

Rules: times are floats in milliseconds and their names end in `_ms`; shares lie between 0 and 1; a missing
value is None, with the reason beside it; "never" (a first token that did not arrive) is longer than everything:
infinity in memory, null with the reason beside it in JSON (`finite_json`).
"""

from __future__ import annotations

from typing import ClassVar, Literal

from pydantic import Field

from chaoskit.analysis.chains.chain_results import PhaseTiers, SpanCounts
from chaoskit.analysis.chains.ladder import LadderResult
from chaoskit.analysis.chains.queue_result import ModelQueue
from chaoskit.analysis.findings import Closing, Evidence, Intermediary, PathMtu
from chaoskit.analysis.finite_json import FiniteJson
from chaoskit.analysis.look_results import UntilDecided
from chaoskit.analysis.machine import Machine
from chaoskit.analysis.provenance import Provenance
from chaoskit.analysis.summaries import IntervalEstimate, LatencySummary
from chaoskit.analysis.vllm_figures import VllmFigures
from chaoskit.errors import EXIT_SOFTWARE, EXIT_UNDECIDED, unknown_name
from chaoskit.units import counted

SCHEMA: Literal[1] = 1
NO_TIERS = "no span was recorded, and no request has a class or a workflow"

RunStatus = Literal["finished", "running", "interrupted", "refused", "crashed", "dirty"]
RunVerdict = Literal["met", "broken", "undecided", "none"]
ObjectiveVerdict = Literal["met", "broken", "undecided"]
Confidence = Literal["exact", "likely", "none"]
Cause = Literal["server", "network", "client", "between", "unknown"]
FirstTokenPart = Literal["waiting", "name-lookup", "connect", "tls", "upload", "server", "return", "unsplit"]
NetworkKind = Literal["loss", "reorder", "delay", "queueing", "rate", "black-hole"]
Unit = Literal["ms", "share", "per-minute", "per-second", "ratio", "count", "bytes", "bit-per-second"]
PacketKind = Literal["loss", "round-trip", "rate", "duplicate", "reorder", "corrupt", "jitter", "slot", "ecn"]
SizeKind = Literal["oversized", "icmp-sent", "icmp-lost", "lost", "mss", "mtu"]
ConnectionKind = Literal["cut", "idle-timeout"]
FidelityKind = PacketKind | SizeKind | ConnectionKind | Literal["process"]
FidelityVerdict = Literal["achieved", "not-achieved", "too-few-packets", "not-exercised", "not-measured"]


class Failure(FiniteJson):
    """Streams that ended with the same completion and detail. `streams` are the first few."""

    completion: str
    detail: str
    count: int
    streams: tuple[int, ...]


class Remark(FiniteJson):
    """Streams whose response was odd in the same way, although it could be understood. `streams` are the first few."""

    sentence: str
    count: int
    streams: tuple[int, ...]


class Metrics(FiniteJson):
    """All metrics of a set of streams. Latencies count from `scheduled` unless named otherwise."""

    started: int
    complete: int
    interrupted: int
    cancelled: int
    empty: int
    short: int
    completions: dict[str, int]
    failures: tuple[Failure, ...]
    remarks: tuple[Remark, ...]
    ttfb: LatencySummary
    ttft: LatencySummary
    ttft_from_sent: LatencySummary
    ttf_event: LatencySummary
    ttfo: LatencySummary
    itl: LatencySummary
    itl_uncoalesced: LatencySummary
    tpot: LatencySummary
    e2el: LatencySummary
    dns: LatencySummary
    connect: LatencySummary
    tls: LatencySummary
    upload: LatencySummary
    max_gap: LatencySummary
    planned_pace: LatencySummary
    gaps: int
    coalesced: int
    streaming_ms: float
    stalls: int
    severe_stalls: int
    stall_time_ms: float
    stalls_per_minute: IntervalEstimate
    stall_ratio: IntervalEstimate
    stall_interval_fraction: IntervalEstimate
    interruption_rate: IntervalEstimate
    empty_rate: IntervalEstimate
    short_rate: IntervalEstimate
    delivered_fraction: IntervalEstimate
    goodput: IntervalEstimate
    recovery_time: IntervalEstimate = IntervalEstimate(value=None, missing="not computed")
    events: int
    tokens: int
    tokens_per_second: IntervalEstimate
    retries: int = 0


class StallAttribution(FiniteJson):
    """The time of a phase's stalls by cause, `unknown_ms` where none is known; the confidence, and what limits it."""

    stalls: int
    server_ms: float
    between_ms: float = 0.0
    network_ms: float
    network_kinds: dict[NetworkKind, float] = Field(default={}, description="`network_ms` by what it was, in ms.")
    network_places: dict[str, float] = Field(
        default={}, description="`network_ms` by the links on which it was, in ms, where those of a lab were captured."
    )
    client_ms: float
    unknown_ms: float
    confidence: Confidence = "exact"
    reason: str = ""


class Round(FiniteJson):
    """One occurrence of a phase; seconds since the first phase began. The faults were in force from `ready_s`."""

    number: int
    begin_s: float
    ready_s: float
    end_s: float


class Bucket(FiniteJson):
    """A short interval of a phase, all its rounds together; `at_s` since the phase began."""

    why_missing: ClassVar = {"ttft_p50_ms": "no request was scheduled in it, or none had a known first token"}
    at_s: float
    requests: int
    ttft_p50_ms: float | None
    interrupted: int
    stalls: int


class Delivery(FiniteJson):
    """How answers with this content coding, or `none`, came: medians of the complete ones.

    `records` is the folder of their records in the run directory; "" for the directory itself.
    """

    why_missing: ClassVar = dict.fromkeys(
        ("first_token_ms", "events", "reads", "bursts", "longest_gap_ms"), "no such answer was complete"
    )
    coding: str
    streams: int
    first_token_ms: float | None
    events: float | None
    reads: float | None
    bursts: float | None
    longest_gap_ms: float | None
    remark: str = ""
    records: str = ""


class NamespaceCounts(FiniteJson):
    """What a network namespace counted of its TCP in a phase; names as nstat's.

    `place` is empty for a run on an interface: then all that this machine's namespace did is counted.
    """

    place: str
    counters: dict[str, int] = Field(description="By name; of `ConntrackEntries` the most that were seen.")
    missing: dict[str, str] = Field(description="The counters without a value, and why.")


class PhaseResult(FiniteJson):
    """Everything that is attributed to the phases of one name. `settings` are the faults in tc's notation."""

    why_missing: ClassVar = {"tiers": NO_TIERS}

    name: str
    faults: tuple[str, ...]
    settings: tuple[str, ...]
    seconds: float
    rounds: tuple[Round, ...]
    metrics: Metrics
    stall_attribution: StallAttribution
    timeline: tuple[Bucket, ...]
    path_mtu: tuple[PathMtu, ...] = ()
    arrivals: int = 0
    closings: tuple[Closing, ...] = ()
    interruption_causes: dict[Cause, int] = Field(default={}, description="How many interruptions have each cause.")
    late_first_tokens: int = 0
    first_token_causes: dict[Cause, float] = Field(default={}, description="Their time beyond the usual, in ms.")
    first_token_parts: dict[FirstTokenPart, float] = Field(default={}, description="The same by part of the way.")
    first_token_confidence: Confidence = "exact"
    tiers: PhaseTiers | None = None
    namespaces: tuple[NamespaceCounts, ...] = ()


class Comparison(FiniteJson):
    """One metric in one phase against the reference phase, with 95 % intervals."""

    why_missing: ClassVar = {"value": "see difference", "reference": "see difference"}
    phase: str
    metric: str
    unit: Unit
    value: float | None
    reference: float | None
    difference: IntervalEstimate
    ratio: IntervalEstimate


class ObjectiveResult(FiniteJson):
    """The verdict on one objective. `bound` and `observed` are in `unit`; `streams_needed` would decide it.

    `streams` have a value of the metric; `streams_started` were scheduled in its phase, or the fewer of two.
    """

    why_missing: ClassVar = {"streams_needed": "it is decided, or no feasible number of streams decides it: see reason"}
    text: str
    verdict: ObjectiveVerdict
    unit: Unit
    bound: float
    observed: IntervalEstimate
    streams: int
    streams_started: int = 0
    streams_needed: int | None
    reason: str
    evidence: tuple[Evidence, ...]


class FidelityCheck(FiniteJson):
    """A fault as requested and as measured.

    | kind         | unit  | requested | measured                                     | samples             |
    |--------------|-------|-----------|----------------------------------------------|---------------------|
    | `loss`       | share | lost      | lost                                         | packets             |
    | `round-trip` | ms    | added     | added                                        | handshakes          |
    | `rate`       | bit/s | at most   | while the queue was full                     | seconds             |
    | `duplicate`  | share | twice     | that arrived twice                           | segments            |
    | `reorder`    | count | None      | times that a sender saw it                   | segments            |
    | `corrupt` `jitter` `slot` `ecn`: None, for nothing counts them |                   |                     |
    | `oversized`  | count | None      | packets longer than the limit                | packets received    |
    | `icmp-sent`  | count | None      | ICMP "too big" errors that were sent         | oversized packets   |
    | `icmp-lost`  | count | None      | ICMP "too big" errors that were dropped      | errors generated    |
    | `mss`        | bytes | at most   | largest MSS of any connection                | connections         |
    | `mtu`        | bytes | at most   | largest path MTU of any socket               | connections         |
    | `cut` `idle-timeout` | count | None | connections that were ended               | packets dropped     |
    | `process`    | ms    | None      | until it was so, after the phase began       | times               |
    """

    why_missing: ClassVar = {"requested": "no fixed number was requested", "measured": "see remark"}
    phase: str
    kind: FidelityKind
    where: str
    unit: Unit
    requested: float | None
    measured: float | None
    tolerance: float
    samples: int
    verdict: FidelityVerdict
    remark: str
    evidence: Evidence


class Health(FiniteJson):
    """The health of the measurement. An `overloaded` client measured itself, and the run is undecided.

    `client_errors` are requests that this machine could not do, for want of open files, ports or memory.
    """

    why_missing: ClassVar = {
        "scheduling_lag_p99_ms": "no request was started",
        "loop_lag_p99_ms": "the run left no vitals",
        "server_late_p99_ms": "the server does not stamp its events",
        "server_late_max_ms": "the server left no record",
    }
    scheduling_lag_p99_ms: float | None
    loop_lag_p99_ms: float | None
    overloaded: bool
    client_errors: int = 0
    server_late_p99_ms: float | None
    server_late_max_ms: float | None = None
    unfinished: int


class Outcome(FiniteJson):
    """How the run ended, and its verdict."""

    status: RunStatus
    detail: str
    verdict: RunVerdict
    reason: str


class OtherWorkloadResult(FiniteJson):
    """The requests of another client of the lab, by phase, and the verdicts on its objectives."""

    name: str
    target: str
    phases: tuple[PhaseResult, ...]
    objectives: tuple[ObjectiveResult, ...]
    overloaded: bool


class Result(FiniteJson):
    """The result of one run."""

    shown_by: ClassVar = ("name", "run", "outcome", "exit_code")
    why_missing: ClassVar = {
        "tokens_per_event": "the server told no usage: an event with text counts as a token",
        "tiers": NO_TIERS,
        "spans": NO_TIERS,
        "model": "no model was named: a lab's own server takes any, and a URL may say it",
        "protocol": "the records have no plan",
        "until_decided": "the run has a fixed length",
        "machine": "no machine.json has it: it is not recorded of a probe, nor of a run that ended before its timeline",
    }
    schema_version: Literal[1] = SCHEMA
    chaoskit: str
    name: str
    question: str
    headline: str = Field(default="", description="What broke, by how much and whose fault; written into files only.")
    target: str
    model: str | None = Field(default=None, description="The model that was asked for; null where none was named.")
    protocol: str | None = Field(default=None, description="The protocol and HTTP version of the measured workload.")
    conditions: tuple[str, ...] = Field(default=(), description="What is special about the way to the endpoint.")
    seed: int
    run: str = Field(default="", exclude=True, description="The run directory; not part of the file. Empty: not kept.")
    vllm: VllmFigures | None = Field(default=None, exclude=True, description="Of a probe; not part of the file.")
    clock: str = Field(description="real, virtual, or empty when the run was killed before it was written.")
    kernel: str
    provenance: Provenance | None = None
    machine: Machine | None = Field(default=None, description="The state of the machine that the run was made on.")
    origin: int
    seconds: float
    outcome: Outcome
    reference: str
    level: float = Field(default=0.95, description="How sure each interval is; more where several looks were taken.")
    until_decided: UntilDecided | None = None
    overall: Metrics
    phases: tuple[PhaseResult, ...]
    bucket_s: float
    stall_threshold_ms: float = Field(description="A longer gap is a stall.")
    reading_rate: float = Field(description="Tokens per second of the reader whose waiting is `stall_ratio`.")
    comparisons: tuple[Comparison, ...]
    objectives: tuple[ObjectiveResult, ...]
    intermediaries: tuple[Intermediary, ...] = ()
    workloads: tuple[OtherWorkloadResult, ...] = Field(default=(), description="The other workloads of a lab.")
    compression: tuple[Delivery, ...] = Field(
        default=(), description="The compressed answers of a probe, and those to more requests without compression."
    )
    models: tuple[ModelQueue, ...] = Field(default=(), description="The queues of hosts with an engine.")
    tiers: PhaseTiers | None = Field(default=None, description="Of the whole run but its warm-up.")
    ladders: tuple[LadderResult, ...] = Field(default=(), description="What the degradation of each gateway did.")
    spans: SpanCounts | None = Field(default=None, description="The spans of the hops behind the target.")
    fidelity: tuple[FidelityCheck, ...]
    tokens_per_event: float | None = Field(default=None, description="By the usage that the server told.")
    health: Health
    warnings: tuple[str, ...]

    @property
    def internal_error(self) -> str:
        """A sentence about the streams that a bug in chaoskit ended; "" when there are none."""
        count = self.overall.completions.get("internal_error", 0)
        details = [failure.detail for failure in self.overall.failures if failure.completion == "internal_error"]
        causes = "; ".join(details) or "a mistake in chaoskit"
        return f"{counted(count, 'stream')} ended by {causes}; please report it" if count else ""

    @property
    def exit_code(self) -> int:
        """What the command line returns: the status first, then the verdict."""
        match self.outcome.status:
            case "dirty":
                return 4
            case "refused":
                return 3
            case "crashed":
                return EXIT_SOFTWARE
            case "interrupted":
                return 143 if self.outcome.detail == "SIGTERM" else 130
            case "running":
                return EXIT_UNDECIDED
            case "finished" if self.internal_error:
                return EXIT_SOFTWARE
            case "finished":
                return {"broken": 1, "undecided": EXIT_UNDECIDED, "met": 0, "none": 0}[self.outcome.verdict]

    def phase(self, name: str) -> PhaseResult:
        """The phase of that name. Raises UnknownNameError, a KeyError, where there is none."""
        if (found := self.find_phase(name)) is None:
            raise unknown_name("phase", name, [each.name for each in self.phases])
        return found

    def find_phase(self, name: str) -> PhaseResult | None:
        """The phase of that name, or None."""
        return next((phase for phase in self.phases if phase.name == name), None)
