"""Defines the tiers of a lab beside its model: a gateway with workflows, policy, retrieval, tools.

A workflow is a list of stages, in any order, of which the last one generates:

| stage      | what it does                                                                                 |
|------------|----------------------------------------------------------------------------------------------|
| `policy`   | asks a policy host whether the request is allowed                                            |
| `retrieve` | asks a retrieval host for `k` results, which become a part of the prompt                     |
| `tools`    | calls tools one after the other or in parallel; what they answer becomes a part of the prompt |
| `generate` | asks a model; the last one streams to the client                                             |
| `workflow` | runs the stages of another workflow                                                          |
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, Field, model_validator

from chaoskit.faults.schema import Flag, SpecModel, bounded, error_at, exactly_one, suggestion
from chaoskit.spec.admission import AdmissionKeys, WrittenAdmission, WrittenDegradation
from chaoskit.spec.asking import Tokens
from chaoskit.spec.server import FirstToken, Pace
from chaoskit.spec.workload import Timeout
from chaoskit.tiers.settings import Latency, ToolProtocol
from chaoskit.units import Duration, Share, Size

_MOST_CALLS = 100
_NOTHING = Share(0)
_MS = 10**6
CACHED, NO_CONTEXT = "cached", "no-context"
AnswerSize = Annotated[Size, bounded(None, Size(10 * 10**6), "each is held in memory")]
Where = Annotated[str, Field(min_length=1, max_length=200)]
"""A host by name, with its port where that is not 8000, or a URL."""


def _listed(words: Any) -> Any:
    return words if isinstance(words, list | tuple) else [words]


Places = Annotated[
    tuple[Where, ...],
    BeforeValidator(_listed, json_schema_input_type=Where | list[Where]),
    Field(min_length=1, max_length=20),
]


class HopTimers(SpecModel):
    """What a stage waits for, and how often it tries."""

    deadline: Timeout | None = Field(None, description="For each call with all its attempts.")
    connect: Timeout | None = Field(Duration(5 * 10**9), description="For a connection.")
    per_try: Timeout | None = Field(
        None, description="For each attempt: until it is answered; of a model, until its first token."
    )
    retries: Annotated[int, Field(ge=0, le=20)] = Field(
        0, description="Further attempts at a host, as long as the gateway's budget of retries lasts."
    )
    backoff: Timeout | None = Field(None, description="Before a retry; twice as long before each further one.")
    hedge_after: Timeout | None = Field(
        None, description="A second attempt begins beside one that is not answered by then; the first answer counts."
    )


class Policy(HopTimers):
    """Asks a policy host."""

    from_: Places | None = Field(None, description="Hosts, in order. Default: the one with `policy`.")
    fallback: Literal["deny", "allow"] = Field("deny", description="What happens when none answers.")


class Retrieve(HopTimers):
    """Asks a retrieval host."""

    from_: Places | None = Field(None, description="Hosts, in order. Default: the one with `retrieval`.")
    k: Annotated[int, Field(ge=1, le=1000)] = Field(8, description="Results: its breadth.")
    fallback: Annotated[
        tuple[Where, ...],
        BeforeValidator(_listed, json_schema_input_type=Where | list[Where]),
        Field(max_length=10),
    ] = Field(
        (),
        description="Where there is no result in time: another host, `cached` (the latest results), `no-context`, or "
        "several in order. Without one the request fails, but for a miss.",
    )

    @model_validator(mode="after")
    def _every_fallback_is_reached(self) -> Retrieve:
        for number, words in enumerate(self.fallback):
            if words == NO_CONTEXT and number + 1 < len(self.fallback):
                after = self.fallback[number + 1]
                raise error_at(f"{after} is never reached: no-context always answers; put it last", "fallback", number)
        return self


_Count = Annotated[int, Field(ge=1, le=_MOST_CALLS)]


class Calls(SpecModel):
    """A number of calls: log-normal with this median and 95th percentile."""

    p50: _Count = Field(description="Its median.")
    p95: _Count = Field(description="Its 95th percentile.")

    @model_validator(mode="after")
    def _p95_is_not_below_the_median(self) -> Calls:
        if self.p95 < self.p50:
            raise ValueError(f"p95 {self.p95} is below the median {self.p50}")
        return self


def _calls(words: Any) -> Any:
    return {"p50": words, "p95": words} if isinstance(words, str | int) else words


class Tools(HopTimers):
    """Calls tools."""

    from_: Places | None = Field(None, description="Hosts, in order. Default: the one with `tool`.")
    calls: Annotated[Calls, BeforeValidator(_calls, json_schema_input_type=Calls | _Count)] = Field(
        Calls(p50=1, p95=1), description="How many, for each request: a number, or {p50, p95}."
    )
    parallel: Flag = Field(False, description="All at once, and not one after the other.")
    tolerant: Flag = Field(True, description="A tool that fails is told to the model, and the request goes on.")
    protocol: ToolProtocol = Field(
        "json", description="json: a POST for each call; mcp: MCP's Streamable HTTP at `/mcp`, with a session."
    )


class Generate(HopTimers):
    """Asks a model."""

    model: Places | None = Field(None, description="Hosts, in order of failover. Default: the gateway's `model`.")
    idle: Timeout | None = Field(None, description="From one token to the next.")
    max_tokens: Tokens | None = Field(None, description="The most tokens, whatever the client asks for.")
    model_name: Where | None = Field(None, description="The `model` that it is asked for. Default: the client's.")


class Step(SpecModel):
    """One stage of a workflow."""

    model_config = exactly_one("policy", "retrieve", "tools", "generate", "workflow")

    policy: Policy | None = Field(None, description="May it be answered?")
    retrieve: Retrieve | None = Field(None, description="Context for the prompt.")
    tools: Tools | None = Field(None, description="Calls of tools.")
    generate: Generate | None = Field(None, description="An answer of a model.")
    workflow: Where | None = Field(None, description="The stages of another workflow.")

    @model_validator(mode="after")
    def _one_stage(self) -> Step:
        found = [name for name in type(self).model_fields if getattr(self, name) is not None]
        if len(found) != 1:
            several = f"{' and '.join(found)} are stages of their own; begin each with -" if found else "an empty stage"
            raise ValueError(f"{several}; write for example - retrieve: {{k: 8}}")
        return self


_STAGES = ("policy", "retrieve", "tools", "generate")


def _step(words: Any) -> Any:
    """`policy` in short, and `retrieve:` without a value."""
    if isinstance(words, str):
        if words not in _STAGES:
            hint = suggestion(words, [*_STAGES, "workflow: NAME"])
            raise ValueError(f"{words[:60]!r} is no stage; {hint}")
        return {words: {}}
    if isinstance(words, dict) and len(words) == 1:
        return {key: {} if value is None and key in _STAGES else value for key, value in words.items()}
    return words


_ShortStage = Literal["policy", "retrieve", "tools", "generate"]
WrittenStep = Annotated[Step, BeforeValidator(_step, json_schema_input_type=Step | _ShortStage)]
Steps = Annotated[tuple[WrittenStep, ...], Field(min_length=1, max_length=50)]


class BreakerKeys(SpecModel):
    """When a host is left alone."""

    failures: Annotated[int, Field(ge=1, le=10_000)] = Field(5, description="Failed attempts in a row.")
    open: Timeout = Field(
        Duration(10 * 10**9), description="How long it is not asked then; after that one request tries it."
    )


class GatewayHost(SpecModel):
    """A gateway on port 8000: OpenAI's chat completions in front, other hosts behind."""

    workflows: Annotated[dict[Where, Steps], Field(min_length=1, max_length=100)] = Field(
        description="By name: lists of stages. A request names one by x-workflow or `model`; else it is the first."
    )
    model: Places | None = Field(
        None, description="Hosts of the model, in order of failover. Default: the one with `reference`."
    )
    mid_stream: Literal["break", "error", "resume", "end"] = Field(
        "break",
        description="When a model's answer breaks off within: the same for the client, an error event, the rest from "
        "the next model, or an end as if it were complete.",
    )
    retry_budget: Share = Field(
        Share.parse("20%"), description="Retries and hedges for each request on average, ten at once."
    )
    breaker: BreakerKeys | None = Field(None, description="Leaves hosts alone that keep failing. Default: never.")
    admission: WrittenAdmission = Field(AdmissionKeys(), description="Who waits and who is refused. Default: nobody.")
    degradation: WrittenDegradation | None = Field(
        None, description="What it does less of for each request while a signal is high. Default: nothing."
    )

    @model_validator(mode="after")
    def _workflows_end_with_an_answer(self) -> GatewayHost:
        for name, steps in self.workflows.items():
            for number, step in enumerate(steps):
                if step.workflow is not None and step.workflow not in self.workflows:
                    sentence = f"there is no workflow {step.workflow!r}; {suggestion(step.workflow, self.workflows)}"
                    raise error_at(sentence, "workflows", name, number, "workflow")
            if loop := self._loop(name, ()):
                raise error_at(f"a loop: {' -> '.join(loop)}; take one of them out", "workflows", name)
        for name in self.workflows:
            if list(self.stages(name))[-1].generate is None:
                raise error_at("nothing answers the client: end it with generate", "workflows", name)
        return self

    def stages(self, name: str) -> Iterator[Step]:
        """The stages of a workflow, with those of the workflows in it."""
        for step in self.workflows[name]:
            if step.workflow is None:
                yield step
            else:
                yield from self.stages(step.workflow)

    def _loop(self, name: str, above: tuple[str, ...]) -> tuple[str, ...]:
        if name in above:
            return (*above[above.index(name) :], name)
        within = (step.workflow for step in self.workflows[name] if step.workflow is not None)
        return next(filter(None, (self._loop(each, (*above, name)) for each in within)), ())


class TierLatency(FirstToken):
    """A log-normal time with this median and 99th percentile."""

    @property
    def settings(self) -> Latency:
        """As plain data."""
        return Latency(int(self.median), int(self.p99))


def _constant(words: Any) -> Any:
    """`20ms` in short: always the same."""
    return {"median": words, "p99": words} if isinstance(words, str) else words


WrittenLatency = Annotated[TierLatency, BeforeValidator(_constant, json_schema_input_type=TierLatency | Pace)]


def _ms(median: int, p99: int) -> TierLatency:
    return TierLatency(median=Duration(median * _MS), p99=Duration(p99 * _MS))


def _true_or_keys(words: Any) -> Any:
    return {} if words in (True, "true", None) else words


class PolicyHost(SpecModel):
    """A policy host on port 8000."""

    latency: WrittenLatency = Field(_ms(8, 30), description="How long it thinks: a time, or {median, p99}.")
    denies: Share = Field(_NOTHING, description="Of the requests.")
    failures: Share = Field(_NOTHING, description="Answered with HTTP 503.")


class RetrievalHost(SpecModel):
    """A retrieval host on port 8000. Its slowest shard decides how long an answer takes."""

    latency: WrittenLatency = Field(_ms(30, 120), description="Of each shard: a time, or {median, p99}.")
    per_result: Pace = Field(Duration(_MS), description="More for each result: breadth costs.")
    miss: Share = Field(_NOTHING, description="Of the requests: it answers in time that it has nothing.")
    result_size: AnswerSize = Field(Size(2000), description="Of each result; some four bytes are a token.")
    shards: Annotated[int, Field(ge=1, le=1000)] = Field(1, description="Parts that are asked at once.")
    shard_deadline: Timeout | None = Field(
        None, description="Shards that have not answered by then are left out: the answer is partial."
    )
    failures: Share = Field(_NOTHING, description="Answered with HTTP 503.")


class ToolHost(SpecModel):
    """A host with tools, on port 8000."""

    latency: WrittenLatency = Field(_ms(200, 2000), description="Of each call: a time, or {median, p99}.")
    failures: Share = Field(_NOTHING, description="Answered with HTTP 500.")
    size: AnswerSize = Field(Size(4000), description="Of each answer.")


WrittenPolicy = Annotated[PolicyHost, BeforeValidator(_true_or_keys, json_schema_input_type=PolicyHost | bool)]
WrittenRetrieval = Annotated[RetrievalHost, BeforeValidator(_true_or_keys, json_schema_input_type=RetrievalHost | bool)]
WrittenTool = Annotated[ToolHost, BeforeValidator(_true_or_keys, json_schema_input_type=ToolHost | bool)]
