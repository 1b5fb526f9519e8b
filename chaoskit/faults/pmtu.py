"""Defines the pmtu fault: a smaller MTU behind the first hop, with or without its ICMP signals.

`signal: delivered` is working path-MTU discovery (RFC 1191, RFC 8201). `signal: dropped` is a path-MTU black hole: the
router's "fragmentation needed" or "packet too big" is lost on its way to the sender, as behind a firewall that drops
ICMP (RFC 2923).
"""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import BeforeValidator, Field

from chaoskit.faults.base import DIRECTION, FaultBase
from chaoskit.faults.schema import IPV6_MIN_MTU, MtuBytes, SpecModel, short_form
from chaoskit.knobs import Change
from chaoskit.topology.edge import LINK_MTU, Direction, drop_too_big, limit_path_mtu
from chaoskit.topology.fault_site import Interface, Site

Signal = Literal["delivered", "dropped"]


class PmtuSpec(SpecModel):
    """The path MTU, and whether senders are signalled."""

    mtu: MtuBytes = Field(description="The largest packet that the hop forwards, bytes.")
    signal: Signal = Field("delivered", description="Whether the router's ICMP message reaches the sender.")
    ip: Literal["4", "6"] | None = Field(None, description="One IP version alone; default: both, where the MTU allows.")


class PmtuFault(FaultBase):
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
        if words.mtu >= LINK_MTU:
            return f"the links have an MTU of {LINK_MTU}, so {words.mtu} has no effect; give less"
        if words.ip is not None and int(words.ip) != site.ip:
            return f"the stage uses IPv{site.ip}, and this fault is for IPv{words.ip}; remove ip, or set the stage's"
        if site.ip == 6 and words.mtu < IPV6_MIN_MTU:
            return f"IPv6 requires an MTU of at least {IPV6_MIN_MTU} (RFC 8200); give that or more, or stage: {{ip: 4}}"
        return ""

    def changes(self, site: Site, limit: int, seed: int) -> tuple[Change, ...]:
        """The router's routes, preceded by the filters that drop its signals where they are dropped."""
        del site, limit, seed
        mtu, versions = self.pmtu.mtu, self._versions()
        filters = drop_too_big(self.direction, versions) if self.pmtu.signal == "dropped" else ()
        return (*filters, *limit_path_mtu(self.direction, versions, mtu))

    def _versions(self) -> tuple[int, ...]:
        if self.pmtu.ip is not None:
            return (int(self.pmtu.ip),)
        return (4, 6) if self.pmtu.mtu >= IPV6_MIN_MTU else (4,)

    def needs(self) -> frozenset[str]:
        """The kernel features that it needs."""
        return frozenset({"clsact", "drop"} if self.pmtu.signal == "dropped" else ())
