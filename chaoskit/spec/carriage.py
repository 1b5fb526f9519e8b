"""Defines where a request carries what it is: a field of its body, or a header that the user's gateway reads."""

from __future__ import annotations

import re
from typing import Annotated

from pydantic import AfterValidator, Field, WithJsonSchema

from chaoskit.faults.schema import SpecModel

_HEADER = r"header ([!#$%&'*+.^_`|~0-9A-Za-z-]{1,100})"  # a token of RFC 9110
_TAKEN = ("host", "content-length", "content-type", "transfer-encoding", "connection", "authorization")


def header_of(carrier: str) -> str | None:
    """The name of the header in `header NAME`, in lower case; None for another carrier."""
    found = re.fullmatch(_HEADER, carrier)
    return found[1].lower() if found else None


def carrier(*fields: str) -> AfterValidator:
    """One of these words, or `header NAME`."""

    def check(words: str) -> str:
        name = header_of(words)
        if name in _TAKEN:
            raise ValueError(f"the header {name} has its own meaning; choose another, for example header x-{name}")
        if name is None and words not in fields:
            known = ", ".join(fields)
            raise ValueError(f"found {words[:60]!r}, expected one of {known}, or a header: header x-workflow")
        return words

    return AfterValidator(check)


def carriers(*fields: str) -> WithJsonSchema:
    """JSON Schema of the same."""
    return WithJsonSchema({"type": "string", "pattern": f"^(?:{'|'.join(fields)}|{_HEADER})$"})


_WORKFLOW = ("model", "none")


class Carry(SpecModel):
    """How a request says what it is."""

    workflow: Annotated[str, carrier(*_WORKFLOW), carriers(*_WORKFLOW)] = Field(
        "model",
        description="How it says its workflow: `model` has the workflow's name, unless that has a model of its own; "
        "`header NAME`; `none`, which is the default at an endpoint.",
    )

    def at_endpoint(self) -> Carry:
        """With the default of an endpoint, which knows no model by a workflow's name."""
        return self if "workflow" in self.model_fields_set else self.model_copy(update={"workflow": "none"})
