"""OTLP's two encodings, read side by side."""

from __future__ import annotations

import json
import random
from typing import Any

import pytest
from google.protobuf.json_format import MessageToDict
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import (
    ExportTraceServiceRequest,
    ExportTraceServiceResponse,
)
from opentelemetry.proto.common.v1.common_pb2 import AnyValue, ArrayValue, KeyValue
from opentelemetry.proto.trace.v1.trace_pb2 import ResourceSpans, Span, Status

from chaoskit.telemetry import otlp_json, otlp_protobuf
from chaoskit.telemetry.exported_span import MOST_ATTRIBUTES, MOST_TEXT, UnreadableError

TRACE, OWN, PARENT = bytes(range(1, 17)), bytes(range(1, 9)), bytes(range(9, 17))


def attribute(key: str, **value: Any) -> KeyValue:
    """`attribute("a", int_value=3)`"""
    return KeyValue(key=key, value=AnyValue(**value))


def request(*spans: Span) -> ExportTraceServiceRequest:
    """An export of the service `app`."""
    found = ExportTraceServiceRequest()
    resource = found.resource_spans.add()
    resource.resource.attributes.append(attribute("service.name", string_value="app"))
    resource.scope_spans.add().spans.extend(spans)
    return found


def span(**words: Any) -> Span:
    """A whole span, with these fields changed."""
    times = {"start_time_unix_nano": 10**18, "end_time_unix_nano": 10**18 + 5}
    return Span(**({"trace_id": TRACE, "span_id": OWN, "name": "chat"} | times | words))


def written(message: ExportTraceServiceRequest) -> bytes:
    """In JSON, by the library; OTLP has hexadecimal identities where protobuf's JSON has base64."""
    words = MessageToDict(message)
    for resource in words.get("resourceSpans", []):
        for scope in resource.get("scopeSpans", []):
            sent = next(each for each in message.resource_spans).scope_spans[0].spans
            for each, own in zip(scope["spans"], sent, strict=True):
                named = {"traceId": own.trace_id, "spanId": own.span_id, "parentSpanId": own.parent_span_id}
                each |= {key: value.hex() for key, value in named.items()}
                if "status" in each:
                    each["status"]["code"] = own.status.code
    return json.dumps(words).encode()


FULL = span(
    parent_span_id=PARENT,
    kind=Span.SPAN_KIND_SERVER,
    status=Status(code=Status.STATUS_CODE_ERROR),
    events=[
        Span.Event(name="exception", attributes=[attribute("exception.type", string_value="first.Error")]),
        Span.Event(name="exception", attributes=[attribute("exception.type", string_value="httpx.ReadTimeout")]),
        Span.Event(name="other"),
    ],
    attributes=[
        attribute("text", string_value="grüß"),
        attribute("yes", bool_value=True),
        attribute("count", int_value=-(2**62)),
        attribute("part", double_value=0.25),
        attribute("list", array_value=ArrayValue(values=[AnyValue(int_value=1)])),
        attribute("long", string_value="x" * 5000),
    ],
)


def test_both_encodings_give_the_same_spans() -> None:
    """Identities, parent, service, stamps, status, the last exception and plain attributes; lists are left out."""
    message = request(FULL, span(name=""), span(parent_span_id=bytes(8)))

    binary, text = otlp_protobuf.read_spans(message.SerializeToString()), otlp_json.read_spans(written(message))

    assert binary == text
    full, nameless, first = binary.spans
    assert (full.trace, full.span, full.parent) == (TRACE.hex(), OWN.hex(), PARENT.hex())
    assert (full.service, full.name, full.end - full.begin) == ("app", "chat", 5)
    assert (full.has_error, full.exception) == (True, "httpx.ReadTimeout")
    assert full.attributes == {
        "text": "grüß",
        "yes": True,
        "count": -(2**62),
        "part": 0.25,
        "long": "x" * MOST_TEXT,
    }
    assert (full.is_served, nameless.is_served) == (True, False)
    assert (nameless.name, nameless.has_error, nameless.exception, first.parent) == ("", False, None, None)


@pytest.mark.parametrize(
    "wrong",
    [
        {"trace_id": b""},
        {"trace_id": bytes(16)},
        {"trace_id": TRACE + b"x"},
        {"span_id": bytes(8)},
        {"span_id": b"x"},
        {"start_time_unix_nano": 0},
        {"end_time_unix_nano": 10**18 - 1},
    ],
)
def test_a_span_without_identity_or_length_is_wrong(wrong: dict[str, Any]) -> None:
    """It is counted, and the others of the export are taken."""
    message = request(span(), span(**wrong), span())

    for batch in (otlp_protobuf.read_spans(message.SerializeToString()), otlp_json.read_spans(written(message))):
        assert (len(batch.spans), batch.wrong) == (2, 1)


@pytest.mark.parametrize(
    "body",
    [b"", b"{", b"\xff\xfe", b"[]", b"7", b"[" * 100_000, b'{"resourceSpans": ' + b"[" * 100_000, b"null", b"NaN"],
)
def test_what_is_no_json_export_is_unreadable(body: bytes) -> None:
    """Also where it is nested too deeply."""
    with pytest.raises(UnreadableError):
        otlp_json.read_spans(body)


def test_json_of_any_shape_is_read() -> None:
    """A value of any other type in any place is as if it were not there, or makes its span wrong."""
    good = json.loads(written(request(FULL, span())))
    others: list[Any] = [None, True, 7, -1, 1.5, "x", "9" * 30, [], [7], {}, {"x": 7}, "\ud800"]

    def places(value: Any) -> list[tuple[Any, Any]]:
        found = []
        keys = list(value) if isinstance(value, dict) else range(len(value)) if isinstance(value, list) else []
        for key in keys:
            found += [(value, key), *places(value[key])]
        return found

    number = len(places(good))
    assert number > 60
    for place in range(number):
        for other in others:
            document = json.loads(json.dumps(good))
            holder, key = places(document)[place]
            holder[key] = other
            batch = otlp_json.read_spans(json.dumps(document).encode())
            assert len(batch.spans) + batch.wrong <= 2
            json.dumps([each.name for each in batch.spans], ensure_ascii=False).encode()


def test_damaged_protobuf_is_read_or_refused() -> None:
    """Whatever bytes are changed, cut or put in."""
    body = request(FULL, span()).SerializeToString()
    chance = random.Random(7)
    refused = 0
    for _ in range(3000):
        damaged = bytearray(body)
        for _ in range(chance.randint(1, 4)):
            damaged[chance.randrange(len(damaged))] = chance.randrange(256)
        try:
            otlp_protobuf.read_spans(bytes(damaged[: chance.randint(1, len(damaged))]))
        except UnreadableError:
            refused += 1
    assert refused > 100


def test_attributes_are_bounded() -> None:
    """Of a span with very many, the first are kept."""
    many = span(attributes=[attribute(f"a{number}", int_value=number) for number in range(1000)])
    message = request(many)

    for batch in (otlp_protobuf.read_spans(message.SerializeToString()), otlp_json.read_spans(written(message))):
        assert len(batch.spans[0].attributes) == MOST_ATTRIBUTES


def test_a_partial_success_is_what_exporters_read() -> None:
    """The official library reads the number and the reason."""
    told = ExportTraceServiceResponse.FromString(otlp_protobuf.partial_success(3, "no identity"))

    assert (told.partial_success.rejected_spans, told.partial_success.error_message) == (3, "no identity")


def test_an_empty_export_has_no_spans() -> None:
    """In both encodings."""
    assert otlp_protobuf.read_spans(b"") == otlp_json.read_spans(b"{}") == ([], 0)
    message = ExportTraceServiceRequest(resource_spans=[ResourceSpans()])
    assert otlp_protobuf.read_spans(message.SerializeToString()) == ([], 0)
