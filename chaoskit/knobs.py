"""What can be read, set and put back in a kernel: knobs, and the values they hold.

A fault is a set of (knob, setting) pairs, and so is a lab topology. The engine works on these alone and
knows neither netem nor MTU. Settings hold what the kernel can hold (integers, already rounded), so that
"read back equals asked" is an equality.

| knob kind   | name                       | setting     | what it is                                        |
|-------------|----------------------------|-------------|---------------------------------------------------|
| `namespace` | `router`                   | `Namespace` | an unnamed network namespace, held by us          |
| `veth`      | `to-client`                | `Veth`      | a pair of links, the other end in `peer_place`    |
| `ifb`       | `ifb-client`               | `Ifb`       | a link that shapes what another one receives      |
| `link`      | `eth0`                     | `Link`      | a link's flags and sizes                          |
| `mtu`       | `eth0`                     | `Mtu`       | the MTU alone, of a link that is there            |
| `address`   | `eth0 10.1.0.1/24`         | `Address`   | an address on a link                              |
| `route`     | `0.0.0.0/0`                | `Route`     | a way out                                         |
| `neighbour` | `eth0 10.1.0.254`          | `Neighbour` | a fixed ARP/ND entry                              |
| `sysctl`    | `net.ipv4.ip_forward`      | `Sysctl`    | a kernel parameter of the namespace               |
| `clsact`    | `eth0`                     | `Clsact`    | the place where a link's filters hang             |
| `filter`    | `eth0 egress 51717`        | `Filter`    | what of a link's packets is lost, or sent to an ifb |
| `qdisc`     | `to-client`                | `Netem`     | a link's root queueing discipline                 |
| `clamp`     | `mss`                      | `Clamp`     | the segments that handshakes ask for              |
| `masquerade` | `100.64.0.2 link eth0`    | `Masquerade` | an address hidden behind this machine's own      |

A filter's name is its link, `egress` or `ingress`, and its priority, by which the kernel tells filters apart.

`None` is the setting of a knob that is not there: no such link, no netem.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, Protocol

from chaoskit.facts import Facts


@dataclass(frozen=True, order=True)
class Knob:
    """One thing in a kernel. `place` is a network namespace of ours by name, "" for our own."""

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
    """A virtual cable; MAC addresses are fixed so that runs can be compared."""

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
    """The longest packet that the link takes, in bytes."""

    bytes: int
    type: Literal["mtu"] = "mtu"


@dataclass(frozen=True)
class Address:
    """It is there."""

    type: Literal["address"] = "address"


@dataclass(frozen=True)
class Route:
    """Where packets for the knob's prefix go next: to the next hop `via`, or straight out of the link `dev`.

    `mtu` and `advmss` bound the packets that are sent this way, and the segments that TCP asks the other side
    for; 0: as the link has it.
    """

    via: str | None = None
    dev: str | None = None
    mtu: int = 0
    advmss: int = 0
    type: Literal["route"] = "route"


@dataclass(frozen=True)
class Neighbour:
    """A permanent entry: faults must not delay address resolution instead of the stream."""

    mac: str
    type: Literal["neighbour"] = "neighbour"


@dataclass(frozen=True)
class Sysctl:
    """The text as /proc/sys shows it, its words with one blank between."""

    value: str
    type: Literal["sysctl"] = "sysctl"


@dataclass(frozen=True)
class Clsact:
    """It is there. Filters of others may hang in it as well as ours."""

    type: Literal["clsact"] = "clsact"


@dataclass(frozen=True)
class Masquerade:
    """Packets that pass through from the knob's IPv4 address leave with the machine's own. Gone when its maker ends."""

    type: Literal["masquerade"] = "masquerade"


@dataclass(frozen=True)
class Everything:
    """Matches each packet. The kernel's matchall."""

    type: Literal["everything"] = "everything"


@dataclass(frozen=True)
class Flow:
    """Matches packets by what they say of themselves; None matches any. The kernel's flower.

    `protocol` is IP's number (6 TCP, 17 UDP), addresses are prefixes ("10.0.0.2/32"). Ports match whole packets
    alone: no fragment shows its ports to flower, not even the first, so fragments need a flow of their own.
    """

    protocol: int | None = None
    source: str | None = None
    destination: str | None = None
    source_port: int | None = None
    destination_port: int | None = None
    is_fragment: bool | None = None
    type: Literal["flow"] = "flow"


@dataclass(frozen=True)
class Key:
    """32 bits of a packet at `offset` bytes from its network header: they match when `& mask` gives `value`."""

    value: int
    mask: int
    offset: int


@dataclass(frozen=True)
class Keys:
    """Matches packets whose bytes match all of these. The kernel's u32, for kernels without flower."""

    keys: tuple[Key, ...]
    type: Literal["keys"] = "keys"


Match = Everything | Flow | Keys


@dataclass(frozen=True)
class Filter:
    """Packets of this family that match leave the link's way, and come back to it behind the ifb named `to`.

    Where `to` is None they are lost. `over` means those alone that are longer than so many bytes, from their IP
    header on; the others go on to the next filter.
    """

    family: Literal["all", "ip", "ipv6"]
    match: Match
    to: str | None
    over: int = 0
    type: Literal["filter"] = "filter"


@dataclass(frozen=True)
class Handshakes:
    """The TCP handshakes that leave by a link (`egress`), or arrive on it, and are of this flow."""

    link: str
    hook: Literal["egress", "ingress"]
    family: Literal["ip", "ipv6"]
    flow: Flow


@dataclass(frozen=True)
class Clamp:
    """No TCP handshake of these (None: of all forwarded here) asks for more than `mss` bytes. Gone with its maker."""

    mss: int
    of: tuple[Handshakes, ...] | None = None
    type: Literal["clamp"] = "clamp"


@dataclass(frozen=True)
class RandomLoss:
    """Independent loss; `share` and `correlation` are u32 (2^32-1 is 100 %)."""

    share: int
    correlation: int = 0
    type: Literal["random"] = "random"


@dataclass(frozen=True)
class GilbertElliott:
    """Two-state burst loss, u32 each, as the kernel keeps them: `h` is the share that *survives* the bad
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
    """Deliver in bursts. Times in ns. `distribution` draws the interval instead of min..max."""

    min_delay: int = 0
    max_delay: int = 0
    max_packets: int = 0
    max_bytes: int = 0
    dist_delay: int = 0
    dist_jitter: int = 0
    distribution: str | tuple[int, ...] | None = None


@dataclass(frozen=True)
class Netem:
    """Everything the kernel's netem holds. Times in ns, shares u32, rate in bytes per second.

    The kernel never dumps the two distribution tables; `Kernel.holds` says what reads back.
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
    """A qdisc or a filter that is there and is not ours. Never written; its presence stops us."""

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
    | Neighbour
    | Sysctl
    | Masquerade
    | Clamp
    | Clsact
    | Filter
    | Netem
    | Foreign
    | None
)
Change = tuple[Knob, Setting]


@dataclass(frozen=True)
class Pulse:
    """Something that is done to a namespace of ours once, and that leaves nothing to put back.

    `forget-paths`: it forgets what its connections have learned of the MTU of paths.
    """

    kind: Literal["forget-paths"]
    place: str

    def __str__(self) -> str:
        return f"{self.place} forgets the path MTUs that it has learned"


@dataclass(frozen=True)
class QueueCounters:
    """Of a qdisc, of a filter (`drops`: what it took), or of what a link received (`drops`: what was too long for a
    virtual cable's MTU), since it was made. `qlen` is packets inside it now."""

    packets: int
    bytes: int
    drops: int
    overlimits: int
    requeues: int
    qlen: int
    backlog: int


@dataclass(frozen=True)
class HopCounters:
    """A namespace's packets for others since it was made: that came, that were too long for their way on; signals."""

    came: int
    too_long: int
    signals: int


class Kernel(Protocol):
    """The one door to a kernel under test. Foreign errors come out of it as chaoskit's own."""

    def facts(self) -> Facts:
        """What this kernel and these rights allow."""

    def read(self, knob: Knob) -> Setting:
        """What the knob holds now; None when it is not there."""

    def write(self, knob: Knob, setting: Setting) -> None:
        """Make it so; None removes. Returns when the kernel has it.

        Removing a netem first lets the packets inside it leave (for up to two seconds).
        Raises RefusedError with the kernel's own words.
        """

    def pulse(self, pulse: Pulse) -> None:
        """Do it. Raises RefusedError with the kernel's own words."""

    def holds(self, setting: Setting) -> Setting:
        """What `read` gives after writing `setting` here: without tables, or a seed the kernel ignores."""

    def counters(self, knob: Knob) -> QueueCounters | None:
        """The counters of a qdisc knob, or of what an MTU knob's link has received; None when it is not there."""

    def taken(self, knobs: tuple[Knob, ...]) -> dict[Knob, QueueCounters]:
        """The counters of those of these filter knobs that are there."""

    def hop(self, place: str) -> HopCounters | None:
        """The counters of a namespace as a hop; None when there is none of that name."""

    def owner_sockets(self) -> tuple[int, ...]:
        """The descriptors that settings of our own namespace hang on: they are gone when no copy is open any more."""
