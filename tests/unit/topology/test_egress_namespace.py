"""The one way out of a namespace: a network nobody uses, and a fault on its link alone."""

from __future__ import annotations

from ipaddress import IPv4Network

import pytest

from chaoskit.errors import RefusedError
from chaoskit.knobs import Netem
from chaoskit.topology.egress_namespace import LINK, RANGES, cable, ends, fault, free_network, needs

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
def test_a_network_that_nothing_is_routed_to(taken: list[str], expected: str) -> None:
    """The first that overlaps nothing; a default route takes nothing away."""
    found = free_network(taken)

    assert str(found) == expected
    assert not any(IPv4Network(each).overlaps(found) for each in taken if each != "0.0.0.0/0")


def test_a_machine_that_uses_all_of_them() -> None:
    """It is refused, with what to look at."""
    with pytest.raises(RefusedError, match="ip route"):
        free_network(str(each) for each in RANGES)


def test_only_what_was_asked_for_is_shaped() -> None:
    """A fault on one direction sets nothing on the other, and asks nothing of the kernel for it."""
    up, down, both = (dict.fromkeys(ways, NETEM) for ways in (("up",), ("down",), ("up", "down")))

    assert [knob.name for knob, setting in fault("out", up) if setting == NETEM] == [LINK]
    assert [knob.name for knob, setting in fault("out", down) if setting == NETEM] == ["chaos-down"]
    assert len([1 for _, setting in fault("out", both) if setting == NETEM]) == 2
    assert needs(up) == {"namespaces", "netem"}
    assert needs(down) > needs(up)


def test_all_of_a_cable_goes_with_its_namespace() -> None:
    """What is set on this machine is the cable's own end and its masquerade, and nothing else."""
    network = free_network([])
    host, inside = ends(network)

    here = {knob.name.replace(inside, "INSIDE").replace(host, "HOST") for knob, _ in cable(network) if knob.place == ""}

    assert all("chaos-out" in name or name in ("out", "INSIDE") for name in here), here
