"""Defines multiples, `5x`, of a rate or of a speed."""

from __future__ import annotations

import re
from typing import Annotated, Any

from pydantic import BeforeValidator, Field, WithJsonSchema

MOST = 1000
_WRITTEN = r"\s*(0*[0-9]{1,4}(?:\.[0-9]{1,9})?)\s*(?:x|×)\s*"


def _multiple(words: Any) -> Any:
    if not isinstance(words, str):
        return words
    found = re.fullmatch(_WRITTEN, words)
    if found is None:
        bare = re.fullmatch(r"\s*([0-9]{1,4}(?:\.[0-9]{1,9})?)\s*(?:times|%)?\s*", words)
        hint = f"write {bare[1]}x" if bare and "%" not in words else "write for example 5x"
        raise ValueError(f"{words[:60]!r} is no multiple; {hint}")
    return float(found[1])


_Text = Annotated[str, WithJsonSchema({"type": "string", "pattern": f"^(?:{_WRITTEN})$", "examples": ["5x"]})]
Multiple = Annotated[float, BeforeValidator(_multiple, json_schema_input_type=_Text), Field(ge=0, le=MOST)]
"""From 0x to 1000x."""


def shown(multiple: float) -> str:
    """As in a file: `5x`."""
    return f"{multiple:.9g}x"
