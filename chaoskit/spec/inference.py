"""Defines an engine in place of the scripted pace: vLLM's options, times of steps, lengths of prompts."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BeforeValidator, Discriminator, Field, Tag, model_validator

from chaoskit.faults.schema import SpecModel, bounded, error_at, short_form, suggestion
from chaoskit.server.inference.profiles import PROFILES, StepTimes
from chaoskit.server.inference.settings import (
    OUTPUT_LENGTHS,
    PROMPT_LENGTHS,
    EngineSettings,
    Lengths,
    Policy,
)
from chaoskit.spec.asking import TokenCounts, Tokens
from chaoskit.units import Duration, counted

_MOST = 10_000_000  # tokens; the longest context of any model today
_HOUR = Duration(3600 * 10**9)
_USUAL_CONTEXT = 131_072  # tokens
_NUMBERS = "; or write a number of tokens, or {median: 1000, p99: 4000}"
_StepTime = Annotated[Duration, bounded(Duration(1), _HOUR, "no stream would end")]
_Batch = Annotated[int, Field(ge=1, le=1_000_000)]
_Context = Annotated[int, Field(ge=1, le=_MOST)]


class StepDurations(SpecModel):
    """Times of steps that you measured, in place of a published profile."""

    step: Annotated[dict[_Batch, _StepTime], Field(min_length=1, max_length=1000)] = Field(
        description="By the tokens in its batch: `{1: 10ms, 128: 13ms, 2048: 146ms}`; linear in between and beyond."
    )
    per_1000_context_tokens: Annotated[Duration, bounded(None, _HOUR, "no stream would end")] = Field(
        Duration(0), description="More for every 1000 tokens in the KV cache that a step reads."
    )

    @model_validator(mode="after")
    def _more_tokens_take_longer(self) -> StepDurations:
        if problem := self.times.problem():
            raise error_at(problem, "step")
        return self

    @property
    def times(self) -> StepTimes:
        """The same in order."""
        points = tuple((tokens, int(time)) for tokens, time in sorted(self.step.items()))
        return StepTimes(points, self.per_1000_context_tokens)


def _one_of(known: dict[str, Any], noun: str, also: str = "") -> AfterValidator:
    """A name of these; `also` is what may stand in its place."""

    def check(name: str) -> str:
        if name not in known:
            near = suggestion(name, list(known)) if len(name) < 100 else ""
            hint = near if near.startswith("did you mean") else f"there are {', '.join(known)}"
            raise ValueError(f"found {name[:60]!r}, which is no {noun}; {hint}{also}")
        return name

    return AfterValidator(check)


def _kind(words: Any) -> str:
    """What a value of several forms is: the numbers of a file are texts."""
    if isinstance(words, dict | SpecModel):
        return "mapping"
    return "number" if isinstance(words, int) or str(words).strip().isdigit() else "name"


_ProfileName = Annotated[str, _one_of(PROFILES, "profile"), Field(json_schema_extra={"enum": [*PROFILES]})]
WrittenProfile = Annotated[
    Annotated[_ProfileName, Tag("name")] | Annotated[StepDurations, Tag("mapping")],
    Discriminator(lambda words: "mapping" if _kind(words) == "mapping" else "name"),
]
_Traces = Field(json_schema_extra={"enum": [*PROMPT_LENGTHS]})
_PromptName = Annotated[str, _one_of(PROMPT_LENGTHS, "trace", _NUMBERS), _Traces]
_OutputName = Annotated[str, _one_of(OUTPUT_LENGTHS, "trace", _NUMBERS), _Traces]
_Number = Annotated[Tokens, Tag("number")]
_Counts = Annotated[TokenCounts, Tag("mapping")]
PromptTokens = Annotated[_Number | _Counts | Annotated[_PromptName, Tag("name")], Discriminator(_kind)]
AnswerTokens = Annotated[_Number | _Counts | Annotated[_OutputName, Tag("name")], Discriminator(_kind)]


class Engine(SpecModel):
    """An engine that batches requests as vLLM does; its keys are vLLM's options where that has them."""

    profile: WrittenProfile = Field(description="Times of its steps: the name of a published profile, or your own.")
    max_num_seqs: Annotated[int, Field(ge=1, le=100_000)] = Field(256, description="Requests in the batch at most.")
    max_num_batched_tokens: _Batch = Field(
        2048, description="Tokens of a step at most: one for each running request, the rest for prompts."
    )
    long_prefill_token_threshold: Annotated[int, Field(ge=0, le=_MOST)] = Field(
        0, description="Tokens of one prompt in a step at most. 0: as many as fit."
    )
    kv_cache_tokens: _Context | None = Field(
        None, description="Tokens that the KV cache holds. Default: those of the profile."
    )
    block_size: Annotated[int, Field(ge=1, le=1024)] = Field(16, description="Tokens of one block of the KV cache.")
    max_model_len: _Context | None = Field(
        None, description="Tokens of a prompt with its answer at most. Default: 131072, or all of the KV cache."
    )
    scheduling_policy: Policy = Field(
        "fcfs", description="priority: requests with a lower `priority` come first, and are preempted last."
    )
    max_waiting_queue_length: Annotated[int, Field(ge=0, le=1_000_000)] | None = Field(
        None, description="Requests in the queue at most; further ones are refused. Default: no limit, as in vLLM."
    )
    queue_full_status: Literal["429", "503"] = Field("503", description="With which HTTP status.")
    prompt_tokens: PromptTokens | None = Field(
        None,
        description="Tokens of each prompt: a number, a distribution, or the name of a trace. Default: those of the "
        "request, 4 bytes each.",
    )
    output_tokens: AnswerTokens | None = Field(
        None,
        description="Tokens after which an answer ends by itself, likewise. Default: it never does before the "
        "request's limit.",
    )

    @model_validator(mode="after")
    def _fits_together(self) -> Engine:
        if isinstance(self.profile, StepDurations) and self.kv_cache_tokens is None:
            raise ValueError("a profile of your own needs kv-cache-tokens: how many tokens the KV cache holds")
        if self._kv_cache < self.block_size:
            raise error_at(f"fewer than one block, which has {self.block_size} (block-size)", "kv-cache-tokens")
        if self.max_num_batched_tokens < self.max_num_seqs:
            told = f"fewer than max-num-seqs, {self.max_num_seqs}: each running request needs one, also in vLLM"
            raise error_at(told, "max-num-batched-tokens")
        if self.max_model_len is not None and self.max_model_len > self._kv_cache:
            told = f"more than the KV cache holds, {counted(self._kv_cache, 'token')}: vLLM would not start; lower it"
            raise error_at(told, "max-model-len")
        return self

    @property
    def _kv_cache(self) -> int:
        if self.kv_cache_tokens is not None:
            return self.kv_cache_tokens
        assert isinstance(self.profile, str)
        return PROFILES[self.profile].kv_cache

    @property
    def settings(self) -> EngineSettings:
        """What the server follows."""
        times = self.profile.times if isinstance(self.profile, StepDurations) else PROFILES[self.profile].steps
        return EngineSettings(
            steps=times,
            kv_cache=self._kv_cache,
            max_seqs=self.max_num_seqs,
            max_batched_tokens=self.max_num_batched_tokens,
            long_prefill_threshold=self.long_prefill_token_threshold,
            block=self.block_size,
            max_model_len=self.max_model_len or _USUAL_CONTEXT,
            policy=self.scheduling_policy,
            max_waiting=self.max_waiting_queue_length,
            full_status=int(self.queue_full_status),
            prompt=_lengths(self.prompt_tokens, PROMPT_LENGTHS),
            output=_lengths(self.output_tokens, OUTPUT_LENGTHS),
        )


WrittenEngine = Annotated[Engine, BeforeValidator(short_form("profile"), json_schema_input_type=Engine | _ProfileName)]
"""Its keys, or the name of its profile alone."""


def _lengths(words: int | TokenCounts | str | None, presets: dict[str, Lengths]) -> Lengths | None:
    match words:
        case None:
            return None
        case str():
            return presets[words]
        case int():
            return Lengths.of(words, words)
        case _:
            return Lengths.of(words.median, words.p99)
