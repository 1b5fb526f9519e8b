"""Reads the protobuf encoding of OTLP with the official `opentelemetry-proto`.

This module is imported when the first such export comes: the library is an extra, and loads in 25 ms.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from google.protobuf.message import DecodeError
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import (
    ExportTracePartialSuccess,
    ExportTraceServiceRequest,
    ExportTraceServiceResponse,
)
from opentelemetry.proto.common.v1.common_pb2 import KeyValue
from opentelemetry.proto.trace.v1.trace_pb2 import Span, Status

from chaoskit.telemetry.exported_span import (
    MOST_ATTRIBUTES,
    Batch,
    ExportedSpan,
    UnreadableError,
    Value,
    is_whole,
    text,
)

_TRACE, _SPAN = 16, 8  # bytes


def read_spans(body: bytes) -> Batch:
    """The spans of an export. Raises UnreadableError."""
    try:
        request = ExportTraceServiceRequest.FromString(body)
    except DecodeError:
        raise UnreadableError("the body is no ExportTraceServiceRequest in protobuf") from None
    found = [
        _span(each, service)
        for resource in request.resource_spans
        for service in [_service(resource.resource.attributes)]
        for scope in resource.scope_spans
        for each in scope.spans
    ]
    spans = [each for each in found if each is not None]
    return Batch(spans, len(found) - len(spans))


def partial_success(rejected: int, why: str) -> bytes:
    """A response that says how many spans were not taken."""
    told = ExportTracePartialSuccess(rejected_spans=rejected, error_message=why)
    return bytes(ExportTraceServiceResponse(partial_success=told).SerializeToString())


def _service(attributes: Iterable[KeyValue]) -> str:
    name = _attributes(attributes).get("service.name", "")
    return name if isinstance(name, str) else ""


def _span(span: Span, service: str) -> ExportedSpan | None:
    if len(span.trace_id) != _TRACE or len(span.span_id) != _SPAN:
        return None
    has_parent = len(span.parent_span_id) == _SPAN and any(span.parent_span_id)
    found = ExportedSpan(
        span.trace_id.hex(),
        span.span_id.hex(),
        span.parent_span_id.hex() if has_parent else None,
        service,
        text(span.name),
        span.start_time_unix_nano,
        span.end_time_unix_nano,
        span.status.code == Status.STATUS_CODE_ERROR,
        _exception(span),
        _attributes(span.attributes),
        span.kind in (Span.SPAN_KIND_SERVER, Span.SPAN_KIND_CONSUMER),
    )
    return found if is_whole(found) else None


def _exception(span: Span) -> str | None:
    for event in reversed(span.events):
        kind = _attributes(event.attributes).get("exception.type")
        if isinstance(kind, str):
            return kind
    return None


def _attributes(attributes: Iterable[KeyValue]) -> dict[str, Value]:
    return dict(_pairs(list(attributes)[:MOST_ATTRIBUTES]))


def _pairs(attributes: Iterable[KeyValue]) -> Iterator[tuple[str, Value]]:
    for each in attributes:
        match each.value.WhichOneof("value"):
            case "string_value":
                yield text(each.key), text(each.value.string_value)
            case "bool_value":
                yield text(each.key), each.value.bool_value
            case "int_value":
                yield text(each.key), each.value.int_value
            case "double_value":
                yield text(each.key), each.value.double_value
