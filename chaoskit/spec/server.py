"""Defines the settings of the reference server: its host, its schedule, and what deviates from it.

A lab's `server:` has all of them; a file of `chaoskit serve --script` has those of `Responses`.

| key         | what happens to a response                                             |
|-------------|------------------------------------------------------------------------|
| `pause`     | nothing is sent for a time; the server is late, and its tokens say so  |
| `malformed` | it is answered in one of the named ways                                |
| `error`     | a refusal with a status, or an error event after some tokens           |
| `cut`       | it breaks off                                                          |

Each is one mapping or a list. Which responses it hits follows from the seed and the stream's number; of the last three
a response has the first that it draws, in this order.
"""

from __future__ import annotations

import re
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BeforeValidator, Field, model_validator

from chaoskit.faults.schema import SpecModel, bounded, error_at, exactly_one, short_form, suggestion
from chaoskit.server import deviations, malformations
from chaoskit.server.schedule import Script
from chaoskit.spec.host_tuning import Host
from chaoskit.spec.inference import WrittenEngine
from chaoskit.units import Duration, Share

HOUR = Duration(3600 * 10**9)
Pace = Annotated[Duration, bounded(None, HOUR, "no stream would end")]
_MAX_TOKENS = 100_000  # of a response
_WORDS = r"\s*0*[0-9]{1,6}\s*(?:tokens?)?\s*"
_ALL = Share(Share.largest)
_NAMES = list(malformations.BY_NAME)


def _count(words: Any) -> Any:
    if isinstance(words, str):
        if not re.fullmatch(_WORDS, words):
            raise ValueError(f"{words!r} is not a number of tokens; write for example 20 tokens")
        return int(words.strip().removesuffix("s").removesuffix("token"))
    return words


def _listed(words: Any) -> Any:
    return words if isinstance(words, list | tuple) else [words]


def _known(name: str) -> str:
    if name not in malformations.BY_NAME:
        near = suggestion(name, malformations.BY_NAME) if len(name) < 100 else ""
        hint = near if near.startswith("did you mean") else "all names: chaoskit serve --list"
        raise ValueError(f"found {name[:60]!r}, which is no malformation; {hint}")
    return name


_Number = Annotated[int, Field(ge=0, le=_MAX_TOKENS)]
TokenCount = Annotated[
    _Number,
    BeforeValidator(_count, json_schema_input_type=_Number | Annotated[str, Field(pattern=f"^{_WORDS}$")]),
]
_Name = Annotated[str, AfterValidator(_known), Field(json_schema_extra={"enum": list(_NAMES)})]


class Pause(SpecModel):
    """A silence within a response."""

    after: TokenCount = Field(0, description="Tokens before it.")
    for_: Pace = Field(description="How long nothing is sent; the stream continues at its pace.")
    share: Share = Field(_ALL, description="Of the responses.")


class ErrorResponse(SpecModel):
    """An error in place of a response, or within it."""

    model_config = exactly_one("status", "after")

    status: Annotated[int, Field(ge=400, le=599)] | None = Field(None, description="Refused with this HTTP status.")
    retry_after: Pace | None = Field(None, description="With this Retry-After, in whole seconds.")
    after: TokenCount | None = Field(None, description="Tokens before an error event; the response then ends.")
    share: Share = Field(_ALL, description="Of the responses.")

    @model_validator(mode="after")
    def _one_kind(self) -> ErrorResponse:
        if (self.status is None) == (self.after is None):
            raise ValueError("give either status (a refusal) or after (an error event)")
        if self.retry_after is not None and self.status is None:
            raise ValueError("retry-after needs status: an event has no header fields")
        if self.retry_after is not None and self.retry_after % 10**9:
            raise ValueError(f"retry-after is in whole seconds; found {self.retry_after}")
        return self


class Cut(SpecModel):
    """A response that breaks off."""

    after: TokenCount = Field(description="Tokens before it.")
    by: deviations.CutBy = Field(
        "reset",
        description="reset: RST, or RST_STREAM; close: no end of the body; chunk: within a chunk; end: the body ends "
        "properly, without the API's end marker.",
    )
    share: Share = Field(_ALL, description="Of the responses.")


class Malformed(SpecModel):
    """A response in one of the named ways."""

    name: _Name = Field(description="Its name: `chaoskit serve --list`.")
    share: Share = Field(_ALL, description="Of the responses.")


Pauses = Annotated[tuple[Pause, ...], BeforeValidator(_listed, json_schema_input_type=Pause | list[Pause])]
_ErrorOrSeveral = ErrorResponse | list[ErrorResponse]
Errors = Annotated[tuple[ErrorResponse, ...], BeforeValidator(_listed, json_schema_input_type=_ErrorOrSeveral)]
Cuts = Annotated[tuple[Cut, ...], BeforeValidator(_listed, json_schema_input_type=Cut | list[Cut])]
_WrittenMalformed = Annotated[Malformed, BeforeValidator(short_form("name"), json_schema_input_type=Malformed | _Name)]
_SeveralMalformed = Annotated[
    tuple[_WrittenMalformed, ...],
    BeforeValidator(_listed, json_schema_input_type=Malformed | _Name | list[Malformed | _Name]),
]


class FirstToken(SpecModel):
    """Time to the first token: a log-normal distribution with this median and 99th percentile."""

    median: Pace = Field(description="Its median.")
    p99: Pace = Field(description="Its 99th percentile.")

    @model_validator(mode="after")
    def _p99_is_not_below_the_median(self) -> FirstToken:
        if self.p99 < self.median:
            raise ValueError(f"p99 {self.p99} is below the median {self.median}")
        return self


class Responses(SpecModel):
    """How the reference server responds. The n-th token leaves at first token + n x interval, without drift.

    With `engine` it leaves when the engine has computed it.
    """

    engine: WrittenEngine | None = Field(
        None, description="An engine that batches requests as vLLM does, in place of first-token and token-interval."
    )
    first_token: FirstToken = Field(
        FirstToken(median=Duration(150_000_000), p99=Duration(400_000_000)),
        description="Time until the first token: a log-normal distribution.",
    )
    token_interval: Pace = Field(Duration(20_000_000), description="Time from one token to the next.")
    tokens_per_event: Annotated[int, Field(ge=1, le=1000)] = Field(
        1, description="Tokens of each event, which leaves when its first is due."
    )
    reasoning_tokens: Annotated[int, Field(ge=0, le=_MAX_TOKENS)] = Field(
        0, description="Tokens of reasoning before the text, where the API has it; they count as output tokens."
    )
    content_coding: Literal["identity", "gzip", "deflate"] = Field(
        "identity", description="For clients that accept it; flushed after each event."
    )
    pause: Pauses = Field((), description="Silences.")
    malformed: _SeveralMalformed = Field((), description="Malformations, by name.")
    error: Errors = Field((), description="Errors.")
    cut: Cuts = Field((), description="Responses that break off.")

    @property
    def is_scripted(self) -> bool:
        """Whether its pace is known before; that of an engine follows from its load."""
        return self.engine is None

    @model_validator(mode="after")
    def _one_pace(self) -> Responses:
        for name in ("first_token", "token_interval") if self.engine is not None else ():
            if getattr(self, name) != type(self).model_fields[name].default:
                key = name.replace("_", "-")
                raise error_at("the engine computes when tokens leave; remove it, or engine", key)
        return self

    def script(self, seed: int) -> Script:
        """What the server follows."""
        refusals_and_events = (
            deviations.ErrorEvent(each.after, each.share)
            if each.status is None and each.after is not None
            else deviations.Refusal(each.status or 500, _seconds(each.retry_after), each.share)
            for each in self.error
        )
        return Script(
            self.first_token.median,
            self.first_token.p99,
            self.token_interval,
            seed,
            tokens_per_event=self.tokens_per_event,
            reasoning_tokens=self.reasoning_tokens,
            coding=self.content_coding,
            engine=None if self.engine is None else self.engine.settings,
            pauses=tuple(deviations.Pause(each.after, each.for_, each.share) for each in self.pause),
            deviations=(
                *(deviations.Malformed(each.name, each.share) for each in self.malformed),
                *refusals_and_events,
                *(deviations.Cut(each.after, each.by, each.share) for each in self.cut),
            ),
        )


def _seconds(length: Duration | None) -> int | None:
    return None if length is None else length // 10**9


class Server(Responses, Host):
    """Host tuning of the server, and how it responds."""
