"""The receiver of spans, asked by OpenTelemetry's own exporters and by whoever wants."""

from __future__ import annotations

import asyncio
import gzip
import json
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import pytest
from opentelemetry.exporter.otlp.proto.http import Compression
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor
from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

from chaoskit.clock import now
from chaoskit.records.jsonl import Log, read
from chaoskit.records.spans import Exports, Span
from chaoskit.records.trace_context import trace_of_request, trace_prefix
from chaoskit.telemetry.intake import MOST_SERVICES, NAMELESS, Intake
from chaoskit.telemetry.mapping import CONVENTIONS
from chaoskit.telemetry.receiver import receive

SEED = 7


@dataclass
class Receiving:
    """A receiver, and its records once it has ended."""

    url: str
    run: Path
    intake: Intake

    @property
    def spans(self) -> list[Span]:
        """What was recorded until now."""
        return read(self.run, Span)

    @property
    def exports(self) -> list[Exports]:
        """The totals."""
        return read(self.run, Exports)


@contextmanager
def receiving(run: Path, host: str | None = "gateway", most: int = 1000) -> Iterator[Receiving]:
    """A receiver in a thread."""
    listener = socket.create_server(("127.0.0.1", 0))
    url = f"http://127.0.0.1:{listener.getsockname()[1]}"
    intake = Intake(Log(run, Span), trace_prefix(SEED), CONVENTIONS, most)
    running: list[tuple[asyncio.AbstractEventLoop, asyncio.Event]] = []
    started = threading.Event()

    async def work() -> None:
        stop = asyncio.Event()
        running.append((asyncio.get_running_loop(), stop))
        started.set()
        exports = Log(run, Exports)
        try:
            await receive({host: listener}, intake, exports, stop)
        finally:
            exports.close()
            intake.log.close()

    thread = threading.Thread(target=asyncio.run, args=(work(),))
    thread.start()
    started.wait()
    try:
        yield Receiving(url, run, intake)
    finally:
        loop, stop = running[0]
        loop.call_soon_threadsafe(stop.set)
        thread.join()


def provider(url: str, compression: Compression = Compression.NoCompression) -> TracerProvider:
    """OpenTelemetry's own SDK, with its exporter."""
    found = TracerProvider(resource=Resource.create({"service.name": "app"}), shutdown_on_exit=False)
    exporter = OTLPSpanExporter(f"{url}/v1/traces", compression=compression)
    found.add_span_processor(BatchSpanProcessor(exporter))
    return found


def one_span(trace: str | None = None, **words: Any) -> dict[str, Any]:
    """An export of one span in JSON, of the run's first request."""
    span = {
        "traceId": trace or trace_of_request(SEED, 0).trace,
        "spanId": "1" * 16,
        "name": "x",
        "startTimeUnixNano": "1",
        "endTimeUnixNano": "2",
    }
    resource = {"attributes": [{"key": "service.name", "value": {"stringValue": words.pop("service", "app")}}]}
    return {"resourceSpans": [{"resource": resource, "scopeSpans": [{"spans": [span | words]}]}]}


@pytest.mark.parametrize("compression", [Compression.NoCompression, Compression.Gzip])
def test_the_sdks_exporter_is_received(tmp_path: Path, compression: Compression) -> None:
    """Spans of the run's requests are recorded on the run's clock, with the parent that the header named."""
    asked = trace_of_request(SEED, 3)
    with receiving(tmp_path) as receiver:
        tracing = provider(receiver.url, compression)
        tracer = tracing.get_tracer("test")
        context = TraceContextTextMapPropagator().extract({"traceparent": asked.header})
        before = now()
        with (
            tracer.start_as_current_span("POST /chat", context, attributes={"gen_ai.operation.name": "invoke_agent"}),
            tracer.start_as_current_span("search", attributes={"gen_ai.operation.name": "retrieval"}),
        ):
            tracer.start_span("POST /chat http send", attributes={"asgi.event.type": "http.response.body"}).end()
        after = now()
        tracer.start_span("of nobody").end()
        tracing.shutdown()

    inner, outer = receiver.spans
    assert {inner.trace, outer.trace} == {asked.trace}
    assert (outer.parent, inner.parent) == (asked.parent, outer.span)
    assert (outer.operation, inner.operation, outer.host) == ("workflow", "retrieval", "gateway")
    slack = 1_000_000  # ns: the real-time clock may be slewed meanwhile
    assert before - slack <= outer.begin <= inner.begin <= inner.end <= outer.end <= after + slack
    (total,) = receiver.exports
    assert (total.host, total.exports, total.spans, total.refused) == ("gateway", 1, 2, 0)
    assert (total.foreign, total.details) == (1, 1)


def test_json_is_received(tmp_path: Path) -> None:
    """Also compressed; a service outside of a lab is named by itself."""
    body = json.dumps(one_span() | {"unknown": 1}).encode()
    with receiving(tmp_path, host=None) as receiver:
        receiver.intake.offset = lambda: 0
        plain = httpx.post(f"{receiver.url}/v1/traces", content=body, headers={"content-type": "application/json"})
        packed = httpx.post(
            f"{receiver.url}/v1/traces",
            content=gzip.compress(body),
            headers={"content-type": "application/json; charset=utf-8", "content-encoding": "gzip"},
        )

    assert (plain.status_code, plain.json(), packed.status_code, packed.json()) == (200, {}, 200, {})
    assert [(each.host, each.begin, each.end) for each in receiver.spans] == [("app", 1, 2)] * 2


def test_metrics_and_logs_are_accepted(tmp_path: Path) -> None:
    """So that an exporter stays quiet; they are counted, and not read."""
    with receiving(tmp_path) as receiver:
        for path in ("/v1/metrics", "/v1/logs"):
            answer = httpx.post(
                receiver.url + path, content=b"\xff", headers={"content-type": "application/x-protobuf"}
            )
            assert (answer.status_code, answer.content) == (200, b"")

    assert [(each.other, each.exports) for each in receiver.exports] == [(2, 0)]


@pytest.mark.parametrize(
    ("body", "headers", "status", "problem"),
    [
        (b"\xff\xff\xff", {"content-type": "application/x-protobuf"}, 400, "no ExportTraceServiceRequest"),
        (b"hello", {"content-type": "application/json"}, 400, "no JSON"),
        (b"{}", {"content-type": "text/plain"}, 415, "expected application/x-protobuf"),
        (b"{}", {}, 415, "content-type ''"),
        (b"{}", {"content-type": "application/json", "content-encoding": "zstd"}, 415, "'zstd'; expected gzip"),
        (b"{}", {"content-type": "application/json", "content-encoding": "gzip"}, 400, "not compressed by gzip"),
        (gzip.compress(b"{}")[:-9], {"content-type": "application/json", "content-encoding": "gzip"}, 400, "no end"),
        (
            gzip.compress(bytes(2**26)),
            {"content-type": "application/json", "content-encoding": "gzip"},
            413,
            "more than 32 MiB",
        ),
    ],
)
def test_garbage_is_refused_and_counted(
    tmp_path: Path, body: bytes, headers: dict[str, str], status: int, problem: str
) -> None:
    """With a status after which no exporter tries again, and a sentence; the next export is taken."""
    with receiving(tmp_path) as receiver:
        refused = httpx.post(f"{receiver.url}/v1/traces", content=body, headers=headers)
        taken = httpx.post(f"{receiver.url}/v1/traces", json=one_span())

    assert (refused.status_code, taken.status_code) == (status, 200)
    assert problem in refused.json()["message"]
    (total,) = receiver.exports
    assert (total.refused, total.exports) == (1, 1)
    assert problem in (total.problem or "")


def test_nothing_else_is_served(tmp_path: Path) -> None:
    """Another path or method is an error."""
    with receiving(tmp_path) as receiver:
        assert httpx.get(f"{receiver.url}/").status_code == 404
        assert httpx.post(f"{receiver.url}/v1/chat/completions", json={}).status_code == 404
        assert httpx.get(f"{receiver.url}/v1/traces").headers["allow"] == "POST"

    assert receiver.exports == []


def test_wrong_spans_are_told_to_the_exporter(tmp_path: Path) -> None:
    """In the encoding that it speaks: how many of its spans were not taken."""
    with receiving(tmp_path) as receiver:
        receiver.intake.offset = lambda: 0
        answer = httpx.post(f"{receiver.url}/v1/traces", json=one_span(spanId="x"))
        away = httpx.post(f"{receiver.url}/v1/traces", json=one_span(endTimeUnixNano=str(2**61)))

    assert answer.json()["partialSuccess"]["rejectedSpans"] == "1"
    assert away.json()["partialSuccess"]["rejectedSpans"] == "1"
    assert [each.wrong for each in receiver.exports] == [2]
    assert receiver.spans == []


def test_spans_are_bounded(tmp_path: Path) -> None:
    """What is beyond the room of a run is counted; so are services of very many names, as one."""
    with receiving(tmp_path, host=None, most=5) as receiver:
        receiver.intake.offset = lambda: 0
        with httpx.Client() as client:
            for number in range(MOST_SERVICES + 20):
                client.post(f"{receiver.url}/v1/traces", json=one_span(service=f"app-{number}"))

    totals = receiver.exports
    assert len(receiver.spans) == 5
    assert len(totals) == MOST_SERVICES + 1
    assert sum(each.beyond for each in totals) == MOST_SERVICES + 15
    assert max(each.beyond for each in totals if each.host == NAMELESS) == 20


def test_what_a_program_says_is_data(tmp_path: Path) -> None:
    """Controls and lone surrogates in its texts are written down as JSON, and read again."""
    said = "a\x1b]0;title\x07\n\u202e\ud800"
    with receiving(tmp_path, host=None) as receiver:
        receiver.intake.offset = lambda: 0
        body = json.dumps(one_span(name=said, service=said)).encode()
        httpx.post(f"{receiver.url}/v1/traces", content=body, headers={"content-type": "application/json"})

    (span,) = receiver.spans
    assert span.name == span.host == "a\x1b]0;title\x07\n\u202e?"
    assert (tmp_path / "spans.jsonl").read_bytes().isascii()
