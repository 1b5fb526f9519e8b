"""Defines the mtu fault: a smaller link MTU at both ends, or at one end only."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Literal

from pydantic import Field, model_validator

from chaoskit.faults.base import LINK, FaultBase, link_error
from chaoskit.faults.schema import IPV6_MIN_MTU, MtuBytes
from chaoskit.knobs import Change, Knob, Mtu
from chaoskit.topology.edge import VLAN_TAG, Segment, ends
from chaoskit.topology.fault_site import Interface, Lab, Site


class MtuFault(FaultBase):
    """The MTU of a link of the lab, or of a real interface (whose other end is unchanged)."""

    link: Segment | None = Field(None, description=LINK)
    end: Literal["client", "router", "server"] | None = Field(None, description="The end that changes; default: both.")
    mtu: MtuBytes = Field(description="The MTU, bytes.")

    @model_validator(mode="after")
    def _an_end_of_the_link(self) -> MtuFault:
        if self.end is not None and self.link is None:
            raise ValueError("end belongs to a link of the lab; add link, or remove end")
        if self.end is not None and self.link is not None and self.end not in self.link.split("-"):
            raise ValueError(f"{self.end} is no end of {self.link}; expected one of {', '.join(self.link.split('-'))}")
        return self

    def site_error(self, site: Site) -> str:
        """Why it cannot be applied there; "" when it can."""
        if isinstance(site, Lab) and site.ip == 6 and self.mtu < IPV6_MIN_MTU:
            return f"IPv6 requires an MTU of at least {IPV6_MIN_MTU} (RFC 8200); give that or more, or stage: {{ip: 4}}"
        return link_error(self.link, site)

    def changes(self, site: Site, limit: int, seed: int) -> tuple[Change, ...]:
        """The MTUs that it sets; `limit` and `seed` are unused."""
        del limit, seed
        if isinstance(site, Interface) or self.link is None:
            return ((Knob("mtu", "", site.name if isinstance(site, Interface) else ""), Mtu(self.mtu)),)
        return tuple(
            (Knob("mtu", place, link), Mtu(self.mtu)) for place, link in ends(self.link) if self.end in (None, place)
        )

    def warnings(self) -> Iterator[str]:
        """Effects that a reader may not expect."""
        if self.end is not None:
            yield (
                f"packets to the {self.end}'s end are lost from {self.mtu + VLAN_TAG + 1} bytes on: a veth leaves room "
                "for a VLAN tag"
            )
        elif self.link is not None:
            yield (
                f"both ends of {self.link} know the MTU {self.mtu}, so handshakes announce segments that fit and "
                "no packet is ever too long; for an MTU that the ends do not know write pmtu"
            )
