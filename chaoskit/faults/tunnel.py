"""Defines the tunnel fault: presets of path MTUs behind common tunnels.

| preset           | MTU  | arithmetic                                                 | source              |
|------------------|------|------------------------------------------------------------|---------------------|
| `wireguard`      | 1420 | 1500 - 40 (outer IPv6) - 8 (UDP) - 16 (header) - 16 (tag)   | wg-quick(8)         |
| `pppoe`          | 1492 | 1500 - 6 (PPPoE) - 2 (PPP)                                 | RFC 2516, section 7 |
| `vxlan`          | 1450 | 1500 - 20 (outer IPv4) - 8 (UDP) - 8 (VXLAN) - 14 (inner Ethernet) | RFC 7348    |
| `ipsec`          | 1400 | 1500 - 20 (outer IPv4) - 8 (UDP) - 8 (ESP) - 16 (IV)       | RFC 4303, RFC 3948  |
|                  |      | - 17 (padding and trailer) - 16 (ICV) = 1415, rounded down    |                     |
| `ipv6-minimum`   | 1280 | minimum MTU of links that carry IPv6                       | RFC 8200, section 5 |
| `jumbo-mismatch` | 1500 | hosts at 9000, a switch between them at 1500               | IEEE 802.3          |
"""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from chaoskit.faults.base import DIRECTION, Aimed, Direction
from chaoskit.faults.mtu import MtuFault
from chaoskit.faults.pmtu import PmtuFault, PmtuSpec, Signal
from chaoskit.faults.size_drop import SizeDropFault
from chaoskit.knobs import Change
from chaoskit.topology.fault_site import Interface, Site
from chaoskit.topology.lab import EDGE

Preset = Literal["wireguard", "pppoe", "vxlan", "ipsec", "ipv6-minimum", "jumbo-mismatch"]
PRESETS: dict[Preset, tuple[int, str]] = {
    "wireguard": (1420, "1500 - 40 (outer IPv6) - 8 (UDP) - 16 (header) - 16 (tag), wg-quick(8)"),
    "pppoe": (1492, "1500 - 6 (PPPoE) - 2 (PPP), RFC 2516"),
    "vxlan": (1450, "1500 - 20 (outer IPv4) - 8 (UDP) - 8 (VXLAN) - 14 (inner Ethernet), RFC 7348"),
    "ipsec": (
        1400,
        "1500 - 20 (outer IPv4) - 8 (UDP) - 8 (ESP) - 16 (IV) - 17 (padding and trailer) - 16 (ICV) is 1415, "
        "rounded down, RFC 4303 and RFC 3948",
    ),
    "ipv6-minimum": (1280, "the minimum MTU of links that carry IPv6, RFC 8200"),
    "jumbo-mismatch": (1500, "hosts at 9000 around a switch at 1500, which drops longer frames silently"),
}
_JUMBO = 9000


class TunnelFault(Aimed):
    """A well-known path MTU; `jumbo-mismatch` also raises the MTU of all links of the edge lab."""

    tunnel: Preset = Field(description="The preset.")
    signal: Signal | None = Field(None, description="As for pmtu: delivered or dropped. A switch sends none.")
    direction: Direction = Field("both", description=DIRECTION)

    def site_error(self, site: Site) -> str:
        """Why it cannot be applied there; "" when it can."""
        mtu, _ = PRESETS[self.tunnel]
        if isinstance(site, Interface):
            return f"this machine is no hop of the path; write size-drop: {mtu} to drop the same packets"
        if self.tunnel == "jumbo-mismatch" and self.signal == "delivered":
            return "a switch sends no signals; remove signal, or choose another tunnel"
        if self.tunnel == "jumbo-mismatch" and site.topology != EDGE:
            return "a switch between two hosts is for lab: edge; choose another tunnel"
        return next(filter(None, (part.site_error(site) for part in self._parts())), "")

    def changes(self, site: Site, limit: int, seed: int) -> tuple[Change, ...]:
        """The changes of the faults that it combines."""
        return tuple(change for part in self._parts() for change in part.changes(site, limit, seed))

    def needs(self) -> frozenset[str]:
        """The kernel features that it needs."""
        return frozenset().union(*(part.needs() for part in self._parts()))

    @property
    def arithmetic(self) -> str:
        """How its MTU is computed, in a sentence."""
        mtu, arithmetic = PRESETS[self.tunnel]
        return f"{self.tunnel} leaves {mtu}: {arithmetic}"

    def _parts(self) -> tuple[MtuFault | PmtuFault | SizeDropFault, ...]:
        mtu, _ = PRESETS[self.tunnel]
        if self.tunnel == "jumbo-mismatch":
            return (
                SizeDropFault(link="router-server", direction=self.direction, size_drop=mtu),
                MtuFault(link="client-router", mtu=_JUMBO),
                MtuFault(link="router-server", mtu=_JUMBO),
            )
        spec = PmtuSpec(mtu=mtu, signal=self.signal or "delivered")
        return (PmtuFault(host=self.host, between=self.between, direction=self.direction, pmtu=spec),)
