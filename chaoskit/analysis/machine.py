"""Defines what of a machine's state is part of a result, and reads it from `machine.json`."""

from __future__ import annotations

from typing import Annotated, Any, ClassVar

from pydantic import ConfigDict, Field, StringConstraints, ValidationError

from chaoskit.analysis.finite_json import FiniteJson

_Text = Annotated[str, StringConstraints(max_length=256)]
_Sysctls = Annotated[dict[_Text, _Text], Field(max_length=64)]


class Machine(FiniteJson):
    """The machine that a run was made on, as far as it changes how TCP and this program behave."""

    model_config = ConfigDict(use_attribute_docstrings=True, allow_inf_nan=False)
    why_missing: ClassVar = {"steal": "in virtual time how busy the machine was is no part of a result"}

    processors: int
    """How many there are."""
    kernel: _Text
    """Its release; that of the guest in a guest."""
    clock_source: _Text
    """What the kernel reads the time from; empty where it does not tell."""
    sysctls: _Sysctls
    """By name, those of the client's namespace."""
    missing: tuple[_Text, ...]
    """Sysctls that this kernel does not have."""
    others: dict[_Text, _Sysctls] = Field(max_length=512)
    """By namespace of a lab, those that differ there from the client's."""
    link: _Text
    """The client's link, or the interface of the run."""
    offloads: dict[_Text, bool]
    """What that link puts together or takes apart: `tso`, `gso`, `gro`; empty where it does not tell."""
    load: tuple[float, ...] = ()
    """The load average of a minute, at the run's begin and end; empty in virtual time, whose machine is not told of."""
    steal: float | None = None
    """The share of the processors' time that the hypervisor gave to others meanwhile; null in virtual time."""


def read_machine(fields: dict[str, Any]) -> tuple[Machine | None, tuple[str, ...]]:
    """The state in the fields of `machine.json`, and a warning if it cannot be read."""
    state = fields.get("state")
    if state is None:
        return None, ()
    try:
        return Machine.model_validate(state), ()
    except ValidationError:
        return None, ("the machine's state is unknown: machine.json has something else in its place",)
