"""Responses have the vendors' formats, whatever the name of the model."""

import json
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chaoskit.server.formats import APIS
from chaoskit.server.formats.api import Api, CompletionRequest, Encoder, Stamp
from chaoskit.server.schedule import Part, PlannedResponse, Tool

BY_NAME = {api.name: api for api in APIS}
IN_JSON = [api for api in APIS if api.name != "sse"]
TOOL = Tool("weather", '{"city": "', '"}')


def named(api: Api) -> str:
    """For the tests' names."""
    return api.name


def ask(api: Api, model: str = "m", usage: bool = False, limited: bool = True, tool: Tool | None = None) -> Any:
    """A streamed response of two tokens."""
    return CompletionRequest(api, model, 2, limited, True, 5, usage, tool=tool)


def plan(reasoning: int = 0, tool: Tool | None = None) -> PlannedResponse:
    """A response of two tokens."""
    return PlannedResponse(1, 2 + reasoning, 0, 1000, ("one ", "two "), reasoning=reasoning, tool=tool)


def encoder(name: str, **words: Any) -> Encoder:
    """The encoder of such a response."""
    reasoning = words.pop("reasoning", 0)
    api = BY_NAME[name]
    return api.encoder(ask(api, **words), plan(reasoning, words.get("tool")))


def transcript(api: Api, completion: CompletionRequest, planned: PlannedResponse) -> bytes:
    """The body of a stream, as `streaming` sends it."""
    encoder = api.encoder(completion, planned)
    body = encoder.opening()
    part: Part | None = None
    for seq in range(planned.tokens):
        if planned.part(seq) != part:
            body += b"" if part is None else encoder.end(part)
            body += encoder.begin(planned.part(seq))
        part = planned.part(seq)
        body += filled(encoder.event(part, planned.text(seq), Stamp(seq, seq * 1000)))
    assert part is not None
    return body + encoder.end(part) + encoder.closing(planned.tokens, completion.finish)


def filled(event: tuple[bytes, bytes] | None, sent: int = 7) -> bytes:
    """An event that is sent at this time; nothing for one that is held back."""
    return b"" if event is None else b"%b%d%b" % (event[0], sent, event[1])


def events(raw: bytes) -> list[Any]:
    """The JSON of each event or line; other text unchanged."""
    found = []
    for line in raw.decode().split("\n"):
        text = line.removeprefix("data: ")
        if text.startswith("{"):
            found.append(json.loads(text))
        elif line.startswith("data: "):
            found.append(text)
    return found


def text_of(name: str, event: Any, part: str = "text") -> Any:
    """What a token's event says."""
    match name:
        case "openai-chat":
            return event["choices"][0]["delta"]["content" if part == "text" else "reasoning_content"]
        case "openai-completions":
            return event["choices"][0]["text"]
        case "openai-responses":
            return event["delta"]
        case "anthropic-messages":
            return event["delta"]["text" if part == "text" else "thinking"]
        case "gemini":
            assert event["candidates"][0]["content"]["parts"][0].get("thought", False) == (part == "reasoning")
            return event["candidates"][0]["content"]["parts"][0]["text"]
        case "ollama":
            return event["message"]["content" if part == "text" else "thinking"]
        case _:
            return event["response" if part == "text" else "thinking"]


@given(model=st.text())
@pytest.mark.parametrize("api", APIS, ids=named)
def test_tokens_have_text_and_stamps(api: Api, model: str) -> None:
    """Each token's event holds its text, its number and both stamps, whatever the model's name."""
    raw = filled(api.encoder(ask(api, model), plan()).event("text", "word ", Stamp(3, 1000)), 1234)

    if api.name == "sse":
        assert raw == b": chaoskit 3 1000 1234\ndata: word \n\n"
        return
    (event,) = events(raw)
    assert event.pop("chaoskit") == {"seq": 3, "due": 1000, "sent": 1234}
    assert text_of(api.name, event) == "word "
    assert event.get("model", model) == model


@pytest.mark.parametrize("api", APIS, ids=named)
def test_an_event_of_several_tokens_says_how_many(api: Api) -> None:
    """An event with more than one token has their number beside its stamps."""
    raw = filled(api.encoder(ask(api), plan()).event("text", "one two ", Stamp(0, 1, 2)), 2)

    if api.name == "sse":
        assert raw == b": chaoskit 0 1 2 2\ndata: one two \n\n"
    else:
        assert events(raw)[0]["chaoskit"] == {"seq": 0, "due": 1, "sent": 2, "tokens": 2}


@pytest.mark.parametrize("api", APIS, ids=named)
def test_only_tokens_are_stamped(api: Api) -> None:
    """Events before the first and after the last token have no stamps and no token's text."""
    found = api.encoder(ask(api), plan())
    around = found.opening() + found.begin("text") + found.end("text") + found.closing(2, "stop")

    assert b"chaoskit" not in around


@pytest.mark.parametrize("api", [api for api in IN_JSON if api.reasons], ids=named)
def test_reasoning_precedes_the_text(api: Api) -> None:
    """Tokens of reasoning stand where the API has them, before the text, with stamps of their own."""
    raw = transcript(api, ask(api), plan(reasoning=2))
    stamped = [event for event in events(raw) if isinstance(event, dict) and "chaoskit" in event]

    parts = ["reasoning", "reasoning", "text", "text"]
    assert [text_of(api.name, event, part) for event, part in zip(stamped, parts, strict=True)] == ["one ", "two "] * 2


@pytest.mark.parametrize("name", ["openai-chat", "openai-responses", "anthropic-messages"])
def test_a_tool_call_is_streamed(name: str) -> None:
    """The pieces of the arguments are stamped like tokens, and are JSON together."""
    api = BY_NAME[name]
    raw = transcript(api, ask(api, tool=TOOL), plan(tool=TOOL))
    stamped = [event for event in events(raw) if isinstance(event, dict) and "chaoskit" in event]

    deltas = [event["choices"][0]["delta"] if "choices" in event else event["delta"] for event in stamped]
    if name == "openai-chat":
        deltas = [delta["tool_calls"][0]["function"]["arguments"] for delta in deltas]
    elif name == "anthropic-messages":
        deltas = [delta["partial_json"] for delta in deltas]
    assert deltas == ['{"city": "one ', 'two "}']
    assert b'"weather"' in raw
    assert {"openai-chat": b'"tool_calls"}', "anthropic-messages": b'"tool_use"'}.get(name, b"completed") in raw


@pytest.mark.parametrize("name", ["gemini", "ollama"])
def test_a_tool_call_comes_whole(name: str) -> None:
    """Where the vendor does not stream arguments, the call comes with the last token's stamps."""
    api = BY_NAME[name]
    raw = transcript(api, ask(api, tool=TOOL), plan(tool=TOOL))
    (stamped,) = (event for event in events(raw) if "chaoskit" in event)

    if name == "gemini":
        call = stamped["candidates"][0]["content"]["parts"][0]["functionCall"]
        assert call == {"name": "weather", "args": {"city": "one two "}}
    else:
        (call,) = stamped["message"]["tool_calls"]
        assert call == {"function": {"name": "weather", "arguments": {"city": "one two "}}}
    assert stamped["chaoskit"]["seq"] == 1


@pytest.mark.parametrize("api", IN_JSON, ids=named)
def test_a_whole_answer_has_everything(api: Api) -> None:
    """Without streaming the body is one JSON object with the text, the usage and the last token's stamps."""
    completion = replace(ask(api), streamed=False)
    body = json.loads(api.encoder(completion, plan()).whole("stop", Stamp(1, 5).value(6)))

    assert body["chaoskit"] == {"seq": 1, "due": 5, "sent": 6}
    assert "one two " in json.dumps(body)
    assert api.encoder(completion, plan()).content_type.startswith("application/json")


@pytest.mark.parametrize("name", ["openai-chat", "openai-completions"])
def test_openai_ends_with_reason_usage_done(name: str) -> None:
    """At the end stand the finish reason, the usage if requested, and [DONE]."""
    finish, done = events(encoder(name).closing(2, "length"))
    assert (finish["choices"][0]["finish_reason"], done) == ("length", "[DONE]")
    assert "usage" not in finish
    finish, usage, done = events(encoder(name, usage=True).closing(2, "length"))
    assert (finish["usage"], usage["choices"], done) == (None, [], "[DONE]")
    assert usage["usage"] == {"prompt_tokens": 5, "completion_tokens": 2, "total_tokens": 7}


def test_the_role_comes_first() -> None:
    """Chat's first chunk has the role and no text."""
    assert events(encoder("openai-chat").opening())[0]["choices"][0]["delta"] == {"role": "assistant", "content": ""}


@pytest.mark.parametrize("api", APIS, ids=named)
def test_a_response_without_limit_ends_by_itself(api: Api) -> None:
    """With a limit of the client, and without one, the response says why it ends, in the vendor's words."""
    words = {
        "anthropic-messages": (b'"end_turn"', b'"max_tokens"'),
        "gemini": (b'"STOP"', b'"MAX_TOKENS"'),
        "openai-responses": (b"response.completed", b"response.incomplete"),
        "sse": (b"[DONE]", b"[DONE]"),
    }.get(api.name, (b'"stop"', b'"length"'))

    for limited, word in zip((False, True), words, strict=True):
        completion = ask(api, limited=limited)
        assert word in api.encoder(completion, plan()).closing(2, completion.finish)


def test_anthropic_events_are_in_order() -> None:
    """A message's events come in the documented order, each with its type in the event and the data."""
    api = BY_NAME["anthropic-messages"]
    raw = transcript(api, ask(api), plan())

    kinds = [line.removeprefix(b"event: ").decode() for line in raw.splitlines() if line.startswith(b"event: ")]

    assert kinds == [event["type"] for event in events(raw)]
    assert kinds == [
        "message_start",
        "ping",
        "content_block_start",
        "content_block_delta",
        "content_block_delta",
        "content_block_stop",
        "message_delta",
        "message_stop",
    ]


def test_responses_are_numbered() -> None:
    """Every event of OpenAI's responses has the next sequence number, and its type as its name."""
    api = BY_NAME["openai-responses"]
    raw = transcript(api, ask(api), plan(reasoning=1))

    assert [event["sequence_number"] for event in events(raw)] == list(range(len(events(raw))))
    assert [line[7:].decode() for line in raw.splitlines() if line.startswith(b"event: ")] == [
        event["type"] for event in events(raw)
    ]


@pytest.mark.parametrize("name", ["ollama", "ollama-generate"])
def test_ollama_ends_with_done(name: str) -> None:
    """The last line, and only that, says done; its times are those of the plan."""
    api = BY_NAME[name]
    lines = events(transcript(api, ask(api), plan()))

    assert [line["done"] for line in lines] == [False, False, True]
    assert (lines[-1]["eval_count"], lines[-1]["eval_duration"]) == (2, 1000)


def test_gemini_streams_an_array_without_sse() -> None:
    """Without `alt=sse` Gemini's stream is one JSON array."""
    api = BY_NAME["gemini"]
    found = json.loads(transcript(api, replace(ask(api), framed=False), plan()))

    assert [each["candidates"][0]["content"]["parts"][0]["text"] for each in found] == ["one ", "two ", ""]
    assert found[-1]["usageMetadata"]["candidatesTokenCount"] == 2


@pytest.mark.parametrize("api", IN_JSON, ids=named)
def test_a_model_may_be_named_like_the_placeholder(api: Api) -> None:
    """A model whose name is the placeholder does not break the encoding."""
    completion = ask(api, "\N{OBJECT REPLACEMENT CHARACTER}")
    (event,) = events(filled(api.encoder(completion, plan()).event("text", "word ", Stamp(0, 1))))

    assert "word " not in event.get("model", "")
    assert text_of(api.name, event) == "word "
