"""Faults of a path's MTU: which knobs each is, where it cannot be, and what it says of itself."""

from __future__ import annotations

from itertools import product
from typing import Any, get_args

import pytest
from pydantic import TypeAdapter, ValidationError

from chaoskit.faults import Fault, knobs
from chaoskit.faults.tunnel import PRESETS, Preset
from chaoskit.knobs import Clamp, Everything, Filter, Flow, Handshakes, Knob, Mtu, Route
from chaoskit.topology.display_names import display_name
from chaoskit.topology.edge import build
from chaoskit.topology.fault_site import Interface, Lab, Site
from chaoskit.topology.steering import BLACKHOLE, PRIORITY, SIZE_PRIORITY, Remote, TrafficSelector, steer

FAULT: TypeAdapter[Fault] = TypeAdapter(Fault)
LAB4, LAB6 = Lab(4), Lab(6)
ETH0 = Interface("eth0", TrafficSelector((Remote("192.0.2.7/32", 443),), protocol="tcp"))


def fault(words: dict[str, Any]) -> Fault:
    return FAULT.validate_python(words)


def changes(words: dict[str, Any], site: Site = LAB4) -> dict[Knob, object]:
    return dict(fault(words).changes(site, 1000, 0))


def test_both_ends_or_one() -> None:
    """An MTU is of a whole cable, or of the end that is named; of a real interface it is our end."""
    ours, theirs = Knob("mtu", "router", "to-client"), Knob("mtu", "client", "eth0")

    assert changes({"link": "client-router", "mtu": "1400"}) == {ours: Mtu(1400), theirs: Mtu(1400)}
    assert changes({"link": "client-router", "mtu": "1400", "end": "client"}) == {theirs: Mtu(1400)}
    assert changes({"link": "client-router", "mtu": "1400", "end": "router"}) == {ours: Mtu(1400)}
    assert changes({"mtu": "1400"}, ETH0) == {Knob("mtu", "", "eth0"): Mtu(1400)}


def test_a_narrow_place_is_behind_the_first_hop() -> None:
    """Up it is the router's way to the server, down the one to the client, of both IP versions; the short form is
    signalled."""
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
def test_a_lost_signal_is_on_its_way_to_the_sender(direction: str, links: list[str]) -> None:
    """It is lost before the path becomes narrow, so that not one slips out; nothing else of ICMP is."""
    found = changes({"pmtu": {"mtu": "1400", "signal": "dropped"}, "direction": direction})

    kinds = [knob.kind for knob in found]
    assert kinds == ["filter", "filter", "route", "route"]
    assert {knob.name.split()[0] for knob in found if knob.kind == "filter"} == set(links)
    assert {knob.name.split()[1] for knob in found if knob.kind == "filter"} == {"egress"}
    assert all(setting.to is None for setting in found.values() if isinstance(setting, Filter))
    assert len({knob.name for knob in found}) == 4


def test_one_ip_version_alone() -> None:
    """Where it was asked for, and below 1280 bytes, where there is no IPv6."""
    for words in ({"mtu": "1400", "ip": "4"}, {"mtu": "576"}):
        assert {knob.name for knob in changes({"pmtu": words, "direction": "up"})} == {"10.2.0.1/32"}
    assert {knob.name for knob in changes({"pmtu": {"mtu": "1400", "ip": "6"}, "direction": "up"}, LAB6)} == {
        "fd02::1/128"
    }


def test_sizes_are_looked_at_before_all_else() -> None:
    """In the lab on either side of the router; on an interface the same flows that a netem is for, at a lower
    priority, what we send behind an ifb that loses all, what we receive at once."""
    assert changes({"size-drop": "1400", "link": "client-router", "direction": "up"}) == {
        Knob("filter", "router", f"to-client ingress {SIZE_PRIORITY}"): Filter("all", Everything(), None, 1400)
    }
    assert changes({"size-drop": "1400", "link": "router-server", "direction": "up"}) == {
        Knob("filter", "router", f"to-server egress {SIZE_PRIORITY}"): Filter("all", Everything(), None, 1400)
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


def test_filters_of_bytes_have_priorities_of_their_own_in_each_direction() -> None:
    """Where there is no flower, for the kernel keeps u32's filters of both directions together."""
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


def test_a_clamp_is_the_routers() -> None:
    """One knob, for both versions and directions."""
    assert changes({"mss-clamp": "1360"}) == {Knob("clamp", "router", "mss"): Clamp(1360)}


def test_a_clamp_of_an_interface_is_for_whom_is_meant() -> None:
    """The handshakes to the aim that leave, and those from it that arrive, of TCP alone and never of fragments;
    what is compared with every address is compared with none."""
    clamp = Knob("clamp", "", "mss")
    assert changes({"mss-clamp": "1360"}, ETH0) == {
        clamp: Clamp(
            1360,
            (
                Handshakes("eth0", "egress", "ip", Flow(6, None, "192.0.2.7/32", None, 443)),
                Handshakes("eth0", "ingress", "ip", Flow(6, "192.0.2.7/32", None, 443, None)),
            ),
        )
    }
    anybody = Interface("eth0", TrafficSelector((Remote("::/0"),), 22))
    assert changes({"mss-clamp": "1360"}, anybody) == {
        clamp: Clamp(
            1360,
            (
                Handshakes("eth0", "egress", "ipv6", Flow(6, source_port=22)),
                Handshakes("eth0", "ingress", "ipv6", Flow(6, destination_port=22)),
            ),
        )
    }
    (everybody,) = changes({"mss-clamp": "1360"}, Interface("eth0", TrafficSelector())).values()
    assert isinstance(everybody, Clamp)
    assert [(each.hook, each.family, each.flow) for each in everybody.of or ()] == [
        (hook, family, Flow(6)) for hook in ("egress", "ingress") for family in ("ip", "ipv6")
    ]


@pytest.mark.parametrize("preset", get_args(Preset))
def test_a_preset_leaves_what_its_arithmetic_says(preset: Preset) -> None:
    """The sum that stands there is the size that is set."""
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


def test_jumbo_hosts_do_not_know_of_the_switch() -> None:
    """All four ends take 9000, and what is longer than 1500 is lost on the router, in both directions."""
    found = changes({"tunnel": "jumbo-mismatch"})

    assert [s for s in found.values() if isinstance(s, Mtu)] == [Mtu(9000)] * 4
    assert [s.over for s in found.values() if isinstance(s, Filter)] == [1500, 1500]


MISFITS: list[tuple[dict[str, Any], Site, str]] = [
    ({"mtu": "1400"}, LAB4, "add link: client-router or link: router-server"),
    ({"mtu": "1400", "link": "client-router"}, ETH0, "take link away"),
    ({"mtu": "1279", "link": "client-router"}, LAB6, "RFC 8200"),
    ({"pmtu": "1400", "direction": "up"}, ETH0, "write size-drop: 1400"),
    ({"pmtu": "1500", "direction": "up"}, LAB4, "does nothing; give less"),
    ({"pmtu": "1600", "direction": "up"}, LAB4, "does nothing; give less"),
    ({"pmtu": "1279", "direction": "up"}, LAB6, "RFC 8200"),
    ({"pmtu": {"mtu": "1400", "ip": "6"}, "direction": "up"}, LAB4, "speaks IPv4 alone"),
    ({"pmtu": {"mtu": "1400", "ip": "4"}, "direction": "up"}, LAB6, "speaks IPv6 alone"),
    ({"size-drop": "1400", "direction": "up"}, LAB4, "add link:"),
    ({"size-drop": "1400", "direction": "up", "link": "client-router"}, ETH0, "take link away"),
    ({"mss-clamp": "1360"}, Interface("eth0", TrafficSelector(protocol="udp")), "only TCP has handshakes"),
    ({"mss-clamp": "1360"}, Interface("eth0", TrafficSelector(protocol="icmp")), "write protocol: tcp there"),
    ({"tunnel": "wireguard"}, ETH0, "write size-drop: 1420"),
    ({"tunnel": "jumbo-mismatch", "signal": "delivered"}, LAB4, "a switch tells nobody"),
]


@pytest.mark.parametrize(("words", "site", "says"), MISFITS, ids=str)
def test_what_cannot_be_there_is_said_with_what_to_write(words: dict[str, Any], site: Site, says: str) -> None:
    """A reason, and a way to ask for the nearest thing that can be had."""
    assert says in fault(words).site_error(site)


def test_what_fits_is_not_refused() -> None:
    """Everything else, in a lab of either version and on an interface."""
    for site in (LAB4, LAB6):
        for words in (
            {"mtu": "1280", "link": "client-router"},
            {"pmtu": {"mtu": "1280", "signal": "dropped"}, "direction": "both"},
            {"size-drop": "68", "link": "router-server", "direction": "down"},
            {"mss-clamp": "88"},
            *({"tunnel": preset} for preset in get_args(Preset)),
        ):
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
def test_what_makes_no_sense_anywhere_is_refused(words: dict[str, Any]) -> None:
    """Sizes that no link has, ends that a link does not have, words of another fault."""
    with pytest.raises(ValidationError):
        fault(words)


def test_every_knob_hangs_on_something_and_has_a_name() -> None:
    """Each filter's link has a place for filters in the lab that is built for it, and each knob is called by where
    it is."""
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
                assert str(knob) != display_name(knob), knob
