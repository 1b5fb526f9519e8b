"""What servers and gateways really send at the end of a stream, on real sockets, is named for what it is."""

import asyncio
import itertools
import json
from typing import Any

import pytest
from far_side import END, HEAD, Behaviour, Outcome, ask, chunk, far_side, hang, reset, saying, workload
from pydantic import ValidationError
from transcripts import COMPLETE, DONE, block, candidate, delta, lines, sse

from chaoskit.spec.workload import Protocol

pytestmark = pytest.mark.flaky(reruns=4)  # real time, on a machine that others use

TOKEN = sse(delta(content="x"))
WORD_STOP = sse(delta("stop"))
SHORT = {"idle": "300ms"}


def measured(behaviour: Behaviour, protocol: Protocol = "openai-chat", **words: Any) -> Outcome:
    """One request to a server that behaves so."""

    async def main() -> Outcome:
        async with far_side(behaviour) as url:
            return await ask(url, workload(protocol=protocol, **words))

    return asyncio.run(main())


def body(*parts: bytes) -> bytes:
    """A response in one chunk that ends properly."""
    return HEAD + chunk(*parts) + END


def sized(text: bytes, kind: str = "application/json", status: str = "200 OK") -> bytes:
    """A response with a length."""
    return f"HTTP/1.1 {status}\r\ncontent-type: {kind}\r\ncontent-length: {len(text)}\r\n\r\n".encode() + text


@pytest.mark.parametrize(("protocol", "text"), COMPLETE.items())
def test_every_protocols_own_end_is_complete(protocol: Protocol, text: bytes) -> None:
    """A response of each protocol, as its vendor sends it, is complete, with its tokens and nothing odd."""
    kind = "application/x-ndjson" if "ollama" in protocol else "text/event-stream; charset=utf-8"

    found = measured(saying(sized(text, kind)), protocol, output_tokens=4).request

    assert (found.completion, found.detail, found.flag, found.remarks) == ("complete", "", None, ())
    assert found.tokens == (3 if protocol in ("openai-responses", "anthropic-messages", "gemini") else 2)
    assert found.first_output is not None


FINISHES: dict[str, tuple[bytes, str, str]] = {
    **{
        word: (TOKEN + sse(delta(word)) + DONE, "complete", "")
        for word in ("stop", "length", "tool_calls", "function_call", "content_filter", "STOP", "eos_token")
    },
    **{
        word: (TOKEN + sse(delta(word)) + DONE, "error_event", f"finish reason {word}")
        for word in ("error", "network_error", "abort", "insufficient_system_resource", "cancelled", "timeout")
    },
    "an unknown word": (TOKEN + sse(delta("banana")) + DONE, "complete", ""),
    "null until the end": (sse(delta("null", content="x"), delta("null", content="y")), "truncated", "end marker"),
}


@pytest.mark.parametrize(("text", "completion", "detail"), FINISHES.values(), ids=FINISHES.keys())
def test_finish_reasons(text: bytes, completion: str, detail: str) -> None:
    """Words of an end complete, words of a failure interrupt and are named, whatever follows."""
    found = measured(saying(body(text)))

    assert found.ending[0] == completion
    assert detail in found.ending[1]


def test_an_unknown_finish_reason_is_shown() -> None:
    """It completes, and a remark quotes it."""
    found = measured(saying(body(TOKEN, sse(delta("banana")), DONE))).request

    assert found.finish == "banana"
    assert "unknown finish reason banana" in found.remarks


EAGER = [sse(delta("stop", content=letter)) for letter in "abc"]


@pytest.mark.parametrize(
    ("behaviour", "completion"),
    [
        (saying(HEAD, *map(chunk, EAGER), then=reset), "reset"),
        (saying(HEAD, *map(chunk, EAGER)), "truncated"),
        (saying(HEAD, *map(chunk, EAGER), chunk(DONE), END), "complete"),
        (saying(HEAD, *map(chunk, EAGER), END), "complete"),
        (saying(HEAD, chunk(*EAGER[:2], TOKEN), END), "truncated"),
        (saying(HEAD, chunk(TOKEN, WORD_STOP), then=reset), "complete"),
    ],
)
def test_a_finish_with_more_after_it_was_none(behaviour: Behaviour, completion: str) -> None:
    """A server that says "stop" in every chunk is believed at its end marker or the end of the body only."""
    assert measured(behaviour).ending[0] == completion


def test_two_choices_finish_one_by_one() -> None:
    """The end of one choice is not the end of the response, and not contradicted by the other's tokens."""
    chunks: list[dict[str, Any]] = [{"choices": [{"index": at, "delta": {"content": "x"}}]} for at in (0, 1)]
    ends: list[dict[str, Any]] = [{"choices": [{"index": at, "delta": {}, "finish_reason": "stop"}]} for at in (0, 1)]

    both = {"choices": [chunks[0]["choices"][0], chunks[1]["choices"][0]]}
    one_chunk = measured(saying(HEAD, chunk(sse(both, ends[0]))))
    half = measured(saying(HEAD, chunk(sse(*chunks, ends[0], chunks[1]))))
    whole = measured(saying(HEAD, chunk(sse(*chunks, ends[0], chunks[1], ends[1])), then=reset))

    assert one_chunk.ending[0] == half.ending[0] == "truncated"
    assert one_chunk.request.tokens == 2
    assert whole.ending[0] == "complete"


SAID = b'{"error": {"message": "out of memory", "code": 500}}'
ERRORS: dict[str, tuple[Protocol, bytes, str]] = {
    "a top-level error": ("openai-chat", body(TOKEN, b"data: " + SAID + b"\n\n", DONE), "out of memory"),
    "llama.cpp's field": ("openai-chat", body(TOKEN, b"error: " + SAID + b"\n\n", DONE), "out of memory"),
    "event: error": ("openai-chat", body(TOKEN, b"event: error\ndata: out of memory\n\n", DONE), "out of memory"),
    "event: error with JSON": ("openai-chat", body(TOKEN, b"event: error\ndata: " + SAID + b"\n\n"), "out of memory"),
    "event: error without data": ("openai-chat", body(TOKEN, b"event: error\n\n", DONE), "an error without a message"),
    "bare JSON": ("openai-chat", body(TOKEN, SAID), "out of memory"),
    "bare JSON at once": ("openai-chat", sized(SAID, "text/event-stream"), "out of memory"),
    "bare JSON in lines": (
        "openai-chat", sized(json.dumps(json.loads(SAID), indent=2).encode(), "text/event-stream"), "out of memory"
    ),
    "200 with application/json": ("openai-chat", sized(SAID), "out of memory"),
    "200 with FastAPI's detail": ("openai-chat", sized(b'{"detail": "no such model"}'), "no such model"),
    "plain text": ("openai-chat", body(b"upstream connect error or disconnect\n"), "upstream connect error"),
    "plain text after tokens": ("openai-chat", body(TOKEN, b"Internal Server Error"), "Internal Server Error"),
    "plain text before [DONE]": ("openai-chat", body(TOKEN, b"Internal Server Error\n\n", DONE), "Internal Server"),
    "text that looks like a field": ("openai-chat", body(b"upstream: timed out\n"), "upstream: timed out"),
    "Baidu": ("openai-chat", sized(b'{"error_code": 17, "error_msg": "daily limit"}'), "daily limit"),
    "a flag": ("openai-chat", body(TOKEN, sse({"error": True, "message": "out of memory"}), DONE), "out of memory"),
    "a page": ("openai-chat", sized(b"<html><title>502 Bad Gateway</title></html>", "text/html"), "502 Bad Gateway"),
    "vLLM's object": ("openai-chat", body(sse({"object": "error", "message": "too long", "code": 400})), "too long"),
    "responses": ("openai-responses", body(sse({"type": "error", "code": "x", "message": "no"}, names=True)), "no"),
    "responses, failed": (
        "openai-responses", body(sse({"type": "response.failed", "response": {"error": {"message": "no"}}})), "no"
    ),
    "Anthropic": (
        "anthropic-messages",
        body(sse(block("text_delta", text="a"), {"type": "error", "error": {"message": "busy"}}, names=True)),
        "busy",
    ),
    "Gemini": ("gemini", body(sse({"error": {"code": 503, "message": "busy", "status": "UNAVAILABLE"}})), "503: busy"),
    "Gemini, an array of one": ("gemini", sized(b'[{"error": {"code": 400, "message": "bad key"}}]'), "bad key"),
    "Ollama": ("ollama", body(lines({"message": {"content": "a"}}, {"error": "out of memory"})), "out of memory"),
    "Ollama, text": ("ollama", body(lines({"message": {"content": "a"}}), b"Killed\n"), "Killed"),
    "plain sse": ("sse", body(b"data: a\n\nevent: error\ndata: no\n\n", DONE), "no"),
    "plain sse, JSON": ("sse", body(b"data: a\n\ndata: " + SAID + b"\n\n", DONE), "out of memory"),
    "an error, then a reset": ("openai-chat", HEAD + chunk(TOKEN, b"data: " + SAID + b"\n\n"), "out of memory"),
    "an error without its empty line": ("openai-chat", HEAD + chunk(TOKEN, b"data: " + SAID + b"\n"), "out of memory"),
}  # fmt: skip


@pytest.mark.parametrize(("protocol", "answer", "said"), ERRORS.values(), ids=ERRORS.keys())
def test_an_error_in_any_shape_is_an_error_with_its_sentence(protocol: Protocol, answer: bytes, said: str) -> None:
    """Whatever shape an error has, inside of a 200, it is `error_event` with what the server said."""
    found = measured(saying(answer), protocol)

    assert found.ending[0] == "error_event"
    assert found.ending[1].startswith(said)


REFUSALS = {
    "Gemini": (b'[{"error": {"code": 429, "message": "quota"}}]', "429: quota"),
    "FastAPI": (b'{"detail": "slow down"}', "429: slow down"),
    "a message": (b'{"message": "slow down"}', "429: slow down"),
    "a text": (b"slow\x00 down " + b"x" * 500, "429: slow down " + "x" * 100),
    "a page": (b"<html><title>429 Slow Down</title>" + b"x" * 500, "429: 429 Slow Down"),
    "other JSON": (b'{"why": "quota"}', '429: {"why": "quota"}'),
}


@pytest.mark.parametrize(("text", "said"), REFUSALS.values(), ids=REFUSALS.keys())
def test_a_refusal_has_its_sentence(text: bytes, said: str) -> None:
    """The detail of a refusal is the server's sentence, in any shape, and at most 200 printable characters."""
    found = measured(saying(sized(text, "text/plain", "429 Too Many")))

    assert found.ending[0] == "http_error"
    assert found.ending[1].startswith(said)
    assert len(found.ending[1]) <= 200
    assert found.ending[1].isprintable()


USAGE = sse({"choices": [], "usage": {"completion_tokens": 20}})
FLAGS: dict[str, tuple[Protocol, bytes, str | None]] = {
    "nothing but the end": ("openai-chat", body(DONE), "empty"),
    "a role and a finish": ("openai-chat", body(sse(delta(role="assistant"), delta("stop")), DONE), "empty"),
    "empty texts": ("openai-chat", body(sse(delta(content=""), delta(content=""), delta("stop")), DONE), "empty"),
    "Anthropic, nothing": ("anthropic-messages", body(sse({"type": "message_stop"})), "empty"),
    "Gemini, blocked": ("gemini", body(sse({"promptFeedback": {"blockReason": "SAFETY"}})), "empty"),
    "Ollama, nothing": ("ollama", body(lines({"done": True})), "empty"),
    "at the limit, far below it": ("openai-chat", body(TOKEN * 3, sse(delta("length")), DONE), "short"),
    "at the limit, by usage": ("openai-chat", body(TOKEN * 90, sse(delta("length")), USAGE, DONE), "short"),
    "at the limit, several tokens an event": (
        "openai-chat", body(sse(delta(content="four tokens or so")) * 25, sse(delta("length")), DONE), None
    ),
    "at the limit": ("openai-chat", body(TOKEN * 100, sse(delta("length")), DONE), None),
    "no reason, far fewer": ("openai-chat", body(TOKEN * 3, DONE), "short"),
    "no reason, enough": ("openai-chat", body(TOKEN * 60, DONE), None),
    "the model had finished": ("openai-chat", body(TOKEN * 3, WORD_STOP, DONE), None),
    "a tool was called": ("openai-chat", body(TOKEN * 3, sse(delta("tool_calls")), DONE), None),
    "an image": ("openai-chat", body(sse(delta(images=[{"type": "image_url"}]), delta("length")), DONE), None),
    "plain sse": ("sse", body(b"data: x\n\n", DONE), None),
}  # fmt: skip


@pytest.mark.parametrize(("protocol", "answer", "flag"), FLAGS.values(), ids=FLAGS.keys())
def test_an_empty_or_short_answer_is_flagged(protocol: Protocol, answer: bytes, flag: str | None) -> None:
    """A response that ends well without a token is `empty`, one with far fewer than asked `short`; no honest one is."""
    found = measured(saying(answer), protocol, output_tokens=100).request

    assert found.completion == "complete"
    assert found.flag == flag
    assert found.asked == 100


def test_an_answer_that_ended_early_by_itself_says_so() -> None:
    """It is not accused, but not silent either."""
    found = measured(saying(body(TOKEN, WORD_STOP, DONE)), output_tokens=100).request

    assert found.flag is None
    assert found.remarks == ("the model ended the answer with less than half of the tokens asked for",)


WITHHELD = {
    "content_filter": "a content filter ended the answer",
    "SAFETY": "a content filter ended the answer",
    "refusal": "the model refused to answer",
}


@pytest.mark.parametrize(("word", "remark"), WITHHELD.items())
def test_a_withheld_answer_says_who_ended_it(word: str, remark: str) -> None:
    """It is complete at any length, and one remark says why it is short."""
    found = measured(saying(body(TOKEN, sse(delta(word)), DONE)), output_tokens=100).request

    assert (found.completion, found.flag, found.remarks) == ("complete", None, (remark,))


CLOSED = b"HTTP/1.1 200 OK\r\ncontent-type: application/x-ndjson\r\n\r\n"
LAST = lines({"message": {"content": "a"}}) + b'{"message": {"content": ""}, "done": true}'


@pytest.mark.parametrize(
    ("protocol", "answer", "completion"),
    [
        ("ollama", sized(LAST, "application/x-ndjson"), "complete"),
        ("ollama", body(LAST), "complete"),
        ("ollama", CLOSED + LAST, "complete"),
        ("ollama", HEAD + chunk(LAST), "truncated"),
        ("ollama", sized(LAST + b"x", "application/x-ndjson")[:-1], "truncated"),
        ("openai-chat", body(TOKEN, b"data: [DONE]"), "complete"),
        ("openai-chat", body(TOKEN, b"data: [DONE]\n"), "complete"),
        ("openai-chat", HEAD + chunk(TOKEN, b"data: [DONE]\n"), "truncated"),
        ("anthropic-messages", body(b'event: message_stop\ndata: {"type": "message_stop"}'), "complete"),
    ],
)
def test_a_last_line_counts_when_the_body_ended_properly(protocol: Protocol, answer: bytes, completion: str) -> None:
    """A last line without its newline, a last event without its empty line: understood unless the body was cut."""
    assert measured(saying(answer), protocol).ending[0] == completion


SIGNS = [
    b": comment\n\n",
    b"data:\n\n",
    b"id: 7\n\n",
    b"retry: 3000\n\n",
    b"event: ping\ndata: {}\n\n",
    b"data: null\n\n",
]


@pytest.mark.parametrize(
    ("protocol", "sign"),
    [
        *(("sse", sign) for sign in SIGNS[:-1]),  # to it the last one is data
        *itertools.product(("openai-chat", "anthropic-messages"), SIGNS),
    ],
)
def test_signs_of_life_are_no_tokens_and_no_errors(protocol: Protocol, sign: bytes) -> None:
    """Comments, pings and events without data are signs of life, before, between and after tokens."""
    text = COMPLETE[protocol]

    found = measured(saying(body(sign, text.replace(b"\n\n", b"\n\n" + sign))), protocol, output_tokens=3)

    assert found.ending == ("complete", "")
    assert found.kinds.count("ping") >= text.count(b"\n\n")
    assert found.request.tokens == (3 if protocol == "anthropic-messages" else 2)


@pytest.mark.parametrize(
    ("protocol", "text", "remark"),
    [
        ("anthropic-messages", COMPLETE["anthropic-messages"] + DONE, None),
        (
            "anthropic-messages",
            sse(*[block("text_delta", text="abcd")] * 9, names=True) + DONE,
            "[DONE] instead of message_stop",
        ),
        ("gemini", sse(candidate({"text": "all of it, whole"})) + DONE, "[DONE] instead of a finishReason"),
        (
            "openai-chat",
            sse(delta(content="a"))[:-1] + sse(delta(content="b"), delta("stop")) + DONE,
            "several values in one event, as if an empty line were missing",
        ),
        (
            "openai-chat",
            sse(delta(content="a"), delta(content="b"), delta("stop"))[:-1] + DONE,
            "several values in one event, as if an empty line were missing",
        ),
        (
            "openai-chat",
            lines(delta(content="a"), delta(content="b"), delta("stop")),
            "JSON without the framing of server-sent events",
        ),
        ("ollama", COMPLETE["ollama"].replace(b'{"mess', b'data: {"mess').replace(b"\n", b"\n\n"), None),
        ("sse", b"data: a\ndata: [DONE]\n\n", "several values in one event, as if an empty line were missing"),
        (
            "openai-chat",
            sse(delta(content="~~~~")).replace(b"~", b"\xff") * 3 + WORD_STOP + DONE,
            "bytes that are not UTF-8",
        ),
        ("openai-chat", b"loading model\n\n" + COMPLETE["openai-chat"], "text outside of events"),
    ],
)
def test_what_is_odd_but_understood_is_a_remark(protocol: Protocol, text: bytes, remark: str | None) -> None:
    """Foreign ends, missing empty lines and missing framing: every token counts, and a remark says what was odd."""
    found = measured(saying(body(text)), protocol, output_tokens=4).request

    assert (found.completion, found.flag) == ("complete", None)
    assert [each for each in found.remarks if "content-type" not in each] == ([remark] if remark else [])


@pytest.mark.parametrize(
    ("protocol", "kind", "remark"),
    [
        ("openai-chat", "text/plain", "content-type text/plain instead of text/event-stream"),
        ("openai-chat", "application/x-ndjson", "content-type application/x-ndjson instead of text/event-stream"),
        ("ollama", "text/event-stream", "content-type text/event-stream instead of application/x-ndjson"),
        ("sse", "application/octet-stream", "content-type application/octet-stream instead of text/event-stream"),
    ],
)
def test_a_wrong_content_type_is_measured(protocol: Protocol, kind: str, remark: str) -> None:
    """The content is what it is, whatever the header says; a remark says that it is wrong."""
    found = measured(saying(sized(COMPLETE[protocol], kind)), protocol, output_tokens=3).request

    assert (found.completion, found.tokens) == ("complete", 2)
    assert found.remarks == (remark,)


WHOLE: dict[Protocol, bytes] = {
    "openai-chat": b'{"choices": [{"message": {"content": "all"}, "finish_reason": "stop"}]}',
    "openai-completions": b'{"choices": [{"text": "all", "finish_reason": "stop"}]}',
    "openai-responses": b'{"object": "response", "status": "completed", "error": null, "output": []}',
    "anthropic-messages": b'{"type": "message", "content": [{"type": "text", "text": "all"}]}',
    "gemini": json.dumps([candidate({"text": "a"}), candidate({"text": "b"}, finishReason="STOP")], indent=1).encode(),
}


@pytest.mark.parametrize(("protocol", "text"), WHOLE.items())
def test_a_whole_answer_is_named(protocol: Protocol, text: bytes) -> None:
    """A server that answers all at once, although a stream was asked for, is told from one that streams."""
    answers = [sized(text)]
    if protocol not in ("openai-completions", "gemini"):  # in an event it looks as a chunk does
        answers.append(body(b"data: " + text + b"\n\n", DONE))

    for answer in answers:
        found = measured(saying(answer), protocol)
        assert found.ending[0] == "protocol_error"
        assert found.ending[1].endswith("although a stream was asked for")


def test_an_event_of_megabytes_is_counted() -> None:
    """A large image is one event of output, and no failure."""
    image = delta(images=[{"type": "image_url", "image_url": {"url": "data:image/png;base64," + "A" * 6_000_000}}])

    found = measured(saying(body(sse(image, delta("stop")), DONE)), timeouts={"idle": "10s", "first-token": "10s"})

    assert found.ending == ("complete", "")
    assert "media" in found.kinds


def test_half_a_character_is_no_token() -> None:
    """vLLM sends "" for a token that ends within a character: no token, but counted in its usage."""
    text = sse(delta(content="a"), delta(content=""), delta(content="🥊"), delta("stop"))

    found = measured(saying(body(text, sse({"choices": [], "usage": {"completion_tokens": 3}}), DONE))).request

    assert (found.tokens, found.usage) == (2, 3)


def test_what_was_understood_counts_whatever_follows_in_the_same_read() -> None:
    """An end marker, or an error, is not taken back by garbage behind it."""
    garbage = b"data: {oops\n\n"

    assert measured(saying(body(TOKEN, DONE, garbage))).ending[0] == "complete"
    assert measured(saying(HEAD + chunk(TOKEN, b"data: " + SAID + b"\n\n", garbage))).ending[0] == "error_event"
    spoilt = measured(saying(body(TOKEN, garbage, DONE)))
    assert spoilt.ending == ("protocol_error", "an event that is not JSON: {oops")
    assert spoilt.request.tokens == 1


def test_text_is_quoted_when_nothing_more_comes() -> None:
    """A server that says something and then nothing is silent, and quoted."""
    found = measured(saying(HEAD, chunk(TOKEN, b"queue is full\n\n"), then=hang), timeouts=SHORT)

    assert found.ending == ("idle_timeout", "no token for 300ms, after: queue is full")


OPEN = b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\n\r\n"
WORDS = b"event: word\ndata: a\n\nevent: word\ndata: b\n\n"
NAMED: dict[str, tuple[dict[str, str], bytes, str, int]] = {
    "an event": ({"end_event": "done"}, body(WORDS, b"event: done\ndata: {}\n\n"), "complete", 2),
    "an event without data": ({"end_event": "done"}, body(WORDS, b"event: done\n\n"), "complete", 2),
    "an event, then silence": ({"end_event": "done"}, HEAD + chunk(WORDS, b"event: done\n\n"), "complete", 2),
    "another event": ({"end_event": "done"}, body(WORDS, b"event: over\ndata: {}\n\n"), "truncated", 3),
    "data": ({"end_data": "[END]"}, body(WORDS, b"data: [END]\n\n"), "complete", 2),
    "other data": ({"end_data": "[END]"}, body(WORDS, b"data: [end]\n\n"), "truncated", 3),
    "the usual data": ({"end_data": "[END]"}, body(WORDS, DONE), "complete", 2),
    "the body": ({"end": "body"}, body(WORDS), "complete", 2),
    "the body, in its length": ({"end": "body"}, sized(WORDS, "text/event-stream"), "complete", 2),
    "the body, until the close": ({"end": "body"}, OPEN + WORDS, "complete", 2),
    "the body, cut": ({"end": "body"}, HEAD + chunk(WORDS), "truncated", 2),
    "the body, too short": ({"end": "body"}, sized(WORDS, "text/event-stream")[:-1], "truncated", 1),
    "none": ({}, body(WORDS), "truncated", 2),
}


@pytest.mark.parametrize(("named", "answer", "completion", "tokens"), NAMED.values(), ids=NAMED.keys())
def test_the_end_of_plain_events_can_be_named(
    named: dict[str, str], answer: bytes, completion: str, tokens: int
) -> None:
    """An event's type or data, or the end of the body, ends a response of plain server-sent events."""
    found = measured(saying(answer), "sse", **named).request

    assert (found.completion, found.tokens) == (completion, tokens)


def test_only_plain_events_have_a_named_end() -> None:
    """Another protocol with a named end is refused, with its name."""
    with pytest.raises(ValidationError, match="end-event is for protocol sse, and openai-chat has its own end"):
        workload(end_event="done")
