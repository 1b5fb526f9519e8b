"""What the spans of a request cost the receiver: processor time and space on disk.

    python tests/bench/spans.py [--spans 20000]

An export has 512 spans, as SDKs send them, each with six attributes. What is measured is all that the receiver does
with them but HTTP: decompressing, decoding, finding out what they are, writing.
"""

from __future__ import annotations

import argparse
import gzip
import json
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.common.v1.common_pb2 import AnyValue, KeyValue

from chaoskit.clock import cpu
from chaoskit.records.jsonl import Log, read
from chaoskit.records.spans import Span
from chaoskit.records.trace_context import trace_of_request, trace_prefix
from chaoskit.telemetry import otlp_json, otlp_protobuf
from chaoskit.telemetry.exported_span import Batch
from chaoskit.telemetry.intake import Intake
from chaoskit.telemetry.mapping import CONVENTIONS

BATCH, HOPS = 512, 8  # spans of an export; of a request: a workflow with policy, retrieval, three tools, model, server
ATTRIBUTES = {
    "gen_ai.operation.name": "execute_tool",
    "gen_ai.tool.name": "get_order",
    "server.address": "tools",
    "http.request.method": "POST",
    "url.full": "http://tools:8000/v1/tools/call",
    "http.response.status_code": 200,
}


def spans(count: int) -> list[tuple[str, str]]:
    """The trace and the identity of each."""
    return [(trace_of_request(1, number // HOPS).trace, f"{number + 1:016x}") for number in range(count)]


def protobuf(count: int) -> bytes:
    """An export as the SDKs send it."""
    request = ExportTraceServiceRequest()
    scope = request.resource_spans.add().scope_spans.add()
    for trace, own in spans(count):
        span = scope.spans.add(trace_id=bytes.fromhex(trace), span_id=bytes.fromhex(own), name="execute_tool get_order")
        span.start_time_unix_nano = time.time_ns()
        span.end_time_unix_nano = span.start_time_unix_nano + 10**6
        for key, value in ATTRIBUTES.items():
            given = AnyValue(int_value=value) if isinstance(value, int) else AnyValue(string_value=str(value))
            span.attributes.append(KeyValue(key=key, value=given))
    return bytes(request.SerializeToString())


def in_json(count: int) -> bytes:
    """The same in JSON."""
    listed = [
        {"key": key, "value": {"intValue": str(value)} if isinstance(value, int) else {"stringValue": value}}
        for key, value in ATTRIBUTES.items()
    ]
    found = [
        {
            "traceId": trace,
            "spanId": own,
            "name": "execute_tool get_order",
            "startTimeUnixNano": str(time.time_ns()),
            "endTimeUnixNano": str(time.time_ns() + 10**6),
            "attributes": listed,
        }
        for trace, own in spans(count)
    ]
    return json.dumps({"resourceSpans": [{"scopeSpans": [{"spans": found}]}]}).encode()


def measured(reading: Callable[[bytes], Batch], body: bytes, rounds: int, run: Path) -> float:
    """Microseconds of processor time for each span."""
    run.mkdir()
    intake = Intake(Log(run, Span), trace_prefix(1), CONVENTIONS)
    begin = cpu()
    for _ in range(rounds):
        intake.take("gateway", reading(body))
    took = (cpu() - begin) / 1000 / rounds / BATCH
    intake.log.close()
    return took


def main() -> None:
    """Measure both encodings, and print the figures."""
    words = argparse.ArgumentParser(description=__doc__)
    words.add_argument("--spans", type=int, default=20_000, help="spans of each measurement")
    rounds = max(1, words.parse_args().spans // BATCH)
    packed = gzip.compress(protobuf(BATCH))
    ways: dict[str, tuple[Callable[[bytes], Batch], bytes]] = {
        "protobuf": (otlp_protobuf.read_spans, protobuf(BATCH)),
        "protobuf, gzip": (lambda body: otlp_protobuf.read_spans(gzip.decompress(body)), packed),
        "JSON": (otlp_json.read_spans, in_json(BATCH)),
    }
    with tempfile.TemporaryDirectory(prefix="chaoskit-") as folder:
        print(f"spans of programs: {rounds * BATCH} in exports of {BATCH}, {HOPS} for each request")
        for name, (reading, body) in ways.items():
            run = Path(folder) / name.replace(", ", "-")
            took = measured(reading, body, rounds, run)
            size = (run / "spans.jsonl").stat().st_size / (rounds * BATCH)
            print(f"  {name:15} {took:5.1f} us each, {took * HOPS:4.0f} us for a request, {size:.0f} bytes on disk")
        begin = cpu()
        count = len(read(Path(folder) / "protobuf", Span))
        print(f"  read again      {(cpu() - begin) / 1000 / count:5.1f} us each")
    loading = "import time; t = time.perf_counter(); import chaoskit.telemetry.otlp_protobuf"
    code = f"import json, re, sys; {loading}; print(time.perf_counter() - t)"
    took = min(float(subprocess.check_output([sys.executable, "-c", code])) for _ in range(5))
    print(f"  loading the protobuf library, once, when the first such export comes: {took * 1000:.0f} ms")


if __name__ == "__main__":
    main()
