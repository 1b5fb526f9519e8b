"""Defines `timers` and `calls` of a host: what its program waits for, where that cannot be read."""

from __future__ import annotations

from typing import Annotated, Any

from pydantic import BeforeValidator, Field

from chaoskit.faults.schema import Flag, SpecModel
from chaoskit.spec.workload import Timeout


class Timers(SpecModel):
    """What a program waits for when it calls another host. What is left out never runs out, as far as is known."""

    connect: Timeout | None = Field(None, description="For a connection.")
    first_byte: Timeout | None = Field(None, description="For the beginning of a response.")
    idle: Timeout | None = Field(None, description="From one read to the next, and for the first one.")
    total: Timeout | None = Field(None, description="For a whole response.")
    retries: Annotated[int, Field(ge=0, le=1000)] | None = Field(
        None, description="Attempts after the first one, each with these timers."
    )
    reuse: Timeout | None = Field(None, description="How long it keeps idle connections to the next host.")
    keep_alive: Timeout | None = Field(None, description="How long it keeps idle connections of its callers.")
    buffering: Flag | None = Field(None, description="Whether it holds responses back to send them in one piece.")


def _by_name(words: Any) -> Any:
    """A list of names, or what is waited for by name."""
    if isinstance(words, str):
        return {words: {}}
    if isinstance(words, list | tuple) and all(isinstance(each, str) for each in words):
        return {each: {} for each in words}
    if isinstance(words, dict):
        return {name: {} if timers is None else timers for name, timers in words.items()}
    return words


_Name = Annotated[str, Field(min_length=1)]
Calls = Annotated[
    dict[_Name, Timers],
    BeforeValidator(_by_name, json_schema_input_type=dict[_Name, Timers | None] | list[_Name] | _Name),
    Field(max_length=100),
]
