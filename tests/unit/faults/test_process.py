"""A fault of a host's program: where it may be, and which knobs it sets."""

from __future__ import annotations

import pytest

from chaoskit.errors import SpecError
from chaoskit.faults.process import ProcessFault
from chaoskit.knobs import Knob, Process
from chaoskit.planning.compile import compile_plan
from chaoskit.planning.model import Plan
from chaoskit.planning.phase_settings import phase_settings
from chaoskit.spec.load import parse
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


FILE = """\
name: crash
question: Does it come back?
stage: {{lab: edge}}
workload: {{request-rate: 2/s}}
faults:
  crash: {{host: server, process: {state}}}
  hang: {{host: server, process: paused}}
timeline: [{{baseline: 10s}}, {{crash: 10s}}, {{hang: 10s}}, {{recovery: 10s}}]
repeats: 2
"""
SERVER = Knob("process", "server", "program")


def crashing(state: str) -> Plan:
    """The plan of an experiment whose server crashes, and hangs later."""
    return compile_plan(parse(FILE.format(state=state), "x.yaml"))


def states(plan: Plan) -> list[str]:
    """What the server is asked to do in each phase."""
    settings = [{change.knob: change.setting for change in phase.changes}[SERVER] for phase in plan.phases]
    return [setting.state if isinstance(setting, Process) else "as before" for setting in settings]


def test_a_killed_program_is_started_again_when_its_phase_ends_or_before() -> None:
    """With `restart-after` by the phase itself, and the plan says so; the end of the phase starts what is left."""
    for state, ends in (("killed", ()), ("killed, restart-after: 3s", ((3 * 10**9, SERVER),))):
        plan = crashing(state)

        assert states(plan) == ["as before", "killed", "paused", "as before"] * 2
        assert [phase.ends for phase in plan.phases] == [(), ends, (), ()] * 2
    assert phase_settings(plan.phases[1], plan.lab) == ("the program of the server: killed, for 3s",)
    (warning,) = (each for each in crashing("killed, restart-after: 10s").warnings if "restart-after" in each)
    assert "restart-after 10s: no phase is longer, so its end starts server again" in warning


def test_never_is_until_the_end_of_the_round() -> None:
    """Whatever other faults ask of it: a program that is gone cannot hang."""
    assert states(crashing("killed, restart-after: never")) == ["as before", "killed", "killed", "killed"] * 2


@pytest.mark.parametrize(
    ("state", "said"),
    [
        ("paused, restart-after: 3s", "restart-after goes with killed, and this is paused; remove it"),
        ("killed, restart-after: 3", "'3' has no unit; write 3s"),
        ("killed, restart-after: 0s", "0s is less than the minimum, 1ms"),
        ("killed, restart-after: nevr", "'nevr' is not a duration; write for example 50ms"),
    ],
)
def test_a_wrong_restart(state: str, said: str) -> None:
    """With what to write."""
    with pytest.raises(SpecError) as refused:
        crashing(state)

    assert said in str(refused.value)
