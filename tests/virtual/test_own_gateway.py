"""Spans that programs export with OpenTelemetry's own SDK, in virtual time."""

from __future__ import annotations

import sys
from pathlib import Path

import warm

from chaoskit.records.jsonl import read
from chaoskit.records.model import Request
from chaoskit.records.spans import Exports, Span
from chaoskit.substrate.uml import GuestKernel

LATE = """\
name: late
question: Do spans arrive that a program exports when it is stopped, or never?
stage:
  lab: service
  hosts:
    patient:
      run: python late.py patient
      files: [late.py]
      env: {OTEL_BSP_SCHEDULE_DELAY: "3600000", OTEL_SERVICE_NAME: another-name}
    elsewhere:
      run: python late.py elsewhere
      files: [late.py]
      env: {OTEL_EXPORTER_OTLP_ENDPOINT: "http://127.0.0.1:9"}
    collector:
      run: python collector.py
      files: [collector.py]
      env: {OTEL_EXPORTER_OTLP_ENDPOINT: ""}
  target: http://patient:8000/v1/chat/completions
  memory: 1GB
workload: {request-rate: 5/s, burstiness: 0, output-tokens: 2}
workloads: {other: {target: "http://elsewhere:8000/v1/chat/completions", request-rate: 5/s, output-tokens: 2}}
timeline: [{baseline: 2s}]
seed: 3
"""
PROGRAM = """\
import json, os, signal, sys
from http.server import BaseHTTPRequestHandler, HTTPServer
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.propagate import extract
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor

provider = TracerProvider()
provider.add_span_processor(BatchSpanProcessor(OTLPSpanExporter(timeout=1)))
tracer = provider.get_tracer("late")


class Handler(BaseHTTPRequestHandler):
    def do_POST(self):
        self.rfile.read(int(self.headers["content-length"]))
        with tracer.start_as_current_span("answer", extract(dict(self.headers.items()))):
            text = 'data: {"choices":[{"delta":{"content":"a"},"finish_reason":"stop"}]}\\n\\ndata: [DONE]\\n\\n'
            self.send_response(200)
            self.send_header("content-type", "text/event-stream")
            self.end_headers()
            self.wfile.write(text.encode())


def stop(*_):
    if sys.argv[1] == "patient":
        provider.shutdown()
    os._exit(0)


signal.signal(signal.SIGTERM, stop)
HTTPServer(("", 8000), Handler).serve_forever()
"""
COLLECTOR = "import socket, time\ns = socket.create_server(('0.0.0.0', 4318))\ntime.sleep(10**6)\n"


def test_spans_that_come_at_the_end_arrive(kernel: GuestKernel, tmp_path: Path) -> None:
    """A program that exports nothing before SIGTERM is received, under its host's name; one that exports elsewhere is
    left alone, and a host may have a collector of its own."""
    for name, text in (("late.yaml", LATE), ("late.py", PROGRAM), ("collector.py", COLLECTOR)):
        (tmp_path / name).write_text(text)

    words = ["run", str(tmp_path / "late.yaml"), "--clock", "virtual", "--kernel", str(kernel.path)]
    path = f"{Path(sys.executable).parent}:/usr/bin:/bin"
    words += ["--out", str(tmp_path / "run"), "--verify-repeatable"]
    done = warm.chaoskit(*words, environment={"PATH": path}, limit=280)

    assert done.returncode == 0, done.stdout + done.stderr
    assert "every byte the same" in done.stdout
    requests, spans = read(tmp_path / "run", Request), read(tmp_path / "run", Span)
    others = read(tmp_path / "run" / "workloads" / "other", Request)
    assert sorted(each.trace or "" for each in requests) == sorted(each.trace for each in spans)
    assert {each.host for each in spans} == {"patient"}
    assert [each.host for each in read(tmp_path / "run", Exports)] == ["patient"]
    assert len({each.trace for each in (*requests, *others)}) == len(requests) + len(others)
