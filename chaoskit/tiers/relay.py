"""Relays a model's answer, from the next model where one fails before its first token.

What happens when an answer that the client has seen a part of breaks off is `MidStream`:

| value  | what the client gets                                                                       |
|--------|--------------------------------------------------------------------------------------------|
| break  | the same: its connection is closed without the end of the body; most gateways do that      |
| error  | an error event, and the proper end of the body                                             |
| resume | the rest from the next model, which is sent what the client has (`continue_final_message`) |
| end    | a finish event and `[DONE]`, as if the answer were complete                                |
"""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any

from chaoskit.clock import now
from chaoskit.records.span_names import FIRST_TOKEN
from chaoskit.server.formats import openai_chat
from chaoskit.server.formats.api import CREATED, SSE, data_event
from chaoskit.tiers.calls import Answer, Call, Caller, whole_body
from chaoskit.tiers.deadlines import Deadline
from chaoskit.tiers.endpoints import Endpoint
from chaoskit.tiers.events import AnswerEvent, EventReader
from chaoskit.tiers.failures import CallError
from chaoskit.tiers.outgoing import Exchange
from chaoskit.tiers.settings import CallTimers, MidStream
from chaoskit.tiers.tier import TierResponse
from chaoskit.tiers.tracing import OpenSpan
from chaoskit.timer import AbsoluteTimer

_ERROR = 400
_Begun = tuple[list[AnswerEvent], EventReader]
"""Events up to the first with a token, and the reader of those that follow."""


@dataclass(frozen=True)
class Generation:
    """A completion that is to be relayed: the body for the model, and the fields of the answer's head."""

    body: dict[str, Any]
    headers: tuple[tuple[str, str], ...]
    models: Sequence[Endpoint]
    timers: CallTimers
    mid_stream: MidStream
    marks: tuple[tuple[str, str], ...]
    first_token: Callable[[int], None]


@dataclass
class _Progress:
    """What the client has got so far."""

    events: int = 0
    text: str = ""
    is_done: bool = False


class Relay:
    """Relays answers for a gateway."""

    def __init__(self, caller: Caller, timer: AbsoluteTimer) -> None:
        self._caller, self._timer = caller, timer

    async def whole(self, hop: OpenSpan, asked: Generation) -> dict[str, Any]:
        """The answer without streaming. Raises CallError."""
        answer = await self._caller.call(hop, _call(asked, asked.body | {"stream": False}, whole_body))
        answer.span.end()
        found = json.loads(answer.value)
        if not isinstance(found, dict):
            raise CallError("protocol", "the model's answer is not a JSON object")
        return found

    async def stream(self, hop: OpenSpan, asked: Generation, response: TierResponse) -> None:
        """Relay it to its end. Raises CallError while nothing has been sent; what breaks later is the hop's error."""
        progress, models = _Progress(), list(asked.models)
        deadline = None if asked.timers.deadline is None else now() + asked.timers.deadline
        while True:
            generation = replace(asked, body=_continued(asked.body, progress), models=models)
            try:
                answer = await self._caller.call(hop, _call(generation, generation.body | {"stream": True}, _first))
            except CallError as error:
                if not response.has_begun:
                    raise
                hop.error = error.kind
                await self._end(asked, response, error, "error")
                return
            hop.attributes.setdefault(FIRST_TOKEN, now() - hop.begin)
            broken = await self._relay(answer, asked, response, progress, deadline)
            if broken is None:
                return
            if asked.mid_stream != "resume":
                hop.error = broken.kind
                await self._end(asked, response, broken, asked.mid_stream)
                return
            models = [each for each in models if each != answer.host] or [answer.host]

    async def _relay(
        self,
        answer: Answer[_Begun],
        asked: Generation,
        response: TierResponse,
        progress: _Progress,
        deadline: int | None,
    ) -> CallError | None:
        """Pass events on until the end, or until it breaks: why."""
        (events, reader), idle, said = answer.value, asked.timers.idle, progress.events
        try:
            async with (
                Deadline(self._timer, deadline, "the answer took too long"),
                Deadline(self._timer, None if idle is None else now() + idle, "no token in time") as silence,
            ):
                while True:
                    await _pass_on([each.counting(said) for each in events], asked, response, progress)
                    if progress.is_done:
                        response.writer.finish(b"")
                        answer.span.end()
                        return None
                    data = await answer.exchange.chunk()
                    if not data:
                        raise CallError("truncated", "the answer ended without [DONE]")
                    if idle is not None:
                        silence.move(now() + idle)
                    events = reader.read(data)
                    if asked.mid_stream != "break" and any(each.is_error for each in events):
                        raise CallError(502, "the model sent an error event")
        except CallError as error:
            answer.span.error = error.kind
            return error
        finally:
            answer.close()

    async def _end(self, asked: Generation, response: TierResponse, error: CallError, how: MidStream) -> None:
        """End what has been sent in part."""
        match how:
            case "break" | "resume" if error.kind == "truncated":
                response.writer.finish(b"")
            case "break" | "resume":
                response.writer.break_off("reset" if error.kind == "reset" else "close")
            case "error":
                told = f"the model's answer broke off: {error}"
                response.writer.finish(openai_chat.API.error_event(502, told))
            case "end":
                chunk = {
                    "id": "chatcmpl-end",
                    "object": "chat.completion.chunk",
                    "created": CREATED,
                    "model": asked.body.get("model"),
                    "choices": [{"index": 0, "delta": {}, "finish_reason": "stop"}],
                }
                response.writer.finish(data_event(chunk) + openai_chat.DONE)


async def _pass_on(events: list[AnswerEvent], asked: Generation, response: TierResponse, progress: _Progress) -> None:
    """Send them to the client."""
    data = b"".join(each.raw for each in events)
    for each in events:
        progress.events += each.has_token
        progress.text += each.text
        progress.is_done = progress.is_done or each.is_done
    if not data:
        return
    if response.has_begun:
        await response.send(data)
    else:
        head = (("content-type", SSE), ("cache-control", "no-cache"), *asked.marks)
        response.open(200, head, data)
        asked.first_token(now())


async def _first(exchange: Exchange) -> _Begun:
    """`receive` of a stream: its events up to the first with a token. Raises CallError for a stream without one."""
    status = await exchange.head()
    if status >= _ERROR:
        body = await exchange.body()
        raise CallError(status, f"HTTP {status}: {body[:200].decode(errors='replace')}")
    reader, events = EventReader(), list[AnswerEvent]()
    while True:
        data = await exchange.chunk()
        if not data:
            raise CallError("closed", "the answer ended before its first token")
        events += reader.read(data)
        if any(each.is_error for each in events):
            raise CallError(502, "the model answered with an error event")
        if any(each.has_token or each.is_done for each in events):
            return events, reader


def _call(asked: Generation, body: dict[str, Any], receive: Any) -> Call[Any]:
    return Call(asked.models, asked.timers, json.dumps(body).encode(), asked.headers, receive)


def _continued(body: dict[str, Any], progress: _Progress) -> dict[str, Any]:
    """The body of a request for what follows `progress`; vLLM's names."""
    if not progress.events:
        return body
    found = body | {
        "messages": [*body["messages"], {"role": "assistant", "content": progress.text}],
        "continue_final_message": True,
        "add_generation_prompt": False,
    }
    for key in ("max_tokens", "max_completion_tokens"):
        if isinstance(found.get(key), int):
            found[key] = max(1, found[key] - progress.events)
    return found
