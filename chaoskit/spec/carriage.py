"""Defines where requests say their workflow and their class: in a field of the body, or in a header."""

from __future__ import annotations

from typing import Annotated

from pydantic import AfterValidator, Field

from chaoskit.faults.schema import SpecModel
from chaoskit.spec.access import HEADER_NAME
from chaoskit.spec.classes import ClassPlace, place_of
from chaoskit.tiers.carriage import OBJECTIVE_HEADER

_TAKEN = ("host", "content-length", "content-type", "transfer-encoding", "connection", "authorization")


def _is_class_place(words: str) -> str:
    place_of(words)
    return words


def _is_workflow_place(words: str) -> str:
    name = workflow_header(words)
    if name in _TAKEN:
        raise ValueError(f"the header {name} has its own meaning; choose another, for example header x-workflow")
    if name is None and words not in ("model", "none"):
        raise ValueError(f"{words[:60]!r} is no place for a workflow; write model, none, or header x-workflow")
    return words


def workflow_header(place: str) -> str | None:
    """The name of the header in `header NAME`, in lower case; None for another place."""
    kind, _, name = (part.strip() for part in place.strip().partition(" "))
    return name.lower() if kind == "header" and HEADER_NAME.fullmatch(name) else None


class Carry(SpecModel):
    """Where requests say what they are."""

    workflow: Annotated[str, AfterValidator(_is_workflow_place)] = Field(
        "model",
        description="Their workflow: `model` of the body has its name, unless it has a model of its own; "
        "`header NAME`; `none`, which is the default at an endpoint.",
    )
    class_: Annotated[str, AfterValidator(_is_class_place)] = Field(
        f"header {OBJECTIVE_HEADER}",
        description="Their class: `service_tier` of the body, `priority` of the body as vLLM has it (lower first), "
        "`header NAME` or `field NAME`.",
    )

    @property
    def class_place(self) -> ClassPlace:
        """Where they say their class."""
        return place_of(self.class_)

    def at_endpoint(self) -> Carry:
        """With the default of an endpoint, which knows no model by a workflow's name."""
        return self if "workflow" in self.model_fields_set else self.model_copy(update={"workflow": "none"})
