"""Runs in a guest: types `chaoskit pmtu` at hosts and paths that answer badly, and writes down as JSON what it says.

    every_host.py ANSWER

Each is typed with CAP_NET_RAW, `raw`, or without: by datagrams alone, `udp`, or by pings as well, `ping`.
"""

from __future__ import annotations

import ctypes
import json
import os
import struct
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from itertools import cycle
from pathlib import Path
from tempfile import TemporaryFile
from typing import Any, Literal

sys.path.insert(0, os.fspath(Path(__file__).parents[1]))

from narrow_paths import HOST, PORT, Kind, Lab, NarrowPath, packets_sent, router, sh

from chaoskit.cli import app  # noqa: F401  paid once, for all the forks
from chaoskit.cli.main import main as chaoskit
from chaoskit.clock import RealClock
from chaoskit.pathmtu.prepare import PACKETS

GROUPS = {"udp": "1 0", "ping": "0 4294967294", "raw": "1 0"}
_VERSION_3, _NET_RAW = 0x2008_0522, 13  # capget(2), capabilities(7)
_libc = ctypes.CDLL(None, use_errno=True)
MTU = 1400
REST = 20 * 10**9  # ns; after which all who limit their answers have some to give again
REST = 20 * 10**9  # ns; after which all who limit their answers have some to give again
Rights = Literal["raw", "udp", "ping"]
ALL: tuple[Rights, ...] = ("raw", "ping", "udp")

ONLY = """
table inet only { chain in { type filter hook input priority 0; policy drop;
 icmpv6 type { 135, 136 } accept
 %s
}
}
"""
ECHO = "icmp type echo-request accept\n icmpv6 type echo-request accept"
TCP = f"tcp dport {PORT} accept"
UDP = "meta l4proto udp accept"
UNLUCKY = f"meta length > 200 tcp dport {PORT} limit rate 1/hour burst 15 packets drop\n accept"  # a body, and no more
LIMITS = {  # after six at once, one a second to each peer, of every type
    "net.ipv4.icmp_ratelimit": ("1000", "1000"),
    "net.ipv4.icmp_ratemask": ("524287", "6168"),
    "net.ipv6.icmp.ratelimit": ("1000", "1000"),
    "net.ipv6.icmp.ratemask": ("0-255", "0-1,3-127"),
}
OVERALL = {  # of all ICMP that the kernel sends, to whomever
    "net.ipv4.icmp_msgs_per_sec": ("2", "10000"),
    "net.ipv4.icmp_msgs_burst": ("2", "10000"),
}
LOSSY = "netem delay 10ms 5ms loss"


@dataclass(frozen=True)
class Trouble:
    """What is wrong: the rule for what the host lets in, nodes whose ICMP is limited (`overall`: all that the kernel
    sends), what netem does on link 3 both ways, the router whose own messages are late, a route that router 2 has
    instead of the way to the host."""

    name: str
    only: str | None = None
    limited: tuple[str, ...] = ()
    is_overall: bool = False
    netem: str = ""
    late: int | None = None
    route: str = ""


@dataclass(frozen=True)
class Case:
    """What is typed after the host, by whom, towards what."""

    trouble: Trouble
    path: NarrowPath
    rights: Rights
    limits: dict[str, int] = field(default_factory=dict)

    @property
    def options(self) -> list[str]:
        """As they are typed."""
        names = {"packets": ("--max-packets", ""), "seconds": ("--max-time", "s")}
        return [word for what, limit in self.limits.items() for word in (names[what][0], f"{limit}{names[what][1]}")]


ROUTERS = ("r1", "r2", "r3", "r4")
NOWHERE = (
    Trouble("mute", only=""),
    Trouble("blackhole", route="blackhole"),
    Trouble("unreachable", route="unreachable"),
    Trouble("prohibit", route="prohibit"),
)
TROUBLES = (
    Trouble("echo only", only=ECHO),
    Trouble("tcp only", only=TCP),
    Trouble("udp only", only=UDP),
    Trouble("rejects", only="reject with icmpx admin-prohibited"),
    Trouble("unlucky body", only=UNLUCKY),
    Trouble("limited host", limited=("host",)),
    Trouble("limited routers", limited=ROUTERS),
    Trouble("limited overall", is_overall=True),
    Trouble("loss 5", netem=f"{LOSSY} 5%"),
    Trouble("loss 10", netem=f"{LOSSY} 10%"),
    Trouble("late hop", late=3),
    Trouble("late neighbour", late=2),
    Trouble("slow", netem="netem delay 150ms"),
    Trouble("very slow", netem="netem delay 700ms"),
)
KINDS: tuple[Kind, ...] = ("wide-open", "signalled", "black-hole")
TYPED = (*({"packets": packets} for packets in (20, 24, 28, 34)), *({"seconds": seconds} for seconds in (1, 2, 4)))
REFUSED = (["no-such-host.invalid"], [HOST[4], "--ip", "6"], ["fd00:99::1"])


def path(version: Literal[4, 6], kind: Kind) -> NarrowPath:
    """All links take 1500 bytes, but for the narrow one."""
    if kind == "wide-open":
        return NarrowPath(version, kind, 1500, 0, 1500)
    return NarrowPath(version, kind, MTU, 3, 1500)


def cases() -> Iterator[Case]:
    """Every trouble on every kind of path; IP versions and rights take turns."""
    rights = cycle(ALL)
    versions: Iterator[Literal[4, 6]] = cycle((4, 6))
    for trouble in NOWHERE:
        for who in ALL:
            yield Case(trouble, path(next(versions), "wide-open"), who)
    for trouble in TROUBLES:
        for kind in KINDS:
            yield Case(trouble, path(next(versions), kind), next(rights))
        next(rights)
    for limits in TYPED:
        yield Case(Trouble("none"), path(4, "black-hole"), "raw", limits)
        yield Case(Trouble("none"), path(6, "black-hole"), "ping", limits)


class Troubled:
    """The lab, and troubles in it."""

    def __init__(self) -> None:
        self.lab = Lab()

    @contextmanager
    def trouble(self, trouble: Trouble, version: int) -> Iterator[None]:
        """The body meets it; then it is gone."""
        undo: list[tuple[str, str]] = []
        for node, command, given, after in self._commands(trouble, version):
            with self.lab.inside(node):
                sh(command, given)
            undo.append((node, after))
        try:
            yield
        finally:
            for node, after in reversed(undo):
                with self.lab.inside(node):
                    sh(after)

    def _commands(self, trouble: Trouble, version: int) -> Iterator[tuple[str, str, str | None, str]]:
        """The node, what is typed there and read by it, and what undoes it."""
        if trouble.only is not None:
            yield "host", "nft -f -", ONLY % trouble.only, "nft flush ruleset"
        for node in trouble.limited:
            for name, (value, before) in LIMITS.items():
                yield node, f"sysctl -qw {name}={value}", None, f"sysctl -qw {name}={before}"
        if trouble.is_overall:
            for name, (value, before) in OVERALL.items():
                yield "host", f"sysctl -qw {name}={value}", None, f"sysctl -qw {name}={before}"
        if trouble.netem:
            for node, link in (("r2", "e3"), ("r3", "w3")):
                yield node, f"tc qdisc add dev {link} root {trouble.netem}", None, f"tc qdisc del dev {link} root"
        if trouble.late:
            yield from _late(trouble.late, version)
        if trouble.route:
            route = f"ip -{version} route %s {trouble.route} {HOST[version]}"
            yield "r2", route % "add", None, route % "del"


def _late(hop: int, version: int) -> Iterator[tuple[str, str, str | None, str]]:
    """What this router says itself comes 300 ms late."""
    node, link, address = f"r{hop}", f"w{hop}", router(version, hop)
    words = "ip" if version == 4 else "ip6"
    protocol = "ip" if version == 4 else "ipv6"
    yield (
        node,
        f"tc qdisc add dev {link} root handle 1: prio priomap {'0 ' * 16}",
        None,
        f"tc qdisc del dev {link} root",
    )
    yield node, f"tc qdisc add dev {link} parent 1:3 handle 30: netem delay 300ms", None, "true"
    match = f"u32 match {words} src {address} flowid 1:3"
    yield node, f"tc filter add dev {link} parent 1: protocol {protocol} prio 1 {match}", None, "true"


def typed(words: list[str], rights: Rights) -> dict[str, Any]:
    """What `chaoskit pmtu` prints, and how it ends."""
    mine = os.dup(1), os.dup(2)
    with TemporaryFile() as out, TemporaryFile() as err, without_raw(rights != "raw"):
        os.dup2(out.fileno(), 1)
        os.dup2(err.fileno(), 2)
        sys.argv = ["chaoskit", "pmtu", *words]
        code: Any = 0
        try:
            chaoskit()
        except SystemExit as end:
            code = end.code
        finally:
            sys.stdout.flush()
            sys.stderr.flush()
            for number, each in enumerate(mine, 1):
                os.dup2(each, number)
                os.close(each)
        out.seek(0)
        err.seek(0)
        return {"exit": code, "out": out.read().decode(), "err": err.read().decode()}


@contextmanager
def without_raw(is_meant: bool) -> Iterator[None]:
    """The body's thread may open no raw sockets, when that is meant."""
    header = struct.pack("=Ii", _VERSION_3, 0)
    data = ctypes.create_string_buffer(24)
    _check(_libc.capget(header, data))
    before = data.raw
    effective = struct.unpack_from("=I", before)[0]
    if is_meant:
        _check(_libc.capset(header, struct.pack("=I", effective & ~(1 << _NET_RAW)) + before[4:]))
    try:
        yield
    finally:
        _check(_libc.capset(header, before))


def _check(returned: int) -> None:
    if returned:
        raise OSError(ctypes.get_errno(), "capset")


def row(lab: Troubled, case: Case) -> dict[str, Any]:
    """The truth, and what was said."""
    version = case.path.version
    host = HOST[version] if version == 4 else f"[{HOST[version]}]"
    with lab.lab.path(case.path), lab.trouble(case.trouble, version), lab.lab.inside("client"):
        clock = RealClock()
        clock.sleep_until(clock.now() + REST)
        clock = RealClock()
        clock.sleep_until(clock.now() + REST)
        Path("/proc/sys/net/ipv4/ping_group_range").write_text(GROUPS[case.rights])
        before = packets_sent(version)
        said = typed([f"{host}:{PORT}", "--json", *case.options], case.rights)
        sent = packets_sent(version) - before
    return {
        "trouble": case.trouble.name,
        "ip": version,
        "rights": case.rights,
        "truth": {"mtu": case.path.mtu, "kind": case.path.kind, "at": case.path.at, "hop": case.path.hop},
        "limits": {"packets": PACKETS, "seconds": 30} | case.limits,
        "sent": sent,
        **said,
        "document": json.loads(said["out"]) if said["out"] else None,
    }


def main(answer: Path) -> None:
    """All of them."""
    lab = Troubled()
    with lab.lab.inside("client"):
        refused = [{"words": words, **typed(words, who)} for words in REFUSED for who in ALL[:2]]
    answer.write_text(json.dumps({"refused": refused, "rows": [row(lab, case) for case in cases()]}))


if __name__ == "__main__":
    main(Path(sys.argv[1]))
