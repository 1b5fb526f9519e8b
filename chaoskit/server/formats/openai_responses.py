"""Speaks OpenAI's responses: `response.created` to `response.completed`, and no `[DONE]`."""

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
    dump,
    escaped,
    named_event,
    split_template,
)
from chaoskit.server.requests import JSON, BadRequestError, Request
from chaoskit.server.schedule import Part, PlannedResponse, Tool

_DELTAS: dict[Part, str] = {
    "text": "response.output_text",
    "reasoning": "response.reasoning_text",
    "tool": "response.function_call_arguments",
}
_PREFIXES: dict[Part, str] = {"text": "msg", "reasoning": "rs", "tool": "fc"}
_LOGPROBS: dict[Part, dict[str, Any]] = {"text": {"logprobs": []}, "reasoning": {}, "tool": {}}
_STATUS = {"stop": "completed", "tool_calls": "completed", "length": "incomplete"}


def parse(request: Request, _name: str, _query: str) -> CompletionRequest:
    """`POST /v1/responses`."""
    body = fields.json_object(request.body)
    model = fields.model(body)
    prompt = body.get("input")
    if not isinstance(prompt, str | list):
        raise BadRequestError("input: field required, a string or an array")
    limit = fields.token_limit(body, "max_output_tokens")
    return CompletionRequest(
        api=API,
        model=model,
        tokens=limit or fields.TOKENS,
        limited=limit is not None,
        streamed=bool(fields.flag(body, "stream")),
        prompt=fields.prompt_tokens(prompt, fields.text(body, "instructions") or ""),
        stream=fields.stream_number(request),
        tool=_tool(body, prompt),
        script=fields.script_name(request, model),
        priority=fields.priority(body),
    )


def _tool(body: dict[str, Any], prompt: str | list[Any]) -> Tool | None:
    tools = body.get("tools")
    if not isinstance(tools, list) or body.get("tool_choice") == "none":
        return None
    last = prompt[-1] if isinstance(prompt, list) and prompt else None
    is_result = isinstance(last, dict) and last.get("type") == "function_call_output"
    functions = (each for each in tools if isinstance(each, dict) and each.get("type") == "function")
    return fields.tool(functions, is_result)


def _error_event(status: int, message: str) -> bytes:
    code = openai_chat.error(status, message)["error"]["type"]
    return named_event({"type": "error", "code": code, "message": message, "param": None, "sequence_number": 0})


class OpenAiResponses:
    """The encoder: one output item for each part."""

    def __init__(self, completion: CompletionRequest, planned: PlannedResponse) -> None:
        self.content_type = SSE if completion.streamed else JSON
        self._completion = completion
        self._planned = planned
        self._number = -1
        self._templates: dict[Part, tuple[str, str]] = {}
        for part in planned.parts:
            delta = {"type": f"{_DELTAS[part]}.delta", **self._place(part), **_LOGPROBS[part], "delta": PLACEHOLDER}
            self._templates[part] = split_template(delta)

    def opening(self) -> bytes:
        """The response is created, and in progress."""
        response = self._response([], "in_progress", None)
        return self._event("response.created", response=response) + self._event(
            "response.in_progress", response=response
        )

    def begin(self, part: Part) -> bytes:
        """An item is added, and its content."""
        added = self._event(
            "response.output_item.added",
            output_index=self._index(part),
            item={**self._item(part, ""), "status": "in_progress"} | ({} if part == "tool" else {"content": []}),
        )
        if part == "tool":
            return added
        return added + self._event("response.content_part.added", **self._place(part), part=self._content(part, ""))

    def event(self, part: Part, text: str, stamp: Stamp) -> tuple[bytes, bytes]:
        """A delta."""
        before, after = self._templates[part]
        self._number += 1
        event = f"event: {_DELTAS[part]}.delta\ndata: {before}{escaped(part, text)}{after}"
        head, tail = stamp.hole(f'{event},"sequence_number":{self._number}')
        return head, tail + b"\n\n"

    def end(self, part: Part) -> bytes:
        """The text is done, its content, and the item."""
        text = self._planned.whole(part)
        word = "arguments" if part == "tool" else "text"
        done = self._event(f"{_DELTAS[part]}.done", **self._place(part), **_LOGPROBS[part], **{word: text})
        if part != "tool":
            done += self._event("response.content_part.done", **self._place(part), part=self._content(part, text))
        index, item = self._index(part), self._item(part, text)
        return done + self._event("response.output_item.done", output_index=index, item=item)

    def closing(self, tokens: int, finish: str) -> bytes:
        """The response is completed, or incomplete at its limit."""
        status = _STATUS.get(finish, finish)
        return self._event(f"response.{status}", response=self._response(self._items(), status, tokens))

    def whole(self, finish: str, stamps: dict[str, int]) -> bytes:
        """A response."""
        status = _STATUS.get(finish, finish)
        return dump({**self._response(self._items(), status, self._planned.tokens), "chaoskit": stamps})

    def _event(self, kind: str, **values: Any) -> bytes:
        self._number += 1
        return named_event({"type": kind, **values, "sequence_number": self._number})

    def _index(self, part: Part) -> int:
        return self._planned.parts.index(part)

    def _place(self, part: Part) -> dict[str, Any]:
        place = {"item_id": self._id(part), "output_index": self._index(part)}
        if part == "tool":
            return place
        return {**place, "content_index": 0}

    def _id(self, part: Part) -> str:
        return f"{_PREFIXES[part]}_{self._planned.name:016x}"

    def _content(self, part: Part, text: str) -> dict[str, Any]:
        if part == "reasoning":
            return {"type": "reasoning_text", "text": text}
        return {"type": "output_text", "text": text, "annotations": [], "logprobs": []}

    def _item(self, part: Part, text: str) -> dict[str, Any]:
        item: dict[str, Any] = {"id": self._id(part), "status": "completed"}
        match part:
            case "text":
                return {**item, "type": "message", "role": "assistant", "content": [self._content(part, text)]}
            case "reasoning":
                return {**item, "type": "reasoning", "summary": [], "content": [self._content(part, text)]}
            case "tool":
                assert self._planned.tool is not None
                call = f"call_{self._planned.name:016x}"
                return {
                    **item,
                    "type": "function_call",
                    "call_id": call,
                    "name": self._planned.tool.name,
                    "arguments": text,
                }

    def _items(self) -> list[dict[str, Any]]:
        return [self._item(part, self._planned.whole(part)) for part in self._planned.parts]

    def _response(self, output: list[dict[str, Any]], status: str, tokens: int | None) -> dict[str, Any]:
        usage = None
        if tokens is not None:
            usage = {
                "input_tokens": self._completion.prompt,
                "input_tokens_details": {"cached_tokens": 0},
                "output_tokens": tokens,
                "output_tokens_details": {"reasoning_tokens": min(self._planned.reasoning, tokens)},
                "total_tokens": self._completion.prompt + tokens,
            }
        return {
            "id": f"resp_{self._planned.name:016x}",
            "object": "response",
            "created_at": CREATED,
            "status": status,
            "error": None,
            "incomplete_details": {"reason": "max_output_tokens"} if status == "incomplete" else None,
            "instructions": None,
            "metadata": {},
            "model": self._completion.model,
            "output": output,
            "parallel_tool_calls": True,
            "temperature": 1.0,
            "tool_choice": "auto",
            "tools": [],
            "top_p": 1.0,
            "usage": usage,
        }


API = Api(
    name="openai-responses",
    routes=(Route("/v1/responses", ("POST",), parse),),
    own=("/v1/responses",),
    encoder=OpenAiResponses,
    error=openai_chat.error,
    error_event=_error_event,
)
