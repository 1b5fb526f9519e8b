"""Defines the link cut: all packets of a host are lost, or those between two hosts."""

from __future__ import annotations

from typing import Literal

from pydantic import Field, model_validator

from chaoskit.faults.base import BETWEEN, HOST, Aimed, FaultBase, HostReference
from chaoskit.faults.schema import exactly_one
from chaoskit.knobs import Change
from chaoskit.topology import ways
from chaoskit.topology.fault_site import Interface, Site


class LinkCutFault(FaultBase):
    """An unplugged cable: packets are lost without a signal, in both directions."""

    model_config = exactly_one("host", "between")

    link: Literal["cut"] = Field(description="`cut`.")
    host: HostReference | None = Field(None, description=HOST)
    between: tuple[HostReference, HostReference] | None = Field(None, description=BETWEEN)

    @model_validator(mode="after")
    def _one_aim(self) -> LinkCutFault:
        self._aim()
        return self

    def _aim(self) -> Aimed:
        return Aimed(host=self.host, between=self.between)

    def site_error(self, site: Site) -> str:
        """Why it cannot be applied there; "" when it can."""
        if isinstance(site, Interface):
            return "the link of a real interface is not cut; write netem: loss 100% for the selected traffic"
        return self._aim().aim_error(site)

    def changes(self, site: Site, limit: int, seed: int) -> tuple[Change, ...]:
        """Filters that drop all these packets; `limit` and `seed` are unused."""
        del limit, seed
        if isinstance(site, Interface):
            return ()
        found = (ways.drop_oversized(site.topology, way, 0) for way in self._aim().ways(site, "both"))
        return tuple(change for changes in found for change in changes)

    def needs(self) -> frozenset[str]:
        """The kernel features that it needs."""
        return frozenset({"clsact", "drop", "u32" if self.between is not None else "matchall"})
