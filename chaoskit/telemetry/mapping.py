"""Decides what an exported span is: by the mapping of the experiment's file, else by the conventions.

A pattern is the name of a span, or ATTRIBUTE=VALUE; `*` stands for any text. The first that fits decides.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Generic, TypeVar

from chaoskit.records import span_names as names
from chaoskit.records.spans import Operation, RetrievalOutcome, Span
from chaoskit.telemetry import conventions
from chaoskit.telemetry.exported_span import ExportedSpan, Value

T = TypeVar("T", bound=str)


@dataclass(frozen=True)
class Pattern:
    """A name of spans, or an attribute and its value, each with `*` for any text."""

    value: re.Pattern[str]
    attribute: str | None = None

    @classmethod
    def of(cls, written: str) -> Pattern:
        """`search *`, or `db.system=qdrant`."""
        attribute, equals, value = written.partition("=")
        return cls(_wildcard(value), attribute.strip()) if equals else cls(_wildcard(written))

    def fits(self, span: ExportedSpan) -> bool:
        """Whether it describes this span."""
        if self.attribute is None:
            return self.value.fullmatch(span.name) is not None
        found = span.attributes.get(self.attribute)
        return found is not None and self.value.fullmatch(_shown(found)) is not None


@dataclass(frozen=True)
class Rules(Generic[T]):
    """Words, each with the patterns of the spans that it is for."""

    patterns: tuple[tuple[T, Pattern], ...] = ()

    @classmethod
    def of(cls, written: Iterable[tuple[T, Iterable[str]]]) -> Rules[T]:
        """In the order in which they are tried."""
        return cls(tuple((word, Pattern.of(each)) for word, patterns in written for each in patterns))

    def find(self, span: ExportedSpan) -> T | None:
        """The word of the first pattern that fits."""
        return next((word for word, pattern in self.patterns if pattern.fits(span)), None)


@dataclass(frozen=True)
class SpanMapping:
    """What the file says about the spans of its programs."""

    operations: Rules[Operation] = Rules()
    outcomes: Rules[RetrievalOutcome] = Rules()
    fallbacks: Rules[str] = Rules()
    calls: Rules[str] = Rules()


CONVENTIONS = SpanMapping()
"""Nothing: the conventions decide."""


def to_span(span: ExportedSpan, host: str, offset: int, mapping: SpanMapping = CONVENTIONS) -> Span:
    """Its record. `offset` is the real-time clock less the run's, ns.

    Raises ValueError for a time before the clock's begin or years after it.
    """
    if span.begin < offset or span.end - offset >= _MOST_STAMP:
        raise ValueError("its time is not of this run")
    operation = mapping.operations.find(span) or conventions.operation(span)
    error = conventions.error(span)
    attributes = conventions.attributes(span)
    if operation not in ("workflow", "other") and not span.is_served and names.SERVER_ADDRESS not in attributes:
        called = mapping.calls.find(span)
        if called is not None:
            attributes[names.SERVER_ADDRESS] = called
    if operation == "retrieval":
        outcome = mapping.outcomes.find(span) or conventions.outcome(span, error)
        if outcome is not None:
            attributes[names.RETRIEVAL_OUTCOME] = outcome
        fallback = mapping.fallbacks.find(span)
        if fallback is not None:
            attributes[names.RETRIEVAL_FALLBACK] = fallback
    return Span(
        trace=span.trace,
        span=span.span,
        parent=span.parent,
        host=host,
        name=span.name[:_MOST_NAME],
        operation=operation,
        begin=span.begin - offset,
        end=span.end - offset,
        error=error,
        attributes=attributes,
    )


_MOST_STAMP, _MOST_NAME = 2**60, 200


def _wildcard(written: str) -> re.Pattern[str]:
    return re.compile(".*".join(map(re.escape, re.split(r"\*+", written.strip()))), re.DOTALL)


def _shown(value: Value) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)
