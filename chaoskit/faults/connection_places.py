"""Finds where a fault of connections applies: on a router, for a host or a pair, or on an interface."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from chaoskit.faults.base import Aimed
from chaoskit.middlebox import TcpFlow
from chaoskit.topology.connection_rules import ALL
from chaoskit.topology.fault_site import Interface, Lab, Site
from chaoskit.topology.lab import CLIENT, EDGE, Attachment
from chaoskit.topology.steering import tcp_flows
from chaoskit.topology.ways import FAMILIES, Way


@dataclass(frozen=True)
class Place:
    """The namespace, the name of its knob, and the packets of each direction."""

    namespace: str
    name: str
    ways: Mapping[str, tuple[TcpFlow, ...]]

    @property
    def both(self) -> tuple[TcpFlow, ...]:
        """The packets of both directions."""
        return tuple(flow for flows in self.ways.values() for flow in flows)


class ConnectionFault(Aimed):
    """Base of the faults of TCP connections. In the edge lab they are for all of them where nothing else is said."""

    def places(self, site: Site) -> Iterator[Place]:
        """Where it applies. None where `aim_error` has something to say."""
        if isinstance(site, Interface):
            down, up = (tcp_flows(site.name, site.selector, direction) for direction in ("down", "up"))
            yield Place("", ALL, {"down": down, "up": up})
            return
        topology = site.topology
        if self.between is not None:
            first, second = self.between
            for near in topology.members(first):
                for far in topology.members(second):
                    yield _place(near, f"{near.host} {far.host}", (f"to-{first}", f"to-{second}"), far)
        elif self.host is not None:
            for near in topology.members(self.host):
                yield _place(near, near.host, (f"to-{self.host}", f"from-{self.host}"))
        else:
            yield _place(topology.attachment(CLIENT), ALL, ("down", "up"))

    def ways_by_direction(self, site: Lab) -> dict[str, tuple[Way, ...]]:
        """In the edge lab all packets, where nothing else is said."""
        if site.topology != EDGE or super().aims(site):
            return super().ways_by_direction(site)
        down, up = Way(to=CLIENT), Way(from_=CLIENT)
        return {"down": (down,), "up": (up,), "both": (down, up)}

    def aims(self, site: Lab) -> bool:
        """Whether it is said which connections it is for."""
        return site.topology == EDGE or super().aims(site)


def _place(near: Attachment, name: str, directions: tuple[str, str], far: Attachment | None = None) -> Place:
    """On the near host's router: what it sends to this host, and what it receives from it."""
    sent, received = directions
    peers = {version: far.destination(version) if far is not None else None for version in FAMILIES}
    return Place(
        near.router,
        name,
        {
            sent: tuple(TcpFlow(near.link, "egress", FAMILIES[v], source=peer) for v, peer in peers.items()),
            received: tuple(TcpFlow(near.link, "ingress", FAMILIES[v], destination=peer) for v, peer in peers.items()),
        },
    )
