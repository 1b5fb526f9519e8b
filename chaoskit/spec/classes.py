"""Defines the classes of requests: how many there are, who goes first, and how a request says its own.

    classes:
      premium: {share: 20%, priority: 2}
      batch:   {share: 80%, priority: 0, budget: 40}
    workload:
      carry: {class: service_tier}

Of several requests that wait, the one whose class has the higher `priority` goes first, as for llm-d's objectives. The
class of a conversation follows from the seed and its number, so that other requests do not change it.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from itertools import pairwise
from typing import Annotated, Literal

from pydantic import AfterValidator, Field

from chaoskit.faults.schema import SpecModel, error_at, suggestion, together
from chaoskit.seed import source
from chaoskit.spec.access import HEADER_NAME, HEADER_VALUE
from chaoskit.spec.endpoint import holds_key
from chaoskit.tiers.carriage import FORMER_OBJECTIVE_HEADER, OBJECTIVE_HEADER, PRIORITY_FIELD, TIER_FIELD, Carriage
from chaoskit.units import Share, counted

MOST_CLASSES = 16
_ALL = Share(Share.largest)
_MOST_ROUNDING = 16  # parts per billion that the shares of so many classes lose
_NAME = r"^[a-z][a-z0-9-]{0,31}$"
_FIELD = re.compile(r"[A-Za-z_][A-Za-z0-9_-]*(\.[A-Za-z_][A-Za-z0-9_-]*){0,3}")
_INTEGER = re.compile(r"-?[0-9]{1,9}")
_NOT_A_PLACE = f"write service_tier, priority, or for example header {OBJECTIVE_HEADER} or field metadata.tier"
TIERS_OF_OPENAI = ("auto", "default", "flex", "priority")
"""The values of `service_tier` that OpenAI's API takes; Bedrock's and Vertex' are among them, but for `reserved`."""


def _sent(text: str) -> str:
    if holds_key(text):
        raise ValueError("what looks like a key; a class is public, write for example flex")
    if not HEADER_VALUE.fullmatch(text):
        raise ValueError(f"{text[:40]!r} cannot be sent; give printable ASCII on one line")
    return text


class TrafficClass(SpecModel):
    """A class of requests."""

    share: Share = Field(description="Of all requests; those of all classes add up to 100%.")
    priority: Annotated[int, Field(ge=-1000, le=1000)] = Field(
        description="The higher, the more important; equal ones are served in the order of their arrival."
    )
    budget: Annotated[int, Field(ge=1, le=100_000)] | None = Field(
        None, description="Most requests of it at the model at a time, by the reference gateway. Default: no limit."
    )
    sent_as: Annotated[str, Field(min_length=1, max_length=64), AfterValidator(_sent)] | None = Field(
        None, description="What a request of it says, where that is not the name of the class: `flex`."
    )


ClassName = Annotated[str, Field(pattern=_NAME)]


def _add_up(classes: dict[str, TrafficClass]) -> dict[str, TrafficClass]:
    """Require that together they have all requests."""
    total = sum(each.share for each in classes.values())
    if classes and abs(total - _ALL) > (_MOST_ROUNDING if len(classes) > 1 else 0):
        name, last = next(reversed(classes.items()))
        rest = _ALL - (total - last.share)
        hint = f"write share: {Share(rest)} at {name}" if rest > 0 else "make them smaller"
        sentence = f"the shares add up to {_percent(total)}, and make 100% together; {hint}"
        raise together("classes", [error_at(sentence, name, "share")])
    return classes


def _percent(total: int) -> str:
    return f"{total / (_ALL / 100):.10g}%"


Classes = Annotated[dict[ClassName, TrafficClass], Field(max_length=MOST_CLASSES), AfterValidator(_add_up)]


@dataclass(frozen=True)
class ClassPlace:
    """Where a request says its class: a header, a field of its body, or vLLM's priority, lower first."""

    kind: Literal["header", "field", "vllm-priority"]
    name: str

    def carriage(self, classes: Mapping[str, TrafficClass]) -> Carriage:
        """What the requests of these classes say."""
        if self.kind == "vllm-priority":
            numbers = {name: int(each.sent_as or -each.priority) for name, each in classes.items()}
            return Carriage("field", self.name, numbers)
        return Carriage(self.kind, self.name, {name: each.sent_as or name for name, each in classes.items()})


def place_of(words: str) -> ClassPlace:
    """The place that `service_tier`, `priority`, `header NAME` or `field NAME` mean. Raises ValueError."""
    kind, _, name = (part.strip() for part in words.strip().partition(" "))
    match kind, name:
        case "service_tier", "":
            return ClassPlace("field", TIER_FIELD)
        case "priority", "":
            return ClassPlace("vllm-priority", PRIORITY_FIELD)
        case "header", name if HEADER_NAME.fullmatch(name):
            return ClassPlace("header", name.lower())
        case "field", name if _FIELD.fullmatch(name):
            return ClassPlace("field", name)
    known = ("service_tier", "priority", "header", "field")
    near = suggestion(kind, known)
    hint = near if near.startswith("did you mean") and kind not in known else _NOT_A_PLACE
    raise ValueError(f"{words[:60]!r} is no place for a class; {hint}")


def only(classes: Mapping[str, TrafficClass], name: str | None) -> dict[str, TrafficClass]:
    """This class for every request; all of them for None."""
    return dict(classes) if name is None else {name: classes[name].model_copy(update={"share": _ALL})}


def draw(classes: Mapping[str, TrafficClass], seed: int, number: int) -> str | None:
    """The class of the conversation with this number; None where there are no classes."""
    if not classes:
        return None
    place = source(seed, "class", number).randrange(_ALL)
    for name, each in classes.items():
        place -= each.share
        if place < 0:
            return name
    return list(classes)[-1]  # what rounding the shares has left over


def class_errors(
    classes: Mapping[str, TrafficClass],
    place: ClassPlace,
    requests: float | None,
    others: Collection[str | None] = (),
) -> Iterator[tuple[str, tuple[str, ...]]]:
    """What is wrong with classes of about so many requests (None: unknown), and where in `classes`.

    `others` are the classes that other workloads have.
    """
    for name, each in classes.items():
        if place.kind == "vllm-priority" and each.sent_as is not None and not _INTEGER.fullmatch(each.sent_as):
            yield f"{each.sent_as!r} is no integer, as vLLM's priority is; remove sent-as", (name, "sent-as")
        if each.share == 0 and name not in others:
            yield f"nobody sends {name}: its share is 0%; give it one, or remove it", (name, "share")
        elif each.share and requests is not None and (expected := requests * each.share / _ALL) < 1:
            asked = counted(round(requests), "request")
            sentence = f"{each.share} of about {asked} is {expected:.2g}: nobody may send {name}"
            yield f"{sentence}; write a larger share, or a higher request-rate", (name, "share")


def class_warnings(classes: Mapping[str, TrafficClass], place: ClassPlace, is_foreign: bool) -> Iterator[str]:
    """What may be meant otherwise: reversed priorities, classes that are sent alike, tiers that an API may not know."""
    values = place.carriage(classes).values
    by_value: dict[str, list[str]] = {}
    for name, value in values.items():
        by_value.setdefault(str(value), []).append(name)
    for value, names in by_value.items():
        if len(names) > 1:
            yield f"classes: {' and '.join(names)} are all sent as {value}: the target cannot tell them apart"
    if place.kind == "vllm-priority":
        shown = ", ".join(f"{name} as {value}" for name, value in values.items())
        yield f"classes: vLLM serves lower priorities first, so they are sent the other way round: {shown}"
        ranked = sorted(classes, key=lambda name: -classes[name].priority)
        for name, after in pairwise(ranked):
            if int(values[name]) > int(values[after]) and classes[name].priority > classes[after].priority:
                said = f"sent as {values[name]}, and served after {after} ({values[after]})"
                yield f"classes.{name}: {said}; remove sent-as"
    if place.kind == "header" and place.name == FORMER_OBJECTIVE_HEADER:
        yield f"workload.carry: {FORMER_OBJECTIVE_HEADER} is the former name of {OBJECTIVE_HEADER}"
    if is_foreign and place.kind == "field" and place.name == TIER_FIELD:
        known = ", ".join(TIERS_OF_OPENAI)
        for name, value in values.items():
            if value not in TIERS_OF_OPENAI:
                yield f"classes.{name}: OpenAI has no service tier {value} ({known}); write for example sent-as: flex"
