"""Defines knobs, the kernel settings that can be read, set and restored, and the values they hold.

A fault is a set of (knob, setting) pairs, and so is a lab topology. The engine works on these alone and does not
depend on netem or MTU. Settings are values as the kernel stores them (integers, already rounded), so that a value that
was read back can be compared for equality.

| knob kind   | name                       | setting     | what it is                                        |
|-------------|----------------------------|-------------|---------------------------------------------------|
| `namespace` | `router`                   | `Namespace` | an unnamed network namespace, held by descriptor  |
| `veth`      | `to-client`                | `Veth`      | a pair of links, the other end in `peer_place`    |
| `ifb`       | `ifb-client`               | `Ifb`       | a link that shapes another link's ingress         |
| `link`      | `eth0`                     | `Link`      | a link's flags and sizes                          |
| `mtu`       | `eth0`                     | `Mtu`       | the MTU alone, of an existing link                |
| `address`   | `eth0 10.1.0.1/24`         | `Address`   | an address on a link                              |
| `route`     | `0.0.0.0/0`                | `Route`     | a route; `... table 1002`: of another table       |
| `rule`      | `from 10.3.0.1/32`         | `Rule`      | which packets another table of routes is for      |
| `neighbour` | `eth0 10.1.0.254`          | `Neighbour` | a permanent ARP/ND entry                          |
| `sysctl`    | `net.ipv4.ip_forward`      | `Sysctl`    | a kernel parameter of the namespace               |
| `clsact`    | `eth0`                     | `Clsact`    | the qdisc that a link's filters are attached to   |
| `filter`    | `eth0 egress 51717`        | `Filter`    | drops packets of a link, or redirects them to an ifb |
| `qdisc`     | `to-client`                | `Netem`     | a link's root queueing discipline                 |
| `clamp`     | `mss`                      | `Clamp`     | the MSS in TCP handshakes                         |
| `cut`       | `connections`              | `Cut`       | TCP connections end after a size or a time        |
| `idle-timeout` | `connections`           | `IdleTimeout` | TCP connections are forgotten after a silence   |
| `masquerade` | `100.64.0.2 link eth0`    | `Masquerade` | source NAT to this machine's own address         |
| `process`   | `program`                  | `Process`   | the program of a host, in the host's namespace    |

A filter's name is its link, `egress` or `ingress`, and its priority, by which the kernel distinguishes filters.

`None` is the setting of a knob that does not exist: no such link, no netem.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, Protocol

from chaoskit.counters import HopCounters, QueueCounters
from chaoskit.facts import Facts
from chaoskit.middlebox import Cut, IdleTimeout, TcpFlow


@dataclass(frozen=True, order=True)
class Knob:
    """One kernel setting. `place` is the name of a network namespace of the lab, "" for the process's own."""

    kind: str
    place: str
    name: str

    def __str__(self) -> str:
        return f"{self.kind} {self.name}" + (f" in {self.place}" if self.place else "")


@dataclass(frozen=True)
class Namespace:
    """It exists."""

    type: Literal["namespace"] = "namespace"


@dataclass(frozen=True)
class Veth:
    """A veth pair; MAC addresses are fixed so that runs can be compared."""

    peer_place: str
    peer: str
    mac: str
    peer_mac: str
    type: Literal["veth"] = "veth"


@dataclass(frozen=True)
class Ifb:
    """It exists."""

    type: Literal["ifb"] = "ifb"


@dataclass(frozen=True)
class Link:
    """`gso_max_segs` 1 makes every segment a packet of its own, so that 1 % loss is 1 % of packets."""

    up: bool
    mtu: int
    gso_max_segs: int
    type: Literal["link"] = "link"


@dataclass(frozen=True)
class Mtu:
    """The MTU of a link, in bytes."""

    bytes: int
    type: Literal["mtu"] = "mtu"


@dataclass(frozen=True)
class Address:
    """It is there."""

    type: Literal["address"] = "address"


@dataclass(frozen=True)
class Route:
    """The route to the knob's prefix: by the next hop `via`, or directly through the link `dev`.

    `mtu` and `advmss` as in ip-route(8); 0: not set.
    """

    via: str | None = None
    dev: str | None = None
    mtu: int = 0
    advmss: int = 0
    type: Literal["route"] = "route"


@dataclass(frozen=True)
class Rule:
    """The routes of this table are looked up for the packets that the knob names, before those of the main table."""

    table: int
    type: Literal["rule"] = "rule"


@dataclass(frozen=True)
class Neighbour:
    """A permanent entry, so that faults do not delay address resolution instead of the stream."""

    mac: str
    type: Literal["neighbour"] = "neighbour"


@dataclass(frozen=True)
class Sysctl:
    """The value as /proc/sys shows it, with single spaces between its fields."""

    value: str
    type: Literal["sysctl"] = "sysctl"


@dataclass(frozen=True)
class Clsact:
    """It exists. Filters of other programs may be attached to it too."""

    type: Literal["clsact"] = "clsact"


@dataclass(frozen=True)
class Masquerade:
    """Forwarded packets from the knob's IPv4 address get the machine's own as source. Removed when its process ends."""

    type: Literal["masquerade"] = "masquerade"


@dataclass(frozen=True)
class Process:
    """What the processes of a host do.

    | state      | what it is                                                                           |
    |------------|--------------------------------------------------------------------------------------|
    | `running`  | they run                                                                             |
    | `paused`   | all are stopped (SIGSTOP), and their sockets stay open                               |
    | `killed`   | all were killed (SIGKILL); they are started again afterwards                         |
    | `refusing` | they run; new TCP connections and requests from other hosts get a RST                |
    """

    state: Literal["running", "paused", "killed", "refusing"] = "running"
    type: Literal["process"] = "process"


@dataclass(frozen=True)
class MatchAll:
    """Matches every packet. The kernel's matchall."""

    type: Literal["matchall"] = "matchall"


@dataclass(frozen=True)
class Flow:
    """Matches packets by their headers; None matches any. The kernel's flower.

    `protocol` is IP's number (6 TCP, 17 UDP), addresses are prefixes ("10.0.0.2/32"). Ports match
    unfragmented packets only: flower sees no ports in a fragment, not even in the first, so fragments need their own
    flow.
    """

    protocol: int | None = None
    source: str | None = None
    destination: str | None = None
    source_port: int | None = None
    destination_port: int | None = None
    is_fragment: bool | None = None
    type: Literal["flow"] = "flow"


@dataclass(frozen=True)
class U32Key:
    """32 bits of a packet, `offset` bytes from its network header; they match if `bits & mask == value`."""

    value: int
    mask: int
    offset: int


@dataclass(frozen=True)
class U32Match:
    """Matches packets that match all of these keys. The kernel's u32, for kernels without flower."""

    keys: tuple[U32Key, ...]
    type: Literal["u32"] = "u32"


Match = MatchAll | Flow | U32Match


@dataclass(frozen=True)
class Filter:
    """Matching packets of this family are redirected to the ifb named `redirect_to`, and return to the link after it.

    Where `redirect_to` is None they are dropped. With `over`, only packets longer than this many bytes, from the IP
    header on, are; the others continue to the next filter.
    """

    family: Literal["all", "ip", "ipv6"]
    match: Match
    redirect_to: str | None
    over: int = 0
    type: Literal["filter"] = "filter"


@dataclass(frozen=True)
class Clamp:
    """Handshakes of these flows (None: all forwarded here) get an MSS of `mss` bytes at most. Ends with its process."""

    mss: int
    of: tuple[TcpFlow, ...] | None = None
    type: Literal["clamp"] = "clamp"


@dataclass(frozen=True)
class RandomLoss:
    """Independent loss; `share` and `correlation` are u32 (2^32-1 is 100 %)."""

    share: int
    correlation: int = 0
    type: Literal["random"] = "random"


@dataclass(frozen=True)
class GilbertElliott:
    """Two-state burst loss, u32 each, as the kernel stores them: `h` is the share that *survives* the bad
    state (tc prints 1-h), `k1` the share lost in the good state (tc's 1-k)."""

    p: int
    r: int
    h: int
    k1: int
    type: Literal["gemodel"] = "gemodel"


@dataclass(frozen=True)
class FourState:
    """The 4-state Markov loss of tc-netem(8), u32 each."""

    p13: int
    p31: int
    p32: int
    p23: int
    p14: int
    type: Literal["state"] = "state"


Loss = RandomLoss | GilbertElliott | FourState


@dataclass(frozen=True)
class Slot:
    """Delivery in bursts. Times in ns. `distribution` draws the interval instead of min..max."""

    min_delay: int = 0
    max_delay: int = 0
    max_packets: int = 0
    max_bytes: int = 0
    dist_delay: int = 0
    dist_jitter: int = 0
    distribution: str | tuple[int, ...] | None = None


@dataclass(frozen=True)
class Netem:
    """All parameters of the kernel's netem. Times in ns, shares u32, rate in bytes per second.

    The kernel never dumps the two distribution tables; `Kernel.holds` gives what reads back.
    """

    delay: int = 0
    jitter: int = 0
    delay_correlation: int = 0
    distribution: str | tuple[int, ...] | None = None
    limit: int = 1000
    loss: Loss | None = None
    ecn: bool = False
    duplicate: int = 0
    duplicate_correlation: int = 0
    corrupt: int = 0
    corrupt_correlation: int = 0
    reorder: int = 0
    reorder_correlation: int = 0
    gap: int = 0
    rate: int = 0
    packet_overhead: int = 0
    cell_size: int = 0
    cell_overhead: int = 0
    slot: Slot | None = None
    seed: int | None = None
    type: Literal["netem"] = "netem"


@dataclass(frozen=True)
class Foreign:
    """A qdisc or filter of another program. Never written; its presence makes a change refused."""

    qdisc: str
    type: Literal["foreign"] = "foreign"


Setting = (
    Namespace
    | Veth
    | Ifb
    | Link
    | Mtu
    | Address
    | Route
    | Rule
    | Neighbour
    | Sysctl
    | Masquerade
    | Process
    | Clamp
    | Cut
    | IdleTimeout
    | Clsact
    | Filter
    | Netem
    | Foreign
    | None
)
Change = tuple[Knob, Setting]


@dataclass(frozen=True)
class Pulse:
    """An action in a namespace of the lab that leaves nothing to restore.

    `flush-pmtu`: flushes the path MTUs that the namespace has learned.
    """

    kind: Literal["flush-pmtu"]
    place: str

    def __str__(self) -> str:
        return f"{self.place} flushes the path MTUs that it has learned"


class Kernel(Protocol):
    """The interface to a kernel under test. Its errors are raised as chaoskit's own."""

    def facts(self) -> Facts:
        """What this kernel allows with this process's privileges."""

    def read(self, knob: Knob) -> Setting:
        """The knob's value; None when it does not exist."""

    def write(self, knob: Knob, setting: Setting) -> None:
        """Set the knob; None removes it. Returns when the kernel has the value.

        Removing a netem first waits until its queue is empty (for up to two seconds).
        Raises RefusedError with the kernel's error.
        """

    def pulse(self, pulse: Pulse) -> None:
        """Perform it. Raises RefusedError with the kernel's error."""

    def holds(self, setting: Setting) -> Setting:
        """What `read` gives after writing `setting` here: without tables, or a seed the kernel ignores."""

    def counters(self, knob: Knob) -> QueueCounters | None:
        """The counters of a qdisc knob, or the ingress counters of an MTU knob's link; None when it does not exist."""

    def filter_counters(self, knobs: tuple[Knob, ...]) -> dict[Knob, QueueCounters]:
        """The counters of the filter knobs among these that exist."""

    def hop_counters(self, place: str) -> HopCounters | None:
        """The counters of a namespace as a router; None when there is none of that name."""

    def owner_sockets(self) -> tuple[int, ...]:
        """Descriptors of the netlink sockets that own nftables tables here: these end with the last copy."""
