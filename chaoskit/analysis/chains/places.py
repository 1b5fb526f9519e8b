"""Names the place of each part of a critical path: which hop it belongs to, and what it was spent on.

| part of                                   | place                                                                 |
|-------------------------------------------|-----------------------------------------------------------------------|
| the request, before it was started        | `client`: waiting in the client                                       |
| the request, after that                   | the network between the client and the host that recorded a span      |
| a call of a host that recorded a span     | the network between the two, and waiting for a connection             |
| a call of a host that recorded none       | `downstream`: that host, or the network to it                         |
| a hop whose attempts have their own spans | `between attempts`: backing off                                       |
| a workflow                                | `queued` for the time until it was admitted, then its host's own time |
| a model                                   | `queued`, `prefill`, `prefill-interference`, `preempted`, `decode`    |
| any other span                            | its host's own time                                                   |

So of a call the part that is not its server's is the network's: a program's own waiting for a free connection cannot
be told from it.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Literal, NamedTuple

from chaoskit.analysis.chains.critical_path import Part
from chaoskit.analysis.chains.trees import Node
from chaoskit.records import span_names
from chaoskit.records.model import Request
from chaoskit.records.spans import Span

Cause = Literal[
    "client",
    "network",
    "downstream",
    "between attempts",
    "own time",
    "queued",
    "prefill",
    "prefill-interference",
    "preempted",
    "decode",
    "rejected",
]
CLIENT = "client"
_OF_MODEL: tuple[tuple[str, Cause], ...] = (
    (span_names.MODEL_QUEUE, "queued"),
    (span_names.MODEL_PREFILL_INTERFERENCE, "prefill-interference"),
    (span_names.MODEL_PREFILL, "prefill"),
    (span_names.MODEL_PREEMPTED, "preempted"),
    (span_names.MODEL_INTERFERENCE, "prefill-interference"),
)
"""In the order in which they happen, as far as there is one."""


class Place(NamedTuple):
    """What a part of a path was spent on. `link` has both ends of a network, the caller first."""

    host: str
    cause: Cause
    link: tuple[str, str] | None = None

    @property
    def sentence(self) -> str:
        """For people: `network gateway–vectors`, `model queued`, `guard`."""
        match self.cause:
            case "network" if self.link:
                return f"network {self.link[0]}–{self.link[1]}"
            case "client":
                return "waiting in the client"
            case "own time":
                return self.host
            case "downstream":
                return f"downstream {self.host}"
            case _:
                return f"{self.host} {self.cause}"


class Stay(NamedTuple):
    """So many ns at a place."""

    place: Place
    length: int


def stays(parts: Iterable[Part], request: Request) -> list[Stay]:
    """Where the parts of a request's path were spent, in order; their lengths add up to that of the path."""
    known: dict[int, dict[str, int]] = {}
    found: list[Stay] = []
    for part in parts:
        if part.node.span is None:
            found += _of_request(part, request)
        else:
            left = known.setdefault(id(part.node), _amounts(part.node.span))
            found += _of_span(part, part.node.span, left)
    return found


def total_by_place(found: Iterable[Stay]) -> dict[Place, int]:
    """The sum at each place, ns."""
    sums: dict[Place, int] = {}
    for place, length in found:
        sums[place] = sums.get(place, 0) + length
    return sums


def called_host(node: Node) -> str | None:
    """The host that a span calls: the one that recorded a span of the call, else the one it names; None: none."""
    assert node.span is not None
    name = text_of(node.span, span_names.SERVER_ADDRESS)
    answered = next((each.host for each in _spans(node.children) if each.host != node.span.host), None)
    return answered or (name if name != node.span.host else None)


def text_of(span: Span, name: str) -> str | None:
    """The value of an attribute that is a text; None for any other."""
    value = span.attributes.get(name)
    return value if isinstance(value, str) and value else None


def _of_request(part: Part, request: Request) -> Iterator[Stay]:
    waiting = min(part.end, max(part.begin, request.started)) - part.begin
    if waiting:
        yield Stay(Place(CLIENT, "client"), waiting)
    if part.length > waiting:
        host = next((each.host for each in _spans(part.node.children)), "")
        place = Place(host, "network", (CLIENT, host)) if host else Place("target", "downstream")
        yield Stay(place, part.length - waiting)


def _of_span(part: Part, span: Span, left: dict[str, int]) -> Iterator[Stay]:
    rest = part.length
    for name, cause in _admission_or_model(span):
        taken = min(rest, left.get(name, 0))
        if taken > 0:
            left[name] -= taken
            rest -= taken
            yield Stay(Place(span.host, cause), taken)
    if rest:
        yield Stay(_own(part.node, span), rest)


def _admission_or_model(span: Span) -> tuple[tuple[str, Cause], ...]:
    if span_names.MODEL_QUEUE in span.attributes:
        return _OF_MODEL
    return ((span_names.ADMISSION_QUEUE, "queued"),)


def _own(node: Node, span: Span) -> Place:
    """What a span's own time is, beyond what its attributes explain."""
    is_hop = any(each.host == span.host and span_names.ATTEMPT in each.attributes for each in _spans(node.children))
    if is_hop and span.operation != "workflow":
        return Place(span.host, "between attempts")
    callee = called_host(node) if span.operation != "workflow" else None
    if callee is None:
        return Place(span.host, "decode" if span_names.MODEL_QUEUE in span.attributes else "own time")
    if any(each.host == callee for each in _spans(node.children)):
        return Place(callee, "network", (span.host, callee))
    return Place(callee, "downstream")


def _amounts(span: Span) -> dict[str, int]:
    """The ns that its attributes tell. A prefill is told with the interference in it."""
    found = {
        name: value
        for name, value in span.attributes.items()
        if name.endswith("_ns") and isinstance(value, int) and not isinstance(value, bool) and value > 0
    }
    _take_out(found, span_names.MODEL_PREFILL, span_names.MODEL_PREFILL_INTERFERENCE)
    return found


def _take_out(amounts: dict[str, int], whole: str, part: str) -> None:
    if whole in amounts and part in amounts:
        amounts[part] = min(amounts[part], amounts[whole])
        amounts[whole] -= amounts[part]


def _spans(nodes: Iterable[Node]) -> Iterator[Span]:
    return (node.span for node in nodes if node.span is not None)


def added(late: Mapping[Place, float], usual: Mapping[Place, float]) -> dict[Place, float]:
    """How much longer each place took than usual, the most first."""
    found = {place: length - usual.get(place, 0.0) for place, length in late.items()}
    return dict(sorted(found.items(), key=lambda item: (-item[1], item[0].sentence)))
