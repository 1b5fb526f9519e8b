"""Tests which selections could hit the traffic that a machine is managed by."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from chaoskit.errors import RefusedError, SpecError
from chaoskit.host_lookups import HostLookups, ManagementTraffic
from chaoskit.planning.injection import InjectionPlan, compile_injection
from chaoskit.spec.injection import Injection

PEER, PEER_V6 = "198.51.100.9", "2001:db8:9::9"
SSH = frozenset({22})
NONE: frozenset[int] = frozenset()
MANAGED = HostLookups(
    "eth0",
    addresses={
        "api.example.com": ("192.0.2.7", "2001:db8::7"),
        "router.lan": ("10.0.0.1",),
        "desk.lan": (PEER,),
    },
    management_uses=("carries the default route (via 10.0.0.1)",),
    management=(
        ManagementTraffic(f"your ssh session from {PEER}", PEER, frozenset({50000}), SSH, frozenset({"tcp"})),
        ManagementTraffic(f"an ssh session from {PEER_V6}", PEER_V6, frozenset({50001}), SSH, frozenset({"tcp"})),
        ManagementTraffic("new ssh sessions, at our port 22", None, NONE, SSH, frozenset({"tcp"})),
        ManagementTraffic("the gateway 10.0.0.1", "10.0.0.1", None, frozenset({68, 546})),
        ManagementTraffic("the gateway fe80::1", "fe80::1", None, frozenset({68, 546})),
        ManagementTraffic("DHCP", "255.255.255.255", frozenset({67}), frozenset({68}), frozenset({"udp"})),
        ManagementTraffic("IPv6 neighbour discovery", "ff02::1", None, None, frozenset({"icmp"})),
        ManagementTraffic("the name server 10.0.0.53", "10.0.0.53", frozenset({53, 853, 443}), NONE),
        ManagementTraffic("the cloud's metadata service", "169.254.169.254", None, NONE, is_assumed=True),
    ),
)


def planned(lookups: HostLookups = MANAGED, /, **words: Any) -> InjectionPlan:
    words = {"interface": "eth0", "down": {"delay": "80ms"}, "for": "10min"} | words
    return compile_injection(Injection.model_validate(words), lookups, "flower")


@pytest.mark.parametrize(
    "words",
    [
        {"to": "api.example.com:443"},
        {"to": "api.example.com"},
        {"to": ["api.example.com:443", "203.0.113.0/24"], "up": {"loss": "5%"}},
        {"to": "2001:db8::7", "protocol": "tcp"},
        {"to": f"{PEER}:443"},  # the host that the session comes from, but another service on it
        {"to": PEER, "local-port": 8000},
        {"to": PEER, "protocol": "udp"},
        {"to": "10.0.0.53:8000"},
        {"to": "10.0.0.53", "local-port": 8000},
        {"local-port": 8000},
        {"local-port": 8000, "protocol": "tcp"},
        {"to": "172.16.0.0/12", "mss-clamp": 1200},
        {"to": "10.0.0.1", "local-port": 8000},
    ],
)
def test_named_hosts_that_manage_nothing_need_no_permission(words: dict[str, Any]) -> None:
    """A fault aimed at other hosts or ports gets the lease that is asked, on the interface of the default route too."""
    assert planned(**words).changes


@pytest.mark.parametrize(
    ("words", "named", "spared"),
    [
        ({"everything": True}, ["every host", "from 198.51.100.9", "the gateway 10.0.0.1"], ["metadata"]),
        ({"to": ":443"}, ["every host at port 443", "10.0.0.1", "10.0.0.53"], ["ssh", "DHCP", "neighbour", "ARP"]),
        ({"to": ":67", "protocol": "udp"}, ["every host at port 67", "DHCP"], ["ssh", "10.0.0.53"]),
        ({"to": "0.0.0.0/0"}, ["every host", "your ssh", "10.0.0.53"], ["fe80::1", "neighbour"]),
        ({"protocol": "icmp"}, ["every host", "neighbour discovery"], ["ssh session", "DHCP"]),
        ({"ip": "4"}, ["every host", "the gateway 10.0.0.1"], ["fe80::1", PEER_V6, "neighbour"]),
        ({"ip": "6"}, ["every host", "fe80::1", PEER_V6, "neighbour"], ["10.0.0.1", "DHCP"]),
        ({"local-port": 22}, ["your ssh session", "new ssh sessions"], ["gateway", "every host"]),
        ({"to": "203.0.113.5", "local-port": 22}, ["new ssh sessions"], ["gateway", "from"]),
        ({"to": PEER}, [f"your ssh session from {PEER}"], ["gateway", "new ssh"]),
        ({"to": f"{PEER}:50000"}, [f"your ssh session from {PEER}"], ["gateway"]),
        ({"to": "desk.lan"}, [f"your ssh session from {PEER} (which is desk.lan)"], ["gateway"]),
        ({"to": "198.51.100.0/24", "mss-clamp": 1200}, ["your ssh session"], ["gateway"]),
        ({"to": "2001:db8:9::/48"}, [f"an ssh session from {PEER_V6}"], ["your", "gateway"]),
        ({"to": "router.lan:443"}, ["the gateway 10.0.0.1 (which is router.lan)"], ["ssh"]),
        ({"to": "10.0.0.0/24:443"}, ["the gateway 10.0.0.1", "the name server 10.0.0.53"], ["ssh"]),
        ({"to": "10.0.0.0/24:8000"}, ["the gateway 10.0.0.1"], ["name server"]),
        ({"to": ["api.example.com:443", "10.0.0.53:53"]}, ["the name server 10.0.0.53"], ["gateway"]),
        ({"to": "fe80::/10"}, ["the gateway fe80::1"], ["10.0.0.1"]),
        ({"to": "169.254.0.0/16"}, ["metadata"], ["gateway"]),
        ({"to": "10.0.0.53", "size-drop-up": 1000, "down": None}, ["the name server"], ["gateway"]),
    ],
)
def test_what_could_be_hit_is_named(words: dict[str, Any], named: list[str], spared: list[str]) -> None:
    """A selection that covers management traffic is refused, and the message names that traffic and no other."""
    with pytest.raises(RefusedError) as refusal:
        planned(**words)

    hit = str(refusal.value).partition("could hit ")[2].partition(": a mistake")[0]
    assert all(each in hit for each in named), hit
    assert not any(each in hit for each in spared), hit
    assert "--allow-management-interface" in str(refusal.value)


def test_permission_limits_the_lease_of_a_dangerous_fault_alone() -> None:
    """With the flag a fault that could hit management traffic gets a minute at most, another one what it asks."""
    with pytest.raises(SpecError, match=r"could hit the name server 10\.0\.0\.53, so its lease is 60s at most"):
        planned(**{"to": "10.0.0.53", "allow-management-interface": True, "for": "61s"})
    assert planned(**{"to": "10.0.0.1", "allow-management-interface": True, "for": "1min"}).changes
    assert planned(**{"to": "api.example.com", "allow-management-interface": True}).changes


def test_every_host_is_a_danger_where_nothing_else_is_known() -> None:
    """A default route without a gateway, as of a VPN: all traffic needs permission, a named host does not."""
    tunnel = replace(MANAGED, management_uses=("carries the default route",), management=())

    with pytest.raises(
        RefusedError, match="carries the default route, and this fault could hit every host at port 443"
    ):
        planned(tunnel, to=":443")
    both = replace(tunnel, management_uses=("carries the default route", "carries your ssh session"))
    with pytest.raises(RefusedError, match="eth0 carries the default route and your ssh session, and this fault"):
        planned(both, to=":443")
    assert planned(tunnel, to="api.example.com:443").changes


def test_another_interface_needs_no_permission() -> None:
    """On an interface that carries neither a default route nor an ssh session everything may be selected."""
    assert planned(HostLookups("eth1"), everything=True).changes
