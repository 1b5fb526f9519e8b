"""How the words of an experiment file are read: kebab-case, nothing unknown, nothing changed afterwards."""

from __future__ import annotations

import difflib
from collections.abc import Callable, Iterable
from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field, model_validator
from pydantic_core import PydanticCustomError

from chaoskit.units import Quantity

IPV6_MIN_MTU = 1280  # RFC 8200, section 5: what every link that carries IPv6 must take
MtuBytes = Annotated[int, Field(ge=68, le=65_535)]  # RFC 791: what every link must take; the longest packet there is
SegmentBytes = Annotated[int, Field(ge=88, le=65_535)]  # the kernel's TCP_MIN_MSS, include/net/tcp.h


def short_form(key: str) -> Callable[[Any], Any]:
    """A bare quantity means the mapping with only `key`."""

    def expand(value: Any) -> Any:
        return {key: value} if isinstance(value, str | int) else value

    return expand


class SpecModel(BaseModel):
    """Base of everything an author writes. An unknown key is an error that names the nearest known one."""

    model_config = ConfigDict(
        frozen=True,
        extra="forbid",
        alias_generator=lambda name: name.removesuffix("_").replace("_", "-"),
        populate_by_name=True,
    )

    @model_validator(mode="before")
    @classmethod
    def _known(cls, words: Any) -> Any:
        if isinstance(words, dict):
            keys = [field.alias or name for name, field in cls.model_fields.items()]
            for key in words:
                if str(key) not in cls.model_fields and str(key).replace("_", "-") not in keys:
                    raise error_at(f"unknown key; {suggestion(str(key), keys)}", key)
        return words

    def written(self) -> dict[str, Any]:
        """What an author would have to write for this; it loads to an equal one. Plain JSON, with units."""
        given = {name: getattr(self, name) for name in type(self).model_fields if name in self.model_fields_set}
        return {
            type(self).model_fields[name].alias or name: _written(value)
            for name, value in given.items()
            if value is not None
        }


def _written(value: Any) -> Any:
    match value:
        case SpecModel():
            return value.written()
        case Quantity():
            return value.written()
        case tuple():
            return [_written(each) for each in value]
        case _:
            return value


def error_at(sentence: str, *below: str | int) -> PydanticCustomError:
    """An error about something `below` the value being validated, by its keys and indices."""
    return PydanticCustomError("misplaced", "{sentence}", {"sentence": sentence, "below": below})


def suggestion(found: str, known: Iterable[str]) -> str:
    """What the author may have meant, or everything that would have been right."""
    known = list(known)
    near = difflib.get_close_matches(found, known, n=1)
    return f"did you mean {near[0]}?" if near else f"expected one of {', '.join(known) or 'nothing'}"
