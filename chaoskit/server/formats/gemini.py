"""Speaks Gemini's generateContent: `data: {response}` ... the last one with a finish reason.

Without `alt=sse` a stream is one JSON array. A function call comes whole, as from Gemini.
"""

from __future__ import annotations

from typing import Any
from urllib.parse import parse_qs

from chaoskit.server import fields
from chaoskit.server.formats.api import (
    PLACEHOLDER,
    SSE,
    Api,
    CompletionRequest,
    Handler,
    Route,
    Stamp,
    data_event,
    dump,
    split_template,
)
from chaoskit.server.requests import JSON, BadRequestError, Reply, Request, json_reply
from chaoskit.server.schedule import Part, PlannedResponse, Tool

_REASONS = {"stop": "STOP", "length": "MAX_TOKENS", "tool_calls": "STOP"}
_STATUS = {400: "INVALID_ARGUMENT", 401: "UNAUTHENTICATED", 403: "PERMISSION_DENIED", 404: "NOT_FOUND"} | {
    405: "INVALID_ARGUMENT",
    429: "RESOURCE_EXHAUSTED",
    500: "INTERNAL",
    503: "UNAVAILABLE",
    504: "DEADLINE_EXCEEDED",
}


def _parse(streamed: bool) -> Handler:
    def parse(request: Request, name: str, query: str) -> CompletionRequest:
        body = fields.json_object(request.body)
        contents = _contents(body)
        settings = fields.mapping(body, "generationConfig")
        limit = fields.token_limit(settings, "maxOutputTokens")
        fields.refuse_several(settings, "candidateCount")
        return CompletionRequest(
            api=API,
            model=fields.model({"model": name}),
            tokens=limit or fields.TOKENS,
            limited=limit is not None,
            streamed=streamed,
            prompt=_prompt(body, contents),
            stream=fields.stream_number(request),
            tool=_tool(body, contents),
            script=fields.script_name(request, name),
            framed=parse_qs(query).get("alt", [""])[-1] == "sse",
        )

    return parse


def _count_tokens(request: Request, _name: str, _query: str) -> Reply:
    body = fields.json_object(request.body)
    return json_reply(200, {"totalTokens": _prompt(body, _contents(body))})


def _contents(body: dict[str, Any]) -> list[dict[str, Any]]:
    found = fields.array(body, "contents")
    for at, content in enumerate(found):
        if not isinstance(content, dict) or not isinstance(content.get("parts"), list):
            raise BadRequestError(f"contents[{at}]: expected an object with parts")
    return found


def _prompt(body: dict[str, Any], contents: list[dict[str, Any]]) -> int:
    return fields.prompt_tokens(*(content["parts"] for content in contents), body.get("systemInstruction") or "")


def _tool(body: dict[str, Any], contents: list[dict[str, Any]]) -> Tool | None:
    tools = body.get("tools")
    calling = fields.mapping(fields.mapping(body, "toolConfig"), "functionCallingConfig")
    if not isinstance(tools, list) or calling.get("mode") == "NONE":
        return None
    lists = (each.get("functionDeclarations") for each in tools if isinstance(each, dict))
    declared = [each for some in lists if isinstance(some, list) for each in some]
    parts = contents[-1]["parts"] if contents else []
    return fields.tool(declared, any(isinstance(part, dict) and "functionResponse" in part for part in parts))


def error(status: int, message: str) -> dict[str, Any]:
    """Google's error: an object with a code, a message and a status."""
    kind = _STATUS.get(status, "INVALID_ARGUMENT" if status < 500 else "INTERNAL")
    return {"error": {"code": status, "message": message, "status": kind}}


class Gemini:
    """The encoder. A function call comes whole, as from Gemini."""

    def __init__(self, completion: CompletionRequest, planned: PlannedResponse) -> None:
        self._is_array = completion.streamed and not completion.framed
        self.content_type = SSE if completion.streamed and completion.framed else f"{JSON}; charset=UTF-8"
        self._completion = completion
        self._planned = planned
        self._is_first = True
        self._templates: dict[Part, tuple[str, str]] = {
            "text": split_template(self._response({"text": PLACEHOLDER})),
            "reasoning": split_template(self._response({"text": PLACEHOLDER, "thought": True})),
        }

    def opening(self) -> bytes:
        """Nothing."""
        return b""

    def begin(self, part: Part) -> bytes:
        """Nothing."""
        return b""

    def event(self, part: Part, text: str, stamp: Stamp) -> tuple[bytes, bytes] | None:
        """A response with a part of the content, or with the whole call when its last token is there."""
        if part == "tool":
            if stamp.seq + stamp.tokens < self._planned.tokens:
                return None
            response = dump(self._response(self._call())).decode()[:-1]
        else:
            before, after = self._templates[part]
            response = f"{before}{text}{after}"
        framed_before, framed_after = self._frame()
        head, tail = stamp.hole(framed_before + response)
        return head, tail + framed_after

    def end(self, part: Part) -> bytes:
        """Nothing."""
        return b""

    def closing(self, tokens: int, finish: str) -> bytes:
        """A response with the finish reason and the usage."""
        last = self._response({"text": ""}, _REASONS.get(finish, finish.upper()), tokens)
        before, after = self._frame()
        return before.encode() + dump(last) + after + (b"]" if self._is_array else b"")

    def whole(self, finish: str, stamps: dict[str, int]) -> bytes:
        """A response."""
        planned = self._planned
        parts: list[dict[str, Any]] = []
        if planned.reasoning:
            parts.append({"text": planned.whole("reasoning"), "thought": True})
        parts.append({"text": planned.whole("text")} if planned.tool is None else self._call())
        found = self._response({}, _REASONS.get(finish, finish.upper()), planned.tokens)
        found["candidates"][0]["content"]["parts"] = parts
        return dump({**found, "chaoskit": stamps})

    def _frame(self) -> tuple[str, bytes]:
        """What stands around a response."""
        if not self._is_array:
            return "data: ", b"\n\n"
        before, self._is_first = ("[" if self._is_first else ",\r\n"), False
        return before, b""

    def _call(self) -> dict[str, Any]:
        tool = self._planned.tool
        assert tool is not None
        return {"functionCall": {"name": tool.name, "args": tool.arguments(self._planned.whole("tool"))}}

    def _response(self, part: dict[str, Any], reason: str | None = None, tokens: int | None = None) -> dict[str, Any]:
        prompt = self._completion.prompt
        candidate: dict[str, Any] = {"content": {"parts": [part], "role": "model"}, "index": 0}
        usage = {"promptTokenCount": prompt}
        if reason is not None:
            candidate["finishReason"] = reason
        if tokens is not None:
            reasoning = min(self._planned.reasoning, tokens)
            usage |= {"candidatesTokenCount": tokens - reasoning, "totalTokenCount": prompt + tokens}
            usage |= {"thoughtsTokenCount": reasoning} if reasoning else {}
        return {
            "modelVersion": self._completion.model,
            "responseId": f"{self._planned.name:016x}",
            "candidates": [candidate],
            "usageMetadata": usage,
        }


API = Api(
    name="gemini",
    routes=tuple(
        Route(f"/{version}/models/*:{method}", ("POST",), handler)
        for version in ("v1beta", "v1")
        for method, handler in (
            ("streamGenerateContent", _parse(streamed=True)),
            ("generateContent", _parse(streamed=False)),
            ("countTokens", _count_tokens),
        )
    ),
    own=("/v1beta/",),
    encoder=Gemini,
    error=error,
    error_event=lambda status, message: data_event(error(status, message)),
)
