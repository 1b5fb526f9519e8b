"""Defines what an analysis finds beyond numbers, each with its evidence and a sentence for people."""

from __future__ import annotations

from typing import ClassVar, Literal

from chaoskit.analysis.finite_json import FiniteJson

FindingConfidence = Literal["certain", "likely", "none"]
Direction = Literal["up", "down"]
PathMtuKind = Literal["black-hole", "silence", "probed", "signalled", "clamped"]
ClosingKind = Literal[
    "closed",
    "reset",
    "inside",
    "answered",
    "end-lost",
    "reset-between",
    "gave-up",
    "unanswered",
    "refused",
    "syn-lost",
    "syn-unanswered",
    "syn-ack-lost",
]
IntermediaryKind = Literal["idle-timer", "response-timer", "buffering"]


class Evidence(FiniteJson):
    """The records that a verdict rests on: the file, how many streams or samples, the worst streams first."""

    file: str
    count: int
    worst: tuple[int, ...] = ()


class PathMtu(FiniteJson):
    """What happened to full segments in one direction, to `streams` of `of_streams`, and one sentence for people.

    `segment` is the sender's MSS in bytes, `path_mtu` what the sender's socket has. `certain` is what the sender's own
    TCP_INFO shows; a lower confidence gives its reason.
    """

    why_missing: ClassVar = {"segment": "no TCP_INFO of the sender", "path_mtu": "no TCP_INFO of the sender"}
    kind: PathMtuKind
    direction: Direction
    streams: int
    of_streams: int
    segment: int | None
    path_mtu: int | None
    retransmissions: int = 0
    confidence: FindingConfidence
    reason: str = ""
    evidence: Evidence
    sentence: str


def is_black_hole(finding: PathMtu) -> bool:
    """Whether full segments were lost, as far as anything tells it."""
    return finding.kind in ("black-hole", "probed") and finding.confidence != "none"


class Intermediary(FiniteJson):
    """Something between client and server that cut off or held back `streams` of `of_streams`: one sentence for people.

    A timer ends a stream after `seconds`; what buffers passes on `bytes` every `seconds`. `host`: which of a lab's.
    """

    why_missing: ClassVar = {"bytes": "a timer counts none", "spread_ms": "not of a timer"}
    kind: IntermediaryKind
    host: str = ""
    streams: int
    of_streams: int
    seconds: float
    bytes: int | None = None
    spread_ms: float | None = None
    confidence: FindingConfidence
    reason: str = ""
    evidence: Evidence
    sentence: str


class Closing(FiniteJson):
    """Who ended `streams` in a lab: `by` (empty: no host), which gave up `waited_for`; `via` passed the end on.

    `during`: the phase in which they ended, where that is a later one; empty: the phase in which they began.
    """

    why_missing: ClassVar = {"apart_ms": "it gave up no connection"}
    kind: ClosingKind
    by: str
    via: tuple[str, ...] = ()
    waited_for: str = ""
    during: str = ""
    streams: int
    of_streams: int
    seconds: float
    since: Literal["last-data", "request"]
    spread_ms: float
    apart_ms: float | None = None
    confidence: FindingConfidence
    reason: str = ""
    evidence: Evidence
    sentence: str
