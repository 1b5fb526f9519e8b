"""Carries a request's trace from hop to hop (W3C Trace Context), and records a span for each.

Rules: identities are derived from the trace and the span above, so that a run repeated has the same; a span that is
open when its request is given up ends then, as `cancelled`.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass, field
from types import TracebackType

from chaoskit import clock
from chaoskit.records import trace_context
from chaoskit.records.jsonl import Log
from chaoskit.records.spans import Operation, Span
from chaoskit.records.trace_context import TraceContext, parse_traceparent
from chaoskit.seed import Random, derive, source

_REMEMBERED = 10_000  # contexts, to tell requests apart that somebody on the way has repeated
Value = str | int | bool


@dataclass(eq=False)
class OpenSpan:
    """A span in progress: a context manager that records it at its end. What is raised in it is its error."""

    tracer: Tracer
    trace: str
    span: str
    parent: str | None
    name: str
    operation: Operation
    begin: int
    attributes: dict[str, Value] = field(default_factory=dict)
    error: str | None = None
    attempts: int = 0
    _children: int = 0
    _has_ended: bool = False

    @property
    def traceparent(self) -> str:
        """The header field for what is called within it."""
        return TraceContext(self.trace, self.span).header

    def child(self, name: str, operation: Operation, attributes: Mapping[str, Value] | None = None) -> OpenSpan:
        """One within it, from now on."""
        self._children += 1
        span = f"{derive(self._children, self.trace, self.span):016x}"
        found = dict(attributes or {})
        return OpenSpan(self.tracer, self.trace, span, self.span, name, operation, clock.now(), found)

    def numbers(self, seed: int, *names: str | int) -> Random:
        """Random numbers for what belongs to it and has these names."""
        return source(seed, self.tracer.host, self.trace, self.span, *names)

    def end(self) -> None:
        """Record it, once."""
        if self._has_ended:
            return
        self._has_ended = True
        self.tracer.record(
            Span(
                trace=self.trace,
                span=self.span,
                parent=self.parent,
                host=self.tracer.host,
                name=self.name,
                operation=self.operation,
                begin=self.begin,
                end=clock.now(),
                error=self.error,
                attributes=self.attributes,
            )
        )

    def __enter__(self) -> OpenSpan:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, _: TracebackType | None) -> None:
        if error is not None and self.error is None:
            is_cancelled = isinstance(error, asyncio.CancelledError)
            self.error = "cancelled" if is_cancelled else str(getattr(error, "kind", type(error).__name__))
        self.end()


class Tracer:
    """Begins the spans of a host, and records them in its log."""

    def __init__(self, host: str, log: Log | None) -> None:
        self.host = host
        self._log = log
        self._arrivals = 0
        self._seen: dict[tuple[str, str | None], int] = {}

    def begin(self, headers: Mapping[str, str], received: int, name: str, operation: Operation) -> OpenSpan:
        """The span of a request with these header fields, within the trace that they carry or a new one."""
        trace, parent = self._context(headers)
        times = self._seen.pop((trace, parent), 0)
        self._seen[trace, parent] = times + 1
        if len(self._seen) > _REMEMBERED:
            del self._seen[next(iter(self._seen))]
        span = f"{derive(times, trace, parent or '', self.host):016x}"
        return OpenSpan(self, trace, span, parent, name, operation, received)

    def record(self, span: Span) -> None:
        """Add it to the log."""
        if self._log is not None:
            self._log.add(span)

    def _context(self, headers: Mapping[str, str]) -> tuple[str, str | None]:
        if (found := parse_traceparent(headers.get(trace_context.HEADER, ""))) is not None:
            return found
        self._arrivals += 1
        first, second = (derive(half, "trace", self.host, self._arrivals) for half in (0, 1))
        return f"{first:016x}{second:016x}", None
