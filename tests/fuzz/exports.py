"""Fuzzes what exporters of spans send: whatever it is, what is recorded of it can be read again."""

from __future__ import annotations

import json
import tempfile
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, suppress
from pathlib import Path
from typing import Any

from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.common.v1.common_pb2 import AnyValue, KeyValue

from chaoskit.records.jsonl import Log, read
from chaoskit.records.spans import Exports, Span
from chaoskit.records.trace_context import trace_of_request, trace_prefix
from chaoskit.telemetry import otlp_json, otlp_protobuf
from chaoskit.telemetry.exported_span import Batch, UnreadableError
from chaoskit.telemetry.intake import Intake
from chaoskit.telemetry.mapping import CONVENTIONS
from fuzz.mutate import of_bytes, of_json
from fuzz.target import Judge, Target

_TRACE = trace_of_request(1, 0).trace
_ATTRIBUTES: dict[str, Any] = {
    "gen_ai.operation.name": {"stringValue": "retrieval"},
    "db.response.returned_rows": {"intValue": "3"},
    "gen_ai.latency.time_in_queue": {"doubleValue": 0.25},
    "chaoskit.hedge": {"boolValue": True},
}
_SPAN = {
    "traceId": _TRACE,
    "spanId": "00f067aa0ba902b7",
    "parentSpanId": "b7ad6b7169203331",
    "name": "search",
    "kind": 3,
    "startTimeUnixNano": "1700000000000000000",
    "endTimeUnixNano": "1700000000100000000",
    "attributes": [{"key": key, "value": value} for key, value in _ATTRIBUTES.items()],
    "events": [{"attributes": [{"key": "exception.type", "value": {"stringValue": "httpx.ReadTimeout"}}]}],
    "status": {"code": 2},
}
_SERVICE = {"attributes": [{"key": "service.name", "value": {"stringValue": "gateway"}}]}


def _in_json() -> list[bytes]:
    resource = {"resource": _SERVICE, "scopeSpans": [{"spans": [_SPAN, _SPAN]}]}
    return [json.dumps({"resourceSpans": [resource]}).encode() + b"\n"]


def _in_protobuf() -> list[bytes]:
    request = ExportTraceServiceRequest()
    resource = request.resource_spans.add()
    resource.resource.attributes.append(KeyValue(key="service.name", value=AnyValue(string_value="gateway")))
    span = resource.scope_spans.add().spans.add(
        trace_id=bytes.fromhex(_TRACE),
        span_id=bytes(range(1, 9)),
        name="search",
        start_time_unix_nano=1_700_000_000_000_000_000,
        end_time_unix_nano=1_700_000_000_100_000_000,
    )
    span.attributes.append(KeyValue(key="gen_ai.operation.name", value=AnyValue(string_value="retrieval")))
    span.attributes.append(KeyValue(key="db.response.returned_rows", value=AnyValue(int_value=3)))
    return [request.SerializeToString()]


def _judge(reading: Callable[[bytes], Batch]) -> Callable[[], AbstractContextManager[Judge]]:
    @contextmanager
    def opened() -> Iterator[Judge]:
        with tempfile.TemporaryDirectory() as folder:
            run = Path(folder)
            spans, exports = Log(run, Span), Log(run, Exports)
            intake = Intake(spans, trace_prefix(1), CONVENTIONS, offset=lambda: 1_699_999_999_000_000_000)

            def judge(data: bytes) -> None:
                with suppress(UnreadableError):
                    intake.take(None, reading(data))

            try:
                yield judge
            finally:
                for each in intake.totals():
                    exports.add(each)
                exports.close()
                spans.close()
            assert len(read(run, Span)) == sum(each.spans for each in read(run, Exports))

    return opened


JSON = Target("otlp-json", _in_json, of_json, _judge(otlp_json.read_spans))
PROTOBUF = Target("otlp-protobuf", _in_protobuf, of_bytes(b"\xff" * 9, b"\x00"), _judge(otlp_protobuf.read_spans))
