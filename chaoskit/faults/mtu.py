"""Defines the mtu fault: a smaller link MTU at both ends, or at one end only."""

from __future__ import annotations

from collections.abc import Iterator

from pydantic import Field, model_validator

from chaoskit.faults.base import HOST, LINK, FaultBase, HostReference, Segment, say_where
from chaoskit.faults.schema import IPV6_MIN_MTU, MtuBytes, suggestion
from chaoskit.knobs import Change, Knob, Mtu
from chaoskit.topology.fault_site import Interface, Site
from chaoskit.topology.lab import CLIENT, EDGE, SERVER
from chaoskit.topology.lab_build import VLAN_TAG
from chaoskit.topology.ways import ends

_HOST_OF: dict[Segment, str] = {"client-router": CLIENT, "router-server": SERVER}
_ROUTER = "router"


class MtuFault(FaultBase):
    """The MTU of a link of the lab, or of a real interface (whose other end is unchanged)."""

    link: Segment | None = Field(None, description=LINK)
    host: HostReference | None = Field(None, description=HOST)
    end: HostReference | None = Field(
        None, description="The end that changes: `router`, or the host at the other end. Default: both."
    )
    mtu: MtuBytes = Field(description="The MTU, bytes.")

    @model_validator(mode="after")
    def _an_end_of_the_link(self) -> MtuFault:
        if self.link is not None and self.host is not None:
            raise ValueError("link and host both say which link; remove one of them")
        if self.end is not None and self._host is None:
            raise ValueError("end belongs to a link of the lab; add link or host, or remove end")
        if self.end is not None and self.end not in (known := self._ends()):
            where = self.link or f"the link of {self.host}"
            raise ValueError(f"{self.end} is no end of {where}; expected one of {', '.join(known)}")
        return self

    @property
    def _host(self) -> str | None:
        return _HOST_OF[self.link] if self.link is not None else self.host

    def _ends(self) -> list[str]:
        return self.link.split("-") if self.link is not None else [self.host or "", _ROUTER]

    def site_error(self, site: Site) -> str:
        """Why it cannot be applied there; "" when it can."""
        if isinstance(site, Interface):
            given = self.link or self.host
            return f"a real interface has no link {given}; remove {'link' if self.link else 'host'}" if given else ""
        if site.ip == 6 and self.mtu < IPV6_MIN_MTU:
            return f"IPv6 requires an MTU of at least {IPV6_MIN_MTU} (RFC 8200); give that or more, or stage: {{ip: 4}}"
        if self.link is not None and site.topology != EDGE:
            return f"{self.link} is a link of lab: edge; write host: NAME, whose link it is"
        if self._host is None:
            return say_where(site.topology)
        names = site.topology.names
        return "" if self._host in names else f"{self._host!r} is no host of this lab; {suggestion(self._host, names)}"

    def changes(self, site: Site, limit: int, seed: int) -> tuple[Change, ...]:
        """The MTUs that it sets; `limit` and `seed` are unused."""
        del limit, seed
        if isinstance(site, Interface):
            return ((Knob("mtu", "", site.name), Mtu(self.mtu)),)
        members = site.topology.members(self._host or "")
        return tuple(
            (Knob("mtu", place, link), Mtu(self.mtu))
            for each in members
            for place, link in ends(site.topology, each.host)
            if self.end is None or (self.end == _ROUTER) == (place == each.router)
        )

    def warnings(self) -> Iterator[str]:
        """Effects that a reader may not expect."""
        if self.end is not None:
            yield (
                f"packets to the {self.end}'s end are lost from {self.mtu + VLAN_TAG + 1} bytes on: a veth leaves room "
                "for a VLAN tag"
            )
        elif self._host is not None:
            yield (
                f"both ends of {self.link or f'the link of {self.host}'} know the MTU {self.mtu}, so handshakes "
                "announce segments that fit and no packet is ever too long; for an MTU that the ends do not know "
                "write pmtu"
            )
