"""Tests plans for real interfaces: their selected traffic and filters, or a refusal in one sentence."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from chaoskit.errors import RefusedError
from chaoskit.host_lookups import HostLookups, ManagementTraffic
from chaoskit.knobs import Filter, Flow, Knob, Netem
from chaoskit.planning.compile import compile_plan
from chaoskit.planning.model import Plan
from chaoskit.planning.stage import placeholder_lookups
from chaoskit.spec.load import parse

FILE = """\
name: x
question: x?
stage:
  target: https://api.example.com/v1
{stage}workload: {{request-rate: 4/s, output-tokens: 50}}
faults:
  lossy: {{direction: {direction}, netem: {netem}}}
timeline: [{{baseline: 2s}}, {{{phase}: 2s}}, {{recovery: 2s}}]
seed: 7
"""
BOTH = ("192.0.2.7", "2001:db8::7")
GROUND = HostLookups("eth0", addresses={"api.example.com": BOTH})
MANAGED = replace(GROUND, management_uses=("carries the default route",))
LOOPBACK = HostLookups("lo", mtu=65536, is_loopback=True)
DOWN, UP = Knob("qdisc", "", "chaos-down"), Knob("qdisc", "", "chaos-up")


def plan(
    ground: HostLookups = GROUND,
    stage: dict[str, str] | None = None,
    netem: str = "{delay: 30ms}",
    direction: str = "down",
    phase: str = "lossy",
    classifier: str = "flower",
) -> Plan:
    """The plan of a small experiment with these lookups and these keys in its stage."""
    words = "".join(f"  {key.replace('_', '-')}: {value}\n" for key, value in (stage or {}).items())
    text = FILE.format(stage=words, netem=netem, direction=direction, phase=phase)
    return compile_plan(parse(text, "x.yaml"), ground, classifier)


def flows(compiled: Plan, hook: str) -> list[Flow]:
    """What the filters of one direction match."""
    found = [change.setting for change in compiled.stage if hook in change.knob.name]
    return [each.match for each in found if isinstance(each, Filter) and isinstance(each.match, Flow)]


def test_plan_json_round_trips() -> None:
    """plan.json holds the plan exactly, filters and addresses with it."""
    for compiled in (plan(direction="both"), plan(stage={"ip": "4"}, classifier="u32")):
        assert Plan.model_validate_json(compiled.model_dump_json()) == compiled


def test_the_plan_contains_the_lookups() -> None:
    """Interface, all addresses, the endpoint's options, a lease, and the name of the API key but never its value."""
    found = plan(stage={"model": "m", "key-env": "MY_KEY"}).interface

    assert found is not None
    assert (found.name, found.access.model, found.access.key_env) == ("eth0", "m", "MY_KEY")
    assert found.addresses == {"api.example.com": BOTH}
    assert found.target_addresses == BOTH
    assert found.filters == 4
    assert found.lease == 30 * 10**9


def test_one_ip_version_is_connected_to_and_hit() -> None:
    """With `ip` the probe connects only to addresses that the faults hit."""
    for version, address in (("4", "192.0.2.7"), ("6", "2001:db8::7")):
        compiled = plan(stage={"ip": version})

        assert compiled.interface is not None
        assert compiled.interface.target_addresses == (address,)
        assert {flow.source.partition("/")[0] for flow in flows(compiled, "ingress") if flow.source} == {address}


@pytest.mark.parametrize(("direction", "knobs"), [("down", {DOWN}), ("up", {UP}), ("both", {DOWN, UP})])
def test_each_direction_is_an_ifb_of_its_own(direction: str, knobs: set[Knob]) -> None:
    """Only ifbs that a fault needs are created, and each phase sets each of them."""
    compiled = plan(direction=direction)

    assert {Knob("qdisc", "", change.knob.name) for change in compiled.stage if change.knob.kind == "ifb"} == knobs
    assert all({change.knob for change in phase.changes} == knobs for phase in compiled.phases)
    assert [change.setting for change in compiled.phases[0].changes] == [None] * len(knobs)
    assert bool(flows(compiled, "egress")) == (UP in knobs)
    assert bool(flows(compiled, "ingress")) == (DOWN in knobs)
    assert compiled.needs == {"netem", "ifb", "clsact", "flower"}


def test_filters_are_set_last_and_removed_first() -> None:
    """A netem without effect exists before packets reach it, so restoring never waits for a full queue."""
    compiled = plan(direction="both")
    kinds = [change.knob.kind for change in compiled.stage]

    assert kinds == ["ifb", "qdisc", "link"] * 2 + ["clsact"] + ["filter"] * 8
    (limit,) = {c.setting.limit for c in compiled.phases[1].changes if isinstance(c.setting, Netem)}
    assert [c.setting for c in compiled.stage if c.knob.kind == "qdisc"] == [Netem(limit=limit)] * 2


def test_only_the_described_traffic_is_selected() -> None:
    """By default the target's port over TCP, and the fragments between the two hosts."""
    assert set(flows(plan(), "ingress")) == {
        Flow(6, "192.0.2.7/32", source_port=443),
        Flow(6, "192.0.2.7/32", is_fragment=True),
        Flow(6, "2001:db8::7/128", source_port=443),
        Flow(6, "2001:db8::7/128", is_fragment=True),
    }


def test_without_faults_nothing_is_touched() -> None:
    """A timeline that only measures needs no kernel features and no permission."""
    compiled = plan(MANAGED, {"to": ":443"}, phase="warm-up")

    assert compiled.stage == ()
    assert compiled.needs == frozenset()


def test_the_queue_limit_covers_other_traffic() -> None:
    """The limit is sized for the interface, not for the probe alone."""
    (setting,) = [c.setting for c in plan(netem="{delay: 1s}").phases[1].changes if isinstance(c.setting, Netem)]

    assert setting.limit > 10**9 / 8 / 1514


def test_expectations_on_loopback_count_both_passes() -> None:
    """Without a port a loopback packet matches both directions, so a round trip passes each netem twice."""
    narrow, wide = plan(LOOPBACK, {"to": "127.0.0.1:80"}), plan(LOOPBACK, {"to": "127.0.0.1"})

    assert (narrow.expectations[1].rtt, wide.expectations[1].rtt) == (30_000_000, 60_000_000)


@pytest.mark.parametrize(
    ("ground", "options", "sentence"),
    [
        (replace(GROUND, is_up=False), {}, "eth0 is down: sudo ip link set eth0 up"),
        (
            MANAGED,
            {"stage": {"to": ":443"}},
            "could hit every host at port 443.*management-interface: true in the stage",
        ),
        (
            replace(MANAGED, management=(ManagementTraffic("your ssh session", "192.0.2.7"),)),
            {},
            r"could hit your ssh session \(which is api\.example\.com\).*for example to: api\.example\.com:443",
        ),
        (replace(GROUND, addresses={"api.example.com": BOTH[:1]}), {"stage": {"ip": "6"}}, "has no IPv6 address"),
        (GROUND, {"stage": {"to": [f"10.{n}.0.0/16:1" for n in range(70)]}}, "filters and there is room for 251"),
        (GROUND, {"classifier": "u32"}, "modprobe cls_flower"),
    ],
)
def test_unsafe_states_are_refused(ground: HostLookups, options: dict[str, Any], sentence: str) -> None:
    """Each unsafe state is refused before anything changes, with what to write."""
    with pytest.raises(RefusedError, match=sentence):
        plan(ground, **options)


def test_only_a_dangerous_fault_needs_permission_and_gets_a_short_lease() -> None:
    """On the interface of the default route a fault on the target alone needs nothing; one on all hosts a permission,
    and then the lease is shorter."""
    narrow, wide = plan(MANAGED), plan(MANAGED, {"to": ":443", "allow-management-interface": "true"})

    assert narrow.interface is not None
    assert wide.interface is not None
    assert (narrow.interface.lease, wide.interface.lease) == (30 * 10**9, 10 * 10**9)


@pytest.mark.parametrize(
    ("ground", "options", "warning"),
    [
        (GROUND, {}, "stage: fragments show no ports"),
        (LOOPBACK, {"stage": {"to": "127.0.0.1"}}, "stage: lo is the interface of both ends, and only a port tells"),
        (GROUND, {"stage": {"to": "2001:db8::/32"}}, "stage: IPv6 neighbour discovery"),
        (GROUND, {"stage": {"everything": "true"}}, "stage: everything is hit"),
        (GROUND, {"netem": "{loss: 1%}"}, "stage: with GSO a real interface sends up to 64 kB as one packet, and loss"),
        (GROUND, {"netem": "{delay: 9ms, jitter: 2ms}"}, "faults.lossy: jitter 2ms lets packets overtake each other"),
        (replace(GROUND, foreign=("a foreign netem",)), {}, "stage: eth0: a foreign netem"),
    ],
)
def test_unexpected_effects_are_warned_of(ground: HostLookups, options: dict[str, Any], warning: str) -> None:
    """The plan warns of faults that hit more or less than a reader would expect."""
    assert any(said.startswith(warning) for said in plan(ground, **options).warnings)


@pytest.mark.parametrize("host", ["127.0.0.1", "127.9.9.9", "localhost", "[::1]", "api.example.com"])
def test_a_file_for_this_machine_is_checked_as_it_is_planned(host: str) -> None:
    """A check without lookups knows the loopback by the target, and warns of what the plan warns of."""
    text = FILE.format(stage="", netem="{loss: 1%}", direction="both", phase="lossy")
    experiment = parse(text.replace("https://api.example.com", f"http://{host}:8000"), "x")
    is_here = host != "api.example.com"
    addresses: dict[str, tuple[str, ...]] = {} if "." in host and is_here else {host: ("127.0.0.1", "::1")}
    real = HostLookups("lo" if is_here else "eth0", is_loopback=is_here, addresses=addresses)

    checked = compile_plan(experiment, placeholder_lookups(experiment)).warnings

    assert checked == compile_plan(experiment, real).warnings
    assert not any("only a port" in warning for warning in checked)


def test_a_file_can_be_checked_without_lookups() -> None:
    """Placeholder lookups resolve every name, so that all of a file is checked."""
    experiment = parse(
        FILE.format(stage="  to: a.example:80\n", netem="{loss: 1%}", direction="both", phase="lossy"), "x"
    )

    compiled = compile_plan(experiment, placeholder_lookups(experiment))

    assert compiled.interface is not None
    assert set(compiled.interface.addresses) == {"api.example.com", "a.example"}
