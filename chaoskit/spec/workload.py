"""Defines the requests of the client: the workload of an experiment file and of a probe."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Annotated, Literal

from pydantic import Field, model_validator
from pydantic_core import PydanticCustomError

from chaoskit.faults.schema import Flag, SpecModel, bounded, error_at, exactly_one, together
from chaoskit.spec.asking import PROMPT_SIZE, EndText, ExtraBody, JsonObject, OutputTokens, PromptSize
from chaoskit.spec.carriage import Carry
from chaoskit.spec.demand import MOST_BURSTY, Clients, Demand, Diurnal, Users, Workflows, WrittenUsers
from chaoskit.spec.replay import WrittenReplay
from chaoskit.spec.server import HOUR
from chaoskit.units import Duration, Frequency, Size

Protocol = Literal[
    "openai-chat",
    "openai-completions",
    "openai-responses",
    "anthropic-messages",
    "gemini",
    "ollama",
    "ollama-generate",
    "sse",
]
Timeout = Annotated[
    Duration, bounded(Duration(10**6), Duration(24 * HOUR), "at its end a run waits as long for its last streams")
]
StallThreshold = Annotated[Duration, bounded(Duration(10**6), HOUR, "no gap of a stream is so long")]
ReadingRate = Annotated[Frequency, bounded(Frequency(10**5), Frequency(10**10), "nobody reads so fast")]
_BEYOND_PROXIES = Duration(65 * 10**9)  # the timers of HAProxy have 50 s, those of nginx and load balancers 60 s
InMemory = Annotated[Size, bounded(Size(1), Size(100 * 10**6), "every open stream may hold as much in memory")]


class Timeouts(SpecModel):
    """Timeouts of the client."""

    connect: Timeout = Field(Duration(5 * 10**9), description="Name lookup, TCP and TLS handshake.")
    first_token: Timeout = Field(
        Duration(10 * 10**9),
        description="From the request to its first token; other events do not extend it. Outside the edge lab 65s.",
    )
    idle: Timeout = Field(Duration(5 * 10**9), description="From one token to the next. Outside the edge lab 65s.")
    keepalive_extends_idle: Flag = Field(
        False, description="Comments, pings and events without text extend the idle time as well."
    )
    stream: Timeout | None = Field(None, description="Maximum duration of one stream. Default: to the end of the run.")

    def at_target(self) -> Timeouts:
        """With the defaults of a foreign endpoint, before which proxies with their own timers may stand."""
        missing = {"first_token", "idle"} - self.model_fields_set
        return self.model_copy(update=dict.fromkeys(missing, _BEYOND_PROXIES))


class Limits(SpecModel):
    """Limits of one response. A stream that exceeds one ends as `too_large`; other streams are not affected."""

    events: Annotated[int, Field(ge=1, le=10**9)] = Field(500_000, description="Events and comments.")
    body: Annotated[Size, bounded(Size(1), Size(10**12), "a response is no larger")] = Field(
        Size(100 * 10**6), description="Bytes after the headers, as received."
    )
    event: InMemory = Field(
        Size(32 * 10**6),
        description="Bytes of one event or one line; those of all streams together may hold 256 MB.",
    )
    headers: InMemory = Field(Size(64_000), description="Bytes of all headers, informational responses included.")


MOST_PER_SECOND = 10_000
ARRIVALS = ("request-rate", "max-concurrency", "trace")
"""The keys of which one says when requests start."""


class Workload(SpecModel):
    """The requests of the client: protocol, connections, arrival process, sizes, timeouts."""

    model_config = exactly_one(*ARRIVALS)

    protocol: Protocol = Field("openai-chat", description="What the client speaks.")
    end_event: EndText | None = Field(None, description="Plain sse: an event of this type ends the response.")
    end_data: EndText | None = Field(None, description="Plain sse: an event with this data ends it; so does `[DONE]`.")
    end: Literal["marker", "body"] = Field("marker", description="Plain sse: `body`: the end of the body ends it.")
    http: Literal["1.1", "2"] = Field("1.1", description="The HTTP version.")
    connections: Literal["fresh", "kept", "shared"] = Field(
        "fresh",
        description="fresh: one per stream; kept: idle ones are reused; shared: streams share one (HTTP/2).",
    )
    request_rate: (
        Annotated[
            Frequency,
            bounded(None, Frequency(MOST_PER_SECOND * 10**6), "one process cannot start as many, see max-concurrency"),
        ]
        | None
    ) = Field(None, description="Open loop: requests start independently of earlier ones.")
    burstiness: Annotated[float, Field(ge=0, le=MOST_BURSTY)] = Field(
        1.0,
        description="Open loop: squared coefficient of variation of the gaps between requests; "
        "0 is regular, 1 is Poisson, above 1 comes in bursts.",
    )
    clients: Clients | None = Field(None, description="Open loop: many clients, each with bursts of its own.")
    diurnal: Diurnal | None = Field(None, description="Open loop: a rate that follows the time of the day.")
    trace: WrittenReplay | None = Field(
        None, description="Open loop: requests that start and ask as those of a recorded trace, a CSV or JSONL file."
    )
    max_concurrency: Annotated[int, Field(ge=1, le=10_000)] | None = Field(
        None,
        description="Closed loop: number of streams at a time, begun 1 ms apart; the next one starts when one ends.",
    )
    demand: Workflows = Field(
        default_factory=Demand,
        description="Workflows by name, each with its share of the conversations, and perhaps with lengths, a model or "
        "prompts of its own: `{chat: 70%, support: 30%}`.",
    )
    carry: Carry = Field(Carry(), description="Where requests say what they are: their workflow, their class.")
    users: WrittenUsers = Field(Users(), description="What users do when they are not served.")
    prompt_size: PromptSize = Field(
        PROMPT_SIZE,
        description="Bytes of the prompt of each request: a size, `500 tokens` of 4 bytes, a distribution or its name.",
    )
    prompts: Annotated[str, Field(min_length=1)] | None = Field(
        None, description="JSONL file, beside this one, whose lines are asked in turn: `prompt` or `messages` in each."
    )
    system: str | None = Field(None, description="System prompt of every request.")
    turns: Annotated[int, Field(ge=1, le=1000)] = Field(
        1, description="Requests of a conversation: each repeats what was said before, on the same connection."
    )
    output_tokens: OutputTokens = Field(
        100,
        description="Tokens that each request asks for: a number, a distribution, or its name: `azure-2023-code`.",
    )
    extra_body: ExtraBody = Field(
        default_factory=JsonObject,
        description="Merged last into the body of each request, objects key by key (RFC 7396); null removes a field.",
    )
    warm_up: Annotated[int, Field(ge=0, le=10_000)] = Field(
        0, description="First requests that are sent and recorded, and do not count."
    )
    stall_threshold: StallThreshold = Field(
        Duration(200_000_000), description="A longer gap between tokens is a stall."
    )
    reading_rate: ReadingRate = Field(
        Frequency(20 * 10**6), description="Tokens that a reader of the stream reads: slower ones make it wait."
    )
    timeouts: Timeouts = Field(Timeouts(), description="When the client gives up a stream.")
    limits: Limits = Field(Limits(), description="What one response may hold.")

    def at_target(self) -> Workload:
        """With the defaults of a foreign endpoint."""
        return self.model_copy(update={"timeouts": self.timeouts.at_target()})

    def of(self, workflow: str | None) -> Workload:
        """What the conversations of this workflow ask; None: there is one kind."""
        if workflow is None:
            return self
        return self.model_copy(update={**self.demand[workflow].own(), "demand": Demand()})

    @property
    def is_open_loop(self) -> bool:
        """Whether requests start independently of earlier ones."""
        return self.max_concurrency is None

    @model_validator(mode="after")
    def _one_arrival_process(self) -> Workload:
        given = [key for key in ARRIVALS if getattr(self, key.replace("-", "_")) is not None]
        if len(given) > 1:
            kinds = {"request-rate": "is an open loop", "max-concurrency": "a closed one", "trace": "has its own times"}
            told = ", and ".join(f"{key} {kinds[key]}" for key in given)
            raise ValueError(f"{told}; remove {'one of them' if len(given) == 2 else 'two of them'}")
        if not given:
            raise ValueError("give either request-rate (open loop) or max-concurrency (closed loop)")
        if wrong := [*self._arrival_mismatches(), *self._trace_mismatches()]:
            raise together("Workload", wrong)
        if self.connections == "shared" and self.http != "2":
            raise ValueError('connections: shared needs http: "2"')
        if self.prompts is not None and self.prompt_size != PROMPT_SIZE:
            raise ValueError("prompts have the sizes of their file: remove prompt-size, or prompts")
        return self

    def _arrival_mismatches(self) -> Iterator[PydanticCustomError]:
        for key, value in (("clients", self.clients), ("diurnal", self.diurnal)):
            if value is not None and not self.is_open_loop:
                streams = f"max-concurrency: {self.max_concurrency}"
                sentence = f"{key} has requests start at their own times, and with {streams} they start when others end"
                yield error_at(f"{sentence}; write a request-rate in its place", key)
        if self.clients is not None and self.burstiness != 1:
            sentence = f"each client has a burstiness of its own; write clients: {{burstiness: {self.burstiness:g}}}"
            yield error_at(sentence, "burstiness")

    def _trace_mismatches(self) -> Iterator[PydanticCustomError]:
        if self.trace is None:
            return
        own = {"times": ("burstiness", "clients", "diurnal"), "lengths": ("prompt_size", "output_tokens", "prompts")}
        for what, names in own.items():
            for name in names:
                if getattr(self, name) != type(self).model_fields[name].get_default(call_default_factory=True):
                    key = name.replace("_", "-")
                    yield error_at(f"the trace has its own {what}; remove {key}", key)
        if self.turns > 1:
            yield error_at("each request of a trace stands alone; remove turns", "turns")
        for workflow, each in self.demand.items():
            for name in ("prompt_size", "output_tokens", "prompts", "turns"):
                if getattr(each, name) is not None:
                    key = name.replace("_", "-")
                    yield error_at(f"the trace has its own lengths; remove {key}", "demand", workflow, key)

    @model_validator(mode="after")
    def _only_plain_sse_has_a_named_end(self) -> Workload:
        ends = {"end-event": self.end_event, "end-data": self.end_data, "end": self.end.replace("marker", "")}
        for key, value in ends.items():
            if value and self.protocol != "sse":
                raise error_at(f"{key} is for protocol sse, and {self.protocol} has its own end; remove {key}", key)
        return self
