"""Request bodies and response events of the four protocols."""

import json
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from chaoskit.probe import protocols
from chaoskit.probe.framing import MalformedError
from chaoskit.probe.protocols import DEFAULT_PATHS, ProtocolEvent, ResponseParser
from chaoskit.records.model import Event, EventKind
from chaoskit.server.formats.api import CompletionRequest
from chaoskit.server.requests import Request
from chaoskit.server.routes import parse
from chaoskit.spec.experiment import Protocol

MAX_SIZE = 200_000
PROTOCOLS: list[Protocol] = list(DEFAULT_PATHS)


def meant(protocol: Protocol, said: object) -> ProtocolEvent:
    """The interpretation of one event with this JSON."""
    text = json.dumps(said).encode()
    (found,) = ResponseParser(protocol, MAX_SIZE).feed(
        text + b"\n" if protocol == "ollama" else b"data: " + text + b"\n\n"
    )
    return found


def delta(finish: str | None = None, **fields: Any) -> dict[str, Any]:
    """An OpenAI chunk."""
    return {"choices": [{"index": 0, "delta": fields, "finish_reason": finish}]}


def block(kind: str, **fields: Any) -> dict[str, Any]:
    """An Anthropic content_block_delta."""
    return {"type": "content_block_delta", "index": 0, "delta": {"type": kind, **fields}}


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
        ("sse", "anything", "content", False),
    ],
)
def test_every_foundhas_its_kind(protocol: Protocol, said: object, kind: EventKind, completes: bool) -> None:
    """An event has the kind that its protocol defines, and completes the response only where it says so."""
    found = meant(protocol, said)

    assert (found.event.kind, found.completes) == (kind, completes)
    assert found.error_message == ("no" if kind == "error" else "")


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
    assert ResponseParser("sse", MAX_SIZE).feed(b": chaoskit 3 5 7\ndata: a\n\ndata: b\n\n") == [
        ProtocolEvent(Event("content", 3, 5, 7)),
        ProtocolEvent(Event("content")),
    ]


@pytest.mark.parametrize("stamps", ["3", [1, 2, 3], {"seq": "x", "due": 1.5, "sent": True}, {}])
def test_invalid_stamps_are_none(stamps: object) -> None:
    """A stamp that is not an integer is None."""
    assert meant("openai-chat", delta(content="a") | {"chaoskit": stamps}).event == Event("content")


@pytest.mark.parametrize("comment", [b": chaoskit 1 2", b": chaoskit a b c", b": chaoskit 1 2 " + b"9" * 5000])
def test_invalid_comment_stamps_are_none(comment: bytes) -> None:
    """A comment that only resembles stamps has none."""
    assert ResponseParser("sse", MAX_SIZE).feed(comment + b"\ndata: a\n\n") == [ProtocolEvent(Event("content"))]


def test_a_comment_is_a_keepalive() -> None:
    """A comment is a ping, and no event of the protocol."""
    assert ResponseParser("openai-chat", MAX_SIZE).feed(b": keep-alive\n\n") == [
        ProtocolEvent(Event("ping"), is_comment=True)
    ]


@pytest.mark.parametrize("protocol", ["openai-chat", "anthropic-messages", "ollama"])
@pytest.mark.parametrize("text", [b"garbage", b"[1]", b"3", b'{"a":', b"\xff\xfe", b"[" * 100_000, b"1" * 5000])
def test_invalid_json_is_malformed(protocol: Protocol, text: bytes) -> None:
    """Any invalid data of an event is the same error."""
    with pytest.raises(MalformedError, match=r"is not (a )?JSON"):
        ResponseParser(protocol, MAX_SIZE).feed(text + b"\n" if protocol == "ollama" else b"data: " + text + b"\n\n")


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
@given(st.sampled_from(PROTOCOLS), st.dictionaries(WORDS, JSON, max_size=5))
def test_any_json_object_is_interpreted(protocol: Protocol, said: dict[str, Any]) -> None:
    """Any JSON object has some interpretation."""
    meant(protocol, said)


@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_the_reference_server_parses_the_request(protocol: Protocol) -> None:
    """The body asks the reference server for a stream of the given number of tokens."""
    body = json.dumps(protocols.request_body(protocol, "some-model", "a prompt", 17)).encode()
    path = DEFAULT_PATHS[protocol] + ("?tokens=17" if protocol == "sse" else "")

    ask = parse(Request("POST", path, {}, body, received=0))

    assert isinstance(ask, CompletionRequest)
    assert (ask.tokens, ask.limited, ask.streamed) == (17, True, True)


@pytest.mark.parametrize(
    ("body", "said"),
    [
        (b'{"error": {"message": "no such model", "type": "x"}}', "no such model"),
        (b'{"error": {"type": "overloaded_error"}}', "overloaded_error"),
        (b'{"error": "no such model"}', "no such model"),
        (b'{"error": 7}', ""),
        (b'{"detail": "x"}', ""),
        (b"<html>", ""),
        (b"\xff", ""),
        (b"[]", ""),
    ],
)
def test_error_messages_are_found(body: bytes, said: str) -> None:
    """The message of an error response in a known format is found."""
    assert protocols.error_message(body) == said
