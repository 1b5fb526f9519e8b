"""Builds paths with known MTUs from network namespaces: a client, four routers, a host.

Every link takes 9000 bytes. The path MTU is limited by the MTU of a route on one router, which signals it like any
router. For a black hole, a rule there drops the ICMP message; for a clamp, a rule rewrites the MSS of SYNs. For a link
with different MTUs at its ends, a rule at the far end drops long packets. The return path may have a smaller MTU.
Addresses: link 1 to 5 is 10.0.N.0/24 and fd00:N::/64, the nearer end .1,
the further .2, so that router N is 10.0.N.2 to the client, and the host 10.0.5.2.
"""

from __future__ import annotations

import os
import re
import socket
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from threading import Thread
from typing import Literal

from chaoskit.kernel import namespaces
from chaoskit.seed import source

WIDE = 9000
ROUTERS = ("r1", "r2", "r3", "r4")
NODES = ("client", *ROUTERS, "host")
PORT = 8080
CLOSED = 8081
HOST = {4: "10.0.5.2", 6: "fd00:5::2"}
CLIENT = {4: "10.0.1.1", 6: "fd00:1::1"}
LEAST = {4: 576, 6: 1280}
Kind = Literal["wide-open", "signalled", "black-hole", "clamped"]
SILENCE = """
table inet silence { chain out { type filter hook output priority 0;
 icmp type destination-unreachable icmp code frag-needed drop
 icmpv6 type packet-too-big drop
}
}
"""
LINK = """
table inet link { chain in { type filter hook prerouting priority 0;
 iifname w%d meta length > %d drop
}
}
"""
CLAMP = """
table inet clamp { chain through { type filter hook forward priority 0;
 tcp flags syn tcp option maxseg size set %d
}
}
"""


@dataclass(frozen=True)
class NarrowPath:
    """The true values: `mtu` of the forward path, limited at router `at` (1 to 4; 0 on a wide-open path), `link` of
    the client's interface, `back` of the return path, limited at router `back_at`, which may be silent. `is_link`: the
    link after `at` drops larger packets. `mss`: of a clamp below what `mtu` allows."""

    version: Literal[4, 6]
    kind: Kind
    mtu: int
    at: int
    link: int
    back: int = WIDE
    back_at: int = 0
    is_back_silent: bool = False
    is_link: bool = False
    mss: int | None = None

    @property
    def hop(self) -> str | None:
        """The address of the limiting router, as the client sees it."""
        return router(self.version, self.at) if self.at else None

    def __str__(self) -> str:
        down = f", back {self.back} at {self.back_at}{' silent' * self.is_back_silent}" if self.back_at else ""
        clamp = f", MSS {self.mss}" if self.mss else ""
        return (
            f"IPv{self.version} {self.kind} {self.mtu} at {self.at}{' link' * self.is_link} of {self.link}{clamp}{down}"
        )


def router(version: int, number: int) -> str:
    """A router's address towards the client."""
    return f"10.0.{number}.2" if version == 4 else f"fd00:{number}::2"


def paths(seed: int) -> Iterator[NarrowPath]:
    """Every kind at every router in both IP versions, with random sizes; wide-open paths; limit cases."""
    chance = source(seed, "paths")
    versions: tuple[Literal[4, 6], ...] = (4, 6)
    kinds: tuple[Kind, ...] = ("signalled", "black-hole", "clamped")
    for version in versions:
        for kind in kinds:
            for at in (1, 2, 3, 4):
                link = chance.choice((1500, WIDE))
                mtu = chance.randrange(LEAST[version], link)
                back = chance.choice((WIDE, chance.randrange(LEAST[version], mtu + 1)))
                back_at = 0 if back == WIDE else chance.choice((1, 2, 3, 4))
                is_silent = kind != "clamped" and back_at not in (0, at) and chance.random() < 0.5
                yield NarrowPath(version, kind, mtu, at, link, back, back_at, is_silent)
        yield NarrowPath(version, "wide-open", 1500, 0, 1500)
        yield NarrowPath(version, "wide-open", WIDE, 0, WIDE, LEAST[version], 3, True)
        yield NarrowPath(version, "black-hole", LEAST[version], 2, WIDE)
        yield NarrowPath(version, "black-hole", 1400, 3, 1500, 1300, 1)
        yield NarrowPath(version, "signalled", WIDE - 1, 4, WIDE)
        yield NarrowPath(version, "clamped", 1500, 0, 1500, mss=1220)
        for at in (0, 2, 4):
            yield NarrowPath(version, "black-hole", chance.randrange(LEAST[version], 1500), at, 1500, is_link=True)


class Lab:
    """The network, and what changes it from one path to the next. Needs root in a kernel of its own."""

    def __init__(self) -> None:
        batch("ip", [f"netns add {node}" for node in NODES])
        lines: dict[str, list[str]] = {node: ["link set lo up"] for node in NODES}
        pairs = list(enumerate(pairwise(NODES), 1))
        for node in NODES:
            with self.inside(node):
                for name in ("ipv4/ip_forward", "ipv6/conf/all/forwarding"):
                    Path("/proc/sys/net", name).write_text("1")
        veth = "link add e{0} netns {1} mtu {3} type veth peer name w{0} netns {2} mtu {3}"
        batch("ip", [veth.format(number, near, far, WIDE) for number, (near, far) in pairs])
        for number, (near, far) in pairs:
            for node, link, end in ((near, f"e{number}", 1), (far, f"w{number}", 2)):
                lines[node].append(f"link set {link} up gso_max_segs 1")
                lines[node].append(f"address add 10.0.{number}.{end}/24 dev {link}")
                lines[node].append(f"address add fd00:{number}::{end}/64 dev {link} nodad")
        for place, node in enumerate(NODES):
            for number in range(1, place):
                lines[node] += _routes(number, place, 1)
            for number in range(place + 2, 6):
                lines[node] += _routes(number, place + 1, 2)
        for node in NODES:
            batch(f"ip -n {node}", lines[node])
        self._listen()

    def _listen(self) -> None:
        """Whoever connects is read to the end, and never answered."""
        with self.inside("host"):
            listener = socket.create_server(("::", PORT), family=socket.AF_INET6, dualstack_ipv6=True, backlog=64)
        Thread(target=_sink, args=(listener,), daemon=True).start()

    @contextmanager
    def inside(self, node: str) -> Iterator[None]:
        """The body's thread is in the namespace of that node."""
        place = os.open(f"/run/netns/{node}", os.O_RDONLY)
        try:
            with namespaces.inside(place):
                yield
        finally:
            os.close(place)

    @contextmanager
    def path(self, truth: NarrowPath) -> Iterator[None]:
        """The body sees this path, with nothing cached."""
        routes, rules = _routes_of(truth), _rules_of(truth)
        sh(f"ip -n client link set e1 mtu {truth.link}")
        self.forget()
        try:
            for number, target, link, end, mtu in routes:
                self._narrow("replace", number, target, link, end, mtu)
            for number, rule in rules:
                with self.inside(NODES[number]):
                    sh("nft -f -", rule)
            yield
        finally:
            for number, target, link, end, mtu in routes:
                self._narrow("del", number, target, link, end, mtu)
            for number, _ in rules:
                with self.inside(NODES[number]):
                    sh("nft flush ruleset")

    def _narrow(self, verb: str, number: int, target: str, link: int, end: int, mtu: int) -> None:
        version = 6 if ":" in target else 4
        via = f"10.0.{link}.{end}" if version == 4 else f"fd00:{link}::{end}"
        device = f"e{link}" if end == 2 else f"w{link}"
        way = f"dev {device}" if via == target else f"via {via} dev {device}"
        sh(f"ip -n r{number} -{version} route {verb} {target} {way} mtu {mtu}")

    def forget(self) -> None:
        """No end remembers what a router told it before."""
        for node in ("client", "host"):
            with self.inside(node):
                Path("/proc/sys/net/ipv4/route/flush").write_text("1")
                sh("ip -6 route flush cache")


def _routes_of(truth: NarrowPath) -> list[tuple[int, str, int, int, int]]:
    """The router, whereto, the next link and its end that it leads to, the MTU."""
    found = []
    if truth.at and not truth.is_link:
        found.append((truth.at, HOST[truth.version], truth.at + 1, 2, truth.mtu))
    if truth.back_at:
        found.append((truth.back_at, CLIENT[truth.version], truth.back_at, 1, truth.back))
    return found


def _rules_of(truth: NarrowPath) -> list[tuple[int, str]]:
    """The node, and what nft reads there."""
    found = []
    if truth.is_link:
        found.append((truth.at + 1, LINK % (truth.at + 1, truth.mtu)))
    elif truth.at and truth.kind in ("black-hole", "clamped"):
        found.append((truth.at, SILENCE))
    if truth.is_back_silent:
        found.append((truth.back_at, SILENCE))
    if truth.kind == "clamped":
        fits = truth.mtu - (40 if truth.version == 4 else 60)
        found.append((truth.at or 2, CLAMP % (truth.mss or fits)))
    return found


def tracepath(truth: NarrowPath, limit: int = 8) -> tuple[int | None, str]:
    """What tracepath makes of the same path: its path MTU, and all that it prints."""
    words = ["tracepath", "-n", f"-{truth.version}", "-m", str(limit), HOST[truth.version]]
    printed = subprocess.run(words, capture_output=True, text=True, check=False).stdout
    found = re.search(r"Resume: pmtu (\d+)", printed)
    return int(found.group(1)) if found else None, printed


def packets_sent(version: int) -> int:
    """How many IP packets of that version this namespace has sent, by its kernel's own count (RFC 4293; Linux 6.8)."""
    if version == 4:
        names, numbers = Path("/proc/net/snmp").read_text().splitlines()[:2]
        return int(dict(zip(names.split(), numbers.split(), strict=True))["OutTransmits"])
    counted = dict(line.split() for line in Path("/proc/net/snmp6").read_text().splitlines())
    neighbours = ("Icmp6OutNeighborSolicits", "Icmp6OutNeighborAdvertisements", "Icmp6OutRouterSolicits")
    others = ("Icmp6OutMLDv2Reports", "Icmp6OutGroupMembResponses")
    return int(counted["Ip6OutTransmits"]) - sum(int(counted[name]) for name in (*neighbours, *others))


def sh(command: str, given: str | None = None) -> None:
    """Run it; it must succeed."""
    done = subprocess.run(command.split(), input=given, capture_output=True, text=True, check=False)
    assert done.returncode == 0, f"{command}: {done.stderr}"


def batch(command: str, lines: list[str]) -> None:
    """Many lines of one command, in one process."""
    sh(f"{command} -batch -", "\n".join(lines))


def _routes(number: int, link: int, end: int) -> list[str]:
    """To the prefixes of a link, by that end of another."""
    return [
        f"route add 10.0.{number}.0/24 via 10.0.{link}.{end}",
        f"route add fd00:{number}::/64 via fd00:{link}::{end}",
    ]


def _sink(listener: socket.socket) -> None:
    while True:
        connection, _ = listener.accept()
        Thread(target=_drain, args=(connection,), daemon=True).start()


def _drain(connection: socket.socket) -> None:
    with connection, suppress(OSError):
        while connection.recv(1 << 16):
            pass
