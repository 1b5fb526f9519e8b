"""Compares our filters with the kernel's dump and with tc, also beside foreign filters."""

from __future__ import annotations

import json
import os
import subprocess
from collections.abc import Iterator
from itertools import product
from pathlib import Path
from typing import Any, Literal

import pytest
from lab import links, run

from chaoskit.engine.apply_restore import apply, restore
from chaoskit.engine.journal import Journal
from chaoskit.facts import Facts
from chaoskit.kernel import modules
from chaoskit.kernel.linux import LinuxKernel
from chaoskit.knobs import Clsact, Filter, Flow, Ifb, Knob, MatchAll, Netem, U32Key, U32Match
from chaoskit.substrate.uml import MODULES
from chaoskit.topology.steering import Remote, TrafficSelector, steer

HOSTS: dict[Literal["all", "ip", "ipv6"], tuple[str | None, ...]] = {
    "ip": (None, "10.0.0.1/32", "192.0.2.128/25"),
    "ipv6": (None, "fd00::1/128", "2001:db8:0:2::/63"),
}
PROTOCOLS = {None: None, 1: "icmp", 6: "tcp", 17: "udp", 58: "icmpv6", 255: "ff"}
PORTS = ((None, None), (1, None), (None, 65535), (0x1234, 443))
REDIRECT = ("action", "mirred", "egress", "redirect", "dev", "chaos-up")
TREES = (
    (),
    ("qdisc add dev cable root netem delay 1ms loss 1%",),
    (
        "qdisc add dev cable root handle 1: htb default 20",
        "class add dev cable parent 1: classid 1:1 htb rate 10mbit ceil 20mbit",
        "class add dev cable parent 1:1 classid 1:20 htb rate 5mbit",
        "qdisc add dev cable parent 1:20 handle 20: netem delay 3ms",
        "filter add dev cable parent 1: protocol ip prio 1 u32 match ip dport 80 0xffff flowid 1:20",
    ),
    ("qdisc add dev cable root fq_codel limit 100",),
    (
        "qdisc add dev cable root handle 9: prio bands 4",
        "qdisc add dev cable parent 9:4 handle 94: netem loss 1%",
    ),
)
FILTERS = (
    "qdisc add dev cable clsact",
    "filter add dev cable egress protocol ip prio 1 flower ip_proto tcp dst_port 22 action pass",
    "filter add dev cable egress protocol ipv6 prio 2 u32 match ip6 dport 22 0xffff action pass",
    "filter add dev cable egress protocol all prio 60000 matchall action mirred egress mirror dev lo",
    "filter add dev cable ingress protocol ip prio 51716 flower ip_proto udp action police rate 1mbit burst 2000",
    "filter add dev cable ingress protocol ip prio 52225 flower ip_flags frag action drop",
    "filter add dev cable ingress protocol all prio 3 chain 7 matchall action pass",
)


@pytest.fixture(scope="module", autouse=True)
def _kinds() -> None:
    """Loads the qdisc modules of the kernel."""
    tree = MODULES / os.uname().release
    if tree.is_dir():
        modules.load(("sch_htb", "sch_prio", "sch_fq_codel"), tree)


@pytest.fixture
def door(kernel: LinuxKernel, facts: Facts) -> Iterator[LinuxKernel]:
    """A kernel whose own namespace is `here`, with an ifb."""
    with kernel.inside("here"), LinuxKernel(facts) as there:
        there.write(Knob("ifb", "", "chaos-up"), Ifb())
        yield there


def flows() -> Iterator[Filter]:
    """Every combination of all fields of a flow."""
    for family, hosts in HOSTS.items():
        for source, destination, protocol, is_fragment in product(hosts, hosts, PROTOCOLS, (None, True, False)):
            for source_port, destination_port in PORTS if protocol in (6, 17) else PORTS[:1]:
                flow = Flow(protocol, source, destination, source_port, destination_port, is_fragment)
                yield Filter(family, flow, "chaos-up")


def others() -> Iterator[Filter]:
    """Filters that are no flows."""
    yield from (Filter(family, MatchAll(), "chaos-up") for family in ("all", "ip", "ipv6"))
    yield Filter("all", Flow(), "chaos-up")
    yield Filter("all", U32Match(()), "chaos-up")
    for count, offset in product((1, 2, 127), (0, 4, 60, -14)):
        keys = tuple(U32Key(0x01020304 << number % 8, 0xFF00FF00 | number, offset) for number in range(count))
        yield Filter("ip", U32Match(keys), "chaos-up")


def fates() -> Iterator[tuple[Filter, list[str]]]:
    """Every action, and what tc prints for it."""
    away = "mirred (Egress Redirect to device chaos-up) stolen"
    for match in (MatchAll(), Flow(6, destination_port=443), U32Match((U32Key(1, 255, 8),))):
        yield Filter("ip", match, None), ["gact action drop"]
        for over in (68, 1400, 1490):
            yield Filter("ip", match, None, over), [f"mtu {over + 14}b action drop/continue"]
            yield Filter("ip", match, "chaos-up", over), [f"mtu {over + 14}b action pipe/continue", away]


def add_filters(door: LinuxKernel, wanted: list[Filter]) -> dict[int, Filter]:
    """Adds all filters at egress, at their priorities."""
    door.write(Knob("clsact", "", "cable"), Clsact())
    by_priority = dict(enumerate(wanted, 1))
    for priority, each in by_priority.items():
        door.write(Knob("filter", "", f"cable egress {priority}"), each)
    return by_priority


def tc_filters() -> dict[int, dict[str, Any]]:
    """The filters that tc shows at egress, by priority, without chains and hash tables."""
    printed = json.loads(run("tc", "-j", "-d", "filter", "show", "dev", "cable", "egress"))
    return {each["pref"]: each for each in printed if "actions" in each.get("options", {})}


def test_actions_equal_those_of_tc(door: LinuxKernel) -> None:
    """Drop or redirect, of all or of oversized packets: each reads back as written, and tc prints the same."""
    asked = add_filters(door, [each for each, _ in fates()])

    for priority, each in asked.items():
        assert door.read(Knob("filter", "", f"cable egress {priority}")) == each
    seen = run("tc", "-d", "filter", "show", "dev", "cable", "egress").split(" pref ")
    for priority, (each, wanted) in enumerate(fates(), 1):
        (text,) = [part for part in seen if part.startswith(f"{priority} ") and "action order" in part]
        assert text.count("action order") == len(wanted), each
        assert all(words in text for words in wanted), (each, text)


def test_flows_equal_those_of_tc(door: LinuxKernel) -> None:
    """Each flow reads back as written, and tc prints exactly its keys and our action."""
    for part in batches(list(flows())):
        asked = add_filters(door, part)

        for priority, each in asked.items():
            assert door.read(Knob("filter", "", f"cable egress {priority}")) == each
        seen = tc_filters()
        assert seen.keys() == asked.keys()
        for priority, each in asked.items():
            assert isinstance(each.match, Flow)
            assert seen[priority]["protocol"] == each.family
            assert seen[priority]["options"]["keys"] == as_tc_prints(each), each
            (action,) = seen[priority]["options"]["actions"]
            assert (action["kind"], action["mirred_action"], action["direction"], action["to_dev"]) == (
                "mirred",
                "redirect",
                "egress",
                "chaos-up",
            )
        run("tc", "filter", "del", "dev", "cable", "egress")


def test_filters_made_by_tc_read_as_ours(door: LinuxKernel) -> None:
    """A flow that tc creates with the same arguments reads as the same flow."""
    door.write(Knob("clsact", "", "cable"), Clsact())
    for part in batches([each for each in flows() if is_supported_by_tc(each)]):
        asked = dict(enumerate(part, 1))
        commands = "".join(
            f"filter add dev cable egress prio {priority} {' '.join(tc_arguments(each))}\n"
            for priority, each in asked.items()
        )
        batch(commands)

        for priority, each in asked.items():
            assert door.read(Knob("filter", "", f"cable egress {priority}")) == each
        run("tc", "filter", "del", "dev", "cable", "egress")


def test_matchall_and_u32_read_back(door: LinuxKernel) -> None:
    """Filters of matchall and u32 read back as written, each key at its offset, and tc prints the same bytes."""
    asked = add_filters(door, list(others()))

    for priority, each in asked.items():
        assert door.read(Knob("filter", "", f"cable egress {priority}")) == each
    lines = run("tc", "filter", "show", "dev", "cable", "egress").splitlines()
    told = [line.strip().removeprefix("match ") for line in lines if " match " in line]
    assert told == [
        f"{key.value:08x}/{key.mask:08x} at {key.offset}"
        for each in asked.values()
        if isinstance(each.match, U32Match)
        for key in each.match.keys
    ]


def test_prefixes_are_normalized(door: LinuxKernel) -> None:
    """Host bits, long forms and /0 prefixes read back as the kernel's `holds` says."""
    for family, said, held in (
        ("ip", "10.1.2.3/8", "10.0.0.0/8"),
        ("ip", "0.0.0.0/0", None),
        ("ip", "10.1.2.3", "10.1.2.3/32"),
        ("ipv6", "FD00:0::1/64", "fd00::/64"),
        ("ipv6", "::/0", None),
    ):
        for flow in (Flow(source=said), Flow(destination=said)):
            knob, wanted = Knob("filter", "", "cable egress 1"), Filter(family, flow, "chaos-up")  # type: ignore[arg-type]  # a loop's str
            door.write(Knob("clsact", "", "cable"), Clsact())
            door.write(knob, wanted)

            got = door.read(knob)
            assert got == door.holds(wanted)
            assert isinstance(got, Filter)
            assert held in vars(got.match).values()
            assert said not in vars(got.match).values()


def test_a_filter_is_replaced_by_any_other(door: LinuxKernel) -> None:
    """Written over any other kind, family and target, a filter reads back exactly as the last setting."""
    door.write(Knob("ifb", "", "chaos-down"), Ifb())
    door.write(Knob("clsact", "", "cable"), Clsact())
    knob = Knob("filter", "", "cable ingress 51717")
    kinds = [
        Filter("all", MatchAll(), "chaos-up"),
        Filter("all", MatchAll(), "chaos-down"),
        Filter("ip", MatchAll(), "chaos-up"),
        Filter("ip", Flow(6), "chaos-up"),
        Filter("ip", Flow(17), "chaos-up"),
        Filter("ipv6", Flow(17), "chaos-up"),
        Filter("ip", U32Match((U32Key(1, 1, 0),)), "chaos-up"),
        Filter("ip", U32Match((U32Key(1, 1, 4),)), "chaos-up"),
    ]

    for first, second in product(kinds, kinds):
        door.write(knob, first)
        door.write(knob, second)
        assert door.read(knob) == second, first


def test_u32_filters_of_both_directions_are_distinguished(door: LinuxKernel, tmp_path: Path) -> None:
    """The kernel shares u32 filters of one priority between both directions; ours are added and removed all the
    same."""
    with Journal.at(tmp_path) as journal:
        selector = TrafficSelector((Remote("10.0.0.2/32", 443),), protocol="tcp")
        for change in steer("cable", selector, {"up": Netem(), "down": Netem()}, "u32"):
            apply(door, journal, change)
        filters = [debt.knob for debt in journal.pending() if debt.knob.kind == "filter"]
        assert len(filters) == 2 * (11 + 14)
        assert len(set(filters)) == len(filters)
        assert restore(door, journal) == []

    assert run("tc", "filter", "show", "dev", "cable", "egress") == ""
    assert "clsact" not in run("tc", "qdisc", "show", "dev", "cable")


NARROW = TrafficSelector((Remote("10.0.0.2/32"), Remote("10.0.0.3/32", 443)), protocol="tcp")


@pytest.mark.parametrize(
    ("classifier", "tree", "filters", "selector"),
    [
        ("flower", (), (), TrafficSelector()),
        ("flower", TREES[2], (), NARROW),
        *(("flower", tree, FILTERS, NARROW) for tree in TREES),
        ("u32", TREES[2], FILTERS, NARROW),
    ],
)
def test_foreign_qdiscs_and_filters_are_unchanged(
    door: LinuxKernel,
    tmp_path: Path,
    classifier: str,
    tree: tuple[str, ...],
    filters: tuple[str, ...],
    selector: TrafficSelector,
) -> None:
    """Every foreign root qdisc and filter is byte for byte unchanged while our filters work and afterwards."""
    door.write(Knob("ifb", "", "chaos-up"), None)
    batch("\n".join((*tree, *filters)))
    before, links_before = cable_state(), links()

    with Journal.at(tmp_path) as journal:
        for change in steer("cable", selector, {"up": Netem(delay=1), "down": Netem(delay=2)}, classifier):
            apply(door, journal, change)
        during = root_state()
        assert restore(door, journal) == []

    assert during == root_state()
    assert cable_state() == before
    assert links() == links_before


def cable_state() -> list[str]:
    """The full state of the cable, as tc shows it."""
    looks = (("qdisc",), ("class",), ("filter",), ("filter", "ingress"), ("filter", "egress"))
    return [run("tc", "-d", what, "show", "dev", "cable", *where) for what, *where in looks]


def root_state() -> list[str]:
    """The cable's root qdisc and its filters."""
    printed = run("tc", "-d", "qdisc", "show", "dev", "cable")
    return [line for line in printed.splitlines() if "clsact" not in line]


def batch(commands: str) -> None:
    """Runs many tc commands in one process."""
    subprocess.run(("tc", "-batch", "-"), input=commands + "\n", text=True, check=True, capture_output=True)


def batches(filters: list[Filter]) -> Iterator[list[Filter]]:
    """Splits the cases into batches of a size that keeps the test quick."""
    for first in range(0, len(filters), 250):
        yield filters[first : first + 250]


def as_tc_prints(filter_: Filter) -> dict[str, Any]:
    """The keys of `tc -j` of iproute2 6.1 (tc/f_flower.c)."""
    flow = filter_.match
    assert isinstance(flow, Flow)
    told: dict[str, Any] = {
        "eth_type": "ipv4" if filter_.family == "ip" else "ipv6",
        "ip_proto": PROTOCOLS[flow.protocol],
        "src_ip": host(flow.source),
        "dst_ip": host(flow.destination),
        "src_port": flow.source_port,
        "dst_port": flow.destination_port,
        "ip_flags": None if flow.is_fragment is None else {"frag": flow.is_fragment},
    }
    return {key: value for key, value in told.items() if value is not None}


def tc_arguments(filter_: Filter) -> list[str]:
    """The arguments of tc for the flow."""
    keys = as_tc_prints(filter_)
    keys.pop("eth_type")
    if "ip_flags" in keys:
        keys["ip_flags"] = "frag" if keys["ip_flags"]["frag"] else "nofrag"
    return ["protocol", filter_.family, "flower", *(str(each) for key in keys.items() for each in key), *REDIRECT]


def is_supported_by_tc(filter_: Filter) -> bool:
    """Whether tc accepts the flow: it allows only the ICMP of each family."""
    foreign = {"ip": 58, "ipv6": 1}
    return not isinstance(filter_.match, Flow) or filter_.match.protocol != foreign[filter_.family]


def host(prefix: str | None) -> str | None:
    return None if prefix is None else prefix.removesuffix("/32").removesuffix("/128")
