"""Spans that the programs of a real endpoint export while faults are on the interface to it."""

from __future__ import annotations

import socket
from pathlib import Path

import httpx
from asked_endpoint import Asked, endpoint, reply, stream
from commands import typed

from chaoskit.clock import now, realtime_offset
from chaoskit.records.jsonl import read
from chaoskit.records.model import Request
from chaoskit.records.spans import Exports, Span
from chaoskit.records.trace_context import parse_traceparent

LISTEN = "127.0.0.1:4318"
FILE = """\
name: target
question: What do the endpoint's programs tell?
stage: {{target: "{url}", model: m, interface: lo}}
workload: {{request-rate: 4/s, burstiness: 0, output-tokens: 2}}
telemetry: {{map: {{tool: "call *"}}}}
faults: {{far: {{direction: down, netem: {{delay: 20ms}}}}}}
timeline: [{{baseline: 1s}}, {{far: 1s}}]
seed: 1
"""


def answer(asked: Asked) -> bytes:
    """Export a span of the request, and one of somebody else's, and answer."""
    if asked.method != "POST":
        return reply(404, {})
    named = parse_traceparent(asked.headers["traceparent"])
    assert named is not None
    at = now() + realtime_offset()
    spans = [
        {"traceId": trace, "spanId": "1" * 16, "name": "call x", "startTimeUnixNano": at, "endTimeUnixNano": at + 1}
        for trace in (named.trace, "7" * 32)
    ]
    body = {"resourceSpans": [{"scopeSpans": [{"spans": spans}]}]}
    httpx.post(f"http://{LISTEN}/v1/traces", json=body).raise_for_status()
    return stream()


def test_spans_of_a_target_are_received(tmp_path: Path) -> None:
    """By default where exporters send them; those of the run's requests are recorded, and others counted. A port that
    is in use is told before anything is changed."""
    file = tmp_path / "x.yaml"
    words = ("run", str(file), "--substrate", "here", "--out")

    with endpoint(answer) as found:
        file.write_text(FILE.format(url=f"{found.url}/v1/chat/completions"))
        code, said = typed(tmp_path / "state", *words, str(tmp_path / "run"))
        with socket.create_server(("127.0.0.1", 4318)):
            refused, why = typed(tmp_path / "state", *words, str(tmp_path / "refused"))

    assert code == 0, said
    assert refused == 3
    assert "in use by another program" in " ".join(why.split())
    requests, spans = read(tmp_path / "run", Request), read(tmp_path / "run", Span)
    assert len(requests) == 8
    assert sorted(each.trace or "" for each in requests) == sorted(each.trace for each in spans)
    assert {(each.host, each.operation) for each in spans} == {("unknown_service", "tool")}
    assert [(each.spans, each.foreign) for each in read(tmp_path / "run", Exports)] == [(8, 8)]
