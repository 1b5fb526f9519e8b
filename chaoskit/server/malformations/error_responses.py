"""Errors: refusals of every shape, errors within a stream, and what stands in place of a stream."""

from __future__ import annotations

import json
from collections.abc import Callable

from chaoskit.server.formats.api import Api, CompletionRequest, dump, named_event
from chaoskit.server.malformations.malformation import CHUNKED, IN_EVENTS, IN_JSON, Malformation, half, none
from chaoskit.server.requests import JSON, Headers, Reply

_SENTENCE = "The engine has died."
_HTML = (
    b"<html>\r\n<head><title>502 Bad Gateway</title></head>\r\n<body>\r\n<center><h1>502 Bad Gateway</h1></center>\r\n"
    b"<hr><center>nginx</center>\r\n</body>\r\n</html>\r\n"
)
_DONE = b"data: [DONE]\n\n"
_TEXT = "text/plain; charset=utf-8"
_Reply = Callable[[Api, CompletionRequest], Reply]


def reply(status: int, content_type: str, body: bytes, *more: tuple[str, str]) -> Reply:
    """A response that is sent at once, with its length."""
    headers: Headers = (("content-type", content_type), ("content-length", str(len(body))), *more)
    return Reply(status, headers, body)


def _fixed(status: int, content_type: str, body: bytes, *more: tuple[str, str]) -> _Reply:
    found = reply(status, content_type, body, *more)
    return lambda _api, _completion: found


def refusal(status: int, retry_after: int | None) -> Malformation:
    """A refusal in the API's own shape."""
    more = () if retry_after is None else (("retry-after", str(retry_after)),)

    def refuse(api: Api, _completion: CompletionRequest) -> Reply:
        return reply(
            status, JSON, dump(api.error(status, f"The server refuses with {status}, as its script says.")), *more
        )

    return Malformation("refused", f"Refused with {status}.", reply=refuse)


def error_event(after: int) -> Malformation:
    """An error in the stream, in the API's own shape, after so many tokens; the response ends properly."""
    return _in_stream("error-event", "", _own, lambda tokens: min(after, tokens))


def _own(api: Api, _data: bytes) -> bytes:
    return api.error_event(500, _SENTENCE)


def _in_stream(
    name: str,
    sentence: str,
    closing: Callable[[Api, bytes], bytes],
    after: Callable[[int], int] = half,
    apis: tuple[str, ...] = (),
) -> Malformation:
    return Malformation(name, sentence, apis, breaks_after=after, closing=closing)


_OBJECT = json.dumps({"error": {"message": _SENTENCE, "type": "server_error", "code": 500}}).encode()
_CHOICE = json.dumps(
    {
        "id": "gen-1",
        "object": "chat.completion.chunk",
        "choices": [{"index": 0, "delta": {"content": ""}, "finish_reason": "error"}],
        "error": {"code": 502, "message": _SENTENCE},
    }
).encode()
_FAILED = {
    "type": "response.failed",
    "sequence_number": 100_000,
    "response": {
        "id": "resp_1",
        "object": "response",
        "status": "failed",
        "error": {"code": "server_error", "message": _SENTENCE},
        "output": [],
    },
}

ERRORS = (
    Malformation("refused-429", "429 with `retry-after: 1`, in the API's own shape.", reply=refusal(429, 1).reply),
    Malformation("refused-503", "503 in the API's own shape, without a Retry-After.", reply=refusal(503, None).reply),
    Malformation(
        "refused-array",
        "400 with an array of one error, as from Gemini.",
        reply=_fixed(
            400, JSON, b"[%b]" % dump({"error": {"code": 400, "message": _SENTENCE, "status": "INVALID_ARGUMENT"}})
        ),
    ),
    Malformation(
        "refused-detail",
        "422 with FastAPI's `detail`, a list.",
        reply=_fixed(
            422, JSON, dump({"detail": [{"loc": ["body", "model"], "msg": "Field required", "type": "missing"}]})
        ),
    ),
    Malformation(
        "refused-message",
        "500 with a top-level `message`.",
        reply=_fixed(500, JSON, dump({"object": "error", "message": _SENTENCE, "code": 500})),
    ),
    Malformation("refused-text", "503 with plain text.", reply=_fixed(503, _TEXT, b"no healthy upstream")),
    Malformation("refused-html", "502 with nginx's page.", reply=_fixed(502, "text/html", _HTML)),
    Malformation("refused-empty", "503 with an empty body.", reply=_fixed(503, _TEXT, b"")),
    _in_stream("error-event", "An error event of the API's own shape after half of the tokens.", _own),
    _in_stream("error-first", "The same before any token.", _own, none),
    _in_stream(
        "error-then-done",
        "The same after half of the tokens, followed by `[DONE]`.",
        lambda api, data: _own(api, data) + _DONE,
        apis=IN_EVENTS,
    ),
    _in_stream(
        "error-object",
        'An event `{"error": {...}}` after half of the tokens.',
        lambda _api, _data: b"data: %b\n\n" % _OBJECT,
        apis=IN_EVENTS,
    ),
    _in_stream(
        "error-choice",
        "A finish reason `error` beside an `error`, as from OpenRouter, and `[DONE]`.",
        lambda _api, _data: b"data: %b\n\n%b" % (_CHOICE, _DONE),
        apis=CHUNKED,
    ),
    _in_stream(
        "response-failed",
        "`response.failed`, as from OpenAI.",
        lambda _api, _data: named_event(_FAILED),
        apis=("openai-responses",),
    ),
    _in_stream(
        "error-line",
        "A field line `error: {...}` in place of `data:`, as from llama.cpp.",
        lambda _api, _data: b"error: %b\n\n" % _OBJECT,
        apis=IN_EVENTS,
    ),
    _in_stream(
        "error-named",
        "`event: error` with plain text as its data.",
        lambda _api, _data: b"event: error\ndata: %b\n\n" % _SENTENCE.encode(),
        apis=IN_EVENTS,
    ),
    _in_stream(
        "error-named-json",
        "`event: error` with a JSON object that does not say `error`.",
        lambda _api, _data: b"event: error\ndata: %b\n\n" % dump({"code": 500, "message": _SENTENCE}),
        apis=IN_EVENTS,
    ),
    _in_stream(
        "error-unframed",
        "A bare JSON object, without `data:`, after half of the tokens.",
        lambda _api, _data: _OBJECT + b"\n",
        apis=IN_EVENTS,
    ),
    _in_stream(
        "error-text",
        "Plain text without any framing after half of the tokens.",
        lambda _api, _data: b"Internal Server Error",
    ),
    Malformation("json-in-200", "200 with an error as `application/json`.", reply=_fixed(200, JSON, _OBJECT)),
    Malformation("text-in-200", "200 with plain text.", reply=_fixed(200, _TEXT, b"upstream connect error")),
    Malformation("html-in-200", "200 with a page, as from a captive portal.", reply=_fixed(200, "text/html", _HTML)),
    Malformation("empty-body", "200 with the right type and no byte.", reply=_fixed(200, "text/event-stream", b"")),
    Malformation("whole-answer", "A whole answer, although a stream was asked for.", IN_JSON, whole=True),
)
