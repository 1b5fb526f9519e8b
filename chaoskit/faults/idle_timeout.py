"""Defines the idle-timeout fault: a NAT, firewall or load balancer that forgets a silent connection."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Annotated

from pydantic import AfterValidator, BeforeValidator, Field

from chaoskit.faults.connection_cut import BY, checked_time, ending_text, no_tcp, too_long
from chaoskit.faults.connection_places import ConnectionFault
from chaoskit.faults.schema import SpecModel, in_unit
from chaoskit.knobs import Change, Knob
from chaoskit.middlebox import Ending, IdleTimeout
from chaoskit.topology.fault_site import Site
from chaoskit.units import Duration


class IdleTimeoutSpec(SpecModel):
    """How long a connection may be silent, and who is told."""

    after: Annotated[Duration, in_unit("s"), AfterValidator(checked_time)] = Field(
        description="Time without a packet in either direction."
    )
    by: Ending = Field("silence", description=BY)


IdleTimeoutInput = Annotated[
    IdleTimeoutSpec, BeforeValidator(ending_text, json_schema_input_type=IdleTimeoutSpec | str)
]


class IdleTimeoutFault(ConnectionFault):
    """Silent connections are forgotten, on a router of the lab or in the selected traffic of an interface."""

    idle_timeout: IdleTimeoutInput = Field(description="A time, and how: `60s`, `350s by reset`.")

    def site_error(self, site: Site) -> str:
        """Why it cannot be applied there; "" when it can."""
        return self.aim_error(site) or no_tcp(site)

    def changes(self, site: Site, limit: int, seed: int) -> tuple[Change, ...]:
        """A table at each place."""
        del limit, seed
        asked = self.idle_timeout
        return tuple(
            (
                Knob("idle-timeout", place.namespace, place.name),
                IdleTimeout(asked.by, place.both, asked.after // 10**6),
            )
            for place in self.places(site)
        )

    def needs(self) -> frozenset[str]:
        """The features that it asks of a kernel."""
        return frozenset({"connections"})

    def warnings_within(self, longest: Duration) -> Iterator[str]:
        """A time that no phase of this length reaches."""
        yield from too_long(self.idle_timeout.after, longest)
