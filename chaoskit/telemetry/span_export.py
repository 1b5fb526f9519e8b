"""Writes spans as the JSON encoding of OTLP's ExportTraceServiceRequest, as a program's exporter does."""

from __future__ import annotations

import json
from collections.abc import Iterable
from itertools import groupby
from typing import Any

from chaoskit.records import span_names as names
from chaoskit.records.spans import Operation, Span

_ERROR = 2
_KINDS: dict[Operation, tuple[str, str]] = {
    "workflow": (names.OPERATION_NAME, "invoke_workflow"),
    "policy": ("openinference.span.kind", "GUARDRAIL"),
    "retrieval": (names.OPERATION_NAME, "retrieval"),
    "tool": (names.OPERATION_NAME, "execute_tool"),
    "model": (names.OPERATION_NAME, "chat"),
}
"""What says of a span what it is for; nothing for others."""


def export_body(spans: Iterable[Span], offset: int) -> bytes:
    """One export, a resource for each host. `offset` is the real-time clock less that of the spans, ns."""
    hosts = groupby(sorted(spans, key=lambda each: each.host), key=lambda each: each.host)
    return json.dumps(
        {
            "resourceSpans": [
                {
                    "resource": {"attributes": [_attribute("service.name", host)]},
                    "scopeSpans": [{"spans": [_written(each, offset) for each in found]}],
                }
                for host, found in hosts
            ]
        }
    ).encode()


def _written(span: Span, offset: int) -> dict[str, Any]:
    told = dict([_KINDS[span.operation]] if span.operation in _KINDS else []) | span.attributes
    if span.error is not None:
        told[names.ERROR_TYPE] = span.error
    return {
        "traceId": span.trace,
        "spanId": span.span,
        "parentSpanId": span.parent or "",
        "name": span.name,
        "startTimeUnixNano": str(span.begin + offset),
        "endTimeUnixNano": str(span.end + offset),
        "status": {} if span.error is None else {"code": _ERROR},
        "attributes": [_attribute(key, value) for key, value in told.items()],
    }


def _attribute(key: str, value: str | int | bool) -> dict[str, Any]:
    match value:
        case bool():
            return {"key": key, "value": {"boolValue": value}}
        case int():
            return {"key": key, "value": {"intValue": str(value)}}
        case str():
            return {"key": key, "value": {"stringValue": value}}
