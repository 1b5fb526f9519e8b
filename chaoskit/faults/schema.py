"""Defines the base model of experiment files: kebab-case keys, unknown keys refused, frozen values."""

from __future__ import annotations

import difflib
import re
from collections.abc import Callable, Iterable, Sequence
from typing import Annotated, Any, Self, TypeVar

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    ModelWrapValidatorHandler,
    ValidationError,
    ValidationInfo,
    model_validator,
)
from pydantic.config import JsonDict
from pydantic_core import ErrorDetails, InitErrorDetails, PydanticCustomError

from chaoskit.units import Quantity

IPV6_MIN_MTU = 1280  # RFC 8200, section 5: the minimum MTU of a link that carries IPv6
MtuBytes = Annotated[int, Field(ge=68, le=65_535)]  # RFC 791: the minimum MTU of IPv4 links, and the longest packet
SegmentBytes = Annotated[int, Field(ge=88, le=65_535)]  # the kernel's TCP_MIN_MSS, include/net/tcp.h


UNKNOWN_KEY = "unknown_key"
"""The type of the error of a key that a model does not have; its context has the `known` ones."""
FROM_FILE = {"is_file": True}
"""The context to validate the content of a file with: its keys are in kebab-case, and nothing else."""


def _true_or_false(words: Any) -> Any:
    return {"true": True, "false": False}.get(words.lower(), f"{words} ") if isinstance(words, str) else words


Flag = Annotated[bool, BeforeValidator(_true_or_false)]
"""`true` or `false`, as YAML 1.2 has them; pydantic would take `yes`, `t` and `1` as well."""


def text_of(pattern: str) -> JsonDict:
    """JSON Schema of a text with a pattern, which may look like a whole number, or like `true`."""
    return {"type": ["string", "integer", "boolean"], "pattern": f"^(?:{pattern})$", "minimum": 0}


def given(*keys: str) -> JsonDict:
    """JSON Schema: all these keys have a value."""
    return {"required": list(keys), "properties": {key: {"not": {"type": "null"}} for key in keys}}


def exactly_one(*keys: str) -> ConfigDict:
    """The configuration of a model of which exactly one of these keys must be given, for its JSON Schema."""
    return ConfigDict(json_schema_extra={"oneOf": [given(key) for key in keys]})


Q = TypeVar("Q", bound=Quantity)
_BARE = re.compile(r"[0-9]+(?:\.[0-9]+)?")


def bounded(least: Q | None, most: Q, reason: str) -> AfterValidator:
    """A quantity from `least` to `most`, and the reason why not more."""

    def check(value: Q) -> Q:
        if value > most:
            raise ValueError(f"{value} is more than the maximum, {most}: {reason}")
        if least is not None and value < least:
            raise ValueError(f"{value} is less than the minimum, {least}")
        return value

    return AfterValidator(check)


def in_unit(unit: str) -> BeforeValidator:
    """A quantity that has this unit in mind where a file gives none."""

    def check(words: Any) -> Any:
        if isinstance(words, str) and _BARE.fullmatch(words):
            raise ValueError(f"{words!r} has no unit; write {words}{unit}")
        return words

    return BeforeValidator(check)


def short_form(key: str) -> Callable[[Any], Any]:
    """A validator that turns a bare quantity into a mapping with only `key`."""

    def expand(value: Any) -> Any:
        return {key: value} if isinstance(value, str | int) else value

    return expand


class SpecModel(BaseModel):
    """Base of all models of the file. An unknown key is an error that names the closest known key."""

    model_config = ConfigDict(
        frozen=True,
        extra="forbid",
        alias_generator=lambda name: name.removesuffix("_").replace("_", "-"),
        populate_by_name=True,
    )

    @model_validator(mode="wrap")
    @classmethod
    def _refuse_unknown_keys(cls, words: Any, handler: ModelWrapValidatorHandler[Self], info: ValidationInfo) -> Self:
        """Name every unknown key, and what else is wrong but for what follows from that."""
        keys = [field.alias or name for name, field in cls.model_fields.items()]
        known = {*keys, *(() if info.context == FROM_FILE else cls.model_fields)}
        unknown = [key for key in words if str(key) not in known] if isinstance(words, dict) else []
        if not unknown:
            return handler(words)
        found = [InitErrorDetails(type=_unknown_key(str(key), keys), input=words) for key in unknown]
        try:
            handler({key: value for key, value in words.items() if key not in unknown})
        except ValidationError as error:
            found += [again(each) for each in error.errors() if each["loc"] and each["type"] != "missing"]
        raise together(cls.__name__, found)

    def written(self) -> dict[str, Any]:
        """The file content that loads to an equal model: plain JSON, with units."""
        given = {name: getattr(self, name) for name in type(self).model_fields if name in self.model_fields_set}
        return {
            type(self).model_fields[name].alias or name: _written(value)
            for name, value in given.items()
            if value is not None
        }


def together(title: str, errors: Sequence[PydanticCustomError | InitErrorDetails]) -> ValidationError:
    """Several errors of one model."""
    found = (InitErrorDetails(type=e, input=None) if isinstance(e, PydanticCustomError) else e for e in errors)
    return ValidationError.from_exception_data(title, list(found))


def again(error: ErrorDetails) -> InitErrorDetails:
    """An error of a part, to be raised with others."""
    context = error.get("ctx", {})
    is_own = error["type"] in ("misplaced", UNKNOWN_KEY)
    kind = PydanticCustomError(error["type"], "{sentence}", context) if is_own else error["type"]
    return InitErrorDetails(type=kind, loc=error["loc"], input=error["input"], ctx=context)


def _unknown_key(key: str, known: list[str]) -> PydanticCustomError:
    """The error of a key that is none of these."""
    return PydanticCustomError(UNKNOWN_KEY, "unknown key", {"sentence": "unknown key", "known": known, "below": (key,)})


def _written(value: Any) -> Any:
    match value:
        case SpecModel():
            return value.written()
        case Quantity():
            return value.written()
        case tuple():
            return [_written(each) for each in value]
        case dict():
            return {str(key): _written(each) for key, each in value.items()}
        case _:
            return value


def error_at(sentence: str, *below: str | int) -> PydanticCustomError:
    """An error located `below` the value being validated, by keys and indices."""
    return PydanticCustomError("misplaced", "{sentence}", {"sentence": sentence, "below": below})


def suggestion(found: str, known: Iterable[str]) -> str:
    """The closest known word, or all known words."""
    known = list(known)
    matches = difflib.get_close_matches(found, known, n=1)
    return f"did you mean {matches[0]}?" if matches else f"expected one of {', '.join(known) or 'nothing'}"
