"""Describes the topology of a lab: hosts on links of their own, around routers in a line.

```
 client --- router --- server                              the edge lab
 client --- edge --- fabric --- gateway, model, ...        a service lab
```

Every link has a number, from which its networks follow: 10.N.0.0/24 and fdN::/64 (N in hexadecimal), the router at .254
and ::fe, the host at .1 and ::1. Links between routers have the highest numbers, and of their routers the one nearer to
the client is at .254. Namespaces have the names of hosts and routers.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import pairwise

CLIENT, SERVER = "client", "server"
RESERVED_NAMES = ("client", "router", "edge", "fabric", "localhost")
"""Names that no host of a service lab may have."""
_LONGEST = 15  # characters of a link's name (IFNAMSIZ of linux/if.h)
_FIRST_TRUNK = 254


@dataclass(frozen=True)
class Net:
    """The network of one IP version on a link: `prefix` with its length, and the addresses at its two ends."""

    prefix: str
    router: str
    host: str

    @property
    def length(self) -> int:
        """Of the prefix, in bits."""
        return int(self.prefix.partition("/")[2])


@dataclass(frozen=True)
class Attachment:
    """A link: the host (or the next router) at its far end, the router, and the number of its networks."""

    host: str
    router: str
    number: int

    @property
    def link(self) -> str:
        """The router's end."""
        return _device("to-", self.host, self.number)

    @property
    def ifb(self) -> str:
        """The router's ifb, which shapes what it receives."""
        return _device("ifb-", self.host, self.number)

    @property
    def nets(self) -> dict[int, Net]:
        """The network of each IP version."""
        v4, v6 = f"10.{self.number}.0", f"fd{self.number:02x}"
        return {
            4: Net(f"{v4}.0/24", f"{v4}.254", f"{v4}.1"),
            6: Net(f"{v6}::/64", f"{v6}::fe", f"{v6}::1"),
        }

    def destination(self, version: int) -> str:
        """The host's address as the prefix of a route."""
        return f"{self.nets[version].host}/{32 if version == 4 else 128}"


@dataclass(frozen=True)
class Topology:
    """A lab's routers, the client's first, and the links of its hosts, the client's first.

    `groups` are the names under which several hosts are known (replicas).
    """

    routers: tuple[str, ...]
    attachments: tuple[Attachment, ...]
    groups: Mapping[str, tuple[str, ...]] = field(default_factory=dict)

    @property
    def hosts(self) -> tuple[str, ...]:
        """All hosts, the client first."""
        return tuple(each.host for each in self.attachments)

    @property
    def nodes(self) -> tuple[str, ...]:
        """All namespaces: the client, the routers, the other hosts."""
        client, *others = self.hosts
        return (client, *self.routers, *others)

    @property
    def names(self) -> tuple[str, ...]:
        """What a fault or a URL may name: hosts, and groups of them."""
        return tuple(dict.fromkeys((*self.hosts, *self.groups)))

    def members(self, name: str) -> tuple[Attachment, ...]:
        """The links of the hosts of this name; none where it names nothing."""
        wanted = self.groups.get(name, (name,))
        return tuple(each for each in self.attachments if each.host in wanted)

    def attachment(self, host: str) -> Attachment:
        """The link of this host, which must exist."""
        return next(each for each in self.attachments if each.host == host)

    def trunks(self) -> Iterator[Attachment]:
        """The links between routers: the farther router is the `host` of each."""
        for number, (near, far) in enumerate(pairwise(self.routers)):
            yield Attachment(far, near, _FIRST_TRUNK - number)

    def resolve(self, name: str, version: int) -> tuple[str, ...]:
        """The addresses of this name in one IP version."""
        return tuple(each.nets[version].host for each in self.members(name))


def _device(prefix: str, name: str, number: int) -> str:
    """A name of a link that is unique on its router: the host's, or its beginning and its number."""
    whole = prefix + name
    if len(whole) <= _LONGEST:
        return whole
    end = f"~{number}"
    return whole[: _LONGEST - len(end)] + end


EDGE = Topology(("router",), (Attachment(CLIENT, "router", 1), Attachment(SERVER, "router", 2)))
"""client - router - server."""


def service(hosts: Mapping[str, int]) -> Topology:
    """The topology of a service lab with these hosts, and how many there are of each."""
    names: list[str] = []
    groups: dict[str, tuple[str, ...]] = {}
    for name, count in hosts.items():
        several = [f"{name}-{number}" for number in range(1, count + 1)] if count > 1 else [name]
        if count > 1:
            groups[name] = tuple(several)
        names += several
    fabric = (Attachment(name, "fabric", number) for number, name in enumerate(names, 2))
    return Topology(("edge", "fabric"), (Attachment(CLIENT, "edge", 1), *fabric), groups)


def duplicate_names(hosts: Mapping[str, int]) -> Sequence[str]:
    """Names of hosts that collide with a replica of another: `a-1` beside two of `a`."""
    replicas = {f"{name}-{number}" for name, count in hosts.items() if count > 1 for number in range(1, count + 1)}
    return sorted(replicas & set(hosts))
