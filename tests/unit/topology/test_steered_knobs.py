"""Which knobs some of an interface's traffic is, without a kernel; real packets go through them in the kernel tier."""

from __future__ import annotations

from itertools import pairwise, product

import pytest

from chaoskit.errors import RefusedError
from chaoskit.knobs import Clsact, Filter, Flow, Ifb, Knob, Link, MatchAll, Netem, U32Key
from chaoskit.topology.steering import MOST, PRIORITIES, Aim, OneDirection, Remote, count, needs, qdisc, steer
from chaoskit.topology.u32_keys import keys

V4, V6 = Remote("10.0.0.2/32", 443), Remote("fd00::2/128", 443)
BOTH: dict[OneDirection, Netem | None] = {"up": Netem(delay=1), "down": Netem(delay=2)}
AIMS = [
    Aim(remotes, local_port, protocol, frozenset(versions))
    for remotes, local_port, protocol, versions in product(
        ((), (V4,), (V6,), (V4, V6), (Remote("10.0.0.0/8"),), (Remote(None, 443),)),
        (None, 7000),
        (None, "tcp", "udp", "icmp"),
        ((4,), (4, 6)),
    )
    if protocol != "icmp" or (local_port is None and all(remote.port is None for remote in remotes))
]


@pytest.mark.parametrize("classifier", ["flower", "u32"])
def test_no_packet_meets_half_of_it(classifier: str) -> None:
    """Whatever the aim: ifbs with their netem come first, up only then, and the filters last of all."""
    for aim in AIMS:
        try:
            changes = steer("eth0", aim, BOTH, classifier)
        except RefusedError:
            assert classifier == "u32"
            continue
        kinds = [knob.kind for knob, _ in changes]

        assert kinds[:7] == ["ifb", "qdisc", "link"] * 2 + ["clsact"]
        assert set(kinds[7:]) == {"filter"}
        assert changes[:2] == ((Knob("ifb", "", "chaos-up"), Ifb()), (qdisc("up"), Netem(delay=1)))
        assert changes[6] == (Knob("clsact", "", "eth0"), Clsact())
        assert len(kinds[7:]) == 2 * count(aim, classifier)


@pytest.mark.parametrize("classifier", ["flower", "u32"])
def test_no_two_filters_have_one_name(classifier: str) -> None:
    """Each filter has a priority of its own, all of them are ours, and u32's are apart in both directions."""
    aim = Aim(tuple(Remote(f"10.0.0.{host}/32", 443) for host in range(5)), versions=frozenset({4}))
    names = [knob.name for knob, _ in steer("eth0", aim, BOTH, classifier) if knob.kind == "filter"]

    assert len(names) == len(set(names)) == 2 * count(aim, classifier)
    priorities = [int(name.split(" ")[2]) for name in names]
    assert set(priorities) <= PRIORITIES
    assert (len(set(priorities)) == len(priorities)) is (classifier == "u32")


def test_there_is_room_for_what_is_said() -> None:
    """Each direction has the number of priorities that it says, for sizes and for all, far from what the kernel has."""
    assert len(PRIORITIES) == 4 * MOST
    assert max(PRIORITIES) < 2**16
    assert min(PRIORITIES) > 49152  # beyond what tc and the kernel give out by themselves, which counts down from there


def test_the_far_end_is_the_destination_up_and_the_source_down() -> None:
    """Hosts and ports change sides with the direction, and fragments of both are covered."""
    changes = steer("eth0", Aim((V4,), 7000, "tcp"), BOTH, "flower")

    assert [setting for knob, setting in changes if knob.kind == "filter"] == [
        Filter("ip", Flow(6, None, "10.0.0.2/32", 7000, 443), "chaos-up"),
        Filter("ip", Flow(6, None, "10.0.0.2/32", is_fragment=True), "chaos-up"),
        Filter("ip", Flow(6, "10.0.0.2/32", None, 443, 7000), "chaos-down"),
        Filter("ip", Flow(6, "10.0.0.2/32", None, is_fragment=True), "chaos-down"),
    ]


def test_everything_takes_one_filter_and_no_classifier() -> None:
    """All of an interface goes by matchall, ARP too, on kernels with neither flower nor u32."""
    (*_, (knob, setting)) = steer("eth0", Aim(), {"up": Netem()}, "flower")

    assert (knob.name, setting) == ("eth0 egress 51717", Filter("all", MatchAll(), "chaos-up"))
    assert needs(Aim(), "flower") == {"netem", "ifb", "clsact", "matchall"}
    assert needs(Aim((V4,)), "u32") == {"netem", "ifb", "clsact", "u32"}


def test_a_direction_without_a_netem_has_its_way_already() -> None:
    """Where a phase brings the netem later, the ifb and the filters stand; no direction more is touched."""
    changes = steer("eth0", Aim((V4,)), {"down": None}, "flower")

    assert {knob.kind for knob, _ in changes} == {"ifb", "link", "clsact", "filter"}
    assert changes[1] == (Knob("link", "", "chaos-down"), Link(True, 1500, 65535))
    assert all(" ingress " in knob.name for knob, _ in changes if knob.kind == "filter")


def test_flows_of_several_hosts_are_said_once() -> None:
    """A host that is named twice takes no filter more."""
    once, twice = (count(Aim((V4,) * number, protocol="tcp"), "flower") for number in (1, 2))

    assert once == twice == 2


def test_keys_say_what_flows_say() -> None:
    """Addresses word by word, the protocol in its byte, ports behind each length of header, each bit of fragments."""
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


def test_u32_refuses_what_it_cannot_see() -> None:
    """Behind IPv6's headers u32 sees nothing for sure, and says so with what to type."""
    for flow in (Flow(6), Flow(6, source_port=1), Flow(is_fragment=True)):
        with pytest.raises(RefusedError, match="sudo modprobe cls_flower"):
            list(keys("ipv6", flow))
