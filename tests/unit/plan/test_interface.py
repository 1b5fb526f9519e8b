"""A plan for a real interface says whom it hits and what it hangs where, or one sentence that says why not."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from chaoskit.errors import RefusedError
from chaoskit.host_lookups import HostLookups
from chaoskit.knobs import Filter, Flow, Knob, Netem
from chaoskit.plan.compile import compile_plan
from chaoskit.plan.model import Plan
from chaoskit.plan.stage import imagined
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
    """The plan of a small experiment on this ground, with these words in its stage."""
    words = "".join(f"  {key.replace('_', '-')}: {value}\n" for key, value in (stage or {}).items())
    text = FILE.format(stage=words, netem=netem, direction=direction, phase=phase)
    return compile_plan(parse(text, "x.yaml"), ground, classifier)


def flows(compiled: Plan, hook: str) -> list[Flow]:
    """What the filters of one direction match."""
    found = [change.setting for change in compiled.stage if hook in change.knob.name]
    return [each.match for each in found if isinstance(each, Filter) and isinstance(each.match, Flow)]


def test_a_plan_survives_its_file() -> None:
    """plan.json holds the plan exactly, filters and addresses with it."""
    for compiled in (plan(direction="both"), plan(stage={"ip": "4"}, classifier="u32")):
        assert Plan.model_validate_json(compiled.model_dump_json()) == compiled


def test_the_plan_holds_what_was_looked_up() -> None:
    """Interface, all addresses, the endpoint's words, and a lease; the key's name and never a key."""
    found = plan(stage={"model": "m", "key-env": "MY_KEY"}).interface

    assert found is not None
    assert (found.name, found.model, found.key_env) == ("eth0", "m", "MY_KEY")
    assert found.addresses == {"api.example.com": BOTH}
    assert found.target_addresses == BOTH
    assert found.filters == 4
    assert found.lease == 30 * 10**9


def test_one_ip_version_is_asked_and_hit() -> None:
    """With `ip` the probe connects to those addresses alone that the faults hit."""
    for version, address in (("4", "192.0.2.7"), ("6", "2001:db8::7")):
        compiled = plan(stage={"ip": version})

        assert compiled.interface is not None
        assert compiled.interface.target_addresses == (address,)
        assert {flow.source.partition("/")[0] for flow in flows(compiled, "ingress") if flow.source} == {address}


@pytest.mark.parametrize(("direction", "knobs"), [("down", {DOWN}), ("up", {UP}), ("both", {DOWN, UP})])
def test_each_direction_is_an_ifb_of_its_own(direction: str, knobs: set[Knob]) -> None:
    """What no fault needs is not built, and each phase decides each of the others."""
    compiled = plan(direction=direction)

    assert {Knob("qdisc", "", change.knob.name) for change in compiled.stage if change.knob.kind == "ifb"} == knobs
    assert all({change.knob for change in phase.changes} == knobs for phase in compiled.phases)
    assert [change.setting for change in compiled.phases[0].changes] == [None] * len(knobs)
    assert bool(flows(compiled, "egress")) == (UP in knobs)
    assert bool(flows(compiled, "ingress")) == (DOWN in knobs)
    assert compiled.needs == {"netem", "ifb", "clsact", "flower"}


def test_what_was_set_last_and_goes_first_are_the_filters() -> None:
    """A netem without effect stands before any packet is sent to it: putting back never waits for a full queue."""
    compiled = plan(direction="both")
    kinds = [change.knob.kind for change in compiled.stage]

    assert kinds == ["ifb", "qdisc", "link"] * 2 + ["clsact"] + ["filter"] * 8
    (limit,) = {c.setting.limit for c in compiled.phases[1].changes if isinstance(c.setting, Netem)}
    assert [c.setting for c in compiled.stage if c.knob.kind == "qdisc"] == [Netem(limit=limit)] * 2


def test_only_what_was_described_is_hit() -> None:
    """By default the target's port over TCP, and the fragments between the two hosts."""
    assert set(flows(plan(), "ingress")) == {
        Flow(6, "192.0.2.7/32", source_port=443),
        Flow(6, "192.0.2.7/32", is_fragment=True),
        Flow(6, "2001:db8::7/128", source_port=443),
        Flow(6, "2001:db8::7/128", is_fragment=True),
    }


def test_without_faults_nothing_is_touched() -> None:
    """A timeline that only measures needs nothing of the kernel, not even consent."""
    compiled = plan(replace(GROUND, management_uses=("carries the default route",)), phase="warm-up")

    assert compiled.stage == ()
    assert compiled.needs == frozenset()


def test_the_queue_holds_what_others_may_send_too() -> None:
    """The limit is sized for the interface, not for the probe alone."""
    (setting,) = [c.setting for c in plan(netem="{delay: 1s}").phases[1].changes if isinstance(c.setting, Netem)]

    assert setting.limit > 10**9 / 8 / 1514


def test_promises_of_loopback_count_both_passes() -> None:
    """Without a port a packet on loopback is of both directions, and each way is met there and back."""
    narrow, wide = plan(LOOPBACK, {"to": "127.0.0.1:80"}), plan(LOOPBACK, {"to": "127.0.0.1"})

    assert (narrow.promises[1].rtt, wide.promises[1].rtt) == (30_000_000, 60_000_000)


@pytest.mark.parametrize(
    ("ground", "options", "sentence"),
    [
        (replace(GROUND, is_up=False), {}, "eth0 is down: sudo ip link set eth0 up"),
        (
            replace(GROUND, management_uses=("carries the default route",)),
            {},
            "default route.*allow-management-interface: true in the stage",
        ),
        (replace(GROUND, ssh_peers=("192.0.2.7",)), {}, "192.0.2.7 is where your ssh session comes from.*in the stage"),
        (replace(GROUND, addresses={"api.example.com": BOTH[:1]}), {"stage": {"ip": "6"}}, "has no IPv6 address"),
        (GROUND, {"stage": {"to": [f"10.{n}.0.0/16:1" for n in range(70)]}}, "filters and there is room for 251"),
        (GROUND, {"classifier": "u32"}, "modprobe cls_flower"),
    ],
)
def test_what_is_refused(ground: HostLookups, options: dict[str, Any], sentence: str) -> None:
    """Each state that would end badly is refused before anything changes, with what to write."""
    with pytest.raises(RefusedError, match=sentence):
        plan(ground, **options)


def test_a_way_in_is_taken_with_consent_and_a_short_lease() -> None:
    """Whoever says so may work on the default route's interface, and gets it back sooner."""
    found = plan(
        replace(GROUND, management_uses=("carries the default route",)), {"allow-management-interface": "true"}
    ).interface

    assert found is not None
    assert found.lease == 10 * 10**9


@pytest.mark.parametrize(
    ("ground", "options", "warning"),
    [
        (GROUND, {}, "stage: fragments show no ports"),
        (LOOPBACK, {"stage": {"to": "127.0.0.1:80"}}, "stage: lo is one pass for both ends: a packet is sent"),
        (GROUND, {"stage": {"to": "2001:db8::/32"}}, "stage: IPv6 finds its neighbours"),
        (GROUND, {"stage": {"everything": "true"}}, "stage: everything is hit"),
        (GROUND, {"netem": "{loss: 1%}"}, "stage: a real interface hands over up to 64 kB at once, and loss takes"),
        (GROUND, {"netem": "{delay: 9ms, jitter: 2ms}"}, "faults.lossy: jitter 2ms lets packets overtake each other"),
        (replace(GROUND, foreign=("a netem of somebody else",)), {}, "stage: eth0: a netem of somebody else"),
    ],
)
def test_what_is_warned_of(ground: HostLookups, options: dict[str, Any], warning: str) -> None:
    """What hits more or less than a reader would think is said in the plan."""
    assert any(said.startswith(warning) for said in plan(ground, **options).warnings)


def test_a_file_can_be_checked_without_a_machine() -> None:
    """Imagined ground answers for every name, so that all of a file is gone through."""
    experiment = parse(
        FILE.format(stage="  to: a.example:80\n", netem="{loss: 1%}", direction="both", phase="lossy"), "x"
    )

    compiled = compile_plan(experiment, imagined(experiment))

    assert compiled.interface is not None
    assert set(compiled.interface.addresses) == {"api.example.com", "a.example"}
