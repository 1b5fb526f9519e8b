"""Describes the topology of a lab: hosts on links of their own, around routers in a line.

```
 client --- edge --- fabric --- gateway, model, vectors ...         a service lab
 client --- router --- server                                        the edge lab
```

Every link has a number, from which its networks follow (10.N.0.0/24 and fdN::/64, the router at .254 and ::fe, the host
at .1 and ::1). Namespaces have the names of hosts and routers. A link between two routers is numbered as well.
"""

from __future__ import annotations

from dataclasses import dataclass

CLIENT = "client"
RESERVED_NAMES = ("client", "router", "edge", "fabric", "localhost")
_LONGEST = 15  # characters of a link's name (IFNAMSIZ of linux/if.h), with its prefix


@dataclass(frozen=True)
class Attachment:
    """A host's link: the router that it leads to, and the number of its networks."""

    host: str
    router: str
    number: int

    @property
    def link(self) -> str:
        """The router's end."""
        return _device("to-", self.host, self.number)

    @property
    def ifb(self) -> str:
        """The router's ifb, for packets from the host."""
        return _device("ifb-", self.host, self.number)

    @property
    def addresses(self) -> dict[int, str]:
        """The host's address of each IP version."""
        return {4: f"10.{self.number}.0.1", 6: f"fd{self.number:02}::1"}


def _device(prefix: str, name: str, number: int) -> str:
    """A name of a link that is unique on its router: the host's, or its beginning and its number."""
    whole = prefix + name
    if len(whole) <= _LONGEST:
        return whole
    end = f"~{number}"
    return whole[: _LONGEST - len(end)] + end
