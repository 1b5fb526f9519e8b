"""Tests that lookups of an interface agree with the kernel."""

from __future__ import annotations

import pytest
from lab import run

from chaoskit.errors import RefusedError
from chaoskit.kernel.host_lookups import look_up
from chaoskit.kernel.linux import LinuxKernel
from chaoskit.knobs import Address, Knob, Link


@pytest.fixture
def host(kernel: LinuxKernel) -> LinuxKernel:
    """`here` has 10.0.0.1/24 and fd00::1/64 on `cable` and a loopback that is up."""
    kernel.write(Knob("link", "here", "lo"), Link(up=True, mtu=65536, gso_max_segs=65535))
    for address in ("10.0.0.1/24", "fd00::1/64"):
        kernel.write(Knob("address", "here", f"cable {address}"), Address())
    return kernel


def test_the_interface_is_that_of_the_route(host: LinuxKernel) -> None:
    """An address on the link leads to the link, our own address to loopback, in both families."""
    with host.inside("here"):
        found = {to: look_up(None, [to]).interface for to in ("10.0.0.2", "10.0.0.0/24", "fd00::2", "10.0.0.1", "::1")}

    assert found == {"10.0.0.2": "cable", "10.0.0.0/24": "cable", "fd00::2": "cable", "10.0.0.1": "lo", "::1": "lo"}


def test_a_name_resolves_to_all_its_addresses(host: LinuxKernel) -> None:
    """All addresses of a host name are looked up, and must lead to one interface."""
    with host.inside("here"):
        ground = look_up("lo", ["localhost"])

    assert "127.0.0.1" in ground.addresses["localhost"]
    assert ground.is_loopback
    assert ground.mtu == 65536


def test_missing_or_ambiguous_routes_are_refused(host: LinuxKernel) -> None:
    """An unknown interface, no route, an unresolvable name, two interfaces: each message says what to type."""
    with host.inside("here"):
        for interface, hosts, sentence in (
            ("eth9", [], r"no interface eth9 here; there are: lo, cable"),
            (None, ["192.0.2.1"], r"no route leads to 192\.0\.2\.1: see ip route"),
            (None, ["no-such-name.invalid"], r"no-such-name\.invalid does not resolve .*: check the name"),
            (None, ["10.0.0.2", "127.0.0.1"], r"more than one interface.*cable to 10\.0\.0\.2 and lo to 127\.0\.0\.1"),
        ):
            with pytest.raises(RefusedError, match=sentence):
                look_up(interface, hosts)


def test_a_link_that_is_down_is_reported(host: LinuxKernel) -> None:
    """`is_up` follows the state of the link."""
    with host.inside("here"):
        assert look_up("cable", []).is_up
        run("ip", "link", "set", "cable", "down")

        assert not look_up("cable", []).is_up


def test_management_interfaces_are_detected(host: LinuxKernel) -> None:
    """A default route, also with multiple next hops or over IPv6, makes the interface a management interface."""
    with host.inside("here"):
        assert look_up("cable", []).management_uses == ()
        run("ip", "route", "add", "default", "via", "10.0.0.254")
        run("ip", "-6", "route", "add", "default", "via", "fd00::254")

        assert look_up("cable", []).management_uses == (
            "carries the default route (via 10.0.0.254)",
            "carries the default route (via fd00::254)",
        )
        assert look_up("lo", []).management_uses == ()
        run("ip", "-6", "route", "del", "default")
        run("ip", "-6", "route", "add", "default", "nexthop", "via", "fd00::254", "nexthop", "via", "fd00::253")

        assert look_up("cable", []).management_uses[1:] == (
            "carries the default route (via fd00::254)",
            "carries the default route (via fd00::253)",
        )
        run("ip", "-6", "route", "del", "default")
        run("ip", "route", "replace", "default", "dev", "cable")
        run("ip", "route", "add", "default", "dev", "cable", "table", "51820")

        assert look_up("cable", []).management_uses == ("carries the default route",)


def test_foreign_qdiscs_and_other_interfaces_are_reported(host: LinuxKernel) -> None:
    """A foreign netem at the root is reported, and so is a host that is routed by another interface."""
    with host.inside("here"):
        assert look_up("cable", ["10.0.0.2"]).foreign == ()
        assert look_up("cable", ["10.0.0.2"]).other_interfaces == {}
        run("tc", "qdisc", "add", "dev", "cable", "root", "netem", "delay", "1ms")

        ground = look_up("cable", ["10.0.0.2", "127.0.0.1"])

    assert "a foreign netem" in "".join(ground.foreign)
    assert ground.other_interfaces == {"127.0.0.1": "lo"}
