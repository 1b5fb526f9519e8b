"""Speaks OpenAI's completions: as chat completions, with `text` in place of a delta."""

from __future__ import annotations

from typing import Any

from chaoskit.server import fields
from chaoskit.server.formats import openai_chat
from chaoskit.server.formats.api import (
    CREATED,
    PLACEHOLDER,
    SSE,
    Api,
    CompletionRequest,
    Route,
    Stamp,
    data_event,
    dump,
    split_template,
)
from chaoskit.server.requests import JSON, Request
from chaoskit.server.schedule import Part, PlannedResponse


def parse(request: Request, _name: str, _query: str) -> CompletionRequest:
    """`POST /v1/completions`."""
    body = fields.json_object(request.body)
    model = fields.model(body)
    prompt = fields.one_prompt(body)
    fields.refuse_several(body, "n", "best_of")
    limit = fields.token_limit(body, "max_tokens")
    return CompletionRequest(
        api=API,
        model=model,
        tokens=limit or fields.TOKENS,
        limited=limit is not None,
        streamed=bool(fields.flag(body, "stream")),
        prompt=len(prompt) if _is_tokens(prompt) else fields.prompt_tokens(prompt),
        usage=bool(fields.flag(fields.mapping(body, "stream_options"), "include_usage")),
        stream=fields.stream_number(request),
        script=fields.script_name(request, model),
        priority=fields.priority(body),
    )


def _is_tokens(prompt: str | list[Any]) -> bool:
    """Whether the client has tokenized the prompt itself."""
    return isinstance(prompt, list) and bool(prompt) and all(type(each) is int for each in prompt)


class OpenAiCompletions:
    """The encoder."""

    def __init__(self, completion: CompletionRequest, planned: PlannedResponse) -> None:
        self.content_type = SSE if completion.streamed else JSON
        self._completion = completion
        self._planned = planned
        self._common: dict[str, Any] = {
            "id": f"cmpl-{planned.name:016x}",
            "object": "text_completion",
            "created": CREATED,
            "model": completion.model,
        }
        self._template = split_template(self._chunk(PLACEHOLDER, None))

    def opening(self) -> bytes:
        """Nothing."""
        return b""

    def begin(self, part: Part) -> bytes:
        """Nothing."""
        return b""

    def event(self, part: Part, text: str, stamp: Stamp) -> tuple[bytes, bytes]:
        """A chunk with text."""
        before, after = self._template
        head, tail = stamp.hole(f"data: {before}{text}{after}")
        return head, tail + b"\n\n"

    def end(self, part: Part) -> bytes:
        """Nothing."""
        return b""

    def closing(self, tokens: int, finish: str) -> bytes:
        """The finish chunk, the usage if requested, [DONE]."""
        end = data_event(self._chunk("", finish))
        if self._completion.usage:
            spent = openai_chat.usage(self._completion, self._planned, tokens)
            end += data_event({**self._chunk("", None), "choices": [], "usage": spent})
        return end + openai_chat.DONE

    def whole(self, finish: str, stamps: dict[str, int]) -> bytes:
        """A completion."""
        spent = openai_chat.usage(self._completion, self._planned, self._planned.tokens)
        chunk = self._chunk(self._planned.whole(), finish)
        return dump({**chunk, "usage": spent, "chaoskit": stamps})

    def _chunk(self, text: str, finish: str | None) -> dict[str, Any]:
        choice = {"index": 0, "text": text, "logprobs": None, "finish_reason": finish}
        no_usage = {"usage": None} if self._completion.usage else {}
        return {**self._common, "choices": [choice], **no_usage}


API = Api(
    name="openai-completions",
    routes=(Route("/v1/completions", ("POST",), parse),),
    own=("/v1/completions",),
    encoder=OpenAiCompletions,
    error=openai_chat.error,
    error_event=openai_chat.API.error_event,
    reasons=False,
)
