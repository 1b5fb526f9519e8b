"""Defines who asks: workflows, clients with their bursts, the course of a day, users who ask again.

| key       | what it decides                                                                                       |
|-----------|-------------------------------------------------------------------------------------------------------|
| `demand`  | what each conversation is for: a share of them for each workflow, which may ask something of its own  |
| `clients` | when requests start: those of many clients, of which a few send most, in bursts (ServeGen, NSDI 2026)  |
| `diurnal` | how the rate follows the time of the day                                                              |
| `users`   | who gives up and asks again (metastable failures: Huang et al., OSDI 2022)                            |

Everything is drawn from the seed, by the number of the conversation: which workflow it is for, and whether its user
asks again, depend neither on the arrivals nor on how the target answers.
"""

from __future__ import annotations

from typing import Annotated, Any

from pydantic import (
    AfterValidator,
    BeforeValidator,
    Discriminator,
    Field,
    Tag,
)

from chaoskit import seed as seeds
from chaoskit.faults.schema import SpecModel, bounded, short_form
from chaoskit.spec.asking import Distribution, ExtraBody, OutputTokens, PromptSize, kind
from chaoskit.spec.classes import ClassName
from chaoskit.spec.multiple import Multiple
from chaoskit.spec.server import HOUR
from chaoskit.units import Duration, Share

MOST_BURSTY = 1000
"""The most that `burstiness` may be; that of Azure's requests for code in 2023 is 174."""
_DAY = Duration(24 * HOUR)
_ALL = Share(Share.largest)
Think = Annotated[Duration, bounded(None, _DAY, "nobody comes back so late")]


class Workflow(SpecModel):
    """What some of the conversations are for. What it does not say is as the workload has it."""

    share: Share = Field(description="Of the conversations; all of them add up to 100%.")
    model: Annotated[str, Field(min_length=1, max_length=200)] | None = Field(
        None, description="The model that it asks. Default: as `carry` says."
    )
    prompt_size: PromptSize | None = Field(None, description="Bytes of its prompts.")
    prompts: Annotated[str, Field(min_length=1)] | None = Field(None, description="JSONL file with its prompts.")
    system: str | None = Field(None, description="Its system prompt.")
    class_: ClassName | None = Field(None, description="The class of all its requests. Default: those of `classes`.")
    turns: Annotated[int, Field(ge=1, le=1000)] | None = Field(None, description="Requests of a conversation.")
    output_tokens: OutputTokens | None = Field(None, description="Tokens that its requests ask for.")
    extra_body: ExtraBody | None = Field(None, description="Merged last into the body of its requests.")

    def own(self) -> dict[str, Any]:
        """The fields of a workload that it changes. Its prompts replace sizes, and its sizes prompts."""
        found = {name: value for name in _OWN if (value := getattr(self, name)) is not None}
        return found | ({"prompts": None} if self.prompt_size is not None else {})


_OWN = ("prompt_size", "prompts", "system", "turns", "output_tokens", "extra_body")


def add_up(shares: dict[str, Share], what: str) -> None:
    """Raise ValueError unless these shares, of one `what` each, are the whole."""
    total = sum(shares.values())
    if total == _ALL:
        return
    last = list(shares)[-1]
    rest = _ALL - (total - shares[last])
    hint = f"write {last}: {Share(rest)}" if rest > 0 else f"lower some of them, or remove a {what}"
    raise ValueError(f"the shares add up to {_percent(total)} and must be 100%; {hint}")


def _percent(share: int) -> str:
    return f"{share / 10**7:.9g}%"


class Demand(dict[str, Workflow]):
    """Workflows by name, which nobody changes, so that they have a hash as all of a workload."""

    def __hash__(self) -> int:  # type: ignore[override]  # a dictionary has none
        return hash(tuple(self.items()))


def _whole(workflows: dict[str, Workflow]) -> Demand:
    if workflows:
        add_up({name: each.share for name, each in workflows.items()}, "workflow")
    return Demand(workflows)


_Name = Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$")]
_Written = Annotated[Workflow, BeforeValidator(short_form("share"), json_schema_input_type=Workflow | Share)]
Workflows = Annotated[dict[_Name, _Written], Field(max_length=64), AfterValidator(_whole)]


class Clients(SpecModel):
    """Clients that send independently of each other; together they have the request-rate."""

    count: Annotated[int, Field(ge=1, le=10_000)] = Field(description="How many.")
    burstiness: Annotated[float, Field(ge=0, le=MOST_BURSTY)] = Field(
        1.0, description="Of each: squared coefficient of variation of the gaps between its requests."
    )
    skew: Annotated[float, Field(ge=0, le=5)] = Field(
        0.0, description="The n-th client sends a part in proportion to 1/n^skew; 0: all send alike."
    )

    @property
    def parts(self) -> tuple[float, ...]:
        """The part of all requests that each client sends, the busiest first."""
        weights = [(number + 1) ** -self.skew for number in range(self.count)]
        whole = sum(weights)
        return tuple(weight / whole for weight in weights)


class Diurnal(SpecModel):
    """A rate that follows the time of the day, as a cosine around its mean."""

    peak_to_trough: Annotated[Multiple, Field(ge=1)] = Field(
        description="The highest rate, as a multiple of the lowest: 3x."
    )
    period: Annotated[Duration, bounded(Duration(10**9), Duration(7 * _DAY), "a run takes no longer")] = Field(
        _DAY, description="From one peak to the next."
    )
    peak: Duration | None = Field(
        None, description="When the first peak is, from the start. Default: after half a period, from the trough on."
    )

    @property
    def amplitude(self) -> float:
        """How far the peak is above the mean, as a part of it."""
        return (self.peak_to_trough - 1) / (self.peak_to_trough + 1)

    @property
    def first_peak(self) -> int:
        """When it is, ns from the start."""
        return self.period // 2 if self.peak is None else self.peak


class ThinkTimes(Distribution):
    """Times from a log-normal distribution with this median and 99th percentile."""

    median: Think = Field(description="Its median.")
    p99: Think = Field(description="Its 99th percentile.")


ThinkTime = Annotated[Annotated[Think, Tag("number")] | Annotated[ThinkTimes, Tag("distribution")], Discriminator(kind)]


class Retry(SpecModel):
    """Users who give up a request that fails, or shows no first token in time, and ask the same again."""

    share: Share = Field(_ALL, description="Of the users.")
    patience: Annotated[Duration, bounded(Duration(10**6), HOUR, "nobody waits so long")] = Field(
        Duration(10 * 10**9), description="How long one waits for a first token before closing the connection."
    )
    after: ThinkTime = Field(
        Duration(2 * 10**9), description="From giving up to asking again: a time, or a distribution."
    )
    times: Annotated[int, Field(ge=1, le=100)] = Field(3, description="How often one asks again, at the most.")

    def is_by(self, seed: int, conversation: int) -> bool:
        """Whether the user of this conversation asks again."""
        return seeds.source(seed, "user", conversation).randrange(Share.largest) < self.share

    def think_time(self, seed: int, question: int, attempt: int) -> int:
        """The ns before this attempt at a question, counted from 1."""
        if not isinstance(self.after, ThinkTimes):
            return self.after
        return self.after.at(seeds.source(seed, "think", question, attempt).gauss(0.0, 1.0))


class Users(SpecModel):
    """What users of the client do when a request fails, or takes too long for them."""

    retry: Retry | None = Field(None, description="Those who give up and ask again.")


def _is_no_number(words: Any) -> Any:
    number = str(words).strip() if isinstance(words, str | int) else ""
    if number.isdecimal():
        raise ValueError(
            "users says who asks again: {retry: {share: 60%}}; for so many streams at a time write "
            f"max-concurrency: {number}"
        )
    return words


WrittenUsers = Annotated[Users, BeforeValidator(_is_no_number, json_schema_input_type=Users)]
