"""A narrow place behind the first hop. What is too long for it is lost, and the sender is told so, or never learns it.

`signal: delivered` is path-MTU discovery as it should work (RFC 1191, RFC 8201). `signal: dropped` is the black
hole: the router's "fragmentation needed" or "packet too big" is lost on its way to the sender, as by a firewall
that lets no ICMP through (RFC 2923).
"""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import BeforeValidator, Field

from chaoskit.faults.base import FaultBase
from chaoskit.faults.schema import IPV6_MIN_MTU, MtuBytes, SpecModel, short_form
from chaoskit.knobs import Change
from chaoskit.topology.edge import LINK_MTU, Direction, drop_too_big, limit_path_mtu
from chaoskit.topology.fault_site import Interface, Site

Signal = Literal["delivered", "dropped"]


class PmtuSpec(SpecModel):
    """How narrow, and whether anybody is told."""

    mtu: MtuBytes
    signal: Signal = "delivered"
    ip: Literal["4", "6"] | None = Field(None, description="One IP version alone; without it both, where they fit.")


class PmtuFault(FaultBase):
    """A path's narrow place, in the lab. `up` is hit by what the client sends, `down` by what the server sends."""

    direction: Direction
    pmtu: Annotated[PmtuSpec, BeforeValidator(short_form("mtu"), json_schema_input_type=PmtuSpec | int)]

    def site_error(self, site: Site) -> str:
        """Why it cannot be in force there; "" when it can."""
        words = self.pmtu
        if isinstance(site, Interface):
            return (
                "this machine is the path's end and no hop of it, so that nobody here could signal or lose a signal; "
                f"write size-drop: {words.mtu} for a black hole, or mtu: {words.mtu} for a smaller link"
            )
        if words.mtu >= LINK_MTU:
            return f"the links before it take {LINK_MTU} themselves, so {words.mtu} does nothing; give less"
        if words.ip is not None and int(words.ip) != site.ip:
            return (
                f"the stage speaks IPv{site.ip} alone, and this is for IPv{words.ip}; take ip away, or set the stage's"
            )
        if site.ip == 6 and words.mtu < IPV6_MIN_MTU:
            return f"IPv6 asks {IPV6_MIN_MTU} of every link (RFC 8200); give that or more, or stage: {{ip: 4}}"
        return ""

    def changes(self, site: Site, limit: int, seed: int) -> tuple[Change, ...]:
        """The router's routes; where the signal is lost, before them the filters that lose it."""
        del site, limit, seed
        mtu, versions = self.pmtu.mtu, self._versions()
        lost = drop_too_big(self.direction, versions) if self.pmtu.signal == "dropped" else ()
        return (*lost, *limit_path_mtu(self.direction, versions, mtu))

    def _versions(self) -> tuple[int, ...]:
        if self.pmtu.ip is not None:
            return (int(self.pmtu.ip),)
        return (4, 6) if self.pmtu.mtu >= IPV6_MIN_MTU else (4,)

    def needs(self) -> frozenset[str]:
        """The features that it asks of a kernel."""
        return frozenset({"clsact", "drop"} if self.pmtu.signal == "dropped" else ())
