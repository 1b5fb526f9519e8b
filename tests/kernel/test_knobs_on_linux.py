"""Tests every kind of knob on a real kernel: read, set, restored, and refused with the kernel's message."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from lab import as_nobody, run

from chaoskit.errors import RefusedError
from chaoskit.facts import Facts
from chaoskit.kernel import rights
from chaoskit.kernel.features import FEATURES, detect_features
from chaoskit.kernel.linux import LinuxKernel
from chaoskit.kernel.namespaces import drop_privileges, enter_user_namespace
from chaoskit.knobs import (
    Address,
    Clsact,
    Filter,
    Flow,
    Foreign,
    Ifb,
    Knob,
    Link,
    MatchAll,
    Mtu,
    Namespace,
    Neighbour,
    Route,
    Setting,
    Sysctl,
    Veth,
)

LINK = Knob("link", "here", "cable")
CLSACT = Knob("clsact", "here", "cable")
FILTER = Knob("filter", "here", "cable ingress 51717")
U32 = ("protocol", "ip", "u32", "match", "u32", "0", "0", "action", "pass")


def all_to(ifb: str) -> Filter:
    return Filter("all", MatchAll(), ifb)


def test_every_kind_is_set_changed_and_removed(kernel: LinuxKernel) -> None:
    """Each knob reads as None or its default, then as each setting, and then as before."""
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


def test_the_thread_returns_to_its_namespace(kernel: LinuxKernel) -> None:
    """After any use of a namespace, and after creating one, the thread is in its own namespace."""
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


def test_routes_and_neighbours(kernel: LinuxKernel) -> None:
    """Routes and permanent neighbours of both families are set, changed and removed, prefix by prefix."""
    for address in ("10.9.0.1/24", "fd09::1/64"):
        kernel.write(Knob("address", "here", f"cable {address}"), Address())

    cases: list[tuple[Knob, tuple[Setting, ...]]] = [
        (Knob("route", "here", "0.0.0.0/0"), (Route("10.9.0.2"), Route("10.9.0.3"))),
        (Knob("route", "here", "10.8.0.0/16"), (Route("10.9.0.2"),)),
        (Knob("route", "here", "::/0"), (Route("fd09::2"), Route("fd09::3"))),
        (Knob("route", "here", "fd08::/32"), (Route("fd09::2"), Route("fd09::2", mtu=1400, advmss=1340))),
        (
            Knob("route", "here", "10.6.0.1/32"),
            (Route(dev="cable", mtu=1300), Route(dev="cable"), Route("10.9.0.2", mtu=1400), Route(dev="cable", mtu=9)),
        ),
        (Knob("route", "here", "fd06::1/128"), (Route(dev="cable", mtu=1300), Route(dev="cable", advmss=1240))),
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
    """A route that could not be restored exactly is not even read."""
    kernel.write(Knob("address", "here", "cable 10.9.0.1/24"), Address())
    for words in (
        ("10.7.0.0/16", "via", "10.9.0.2", "metric", "5"),
        ("10.7.0.0/16", "via", "10.9.0.2", "proto", "static", "mtu", "lock", "1300"),
        ("10.7.0.0/16", "via", "10.9.0.2", "proto", "static", "initcwnd", "20"),
        ("10.7.0.0/16", "via", "10.9.0.2", "proto", "dhcp"),
        ("10.7.0.0/16", "dev", "cable"),
        ("unreachable", "10.7.0.0/16", "proto", "static"),
    ):
        with kernel.inside("here"):
            run("ip", "route", "add", *words)
        with pytest.raises(RefusedError, match=r"ip route show 10\.7\.0\.0/16"):
            kernel.read(Knob("route", "here", "10.7.0.0/16"))
        with kernel.inside("here"):
            run("ip", "route", "del", *words)


def test_mtus(kernel: LinuxKernel) -> None:
    """A link's MTU is set and restored by itself, and refused where it would remove addresses."""
    knob = Knob("mtu", "here", "cable")
    former = kernel.read(knob)
    for size in (1400, 1280, 9000):
        kernel.write(knob, Mtu(size))
        assert kernel.read(knob) == Mtu(size)
        assert kernel.read(LINK) == Link(True, size, 1)
    kernel.write(knob, former)
    kernel.write(Knob("address", "here", "cable fd09::1/64"), Address())

    with pytest.raises(RefusedError, match="1280"):
        kernel.write(knob, Mtu(1279))
    with pytest.raises(RefusedError, match="ip link del cable"):
        kernel.write(knob, None)
    assert kernel.read(knob) == former
    assert kernel.read(Knob("mtu", "here", "nothing")) is None


def test_an_mtu_that_removes_addresses_is_refused(kernel: LinuxKernel) -> None:
    """Below 1280 bytes a link loses its IPv6 addresses permanently, so that is refused while it has any."""
    kernel.write(Knob("address", "here", "cable fd09::1/64"), Address())
    with pytest.raises(RefusedError, match="1280"):
        kernel.write(LINK, Link(True, 1279, 1))

    with kernel.inside("here"):
        run("ip", "-6", "address", "flush", "dev", "cable")
    kernel.write(LINK, Link(True, 1279, 1))

    assert kernel.read(LINK) == Link(True, 1279, 1)


def test_errors_contain_the_kernels_message(kernel: LinuxKernel) -> None:
    """A refusal of the kernel comes with its message, the knob, and the command that shows the state."""
    for knob, setting, words in (
        (LINK, Link(True, 10, 1), r"link cable in here .*'mtu less than device minimum'.* ip -d link"),
        (Knob("link", "here", "nothing"), Link(True, 1500, 1), "No such device"),
        (Knob("route", "here", "10.6.0.0/16"), Route("10.5.0.1"), "Nexthop has invalid gateway"),
        (Knob("sysctl", "here", "net.ipv4.ip_forward"), Sysctl("x"), "Invalid argument"),
        (Knob("sysctl", "here", "net.ipv4.nothing"), Sysctl("1"), "No such file"),
        (FILTER, all_to("nothing"), "No such device"),
        (FILTER, all_to("cable"), "tc filter show"),
        (Knob("veth", "nowhere", "x"), Veth("here", "y", "02::", "02::"), "no namespace 'nowhere'"),
        (Knob("link", "here", "cable"), None, "ip link del cable"),
        (Knob("sysctl", "here", "net.ipv4.ip_forward"), None, "cannot be removed"),
        (Knob("namespace", "", ""), None, "own network namespace"),
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


def test_missing_knobs_read_as_none(kernel: LinuxKernel) -> None:
    """Without the link, or without the namespace, every knob is None."""
    names = {
        "address": "no 10.0.0.1/8",
        "neighbour": "no 10.0.0.1",
        "route": "10.4.0.0/16",
        "filter": "no egress 1",
        "sysctl": "net.no",
    }
    for kind in ("veth", "ifb", "link", "address", "route", "neighbour", "sysctl", "clsact", "filter", "qdisc"):
        for place in ("here", "nowhere"):
            assert kernel.read(Knob(kind, place, names.get(kind, "no"))) is None
    assert kernel.counters(Knob("qdisc", "nowhere", "no")) is None
    assert kernel.counters(Knob("qdisc", "here", "no")) is None


def test_a_filter_is_added_changed_and_removed(kernel: LinuxKernel) -> None:
    """Received packets are redirected to an ifb, to another one, and no longer, without a trace."""
    for name in ("ifb-a", "ifb-b"):
        kernel.write(Knob("ifb", "here", name), Ifb())
    with kernel.inside("here"):
        before = run("tc", "qdisc", "show")

    kernel.write(CLSACT, Clsact())
    for name in ("ifb-a", "ifb-b"):
        kernel.write(FILTER, all_to(name))
        assert kernel.read(FILTER) == all_to(name)
        with kernel.inside("here"):
            assert f"Egress Redirect to device {name}" in run("tc", "filter", "show", "dev", "cable", "ingress")
    for knob in (FILTER, CLSACT):
        kernel.write(knob, None)
        assert kernel.read(knob) is None

    with kernel.inside("here"):
        assert run("tc", "qdisc", "show") == before


def test_writing_the_current_setting_changes_nothing(kernel: LinuxKernel) -> None:
    """A knob that has the setting already is not touched: not the clsact, not the filter, not its counters."""
    kernel.write(Knob("ifb", "here", "ifb-a"), Ifb())
    for knob, setting in ((CLSACT, Clsact()), (FILTER, all_to("ifb-a"))):
        kernel.write(knob, setting)
    with kernel.inside("here"):
        before = run("tc", "-s", "filter", "show", "dev", "cable", "ingress")

    for knob, setting in ((CLSACT, Clsact()), (FILTER, all_to("ifb-a"))):
        kernel.write(knob, setting)

    with kernel.inside("here"):
        assert ages(run("tc", "-s", "filter", "show", "dev", "cable", "ingress")) == ages(before)


def test_a_clsact_stays_while_it_has_filters(kernel: LinuxKernel) -> None:
    """A clsact with any filter, ours or foreign, at either hook, is not removed."""
    kernel.write(Knob("ifb", "here", "ifb-a"), Ifb())
    kernel.write(CLSACT, Clsact())
    for side, count in (("ingress", "a filter is"), ("egress", "2 filters are")):
        with kernel.inside("here"):
            run("tc", "filter", "add", "dev", "cable", side, *U32)
            before = run("tc", "filter", "show", "dev", "cable", side)

        with pytest.raises(RefusedError, match=f"{count} attached to it.*tc qdisc del dev cable clsact"):
            kernel.write(CLSACT, None)

        with kernel.inside("here"):
            assert run("tc", "filter", "show", "dev", "cable", side) == before
    with kernel.inside("here"):
        for side in ("ingress", "egress"):
            run("tc", "filter", "del", "dev", "cable", side)
    kernel.write(CLSACT, None)

    assert kernel.read(CLSACT) is None


def test_a_foreign_ingress_qdisc_is_not_touched(kernel: LinuxKernel) -> None:
    """An ingress qdisc in the place of a clsact is neither ours, nor replaced, nor removed."""
    with kernel.inside("here"):
        run("tc", "qdisc", "add", "dev", "cable", "ingress")
        before = run("tc", "qdisc", "show")

    assert kernel.read(CLSACT) == Foreign("ingress")
    for setting in (Clsact(), None):
        with pytest.raises(RefusedError, match="tc qdisc del dev cable ingress"):
            kernel.write(CLSACT, setting)

    with kernel.inside("here"):
        assert run("tc", "qdisc", "show") == before


def test_a_foreign_filter_at_our_priority_stays(kernel: LinuxKernel) -> None:
    """A filter of our priority in another form is foreign: not replaced, not removed."""
    for name in ("ifb-a", "ifb-b"):
        kernel.write(Knob("ifb", "here", name), Ifb())
    kernel.write(CLSACT, Clsact())
    redirect = ("action", "mirred", "egress", "redirect", "dev", "ifb-a")
    for kind, words in (
        ("matchall", ("matchall", "action", "mirred", "egress", "mirror", "dev", "ifb-a")),
        ("matchall", ("matchall", "action", "mirred", "ingress", "redirect", "dev", "ifb-a")),
        ("matchall", ("matchall", *redirect, "cookie", "cafe")),
        ("matchall", ("matchall", "classid", "1:1", *redirect)),
        ("matchall", ("matchall", *redirect[:1], "mirred", "egress", "mirror", "dev", "ifb-b", *redirect)),
        ("flower", ("protocol", "ip", "flower", "ip_proto", "tcp", "tcp_flags", "0x2", *redirect)),
        ("flower", ("protocol", "ip", "flower", "ip_proto", "sctp", "dst_port", "7", *redirect)),
        ("flower", ("protocol", "ip", "flower", "ip_flags", "firstfrag", *redirect)),
        ("flower", ("protocol", "802.1q", "flower", "vlan_id", "7", *redirect)),
        ("flower", ("protocol", "arp", "flower", *redirect)),
        ("u32", ("protocol", "ip", "u32", "match", "u32", "0", "0", "flowid", "1:1", *redirect)),
        ("u32", ("protocol", "ip", "u32", "match", "u16", "7", "0xffff", "at", "nexthdr+2", *redirect)),
    ):
        with kernel.inside("here"):
            run("tc", "filter", "add", "dev", "cable", "ingress", "prio", "51717", *words)
            before = run("tc", "-d", "filter", "show", "dev", "cable", "ingress")

        assert kernel.read(FILTER) == Foreign(f"{kind} filter"), words
        for setting in (all_to("ifb-a"), None):
            with pytest.raises(RefusedError, match="tc filter del dev cable ingress prio 51717"):
                kernel.write(FILTER, setting)

        with kernel.inside("here"):
            assert run("tc", "-d", "filter", "show", "dev", "cable", "ingress") == before
            run("tc", "filter", "del", "dev", "cable", "ingress", "prio", "51717")


def test_two_filters_at_one_priority_are_foreign(kernel: LinuxKernel) -> None:
    """Where a foreign filter shares the priority of ours, both stay."""
    kernel.write(Knob("ifb", "here", "ifb-a"), Ifb())
    kernel.write(CLSACT, Clsact())
    kernel.write(FILTER, Filter("ip", Flow(protocol=6), "ifb-a"))
    with kernel.inside("here"):
        words = ("prio", "51717", "protocol", "ip", "flower", "ip_proto", "udp", "action", "pass")
        run("tc", "filter", "add", "dev", "cable", "ingress", *words)

    assert kernel.read(FILTER) == Foreign("flower filter")
    with pytest.raises(RefusedError, match="has a foreign flower filter"):
        kernel.write(FILTER, None)


def test_a_filter_whose_ifb_is_deleted_can_be_removed(kernel: LinuxKernel) -> None:
    """With its ifb deleted, the filter reads with an empty target, and can be removed."""
    kernel.write(Knob("ifb", "here", "ifb-a"), Ifb())
    kernel.write(CLSACT, Clsact())
    kernel.write(FILTER, all_to("ifb-a"))
    with kernel.inside("here"):
        run("ip", "link", "del", "ifb-a")

    assert kernel.read(FILTER) == all_to("")
    kernel.write(FILTER, None)

    assert kernel.read(FILTER) is None


def test_an_ifb_sends_no_packets_of_its_own(kernel: LinuxKernel) -> None:
    """An ifb that is up has no IPv6 address and sends nothing, even where its namespace forwards."""
    kernel.write(Knob("sysctl", "here", "net.ipv6.conf.default.addr_gen_mode"), Sysctl("0"))
    kernel.write(Knob("sysctl", "here", "net.ipv6.conf.all.forwarding"), Sysctl("1"))
    for name in ("ifb-a", "ifb-b"):
        kernel.write(Knob("ifb", "here", name), Ifb())
        kernel.write(Knob("link", "here", name), Link(True, 1500, 65535))

    with kernel.inside("here"):
        assert "addrgenmode none" in run("ip", "-d", "link", "show", "ifb-a")
        assert run("ip", "-6", "address", "show", "dev", "ifb-a") == ""


def ages(printed: str) -> str:
    return re.sub(r"(installed|used) \d+ sec", "", printed)


def test_this_kernel_has_every_feature(facts: Facts) -> None:
    """The tier's kernel has every feature; only the seed of netem came as late as 6.6, and Debian builds its User-Mode
    Linux without nftables for IP."""
    major, minor = (int(number) for number in facts.kernel.split(".")[:2])
    of_nftables = {"clamp", "connections", "quota"}
    late = ({"netem-seed"} if (major, minor) < (6, 6) else set()) | (
        set() if "chaoskit" in facts.kernel else of_nftables
    )

    assert facts.root
    assert facts.user_namespaces
    assert facts.features == set(FEATURES) - late
    assert facts.missing.keys() == late
    assert all("is not in this kernel" in facts.missing[each] for each in late - {"netem-seed"})


def test_without_user_namespaces_the_sysctl_is_named() -> None:
    """Without privileges and user namespaces, every feature names the sysctl."""

    def forbidden() -> None:
        enter_user_namespace()
        assert rights.has_net_admin()
        Path("/proc/sys/user/max_user_namespaces").write_text("1")
        Path("/proc/sys/user/max_net_namespaces").write_text("0")
        drop_privileges(0, 0)
        assert not rights.has_net_admin()  # it has the capability, and not over this network
        facts = detect_features()
        assert (facts.root, facts.user_namespaces, facts.features) == (False, False, frozenset())
        assert facts.missing.keys() == set(FEATURES)
        for sentence in facts.missing.values():
            assert "sudo sysctl -w user.max_user_namespaces=10000" in sentence
        with pytest.raises(RefusedError, match=r"user\.max_user_namespaces"):
            enter_user_namespace()

    assert as_nobody(forbidden) == 0
