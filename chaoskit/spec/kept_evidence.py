"""Defines what a run keeps beside its measurement, to tell whose a stall was."""

from __future__ import annotations

from pydantic import Field

from chaoskit.faults.schema import SpecModel


class Evidence(SpecModel):
    """The evidence of a run, beside its streams, that tells whose its stalls were."""

    capture: bool = Field(
        False,
        description="The headers of the target's packets, as the client sends and receives them: `capture.pcapng`; "
        "in a lab also as they pass each router: `capture-ROUTER.pcapng`.",
    )
