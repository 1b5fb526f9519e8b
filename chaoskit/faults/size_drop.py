"""Defines the size-drop fault: packets above a size are dropped without a signal."""

from __future__ import annotations

from pydantic import Field

from chaoskit.faults.base import DIRECTION, LINK, FaultBase, link_error
from chaoskit.faults.schema import MtuBytes
from chaoskit.knobs import Change
from chaoskit.topology import edge
from chaoskit.topology.edge import Direction, Segment
from chaoskit.topology.fault_site import Interface, Site
from chaoskit.topology.steering import drop_oversized


class SizeDropFault(FaultBase):
    """Packets longer than this many bytes, IP header included, are dropped in one direction or both."""

    link: Segment | None = Field(None, description=LINK)
    direction: Direction = Field(description=DIRECTION)
    size_drop: MtuBytes = Field(description="Longer packets are lost; bytes from the IP header on.")

    def site_error(self, site: Site) -> str:
        """Why it cannot be applied there; "" when it can."""
        return link_error(self.link, site)

    def changes(self, site: Site, limit: int, seed: int) -> tuple[Change, ...]:
        """The size filters."""
        del limit, seed
        if isinstance(site, Interface):
            return drop_oversized(
                site.name, site.selector, edge.directions(self.direction), self.size_drop, site.classifier
            )
        assert self.link is not None
        return edge.drop_oversized(self.link, self.direction, self.size_drop)

    def needs(self) -> frozenset[str]:
        """The kernel features that it needs; those of the traffic selector belong to the stage."""
        return frozenset({"clsact", "matchall", "police"} | (set() if self.link else {"netem", "ifb"}))
