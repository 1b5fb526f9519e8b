"""Measures the hops of all requests of a run: latencies, shares, and why there are none."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from types import MappingProxyType
from typing import get_args

from chaoskit.analysis.chains.actions import Action
from chaoskit.analysis.chains.places import NO_STOPS, Front, text_of
from chaoskit.analysis.chains.repeated_text import Numbering
from chaoskit.analysis.chains.stops import Stops
from chaoskit.analysis.chains.trees import Malformed, build_trees
from chaoskit.analysis.streams.assemble import Stream
from chaoskit.analysis.streams.latencies import Latency
from chaoskit.records import span_names
from chaoskit.records.model import Request
from chaoskit.records.spans import RetrievalOutcome, Span
from chaoskit.spec.sample_size import OF_SPANS
from chaoskit.telemetry.traces import Traces
from chaoskit.units import counted

MAX_LOST = 0.01  # of the requests that ended well: with more of them without a span, what spans tell is undecided
_OK = 200
_OUTCOMES: tuple[RetrievalOutcome, ...] = get_args(RetrievalOutcome)


@dataclass(frozen=True, eq=False)
class TierMeasurements:
    """What the spans of a run tell. `told` is, for each share, whether a request counts; of no other one is it known.

    `lost` are the numbers of requests that ended well and have no span, `why_lost` says why; `missing` says why metrics
    have no value; `inversions` are those of the function of this name.
    """

    actions: tuple[Action, ...]
    latencies: tuple[Latency, ...]
    told: Mapping[str, Mapping[int, bool]]
    lost: tuple[int, ...]
    why_lost: str
    missing: Mapping[str, str]
    malformed: Malformed
    spans: int
    numbering: Mapping[int, Numbering]
    inversions: Mapping[int, int] = field(default_factory=dict)

    @property
    def lost_reason(self) -> str:
        """Why what spans tell decides nothing, where too many never came; "" where they did."""
        ended = sum(each.request.completion == "complete" for each in self.actions)
        return self.why_lost if self.spans and len(self.lost) > MAX_LOST * ended else ""


FROM_SPANS = ("toolchain", *OF_SPANS)
"""The metrics that only spans tell, without statistics."""


def named(requests: Iterable[Request], spans: Iterable[Span]) -> list[Request]:
    """The requests, with the workflow and the class that their spans tell where the client named none."""
    told: dict[str, dict[str, str]] = {}
    for span in spans:
        for name in (span_names.WORKFLOW_NAME, span_names.TRAFFIC_CLASS):
            if (text := text_of(span, name)) is not None:
                told.setdefault(span.trace, {}).setdefault(name, text)
    return [_named(request, told.get(request.trace or "", {})) for request in requests]


def _named(request: Request, told: Mapping[str, str]) -> Request:
    workflow = request.workflow or told.get(span_names.WORKFLOW_NAME)
    traffic_class = request.traffic_class or told.get(span_names.TRAFFIC_CLASS)
    if (workflow, traffic_class) == (request.workflow, request.traffic_class):
        return request
    return replace(request, workflow=workflow, traffic_class=traffic_class)


def measure(
    requests: Sequence[Request],
    found: Traces,
    numbering: Mapping[int, Numbering] = MappingProxyType({}),
    front: Front | None = None,
    stops: Stops = NO_STOPS,
) -> TierMeasurements:
    """What the spans of these requests tell, which asked `front`, and the numbers of events of answers that may be of
    two; `stops`: when the programs of hosts were stopped."""
    trees = build_trees(requests, found.spans)
    actions = tuple(Action(request, trees.of_request.get(request.stream), front, stops) for request in requests)
    has_spans = bool(trees.of_request)
    lost = tuple(each.request.stream for each in actions if each.root is None and each.request.completion == "complete")
    return TierMeasurements(
        actions=actions,
        latencies=tuple(_latencies(actions)) if has_spans else (),
        told=_told(actions),
        lost=lost,
        why_lost=": ".join(
            filter(None, (f"{len(lost)} of {counted(len(actions), 'request')} have no span", found.reason))
        ),
        missing={} if has_spans else dict.fromkeys(FROM_SPANS, found.reason or _why_none(requests, found.spans)),
        malformed=trees.malformed,
        spans=trees.spans,
        numbering=numbering,
    )


def by_user(found: TierMeasurements, streams: Iterable[Stream]) -> TierMeasurements:
    """With latencies from the first time that a user asked; none of requests that were given up and asked again."""
    known = {stream.number: stream for stream in streams}
    told = ((each, known[each.stream]) for each in found.latencies)
    latencies = (
        each._replace(begin=stream.asked, value=each.value + stream.request.scheduled - stream.asked)
        for each, stream in told
        if not stream.is_asked_again
    )
    return replace(found, latencies=tuple(latencies))


def _latencies(actions: Iterable[Action]) -> Iterator[Latency]:
    return (latency for each in actions if (latency := each.toolchain) is not None)


def _why_none(requests: Sequence[Request], spans: Sequence[Span]) -> str:
    if spans:
        return f"{counted(len(spans), 'span')}, and none of a request of this run"
    if not any(request.trace for request in requests):
        return "no request named a trace, so that no span can belong to it"
    return f"no program exported a span of any of {counted(len(requests), 'request')}"


def _told(actions: Sequence[Action]) -> dict[str, dict[int, bool]]:
    """By metric, of each request of which it is known, whether it counts."""
    found: dict[str, dict[int, bool]] = {name: {} for name in ("shed_rate", *OF_SPANS)}
    marks_answers = not any(each.workflow for each in actions) and any(each.steps for each in actions)
    for each in actions:
        number, admission = each.request.stream, each.admission
        found["shed_rate"][number] = admission == "shed"
        if each.workflow is not None and each.admission is not None:
            found["queued_rate"][number] = admission == "queued"
        if admission != "shed" and (each.workflow is not None or (marks_answers and each.request.status == _OK)):
            found["degraded_ratio"][number] = bool(each.steps)
        if each.tiers is not None:
            found["downgrade_rate"][number] = each.is_downgraded
        if each.retrievals:
            found["retrieval_fallback_ratio"][number] = each.fell_back
        if outcomes := {hop.outcome for hop in each.retrievals if hop.outcome is not None}:
            for outcome in _OUTCOMES[1:]:
                found[f"retrieval_{outcome}_ratio"][number] = outcome in outcomes
    return found
