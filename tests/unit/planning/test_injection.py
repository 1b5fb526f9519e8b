"""Tests that injections compile to knobs, or are refused in one sentence."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from chaoskit.errors import RefusedError
from chaoskit.host_lookups import ForeignFilter, HostLookups
from chaoskit.knobs import Filter, Flow, Match, Netem, U32Match
from chaoskit.planning.injection import InjectionPlan, compile_injection
from chaoskit.spec.injection import Injection
from chaoskit.topology.steering import qdisc

BOTH: dict[str, tuple[str, ...]] = {"api.example.com": ("192.0.2.7", "2001:db8::7")}
GROUND = HostLookups("eth0", addresses=BOTH)


def planned(ground: HostLookups = GROUND, classifier: str = "flower", /, **words: Any) -> InjectionPlan:
    defaults = {"to": "api.example.com:443", "down": {"delay": "80ms"}, "for": "10s"}
    return compile_injection(Injection.model_validate(defaults | words), ground, classifier)


def matches(plan: InjectionPlan, hook: str) -> list[Match]:
    return [setting.match for knob, setting in plan.changes if isinstance(setting, Filter) and hook in knob.name]


def test_every_address_of_a_name_is_selected() -> None:
    """A name with both families gets filters for all of its addresses, TCP, UDP and their fragments."""
    flows = matches(planned(), "ingress")

    assert {flow.source for flow in flows if isinstance(flow, Flow)} == {"192.0.2.7/32", "2001:db8::7/128"}
    assert len(flows) == len(set(flows)) == 2 * 2 * 2


def test_one_direction_leaves_the_other_untouched() -> None:
    """`down` alone adds no egress filters, and `up` alone no ingress filters."""
    assert not matches(planned(), "egress")
    assert not matches(planned(up={"loss": "1%"}, down=None), "ingress")


def test_the_remote_end_is_the_source_downwards() -> None:
    """Remote address and port are the source downwards and the destination upwards; the local port the reverse."""
    plan = planned(up={"loss": "1%"}, to="192.0.2.7:443", **{"local-port": 5000, "protocol": "tcp"})

    assert matches(plan, "ingress")[0] == Flow(6, "192.0.2.7/32", None, 443, 5000)
    assert matches(plan, "egress")[0] == Flow(6, None, "192.0.2.7/32", 5000, 443)


def test_the_netem_is_set_before_packets_are_redirected_to_it() -> None:
    """The ifb gets its netem before it is up, and the filters are last."""
    kinds = [knob.kind for knob, _ in planned().changes]

    assert kinds[:4] == ["ifb", "qdisc", "link", "clsact"]
    assert set(kinds[4:]) == {"filter"}


def test_the_queue_limit_follows_the_delay() -> None:
    """Without a limit of the author, the netem's limit adds no loss at 1 Gbit/s."""
    setting = dict(planned(down={"delay": "1s"}).changes)[qdisc("down")]

    assert isinstance(setting, Netem)
    assert setting.limit > 10**9 / 8 / 1514
    named = dict(planned(down={"delay": "1s", "limit": "7"}).changes)[qdisc("down")]
    assert isinstance(named, Netem)
    assert named.limit == 7


@pytest.mark.parametrize(
    ("ground", "words", "sentence"),
    [
        (replace(GROUND, is_up=False), {}, "eth0 is down: sudo ip link set eth0 up"),
        (replace(GROUND, addresses={"api.example.com": ("192.0.2.7",)}), {"ip": "6"}, "has no IPv6 address"),
        (GROUND, {"to": [f"10.0.{n}.0/24:443" for n in range(70)]}, "filters and there is room for 251"),
    ],
)
def test_unsafe_states_are_refused(ground: HostLookups, words: dict[str, Any], sentence: str) -> None:
    """Each unsafe state is refused before anything changes, with what to type next."""
    with pytest.raises(RefusedError, match=sentence):
        planned(ground, **words)


def test_u32_cannot_match_ports_over_ipv6() -> None:
    """Without flower, IPv4 ports are matched by u32, and IPv6 ports are refused with the remedy."""
    with pytest.raises(RefusedError, match="modprobe cls_flower"):
        planned(GROUND, "u32")
    assert all(isinstance(match, U32Match) for match in matches(planned(GROUND, "u32", ip="4"), "ingress"))


@pytest.mark.parametrize(
    ("words", "warning"),
    [
        ({}, "fragments show no ports"),
        ({"to": "2001:db8::/32"}, "IPv6 neighbour discovery"),
        ({"to": (), "everything": True, "interface": "eth0"}, "everything is hit"),
        ({"down": {"delay": "1ms", "jitter": "5ms"}}, "jitter 5ms is above delay 1ms"),
        ({"down": {"loss": "1%"}}, "as one packet, and loss drops all of it"),
    ],
)
def test_unexpected_effects_are_warned_of(words: dict[str, Any], warning: str) -> None:
    """The plan warns of faults that hit more or less than a reader would expect."""
    assert any(warning in said for said in planned(**words).warnings)


def test_loopback_is_explained() -> None:
    """On loopback the plan says that each packet passes in both directions, unless a port tells which one it has."""
    told = {
        to: any(
            "the interface of both ends" in said
            for said in planned(HostLookups("lo", is_loopback=True), to=to).warnings
        )
        for to in ("127.0.0.1", "127.0.0.1:8000")
    }

    assert told == {"127.0.0.1": True, "127.0.0.1:8000": False}


def test_a_port_without_a_host_selects_any_host() -> None:
    """`:443` selects that port of any host, over both IP versions."""
    flows = matches(planned(to=":443", interface="eth0"), "ingress")

    assert {(flow.source, flow.source_port) for flow in flows if isinstance(flow, Flow)} == {(None, 443), (None, None)}


V4, V6 = frozenset({4}), frozenset({6})
ALL_V4, ALL_V6 = ForeignFilter("ingress", "matchall", 1, V4, V4), ForeignFilter("ingress", "u32", 49152, V6, V6)
SOME = ForeignFilter("ingress", "bpf", 2, V4 | V6)


def test_filters_that_no_packet_reaches_are_refused() -> None:
    """Foreign filters that take all selected packets before ours, in a direction that is used, cause a refusal."""
    words: dict[str, Any]
    for ground, words in (
        (replace(GROUND, filters=(ALL_V4, ALL_V6)), {}),
        (replace(GROUND, filters=(ALL_V4,)), {"ip": "4"}),
        (replace(GROUND, filters=(ALL_V4,)), {"to": "192.0.2.7", "up": {"loss": "1%"}}),
        (replace(GROUND, filters=(ALL_V4,)), {"to": "192.0.2.7", "down": None, "size-drop-down": 1000}),
    ):
        with pytest.raises(
            RefusedError, match=r"no selected packet reaches .* priority 1 .*tc filter del dev eth0 ingress prio 1"
        ):
            planned(ground, **words)
    for ground, words in (
        (replace(GROUND, filters=(ALL_V4,)), {}),
        (replace(GROUND, filters=(ALL_V4,)), {"to": "2001:db8::7"}),
        (replace(GROUND, filters=(ALL_V4, ALL_V6)), {"down": None, "up": {"loss": "1%"}}),
        (replace(GROUND, filters=(replace(ALL_V4, priority=65000),)), {"ip": "4"}),
        (replace(GROUND, filters=(SOME,)), {}),
        (replace(GROUND, blocked_hooks={"egress": "why"}), {}),
    ):
        assert planned(ground, **words).changes
    with pytest.raises(RefusedError, match="eth0: why"):
        planned(replace(GROUND, blocked_hooks={"ingress": "why"}))


def test_foreign_filters_before_and_after_ours_are_named() -> None:
    """Each is named by kind, priority and hook, if it sees selected packets in a direction that is used."""
    behind = ForeignFilter("ingress", "flower", 60000, V4)
    ground = replace(GROUND, filters=(SOME, ALL_V6, behind), other_interfaces={"api.example.com": "eth0.100"})

    warnings = planned(ground, ip="4").warnings

    assert any("foreign bpf filter with priority 2 at its ingress runs before ours" in each for each in warnings)
    assert any("flower filter with priority 60000" in each and "runs after ours" in each for each in warnings)
    assert any("sends to api.example.com by eth0.100" in each for each in warnings)
    assert not any("u32" in each for each in warnings)
    assert not any("somebody" in each for each in planned(ground, down=None, up={"loss": "1%"}).warnings)
