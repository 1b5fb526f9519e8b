"""Speaks Anthropic's messages: `message_start` to `message_stop`, a content block for each part."""

from __future__ import annotations

from typing import Any

from chaoskit.server import fields
from chaoskit.server.formats.api import (
    PLACEHOLDER,
    SSE,
    Api,
    CompletionRequest,
    Route,
    Stamp,
    dump,
    escaped,
    named_event,
    split_template,
)
from chaoskit.server.requests import JSON, BadRequestError, Reply, Request, json_reply
from chaoskit.server.schedule import Part, PlannedResponse, Tool

_DELTAS: dict[Part, tuple[str, str]] = {
    "text": ("text_delta", "text"),
    "reasoning": ("thinking_delta", "thinking"),
    "tool": ("input_json_delta", "partial_json"),
}
_REASONS = {"stop": "end_turn", "length": "max_tokens", "tool_calls": "tool_use"}
_ERRORS = {
    401: "authentication_error",
    403: "permission_error",
    404: "not_found_error",
    413: "request_too_large",
    429: "rate_limit_error",
    503: "overloaded_error",
    529: "overloaded_error",
}
_SIGNATURE = "c2lnbmF0dXJl"


def parse(request: Request, _name: str, _query: str) -> CompletionRequest:
    """`POST /v1/messages`. `max_tokens` is required."""
    body = fields.json_object(request.body)
    limit = fields.token_limit(body, "max_tokens")
    if limit is None:
        raise BadRequestError("max_tokens: field required")
    model, messages = fields.model(body), fields.messages(body)
    return CompletionRequest(
        api=API,
        model=model,
        tokens=limit,
        limited=True,
        streamed=bool(fields.flag(body, "stream")),
        prompt=_prompt(body, messages),
        stream=fields.stream_number(request),
        tool=_tool(body, messages),
        script=fields.script_name(request, model),
    )


def count_tokens(request: Request, _name: str, _query: str) -> Reply:
    """`POST /v1/messages/count_tokens`."""
    body = fields.json_object(request.body)
    fields.model(body)
    return json_reply(200, {"input_tokens": _prompt(body, fields.messages(body))})


def _prompt(body: dict[str, Any], messages: list[dict[str, Any]]) -> int:
    return fields.prompt_tokens(*fields.contents(messages), body.get("system") or "")


def _tool(body: dict[str, Any], messages: list[dict[str, Any]]) -> Tool | None:
    tools, choice = body.get("tools"), body.get("tool_choice")
    if not isinstance(tools, list) or (isinstance(choice, dict) and choice.get("type") == "none"):
        return None
    said = messages[-1].get("content") if messages else None
    blocks = said if isinstance(said, list) else []
    return fields.tool(tools, any(isinstance(each, dict) and each.get("type") == "tool_result" for each in blocks))


def error(status: int, message: str) -> dict[str, Any]:
    """Anthropic's error: an object with a type and a message."""
    kind = _ERRORS.get(status, "invalid_request_error" if status < 500 else "api_error")
    return {"type": "error", "error": {"type": kind, "message": message}}


class AnthropicMessages:
    """The encoder."""

    def __init__(self, completion: CompletionRequest, planned: PlannedResponse) -> None:
        self.content_type = SSE if completion.streamed else JSON
        self._completion = completion
        self._planned = planned
        self._templates: dict[Part, tuple[str, str]] = {}
        for part in planned.parts:
            kind, field = _DELTAS[part]
            delta = {"type": kind, field: PLACEHOLDER}
            event = {"type": "content_block_delta", "index": planned.parts.index(part), "delta": delta}
            self._templates[part] = split_template(event)

    def opening(self) -> bytes:
        """message_start and a ping."""
        start = named_event({"type": "message_start", "message": self._message([], None, 0)})
        return start + named_event({"type": "ping"})

    def begin(self, part: Part) -> bytes:
        """content_block_start."""
        index, block = self._planned.parts.index(part), self._block(part, "", {})
        return named_event({"type": "content_block_start", "index": index, "content_block": block})

    def event(self, part: Part, text: str, stamp: Stamp) -> tuple[bytes, bytes]:
        """A content_block_delta."""
        before, after = self._templates[part]
        head, tail = stamp.hole(f"event: content_block_delta\ndata: {before}{escaped(part, text)}{after}")
        return head, tail + b"\n\n"

    def end(self, part: Part) -> bytes:
        """The signature of a thinking block, and content_block_stop."""
        index = self._planned.parts.index(part)
        signature = {"type": "signature_delta", "signature": _SIGNATURE}
        signed = named_event({"type": "content_block_delta", "index": index, "delta": signature})
        stop = named_event({"type": "content_block_stop", "index": index})
        return signed + stop if part == "reasoning" else stop

    def closing(self, tokens: int, finish: str) -> bytes:
        """message_delta, message_stop."""
        delta = {"stop_reason": _REASONS.get(finish, finish), "stop_sequence": None}
        usage = {"input_tokens": self._completion.prompt, "output_tokens": tokens}
        end = named_event({"type": "message_delta", "delta": delta, "usage": usage})
        return end + named_event({"type": "message_stop"})

    def whole(self, finish: str, stamps: dict[str, int]) -> bytes:
        """A message."""
        planned = self._planned
        content = [self._block(part, planned.whole(part), None) for part in planned.parts]
        message = self._message(content, _REASONS.get(finish, finish), planned.tokens)
        return dump({**message, "chaoskit": stamps})

    def _block(self, part: Part, text: str, arguments: dict[str, Any] | None) -> dict[str, Any]:
        """A content block; `arguments` of a call stand in for those in `text`."""
        match part:
            case "text":
                return {"type": "text", "text": text}
            case "reasoning":
                return {"type": "thinking", "thinking": text, "signature": _SIGNATURE if text else ""}
            case "tool":
                tool = self._planned.tool
                assert tool is not None
                call = {"type": "tool_use", "id": f"toolu_{self._planned.name:016x}", "name": tool.name}
                return {**call, "input": tool.arguments(text) if arguments is None else arguments}

    def _message(self, content: list[dict[str, Any]], reason: str | None, tokens: int) -> dict[str, Any]:
        return {
            "id": f"msg_{self._planned.name:016x}",
            "type": "message",
            "role": "assistant",
            "model": self._completion.model,
            "content": content,
            "stop_reason": reason,
            "stop_sequence": None,
            "usage": {"input_tokens": self._completion.prompt, "output_tokens": tokens},
        }


API = Api(
    name="anthropic-messages",
    routes=(
        Route("/v1/messages", ("POST",), parse),
        Route("/v1/messages/count_tokens", ("POST",), count_tokens),
    ),
    own=("/v1/messages",),
    encoder=AnthropicMessages,
    error=error,
    error_event=lambda status, message: named_event(error(status, message)),
)
