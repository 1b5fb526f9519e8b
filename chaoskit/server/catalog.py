"""Answers what clients ask beside completions, as each vendor's server does: models, health, versions.

`GET /v1/models` has three shapes: Anthropic's for a request with its version header, Gemini's for one with its key,
OpenAI's for any other.
"""

from __future__ import annotations

from typing import Any

from chaoskit.server import fields
from chaoskit.server.fields import MODEL
from chaoskit.server.formats.api import CREATED, CREATED_AT, Route
from chaoskit.server.requests import BadRequestError, Reply, Request, json_reply

_CONTEXT = 131_072  # tokens
_VERSION = "0.12.0"  # of Ollama's API
_TEXT = (("content-type", "text/plain; charset=utf-8"),)
_DETAILS = {
    "parent_model": "",
    "format": "gguf",
    "family": MODEL,
    "families": [MODEL],
    "parameter_size": "1B",
    "quantization_level": "F16",
}


def _root(_request: Request, _name: str, _query: str) -> Reply:
    body = b"chaoskit's reference server is running"
    return Reply(200, (*_TEXT, ("content-length", str(len(body)))), body)


def _health(_request: Request, _name: str, _query: str) -> Reply:
    return json_reply(200, {"status": "ok"})


def _models(request: Request, _name: str, _query: str) -> Reply:
    if "anthropic-version" in request.headers:
        model = _anthropic(MODEL)
        return json_reply(200, {"data": [model], "has_more": False, "first_id": MODEL, "last_id": MODEL})
    if "x-goog-api-key" in request.headers:
        return _gemini_models(request, "", "")
    return json_reply(200, {"object": "list", "data": [_openai(MODEL)]})


def _model(request: Request, name: str, _query: str) -> Reply:
    fields.model({"model": name})
    if "x-goog-api-key" in request.headers:
        return _gemini_model(request, name, "")
    return json_reply(200, _anthropic(name) if "anthropic-version" in request.headers else _openai(name))


def _openai(name: str) -> dict[str, Any]:
    return {"id": name, "object": "model", "created": CREATED, "owned_by": "chaoskit", "max_model_len": _CONTEXT}


def _anthropic(name: str) -> dict[str, Any]:
    return {"type": "model", "id": name, "display_name": name, "created_at": CREATED_AT}


def _gemini_models(_request: Request, _name: str, _query: str) -> Reply:
    return json_reply(200, {"models": [_gemini(MODEL)]})


def _gemini_model(_request: Request, name: str, _query: str) -> Reply:
    return json_reply(200, _gemini(fields.model({"model": name})))


def _gemini(name: str) -> dict[str, Any]:
    return {
        "name": f"models/{name}",
        "displayName": name,
        "inputTokenLimit": _CONTEXT,
        "outputTokenLimit": _CONTEXT,
        "supportedGenerationMethods": ["generateContent", "countTokens"],
    }


def _tags(_request: Request, _name: str, _query: str) -> Reply:
    return json_reply(200, {"models": [_local(MODEL)]})


def _local(name: str) -> dict[str, Any]:
    model = {"name": name, "model": name, "modified_at": CREATED_AT, "size": 0, "digest": "0" * 64}
    return {**model, "details": _DETAILS}


def _show(request: Request, _name: str, _query: str) -> Reply:
    body = fields.json_object(request.body)
    name = fields.model({"model": body.get("model", body.get("name"))})
    about = {"general.architecture": name, f"{name}.context_length": _CONTEXT}
    shown = {"modelfile": "", "parameters": "", "template": "", "details": _DETAILS, "model_info": about}
    return json_reply(200, {**shown, "capabilities": ["completion", "tools", "thinking"], "modified_at": CREATED_AT})


def _version(_request: Request, _name: str, _query: str) -> Reply:
    return json_reply(200, {"version": _VERSION})


def _tokenize(request: Request, _name: str, _query: str) -> Reply:
    """vLLM's `prompt` or `messages`, and llama.cpp's `content`."""
    body = fields.json_object(request.body)
    text = fields.text(body, "prompt") or fields.text(body, "content")
    if text is None and "messages" not in body:
        raise BadRequestError("prompt: field required, or content, or messages")
    count = (
        fields.prompt_tokens(*fields.contents(fields.messages(body))) if text is None else fields.prompt_tokens(text)
    )
    return json_reply(200, {"count": count, "max_model_len": _CONTEXT, "tokens": list(range(count))})


ROUTES: tuple[Route, ...] = (
    Route("/", ("GET",), _root),
    Route("/health", ("GET",), _health),
    Route("/version", ("GET",), _version),
    Route("/v1/models", ("GET",), _models),
    Route("/v1/models/*", ("GET",), _model),
    Route("/tokenize", ("POST",), _tokenize),
    Route("/api/tags", ("GET",), _tags),
    Route("/api/show", ("POST",), _show),
    Route("/api/version", ("GET",), _version),
    Route("/v1beta/models", ("GET",), _gemini_models),
    Route("/v1beta/models/*", ("GET",), _gemini_model),
)
