"""Draws the spans of requests from a seed: chains as gateways record them, and some as nobody should."""

from __future__ import annotations

import random
from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import Any

from made_runs import MS

from chaoskit.records import span_names as names
from chaoskit.records.model import Request
from chaoskit.records.spans import Operation, Span


def traced(request: Request, chance: random.Random) -> Request:
    """The request with a trace, a workflow and a class."""
    return replace(
        request,
        trace=f"{request.stream + 1:032x}",
        workflow=chance.choice(("support", "chat", None)),
        traffic_class=chance.choice(("premium", "batch", None)),
    )


def spans_of(request: Request, chance: random.Random) -> Iterator[Span]:
    """A chain of policy, retrieval, tools and a model at a gateway, with server spans of some hosts."""
    trace, at, end = str(request.trace), request.started + chance.randint(0, MS), request.ended
    count = 0

    def span(
        parent: str | None,
        host: str,
        operation: Operation,
        begin: int,
        until: int,
        error: str | None = None,
        **more: Any,
    ) -> Span:
        nonlocal count
        count += 1
        attributes = {getattr(names, name): value for name, value in more.items() if value is not None}
        return Span(trace, f"{count:016x}", parent, host, operation, operation, begin, until, error, attributes)

    admission = chance.choice(("admitted", "queued", "shed", None))
    steps = chance.choice((None, "breadth", "breadth,concise"))
    asked, served = chance.choice((("priority", "priority"), ("priority", "default"), (None, None)))
    root = span(
        "f" * 16, "gateway", "workflow", at, end, WORKFLOW_NAME=request.workflow, ADMISSION=admission,
        ADMISSION_QUEUE=chance.randint(0, 9 * MS), DEGRADED=steps, TIER_ASKED=asked, TIER_SERVED=served,
    )  # fmt: skip
    yield root
    plan: Sequence[tuple[Operation, str]] = (
        ("policy", "guard"),
        ("retrieval", "vectors"),
        ("tool", "tools"),
        ("model", chance.choice(("model", "model-b"))),
    )
    for operation, host in plan:
        until = min(end, at + chance.randint(0, 80 * MS)) if operation != "model" else end
        failure = chance.choice((None, None, "timeout", "503"))
        outcome = chance.choice(("hit", "miss", "degraded", None)) if failure is None else None
        of_retrieval = operation == "retrieval"
        hop = span(
            root.span, "gateway", operation, at, until, failure,
            RETRIEVAL_OUTCOME=outcome if of_retrieval else None,
            RETRIEVAL_FALLBACK="no-context" if of_retrieval and failure else None,
        )  # fmt: skip
        yield hop
        for attempt in range(1, chance.choice((2, 2, 3))):
            own = at + (until - at) * (attempt - 1) // 2
            hedge = chance.choice((None, True))
            call = span(
                hop.span, "gateway", operation, own, until, failure, ATTEMPT=attempt, SERVER_ADDRESS=host, HEDGE=hedge
            )
            yield call
            if chance.random() < 0.8:
                queue = chance.randint(0, 5 * MS)
                yield span(
                    call.span, host, operation, min(own + MS, until), until, failure,
                    MODEL_QUEUE=queue if operation == "model" else None,
                    MODEL_PREFILL=2 * MS if operation == "model" else None,
                    FIRST_TOKEN=queue + 2 * MS if operation == "model" else None,
                )  # fmt: skip
        at = until


def malformed(spans: Sequence[Span], chance: random.Random) -> Iterator[Span]:
    """The same in another order, some of them with a mistake of every kind, or not at all."""
    shuffled = list(spans)
    chance.shuffle(shuffled)
    for span in shuffled:
        match chance.randrange(14):
            case 0:
                yield from (span, replace(span, begin=span.begin + 5))
            case 1:
                yield replace(span, parent=chance.choice(shuffled).span)
            case 2:
                yield replace(span, parent="e" * 16)
            case 3:
                yield replace(span, begin=span.end, end=span.begin)
            case 4:
                yield replace(span, begin=max(0, span.begin - 10**12), end=span.end + 10**12)
            case 5:
                yield replace(span, trace="d" * 32)
            case 6:
                yield replace(span, parent=span.span)
            case 7:
                yield replace(span, attributes=dict.fromkeys(span.attributes, -5))
            case 8:
                continue
            case _:
                yield span
