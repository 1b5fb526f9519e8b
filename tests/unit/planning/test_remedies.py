"""Tests host tuning: it belongs to the stage and is set once, after the lab is built."""

from __future__ import annotations

import edge_lab as edge
import pytest

from chaoskit.host_lookups import HostLookups
from chaoskit.knobs import Knob, Route, Setting, Sysctl
from chaoskit.planning.compile import compile_plan
from chaoskit.planning.model import Plan
from chaoskit.spec.load import parse

FILE = """\
name: tuned
question: Does it help?
stage: {stage}
workload: {{request-rate: 2/s}}
{tuned}
faults:
  probing: {{node: client, sysctl: {{net.ipv4.tcp_mtu_probing: 2}}}}
timeline: [{{baseline: 2s}}, {{{phase}: 2s}}]
"""


def plan(tuned: str = "", stage: str = "{lab: edge}", phase: str = "probing") -> Plan:
    """The plan of a small experiment with these host options."""
    return compile_plan(parse(FILE.format(tuned=tuned, stage=stage, phase=phase), "x.yaml"))


def added(compiled: Plan) -> list[tuple[Knob, Setting]]:
    """The changes of the stage beyond the plain lab, in order."""
    bare = list(edge.build(frozenset()))
    changes: list[tuple[Knob, Setting]] = [(change.knob, change.setting) for change in compiled.stage]
    assert changes[: len(bare)] == bare
    return changes[len(bare) :]


@pytest.mark.parametrize(("end", "net"), [("client", 1), ("server", 2)])
def test_each_option_sets_knobs_of_its_host(end: str, net: int) -> None:
    """Sysctls, congestion control, and the sizes of both default routes, on that host alone."""
    compiled = plan(
        f"{end}: {{sysctl: {{net.ipv4.tcp_mtu_probing: 1}}, route-mtu: 1400, advmss: 1340, congestion-control: bbr}}"
    )

    assert added(compiled) == [
        (Knob("sysctl", end, "net.ipv4.tcp_mtu_probing"), Sysctl("1")),
        (Knob("sysctl", end, "net.ipv4.tcp_congestion_control"), Sysctl("bbr")),
        (Knob("route", end, "0.0.0.0/0"), Route(via=f"10.{net}.0.254", mtu=1400, advmss=1340)),
        (Knob("route", end, "::/0"), Route(via=f"fd0{net}::fe", mtu=1400, advmss=1340)),
    ]


def test_one_size_leaves_the_other_at_its_default() -> None:
    """A size that is not given is as the link has it."""
    for words, sizes in (("route-mtu: 1400", (1400, 0)), ("advmss: 1340", (0, 1340))):
        routes = [setting for _, setting in added(plan(f"client: {{{words}}}")) if isinstance(setting, Route)]

        assert [(route.mtu, route.advmss) for route in routes] == [sizes, sizes]


def test_without_remedies_nothing_is_added() -> None:
    """A lab without remedies is the plain lab, and socket options are no knobs."""
    assert added(plan()) == []
    assert added(plan("client: {maxseg: 1360}\nserver: {maxseg: 1200, token-interval: 5ms}")) == []


def test_socket_options_are_in_the_plan() -> None:
    """Socket options of both ends round-trip through plan.json."""
    compiled = plan("client: {maxseg: 1360}\nserver: {maxseg: 1200}")

    again = Plan.model_validate_json(compiled.model_dump_json())

    assert again == compiled
    assert again.server is not None
    assert (again.client.maxseg, again.server.maxseg) == (1360, 1200)


def test_a_phase_may_override_a_remedy() -> None:
    """A fault may set the same sysctl: in its phases it wins, in others the stage's value stays."""
    compiled = plan("client: {sysctl: {net.ipv4.tcp_mtu_probing: 1}}")

    assert [[change.setting for change in phase.changes] for phase in compiled.phases] == [[None], [Sysctl("2")]]
    assert added(compiled) == [(Knob("sysctl", "client", "net.ipv4.tcp_mtu_probing"), Sysctl("1"))]


def test_on_a_real_interface_remedies_set_no_knobs() -> None:
    """The probe's own sockets are tuned, the machine is not."""
    text = FILE.format(
        tuned="client: {maxseg: 1360, congestion-control: bbr}",
        stage="{target: https://192.0.2.7}",
        phase="warm-up",
    )
    text = text.replace("faults:\n  probing: {node: client, sysctl: {net.ipv4.tcp_mtu_probing: 2}}\n", "")

    compiled = compile_plan(parse(text, "x.yaml"), HostLookups("eth0"))

    assert compiled.stage == ()
    assert (compiled.client.maxseg, compiled.client.congestion_control) == (1360, "bbr")


@pytest.mark.parametrize(
    ("stage", "target"),
    [
        ("{lab: edge}", "http://10.2.0.1:8000"),
        ("{lab: edge, tls: true}", "https://10.2.0.1:8000"),
        ("{lab: edge, ip: 6, tls: true}", "https://[fd02::1]:8000"),
    ],
)
def test_a_labs_server_speaks_tls_when_asked_to(stage: str, target: str) -> None:
    """The target is https, and the changes are the same."""
    compiled = plan(stage=stage)

    assert compiled.target == target
    assert added(compiled) == []
