"""Finds the server's sentence in an error, in the shapes of all vendors and of gateways before them.

| shape                                              | who sends it                                        |
|----------------------------------------------------|-----------------------------------------------------|
| `{"error": {"message": ...}}`, `{"error": "..."}`  | OpenAI, Anthropic, Ollama, llama.cpp                |
| `[{"error": {"message": ...}}]`                    | Gemini                                              |
| `{"detail": "..."}`, `{"detail": [{"msg": ...}]}`  | FastAPI                                             |
| `{"object": "error", "message": ...}`              | vLLM                                                |
| `{"message": "..."}`, `{"errors": [...]}`          | AWS, Cohere, Cloudflare, Kong, DashScope            |
| `{"error_msg": ...}`, `{"base_resp": {...}}`       | Baidu, MiniMax                                      |
| HTML                                               | nginx, HAProxy, load balancers: its title           |
| any other text                                     | Envoy, frameworks: its beginning                    |
"""

from __future__ import annotations

import json
import re

from chaoskit.probe.protocols.events import Json, listed

_MOST = 1000  # characters that are looked at; what is shown is shorter
_SENTENCES = (
    *(
        "message",
        "error",
        "detail",
        "msg",
        "error_msg",
        "status_msg",
        "base_resp",
        "exception",
        "error_message",
        "errorMessage",
        "error_description",
        "Message",
    ),
    *("errors", "fault", "faultstring", "title", "reason", "status", "type", "code"),
)
_ERROR_KEYS = frozenset(
    (
        *("message", "detail", "msg", "error_message", "errorMessage", "error_description", "Message", "errors"),
        *(
            "error_msg",
            "base_resp",
            "exception",
            "fault",
            "title",
            "reason",
            "status",
            "statusCode",
            "status_code",
            "code",
            "error_code",
            "type",
            "param",
        ),
        *("request_id", "requestId", "timestamp", "path", "success", "instance", "__type", "traceback"),
    )
)
_TEXTS = ("message", "msg", "error_msg", "exception", "error_message", "errorMessage", "error_description", "Message")
_STATUSES = ("code", "status_code", "statusCode", "status")
_NO_ROOM = re.compile("429|502|503|504|529")  # statuses of a service that may have room later
_TITLE = re.compile(r"<(title|h1)\b[^>]*>(.*?)</\1>", re.IGNORECASE | re.DOTALL)
_NOT_TEXT = re.compile(r"<(script|style)\b.*?(</\1>|$)|<[^>]*>?", re.IGNORECASE | re.DOTALL)


def sentence_of(raw: bytes) -> str:
    """What a body says: the message of an error in a known format, the title of a page, or its first characters."""
    said = raw.decode(errors="replace")
    try:
        found = sentence_in(json.loads(said))
    except (ValueError, RecursionError):
        found = ""
    return found or _of_page(said) or said[:_MOST].strip()


def sentence_in(value: object, depth: int = 4) -> str:
    """The sentence in an error's JSON; "" if it has none in a known format."""
    if isinstance(value, str):
        return value.strip()
    if not depth:
        return ""
    if isinstance(value, list):
        return next((found for each in value[:3] if (found := sentence_in(each, depth - 1))), "")
    if not isinstance(value, dict):
        return ""
    for name in _SENTENCES:
        if name in value and (found := sentence_in(value[name], depth - 1)):
            place = ".".join(map(str, listed(value.get("loc"))))
            return f"{place}: {found}" if place and name == "msg" else found
    return ""


def failure_in(payload: Json) -> str | None:
    """The sentence of an event that is an error, whatever the protocol; None for any other event."""
    error = payload.get("error")
    if error is not None and error is not False and error != "":
        said = sentence_in(error) or sentence_in(payload) or json.dumps(error)[:_MOST]
        return _with_status(said, error if isinstance(error, dict) else payload)
    if payload.get("success") is False and (said := sentence_in(payload)):
        return said
    if payload.get("object") == "error" or payload.get("type") == "error":
        return sentence_in(payload)
    if _ERROR_KEYS.issuperset(payload) and _has_sentence(payload):
        return sentence_in(payload)
    return None


def _with_status(said: str, error: Json) -> str:
    """The sentence, after the error's code where that is a status of HTTP for a service without room."""
    code = str(next((error[name] for name in _STATUSES if name in error), ""))
    return f"{code}: {said}" if _NO_ROOM.fullmatch(code) and code not in said else said


def _has_sentence(payload: Json) -> bool:
    """A text, or a list of errors: the `message` of Anthropic's and Ollama's events is an object."""
    if any(isinstance(payload.get(name), str) and payload[name] for name in _TEXTS):
        return True
    return any(payload.get(name) for name in ("detail", "errors", "fault", "base_resp"))


def _of_page(said: str) -> str:
    """The title of a page of HTML, or its text; "" for anything else."""
    if not re.match(r"\s*<(!doctype|html|head|body|title|h1|center|\?xml|!--)", said, re.IGNORECASE):
        return ""
    title = _TITLE.search(said)
    return " ".join(_NOT_TEXT.sub(" ", title[2] if title else said).split())[:_MOST]
