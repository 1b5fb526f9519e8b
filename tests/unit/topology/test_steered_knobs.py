"""Tests the knobs that redirect selected traffic, without a kernel; the kernel tier sends real packets."""

from __future__ import annotations

from itertools import pairwise, product

import pytest

from chaoskit.errors import RefusedError
from chaoskit.knobs import Clsact, Filter, Flow, Ifb, Knob, Link, MatchAll, Netem, U32Key
from chaoskit.topology.steering import (
    MAX_FILTERS,
    PRIORITIES,
    OneDirection,
    Remote,
    TrafficSelector,
    count_filters,
    needs,
    qdisc,
    steer,
)
from chaoskit.topology.u32_keys import keys

V4, V6 = Remote("10.0.0.2/32", 443), Remote("fd00::2/128", 443)
BOTH: dict[OneDirection, Netem | None] = {"up": Netem(delay=1), "down": Netem(delay=2)}
SELECTORS = [
    TrafficSelector(remotes, local_port, protocol, frozenset(versions))
    for remotes, local_port, protocol, versions in product(
        ((), (V4,), (V6,), (V4, V6), (Remote("10.0.0.0/8"),), (Remote(None, 443),)),
        (None, 7000),
        (None, "tcp", "udp", "icmp"),
        ((4,), (4, 6)),
    )
    if protocol != "icmp" or (local_port is None and all(remote.port is None for remote in remotes))
]


@pytest.mark.parametrize("classifier", ["flower", "u32"])
def test_filters_come_after_the_ifbs_that_they_redirect_to(classifier: str) -> None:
    """For every selector: ifbs get their netem first, are set up after it, and filters come last."""
    for selector in SELECTORS:
        try:
            changes = steer("eth0", selector, BOTH, classifier)
        except RefusedError:
            assert classifier == "u32"
            continue
        kinds = [knob.kind for knob, _ in changes]

        assert kinds[:7] == ["ifb", "qdisc", "link"] * 2 + ["clsact"]
        assert set(kinds[7:]) == {"filter"}
        assert changes[:2] == ((Knob("ifb", "", "chaos-up"), Ifb()), (qdisc("up"), Netem(delay=1)))
        assert changes[6] == (Knob("clsact", "", "eth0"), Clsact())
        assert len(kinds[7:]) == 2 * count_filters(selector, classifier)


@pytest.mark.parametrize("classifier", ["flower", "u32"])
def test_filter_priorities_are_unique(classifier: str) -> None:
    """Each filter of a hook has its own priority from our range; those of u32 differ between the directions too."""
    selector = TrafficSelector(tuple(Remote(f"10.0.0.{host}/32", 443) for host in range(5)), versions=frozenset({4}))
    names = [knob.name for knob, _ in steer("eth0", selector, BOTH, classifier) if knob.kind == "filter"]

    assert len(names) == len(set(names)) == 2 * count_filters(selector, classifier)
    priorities = [int(name.split(" ")[2]) for name in names]
    assert set(priorities) <= PRIORITIES
    assert (len(set(priorities)) == len(priorities)) is (classifier == "u32")


def test_the_priority_range_has_the_documented_size() -> None:
    """Each direction has `MAX_FILTERS` priorities per kind of filter, outside the range that the kernel assigns."""
    assert len(PRIORITIES) == 4 * MAX_FILTERS
    assert max(PRIORITIES) < 2**16
    assert min(PRIORITIES) > 49152  # tc and the kernel assign priorities downwards from there


def test_the_remote_end_is_the_destination_up_and_the_source_down() -> None:
    """Addresses and ports swap with the direction, and fragments of both directions are covered."""
    changes = steer("eth0", TrafficSelector((V4,), 7000, "tcp"), BOTH, "flower")

    assert [setting for knob, setting in changes if knob.kind == "filter"] == [
        Filter("ip", Flow(6, None, "10.0.0.2/32", 7000, 443), "chaos-up"),
        Filter("ip", Flow(6, None, "10.0.0.2/32", is_fragment=True), "chaos-up"),
        Filter("ip", Flow(6, "10.0.0.2/32", None, 443, 7000), "chaos-down"),
        Filter("ip", Flow(6, "10.0.0.2/32", None, is_fragment=True), "chaos-down"),
    ]


def test_all_traffic_needs_one_matchall_filter() -> None:
    """All traffic of an interface, ARP included, is matched by matchall, so neither flower nor u32 is needed."""
    (*_, (knob, setting)) = steer("eth0", TrafficSelector(), {"up": Netem()}, "flower")

    assert (knob.name, setting) == ("eth0 egress 51717", Filter("all", MatchAll(), "chaos-up"))
    assert needs(TrafficSelector(), "flower") == {"netem", "ifb", "clsact", "matchall"}
    assert needs(TrafficSelector((V4,)), "u32") == {"netem", "ifb", "clsact", "u32"}


def test_a_direction_without_a_netem_gets_its_ifb_and_filters() -> None:
    """Where a phase sets the netem later, ifb and filters exist already; the other direction is untouched."""
    changes = steer("eth0", TrafficSelector((V4,)), {"down": None}, "flower")

    assert {knob.kind for knob, _ in changes} == {"ifb", "link", "clsact", "filter"}
    assert changes[1] == (Knob("link", "", "chaos-down"), Link(True, 1500, 65535))
    assert all(" ingress " in knob.name for knob, _ in changes if knob.kind == "filter")


def test_duplicate_hosts_produce_no_duplicate_filters() -> None:
    """A host that is listed twice needs no additional filter."""
    once, twice = (count_filters(TrafficSelector((V4,) * number, protocol="tcp"), "flower") for number in (1, 2))

    assert once == twice == 2


def test_u32_keys_match_the_same_packets_as_the_flow() -> None:
    """One key per 32-bit word of an address, the protocol byte, ports after each header length, each fragment bit."""
    assert list(keys("ip", Flow())) == [()]
    assert list(keys("ip", Flow(17, "10.1.2.3/32", "128.0.0.0/1"))) == [
        (U32Key(0x0A010203, 0xFFFFFFFF, 12), U32Key(0x80000000, 0x80000000, 16), U32Key(17 << 16, 0xFF << 16, 8))
    ]
    assert list(keys("ipv6", Flow(source="2001:db8::/31", destination="::1/128"))) == [
        (U32Key(0x20010DB8, 0xFFFFFFFE, 8), *(U32Key(int(word == 3), 0xFFFFFFFF, 24 + 4 * word) for word in range(4)))
    ]
    ports = list(keys("ip", Flow(6, source_port=1, destination_port=443)))
    assert [each[-1] for each in ports] == [U32Key(1 << 16 | 443, 0xFFFFFFFF, 4 * words) for words in range(5, 16)]
    assert all(U32Key(0, 0x3FFF, 4) in each for each in ports)
    fragments = list(keys("ip", Flow(6, is_fragment=True)))
    assert [each[-1].mask for each in fragments] == [1 << bit for bit in range(14)]
    assert all(first != second for first, second in pairwise(fragments))


def test_u32_refuses_what_it_cannot_match() -> None:
    """u32 cannot match behind IPv6 extension headers; the refusal says what to type."""
    for flow in (Flow(6), Flow(6, source_port=1), Flow(is_fragment=True)):
        with pytest.raises(RefusedError, match="sudo modprobe cls_flower"):
            list(keys("ipv6", flow))
