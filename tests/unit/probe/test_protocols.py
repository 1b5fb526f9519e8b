"""Request bodies and response events of every protocol."""

import json
import re
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from chaoskit.probe.protocols import PROTOCOLS
from chaoskit.probe.protocols.asked_tokens import asked_tokens
from chaoskit.probe.protocols.error_messages import sentence_of
from chaoskit.probe.protocols.events import ProtocolEvent
from chaoskit.probe.protocols.finish_reasons import meaning
from chaoskit.probe.protocols.output import of_delta
from chaoskit.probe.protocols.response_parser import ResponseParser
from chaoskit.probe.protocols.stream_protocol import Message, Question
from chaoskit.records.model import Event, EventKind
from chaoskit.server.formats.api import CompletionRequest
from chaoskit.server.requests import Request
from chaoskit.server.routes import parse
from chaoskit.spec.endpoint import protocol_of
from chaoskit.spec.workload import Protocol

MAX_SIZE = 200_000
NAMES: list[Protocol] = list(PROTOCOLS)


def meant(protocol: Protocol, said: object) -> ProtocolEvent:
    """The interpretation of one event with this JSON."""
    (found,) = ResponseParser(protocol, MAX_SIZE).feed(framed(protocol, json.dumps(said).encode()))
    return found


def framed(protocol: Protocol, text: bytes) -> bytes:
    """An event with this text."""
    return text + b"\n" if PROTOCOLS[protocol].framing == "ndjson" else b"data: " + text + b"\n\n"


def delta(finish: str | None = None, **fields: Any) -> dict[str, Any]:
    """An OpenAI chunk."""
    return {"choices": [{"index": 0, "delta": fields, "finish_reason": finish}]}


def block(kind: str, **fields: Any) -> dict[str, Any]:
    """An Anthropic content_block_delta."""
    return {"type": "content_block_delta", "index": 0, "delta": {"type": kind, **fields}}


def candidate(*parts: dict[str, Any], **fields: Any) -> dict[str, Any]:
    """A chunk of Gemini's."""
    return {"candidates": [{"content": {"role": "model", "parts": list(parts)}, **fields}]}


@pytest.mark.parametrize(
    ("protocol", "said", "kind", "completes"),
    [
        ("openai-chat", delta(role="assistant", content=""), "meta", False),
        ("openai-chat", delta(content="hi"), "content", False),
        ("openai-chat", delta(refusal="no"), "content", False),
        ("openai-chat", delta(tool_calls=[{"index": 0}]), "content", False),
        ("openai-chat", delta(reasoning_content="hm"), "reasoning", False),
        ("openai-chat", delta(reasoning="hm"), "reasoning", False),
        ("openai-chat", delta("stop"), "finish", True),
        ("openai-chat", delta("length", content="last"), "content", True),
        ("openai-chat", {"choices": [], "usage": {}}, "meta", False),
        ("openai-chat", {"choices": [{"text": "completion"}]}, "content", False),
        ("openai-chat", {"error": {"message": "no"}}, "error", False),
        ("anthropic-messages", {"type": "message_start", "message": {}}, "meta", False),
        ("anthropic-messages", {"type": "ping"}, "ping", False),
        ("anthropic-messages", block("text_delta", text="hi"), "content", False),
        ("anthropic-messages", block("text_delta", text=""), "meta", False),
        ("anthropic-messages", block("thinking_delta", thinking="hm"), "reasoning", False),
        ("anthropic-messages", block("input_json_delta", partial_json='{"'), "content", False),
        ("anthropic-messages", block("signature_delta", signature="x"), "meta", False),
        (
            "anthropic-messages",
            {"type": "message_delta", "delta": {"stop_reason": "end_turn"}},
            "finish",
            False,
        ),
        ("anthropic-messages", {"type": "message_stop"}, "done", True),
        ("anthropic-messages", {"type": "error", "error": {"message": "no"}}, "error", False),
        ("ollama", {"message": {"content": "hi"}, "done": False}, "content", False),
        ("ollama", {"message": {"content": "", "thinking": "hm"}, "done": False}, "reasoning", False),
        ("ollama", {"response": "hi", "done": False}, "content", False),
        ("ollama", {"message": {"content": ""}, "done": True}, "done", True),
        ("ollama", {"message": {"content": "last"}, "done": True}, "content", True),
        ("ollama", {"error": "no"}, "error", False),
        ("openai-completions", {"choices": [{"text": "hi", "index": 0}]}, "content", False),
        ("openai-completions", {"choices": [{"text": "", "finish_reason": "length"}]}, "finish", True),
        ("openai-responses", {"type": "response.created", "response": {"error": None}}, "meta", False),
        ("openai-responses", {"type": "response.output_text.delta", "delta": "hi"}, "content", False),
        ("openai-responses", {"type": "response.output_text.done", "text": "hi"}, "meta", False),
        ("openai-responses", {"type": "response.function_call_arguments.delta", "delta": "{"}, "content", False),
        ("openai-responses", {"type": "response.reasoning_summary_text.delta", "delta": "hm"}, "reasoning", False),
        ("openai-responses", {"type": "response.completed", "response": {}}, "done", True),
        ("openai-responses", {"type": "response.incomplete", "response": {}}, "done", True),
        ("openai-responses", {"type": "response.failed", "response": {"error": {"message": "no"}}}, "error", False),
        ("gemini", candidate({"text": "hi"}), "content", False),
        ("gemini", candidate({"text": "hm", "thought": True}), "reasoning", False),
        ("gemini", candidate({"functionCall": {"name": "f"}}), "content", False),
        ("gemini", candidate({"text": "last"}, finishReason="STOP"), "content", True),
        ("gemini", candidate(finishReason="MAX_TOKENS"), "finish", True),
        ("gemini", {"error": {"code": 500, "message": "no", "status": "INTERNAL"}}, "error", False),
        ("ollama-generate", {"response": "hi", "done": False}, "content", False),
        ("ollama-generate", {"response": "", "thinking": "hm", "done": False}, "reasoning", False),
        ("ollama-generate", {"response": "", "done": True, "done_reason": "stop"}, "done", True),
        ("sse", "anything", "content", False),
    ],
)
def test_every_event_has_its_kind(protocol: Protocol, said: object, kind: EventKind, completes: bool) -> None:
    """An event has the kind that its protocol defines, and completes the response only where it says so."""
    found = meant(protocol, said)

    assert (found.event.kind, found.completes or found.is_finish) == (kind, completes)
    assert found.error_message == ("no" if kind == "error" else None)


@pytest.mark.parametrize("protocol", ["openai-chat", "sse"])
def test_done_ends(protocol: Protocol) -> None:
    """[DONE] is the end."""
    assert ResponseParser(protocol, MAX_SIZE).feed(b"data: [DONE]\n\n") == [
        ProtocolEvent(Event("done"), completes=True)
    ]


@pytest.mark.parametrize(
    ("protocol", "said", "usage"),
    [
        ("openai-chat", {"choices": [], "usage": {"completion_tokens": 30}}, (30, 0)),
        (
            "openai-chat",
            {"choices": [], "usage": {"completion_tokens": 30, "completion_tokens_details": {"reasoning_tokens": 9}}},
            (30, 9),
        ),
        ("openai-chat", delta(content="hi") | {"usage": None}, (None, 0)),
        ("openai-chat", {"choices": [], "usage": {"completion_tokens": "many"}}, (None, 0)),
        ("anthropic-messages", {"type": "message_start", "message": {"usage": {"output_tokens": 1}}}, (None, 0)),
        (
            "anthropic-messages",
            {"type": "message_delta", "delta": {"stop_reason": "end_turn"}, "usage": {"output_tokens": 30}},
            (30, 0),
        ),
        ("ollama", {"done": True, "eval_count": 30}, (30, 0)),
        ("ollama", {"message": {"content": "hi"}}, (None, 0)),
        ("openai-completions", {"choices": [], "usage": {"completion_tokens": 30}}, (30, 0)),
        (
            "openai-responses",
            {
                "type": "response.completed",
                "response": {"usage": {"output_tokens": 30, "output_tokens_details": {"reasoning_tokens": 9}}},
            },
            (30, 9),
        ),
        ("gemini", {"usageMetadata": {"candidatesTokenCount": 21, "thoughtsTokenCount": 9}}, (30, 9)),
        ("gemini", {"usageMetadata": {"promptTokenCount": 21}}, (None, 0)),
        ("ollama-generate", {"done": True, "eval_count": 30}, (30, 0)),
        ("sse", {"usage": {"completion_tokens": 30}}, (None, 0)),
    ],
)
def test_the_servers_usage_is_read(protocol: Protocol, said: object, usage: tuple[int | None, int]) -> None:
    """Where it tells it: its own count of output tokens, and how many of them were reasoning."""
    assert meant(protocol, said).usage == usage


def test_the_servers_stamps_are_read() -> None:
    """The reference server's stamps are read from a field, or from a comment before the event."""
    stamps = {"chaoskit": {"seq": 3, "due": 5, "sent": 7}}

    assert meant("openai-chat", delta(content="a") | stamps).event == Event("content", 3, 5, 7)
    assert meant("anthropic-messages", block("text_delta", text="a") | stamps).event == Event("content", 3, 5, 7)
    assert meant("ollama", {"message": {"content": "a"}} | stamps).event == Event("content", 3, 5, 7)
    of_comments = ResponseParser("sse", MAX_SIZE).feed(b": chaoskit 3 5 7\ndata: a\n\ndata: b\n\n")
    assert [found.event for found in of_comments] == [Event("content", 3, 5, 7), Event("content")]


@pytest.mark.parametrize("stamps", ["3", [1, 2, 3], {"seq": "x", "due": 1.5, "sent": True}, {}])
def test_invalid_stamps_are_none(stamps: object) -> None:
    """A stamp that is not an integer is None."""
    assert meant("openai-chat", delta(content="a") | {"chaoskit": stamps}).event == Event("content")


def test_the_stamps_of_several_tokens_are_read() -> None:
    """A fourth number is how many tokens the event has."""
    (found,) = ResponseParser("sse", MAX_SIZE).feed(b": chaoskit 3 5 7 4\ndata: a b c d\n\n")

    assert (found.event.seq, found.event.due, found.event.sent) == (3, 5, 7)


@pytest.mark.parametrize("comment", [b": chaoskit 1 2", b": chaoskit a b c", b": chaoskit 1 2 " + b"9" * 5000])
def test_invalid_comment_stamps_are_none(comment: bytes) -> None:
    """A comment that only resembles stamps has none."""
    (found,) = ResponseParser("sse", MAX_SIZE).feed(comment + b"\ndata: a\n\n")

    assert found.event == Event("content")


def test_a_comment_is_a_keepalive() -> None:
    """A comment is a ping, and no event of the protocol."""
    assert ResponseParser("openai-chat", MAX_SIZE).feed(b": keep-alive\n\n") == [
        ProtocolEvent(Event("ping"), is_comment=True)
    ]


@pytest.mark.parametrize("protocol", ["openai-chat", "anthropic-messages", "ollama"])
@pytest.mark.parametrize("text", [b"garbage", b"[1]", b"3", b'{"a":', b"\xff\xfe", b"[" * 100_000, b"1" * 5000])
def test_invalid_json_is_malformed(protocol: Protocol, text: bytes) -> None:
    """Any invalid data of an event is the same error, with its beginning."""
    parser = ResponseParser(protocol, MAX_SIZE)

    events = parser.feed(b"data: " + text + b"\n\n")

    assert events == []
    assert re.match(r"an event that is not (a )?JSON", str(parser.failure))


WORDS = st.sampled_from(
    ["choices", "delta", "content", "finish_reason", "error", "message", "type", "chaoskit", "done", "text",
     "content_block_delta", "message_delta", "stop_reason"]
)  # fmt: skip
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=5) | WORDS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(WORDS, inner, max_size=4),
    max_leaves=15,
)


@settings(suppress_health_check=[HealthCheck.too_slow])  # on a busy machine
@given(st.sampled_from(NAMES), st.dictionaries(WORDS, JSON, max_size=5))
def test_any_json_object_is_interpreted(protocol: Protocol, said: dict[str, Any]) -> None:
    """Any JSON object has some interpretation, or is named as a whole answer."""
    parser = ResponseParser(protocol, MAX_SIZE)

    assert parser.feed(framed(protocol, json.dumps(said).encode())) or "a whole answer" in str(parser.failure)


@pytest.mark.parametrize("protocol", NAMES)
def test_the_reference_server_parses_the_request(protocol: Protocol) -> None:
    """The body asks the reference server for a stream of the given number of tokens."""
    asked = Question("some-model", (Message("user", "a prompt"),), 17)
    body = json.dumps(PROTOCOLS[protocol].body(asked)).encode()
    path = PROTOCOLS[protocol].path_for(asked)

    ask = parse(Request("POST", path, {}, body, received=0))

    assert isinstance(ask, CompletionRequest)
    assert (ask.tokens, ask.limited, ask.streamed) == (17, True, True)


TALK = (Message("system", "Be brief."), Message("user", "Hi"), Message("assistant", "Yes?"), Message("user", "Why?"))
BODIES: dict[Protocol, dict[str, Any]] = {
    "openai-chat": {
        "model": "m",
        "messages": [
            {"role": "system", "content": "Be brief."},
            {"role": "user", "content": "Hi"},
            {"role": "assistant", "content": "Yes?"},
            {"role": "user", "content": "Why?"},
        ],
        "max_tokens": 9,
        "stream": True,
    },
    "openai-completions": {
        "model": "m",
        "prompt": "Be brief.\n\nHi\n\nYes?\n\nWhy?",
        "max_tokens": 9,
        "stream": True,
    },
    "openai-responses": {
        "model": "m",
        "input": [
            {"role": "system", "content": "Be brief."},
            {"role": "user", "content": "Hi"},
            {"role": "assistant", "content": "Yes?"},
            {"role": "user", "content": "Why?"},
        ],
        "max_output_tokens": 9,
        "stream": True,
        "store": False,
    },
    "anthropic-messages": {
        "model": "m",
        "system": "Be brief.",
        "messages": [
            {"role": "user", "content": "Hi"},
            {"role": "assistant", "content": "Yes?"},
            {"role": "user", "content": "Why?"},
        ],
        "max_tokens": 9,
        "stream": True,
    },
    "gemini": {
        "systemInstruction": {"parts": [{"text": "Be brief."}]},
        "contents": [
            {"role": "user", "parts": [{"text": "Hi"}]},
            {"role": "model", "parts": [{"text": "Yes?"}]},
            {"role": "user", "parts": [{"text": "Why?"}]},
        ],
        "generationConfig": {"maxOutputTokens": 9},
    },
    "ollama": {
        "model": "m",
        "messages": [
            {"role": "system", "content": "Be brief."},
            {"role": "user", "content": "Hi"},
            {"role": "assistant", "content": "Yes?"},
            {"role": "user", "content": "Why?"},
        ],
        "options": {"num_predict": 9},
        "stream": True,
    },
    "ollama-generate": {
        "model": "m",
        "system": "Be brief.",
        "prompt": "Hi\n\nYes?\n\nWhy?",
        "options": {"num_predict": 9},
        "stream": True,
    },
    "sse": {"model": "m", "prompt": "Be brief.\n\nHi\n\nYes?\n\nWhy?", "max_tokens": 9, "stream": True},
}


@pytest.mark.parametrize("protocol", NAMES)
def test_a_conversation_is_put_as_the_protocol_has_it(protocol: Protocol) -> None:
    """Messages of system, user and model stand where their protocol's documentation has them."""
    assert PROTOCOLS[protocol].body(Question("m", TALK, 9)) == BODIES[protocol]


def test_a_model_is_quoted_in_a_path() -> None:
    """A model's name cannot leave its place in the path."""
    path = PROTOCOLS["gemini"].path_for(Question("a/../b?c", (), 9))

    assert path == "/v1beta/models/a%2F..%2Fb%3Fc:streamGenerateContent?alt=sse"


REFUSALS = {
    "OpenAI": (b'{"error": {"message": "no such model", "type": "x"}}', "no such model"),
    "Anthropic": (b'{"type": "error", "error": {"type": "overloaded_error", "message": "busy"}}', "busy"),
    "without a message": (b'{"error": {"type": "overloaded_error"}}', "overloaded_error"),
    "Ollama": (b'{"error": "no such model"}', "no such model"),
    "Gemini": (b'[{"error": {"code": 400, "message": "bad key", "status": "INVALID"}}]', "bad key"),
    "FastAPI": (b'{"detail": "Not Found"}', "Not Found"),
    "FastAPI, validation": (
        b'{"detail": [{"type": "missing", "loc": ["body", "model"], "msg": "Field required", "input": {}}]}',
        "body.model: Field required",
    ),
    "vLLM": (b'{"object": "error", "message": "too long", "type": "BadRequestError", "code": 400}', "too long"),
    "AWS": (b'{"message": "Forbidden"}', "Forbidden"),
    "Cloudflare": (b'{"success": false, "errors": [{"code": 10000, "message": "auth"}]}', "auth"),
    "Apigee": (b'{"fault": {"faultstring": "quota", "detail": {"errorcode": "x"}}}', "quota"),
    "Baidu": (b'{"error_code": 17, "error_msg": "daily limit"}', "daily limit"),
    "MiniMax": (b'{"base_resp": {"status_code": 1004, "status_msg": "login fail"}}', "login fail"),
    "DashScope": (b'{"code": "Arrearage", "message": "overdue", "request_id": "1"}', "overdue"),
    "a problem": (b'{"type": "about:blank", "title": "Bad Request", "status": 400, "detail": "no model"}', "no model"),
    "OAuth": (b'{"error_description": "token expired"}', "token expired"),
    "nginx": (b"<html>\r\n<head><title>502 Bad Gateway</title></head>\r\n<body>\r\n</body></html>", "502 Bad Gateway"),
    "HAProxy": (b"<html><body><h1>503 Service Unavailable</h1>\nNo server.\n</body></html>", "503 Service Unavailable"),
    "a page": (b"<!DOCTYPE html><style>p {}</style><p>try <b>later</b>", "try later"),
    "Envoy": (b"no healthy upstream", "no healthy upstream"),
    "other JSON": (b'{"error": 7}', '{"error": 7}'),
    "an empty body": (b"", ""),
    "bytes": (b"\xff", "\ufffd"),
    "deep": (b"[" * 100_000, "[" * 1000),
}


@pytest.mark.parametrize(("body", "said"), REFUSALS.values(), ids=REFUSALS.keys())
def test_the_sentence_of_a_refusal_is_found(body: bytes, said: str) -> None:
    """Each vendor's and gateway's shape has its sentence; anything else its beginning."""
    assert sentence_of(body) == said


FINISHED = {
    "stopped": ("stop", "end_turn", "STOP", "tool_calls", "content_filter", "SAFETY", "eos_token",
                "model_context_window_exceeded"),
    "limited": ("length", "max_tokens", "MAX_TOKENS", "max_output_tokens", "model_length"),
    "failed": (
        *("error", "network_error", "abort", "insufficient_system_resource", "cancelled", "ERROR_LIMIT", "timeout"),
        *("server_error", "engine_overloaded", "MALFORMED_FUNCTION_CALL", "requestAborted", "internal-error"),
    ),
    "unknown": ("banana", "terror", "OTHER", "\ud800"),
}  # fmt: skip


@pytest.mark.parametrize(("word", "meant"), [(word, key) for key, words in FINISHED.items() for word in words])
def test_finish_reasons(word: str, meant: str) -> None:
    """A word means the same in any vendor's spelling."""
    assert meaning(word) == meant


@pytest.mark.parametrize(
    ("delta", "kind", "characters"),
    [
        ({"content": "hi"}, "content", 2),
        ({"content": [{"type": "text", "text": "hi"}]}, "content", 2),
        ({"content": [{"type": "thinking", "thinking": [{"type": "text", "text": "hm"}]}]}, "reasoning", 2),
        ({"content": [{"type": "thinking", "thinking": []}]}, "meta", 0),
        ({"content": [{"type": "image_url", "image_url": {"url": "data:..."}}]}, "media", 0),
        ({"content": [{"type": "text", "text": ""}]}, "meta", 0),
        ({"content": ""}, "meta", 0),
        ({"content": None, "role": "assistant"}, "meta", 0),
        ({"content": "", "reasoning_content": "hm"}, "reasoning", 2),
        ({"content": "", "reasoning": "hm", "reasoning_details": [{"text": "hm"}]}, "reasoning", 2),
        ({"content": "", "reasoning_details": [{"type": "reasoning.text", "text": "hm"}]}, "reasoning", 2),
        ({"content": "", "reasoning_details": [{"type": "reasoning.encrypted", "data": "xyz"}]}, "meta", 0),
        ({"content": "hi", "reasoning": "hm"}, "content", 2),
        ({"thinking_blocks": [{"type": "thinking", "thinking": "hm"}]}, "reasoning", 2),
        ({"refusal": "no"}, "content", 2),
        ({"function_call": {"name": "f", "arguments": "{"}}, "content", 2),
        ({"tool_calls": [{"index": 0, "function": {"arguments": "{}"}}]}, "content", 2),
        ({"tool_calls": []}, "meta", 0),
        ({"audio": {"data": "UklGR"}}, "media", 0),
        ({"audio": {"transcript": "hi"}}, "content", 2),
        ({"audio": {"id": "a", "expires_at": 5}}, "meta", 0),
        ({"images": [{"type": "image_url", "image_url": {"url": "data:..."}}]}, "media", 0),
        ({"annotations": [{"type": "url_citation"}]}, "meta", 0),
    ],
)  # fmt: skip
def test_output_is_told_apart(delta: dict[str, Any], kind: str, characters: int) -> None:
    """Text, reasoning and other output, in the shapes of all vendors."""
    assert of_delta(delta) == (kind, characters)


@pytest.mark.parametrize(
    ("body", "asked"),
    [
        ({"max_tokens": 9}, (9, None)),
        ({"max_tokens": 9, "max_completion_tokens": 7}, (7, None)),
        ({"max_output_tokens": 9}, (9, None)),
        ({"options": {"num_predict": 9}}, (9, None)),
        ({"options": {"num_predict": -1}}, (None, None)),
        ({"generationConfig": {"maxOutputTokens": 9}}, (9, None)),
        ({"max_tokens": 9, "ignore_eos": True}, (9, 9)),
        ({"max_tokens": 9, "min_tokens": 4}, (9, 4)),
        ({"max_tokens": 9, "min_tokens": 40}, (9, 9)),
        ({"max_tokens": "nine"}, (None, None)),
        ({}, (None, None)),
    ],
)
def test_what_a_body_asks_for_is_read(body: dict[str, Any], asked: tuple[int | None, int | None]) -> None:
    """The most tokens, and the least, in every protocol's field."""
    assert asked_tokens(body) == asked


@pytest.mark.parametrize("protocol", NAMES)
def test_a_protocol_is_known_by_its_usual_path(protocol: Protocol) -> None:
    """Below any prefix, with a query or a slash at the end."""
    path = PROTOCOLS[protocol].path_for(Question("m", (), 9)).partition("?")[0]

    for url in (f"http://x{path}", f"https://x/gateway{path}?a=b", f"http://x{path}/#c"):
        assert protocol_of(url) == protocol
    assert protocol_of(f"http://x/{path.strip('/').replace('/', '-')}x") is None
