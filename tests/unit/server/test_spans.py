"""A reference server without an engine records a span for each request that names a trace."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

from asking import post
from serving import SCRIPT, running, wait_for

from chaoskit.records import jsonl
from chaoskit.records.spans import ModelState, Span
from chaoskit.server.deviations import Cut
from chaoskit.units import Duration

TRACE = "ab" * 16
PARENT = "cd" * 8
TRACEPARENT = f"00-{TRACE}-{PARENT}-01"
PATH = "/v1/chat/completions"


def chat(tokens: int, prompt: str = "hi") -> dict[str, Any]:
    """A body of chat completions."""
    return {"model": "m", "messages": [{"role": "user", "content": prompt}], "max_tokens": tokens, "stream": True}


def test_each_request_with_a_trace_leaves_a_span(tmp_path: Path) -> None:
    """In the client's trace, with its first token and lengths; a refused one has its status as error."""
    with running(tmp_path) as server:
        post(server, PATH, chat(6, "word " * 8), traceparent=TRACEPARENT)
        post(server, PATH, chat(6) | {"stream": False}, traceparent=TRACEPARENT)
        post(server, PATH, chat(6) | {"model": "chaoskit:refused-503"}, traceparent=TRACEPARENT)
        post(server, PATH, chat(6))
        streamed, whole, _ = server.served_when(3)
    found = jsonl.read(tmp_path, Span)

    assert [(each.trace, each.parent, each.host, each.operation) for each in found] == [
        (TRACE, PARENT, "model", "model")
    ] * 3
    assert [each.error for each in found] == [None, None, "503"]
    assert len({each.span for each in found}) == 3
    for span, served in zip(found, (streamed, whole), strict=False):
        assert span.begin == served.received
        assert abs(span.end - served.ended) < 50_000_000
        assert span.attributes["chaoskit.model.output_tokens"] == 6
    first = found[0].attributes["chaoskit.first_token_ns"]
    assert isinstance(first, int)
    assert streamed.first_due - streamed.received <= first <= found[0].end - found[0].begin
    assert found[0].attributes["chaoskit.model.prompt_tokens"] == 10
    assert jsonl.read(tmp_path, ModelState) == []


def test_how_an_answer_ended_is_told(tmp_path: Path) -> None:
    """An answer that the script breaks off has failed, one whose client left was aborted."""
    with running(tmp_path, replace(SCRIPT, deviations=(Cut(2, "close"),))) as server:
        post(server, PATH, chat(6), traceparent=TRACEPARENT)
        server.served_when(1)
    with running(tmp_path, replace(SCRIPT, token_interval=Duration.parse("1s"))) as server:
        data = json.dumps(chat(6))
        with server.connect() as client:
            head = f"POST {PATH} HTTP/1.1\r\nhost: x\r\ntraceparent: {TRACEPARENT}\r\n"
            client.sendall(f"{head}content-length: {len(data)}\r\n\r\n{data}".encode())
            assert client.recv(10)
        wait_for(lambda: len(jsonl.read(tmp_path, Span)) == 2)
    failed, aborted = jsonl.read(tmp_path, Span)

    assert (failed.error, failed.attributes["chaoskit.model.output_tokens"]) == ("failed", 2)
    assert aborted.error == "aborted"
