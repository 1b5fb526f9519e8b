"""Defines the mss-clamp fault: a lower MSS option in TCP handshakes, as middleboxes set it."""

from __future__ import annotations

from pydantic import Field

from chaoskit.faults.base import FaultBase
from chaoskit.faults.schema import SegmentBytes
from chaoskit.knobs import Change, Clamp, Knob
from chaoskit.topology.fault_site import Interface, Site
from chaoskit.topology.steering import clamp, has_tcp


class MssClampFault(FaultBase):
    """No handshake announces a larger MSS, in either direction, over IPv4 and IPv6: on the client's router in a lab, or
    in the selected traffic of an interface."""

    mss_clamp: SegmentBytes = Field(
        description="Bytes of a segment: the path's MTU without 40 bytes of headers over IPv4, 60 over IPv6."
    )

    def site_error(self, site: Site) -> str:
        """Why it cannot be applied there; "" when it can."""
        if not isinstance(site, Interface) or has_tcp(site.selector):
            return ""
        return (
            f"only TCP has handshakes, and the stage selects {site.selector.protocol} alone; write protocol: tcp there"
        )

    def changes(self, site: Site, limit: int, seed: int) -> tuple[Change, ...]:
        """The clamp on the router or on the interface."""
        del limit, seed
        if isinstance(site, Interface):
            return clamp(site.name, site.selector, self.mss_clamp)
        return ((Knob("clamp", site.topology.routers[0], "mss"), Clamp(self.mss_clamp)),)

    def needs(self) -> frozenset[str]:
        """The features that it asks of a kernel."""
        return frozenset({"clamp"})
