"""Says which network namespaces a stage has, which of them are hosts, and whose each address is."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from chaoskit.knobs import Knob

_FORWARDS = ("net.ipv4.ip_forward", "net.ipv6.conf.all.forwarding")


@dataclass(frozen=True)
class Places:
    """`all` namespaces; `hosts` are those that do not forward packets; `owners` has the namespace of each address."""

    all: tuple[str, ...] = ()
    hosts: tuple[str, ...] = ()
    owners: Mapping[str, str] = field(default_factory=dict)

    def name(self, address: str) -> str:
        """The name of the host or router with this address; the address itself if it is nobody's here."""
        return self.owners.get(address, address)


def places(knobs: Iterable[Knob]) -> Places:
    """Those of a stage that sets these knobs. Without namespaces there are none."""
    found: list[str] = []
    routers, owners = set[str](), dict[str, str]()
    for knob in knobs:
        if knob.kind == "namespace":
            found.append(knob.name)
        elif knob.kind == "sysctl" and knob.name in _FORWARDS:
            routers.add(knob.place)
        elif knob.kind == "address" and knob.place:
            owners[knob.name.rpartition(" ")[2].partition("/")[0]] = knob.place
    return Places(tuple(found), tuple(name for name in found if name not in routers), owners)
