"""Defines what requests ask: their prompts, and more fields of their bodies.

In a file every scalar is read as its text. In `extra-body` a plain scalar is what JSON has for it, and one in quotes is
a text: `temperature: 0.5`, `ignore_eos: true`, `user: "007"`.
"""

from __future__ import annotations

import json
import math
import re
from statistics import NormalDist
from typing import Annotated, Any, Literal

from pydantic import (
    AfterValidator,
    BeforeValidator,
    Discriminator,
    Field,
    Tag,
    ValidationInfo,
    WithJsonSchema,
    model_validator,
)

from chaoskit.faults.schema import FROM_FILE, SpecModel, bounded, suggestion
from chaoskit.spec.endpoint import holds_key
from chaoskit.token_lengths import BYTES_PER_TOKEN, TOKEN_LENGTHS, TokenLengths
from chaoskit.units import Size

_JSON_NUMBER = re.compile(r"-?(0|[1-9][0-9]*)(\.[0-9]+)?([eE][+-]?[0-9]+)?")
_LARGEST_BODY = 1 << 20  # characters; every open stream holds it
_DEEPEST_BODY = 50  # levels; merging and encoding recurse
Bytes = Annotated[Size, bounded(None, Size(100 * 10**6), "every open stream holds its prompt in memory")]
MOST_TOKENS = 100_000  # that a request asks for
Tokens = Annotated[int, Field(ge=1, le=MOST_TOKENS)]
_IN_TOKENS = r"\s*0*([0-9]{1,8})\s*tokens?\s*"


def _bytes_of_tokens(words: Any) -> Any:
    """`2000 tokens` as the bytes that they are taken to have."""
    found = re.fullmatch(_IN_TOKENS, words) if isinstance(words, str) else None
    return Size(int(found[1]) * BYTES_PER_TOKEN) if found else words


PromptBytes = Annotated[
    Bytes,
    BeforeValidator(
        _bytes_of_tokens,
        json_schema_input_type=Bytes
        | Annotated[str, WithJsonSchema({"type": "string", "pattern": f"^{_IN_TOKENS}$", "examples": ["500 tokens"]})],
    ),
]
EndText = Annotated[str, Field(min_length=1, max_length=200, pattern=r"^[^\r\n\x00]+$")]


class QuotedText(str):
    """A scalar in quotes, of a file."""

    __slots__ = ()


class Distribution(SpecModel):
    """A log-normal distribution with this median and 99th percentile."""

    median: Any
    p99: Any

    @model_validator(mode="after")
    def _p99_is_not_below_the_median(self) -> Distribution:
        if self.p99 < self.median:
            raise ValueError(f"p99 {self.p99} is below the median {self.median}")
        return self

    def __str__(self) -> str:
        return f"{self.median} (p99 {self.p99})"

    def at(self, z: float) -> int:
        """The value at z standard deviations from the median of the logarithms; 1 or more."""
        return max(1, round(float(self.median) * math.exp(self._sigma * z)))

    @property
    def mean(self) -> float:
        """The mean: median x e^(sigma^2 / 2)."""
        return float(self.median * math.exp(self._sigma**2 / 2))

    @property
    def _sigma(self) -> float:
        return math.log(self.p99 / max(1, self.median)) / NormalDist().inv_cdf(0.99)


class PromptSizes(Distribution):
    """Bytes of prompts from a log-normal distribution with this median and 99th percentile."""

    median: PromptBytes = Field(description="Its median.")
    p99: PromptBytes = Field(description="Its 99th percentile.")


class TokenCounts(Distribution):
    """Numbers of tokens from a log-normal distribution with this median and 99th percentile."""

    median: Tokens = Field(description="Its median.")
    p99: Tokens = Field(description="Its 99th percentile.")

    def at(self, z: float) -> int:
        """As for all distributions; no more than a request may ask for."""
        return min(super().at(z), MOST_TOKENS)


LengthsName = Literal["azure-2023-conversation", "azure-2023-code"]
"""The names of `token_lengths`."""


def _lengths(name: str) -> TokenLengths:
    if name not in TOKEN_LENGTHS:
        hint = suggestion(name[:60], TOKEN_LENGTHS)
        expected = "a number, {median, p99}, or the name of a distribution"
        raise ValueError(f"found {name[:60]!r}, expected {expected}; {hint}")
    return TOKEN_LENGTHS[name]


def _bytes(tokens: float) -> Size:
    return Size(round(tokens) * BYTES_PER_TOKEN)


def _prompt_sizes(words: Any) -> Any:
    if isinstance(words, str):
        found = _lengths(words).prompt
        return {"median": _bytes(found.median), "p99": _bytes(found.p99)}
    return words


def _token_counts(words: Any) -> Any:
    if isinstance(words, str):
        found = _lengths(words).output
        return {"median": round(found.median), "p99": round(found.p99)}
    return words


def kind(words: Any) -> str:
    """Whether these words are a `number` or a `distribution`: a tag of a union of both."""
    is_name = isinstance(words, str) and words[:1].isalpha()
    return "distribution" if is_name or isinstance(words, dict | Distribution) else "number"


PromptSize = Annotated[
    Annotated[PromptBytes, Tag("number")]
    | Annotated[
        PromptSizes,
        BeforeValidator(_prompt_sizes, json_schema_input_type=PromptSizes | LengthsName),
        Tag("distribution"),
    ],
    Discriminator(kind),
]
OutputTokens = Annotated[
    Annotated[Tokens, Tag("number")]
    | Annotated[
        TokenCounts,
        BeforeValidator(_token_counts, json_schema_input_type=TokenCounts | LengthsName),
        Tag("distribution"),
    ],
    Discriminator(kind),
]
PROMPT_SIZE = Size(1000)  # unless a file or an option says otherwise


def _body(words: Any, info: ValidationInfo) -> Any:
    """A JSON text, or keys; of a file, with the values that its scalars stand for."""
    if isinstance(words, str):
        words = _parsed(words)
    elif info.context == FROM_FILE:
        words = _as_json(words)
    if not isinstance(words, dict):
        raise ValueError("not a JSON object; write for example {temperature: 0}")
    if _depth(words) > _DEEPEST_BODY:
        raise ValueError(f"nested more than {_DEEPEST_BODY} levels deep; no endpoint takes that")
    text = json.dumps(words)
    if len(text) > _LARGEST_BODY:
        raise ValueError("longer than 1 MiB; give long texts as prompts")
    if holds_key(text):
        raise ValueError("what looks like a key, and the body is in the records; give a key by its variable")
    return words


def _parsed(text: str) -> Any:
    def refuse(constant: str) -> None:
        raise ValueError(f"{constant} is no JSON; remove it")

    try:
        return json.loads(text, parse_constant=refuse)
    except json.JSONDecodeError as error:
        place = f"line {error.lineno}, column {error.colno}" if "\n" in text else f"column {error.colno}"
        raise ValueError(f"no JSON: {error.msg} at {place}; write for example '{{\"temperature\": 0}}'") from None
    except RecursionError:
        raise ValueError(f"nested more than {_DEEPEST_BODY} levels deep; no endpoint takes that") from None


def _as_json(words: Any) -> Any:
    match words:
        case dict():
            return {str(key): _as_json(value) for key, value in words.items()}
        case list():
            return [_as_json(each) for each in words]
        case QuotedText():
            return str(words)
        case "true" | "false":
            return words == "true"
        case str() if _JSON_NUMBER.fullmatch(words):
            return json.loads(words)
        case _:
            return words


def _depth(words: Any) -> int:
    below = words.values() if isinstance(words, dict) else words if isinstance(words, list) else ()
    return 1 + max(map(_depth, below), default=0)


class JsonObject(dict[str, Any]):
    """A JSON object that nobody changes, so that it has a hash as all of a workload."""

    def __hash__(self) -> int:  # type: ignore[override]  # a dictionary has none
        return hash(json.dumps(self, sort_keys=True))


ExtraBody = Annotated[
    dict[str, Any],
    BeforeValidator(_body, json_schema_input_type=dict[str, Any] | str),
    AfterValidator(JsonObject),
]
