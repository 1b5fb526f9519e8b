"""Tests plans with path-MTU faults: what they need of a lab or an interface, and what they refuse."""

from __future__ import annotations

import pytest

from chaoskit.errors import RefusedError, SpecError
from chaoskit.host_lookups import HostLookups
from chaoskit.knobs import Clamp, Filter, Knob, Mtu, Netem, Pulse, RandomLoss, Setting
from chaoskit.planning.compile import compile_plan
from chaoskit.planning.injection import compile_injection
from chaoskit.planning.model import Plan
from chaoskit.planning.phase_settings import phase_settings
from chaoskit.spec.injection import Injection
from chaoskit.spec.load import parse
from chaoskit.topology.steering import BLACKHOLE, CLAMP, PRIORITY, SIZE_PRIORITY

FILE = """\
name: x
question: x?
stage: {stage}
workload: {{request-rate: 4/s, output-tokens: 50}}
faults:
  path: {fault}
  slow: {slow}
timeline: [{{baseline: 2s}}, {{path: 2s}}, {{slow: 2s}}, {{path+slow: 2s}}, {{recovery: 2s}}]
seed: 7
"""
LAB, FAR = "{lab: edge}", "{target: 'http://192.0.2.7:8000'}"
GROUND = HostLookups("eth0", min_mtu=68, max_mtu=9000)
ALL = 2**32 - 1


def in_lab(fault: str, stage: str = LAB) -> Plan:
    """The plan of an experiment with this fault, and a delay."""
    slow = "{link: client-router, direction: down, netem: {delay: 5ms}}"
    return compile_plan(parse(FILE.format(stage=stage, fault=fault, slow=slow), "x.yaml"))


def at_interface(fault: str, ground: HostLookups = GROUND) -> Plan:
    """The same on a real interface."""
    slow = "{direction: down, netem: {delay: 5ms}}"
    return compile_plan(parse(FILE.format(stage=FAR, fault=fault, slow=slow), "x.yaml"), ground)


def stage(plan: Plan) -> dict[Knob, Setting]:
    """What is set before the first phase."""
    return {change.knob: change.setting for change in plan.stage}


def phase(plan: Plan, name: str) -> dict[Knob, Setting]:
    """The settings of a phase."""
    (found,) = (each for each in plan.phases if each.name == name)
    return {change.knob: change.setting for change in found.changes}


def test_plan_json_round_trips_with_every_fault() -> None:
    """plan.json holds MTUs, routes with sizes, clamps, drop filters, and pulses."""
    for fault in (
        "[{tunnel: jumbo-mismatch}, {mss-clamp: 1360}]",
        "{pmtu: {mtu: 1400, signal: dropped}, direction: both}",
    ):
        compiled = in_lab(fault)

        assert Plan.model_validate_json(compiled.model_dump_json()) == compiled


def test_hosts_flush_cached_path_mtus_at_each_phase() -> None:
    """Where a phase changes a path MTU, every phase begins with empty caches; elsewhere no host is touched."""
    forget = (Pulse("flush-pmtu", "client"), Pulse("flush-pmtu", "server"))
    for fault in ("{pmtu: 1400, direction: up}", "{mtu: 1400, link: client-router}", "{tunnel: vxlan}"):
        assert {each.pulses for each in in_lab(fault).phases} == {forget}
    for fault in ("{size-drop: 1400, link: client-router, direction: up}", "{mss-clamp: 1360}"):
        assert {each.pulses for each in in_lab(fault).phases} == {()}
    assert {each.pulses for each in at_interface("{mtu: 1400}").phases} == {()}


def test_a_link_too_small_for_ipv6_builds_an_ipv4_lab() -> None:
    """Below 1280 bytes a kernel removes IPv6 from a link and does not restore it, so the lab has no IPv6."""
    small, wide = (stage(in_lab(f"{{mtu: {mtu}, link: client-router}}", "{lab: edge, ip: 4}")) for mtu in (1279, 1280))

    assert any("fd01::1/64" in knob.name for knob in wide)
    assert not [knob for knob in small if "::" in knob.name]
    assert any("10.1.0.1/24" in knob.name for knob in small)
    with pytest.raises(SpecError, match="RFC 8200"):
        in_lab("{mtu: 1279, link: client-router}", "{lab: edge, ip: 6}")


def test_the_blackhole_ifb_exists_before_packets_are_redirected_to_it() -> None:
    """On an interface the blackhole ifb exists before any phase redirects to it, and only where one does."""
    up, down = at_interface("{size-drop: 1400, direction: up}"), at_interface("{size-drop: 1400, direction: down}")

    assert stage(up)[Knob("qdisc", "", BLACKHOLE)] == Netem(loss=RandomLoss(ALL))
    assert list(stage(up)).index(Knob("qdisc", "", BLACKHOLE)) < list(stage(up)).index(Knob("clsact", "", "eth0"))
    assert not [knob for knob in stage(down) if knob.name == BLACKHOLE]
    for plan, hook in ((up, "egress"), (down, "ingress")):
        cuts = {knob for knob, each in phase(plan, "path").items() if isinstance(each, Filter)}
        assert cuts == {Knob("filter", "", f"eth0 {hook} {number}") for number in (SIZE_PRIORITY, SIZE_PRIORITY + 1)}
        assert all(phase(plan, "slow")[knob] is None for knob in cuts)
        assert plan.needs >= {"police", "clsact", "flower"}


def test_an_mtu_alone_needs_no_filters() -> None:
    """No filter, no ifb: the interface's MTU in its phase, and the plan says what that hits."""
    text = FILE.format(stage=FAR, fault="{mtu: 1400}", slow="{mtu: 1300}").replace("{path+slow: 2s}, ", "")
    plan = compile_plan(parse(text.replace("direction: down, ", ""), "x.yaml"), GROUND)

    assert plan.stage == ()
    assert phase(plan, "path") == {Knob("mtu", "", "eth0"): Mtu(1400)}
    assert plan.interface is not None
    assert plan.interface.hits == ("every packet that eth0 sends and that is longer than its MTU",)


def test_a_clamp_alone_redirects_nothing() -> None:
    """No filter, ifb or clsact, and no kernel feature but the clamp; the plan says what it hits, and it is set in its
    phases alone."""
    text = FILE.format(stage=FAR, fault="{mss-clamp: 1360}", slow="{mtu: 1300}").replace("{path+slow: 2s}, ", "")
    plan = compile_plan(parse(text, "x.yaml"), GROUND)

    assert plan.stage == ()
    assert plan.needs == {"clamp"}
    asked = phase(plan, "path")[CLAMP]
    assert isinstance(asked, Clamp)
    assert {(each.link, each.destination or each.source) for each in asked.of or ()} == {("eth0", "192.0.2.7/32")}
    assert phase(plan, "slow")[CLAMP] is None
    assert plan.interface is not None
    assert plan.interface.hits[0] == "tcp with 192.0.2.7/32 at port 8000"
    assert plan.interface.filters == 0
    assert Plan.model_validate_json(plan.model_dump_json()) == plan


def test_a_clamp_of_traffic_without_tcp_is_refused() -> None:
    """The refusal names its place in the file, before any lookup."""
    stage = "{target: 'http://192.0.2.7:8000', to: 192.0.2.7, protocol: udp}"
    with pytest.raises(SpecError, match=r"faults\.path.*only TCP has handshakes, and the stage selects udp alone"):
        compile_plan(parse(FILE.format(stage=stage, fault="{mss-clamp: 1360}", slow="{mtu: 1300}"), "x.yaml"), GROUND)


def test_an_injection_clamps() -> None:
    """Alone it needs nothing but the clamp; with a delay it is set last, so that it is removed first."""
    words = {"to": "192.0.2.7:443", "for": "10s", "mss-clamp": 1360}
    alone = compile_injection(Injection.model_validate(words), GROUND, "flower")
    both = compile_injection(Injection.model_validate(words | {"down": "delay 1ms"}), GROUND, "flower")

    assert [knob for knob, _ in alone.changes] == [CLAMP]
    assert alone.needs == {"clamp"}
    assert alone.filters == 0
    assert alone.warnings == ("open connections keep their segment size: an MSS clamp changes handshakes alone",)
    assert both.changes[-1] == alone.changes[0]
    assert both.needs == {"clamp", "netem", "ifb", "clsact", "flower"}


@pytest.mark.parametrize("mtu", [1279, 9001])
def test_an_mtu_that_the_interface_cannot_have_is_refused(mtu: int) -> None:
    """The refusal comes before any change, with the range that the interface supports."""
    with pytest.raises(RefusedError, match="it takes 1280 to 9000"):
        at_interface(f"{{mtu: {mtu}}}", HostLookups("eth0", min_mtu=1280, max_mtu=9000))


def test_an_injection_drops_oversized_packets() -> None:
    """Each direction by itself, of the selected traffic, at priorities before the filters of a netem."""
    words = {"to": "192.0.2.7:443", "protocol": "tcp", "for": "10s"}
    sizes = {"size-drop-up": 1400, "size-drop-down": 1300}
    plan = compile_injection(Injection.model_validate(words | sizes), GROUND, "flower")

    found = {knob.name: each for knob, each in plan.changes if isinstance(each, Filter)}
    assert {(name.split()[1], each.over, each.redirect_to) for name, each in found.items()} == {
        ("egress", 1400, BLACKHOLE),
        ("ingress", 1300, None),
    }
    assert all(int(name.split()[2]) < PRIORITY for name in found)
    assert "police" in plan.needs
    alone = compile_injection(Injection.model_validate(words | {"size-drop-down": 1300}), GROUND, "flower")
    assert not [knob for knob, _ in alone.changes if knob.name == BLACKHOLE]
    assert (
        "police" not in compile_injection(Injection.model_validate(words | {"up": "delay 1ms"}), GROUND, "flower").needs
    )


def test_an_mtu_hits_all_that_the_interface_carries() -> None:
    """On the interface of the default route an MTU needs permission whatever is selected; dropping by size does not."""
    managed = HostLookups("eth0", min_mtu=68, max_mtu=9000, management_uses=("carries the default route",))

    with pytest.raises(
        RefusedError, match=r"could hit every host.*size-drop in place of mtu hits the selected traffic"
    ):
        at_interface("{mtu: 1400}", managed)
    for fault in ("{size-drop: 1400, direction: up}", "{mss-clamp: 1360}"):
        assert at_interface(fault, managed).interface


def test_the_routes_of_a_pair_are_said_once() -> None:
    """The rule that selects their table says nothing that their own line does not."""
    text = (
        "name: x\nquestion: x?\nstage: {lab: service, hosts: {gateway: {run: x}, model: {reference: true}}, "
        "target: 'http://gateway:8080/v1/chat/completions'}\nworkload: {request-rate: 2/s}\nfaults:\n"
        "  hole: {between: [model, gateway], direction: to-gateway, pmtu: {mtu: 1400, signal: dropped}}\n"
        "timeline: [{baseline: 2s}, {hole: 2s}]\n"
    )
    plan = compile_plan(parse(text, "x.yaml"))
    baseline, hole = plan.phases

    assert phase_settings(baseline, plan.lab) == ()
    assert phase_settings(hole, plan.lab) == ("signals to model: lost", "fabric's routes for model: mtu 1400")
