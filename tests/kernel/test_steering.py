"""Sends real packets through steered interfaces: who is hit, who is not, and that flower and u32 agree.

Packets are built byte by byte and sent one by one past a netem that drops all of them, so that its counter says which
were hit. The expectation is computed from the selector alone, without filters.
"""

from __future__ import annotations

import socket
import struct
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from ipaddress import ip_address, ip_network
from itertools import product

import pytest
from lab import are_usable, links, quickest, run

from chaoskit.clock import RealClock, now
from chaoskit.errors import RefusedError
from chaoskit.facts import Facts
from chaoskit.kernel.linux import LinuxKernel
from chaoskit.knobs import Address, Change, Clsact, Filter, Flow, Ifb, Knob, Link, Neighbour, Netem, RandomLoss, Sysctl
from chaoskit.topology.steering import HOOKS, IFBS, OneDirection, Remote, TrafficSelector, qdisc, steer

MS = 1_000_000
ALL_LOST = Netem(loss=RandomLoss(2**32 - 1))
MACS = {"here": "02:00:00:00:00:01", "there": "02:00:00:00:00:02"}
OURS = {4: "10.9.0.1", 6: "fd09::1"}
THEIRS = {4: ("10.9.0.2", "10.9.1.2"), 6: ("fd09::2", "fd09:0:0:1::2")}
TCP, UDP, ICMP, ICMP6 = 6, 17, 1, 58
PROTOCOLS = {"tcp": (TCP,), "udp": (UDP,), "icmp": (ICMP, ICMP6), None: (TCP, UDP, ICMP, ICMP6, 132)}
SELECTORS = {
    "everything": TrafficSelector(),
    "a host": TrafficSelector((Remote("10.9.0.2/32"),)),
    "a host of IPv6": TrafficSelector((Remote("fd09::2/128"),)),
    "two networks": TrafficSelector((Remote("10.9.0.0/24"), Remote("fd09::/64"))),
    "all of IPv4": TrafficSelector(versions=frozenset({4})),
    "a host's port": TrafficSelector((Remote("10.9.0.2/32", 443),)),
    "a host's port, tcp": TrafficSelector((Remote("10.9.0.2/32", 443),), protocol="tcp"),
    "a host's port, udp": TrafficSelector((Remote("10.9.0.2/32", 443),), protocol="udp"),
    "anybody's port": TrafficSelector((Remote(None, 443),), protocol="tcp", versions=frozenset({4})),
    "our port": TrafficSelector(local_port=7000, protocol="udp", versions=frozenset({4})),
    "both ports": TrafficSelector((Remote("10.9.0.2/32", 443),), local_port=7000),
    "icmp": TrafficSelector(protocol="icmp", versions=frozenset({4})),
    "a host's icmp": TrafficSelector((Remote("10.9.1.2/32"),), protocol="icmp"),
    "a host's port of IPv6": TrafficSelector((Remote("fd09::2/128", 443),)),
    "our port, both families": TrafficSelector(local_port=7000, protocol="tcp"),
    "icmp of both families": TrafficSelector(protocol="icmp"),
}
FLOWER_ALONE = ("a host's port of IPv6", "our port, both families", "icmp of both families")


@dataclass(frozen=True)
class Packet:
    """One packet between us and a remote end. `piece` is "whole", "first" or "later"; `words` more of header: IPv4
    options, or one IPv6 extension header of that many times eight bytes. No `version`: ARP."""

    version: int | None
    protocol: int = 0
    far: str = ""
    far_port: int = 0
    our_port: int = 0
    piece: str = "whole"
    words: int = 0

    def frame(self, way: OneDirection) -> bytes:
        """The packet as a frame that we send (up) or receive (down)."""
        sides = ("there", "here") if way == "up" else ("here", "there")
        macs = b"".join(bytes.fromhex(MACS[side].replace(":", "")) for side in sides)
        kind = {4: 0x0800, 6: 0x86DD, None: 0x0806}[self.version]
        return macs + struct.pack(">H", kind) + self._network(way)

    def _network(self, way: OneDirection) -> bytes:
        if self.version is None:
            return bytes(28)
        ends = [ip_address(OURS[self.version]).packed, ip_address(self.far).packed]
        source, destination = ends if way == "up" else reversed(ends)
        load = self._load(way)
        if self.version == 4:
            fragment = {"whole": 0, "first": 0x2000, "later": 0x00B9}[self.piece]
            header = struct.pack(
                ">BBHHHBBH", 0x45 + self.words, 0, 20 + 4 * self.words + len(load), 7, fragment, 64, self.protocol, 0
            )
            return header + source + destination + bytes([1] * 4 * self.words) + load
        following, extra = self.protocol, b""
        if self.piece != "whole":
            offset = 1 if self.piece == "first" else 0x05C8
            following, extra = 44, struct.pack(">BBHI", self.protocol, 0, offset, 7)
        if self.words:
            padding = bytes([1, 8 * self.words - 4]) + bytes(8 * self.words - 4)
            following, extra = 0, bytes([following, self.words - 1]) + padding + extra
        return struct.pack(">IHBB", 6 << 28, len(extra + load), following, 64) + source + destination + extra + load

    def _load(self, way: OneDirection) -> bytes:
        if self.piece == "later" or self.protocol in (ICMP, ICMP6):
            return struct.pack(">HHHH", 443, 443, 7000, 7000)  # what looks like ports and is none
        ports = (self.our_port, self.far_port) if way == "up" else (self.far_port, self.our_port)
        return struct.pack(">HHHH", *ports, 28, 0) + bytes(20)


def packets() -> Iterator[Packet]:
    """Every combination of families, ends, ports, pieces and headers, near misses above all."""
    yield Packet(None)
    for version in (4, 6):
        for far, protocol in product(THEIRS[version], PROTOCOLS[None]):
            for piece, words in product(("whole", "first", "later"), (0, 1, 10) if version == 4 else (0, 1)):
                for ports in ((443, 7000), (443, 7001), (444, 7000), (7000, 443)):
                    yield Packet(version, protocol, far, *ports, piece, words)


def is_selected(selector: TrafficSelector, packet: Packet) -> bool:
    """Whether the selector includes this packet, computed without filters."""
    if selector == TrafficSelector():
        return True
    if (
        packet.version is None
        or packet.version not in selector.versions
        or packet.protocol not in PROTOCOLS[selector.protocol]
    ):
        return False
    if selector.protocol == "icmp" and packet.protocol != {4: ICMP, 6: ICMP6}[packet.version]:
        return False
    return any(_is_from(remote, selector, packet) for remote in selector.remotes or (Remote(),))


def _is_from(remote: Remote, selector: TrafficSelector, packet: Packet) -> bool:
    far = ip_address(packet.far)
    if remote.prefix is not None and far not in ip_network(remote.prefix):
        return False
    if remote.port is None and selector.local_port is None:
        return True
    if packet.protocol not in (TCP, UDP):
        return False
    if packet.piece != "whole":
        return True  # it shows no ports
    return remote.port in (None, packet.far_port) and selector.local_port in (None, packet.our_port)


@pytest.fixture
def door(kernel: LinuxKernel, facts: Facts) -> Iterator[LinuxKernel]:
    """A kernel whose own namespace is `here`."""
    with kernel.inside("here"), LinuxKernel(facts) as there:
        yield there


@pytest.fixture
def _addresses(kernel: LinuxKernel) -> None:
    """Gives `here` and `there` addresses of both families and permanent neighbours."""
    for place, last in (("here", 1), ("there", 2)):
        kernel.write(Knob("link", place, "lo"), Link(True, 65536, 65535))
        kernel.write(Knob("sysctl", place, "net.ipv6.conf.cable.accept_dad"), Sysctl("0"))
        for address in (f"10.9.0.{last}/24", f"fd09::{last}/64"):
            kernel.write(Knob("address", place, f"cable {address}"), Address())
        other = {"here": "there", "there": "here"}[place]
        for address in (f"10.9.0.{3 - last}", f"fd09::{3 - last}"):
            kernel.write(Knob("neighbour", place, f"cable {address}"), Neighbour(MACS[other]))
    are_usable(kernel, "here", "there")


def put(door: LinuxKernel, changes: tuple[Change, ...]) -> None:
    for knob, setting in changes:
        door.write(knob, setting)
        assert door.read(knob) == door.holds(setting)


def take_away(door: LinuxKernel, changes: tuple[Change, ...]) -> None:
    for knob, _ in reversed(changes):
        if knob.kind != "link":
            door.write(knob, None)


def drops(door: LinuxKernel, way: OneDirection) -> int:
    counters = door.counters(qdisc(way))
    assert counters is not None
    return counters.drops


def settled(look: Callable[[], int], expected: int) -> int:
    """The result of `look` once it equals the expectation, or after ten seconds."""
    clock, deadline = RealClock(), now() + 10_000 * MS
    while (seen := look()) != expected and now() < deadline:
        clock.sleep_until(now() + MS)
    return seen


@pytest.mark.parametrize("way", ["up", "down"])
@pytest.mark.parametrize("classifier", ["flower", "u32"])
def test_exactly_the_selected_packets_are_hit(
    kernel: LinuxKernel, door: LinuxKernel, classifier: str, way: OneDirection
) -> None:
    """Of all kinds of packets, each selected one is hit once, and no other ever is."""
    with kernel.inside("here" if way == "up" else "there"):
        sender = socket.socket(socket.AF_PACKET, socket.SOCK_RAW)
    sender.bind(("cable", 0))
    with sender:
        for name, selector in SELECTORS.items():
            if classifier == "u32" and name in FLOWER_ALONE:
                continue
            changes = steer("cable", selector, {way: ALL_LOST}, classifier)
            put(door, changes)
            meant = [packet for packet in packets() if is_selected(selector, packet)]
            others = [packet for packet in packets() if not is_selected(selector, packet)]

            for packet in others:
                sender.send(packet.frame(way))
            assert drops(door, way) == 0, name
            for packet in meant:
                sender.send(packet.frame(way))
            assert meant
            assert settled(lambda: drops(door, way), len(meant)) == len(meant), name

            take_away(door, changes)


def test_u32_refuses_what_it_cannot_match() -> None:
    """Ports and protocols behind IPv6 headers are refused with u32, and flower is named."""
    for name in FLOWER_ALONE:
        with pytest.raises(RefusedError, match="modprobe cls_flower"):
            steer("cable", SELECTORS[name], {"up": Netem()}, "u32")


@pytest.mark.parametrize("version", [4, 6])
@pytest.mark.usefixtures("_addresses")
def test_fragments_are_covered(kernel: LinuxKernel, door: LinuxKernel, version: int) -> None:
    """Every fragment of a datagram of 4000 bytes to the selected port is hit; the filters of ports alone hit none,
    which is why there is another one."""
    far = THEIRS[version][0]
    selector = TrafficSelector((Remote(f"{far}/{32 if version == 4 else 128}", 443),), protocol="udp")
    changes = steer("cable", selector, {"up": ALL_LOST}, "flower")
    ports_alone = tuple(
        (knob, setting)
        for knob, setting in changes
        if not (isinstance(setting, Filter) and isinstance(setting.match, Flow) and setting.match.is_fragment)
    )
    assert len(ports_alone) == len(changes) - 1

    for chosen, expected in ((changes, 3), (ports_alone, 0)):
        put(door, chosen)
        with socket.socket(socket.AF_INET if version == 4 else socket.AF_INET6, socket.SOCK_DGRAM) as sender:
            sender.sendto(bytes(4000), (far, 443))
            sender.sendto(bytes(4000), (THEIRS[version][0], 443))
        assert settled(lambda: drops(door, "up"), 2 * expected) == 2 * expected
        take_away(door, chosen)


@dataclass
class Line:
    """A pair of datagram sockets."""

    near: socket.socket
    far: socket.socket
    to: tuple[str, int]

    def round_trip(self) -> int:
        """The time until the reply, in ns."""
        began = now()
        self.near.sendto(b"ask", self.to)
        _, back = self.far.recvfrom(100)
        self.far.sendto(b"answer", back)
        self.near.recv(100)
        return now() - began


def line(stack: ExitStack, kernel: LinuxKernel, version: int, port: int, places: tuple[str, str], host: str) -> Line:
    family = socket.AF_INET if version == 4 else socket.AF_INET6
    ends = []
    for place in places:
        with kernel.inside(place):
            ends.append(stack.enter_context(socket.socket(family, socket.SOCK_DGRAM)))
        ends[-1].settimeout(30)
    ends[1].bind((host, port))
    return Line(ends[0], ends[1], (host, port))


@pytest.mark.parametrize("version", [4, 6])
@pytest.mark.usefixtures("_addresses")
def test_each_direction_has_its_own_fault_and_the_neighbour_none(
    kernel: LinuxKernel, door: LinuxKernel, version: int
) -> None:
    """A delay up, down or both ways shows in the round trip of selected traffic; the next port is not affected."""
    host = THEIRS[version][0]
    selector = TrafficSelector((Remote(str(ip_network(host)), 7000),))
    with ExitStack() as stack:
        meant = line(stack, kernel, version, 7000, ("here", "there"), host)
        neighbour = line(stack, kernel, version, 7001, ("here", "there"), host)
        cases: tuple[tuple[dict[OneDirection, Netem | None], int], ...] = (
            ({"up": Netem(delay=20 * MS)}, 20),
            ({"down": Netem(delay=30 * MS)}, 30),
            ({"up": Netem(delay=20 * MS), "down": Netem(delay=30 * MS)}, 50),
            ({"up": None, "down": Netem(delay=15 * MS)}, 15),
        )
        for netems, expected in cases:
            changes = steer("cable", selector, netems, "flower")
            put(door, changes)

            beside = quickest(neighbour.round_trip, 10 * MS)
            hit = [door.counters(qdisc(way)) for way in netems if netems[way]]
            assert all(counters and counters.packets == counters.drops == 0 for counters in hit)
            assert beside < 10 * MS
            assert expected * MS <= quickest(meant.round_trip, (expected + 10) * MS) < (expected + 10) * MS

            take_away(door, changes)
        assert quickest(meant.round_trip, 10 * MS) < 10 * MS


@pytest.mark.parametrize("version", [4, 6])
@pytest.mark.usefixtures("_addresses")
def test_loopback_packets_pass_both_directions(kernel: LinuxKernel, door: LinuxKernel, version: int) -> None:
    """A packet over lo is sent and received there. With ports it meets the fault of its direction once; a fault on all
    traffic meets each packet twice."""
    host = {4: "127.0.0.1", 6: "::1"}[version]
    up, down = Netem(delay=10 * MS), Netem(delay=25 * MS)
    with ExitStack() as stack:
        talk = line(stack, kernel, version, 7000, ("here", "here"), host)
        for selector, expected in (
            (TrafficSelector((Remote(str(ip_network(host)), 7000),)), 35),
            (TrafficSelector(), 70),
        ):
            changes = steer("lo", selector, {"up": up, "down": down}, "flower")
            put(door, changes)

            assert expected * MS <= quickest(talk.round_trip, (expected + 10) * MS) < (expected + 10) * MS

            take_away(door, changes)


@pytest.mark.parametrize("classifier", ["flower", "u32"])
def test_orphans_are_found_without_a_journal(door: LinuxKernel, classifier: str) -> None:
    """Everything with our names is found and can be removed in the given order, and the clsact stays."""
    before = seen()
    for selector in (TrafficSelector(), TrafficSelector((Remote("10.9.0.2/32", 443),), protocol="tcp")):
        netems: dict[OneDirection, Netem | None] = {"up": Netem(delay=1), "down": None}
        changes = steer("cable", selector, netems, classifier)
        put(door, changes)

        found = door.orphans()

        made = {knob for knob, _ in changes if knob.kind in ("filter", "qdisc", "ifb")}
        assert set(found) == made
        for knob in found:
            door.write(knob, None)
        assert door.orphans() == []
        assert door.read(Knob("clsact", "", "cable")) == Clsact()
        door.write(Knob("clsact", "", "cable"), None)
    assert seen() == before


def test_foreign_filters_and_links_are_no_orphans(door: LinuxKernel) -> None:
    """Filters to other links or of other priorities, and links of our names that are no ifb or have a foreign qdisc,
    are not listed."""
    door.write(Knob("ifb", "", "ifb-theirs"), Ifb())
    run("ip", "link", "add", IFBS["up"], "type", "veth", "peer", "name", "other")
    door.write(Knob("ifb", "", IFBS["down"]), Ifb())
    run("tc", "qdisc", "add", "dev", IFBS["down"], "root", "netem", "delay", "1ms")
    run("tc", "qdisc", "add", "dev", "cable", "clsact")
    for prio, words in (
        ("51717", "matchall action mirred egress redirect dev ifb-theirs"),
        ("51718", "matchall action mirred egress mirror dev chaos-down"),
        ("51716", "matchall action mirred egress redirect dev chaos-down"),
        ("51968", "matchall action mirred egress redirect dev chaos-down"),
        ("52224", "matchall action mirred egress redirect dev chaos-down"),
    ):
        run("tc", "filter", "add", "dev", "cable", "egress", "prio", prio, *words.split())

    assert door.orphans() == []


def test_filters_are_found_when_their_ifb_is_deleted(door: LinuxKernel) -> None:
    """Filters that redirect to a deleted ifb are still orphans."""
    changes = steer("cable", TrafficSelector(), {"down": Netem()}, "flower")
    put(door, changes)
    run("ip", "link", "del", IFBS["down"])

    found = door.orphans()

    assert found == [changes[-1][0]]
    door.write(found[0], None)
    assert run("tc", "filter", "show", "dev", "cable", HOOKS["down"]) == ""


def seen() -> str:
    return links() + run("tc", "-d", "qdisc")
