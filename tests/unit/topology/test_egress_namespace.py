"""Tests the egress namespace: its subnet is unused elsewhere, and faults apply to its link alone."""

from __future__ import annotations

from ipaddress import IPv4Network

import pytest

from chaoskit.errors import RefusedError
from chaoskit.knobs import Netem
from chaoskit.topology.egress_namespace import LINK, PRIVATE_RANGES, addresses, build, free_network, needs, shape
from chaoskit.topology.steering import OneDirection

NETEM = Netem(delay=5)


@pytest.mark.parametrize(
    ("taken", "expected"),
    [
        ([], "100.64.0.0/30"),
        (["0.0.0.0/0"], "100.64.0.0/30"),
        (["192.168.1.0/24", "10.0.0.0/8"], "100.64.0.0/30"),
        (["100.64.0.0/30"], "100.64.0.4/30"),
        (["100.64.0.2/32", "100.64.0.5/32"], "100.64.0.8/30"),
        (["100.64.0.0/10"], "10.0.0.0/30"),
        (["100.64.0.0/10", "10.0.0.0/9"], "10.128.0.0/30"),
        (["100.0.0.0/8", "10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/24"], "192.168.1.0/30"),
    ],
)
def test_the_first_unrouted_subnet_is_chosen(taken: list[str], expected: str) -> None:
    """The first subnet that overlaps no route is chosen; default routes do not count."""
    found = free_network(taken)

    assert str(found) == expected
    assert not any(IPv4Network(each).overlaps(found) for each in taken if each != "0.0.0.0/0")


def test_a_machine_that_routes_all_private_ranges_is_refused() -> None:
    """The refusal names the command that shows the routes."""
    with pytest.raises(RefusedError, match="ip route"):
        free_network(str(each) for each in PRIVATE_RANGES)


def test_only_the_requested_direction_is_shaped() -> None:
    """A fault on one direction sets nothing on the other, and needs no kernel feature for it."""
    directions: tuple[tuple[OneDirection, ...], ...] = (("up",), ("down",), ("up", "down"))
    up, down, both = (dict.fromkeys(ways, NETEM) for ways in directions)

    assert [knob.name for knob, setting in shape("out", up) if setting == NETEM] == [LINK]
    assert [knob.name for knob, setting in shape("out", down) if setting == NETEM] == ["chaos-down"]
    assert len([1 for _, setting in shape("out", both) if setting == NETEM]) == 2
    assert needs(up) == {"namespaces", "netem"}
    assert needs(down) > needs(up)


def test_the_host_keeps_nothing_but_the_veth_end_and_the_masquerade() -> None:
    """On this machine only the host end of the veth pair and its masquerade are set."""
    network = free_network([])
    host, inside = addresses(network)

    here = {knob.name.replace(inside, "INSIDE").replace(host, "HOST") for knob, _ in build(network) if knob.place == ""}

    assert all("chaos-out" in name or name in ("out", "INSIDE") for name in here), here
