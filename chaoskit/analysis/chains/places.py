"""Names the place of each part of a critical path: which hop it belongs to, and what it was spent on.

| part of                                   | place                                                                 |
|-------------------------------------------|-----------------------------------------------------------------------|
| the request, before it was started        | `client`: waiting in the client                                       |
| the request, until it had a connection    | `connecting`: name lookup and handshakes, each a way there and back   |
| the request, after that                   | the network between the client and the host that recorded a span;     |
|                                           | where the client asked another one, `downstream`: that one            |
| a call of a host, until it had connected  | `connecting`, where the caller tells                                  |
| a call of a host that recorded a span     | the network between the two, and waiting for a connection             |
| a call of a host that recorded none       | `downstream`: that host, or the network to it; as well where its span |
|                                           | began after the call had ended                                        |
| any of these, the program being stopped   | `paused`, `killed`, `refusing`, `ended`: that host, for as long       |
| a hop whose attempts have their own spans | `between attempts`: backing off                                       |
| a workflow                                | `queued` for the time until it was admitted, then its host's own time |
| a model                                   | `queued`, `prefill`, `prefill-interference`, `preempted`, `decode`    |
| any other span                            | its host's own time; of a hop that the host makes itself for another  |
|                                           | span of its own, with what it is for: `gateway retrieval`             |

So of a call the part that is not its server's is the network's: a program's own waiting for a free connection cannot
be told from it.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from types import MappingProxyType
from typing import Literal, NamedTuple

from chaoskit.analysis.chains.critical_path import Part
from chaoskit.analysis.chains.stops import Stopped, Stops
from chaoskit.analysis.chains.trees import Node
from chaoskit.records import span_names
from chaoskit.records.model import Request
from chaoskit.records.spans import Operation, Span

Cause = (
    Stopped
    | Literal[
        "client",
        "connecting",
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
)
CLIENT = "client"
NO_STOPS: Stops = MappingProxyType({})
_OF_MODEL: tuple[tuple[str, Cause], ...] = (
    (span_names.MODEL_QUEUE, "queued"),
    (span_names.MODEL_PREFILL_INTERFERENCE, "prefill-interference"),
    (span_names.MODEL_PREFILL, "prefill"),
    (span_names.MODEL_PREEMPTED, "preempted"),
    (span_names.MODEL_INTERFERENCE, "prefill-interference"),
)
"""In the order in which they happen, as far as there is one."""


class Place(NamedTuple):
    """What a part of a path was spent on.

    `link` has both ends of a network or a connection, the caller first; `operation` is what own time was for, where a
    host tells.
    """

    host: str
    cause: Cause
    link: tuple[str, str] | None = None
    operation: Operation | None = None

    @property
    def sentence(self) -> str:
        """For people: `network gateway–vectors`, `model queued`, `guard`."""
        match self.cause:
            case "network" | "connecting" as cause if self.link:
                return f"{cause} {self.link[0]}–{self.link[1]}"
            case "client":
                return "waiting in the client"
            case "own time":
                return f"{self.host} {self.operation}" if self.operation else self.host
            case "downstream":
                return f"downstream {self.host}"
            case _:
                return f"{self.host} {self.cause}"


class Front(NamedTuple):
    """The host of a lab that the client asks by this name, or its replicas."""

    name: str
    hosts: tuple[str, ...]


class Stay(NamedTuple):
    """So many ns at a place."""

    place: Place
    length: int


def stays(parts: Iterable[Part], request: Request, front: Front | None = None, stops: Stops = NO_STOPS) -> list[Stay]:
    """Where the parts of a request's path were spent, in order; their lengths add up to that of the path.

    `front`: whom the client asks, where that is known; `stops`: when programs were stopped.
    """
    known: dict[int, dict[str, int]] = {}
    found: list[Stay] = []
    for part in parts:
        if part.node.span is None:
            found += _of_request(part, request, front, stops)
        else:
            left = known.setdefault(id(part.node), _amounts(part.node.span))
            found += _of_span(part, part.node.span, left, stops)
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


def _of_request(part: Part, request: Request, front: Front | None, stops: Stops) -> Iterator[Stay]:
    host = next((each.host for each in _spans(part.node.children)), "")
    if front is not None and host not in front.hosts:
        host, place = front.name, Place(front.name, "downstream")
    elif host:
        place = Place(host, "network", (CLIENT, host))
    else:
        host, place = "target", Place("target", "downstream")
    ready = request.started + (request.queue_duration or 0)
    durations = (request.dns_duration, request.connect_duration, request.tls_duration)
    connected = ready + sum(each for each in durations if each is not None)
    stretches = (
        (Place(CLIENT, "client"), ready),
        (Place(host, "connecting", (CLIENT, host)), connected),
        (place, part.end),
    )
    at = part.begin
    for where, until in stretches:
        end = min(part.end, max(at, until))
        if end > at:
            yield from _with_stops(where, (at, end), end - at, stops)
        at = end


def _of_span(part: Part, span: Span, left: dict[str, int], stops: Stops) -> Iterator[Stay]:
    rest = part.length
    callee = called_host(part.node) or span.host
    for name, cause in _told(span):
        taken = min(rest, left.get(name, 0))
        if taken > 0:
            left[name] -= taken
            rest -= taken
            is_link = cause == "connecting"
            yield Stay(Place(callee, cause, (span.host, callee)) if is_link else Place(span.host, cause), taken)
    yield from _with_stops(_own(part, span), (part.begin, part.end), rest, stops)


def _with_stops(place: Place, stretch: tuple[int, int], rest: int, stops: Stops) -> Iterator[Stay]:
    """The `rest` of a stretch at a place, but for when the program of one of its hosts was stopped."""
    for host in dict.fromkeys((place.host, *(place.link or ()))):
        for stop in stops.get(host, ()):
            taken = min(rest, stop.overlap(*stretch))
            if taken > 0:
                rest -= taken
                yield Stay(Place(host, stop.state), taken)
    if rest:
        yield Stay(place, rest)


def _told(span: Span) -> tuple[tuple[str, Cause], ...]:
    """The attributes that tell what a span's time was spent on."""
    if span_names.MODEL_QUEUE in span.attributes:
        return _OF_MODEL
    return ((span_names.ADMISSION_QUEUE, "queued"), (span_names.CONNECT, "connecting"))


def _own(part: Part, span: Span) -> Place:
    """What a span's own time is, beyond what its attributes explain."""
    node, above = part.node, part.parent.span if part.parent is not None else None
    is_hop = any(each.host == span.host and span_names.ATTEMPT in each.attributes for each in _spans(node.children))
    if is_hop and span.operation != "workflow":
        return Place(span.host, "between attempts")
    callee = called_host(node) if span.operation != "workflow" else None
    if callee is None:
        if span_names.MODEL_QUEUE in span.attributes:
            return Place(span.host, "decode")
        is_within = above is not None and above.host == span.host and above.operation != span.operation
        is_told = is_within and span.operation not in ("workflow", "other")
        return Place(span.host, "own time", operation=span.operation if is_told else None)
    if any(each.host == callee and each.begin < node.end for each in _spans(node.children)):
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
