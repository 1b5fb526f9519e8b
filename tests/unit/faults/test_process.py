"""A fault of a host's program: where it may be, and which knobs it sets."""

from __future__ import annotations

import pytest

from chaoskit.faults.process import ProcessFault
from chaoskit.knobs import Knob, Process
from chaoskit.topology.display_names import display_name
from chaoskit.topology.fault_site import Interface, Lab
from chaoskit.topology.lab import service
from chaoskit.topology.steering import TrafficSelector

LAB = Lab(topology=service({"gateway": 1, "model": 2}))


def test_it_sets_the_program_of_each_replica() -> None:
    """The name of a group is all of its hosts; the name of one is this one."""
    knobs = [Knob("process", f"model-{number}", "program") for number in (1, 2)]

    assert ProcessFault(host="model", process="killed").changes(LAB, 0, 0) == tuple(
        (knob, Process("killed")) for knob in knobs
    )
    assert ProcessFault(host="model-2", process="paused").changes(LAB, 0, 0) == ((knobs[1], Process("paused")),)
    assert display_name(knobs[0], LAB.topology) == "the program of model-1"


def test_the_server_of_the_edge_lab_has_a_program() -> None:
    """`lab: edge` is a lab like any other."""
    fault = ProcessFault(host="server", process="refusing")

    assert fault.site_error(Lab()) == ""
    assert fault.changes(Lab(), 0, 0) == ((Knob("process", "server", "program"), Process("refusing")),)
    assert fault.needs() == {"clamp"}


@pytest.mark.parametrize(
    ("host", "said"),
    [
        ("client", "the client is the probe itself; name another host, of gateway, model-1, model-2, model"),
        ("modle", "'modle' is no host of this lab; did you mean model?"),
        ("fabric", "'fabric' is no host of this lab; "),
    ],
)
def test_hosts_without_a_program(host: str, said: str) -> None:
    """The sentence names those that there are."""
    assert ProcessFault(host=host, process="paused").site_error(LAB).startswith(said)


def test_a_real_machine_is_left_alone() -> None:
    """On an interface there is no host."""
    fault = ProcessFault(host="model", process="killed")

    assert "never stopped" in fault.site_error(Interface("eth0", TrafficSelector()))
    assert fault.changes(Interface("eth0", TrafficSelector()), 0, 0) == ()
