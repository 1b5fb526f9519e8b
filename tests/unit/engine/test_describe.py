"""How settings and commands are written for people."""

from __future__ import annotations

from chaoskit.engine.describe import restore_command, show
from chaoskit.knobs import Address, Ifb, Knob, Link, Namespace, Neighbour, Netem, RandomLoss, Route, Setting, Sysctl


def test_a_setting_is_shown_without_what_is_usual() -> None:
    """A sentence about a netem names only what it does."""
    assert show(Netem()) == "Netem()"
    assert show(Netem(delay=5, loss=RandomLoss(3))) == "Netem(delay=5, loss=RandomLoss(share=3))"
    assert show(Sysctl("1")) == "Sysctl(value='1')"
    assert show(None) == "nothing"


def test_every_knob_of_a_machine_has_a_command() -> None:
    """Whatever could not be put back in our own namespace, the sentence ends with what to type."""
    cases: dict[str, tuple[Knob, Setting]] = {
        "tc qdisc del dev eth0 root": (Knob("qdisc", "", "eth0"), None),
        "tc qdisc del dev eth0 clsact": (Knob("clsact", "", "eth0"), None),
        "tc filter del dev eth0 egress prio 51717": (Knob("filter", "", "eth0 egress 51717"), None),
        "ip link del ifb0": (Knob("ifb", "", "ifb0"), None),
        "ip link del to-client": (Knob("veth", "", "to-client"), None),
        "ip link set eth0 mtu 1500 gso_max_segs 65535 up": (
            Knob("link", "", "eth0"),
            Link(True, 1500, 65535),
        ),
        "ip address del 10.1.0.1/24 dev eth0": (Knob("address", "", "eth0 10.1.0.1/24"), None),
        "ip address add fd01::1/64 dev eth0": (Knob("address", "", "eth0 fd01::1/64"), Address()),
        "ip route del 0.0.0.0/0": (Knob("route", "", "0.0.0.0/0"), None),
        "ip route replace ::/0 via fd01::fe": (Knob("route", "", "::/0"), Route("fd01::fe")),
        "ip route replace 10.2.0.1/32 dev eth0 scope link mtu 1300 advmss 1260": (
            Knob("route", "", "10.2.0.1/32"),
            Route(dev="eth0", mtu=1300, advmss=1260),
        ),
        "ip neighbour del 10.1.0.1 dev eth0": (Knob("neighbour", "", "eth0 10.1.0.1"), None),
        "ip neighbour replace fd01::1 lladdr 02:: nud permanent dev eth0": (
            Knob("neighbour", "", "eth0 fd01::1"),
            Neighbour("02::"),
        ),
        "sysctl -w net.ipv4.tcp_rmem='4096 131072'": (
            Knob("sysctl", "", "net.ipv4.tcp_rmem"),
            Sysctl("4096 131072"),
        ),
    }

    for words, (knob, former) in cases.items():
        assert restore_command(knob, former) == f"to restore it: sudo {words}"


def test_what_cannot_be_typed_is_shown_where_to_look() -> None:
    """A former netem is too long to type, and what lives in a namespace of ours goes with it."""
    assert restore_command(Knob("qdisc", "", "eth0"), Netem()) == "to see its state: tc qdisc show dev eth0"
    assert restore_command(Knob("veth", "", "eth0"), Ifb()) == "to see its state: ip -d link"
    for knob in (Knob("qdisc", "router", "to-client"), Knob("namespace", "", "router")):
        assert "last process" in restore_command(knob, None)
    assert "last process" in restore_command(Knob("namespace", "", "router"), Namespace())
