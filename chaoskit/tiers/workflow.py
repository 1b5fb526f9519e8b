"""Runs the stages of a workflow: each adds to the prompt, and the last one streams the answer."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

from chaoskit.clock import now
from chaoskit.records.span_names import DEGRADED, OPERATION_NAME, RETRIEVAL_FALLBACK, RETRIEVAL_OUTCOME
from chaoskit.server.requests import json_reply
from chaoskit.tiers.calls import Call, Caller, whole_body
from chaoskit.tiers.controls import Asked, Ladder
from chaoskit.tiers.endpoints import Endpoint, endpoint
from chaoskit.tiers.failures import CallError, RequestError
from chaoskit.tiers.mcp_client import McpSessions, tool_call, tool_result
from chaoskit.tiers.mcp_messages import MCP_PATH
from chaoskit.tiers.relay import Generation, Relay
from chaoskit.tiers.services import POLICY_PATH, RETRIEVAL_PATH, TOOL_PATH
from chaoskit.tiers.settings import (
    CallTimers,
    GatewaySettings,
    GenerateStage,
    PolicyStage,
    RetrieveStage,
    ToolsStage,
)
from chaoskit.tiers.tier import TierResponse
from chaoskit.tiers.tracing import OpenSpan

MODEL_PATH = "/v1/chat/completions"
DEGRADED_HEADER, LIMIT_HEADER, RETRIEVAL_HEADER = "x-degraded", "x-chaoskit-max-tokens", "x-chaoskit-retrieval"
_LIMITS = ("max_completion_tokens", "max_tokens")


@dataclass
class Conversation:
    """A request on its way through the stages: what is asked so far, and what the answer is marked with.

    `headers` go with every call. `most_tokens` is the longest answer that the ladder leaves.
    """

    asked: Asked
    body: dict[str, Any]
    headers: tuple[tuple[str, str], ...]
    response: TierResponse
    first_token: Callable[[int], None]
    steps: list[str] = field(default_factory=list)
    retrievals: list[str] = field(default_factory=list)
    most_tokens: int | None = None

    @property
    def messages(self) -> list[dict[str, Any]]:
        """What has been said."""
        found: list[dict[str, Any]] = self.body["messages"]
        return found

    def add(self, *messages: dict[str, Any]) -> None:
        """Say more."""
        self.body["messages"] = [*self.messages, *messages]

    @property
    def question(self) -> str:
        """What the user said last."""
        said = [each.get("content") for each in self.messages if each.get("role") == "user"]
        return said[-1] if said and isinstance(said[-1], str) else json.dumps(said[-1] if said else "")

    def answer(self, found: dict[str, Any]) -> None:
        """Send an answer without streaming."""
        self.first_token(now())
        self.response.reply(json_reply(200, found, self.marks))

    @property
    def marks(self) -> tuple[tuple[str, str], ...]:
        """Header fields of the answer: what was degraded, its limit then, and how retrieval went."""
        limit = [] if self.most_tokens is None else [str(self.most_tokens)]
        found = ((DEGRADED_HEADER, self.steps), (LIMIT_HEADER, limit), (RETRIEVAL_HEADER, self.retrievals))
        return tuple((name, ",".join(dict.fromkeys(words))) for name, words in found if words)


class Workflows:
    """Runs the workflows of a gateway."""

    def __init__(self, settings: GatewaySettings, caller: Caller, relay: Relay, ladder: Ladder) -> None:
        self._settings, self._caller, self._relay, self._ladder = settings, caller, relay, ladder
        self._cache: dict[RetrieveStage, list[str]] = {}
        self._sessions = McpSessions()

    async def run(self, span: OpenSpan, talk: Conversation) -> None:
        """All stages. Raises RequestError while nothing has been sent; an answer that broke is the span's error."""
        stages = self._settings.workflows[talk.asked.workflow]
        for number, stage in enumerate(stages):
            service = self._ladder.service(talk.asked)
            talk.steps += [each for each in service.steps if each not in talk.steps]
            if talk.steps:
                span.attributes[DEGRADED] = ",".join(talk.steps)
            match stage:
                case PolicyStage():
                    await self._policy(span, stage, talk)
                case RetrieveStage():
                    await self._retrieve(span, stage, talk, max(1, round(stage.k * service.breadth)))
                case ToolsStage():
                    drawn = stage.calls.draw(span.numbers(self._settings.seed, "tools", number))
                    await self._tools(span, stage, talk, min(drawn, 1) if service.plan == "single" else drawn)
                case GenerateStage():
                    talk.most_tokens = service.max_tokens
                    limits = [each for each in (stage.max_tokens, service.max_tokens) if each is not None]
                    body = _limited(talk.body | _named(stage), min(limits, default=None))
                    await self._generate(span, stage, talk, body, is_last=number == len(stages) - 1)

    async def _policy(self, span: OpenSpan, stage: PolicyStage, talk: Conversation) -> None:
        with span.child("policy", "policy") as hop:
            try:
                found = await self._ask(hop, stage.hosts, POLICY_PATH, stage.timers, talk, {"messages": talk.messages})
            except CallError as error:
                hop.error = error.kind
                if stage.fails_open:
                    return
                raise _request_error("policy", error) from error
            if found.get("allowed") is False:
                hop.error = "denied"
                raise RequestError(403, "denied", "the request is against the policy")

    async def _retrieve(self, span: OpenSpan, stage: RetrieveStage, talk: Conversation, k: int) -> None:
        """Add what is found; where nothing is, what a fallback has."""
        with span.child("retrieval", "retrieval", {OPERATION_NAME: "retrieval"}) as hop:
            failure: CallError | None = None
            texts: list[str] = []
            try:
                texts, outcome = await self._look_up(hop, stage.hosts, stage, talk, k)
            except CallError as error:
                failure, hop.error = error, error.kind
                outcome = "timeout" if error.kind == "timeout" else "error"
            hop.attributes[RETRIEVAL_OUTCOME] = outcome
            talk.retrievals.append(outcome)
            if texts:
                self._cache[stage] = texts
            else:
                texts, fallback = await self._fall_back(hop, stage, talk, k)
                if fallback:
                    hop.attributes[RETRIEVAL_FALLBACK] = fallback
                    talk.retrievals.append(fallback)
                elif failure is not None:
                    raise _request_error("retrieval", failure) from failure
            if texts:
                talk.add({"role": "system", "content": "Context:\n" + "\n".join(texts)})

    async def _fall_back(
        self, hop: OpenSpan, stage: RetrieveStage, talk: Conversation, k: int
    ) -> tuple[list[str], str]:
        """What the first fallback that answers has, and its name; "": none did."""
        for fallback in stage.fallbacks:
            match fallback:
                case "no-context":
                    return [], fallback
                case "cached":
                    if stage in self._cache:
                        return self._cache[stage][:k], fallback
                case host:
                    try:
                        texts, _ = await self._look_up(hop, (host,), stage, talk, k)
                    except CallError:
                        continue
                    if texts:
                        return texts, endpoint(host, RETRIEVAL_PATH).host
        return [], ""

    async def _look_up(
        self, hop: OpenSpan, hosts: Sequence[str], stage: RetrieveStage, talk: Conversation, k: int
    ) -> tuple[list[str], str]:
        """Texts and outcome of one host or its stand-ins. Raises CallError."""
        found = await self._ask(hop, hosts, RETRIEVAL_PATH, stage.timers, talk, {"query": talk.question, "k": k})
        results = found.get("results")
        texts = [
            each["text"]
            for each in (results if isinstance(results, list) else [])
            if isinstance(each, dict) and isinstance(each.get("text"), str)
        ]
        told = found.get("outcome")
        return texts, told if told in ("hit", "miss", "degraded") else "hit" if texts else "miss"

    async def _tools(self, span: OpenSpan, stage: ToolsStage, talk: Conversation, calls: int) -> None:
        """Call so many, and add what they answer in the order of the calls."""
        asked = [self._tool(span, stage, talk, number) for number in range(1, calls + 1)]
        if stage.parallel:
            answers = await asyncio.gather(*asked)
        else:
            answers = []
            for number, each in enumerate(asked):
                try:
                    answers.append(await each)
                except BaseException:
                    for rest in asked[number + 1 :]:
                        rest.close()
                    raise
        if not calls:
            return
        declared = [
            {"id": f"call_{number}", "type": "function", "function": {"name": f"tool_{number}", "arguments": "{}"}}
            for number in range(1, calls + 1)
        ]
        told = [
            {"role": "tool", "tool_call_id": f"call_{number}", "content": content}
            for number, content in enumerate(answers, start=1)
        ]
        talk.add({"role": "assistant", "content": None, "tool_calls": declared}, *told)

    async def _tool(self, span: OpenSpan, stage: ToolsStage, talk: Conversation, number: int) -> str:
        """What a tool answers. Raises RequestError where its failure is not tolerated."""
        name = f"tool_{number}"
        with span.child(name, "tool", {OPERATION_NAME: "execute_tool"}) as hop:
            try:
                if stage.protocol == "mcp":
                    return await self._mcp_tool(hop, stage, talk, name)
                body = {"name": name, "arguments": "{}"}
                found = await self._ask(hop, stage.hosts, TOOL_PATH, stage.timers, talk, body)
            except CallError as error:
                hop.error = error.kind
                if not stage.tolerant:
                    raise _request_error(name, error) from error
                return f"error: {error}"
            return str(found.get("content", ""))

    async def _mcp_tool(self, hop: OpenSpan, stage: ToolsStage, talk: Conversation, name: str) -> str:
        """What a tool answers by MCP. Raises CallError."""
        hosts = [endpoint(each, MCP_PATH) for each in stage.hosts]
        call = Call(hosts, stage.timers, tool_call(name), talk.headers, tool_result, self._sessions)
        answer = await self._caller.call(hop, call)
        answer.span.end()
        return answer.value

    async def _generate(
        self, span: OpenSpan, stage: GenerateStage, talk: Conversation, body: dict[str, Any], is_last: bool
    ) -> None:
        asked = Generation(
            body,
            talk.headers,
            [endpoint(each, MODEL_PATH) for each in stage.models],
            stage.timers,
            self._settings.mid_stream,
            talk.marks,
            talk.first_token,
        )
        with span.child("generate", "model", {OPERATION_NAME: "chat"}) as hop:
            try:
                if is_last and body.get("stream"):
                    await self._relay.stream(hop, asked, talk.response)
                    span.error = hop.error
                    return
                found = await self._relay.whole(hop, asked)
            except CallError as error:
                hop.error = error.kind
                raise _request_error("model", error) from error
        if is_last:
            talk.answer(found)
        else:
            talk.add({"role": "assistant", "content": _text_of(found)})

    async def _ask(
        self,
        hop: OpenSpan,
        hosts: Sequence[str],
        path: str,
        timers: CallTimers,
        talk: Conversation,
        body: dict[str, Any],
    ) -> dict[str, Any]:
        """The JSON object that a host answers. Raises CallError."""
        endpoints: list[Endpoint] = [endpoint(each, path) for each in hosts]
        answer = await self._caller.call(
            hop, Call(endpoints, timers, json.dumps(body).encode(), talk.headers, whole_body)
        )
        answer.span.end()
        try:
            found = json.loads(answer.value)
        except ValueError:
            found = None
        if not isinstance(found, dict):
            raise CallError("protocol", f"{answer.host.host} did not answer with a JSON object")
        return found


def _request_error(stage: str, error: CallError) -> RequestError:
    """What the client is told of a hop that failed: 504 for a timeout, 429 for one, 502 for all else."""
    status = 504 if error.kind == "timeout" else error.status if error.status in (400, 429) else 502
    return RequestError(status, error.kind, f"{stage}: {error}")


def _named(stage: GenerateStage) -> dict[str, Any]:
    return {} if stage.model_name is None else {"model": stage.model_name}


def _limited(body: dict[str, Any], most: int | None) -> dict[str, Any]:
    """With no more tokens than `most`, whatever the client asked for."""
    if most is None:
        return body
    asked = [(key, body[key]) for key in _LIMITS if isinstance(body.get(key), int)]
    if not asked:
        return body | {"max_tokens": most}
    return body | {key: min(most, value) for key, value in asked}


def _text_of(found: dict[str, Any]) -> str:
    match found:
        case {"choices": [{"message": {"content": str() as text}}, *_]}:
            return text
        case _:
            return ""
