"""Speaks OpenAI's chat completions: `data: {chunk}` ... the usage if asked for, `[DONE]`."""

from __future__ import annotations

from typing import Any

from chaoskit.server import fields
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
    escaped,
    split_template,
)
from chaoskit.server.requests import JSON, Request
from chaoskit.server.schedule import Part, PlannedResponse, Tool

DONE = b"data: [DONE]\n\n"
_TOO_MANY = 429
_DELTAS: dict[Part, dict[str, Any]] = {
    "text": {"content": PLACEHOLDER},
    "reasoning": {"reasoning_content": PLACEHOLDER},
    "tool": {"tool_calls": [{"index": 0, "function": {"arguments": PLACEHOLDER}}]},
}


def parse(request: Request, _name: str, _query: str) -> CompletionRequest:
    """`POST /v1/chat/completions`."""
    body = fields.json_object(request.body)
    model, messages = fields.model(body), fields.messages(body)
    fields.refuse_several(body, "n")
    limit = fields.token_limit(body, "max_completion_tokens") or fields.token_limit(body, "max_tokens")
    return CompletionRequest(
        api=API,
        model=model,
        tokens=limit or fields.TOKENS,
        limited=limit is not None,
        streamed=bool(fields.flag(body, "stream")),
        prompt=fields.prompt_tokens(*fields.contents(messages)),
        usage=bool(fields.flag(fields.mapping(body, "stream_options"), "include_usage")),
        stream=fields.stream_number(request),
        tool=_tool(body, messages),
        script=fields.script_name(request, model),
        said=_said(body, messages),
        priority=fields.priority(body),
    )


def _tool(body: dict[str, Any], messages: list[dict[str, Any]]) -> Tool | None:
    tools = body.get("tools")
    if not isinstance(tools, list) or body.get("tool_choice") == "none":
        return None
    functions = (each.get("function") for each in tools if isinstance(each, dict))
    return fields.tool(functions, is_result=bool(messages) and messages[-1]["role"] == "tool")


def _said(body: dict[str, Any], messages: list[dict[str, Any]]) -> int:
    """The tokens of an answer that is to be continued, as vLLM's `continue_final_message` asks for."""
    if not fields.flag(body, "continue_final_message") or not messages or messages[-1]["role"] != "assistant":
        return 0
    return len(str(messages[-1].get("content") or "").split())


def error(status: int, message: str) -> dict[str, Any]:
    """OpenAI's error: an object with a message, a type, a parameter and a code."""
    kind, code = ("invalid_request_error" if status < 500 else "server_error"), None
    if status == _TOO_MANY:
        kind, code = "requests", "rate_limit_exceeded"  # requests per minute; "tokens" for tokens per minute
    return {"error": {"message": message, "type": kind, "param": None, "code": code}}


def usage(completion: CompletionRequest, planned: PlannedResponse, tokens: int) -> dict[str, Any]:
    """The usage of `tokens` output tokens, of chat completions and completions."""
    found: dict[str, Any] = {
        "prompt_tokens": completion.prompt,
        "completion_tokens": tokens,
        "total_tokens": completion.prompt + tokens,
    }
    if planned.reasoning:
        found["completion_tokens_details"] = {"reasoning_tokens": min(planned.reasoning, tokens)}
    return found


class OpenAiChat:
    """The encoder. The first chunk carries the role and no text; it leaves with the first token, as vLLM's does."""

    def __init__(self, completion: CompletionRequest, planned: PlannedResponse) -> None:
        self.content_type = SSE if completion.streamed else JSON
        self._completion = completion
        self._planned = planned
        self._common: dict[str, Any] = {
            "id": f"chatcmpl-{planned.name:016x}",
            "created": CREATED,
            "model": completion.model,
        }
        self._templates = {part: split_template(self._chunk(_DELTAS[part], None)) for part in planned.parts}

    def opening(self) -> bytes:
        """A chunk with the role alone."""
        return data_event(self._chunk({"role": "assistant", "content": ""}, None))

    def begin(self, part: Part) -> bytes:
        """A tool call begins with its id and name."""
        if part != "tool":
            return b""
        return data_event(self._chunk({"tool_calls": [{"index": 0, **self._call("")}]}, None))

    def event(self, part: Part, text: str, stamp: Stamp) -> tuple[bytes, bytes]:
        """A chunk with a delta."""
        before, after = self._templates[part]
        head, tail = stamp.hole(f"data: {before}{escaped(part, text)}{after}")
        return head, tail + b"\n\n"

    def end(self, part: Part) -> bytes:
        """Nothing."""
        return b""

    def closing(self, tokens: int, finish: str) -> bytes:
        """The finish chunk, the usage if requested, [DONE]."""
        end = data_event(self._chunk({}, finish))
        if self._completion.usage:
            spent = usage(self._completion, self._planned, tokens)
            end += data_event({**self._chunk({}, None), "choices": [], "usage": spent})
        return end + DONE

    def whole(self, finish: str, stamps: dict[str, int]) -> bytes:
        """A chat completion."""
        planned = self._planned
        message: dict[str, Any] = {"role": "assistant", "content": planned.whole("text") or None, "refusal": None}
        if planned.reasoning:
            message["reasoning_content"] = planned.whole("reasoning")
        if planned.tool is not None:
            message["tool_calls"] = [self._call(planned.whole("tool"))]
        choice = {"index": 0, "message": message, "logprobs": None, "finish_reason": finish}
        return dump(
            {
                **self._common,
                "object": "chat.completion",
                "choices": [choice],
                "usage": usage(self._completion, planned, planned.tokens),
                "chaoskit": stamps,
            }
        )

    def _call(self, arguments: str) -> dict[str, Any]:
        tool = self._planned.tool
        assert tool is not None
        function = {"name": tool.name, "arguments": arguments}
        return {"id": f"call_{self._planned.name:016x}", "type": "function", "function": function}

    def _chunk(self, delta: dict[str, Any], finish: str | None) -> dict[str, Any]:
        choice = {"index": 0, "delta": delta, "logprobs": None, "finish_reason": finish}
        no_usage = {"usage": None} if self._completion.usage else {}
        return {**self._common, "object": "chat.completion.chunk", "choices": [choice], **no_usage}


API = Api(
    name="openai-chat",
    routes=(Route("/v1/chat/completions", ("POST",), parse),),
    own=("/v1/chat/",),
    encoder=OpenAiChat,
    error=error,
    error_event=lambda status, message: data_event(error(status, message)),
)
