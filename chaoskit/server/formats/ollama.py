"""Speaks Ollama's chat: a JSON object a line, the last with `"done": true`.

A tool call comes whole, as from Ollama.
"""

from __future__ import annotations

from typing import Any

from chaoskit.server import fields
from chaoskit.server.formats.api import (
    CREATED_AT,
    PLACEHOLDER,
    Api,
    CompletionRequest,
    Route,
    Stamp,
    dump,
    split_template,
)
from chaoskit.server.requests import JSON, Request
from chaoskit.server.schedule import Part, PlannedResponse, Tool

_NDJSON = "application/x-ndjson"
_REASONS = {"tool_calls": "stop"}


def parse(request: Request, _name: str, _query: str) -> CompletionRequest:
    """`POST /api/chat`. It streams unless `stream` is false."""
    body = fields.json_object(request.body)
    model, messages = fields.model(body), fields.messages(body)
    return completion_request(API, request, body, model, fields.contents(messages), _tool(body, messages))


def completion_request(
    api: Api, request: Request, body: dict[str, Any], model: str, prompt: list[Any], tool: Tool | None = None
) -> CompletionRequest:
    """The request, with the options that chat and generate share."""
    limit = fields.token_limit(fields.mapping(body, "options"), "num_predict")
    return CompletionRequest(
        api=api,
        model=model,
        tokens=limit or fields.TOKENS,
        limited=limit is not None,
        streamed=fields.flag(body, "stream") is not False,
        prompt=fields.prompt_tokens(*prompt),
        stream=fields.stream_number(request),
        tool=tool,
        script=fields.script_name(request, model),
    )


def _tool(body: dict[str, Any], messages: list[dict[str, Any]]) -> Tool | None:
    tools = body.get("tools")
    if not isinstance(tools, list):
        return None
    functions = (each.get("function") for each in tools if isinstance(each, dict))
    return fields.tool(functions, is_result=bool(messages) and messages[-1]["role"] == "tool")


def error(_status: int, message: str) -> dict[str, Any]:
    """Ollama's error: a text."""
    return {"error": message}


class Ollama:
    """The encoder of chat; `OllamaGenerate` puts the text elsewhere."""

    def __init__(self, completion: CompletionRequest, planned: PlannedResponse) -> None:
        self.content_type = f"{_NDJSON if completion.streamed else JSON}; charset=utf-8"
        self._completion = completion
        self._planned = planned
        self._templates = {
            part: split_template(self._line(self.said(part, PLACEHOLDER), False)) for part in ("reasoning", "text")
        }

    def said(self, part: Part, text: str) -> dict[str, Any]:
        """The fields with what is said."""
        content = text if part == "text" else ""
        thinking = {"thinking": text} if part == "reasoning" else {}
        return {"message": {"role": "assistant", "content": content, **thinking}}

    def opening(self) -> bytes:
        """Nothing."""
        return b""

    def begin(self, part: Part) -> bytes:
        """Nothing."""
        return b""

    def event(self, part: Part, text: str, stamp: Stamp) -> tuple[bytes, bytes] | None:
        """A line with a part of the message, or with the whole tool call when its last token is there."""
        if part == "tool":
            if stamp.seq + stamp.tokens < self._planned.tokens:
                return None
            line = dump(self._line(self._call(), False)).decode()[:-1]
        else:
            before, after = self._templates[part]
            line = f"{before}{text}{after}"
        head, tail = stamp.hole(line)
        return head, tail + b"\n"

    def end(self, part: Part) -> bytes:
        """Nothing."""
        return b""

    def closing(self, tokens: int, finish: str) -> bytes:
        """The line with done."""
        return dump({**self._line(self.said("text", ""), True), **self._end(tokens, finish)}) + b"\n"

    def whole(self, finish: str, stamps: dict[str, int]) -> bytes:
        """The message and the end in one object."""
        planned = self._planned
        said = self.said("text", planned.whole("text")) if planned.tool is None else self._call()
        if planned.reasoning:
            thinking = {"thinking": planned.whole("reasoning")}
            said = {"message": {**said["message"], **thinking}} if "message" in said else {**said, **thinking}
        return dump({**self._line(said, True), **self._end(planned.tokens, finish), "chaoskit": stamps})

    def _call(self) -> dict[str, Any]:
        tool = self._planned.tool
        assert tool is not None
        function = {"name": tool.name, "arguments": tool.arguments(self._planned.whole("tool"))}
        return {"message": {"role": "assistant", "content": "", "tool_calls": [{"function": function}]}}

    def _line(self, said: dict[str, Any], done: bool) -> dict[str, Any]:
        return {"model": self._completion.model, "created_at": CREATED_AT, **said, "done": done}

    def _end(self, tokens: int, finish: str) -> dict[str, Any]:
        """The end as planned: times in ns."""
        planned = self._planned
        spoken = planned.interval * max(0, tokens - 1)
        return {
            "done_reason": _REASONS.get(finish, finish),
            "total_duration": planned.first_token + spoken,
            "load_duration": 0,
            "prompt_eval_count": self._completion.prompt,
            "prompt_eval_duration": planned.first_token,
            "eval_count": tokens,
            "eval_duration": spoken,
        }


API = Api(
    name="ollama",
    routes=(Route("/api/chat", ("POST",), parse),),
    own=("/api/",),
    encoder=Ollama,
    error=error,
    error_event=lambda status, message: dump(error(status, message)) + b"\n",
)
