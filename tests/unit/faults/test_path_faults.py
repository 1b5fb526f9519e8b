"""Tests path-MTU faults: their knobs, the sites that they refuse, and their warnings."""

from __future__ import annotations

from itertools import product
from typing import Any, get_args

import pytest
from edge_lab import build
from pydantic import TypeAdapter, ValidationError

from chaoskit.faults import Fault, knobs
from chaoskit.faults.tunnel import PRESETS, Preset
from chaoskit.knobs import Clamp, Filter, Flow, Knob, MatchAll, Mtu, Route
from chaoskit.middlebox import TcpFlow
from chaoskit.topology.display_names import display_name
from chaoskit.topology.fault_site import Interface, Lab, Site
from chaoskit.topology.lab import EDGE
from chaoskit.topology.steering import BLACKHOLE, PRIORITY, SIZE_PRIORITY, Remote, TrafficSelector, steer

FAULT: TypeAdapter[Fault] = TypeAdapter(Fault)
LAB4, LAB6 = Lab(4), Lab(6)
ETH0 = Interface("eth0", TrafficSelector((Remote("192.0.2.7/32", 443),), protocol="tcp"))


def fault(words: dict[str, Any]) -> Fault:
    return FAULT.validate_python(words)


def changes(words: dict[str, Any], site: Site = LAB4) -> dict[Knob, object]:
    return dict(fault(words).changes(site, 1000, 0))


def test_an_mtu_applies_to_both_ends_or_one() -> None:
    """An MTU applies to both ends of a segment or to the named end; on a real interface to the local end."""
    ours, theirs = Knob("mtu", "router", "to-client"), Knob("mtu", "client", "eth0")

    assert changes({"link": "client-router", "mtu": "1400"}) == {ours: Mtu(1400), theirs: Mtu(1400)}
    assert changes({"link": "client-router", "mtu": "1400", "end": "client"}) == {theirs: Mtu(1400)}
    assert changes({"link": "client-router", "mtu": "1400", "end": "router"}) == {ours: Mtu(1400)}
    assert changes({"mtu": "1400"}, ETH0) == {Knob("mtu", "", "eth0"): Mtu(1400)}


def test_a_path_mtu_is_a_route_of_the_router() -> None:
    """Up it is the route to the server, down the route to the client, of both IP versions; the short form delivers
    signals."""
    up = {"10.2.0.1/32": "to-server", "fd02::1/128": "to-server"}
    down = {"10.1.0.1/32": "to-client", "fd01::1/128": "to-client"}
    for direction, wanted in (("up", up), ("down", down), ("both", up | down)):
        assert changes({"pmtu": "1400", "direction": direction}) == {
            Knob("route", "router", prefix): Route(dev=link, mtu=1400) for prefix, link in wanted.items()
        }
    assert changes({"pmtu": {"mtu": "1400", "signal": "delivered"}, "direction": "up"}) == changes(
        {"pmtu": "1400", "direction": "up"}
    )


@pytest.mark.parametrize(("direction", "links"), [("up", ["to-client"]), ("down", ["to-server"])])
def test_signals_are_dropped_on_the_link_to_the_sender(direction: str, links: list[str]) -> None:
    """The filters are set before the routes, so that no signal gets out; no other ICMP is dropped."""
    found = changes({"pmtu": {"mtu": "1400", "signal": "dropped"}, "direction": direction})

    kinds = [knob.kind for knob in found]
    assert kinds == ["filter", "filter", "route", "route"]
    assert {knob.name.split()[0] for knob in found if knob.kind == "filter"} == set(links)
    assert {knob.name.split()[1] for knob in found if knob.kind == "filter"} == {"egress"}
    assert all(setting.redirect_to is None for setting in found.values() if isinstance(setting, Filter))
    assert len({knob.name for knob in found}) == 4


def test_one_ip_version_on_request_or_below_1280() -> None:
    """One version is set on request, and IPv4 alone below 1280 bytes, where IPv6 is impossible."""
    for words in ({"mtu": "1400", "ip": "4"}, {"mtu": "576"}):
        assert {knob.name for knob in changes({"pmtu": words, "direction": "up"})} == {"10.2.0.1/32"}
    assert {knob.name for knob in changes({"pmtu": {"mtu": "1400", "ip": "6"}, "direction": "up"}, LAB6)} == {
        "fd02::1/128"
    }


def test_size_filters_come_before_other_filters() -> None:
    """In the lab on either side of the router; on an interface the flows of a netem at a lower priority number: sent
    packets are redirected to the blackhole ifb, received packets are dropped in place."""
    assert changes({"size-drop": "1400", "link": "client-router", "direction": "up"}) == {
        Knob("filter", "router", f"to-client ingress {SIZE_PRIORITY}"): Filter("all", MatchAll(), None, 1400)
    }
    assert changes({"size-drop": "1400", "link": "router-server", "direction": "up"}) == {
        Knob("filter", "router", f"to-server egress {SIZE_PRIORITY}"): Filter("all", MatchAll(), None, 1400)
    }
    found = changes({"size-drop": "1400", "direction": "both"}, ETH0)
    assert found == {
        Knob("filter", "", f"eth0 ingress {SIZE_PRIORITY}"): Filter(
            "ip", Flow(6, "192.0.2.7/32", None, 443), None, 1400
        ),
        Knob("filter", "", f"eth0 ingress {SIZE_PRIORITY + 1}"): Filter(
            "ip", Flow(6, "192.0.2.7/32", None, is_fragment=True), None, 1400
        ),
        Knob("filter", "", f"eth0 egress {SIZE_PRIORITY}"): Filter(
            "ip", Flow(6, None, "192.0.2.7/32", destination_port=443), BLACKHOLE, 1400
        ),
        Knob("filter", "", f"eth0 egress {SIZE_PRIORITY + 1}"): Filter(
            "ip", Flow(6, None, "192.0.2.7/32", is_fragment=True), BLACKHOLE, 1400
        ),
    }
    assert SIZE_PRIORITY + 251 + 256 <= PRIORITY


def test_u32_filters_have_different_priorities_in_each_direction() -> None:
    """The kernel shares u32 tables between both directions of a clsact."""
    site = Interface("eth0", ETH0.selector, "u32")

    found = [knob.name.split() for knob, _ in fault({"size-drop": "1400", "direction": "both"}).changes(site, 1, 0)]
    others = [
        knob.name.split()
        for knob, _ in steer("eth0", site.selector, {"up": None, "down": None}, "u32")
        if knob.kind == "filter"
    ]

    priorities = [priority for _, _, priority in found + others]
    assert len(set(priorities)) == len(priorities)
    assert max(int(priority) for _, _, priority in found) < min(int(priority) for _, _, priority in others)


def test_a_clamp_in_the_lab_is_on_the_router() -> None:
    """One knob covers both IP versions and directions."""
    assert changes({"mss-clamp": "1360"}) == {Knob("clamp", "router", "mss"): Clamp(1360)}


def test_a_clamp_on_an_interface_covers_the_selected_traffic() -> None:
    """Outgoing and incoming handshakes with the selected remotes, of TCP alone and never of fragments; a /0 prefix is
    compared with nothing."""
    clamp = Knob("clamp", "", "mss")
    assert changes({"mss-clamp": "1360"}, ETH0) == {
        clamp: Clamp(
            1360,
            (
                TcpFlow("eth0", "egress", "ip", None, "192.0.2.7/32", None, 443),
                TcpFlow("eth0", "ingress", "ip", "192.0.2.7/32", None, 443),
            ),
        )
    }
    anybody = Interface("eth0", TrafficSelector((Remote("::/0"),), 22))
    assert changes({"mss-clamp": "1360"}, anybody) == {
        clamp: Clamp(
            1360,
            (
                TcpFlow("eth0", "egress", "ipv6", source_port=22),
                TcpFlow("eth0", "ingress", "ipv6", destination_port=22),
            ),
        )
    }
    (everybody,) = changes({"mss-clamp": "1360"}, Interface("eth0", TrafficSelector())).values()
    assert isinstance(everybody, Clamp)
    assert [(each.hook, each.family) for each in everybody.of or ()] == [
        (hook, family) for hook in ("egress", "ingress") for family in ("ip", "ipv6")
    ]


@pytest.mark.parametrize("preset", get_args(Preset))
def test_the_arithmetic_of_each_preset_is_correct(preset: Preset) -> None:
    """The sum in its text is the MTU that is set."""
    mtu, arithmetic = PRESETS[preset]
    told = fault({"tunnel": preset})

    if arithmetic.startswith("1500 -"):
        sizes = [int(term.split()[0]) for term in arithmetic.partition(", ")[0].partition(" is ")[0].split(" - ")]
        left = sizes[0] - sum(sizes[1:])
        assert left == mtu or (
            preset == "ipsec" and f"is {left}, rounded down" in arithmetic and left // 100 * 100 == mtu
        )
    set_ = [s for _, s in told.changes(LAB4, 1, 0)]
    assert {s.mtu for s in set_ if isinstance(s, Route)} | {s.over for s in set_ if isinstance(s, Filter)} >= {mtu}


def test_jumbo_mismatch_drops_long_frames_silently() -> None:
    """All four ends have an MTU of 9000, and the router drops packets longer than 1500, in both directions."""
    found = changes({"tunnel": "jumbo-mismatch"})

    assert [s for s in found.values() if isinstance(s, Mtu)] == [Mtu(9000)] * 4
    assert [s.over for s in found.values() if isinstance(s, Filter)] == [1500, 1500]


MISFITS: list[tuple[dict[str, Any], Site, str]] = [
    ({"mtu": "1400"}, LAB4, "add link: client-router or link: router-server"),
    ({"mtu": "1400", "link": "client-router"}, ETH0, "remove link"),
    ({"mtu": "1279", "link": "client-router"}, LAB6, "RFC 8200"),
    ({"pmtu": "1400", "direction": "up"}, ETH0, "write size-drop: 1400"),
    ({"pmtu": "1500", "direction": "up"}, LAB4, "has no effect; give less"),
    ({"pmtu": "1600", "direction": "up"}, LAB4, "has no effect; give less"),
    ({"pmtu": "1279", "direction": "up"}, LAB6, "RFC 8200"),
    ({"pmtu": {"mtu": "1400", "ip": "6"}, "direction": "up"}, LAB4, "stage uses IPv4"),
    ({"pmtu": {"mtu": "1400", "ip": "4"}, "direction": "up"}, LAB6, "stage uses IPv6"),
    ({"size-drop": "1400", "direction": "up"}, LAB4, "add link:"),
    ({"size-drop": "1400", "direction": "up", "link": "client-router"}, ETH0, "remove link"),
    ({"mss-clamp": "1360"}, Interface("eth0", TrafficSelector(protocol="udp")), "only TCP has handshakes"),
    ({"mss-clamp": "1360"}, Interface("eth0", TrafficSelector(protocol="icmp")), "write protocol: tcp there"),
    ({"tunnel": "wireguard"}, ETH0, "write size-drop: 1420"),
    ({"tunnel": "jumbo-mismatch", "signal": "delivered"}, LAB4, "a switch sends no signals"),
]


@pytest.mark.parametrize(("words", "site", "says"), MISFITS, ids=str)
def test_unsupported_sites_are_refused_with_an_alternative(words: dict[str, Any], site: Site, says: str) -> None:
    """The message has the reason and the closest supported alternative."""
    assert says in fault(words).site_error(site)


def test_supported_sites_are_accepted() -> None:
    """All other faults fit a lab of either IP version and an interface."""
    supported: tuple[dict[str, Any], ...] = (
        {"mtu": "1280", "link": "client-router"},
        {"pmtu": {"mtu": "1280", "signal": "dropped"}, "direction": "both"},
        {"size-drop": "68", "link": "router-server", "direction": "down"},
        {"mss-clamp": "88"},
        *({"tunnel": preset} for preset in get_args(Preset)),
    )
    for site in (LAB4, LAB6):
        for words in supported:
            assert fault(words).site_error(site) == "", words
    assert fault({"mtu": "68", "link": "client-router"}).site_error(LAB4) == ""
    for words in ({"mtu": "1280"}, {"size-drop": "1400", "direction": "up"}, {"mss-clamp": "1360"}):
        assert fault(words).site_error(ETH0) == ""


@pytest.mark.parametrize(
    "words",
    [
        {"mtu": "67", "link": "client-router"},
        {"mtu": "65536", "link": "client-router"},
        {"mtu": "1400", "link": "client-router", "end": "server"},
        {"mtu": "1400", "end": "server"},
        {"pmtu": "67", "direction": "up"},
        {"pmtu": {"mtu": "1400", "signal": "perhaps"}, "direction": "up"},
        {"pmtu": {"signal": "dropped"}, "direction": "up"},
        {"pmtu": "1400"},
        {"size-drop": "0", "direction": "up"},
        {"mss-clamp": "87"},
        {"tunnel": "gre"},
        {"tunnel": "pppoe", "mtu": "1400"},
    ],
    ids=str,
)
def test_invalid_values_are_refused(words: dict[str, Any]) -> None:
    """Impossible sizes, ends that a link does not have, keys of another fault."""
    with pytest.raises(ValidationError):
        fault(words)


def test_every_filter_has_a_clsact_and_every_knob_a_display_name() -> None:
    """The lab has a clsact for each filter's link, and each knob is named by its place in the network."""
    for preset, direction, link in product(
        get_args(Preset), ("up", "down", "both"), ("client-router", "router-server")
    ):
        for words in (
            {"tunnel": preset, "direction": direction},
            {"pmtu": {"mtu": "1400", "signal": "dropped"}, "direction": direction},
            {"size-drop": "1400", "link": link, "direction": direction},
            {"mtu": "1400", "link": link},
            {"mss-clamp": "1360"},
        ):
            touched = frozenset(knobs(fault(words), LAB4))
            stage = {knob for knob, _ in build(touched)}
            for knob in touched:
                assert knob.kind != "filter" or Knob("clsact", "router", knob.name.split()[0]) in stage
                assert str(knob) != display_name(knob, EDGE), knob
