"""`chaoskit probe --telemetry`: spans that the programs of an endpoint export meanwhile."""

from __future__ import annotations

import socket
from pathlib import Path

import httpx
import pytest
from asked_endpoint import Asked, completes, endpoint, probe, reply, stream
from cli_words import MEASURED

from chaoskit.clock import now, realtime_offset
from chaoskit.records.jsonl import read
from chaoskit.records.model import Request
from chaoskit.records.spans import Exports, Span
from chaoskit.records.trace_context import parse_traceparent
from chaoskit.telemetry.traces import traces

BEHIND = min(3600 * 10**9, now() // 2)
"""An hour, where this machine has been up for two: spans from before it was are refused."""


def free_port() -> int:
    """One that nobody listens on."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        return int(listener.getsockname()[1])


@pytest.mark.parametrize("processes", [1, 2])
def test_spans_of_the_endpoint_are_received(tmp_path: Path, processes: int) -> None:
    """Each request names a trace of its own; the spans of a program whose clock is behind are moved."""
    port = free_port()

    def answer(asked: Asked) -> bytes:
        if asked.method != "POST":
            return reply(404, {})
        named = parse_traceparent(asked.headers["traceparent"])
        assert named is not None
        at = now() + realtime_offset() - BEHIND
        span = {
            "traceId": named.trace,
            "spanId": named.trace[16:],
            "parentSpanId": named.parent,
            "name": "chat",
            "startTimeUnixNano": str(at),
            "endTimeUnixNano": str(at + 1000),
            "attributes": [{"key": "gen_ai.operation.name", "value": {"stringValue": "invoke_workflow"}}],
        }
        resource = {"attributes": [{"key": "service.name", "value": {"stringValue": "shop"}}]}
        body = {"resourceSpans": [{"resource": resource, "scopeSpans": [{"spans": [span]}]}]}
        httpx.post(f"http://127.0.0.1:{port}/v1/traces", json=body).raise_for_status()
        return stream()

    with endpoint(answer) as found:
        words = ("--telemetry", f"127.0.0.1:{port}", "--requests", "4", "--max-concurrency", "2")
        done = probe(found.url, *words, "--processes", str(processes), "--out", str(tmp_path / "run"))

    run = tmp_path / "run"
    requests, spans, exports = read(run, Request), read(run, Span), read(run, Exports)
    assert done.returncode in MEASURED, done.stderr
    assert "waiting some seconds for the last spans" in done.stderr
    assert sorted(each.trace or "" for each in requests) == sorted(each.trace for each in spans)
    assert [(each.host, each.spans) for each in exports] == [("shop", 4)]
    prepared = traces(requests, spans, exports, has_one_clock=False)
    (shift,) = prepared.shifts
    assert shift.shift is not None
    assert abs(shift.shift - BEHIND) < 10**9
    assert len(prepared.spans) == 4


def test_without_the_option_no_trace_is_named(tmp_path: Path) -> None:
    """And nothing listens."""
    with endpoint() as found:
        probe(found.url, "--requests", "1", "--out", str(tmp_path / "run"))

    assert all("traceparent" not in each.headers for each in found.asked)
    assert not (tmp_path / "run" / "spans.jsonl").exists()


def test_a_port_in_use_is_told(tmp_path: Path) -> None:
    """Before any request, with how to find out by whom."""
    with endpoint(completes) as found, socket.create_server(("127.0.0.1", 0)) as other:
        port = other.getsockname()[1]
        done = probe(found.url, "--telemetry", f"127.0.0.1:{port}", "--out", str(tmp_path / "run"))

    assert done.returncode == 3
    assert f"cannot listen on 127.0.0.1:{port}: in use by another program" in " ".join(done.stderr.split())
    assert found.posts == []
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize("host", ["192.0.2.1", "127.0.0.1"])
def test_a_receiver_for_everyone_is_told(host: str) -> None:
    """Before it listens, whoever reaches it can send spans; one on loopback is nothing to tell."""
    with endpoint(completes) as found:
        done = probe(found.url, "--requests", "1", "--telemetry", f"{host}:{free_port()}")

    told = " ".join(done.stderr.split())
    assert ("can send spans" in told) is (host == "192.0.2.1")
    if host == "192.0.2.1":
        assert "warning: telemetry: everyone who can reach 192.0.2.1:" in told
        assert "for this machine only: 127.0.0.1:" in told


@pytest.mark.parametrize("wrong", ["4318", "localhost:4318", "127.0.0.1", "127.0.0.1:0"])
def test_a_wrong_address_is_told(wrong: str) -> None:
    """With an example."""
    done = probe("http://127.0.0.1:9", "--telemetry", wrong)

    assert done.returncode == 2
    assert "--telemetry: " in done.stderr
    assert "for example 127.0.0.1:4318" in " ".join(done.stderr.split())
