"""Reads the JSON encoding of OTLP's ExportTraceServiceRequest (OTLP 1.x, "JSON Protobuf Encoding").

Identities are hexadecimal, 64-bit integers are texts or numbers, and unknown fields are ignored.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator
from typing import Any

from chaoskit.telemetry.exported_span import (
    MOST_ATTRIBUTES,
    Batch,
    ExportedSpan,
    UnreadableError,
    Value,
    is_whole,
    text,
)

_TRACE, _SPAN = re.compile("[0-9a-f]{32}"), re.compile("[0-9a-f]{16}")
_ERROR = (2, "STATUS_CODE_ERROR")
_SERVED = (2, 5, "SPAN_KIND_SERVER", "SPAN_KIND_CONSUMER")
_MOST = 2**64


def read_spans(body: bytes) -> Batch:
    """The spans of an export. Raises UnreadableError."""
    try:
        document = json.loads(body)
    except (ValueError, RecursionError):
        raise UnreadableError("the body is no JSON") from None
    if not isinstance(document, dict):
        raise UnreadableError("the body is no ExportTraceServiceRequest: expected an object with resourceSpans")
    found = [
        _span(each, service)
        for resource in _list(document, "resourceSpans")
        for service in [_service(resource)]
        for scope in _list(resource, "scopeSpans")
        for each in _list(scope, "spans")
    ]
    spans = [each for each in found if each is not None]
    return Batch(spans, len(found) - len(spans))


def _service(resource: Any) -> str:
    inner = resource.get("resource") if isinstance(resource, dict) else None
    name = _attributes(inner).get("service.name", "")
    return name if isinstance(name, str) else ""


def _span(words: Any, service: str) -> ExportedSpan | None:
    if not isinstance(words, dict):
        return None
    trace, own, parent = (str(words.get(key) or "").lower() for key in ("traceId", "spanId", "parentSpanId"))
    begin, end = (_integer(words.get(key)) for key in ("startTimeUnixNano", "endTimeUnixNano"))
    if not _TRACE.fullmatch(trace) or not _SPAN.fullmatch(own) or begin is None or end is None:
        return None
    status = words.get("status")
    found = ExportedSpan(
        trace,
        own,
        parent if _SPAN.fullmatch(parent) and parent.strip("0") else None,
        service,
        text(str(words.get("name") or "")),
        begin,
        end,
        isinstance(status, dict) and status.get("code") in _ERROR,
        _exception(words),
        _attributes(words),
        words.get("kind") in _SERVED,
    )
    return found if is_whole(found) else None


def _exception(words: dict[str, Any]) -> str | None:
    for event in reversed(_list(words, "events")):
        kind = _attributes(event).get("exception.type")
        if isinstance(kind, str):
            return kind
    return None


def _attributes(words: Any) -> dict[str, Value]:
    return dict(_pairs(_list(words, "attributes")[:MOST_ATTRIBUTES]))


def _pairs(attributes: Iterable[Any]) -> Iterator[tuple[str, Value]]:
    for each in attributes:
        match each:
            case {"key": str(key), "value": {"stringValue": str(value)}}:
                yield text(key), text(value)
            case {"key": str(key), "value": {"boolValue": bool(yes)}}:
                yield text(key), yes
            case {"key": str(key), "value": {"doubleValue": int() | float() as number}}:
                yield text(key), float(number)
            case {"key": str(key), "value": {"intValue": written}}:
                if (whole := _integer(written, signed=True)) is not None:
                    yield text(key), whole


def _integer(value: Any, signed: bool = False) -> int | None:
    if isinstance(value, str) and len(value) <= 20 and re.fullmatch("-?[0-9]+", value):
        value = int(value)
    if type(value) is not int or not -_MOST < value < _MOST or (value < 0 and not signed):
        return None
    return value


def _list(words: Any, key: str) -> list[Any]:
    found = words.get(key) if isinstance(words, dict) else None
    return found if isinstance(found, list) else []
