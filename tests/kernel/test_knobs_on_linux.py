"""Every kind of knob on a real kernel: read, set, put back, refused in the kernel's own words."""

from __future__ import annotations

from pathlib import Path

import pytest
from lab import as_nobody, run

from chaoskit.errors import RefusedError
from chaoskit.facts import Facts
from chaoskit.kernel.linux import LinuxKernel
from chaoskit.kernel.namespaces import enter_user_namespace
from chaoskit.kernel.survey import FEATURES, survey
from chaoskit.knobs import (
    Address,
    Foreign,
    Ifb,
    Knob,
    Link,
    Namespace,
    Neighbour,
    Redirect,
    Route,
    Setting,
    Sysctl,
    Veth,
)

LINK = Knob("link", "here", "cable")
REDIRECT = Knob("redirect", "here", "cable")


def test_every_kind_is_set_changed_and_taken_away(kernel: LinuxKernel) -> None:
    """Each knob reads as nothing or its default, holds what it is set to, and then what it held before."""
    ends = Veth("there", "far", "02:00:00:00:00:03", "02:00:00:00:00:04")
    cases: list[tuple[Knob, tuple[Setting, ...]]] = [
        (Knob("namespace", "", "new"), (Namespace(),)),
        (Knob("veth", "here", "near"), (ends, Veth("here", "far", ends.mac, ends.peer_mac))),
        (Knob("veth", "here", "home"), (Veth("", "far", ends.mac, ends.peer_mac),)),
        (LINK, (Link(False, 1300, 7), Link(True, 9000, 65535))),
        (Knob("address", "here", "cable 10.9.0.1/24"), (Address(),)),
        (Knob("address", "here", "cable fd09::1/64"), (Address(),)),
        (Knob("ifb", "here", "ifb-new"), (Ifb(),)),
        (Knob("sysctl", "here", "net.ipv4.ip_forward"), (Sysctl("1"),)),
        (Knob("sysctl", "here", "net.ipv4.tcp_rmem"), (Sysctl("4096 8192 16384"),)),
        (Knob("sysctl", "here", "net.ipv4.conf.cable.rp_filter"), (Sysctl("1"), Sysctl("2"))),
    ]

    for knob, settings in cases:
        former = kernel.read(knob)
        for setting in settings:
            kernel.write(knob, setting)
            assert kernel.read(knob) == kernel.holds(setting), (knob, setting)
        kernel.write(knob, former)
        assert kernel.read(knob) == former, knob


def test_the_thread_comes_back(kernel: LinuxKernel) -> None:
    """Whatever happens inside a namespace, and after making one, the thread is where it was."""
    net = Path("/proc/thread-self/ns/net")
    home = net.readlink()

    with kernel.inside("here"):
        here = net.readlink()
        with kernel.inside("there"):
            assert len({home, here, net.readlink()}) == 3
        assert net.readlink() == here
    with pytest.raises(ZeroDivisionError), kernel.inside("here"):
        raise ZeroDivisionError
    kernel.write(Knob("namespace", "", "new"), Namespace())
    kernel.read(Knob("sysctl", "new", "net.ipv4.ip_forward"))

    assert net.readlink() == home


def test_ways_and_neighbours(kernel: LinuxKernel) -> None:
    """Routes and fixed neighbours of both families are set, changed and taken away, prefix by prefix."""
    for address in ("10.9.0.1/24", "fd09::1/64"):
        kernel.write(Knob("address", "here", f"cable {address}"), Address())

    cases: list[tuple[Knob, tuple[Setting, ...]]] = [
        (Knob("route", "here", "0.0.0.0/0"), (Route("10.9.0.2"), Route("10.9.0.3"))),
        (Knob("route", "here", "10.8.0.0/16"), (Route("10.9.0.2"),)),
        (Knob("route", "here", "::/0"), (Route("fd09::2"), Route("fd09::3"))),
        (Knob("route", "here", "fd08::/32"), (Route("fd09::2"),)),
        (
            Knob("neighbour", "here", "cable 10.9.0.2"),
            (Neighbour("02:00:00:00:00:09"), Neighbour("02:00:00:00:00:08")),
        ),
        (Knob("neighbour", "here", "cable fd09::2"), (Neighbour("02:00:00:00:00:09"),)),
    ]
    for knob, settings in cases:
        assert kernel.read(knob) is None
        for setting in settings:
            kernel.write(knob, setting)
            assert kernel.read(knob) == setting
        kernel.write(knob, None)
        kernel.write(knob, None)
        assert kernel.read(knob) is None


def test_a_route_that_is_more_than_a_next_hop_is_refused(kernel: LinuxKernel) -> None:
    """A route that could not be put back exactly is not even read."""
    kernel.write(Knob("address", "here", "cable 10.9.0.1/24"), Address())
    for words in (
        ("10.7.0.0/16", "via", "10.9.0.2", "metric", "5"),
        ("10.7.0.0/16", "via", "10.9.0.2", "mtu", "1300"),
        ("10.7.0.0/16", "via", "10.9.0.2", "proto", "dhcp"),
        ("10.7.0.0/16", "dev", "cable"),
        ("unreachable", "10.7.0.0/16"),
    ):
        with kernel.inside("here"):
            run("ip", "route", "add", *words)
        with pytest.raises(RefusedError, match=r"ip route show 10\.7\.0\.0/16"):
            kernel.read(Knob("route", "here", "10.7.0.0/16"))
        with kernel.inside("here"):
            run("ip", "route", "del", *words)


def test_an_mtu_that_costs_addresses_is_refused(kernel: LinuxKernel) -> None:
    """Below 1280 bytes a link loses its IPv6 addresses for good, so that is refused while it has some."""
    kernel.write(Knob("address", "here", "cable fd09::1/64"), Address())
    with pytest.raises(RefusedError, match="1280"):
        kernel.write(LINK, Link(True, 1279, 1))

    with kernel.inside("here"):
        run("ip", "-6", "address", "flush", "dev", "cable")
    kernel.write(LINK, Link(True, 1279, 1))

    assert kernel.read(LINK) == Link(True, 1279, 1)


def test_the_kernel_speaks_for_itself(kernel: LinuxKernel) -> None:
    """What the kernel refuses comes out with its own sentence, the knob and where to look."""
    for knob, setting, words in (
        (LINK, Link(True, 10, 1), r"link cable in here .*'mtu less than device minimum'.* ip -d link"),
        (Knob("link", "here", "nothing"), Link(True, 1500, 1), "No such device"),
        (Knob("route", "here", "10.6.0.0/16"), Route("10.5.0.1"), "Nexthop has invalid gateway"),
        (Knob("sysctl", "here", "net.ipv4.ip_forward"), Sysctl("x"), "Invalid argument"),
        (Knob("sysctl", "here", "net.ipv4.nothing"), Sysctl("1"), "No such file"),
        (Knob("redirect", "here", "cable"), Redirect("nothing"), "No such device"),
        (Knob("veth", "nowhere", "x"), Veth("here", "y", "02::", "02::"), "no namespace 'nowhere'"),
        (Knob("link", "here", "cable"), None, "ip link del cable"),
        (Knob("sysctl", "here", "net.ipv4.ip_forward"), None, "cannot be taken away"),
        (Knob("namespace", "", ""), None, "our own"),
        (Knob("link", "here", "cable"), Ifb(), "cannot hold"),
    ):
        with pytest.raises(RefusedError, match=words):
            kernel.write(knob, setting)


def test_a_name_that_is_taken_is_refused(kernel: LinuxKernel) -> None:
    """A link of another kind under the same name is neither read as ours nor replaced."""
    kernel.write(Knob("ifb", "here", "taken"), Ifb())

    with pytest.raises(RefusedError, match="no veth"):
        kernel.read(Knob("veth", "here", "taken"))
    with pytest.raises(RefusedError, match="no ifb"):
        kernel.read(Knob("ifb", "here", "cable"))
    with pytest.raises(RefusedError, match="no ifb"):
        kernel.write(Knob("ifb", "here", "cable"), Ifb())


def test_what_is_not_there_reads_as_nothing(kernel: LinuxKernel) -> None:
    """Without the link, or without the namespace, every knob is None."""
    names = {
        "address": "no 10.0.0.1/8",
        "neighbour": "no 10.0.0.1",
        "route": "10.4.0.0/16",
        "sysctl": "net.no",
    }
    for kind in ("veth", "ifb", "link", "address", "route", "neighbour", "sysctl", "redirect", "qdisc"):
        for place in ("here", "nowhere"):
            assert kernel.read(Knob(kind, place, names.get(kind, "no"))) is None
    assert kernel.counters(Knob("qdisc", "nowhere", "no")) is None
    assert kernel.counters(Knob("qdisc", "here", "no")) is None


def test_a_redirect_comes_and_goes(kernel: LinuxKernel) -> None:
    """What a link receives is sent through an ifb, through another one, and straight again, without a trace."""
    for name in ("ifb-a", "ifb-b"):
        kernel.write(Knob("ifb", "here", name), Ifb())
    with kernel.inside("here"):
        before = run("tc", "qdisc", "show")

    for name in ("ifb-a", "ifb-b"):
        kernel.write(REDIRECT, Redirect(name))
        assert kernel.read(REDIRECT) == Redirect(name)
        with kernel.inside("here"):
            assert f"Egress Redirect to device {name}" in run("tc", "filter", "show", "dev", "cable", "ingress")
    kernel.write(REDIRECT, None)

    assert kernel.read(REDIRECT) is None
    with kernel.inside("here"):
        assert run("tc", "qdisc", "show") == before


def test_half_a_redirect_is_cleared_away(kernel: LinuxKernel) -> None:
    """A clsact whose filter never came, after a crash between the two, goes when the redirect is put back."""
    with kernel.inside("here"):
        run("tc", "qdisc", "add", "dev", "cable", "clsact")
    assert kernel.read(REDIRECT) == Foreign("clsact")

    kernel.write(REDIRECT, None)

    assert kernel.read(REDIRECT) is None


def test_somebody_elses_filters_stay(kernel: LinuxKernel) -> None:
    """Where others filter what a link receives or sends, we neither join nor clear them away."""
    kernel.write(Knob("ifb", "here", "ifb-a"), Ifb())
    for side in ("ingress", "egress"):
        with kernel.inside("here"):
            run("tc", "qdisc", "add", "dev", "cable", "clsact")
            redirect = ("action", "mirred", "egress", "redirect", "dev", "ifb-a")
            run("tc", "filter", "add", "dev", "cable", side, "matchall", *redirect)
            before = run("tc", "filter", "show", "dev", "cable", side)

        assert kernel.read(REDIRECT) == Foreign("clsact")
        with pytest.raises(RefusedError, match="clsact"):
            kernel.write(REDIRECT, Redirect("ifb-a"))
        kernel.write(REDIRECT, None)

        with kernel.inside("here"):
            assert run("tc", "filter", "show", "dev", "cable", side) == before
            run("tc", "qdisc", "del", "dev", "cable", "clsact")


def test_what_others_add_to_ours_stays(kernel: LinuxKernel) -> None:
    """A filter that somebody put beside our redirect is still there when ours is gone."""
    kernel.write(Knob("ifb", "here", "ifb-a"), Ifb())
    kernel.write(REDIRECT, Redirect("ifb-a"))
    with kernel.inside("here"):
        run(
            "tc",
            "filter",
            "add",
            "dev",
            "cable",
            "egress",
            "matchall",
            "action",
            "mirred",
            "egress",
            "mirror",
            "dev",
            "lo",
        )

    assert kernel.read(REDIRECT) == Redirect("ifb-a")
    kernel.write(REDIRECT, None)

    assert kernel.read(REDIRECT) == Foreign("clsact")
    with kernel.inside("here"):
        assert run("tc", "filter", "show", "dev", "cable", "ingress") == ""
        assert "Egress Mirror to device lo" in run("tc", "filter", "show", "dev", "cable", "egress")


def test_this_kernel_has_everything(facts: Facts) -> None:
    """The tier's kernel has every feature; only netem's seed came as late as 6.6."""
    major, minor = (int(number) for number in facts.kernel.split(".")[:2])
    late = {"netem-seed"} if (major, minor) < (6, 6) else set()

    assert facts.root
    assert facts.user_namespaces
    assert facts.features == set(FEATURES) - late
    assert facts.missing.keys() == late


def test_a_machine_without_user_namespaces_says_what_to_do() -> None:
    """Where neither rights nor user namespaces are to be had, every feature names the switch."""

    def forbidden() -> None:
        enter_user_namespace()
        Path("/proc/sys/user/max_user_namespaces").write_text("0")
        Path("/proc/sys/user/max_net_namespaces").write_text("0")
        facts = survey()
        assert (facts.root, facts.user_namespaces, facts.features) == (False, False, frozenset())
        assert facts.missing.keys() == set(FEATURES)
        for sentence in facts.missing.values():
            assert "sudo sysctl -w user.max_user_namespaces=10000" in sentence
        with pytest.raises(RefusedError, match=r"user\.max_user_namespaces"):
            enter_user_namespace()

    assert as_nobody(forbidden) == 0
