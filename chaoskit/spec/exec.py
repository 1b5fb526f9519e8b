"""The words of a way out: what happens in each direction to all that one command sends and receives."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field, ValidationError, model_validator

from chaoskit.errors import SpecError
from chaoskit.faults.netem import NetemInput
from chaoskit.faults.schema import SpecModel
from chaoskit.spec.diagnostics import option_complaint
from chaoskit.spec.options import netems


class ExecFaults(SpecModel):
    """A fault on a command's only way out."""

    down: NetemInput | None = Field(None, description="What happens to what the command receives.")
    up: NetemInput | None = Field(None, description="What happens to what the command sends.")
    seed: Annotated[int, Field(ge=0, lt=2**63)] = 0

    @model_validator(mode="after")
    def _something(self) -> ExecFaults:
        if self.down is None and self.up is None:
            raise ValueError("nothing to do; give `down` or `up`, for example `down: delay 80ms 20ms loss 1%`")
        return self


def exec_faults(down: str | None, up: str | None, seed: int) -> ExecFaults:
    """The outing of a command's options, in tc's words or in YAML's between braces. Raises SpecError."""
    try:
        return ExecFaults.model_validate(netems({"down": down, "up": up, "seed": seed}))
    except ValidationError as error:
        raise SpecError("\n".join(option_complaint(each) for each in error.errors())) from None
