"""Defines the process fault: the program of a host hangs, dies, or refuses connections."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Annotated, Literal

from pydantic import Field, model_validator

from chaoskit.faults.base import FaultBase, HostReference
from chaoskit.faults.schema import bounded, in_unit, suggestion
from chaoskit.knobs import Change, Knob, Process
from chaoskit.topology.fault_site import Interface, Site
from chaoskit.topology.lab import CLIENT
from chaoskit.units import Duration

PROGRAM = "program"
"""The name of the knob."""

_AT_ONCE, _HOUR = Duration(10**6), Duration(3600 * 10**9)
Restart = Annotated[Duration, in_unit("s"), bounded(_AT_ONCE, _HOUR, "no phase is that long")] | Literal["never"]


class ProcessFault(FaultBase):
    """What the program of a host does while the fault is applied."""

    host: HostReference = Field(description="The host whose program it is; of replicas all, or one.")
    process: Literal["paused", "killed", "refusing"] = Field(
        description="`paused`: it hangs (SIGSTOP) and its connections stay open; `killed`: it is gone (SIGKILL) and is "
        "started again when the phase ends; `refusing`: new connections get a RST, and new requests on open ones too."
    )
    restart_after: Restart | None = Field(
        None,
        description="Of `killed`: when it is started again, from the begin of the phase on; `never`: not in this round "
        "of the timeline. Default: when the phase ends.",
    )

    @model_validator(mode="after")
    def _restarts_what_was_killed(self) -> ProcessFault:
        if self.restart_after is not None and self.process != "killed":
            raise ValueError(f"restart-after goes with killed, and this is {self.process}; remove it")
        return self

    @property
    def is_for_good(self) -> bool:
        """Whether it is never started again."""
        return self.restart_after == "never"

    @property
    def lasts(self) -> int | None:
        """Until it is started again within the phase."""
        return self.restart_after if isinstance(self.restart_after, Duration) else None

    def needs(self) -> frozenset[str]:
        """nftables refuses connections."""
        return frozenset({"clamp"}) if self.process == "refusing" else frozenset()

    def site_error(self, site: Site) -> str:
        """Why it cannot be applied there; "" when it can."""
        if isinstance(site, Interface):
            return f"{self.host} is a host of a lab, and the programs of a real machine are never stopped"
        known = [name for name in site.topology.names if name != CLIENT]
        if self.host == CLIENT:
            return f"the client is the probe itself; name another host, of {', '.join(known)}"
        return "" if self.host in known else f"{self.host!r} is no host of this lab; {suggestion(self.host, known)}"

    def changes(self, site: Site, limit: int, seed: int) -> tuple[Change, ...]:
        """The states of all its hosts; `limit` and `seed` are unused."""
        del limit, seed
        if isinstance(site, Interface):
            return ()
        members = site.topology.members(self.host)
        return tuple((Knob("process", each.host, PROGRAM), Process(self.process)) for each in members)

    def warnings(self) -> Iterator[str]:
        """Effects that a reader may not expect."""
        if self.process == "paused":
            yield (
                f"the kernel of {self.host} still accepts connections and acknowledges data while it is paused: "
                "clients wait for their own timeouts"
            )

    def warnings_within(self, longest: Duration) -> Iterator[str]:
        """That it is started again by the end of its phase."""
        if self.lasts is not None and self.lasts >= longest:
            yield f"restart-after {self.restart_after}: no phase is longer, so its end starts {self.host} again"
