"""Defines the pmtu fault: a smaller MTU behind the first hop, with or without its ICMP signals.

`signal: delivered` is working path-MTU discovery (RFC 1191, RFC 8201). `signal: dropped` is a path-MTU black hole: the
router's "fragmentation needed" or "packet too big" is lost on its way to the sender, as behind a firewall that drops
ICMP (RFC 2923).
"""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import BeforeValidator, Field

from chaoskit.faults.base import DIRECTION, Aimed, Direction
from chaoskit.faults.schema import IPV6_MIN_MTU, MtuBytes, SpecModel, short_form
from chaoskit.knobs import Change
from chaoskit.topology.fault_site import Interface, Lab, Site
from chaoskit.topology.lab import CLIENT, EDGE, SERVER
from chaoskit.topology.lab_build import LINK_MTU
from chaoskit.topology.ways import Way, drop_too_big, limit_path_mtu

Signal = Literal["delivered", "dropped"]


class PmtuSpec(SpecModel):
    """The path MTU, and whether senders are signalled."""

    mtu: MtuBytes = Field(description="The largest packet that the hop forwards, bytes.")
    signal: Signal = Field("delivered", description="Whether the router's ICMP message reaches the sender.")
    ip: Literal["4", "6"] | None = Field(None, description="One IP version alone; default: both, where the MTU allows.")


class PmtuFault(Aimed):
    """A smaller path MTU, in the lab. `up` affects packets from the client, `down` packets from the server."""

    direction: Direction = Field(description=DIRECTION)
    pmtu: Annotated[PmtuSpec, BeforeValidator(short_form("mtu"), json_schema_input_type=PmtuSpec | MtuBytes)] = Field(
        description="The path MTU and its signals, or the MTU alone."
    )

    def site_error(self, site: Site) -> str:
        """Why it cannot be applied there; "" when it can."""
        words = self.pmtu
        if isinstance(site, Interface):
            return (
                "this machine is the end of the path and no hop of it, so it cannot send or drop ICMP signals; "
                f"write size-drop: {words.mtu} for a black hole, or mtu: {words.mtu} for a smaller link"
            )
        if self.link is not None:
            return "the router of lab: edge limits the whole path, not a link of it; remove link"
        if mismatch := self.aim_error(site, self.direction):
            return mismatch
        if words.mtu >= LINK_MTU:
            return f"the links have an MTU of {LINK_MTU}, so {words.mtu} has no effect; give less"
        if words.ip is not None and int(words.ip) != site.ip:
            return f"the stage uses IPv{site.ip}, and this fault is for IPv{words.ip}; remove ip, or set the stage's"
        if site.ip == 6 and words.mtu < IPV6_MIN_MTU:
            return f"IPv6 requires an MTU of at least {IPV6_MIN_MTU} (RFC 8200); give that or more, or stage: {{ip: 4}}"
        return ""

    def changes(self, site: Site, limit: int, seed: int) -> tuple[Change, ...]:
        """The router's routes, preceded by the filters that drop its signals where they are dropped."""
        del limit, seed
        if isinstance(site, Interface):
            return ()
        mtu, versions, ways = self.pmtu.mtu, self._versions(), self.ways(site, self.direction)
        is_dropped = self.pmtu.signal == "dropped"
        filters = [change for way in ways if is_dropped for change in drop_too_big(site.topology, way, versions)]
        routes = [change for way in ways for change in limit_path_mtu(site.topology, way, versions, mtu)]
        return (*dict.fromkeys(filters), *routes)

    def ways_by_direction(self, site: Lab) -> dict[str, tuple[Way, ...]]:
        """In the edge lab the whole path, where nothing else is said."""
        if site.topology != EDGE or self.host is not None or self.between is not None:
            return super().ways_by_direction(site)
        down, up = Way(to=CLIENT), Way(to=SERVER)
        return {"down": (down,), "up": (up,), "both": (down, up)}

    def aims(self, site: Lab) -> bool:
        """Whether it is said which packets it is for."""
        return site.topology == EDGE or super().aims(site)

    def _versions(self) -> tuple[int, ...]:
        if self.pmtu.ip is not None:
            return (int(self.pmtu.ip),)
        return (4, 6) if self.pmtu.mtu >= IPV6_MIN_MTU else (4,)

    def needs(self) -> frozenset[str]:
        """The kernel features that it needs."""
        return frozenset({"clsact", "drop"} if self.pmtu.signal == "dropped" else ())
