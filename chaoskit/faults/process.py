"""Defines the process fault: the program of a host hangs, dies, or refuses connections."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Literal

from pydantic import Field

from chaoskit.faults.base import FaultBase, HostReference
from chaoskit.faults.schema import suggestion
from chaoskit.knobs import Change, Knob, Process
from chaoskit.topology.fault_site import Interface, Site
from chaoskit.topology.lab import CLIENT

PROGRAM = "program"
"""The name of the knob."""


class ProcessFault(FaultBase):
    """What the program of a host does while the fault is applied."""

    host: HostReference = Field(description="The host whose program it is; of replicas all, or one.")
    process: Literal["paused", "killed", "refusing"] = Field(
        description="`paused`: it hangs (SIGSTOP) and its connections stay open; `killed`: it is gone (SIGKILL) and is "
        "started again when the phase ends; `refusing`: new connections get a RST, open ones go on."
    )

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
