"""Says what the spans of one request tell: its hops, its end, its retrievals, its admission.

A hop is what a workflow waits for: the topmost span of an operation other than `workflow` and `other`. Its attempts are
the spans below it that name an attempt; without any it was tried once.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from functools import cached_property

from chaoskit.analysis.chains.places import Front, called_host, text_of
from chaoskit.analysis.chains.stops import Stops
from chaoskit.analysis.chains.trees import Node
from chaoskit.analysis.streams.latencies import GIVEN_UP, NEVER, Latency
from chaoskit.records import span_names
from chaoskit.records.model import Request
from chaoskit.records.spans import Operation, RetrievalOutcome, Span

TOO_MANY = 429
DROPPED = ", dropped: "  # in the detail of a request whose answer tells why it was refused
_NOT_HOPS = ("workflow", "other")


@dataclass(frozen=True, eq=False)
class Hop:
    """A hop and its attempts, each with the host that it called."""

    node: Node
    span: Span
    attempts: tuple[tuple[Span, str], ...]

    @property
    def operation(self) -> Operation:
        """What it is for."""
        return self.span.operation

    @property
    def host(self) -> str:
        """The host that answered it, or that was asked last."""
        return self.attempts[-1][1]

    @property
    def outcome(self) -> RetrievalOutcome | None:
        """Of a retrieval; None where nothing tells whether it found something."""
        told = _first(self.node, span_names.RETRIEVAL_OUTCOME)
        if told in ("hit", "miss", "timeout", "error", "degraded"):
            return told  # type: ignore[return-value]  # one of the words
        if self.span.error is None:
            return None
        return "timeout" if self.span.error == "timeout" else "error"

    @property
    def fallback(self) -> str | None:
        """What answered in place of a retrieval."""
        return text_of(self.span, span_names.RETRIEVAL_FALLBACK)


@dataclass(frozen=True, eq=False)
class Action:
    """One request of a user and its tree; without one, no span of it was recorded.

    `front`: the host that it asked; `stops`: when the programs of hosts were stopped.
    """

    request: Request
    root: Node | None
    front: Front | None = None
    stops: Stops = field(default_factory=dict)

    @cached_property
    def hops(self) -> tuple[Hop, ...]:
        """In order of their begin."""
        found = sorted(_hops(self.root), key=lambda hop: hop.node.begin) if self.root else ()
        return tuple(found)

    @cached_property
    def workflow(self) -> Span | None:
        """The topmost span of a workflow."""
        nodes = self.root.walk() if self.root else ()
        return next((node.span for node in nodes if node.span and node.span.operation == "workflow"), None)

    @property
    def end(self) -> int | None:
        """When the last hop had answered; without hops, when the last span ended."""
        ends = [hop.node.end for hop in self.hops] or [node.end for node in self.root.children] if self.root else []
        return max((self.request.scheduled, *ends)) if ends else None

    @property
    def toolchain(self) -> Latency | None:
        """From `scheduled` to the end of the last hop; never where the request failed, though its hops ended."""
        request, end = self.request, self.end
        if request.completion == "client_error":
            return None
        begin = request.scheduled
        if request.completion != "complete":
            is_cut = request.completion == "cancelled"
            waited = max(0, request.ended - begin) if is_cut or request.completion in GIVEN_UP else None
            return Latency("toolchain", request.stream, begin, request.ended, NEVER, waited, is_cut)
        return None if end is None else Latency("toolchain", request.stream, begin, end, end - begin)

    @property
    def retrievals(self) -> tuple[Hop, ...]:
        """Its retrievals."""
        return tuple(hop for hop in self.hops if hop.operation == "retrieval")

    @property
    def fell_back(self) -> bool:
        """Whether a fallback answered because a retrieval missed its deadline or failed."""
        return any(hop.fallback is not None and hop.outcome in ("timeout", "error") for hop in self.retrievals)

    @property
    def admission(self) -> str | None:
        """`admitted`, `queued` or `shed`, as a span or the answer tells; None where nothing tells."""
        told = text_of(self.workflow, span_names.ADMISSION) if self.workflow else None
        if told in ("admitted", "queued", "shed"):
            return told
        return "shed" if self.request.status == TOO_MANY or DROPPED in self.request.detail else None

    @property
    def steps(self) -> tuple[str, ...]:
        """The steps of the degradation ladder in force."""
        told = text_of(self.workflow, span_names.DEGRADED) if self.workflow else None
        names = (told or self.request.degraded or "").split(",")
        return tuple(dict.fromkeys(name.strip() for name in names if name.strip()))

    @property
    def tiers(self) -> tuple[str, str] | None:
        """The service tier that was asked for and the one that answered; None where one of them is not told."""
        asked = self.request.tier_asked or self._told(span_names.TIER_ASKED)
        served = self.request.tier_served or self._told(span_names.TIER_SERVED)
        return (asked, served) if asked and served else None

    @property
    def is_downgraded(self) -> bool:
        """Whether another tier answered than was asked for; who leaves the choice to the server gets what it chose."""
        return self.tiers is not None and self.tiers[0] != self.tiers[1] and self.tiers[0] != "auto"

    def _told(self, name: str) -> str:
        return (_first(self.root, name) or "") if self.root else ""


def _hops(root: Node) -> Iterator[Hop]:
    stack = [root]
    while stack:
        node = stack.pop()
        if node.span is not None and node.span.operation not in _NOT_HOPS:
            yield Hop(node, node.span, tuple(_attempts(node)))
        else:
            stack += node.children


def _attempts(hop: Node) -> Sequence[tuple[Span, str]]:
    """Those directly below a hop, in order; the hop itself where it has none."""
    found = [node for node in hop.children if node.span is not None and span_names.ATTEMPT in node.span.attributes]
    return [_with_host(node) for node in found or [hop]]


def _with_host(node: Node) -> tuple[Span, str]:
    assert node.span is not None
    return node.span, called_host(node) or node.span.host


def _first(root: Node, name: str) -> str | None:
    """The value of the topmost span that has a text for this attribute."""
    found = (text_of(node.span, name) for node in root.walk() if node.span)
    return next((text for text in found if text), None)
