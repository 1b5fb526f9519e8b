"""Defines the phases of a timeline: their lengths, the faults in force, and what multiplies the rate.

    timeline:
      - baseline: 20s
      - wifi+vpn: 30s
      - month-end: {for: 60s, demand: 3x}
      - incident: {for: 30s, demand: 5x, faults: [wifi]}

A phase without keys below it has the faults of its name. With them, `faults` says which, and the name is free.
"""

from __future__ import annotations

import difflib
from collections.abc import Collection, Iterable
from typing import Annotated, Any

from pydantic import BeforeValidator, Field

from chaoskit.faults.schema import SpecModel, in_unit, suggestion
from chaoskit.spec.demand_curve import Surges
from chaoskit.spec.multiple import Multiple, shown
from chaoskit.units import Duration

CLEAN_PHASES = ("warm-up", "baseline", "recovery")


def faults_of(phase: str) -> tuple[str, ...]:
    """The faults that are in force in a phase of this name."""
    return () if phase in CLEAN_PHASES else tuple(phase.split("+"))


PhaseLength = Annotated[Duration, in_unit("s")]


_KEYS = {"for": "length", "demand": "demand", "faults": "faults"}
_LENGTH = "How long it lasts; a second or more."
_DEMAND = "What the request-rate of `workload` is multiplied by: `5x`."
_FAULTS = "The faults in force. Default: those that its name says; none where it names no fault."


class PhaseKeys(SpecModel):
    """A phase with more than a length."""

    for_: PhaseLength = Field(description=_LENGTH)
    demand: Multiple = Field(1.0, description=_DEMAND, json_schema_extra={"default": "1x"})
    faults: str | list[str] = Field([], description=_FAULTS)


class Span(SpecModel):
    """One phase of the timeline: "baseline", a fault, several as "wifi+vpn", or with a name and `faults` of its own."""

    name: str = Field(description="A clean phase, a fault, or several faults joined by +.")
    length: PhaseLength = Field(description=_LENGTH)
    demand: Multiple = Field(1.0, description=_DEMAND, json_schema_extra={"default": "1x"})
    own_faults: tuple[str, ...] | None = Field(None, alias="faults", description=_FAULTS)

    @property
    def faults(self) -> tuple[str, ...]:
        """The faults in force."""
        return faults_of(self.name) if self.own_faults is None else self.own_faults

    def mismatch(self, former: Iterable[Span], known: Collection[str]) -> str | None:
        """What is wrong with it after these phases, where there are these faults; None when nothing."""
        if self.own_faults and self.name in CLEAN_PHASES:
            return f"{self.name} is a phase without a fault; give this one another name, for example incident"
        named = faults_of(self.name)
        if self.own_faults is not None and set(named) != set(self.own_faults) and set(named) & set(known):
            return f"its name says the fault {self.name}, and its faults say another; give it another name"
        for each in former:
            if each.name == self.name and (each.demand, set(each.faults)) != (self.demand, set(self.faults)):
                return f"a phase {self.name} before it has another demand or other faults; give it another name"
        return None

    def written(self) -> dict[str, Any]:
        """As in a file: `{name: length}`, or with keys below the name."""
        if self.demand == 1 and self.own_faults is None:
            return {self.name: self.length.written()}
        own = {} if self.own_faults is None else {"faults": list(self.own_faults)}
        return {self.name: {"for": self.length.written(), "demand": shown(self.demand), **own}}


def surges(spans: tuple[Span, ...], repeats: int) -> Surges:
    """What the phases of all rounds multiply the rate by."""
    return tuple((span.length, span.demand) for span in spans) * repeats


def with_free_names(words: Any, faults: Collection[str]) -> Any:
    """A raw timeline in which a phase with keys, whose name is not near to that of a fault, has no fault."""
    if not isinstance(words, list | tuple):
        return words
    return [_with_no_faults(span) if _is_free(span, faults) else span for span in words]


def _is_free(span: Any, faults: Collection[str]) -> bool:
    if not isinstance(span, dict) or len(span) != 1:
        return False
    ((name, keys),) = span.items()
    is_own = isinstance(keys, dict) and "demand" in keys and "faults" not in keys
    near = difflib.get_close_matches(str(name), [*CLEAN_PHASES, *map(str, faults)], 1, 0.8)
    return is_own and not near and "+" not in str(name)


def _with_no_faults(span: dict[str, Any]) -> dict[str, Any]:
    ((name, keys),) = span.items()
    return {name: {**keys, "faults": []}}


def _span(words: Any) -> Any:
    if isinstance(words, Span):
        return words
    if not isinstance(words, dict) or len(words) != 1:
        raise ValueError("a phase is one name and its length; write for example - baseline: 20s")
    ((name, keys),) = words.items()
    if not isinstance(keys, dict):
        return {"name": name, "length": keys}
    if unknown := [str(key) for key in keys if key not in _KEYS]:
        raise ValueError(f"unknown key {unknown[0][:40]!r} of a phase; {suggestion(unknown[0][:40], _KEYS)}")
    if "for" not in keys:
        raise ValueError(f"the phase {name} lacks its length; write for: 30s beside {', '.join(map(str, keys))}")
    own = {_KEYS[key]: value for key, value in keys.items()}
    if isinstance(own.get("faults"), str):
        own["faults"] = own["faults"].split("+")
    return {"name": name, **own}


PhaseName = Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9_+-]*$")]
_OneSpan = Annotated[dict[PhaseName, Duration | PhaseKeys], Field(min_length=1, max_length=1)]
WrittenSpan = Annotated[Span, BeforeValidator(_span, json_schema_input_type=_OneSpan)]
