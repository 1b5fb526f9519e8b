"""Speaks Ollama's generate: as its chat, with the text in `response`, and no tools."""

from __future__ import annotations

from typing import Any

from chaoskit.server import fields
from chaoskit.server.formats import ollama
from chaoskit.server.formats.api import Api, CompletionRequest, Route
from chaoskit.server.requests import BadRequestError, Request
from chaoskit.server.schedule import Part


def parse(request: Request, _name: str, _query: str) -> CompletionRequest:
    """`POST /api/generate`. It streams unless `stream` is false."""
    body = fields.json_object(request.body)
    model, prompt = fields.model(body), fields.text(body, "prompt")
    if prompt is None:
        raise BadRequestError("prompt: field required")
    return ollama.completion_request(API, request, body, model, [prompt, fields.text(body, "system") or ""])


class OllamaGenerate(ollama.Ollama):
    """The encoder."""

    def said(self, part: Part, text: str) -> dict[str, Any]:
        """The fields with what is said."""
        return {"response": "", "thinking": text} if part == "reasoning" else {"response": text}


API = Api(
    name="ollama-generate",
    routes=(Route("/api/generate", ("POST",), parse),),
    own=("/api/generate",),
    encoder=OllamaGenerate,
    error=ollama.error,
    error_event=ollama.API.error_event,
)
