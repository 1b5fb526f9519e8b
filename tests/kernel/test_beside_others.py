"""Tests faults beside foreign qdiscs, filters and programs, and on stacked interfaces.

Predictions about foreign filters are compared with what happens to a real packet.
"""

from __future__ import annotations

import ctypes
import os
import socket
import struct
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from lab import links, run
from pyroute2 import IPRoute

from chaoskit.engine.apply_restore import apply, restore
from chaoskit.engine.journal import Journal
from chaoskit.errors import RefusedError
from chaoskit.facts import Facts
from chaoskit.host_lookups import ForeignFilter
from chaoskit.kernel.host_lookups import look_up
from chaoskit.kernel.linux import LinuxKernel
from chaoskit.kernel.modules import load
from chaoskit.kernel.netfilter import xtables
from chaoskit.knobs import Address, Clsact, Filter, Foreign, Knob, MatchAll, Neighbour
from chaoskit.planning.injection import compile_injection
from chaoskit.spec.injection import Injection
from chaoskit.topology.steering import PRIORITY, qdisc

TREE = Path("/usr/lib/uml/modules", os.uname().release)
BPF = 321  # x86_64's number of bpf(2)
V4, BOTH, NONE = frozenset({4}), frozenset({4, 6}), frozenset[int]()
INGRESS, COUNTS = "dev cable ingress", "protocol ip matchall action continue"
TAKEN = {
    "matchall action pass": (BOTH, BOTH),
    "protocol ip matchall action drop": (V4, V4),
    "protocol ip u32 match u32 0 0 action pass": (V4, V4),
    "protocol ip flower action goto chain 3": (V4, V4),
    "matchall action gact pipe": (BOTH, BOTH),
    "matchall action mirred egress mirror dev lo": (BOTH, BOTH),
    "protocol ip flower ip_proto udp action pass": (V4, NONE),
    "protocol ip u32 match ip protocol 17 0xff action pass": (V4, NONE),
    "protocol ip u32 match u32 0 0 action police rate 1mbit burst 10k conform-exceed drop/pass": (V4, NONE),
}
"""Filters that take a UDP packet of IPv4: the IP versions that they see, and those of which nothing gets past."""
LEFT = {
    "matchall action continue": None,
    "chain 7 matchall action pass": None,
    "protocol arp matchall action pass": None,
    "protocol ip flower ip_proto tcp action pass": (V4, NONE),
    "protocol ipv6 matchall action pass": (frozenset({6}), frozenset({6})),
    "protocol ip matchall action gact continue random determ pass 1000": (V4, NONE),
}
"""Filters that let it go on; None: they are not worth a word."""


@pytest.fixture
def pair(kernel: LinuxKernel) -> LinuxKernel:
    """10.0.0.1 `here` and 10.0.0.2 `there` with permanent neighbours, and a foreign clsact on the near end."""
    for place, own, other, mac in (("here", 1, 2, "02:00:00:00:00:02"), ("there", 2, 1, "02:00:00:00:00:01")):
        kernel.write(Knob("address", place, f"cable 10.0.0.{own}/24"), Address())
        kernel.write(Knob("neighbour", place, f"cable 10.0.0.{other}"), Neighbour(mac))
    with kernel.inside("here"):
        run("tc", "qdisc", "add", "dev", "cable", "clsact")
    return kernel


def tc(*lines: str) -> str:
    """One tc command that does all of this."""
    words = ("tc", "-s", "-batch", "-")
    return subprocess.run(words, input="\n".join(lines), capture_output=True, text=True, check=True).stdout


def hang(words: str, priority: int = 1) -> None:
    run("tc", "filter", "add", "dev", "cable", "ingress", "prio", str(priority), *words.split())


def test_the_verdict_of_foreign_filters_is_predicted(pair: LinuxKernel) -> None:
    """The prediction whether a packet passes a foreign filter equals the kernel's verdict; unknown cases are not
    predicted."""
    for words, foreseen in (TAKEN | LEFT).items():
        with pair.inside("here"):
            tc(f"filter add {INGRESS} prio 1 {words}", f"filter add {INGRESS} prio {PRIORITY} {COUNTS}")
            found = look_up("cable", []).filters
        with pair.inside("there"), socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sender:
            sender.sendto(b"hello", ("10.0.0.1", 9))
        with pair.inside("here"):
            told = tc(f"filter show {INGRESS} prio {PRIORITY}", f"filter del {INGRESS}")

        kind = next(word for word in words.split() if word in ("matchall", "flower", "u32"))
        assert found == ((ForeignFilter("ingress", kind, 1, *foreseen),) if foreseen else ()), words
        assert ("Sent 0 bytes" in told) == (words in TAKEN), words


def test_unusable_hooks_are_refused_with_a_reason(pair: LinuxKernel) -> None:
    """A shared block makes its hook unusable, an ingress qdisc both; refused before the first change, with what to
    type."""
    injection = Injection.model_validate({"to": "10.0.0.2", "down": {"delay": "1ms"}, "for": "9s"})
    with pair.inside("here"):
        assert look_up("cable", []).blocked_hooks == {}
        run("tc", "qdisc", "del", "dev", "cable", "clsact")
        run("tc", "qdisc", "add", "dev", "cable", "ingress_block", "22", "clsact")
        block = look_up(None, ["10.0.0.2"])
        run("tc", "qdisc", "del", "dev", "cable", "clsact")
        run("tc", "qdisc", "add", "dev", "cable", "ingress")
        empty = look_up(None, ["10.0.0.2"])
        hang("matchall action pass")
        held = look_up(None, ["10.0.0.2"])

    assert block.blocked_hooks.keys() == {"ingress"}
    assert empty.blocked_hooks.keys() == held.blocked_hooks.keys() == {"ingress", "egress"}
    for ground, sentence in (
        (block, "cable: its ingress filters are those of block 22"),
        (empty, "cable: an empty ingress qdisc of another program .*: sudo tc qdisc del dev cable ingress"),
        (held, "cable: an ingress qdisc with a filter of another program"),
    ):
        with pytest.raises(RefusedError, match=sentence):
            compile_injection(injection, ground, "flower")


def test_filters_of_other_chains_are_left_alone(pair: LinuxKernel) -> None:
    """A filter with our priority in another chain is neither taken for ours nor removed, and keeps the clsact."""
    ours = Knob("filter", "here", f"cable ingress {PRIORITY}")
    with pair.inside("here"):
        hang("chain 7 matchall action pass", PRIORITY)

    assert pair.read(ours) is None
    pair.write(ours, wanted := Filter("all", MatchAll(), None))
    assert pair.read(ours) == wanted
    pair.write(ours, None)
    with pytest.raises(RefusedError, match="a filter is attached to it"):
        pair.write(Knob("clsact", "here", "cable"), None)

    with pair.inside("here"):
        assert "chain 7 handle" in run("tc", "filter", "show", "dev", "cable", "ingress")
    assert pair.read(Knob("clsact", "here", "cable")) == Clsact()
    assert not isinstance(pair.read(ours), Foreign)


if TREE.exists():  # Debian's guest kernel; ours has no interface that stands on another, nor legacy iptables
    STANDING = {
        "vlan": ("ip link add link cable name top type vlan id 100",),
        "macvlan": ("ip link add link cable name top type macvlan mode bridge",),
        "bridge": ("ip link add top type bridge", "ip link set cable master top"),
        "bond": (
            "ip link add top type bond mode active-backup",
            "ip link set cable down",
            "ip link set cable master top",
        ),
    }

    @pytest.fixture(scope="module", autouse=True)
    def _modules() -> None:
        load(("8021q", "macvlan", "bridge", "bonding", "iptable_filter"), TREE)

    @pytest.fixture(params=STANDING)
    def top(request: pytest.FixtureRequest, kernel: LinuxKernel) -> Iterator[str]:
        """The remote address behind an interface `top` of this kind."""
        for place, kind in (("here", request.param), ("there", "vlan" if request.param == "vlan" else "")):
            with kernel.inside(place):
                for words in STANDING.get(kind, ()):
                    run(*words.split())
                if kind:
                    run("ip", "link", "set", "cable", "up")
                    run("ip", "link", "set", "top", "up")
                run(
                    "ip",
                    "address",
                    "add",
                    f"10.7.0.{1 if place == 'here' else 2}/24",
                    "dev",
                    "top" if kind else "cable",
                )
        yield "10.7.0.2"
        with kernel.inside("here"):
            run("ip", "link", "del", "top")

    def test_stacked_interfaces_are_hit(kernel: LinuxKernel, facts: Facts, top: str, tmp_path: Path) -> None:
        """On a VLAN, a macvlan, a bridge and a bond both directions are hit, and everything is restored afterwards."""
        asked = {"to": top, "up": {"delay": "1ms"}, "down": {"delay": "1ms"}, "size-drop-up": 1000, "for": "9s"}
        with kernel.inside("here"), LinuxKernel(facts) as here, Journal.at(tmp_path) as journal:
            run("ping", "-c", "1", "-W", "20", top)
            ground, before = look_up(None, [top]), snapshot()
            plan = compile_injection(Injection.model_validate(asked), ground, "flower")
            for change in plan.changes:
                apply(here, journal, change)
            run("ping", "-c", "1", "-W", "20", top)
            hit = [here.counters(qdisc("up")), here.counters(qdisc("down"))]
            assert restore(here, journal) == []
            after = snapshot()

        assert ground.interface == "top"
        assert all(counters is not None and counters.packets > 0 for counters in hit)
        assert after == before

    def snapshot() -> list[str]:
        """The state of the namespace, without the timers of bridges and bonds."""
        links()
        return [
            run(*words.split()) for words in ("ip link", "ip address", "tc -d qdisc", "tc filter show dev top ingress")
        ]

    def test_an_xdp_program_is_warned_of(pair: LinuxKernel) -> None:
        """The fault never sees packets that an XDP program takes; the plan warns of an attached program."""
        asked = Injection.model_validate({"to": "10.0.0.2", "down": {"delay": "1ms"}, "for": "9s"})
        with pair.inside("here"), IPRoute() as ip:
            cable = ip.link_lookup(ifname="cable")[0]
            warnings = []
            for program in (load_xdp(), -1):
                ip.link("set", index=cable, xdp={"attrs": [("IFLA_XDP_FD", program)]})
                plan = compile_injection(asked, look_up(None, ["10.0.0.2"]), "flower")
                warnings.append([warning for warning in plan.warnings if "XDP" in warning])

        assert warnings == [
            [
                "cable: an XDP program sees received packets before our filters do, and the fault misses those that it "
                "takes"
            ],
            [],
        ]

    def load_xdp() -> int:
        """Loads a program that passes everything: bpf(2), BPF_PROG_LOAD (5) of type BPF_PROG_TYPE_XDP (6)."""
        program = ctypes.create_string_buffer(struct.pack("=BBhiBBhi", 0xB7, 0, 0, 2, 0x95, 0, 0, 0), 16)
        licence = ctypes.create_string_buffer(b"GPL")
        words = struct.pack("=IIQQ", 6, 2, ctypes.addressof(program), ctypes.addressof(licence)).ljust(128, b"\0")
        return int(ctypes.CDLL(None).syscall(BPF, 5, words, len(words)))

    def test_a_forward_policy_of_legacy_iptables_is_detected(pair: LinuxKernel) -> None:
        """Policy DROP blocks forwarding, unless rules accept our link by name in both directions."""
        with pair.inside("here"):
            for policy, ends, is_shut in (
                (-1, (), True),
                (-2, (), False),
                (-1, ("iniface", "outiface"), False),
                (-1, ("iniface",), True),
            ):
                replace_filter_table(policy, ends)

                assert xtables.blocks_forwarding("chaos-out") == is_shut, (policy, ends)
                assert xtables.blocks_forwarding("chaos-outer") == (policy == -1), (policy, ends)

    def replace_filter_table(policy: int, ends: tuple[str, ...]) -> None:
        """Does what `iptables-legacy -P FORWARD` and `-I FORWARD -i chaos-out -j ACCEPT` do: IPT_SO_SET_REPLACE
        (64)."""

        def entry(verdict: int, end: str = "") -> bytes:
            name, mask = b"chaos-out".ljust(16, b"\0"), (b"\xff" * 10).ljust(16, b"\0")
            words = {"iniface": (name, bytes(16), mask, bytes(16)), "outiface": (bytes(16), name, bytes(16), mask)}
            asked = b"".join(words.get(end, (bytes(64),)))
            target = struct.pack("=H29sBi4x", 40, b"", 0, verdict)
            return bytes(16) + asked + struct.pack("=HBBIHHI16x", 0, 0, 0, 0, 112, 152, 0) + target

        chains = [[entry(-2)], [*(entry(-2, end) for end in ends), entry(policy)], [entry(-2)]]
        error = bytes(80) + struct.pack("=HBBIHHI16x", 0, 0, 0, 0, 112, 176, 0)
        error += struct.pack("=H29sB30s2x", 64, b"ERROR", 0, b"ERROR")
        rules = b"".join(each for chain in chains for each in chain) + error
        forward, behind = 152, 152 * (1 + len(chains[1]))
        hooks, underflows = (0, 0, forward, behind, 0), (0, 0, behind - 152, behind, 0)
        count = sum(map(len, chains)) + 1
        with socket.socket(socket.AF_INET, socket.SOCK_RAW, socket.IPPROTO_RAW) as door:
            told = ctypes.create_string_buffer(b"filter".ljust(32, b"\0").ljust(84, b"\0"), 84)
            length = ctypes.c_uint32(84)
            assert ctypes.CDLL(None).getsockopt(door.fileno(), 0, 64, told, ctypes.byref(length)) == 0
            former = struct.unpack_from("=I", told.raw, 76)[0]
            counters = ctypes.create_string_buffer(16 * former)
            head = struct.pack("=32sIII5I5IIQ", b"filter", 0b01110, count, len(rules), *hooks, *underflows, former,
                               ctypes.addressof(counters))  # fmt: skip
            door.setsockopt(0, 64, head + rules)
