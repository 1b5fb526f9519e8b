"""Defines the size-drop fault: packets above a size are dropped without a signal."""

from __future__ import annotations

from pydantic import Field

from chaoskit.faults.base import DIRECTION, Aimed, Direction, one_way
from chaoskit.faults.schema import MtuBytes
from chaoskit.knobs import Change
from chaoskit.topology import ways
from chaoskit.topology.fault_site import Interface, Site
from chaoskit.topology.steering import drop_oversized


class SizeDropFault(Aimed):
    """Packets longer than this many bytes, IP header included, are dropped in one direction or both."""

    direction: Direction = Field(description=DIRECTION)
    size_drop: MtuBytes = Field(description="Longer packets are lost; bytes from the IP header on.")

    def site_error(self, site: Site) -> str:
        """Why it cannot be applied there; "" when it can."""
        return self.aim_error(site, self.direction)

    def changes(self, site: Site, limit: int, seed: int) -> tuple[Change, ...]:
        """The size filters."""
        del limit, seed
        if isinstance(site, Interface):
            return drop_oversized(site.name, site.selector, one_way(self.direction), self.size_drop, site.classifier)
        found = (ways.drop_oversized(site.topology, way, self.size_drop) for way in self.ways(site, self.direction))
        return tuple(change for changes in found for change in changes)

    def needs(self) -> frozenset[str]:
        """The kernel features that it needs; those of the traffic selector belong to the stage."""
        is_in_lab = self.link is not None or self.host is not None
        if self.between is not None:
            return frozenset({"clsact", "u32", "police"})
        return frozenset({"clsact", "matchall", "police"} | (set() if is_in_lab else {"netem", "ifb"}))
