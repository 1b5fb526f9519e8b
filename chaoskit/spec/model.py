"""The words of an experiment file, and what each may hold.

The author's words in kebab-case are these fields; every quantity carries its unit. Nothing here looks at
the machine. `load.py` reads a file into an `Experiment`, `objectives.py` reads the objectives' sentences.
"""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, model_validator

from chaoskit.faults import Fault
from chaoskit.spec.objectives import Objective
from chaoskit.units import Duration, Frequency, Share, Size

Protocol = Literal["openai-chat", "anthropic-messages", "ollama", "sse"]
CLEAN_PHASES = ("warm-up", "baseline", "recovery")


class _Words(BaseModel):
    model_config = ConfigDict(
        frozen=True,
        extra="forbid",
        alias_generator=lambda name: name.replace("_", "-"),
        populate_by_name=True,
    )


class Stage(_Words):
    """Where the experiment happens."""

    lab: Literal["edge"] = Field(description="A network that chaoskit builds: client - router - server.")
    ip: Literal["4", "6"] = Field("4", description="The IP version the client speaks.")


class Timeouts(_Words):
    """When the client gives up. `idle` is the longest silence within a stream."""

    connect: Duration = Duration(5 * 10**9)
    first_token: Duration = Duration(10 * 10**9)
    idle: Duration = Duration(5 * 10**9)


class Workload(_Words):
    """Who asks for what, how often."""

    protocol: Protocol = "openai-chat"
    http: Literal["1.1", "2"] = "1.1"
    connections: Literal["fresh", "kept", "shared"] = Field(
        "fresh",
        description="fresh: one per stream; kept: idle ones are used again; shared: streams share one (HTTP/2).",
    )
    request_rate: Frequency | None = Field(None, description="Open loop: requests start whatever came before.")
    burstiness: Annotated[float, Field(ge=0, le=100)] = Field(
        1.0,
        description="Of the open loop: 1 is Poisson, 0 is a metronome, above 1 comes in bursts "
        "(the gaps' squared coefficient of variation).",
    )
    max_concurrency: Annotated[int, Field(ge=1, le=10_000)] | None = Field(
        None, description="Closed loop: so many streams at a time, each followed at once by the next."
    )
    prompt_size: Size = Size(1000)
    output_tokens: Annotated[int, Field(ge=1, le=100_000)] = 100
    timeouts: Timeouts = Timeouts()

    @model_validator(mode="after")
    def _one_arrival_process(self) -> Workload:
        if (self.request_rate is None) == (self.max_concurrency is None):
            raise ValueError("give either request-rate (open loop) or max-concurrency (closed loop)")
        if self.connections == "shared" and self.http != "2":
            raise ValueError('connections: shared needs http: "2"')
        return self


class FirstToken(_Words):
    """How long the server thinks: a log-normal with this median and 99th percentile."""

    median: Duration
    p99: Duration

    @model_validator(mode="after")
    def _ordered(self) -> FirstToken:
        if self.p99 < self.median:
            raise ValueError(f"p99 {self.p99} is below the median {self.median}")
        return self


class Server(_Words):
    """The reference server's script. The n-th token leaves at first token + n x interval, drift-free."""

    first_token: FirstToken = FirstToken(median=Duration(150_000_000), p99=Duration(400_000_000))
    token_interval: Duration = Duration(20_000_000)


class Span(_Words):
    """One phase of the timeline: its name, which faults are in force, how long."""

    name: str
    faults: tuple[str, ...]
    length: Duration


class Experiment(_Words):
    """One question to one system."""

    name: Annotated[str, Field(pattern=r"^[a-z0-9][a-z0-9-]{0,63}$")]
    question: Annotated[str, Field(min_length=1)]
    stage: Stage
    workload: Workload
    server: Server = Server()
    faults: dict[str, tuple[Fault, ...]] = {}
    timeline: tuple[Span, ...]
    repeats: Annotated[int, Field(ge=1, le=1000)] = 1
    objectives: tuple[Objective, ...] = ()
    seed: Annotated[int, Field(ge=0, lt=2**63)] = 0


__all__ = ["CLEAN_PHASES", "Experiment", "FirstToken", "Protocol", "Server", "Share", "Span", "Stage", "Timeouts", "Workload"]
