"""What a well-kept middlebox does about a narrow path: TCP's handshakes are made to ask for segments that fit."""

from __future__ import annotations

from pydantic import Field

from chaoskit.faults.base import FaultBase
from chaoskit.faults.schema import SegmentBytes
from chaoskit.knobs import Change, Clamp, Knob
from chaoskit.topology.fault_site import Interface, Site
from chaoskit.topology.steering import clamp, has_handshakes


class MssClampFault(FaultBase):
    """No handshake asks for longer segments, in either direction, over IPv4 and IPv6: by the lab's router, or of an
    interface's traffic that is meant."""

    mss_clamp: SegmentBytes = Field(
        description="Bytes of a segment: the path's MTU without 40 bytes of headers over IPv4, 60 over IPv6."
    )

    def site_error(self, site: Site) -> str:
        """Why it cannot be in force there; "" when it can."""
        if not isinstance(site, Interface) or has_handshakes(site.selector):
            return ""
        return f"only TCP has handshakes, and the stage means {site.selector.protocol} alone; write protocol: tcp there"

    def changes(self, site: Site, limit: int, seed: int) -> tuple[Change, ...]:
        """The clamp, of the router or of the interface."""
        del limit, seed
        if isinstance(site, Interface):
            return clamp(site.name, site.selector, self.mss_clamp)
        return ((Knob("clamp", "router", "mss"), Clamp(self.mss_clamp)),)

    def needs(self) -> frozenset[str]:
        """The features that it asks of a kernel."""
        return frozenset({"clamp"})
