"""How the words of an experiment file are read: kebab-case, nothing unknown, nothing changed afterwards."""

from __future__ import annotations

import difflib
from collections.abc import Iterable
from typing import Any

from pydantic import BaseModel, ConfigDict, model_validator
from pydantic_core import PydanticCustomError


class Words(BaseModel):
    """Base of everything an author writes. An unknown key is an error that names the nearest known one."""

    model_config = ConfigDict(
        frozen=True,
        extra="forbid",
        alias_generator=lambda name: name.replace("_", "-"),
        populate_by_name=True,
    )

    @model_validator(mode="before")
    @classmethod
    def _known(cls, words: Any) -> Any:
        if isinstance(words, dict):
            for key in words:
                if str(key).replace("-", "_") not in cls.model_fields:
                    keys = [name.replace("_", "-") for name in cls.model_fields]
                    raise misplaced(f"unknown key; {nearest(str(key), keys)}", key)
        return words


def misplaced(sentence: str, *below: str | int) -> PydanticCustomError:
    """An error about something `below` the value being validated, by its keys and indices."""
    return PydanticCustomError("misplaced", "{sentence}", {"sentence": sentence, "below": below})


def nearest(found: str, known: Iterable[str]) -> str:
    """What the author may have meant, or everything that would have been right."""
    known = list(known)
    near = difflib.get_close_matches(found, known, n=1)
    return f"did you mean {near[0]}?" if near else f"expected one of {', '.join(known) or 'nothing'}"
