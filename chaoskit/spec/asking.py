"""Defines what requests ask: their prompts, and more fields of their bodies.

In a file every scalar is read as its text. In `extra-body` a plain scalar is what JSON has for it, and one in quotes is
a text: `temperature: 0.5`, `ignore_eos: true`, `user: "007"`.
"""

from __future__ import annotations

import json
import re
from typing import Annotated, Any

from pydantic import AfterValidator, BeforeValidator, Field, ValidationInfo, model_validator

from chaoskit.faults.schema import FROM_FILE, SpecModel, bounded, short_form
from chaoskit.spec.endpoint import holds_key
from chaoskit.units import Size

_JSON_NUMBER = re.compile(r"-?(0|[1-9][0-9]*)(\.[0-9]+)?([eE][+-]?[0-9]+)?")
_LARGEST_BODY = 1 << 20  # characters; every open stream holds it
_DEEPEST_BODY = 50  # levels; merging and encoding recurse
Bytes = Annotated[Size, bounded(Size(1), Size(100 * 10**6), "every open stream holds its prompt in memory")]


class QuotedText(str):
    """A scalar in quotes, of a file."""

    __slots__ = ()


class PromptSize(SpecModel):
    """Bytes of a prompt: always the median or, with a p99, from a log-normal distribution with these two."""

    median: Bytes = Field(description="Its median.")
    p99: Bytes | None = Field(None, description="Its 99th percentile. Default: every prompt has the median.")

    @model_validator(mode="after")
    def _p99_is_not_below_the_median(self) -> PromptSize:
        if self.p99 is not None and self.p99 < self.median:
            raise ValueError(f"p99 {self.p99} is below the median {self.median}")
        return self

    @property
    def most(self) -> Size:
        """What next to no prompt exceeds."""
        return self.p99 or self.median

    def written(self) -> Any:
        """As in a file: a size, or both keys."""
        return super().written() if self.p99 is not None else self.median.written()

    def __str__(self) -> str:
        return f"{self.median}" if self.p99 is None else f"{self.median} (p99 {self.p99})"


PROMPT_SIZE = PromptSize(median=Size(1000))  # unless a file or an option says otherwise
WrittenPromptSize = Annotated[
    PromptSize, BeforeValidator(short_form("median"), json_schema_input_type=PromptSize | Bytes)
]


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
