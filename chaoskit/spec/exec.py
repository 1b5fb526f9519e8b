"""Defines the faults of `chaoskit exec` without a file: one for each direction of a command's traffic."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field, ValidationError, model_validator

from chaoskit.errors import SpecError
from chaoskit.faults.netem import NetemInput
from chaoskit.faults.schema import SpecModel
from chaoskit.spec.diagnostics import describe_option_error
from chaoskit.spec.options import parse_faults


class ExecFaults(SpecModel):
    """Faults on all traffic of a command."""

    down: NetemInput | None = Field(None, description="Fault on packets that the command receives.")
    up: NetemInput | None = Field(None, description="Fault on packets that the command sends.")
    seed: Annotated[int, Field(ge=0, lt=2**63)] = Field(0, description="The same losses again.")

    @model_validator(mode="after")
    def _has_a_fault(self) -> ExecFaults:
        if self.down is None and self.up is None:
            raise ValueError("nothing to do; give `down` or `up`, for example `down: delay 80ms 20ms loss 1%`")
        return self


def exec_faults(down: str | None, up: str | None, seed: int) -> ExecFaults:
    """The faults of a command's options, in tc's syntax or as YAML in braces. Raises SpecError."""
    try:
        return ExecFaults.model_validate(parse_faults({"down": down, "up": up, "seed": seed}))
    except ValidationError as error:
        raise SpecError("\n".join(describe_option_error(each) for each in error.errors())) from None
