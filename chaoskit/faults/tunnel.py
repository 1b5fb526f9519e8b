"""Tunnels as people have them, by the size that is left inside.

| preset           | MTU  | arithmetic                                                 | source              |
|------------------|------|------------------------------------------------------------|---------------------|
| `wireguard`      | 1420 | 1500 - 40 (outer IPv6) - 8 (UDP) - 16 (header) - 16 (tag)   | wg-quick(8)         |
| `pppoe`          | 1492 | 1500 - 6 (PPPoE) - 2 (PPP)                                 | RFC 2516, section 7 |
| `vxlan`          | 1450 | 1500 - 20 (outer IPv4) - 8 (UDP) - 8 (VXLAN) - 14 (inner Ethernet) | RFC 7348    |
| `ipsec`          | 1400 | 1500 - 20 (outer IPv4) - 8 (UDP) - 8 (ESP) - 16 (IV)       | RFC 4303, RFC 3948  |
|                  |      | - 17 (padding and trailer) - 16 (ICV) = 1415, rounded down    |                     |
| `ipv6-minimum`   | 1280 | what every link that carries IPv6 must take                | RFC 8200, section 5 |
| `jumbo-mismatch` | 1500 | hosts at 9000, a switch between them at 1500               | IEEE 802.3          |
"""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from chaoskit.faults.base import FaultBase
from chaoskit.faults.mtu import MtuFault
from chaoskit.faults.pmtu import PmtuFault, PmtuSpec, Signal
from chaoskit.faults.size_drop import SizeDropFault
from chaoskit.knobs import Change
from chaoskit.topology.edge import Direction
from chaoskit.topology.fault_site import Interface, Site

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
    "ipv6-minimum": (1280, "what every link that carries IPv6 must take, RFC 8200"),
    "jumbo-mismatch": (1500, "hosts at 9000 around a switch at 1500, which loses the rest unsaid"),
}
_JUMBO = 9000


class TunnelFault(FaultBase):
    """A narrow place of a well-known size; `jumbo-mismatch` also makes the lab's links wide."""

    tunnel: Preset
    signal: Signal | None = Field(None, description="As of pmtu: delivered, or dropped. A switch has none to give.")
    direction: Direction = "both"

    def site_error(self, site: Site) -> str:
        """Why it cannot be in force there; "" when it can."""
        mtu, _ = PRESETS[self.tunnel]
        if isinstance(site, Interface):
            return f"this machine is no hop of the path; write size-drop: {mtu} for the same packets lost"
        if self.tunnel == "jumbo-mismatch" and self.signal == "delivered":
            return "a switch tells nobody what it loses; take signal away, or choose another tunnel"
        return next(filter(None, (part.site_error(site) for part in self._parts())), "")

    def changes(self, site: Site, limit: int, seed: int) -> tuple[Change, ...]:
        """Those of the faults that it stands for."""
        return tuple(change for part in self._parts() for change in part.changes(site, limit, seed))

    def needs(self) -> frozenset[str]:
        """The features that it asks of a kernel."""
        return frozenset().union(*(part.needs() for part in self._parts()))

    @property
    def arithmetic(self) -> str:
        """How its size comes about, in a sentence."""
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
        return (PmtuFault(direction=self.direction, pmtu=PmtuSpec(mtu=mtu, signal=self.signal or "delivered")),)
