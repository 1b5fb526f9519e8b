"""Defines the mss-clamp fault: a lower MSS option in TCP handshakes, as middleboxes set it."""

from __future__ import annotations

from pydantic import Field

from chaoskit.faults.connection_places import ConnectionFault
from chaoskit.faults.schema import SegmentBytes
from chaoskit.knobs import Change, Clamp, Knob
from chaoskit.middlebox import TcpFlow
from chaoskit.topology.fault_site import Interface, Lab, Site
from chaoskit.topology.steering import clamp, has_tcp


class MssClampFault(ConnectionFault):
    """No handshake announces a larger MSS, in either direction, over IPv4 and IPv6: on the client's router in a lab, on
    that of a host, or in the selected traffic of an interface."""

    mss_clamp: SegmentBytes = Field(
        description="Bytes of a segment: the path's MTU without 40 bytes of headers over IPv4, 60 over IPv6."
    )

    def site_error(self, site: Site) -> str:
        """Why it cannot be applied there; "" when it can."""
        if self.link is not None:
            return "the router clamps the handshakes of the whole path, not of a link of it; remove link"
        if not isinstance(site, Interface) or has_tcp(site.selector):
            return self.aim_error(site)
        return (
            f"only TCP has handshakes, and the stage selects {site.selector.protocol} alone; write protocol: tcp there"
        )

    def changes(self, site: Site, limit: int, seed: int) -> tuple[Change, ...]:
        """The clamp on the router or on the interface."""
        del limit, seed
        if isinstance(site, Interface):
            return clamp(site.name, site.selector, self.mss_clamp)
        if self.host is None and self.between is None:
            return ((Knob("clamp", site.topology.routers[0], "mss"), Clamp(self.mss_clamp)),)
        handshakes: dict[str, tuple[TcpFlow, ...]] = {}
        for place in self.places(site):
            handshakes[place.namespace] = (*handshakes.get(place.namespace, ()), *place.both)
        return tuple((Knob("clamp", router, "mss"), Clamp(self.mss_clamp, of)) for router, of in handshakes.items())

    def aims(self, site: Lab) -> bool:
        """Always: the client's router has the handshakes of the whole path."""
        del site
        return True

    def needs(self) -> frozenset[str]:
        """The features that it asks of a kernel."""
        return frozenset({"clamp"})
