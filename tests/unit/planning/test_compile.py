"""Tests that a plan describes all changes, and is compiled without reading the machine."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest
import shipped
from made_runs import plan as made_plan

from chaoskit.knobs import Knob, Netem, Sysctl
from chaoskit.planning.compile import compile_plan
from chaoskit.planning.model import Plan
from chaoskit.planning.stage import placeholder_lookups
from chaoskit.spec.load import parse
from chaoskit.spec.matrix import load_variants

EXPERIMENTS = shipped.FILES
DOWN, UP = Knob("qdisc", "router", "to-client"), Knob("qdisc", "router", "ifb-client")
FILE = """\
name: x
question: x?
stage: {{lab: edge}}
workload: {{request-rate: 4/s, output-tokens: 50}}
faults:
  slow: {{link: client-router, direction: {direction}, netem: {netem}}}
  tuned: {{node: client, sysctl: {{net.ipv4.tcp_slow_start_after_idle: 0}}}}
timeline: [{{baseline: 2s}}, {{slow: 2s}}, {{slow+tuned: 2s}}, {{recovery: 2s}}]
seed: 7
"""


def plan(netem: str = "{delay: 30ms}", direction: str = "down") -> Plan:
    """The plan of a small experiment with this netem."""
    return compile_plan(parse(FILE.format(netem=netem, direction=direction), "x.yaml"))


def test_experiments_exist() -> None:
    """At least four experiment files are shipped."""
    assert len(EXPERIMENTS) >= 4


@pytest.mark.parametrize("path", EXPERIMENTS, ids=lambda path: path.stem)
def test_every_shipped_experiment_has_a_plan_without_warnings(path: Path) -> None:
    """Each file of experiments/ compiles, is named like its file, and gives no warnings."""
    experiments = [variant.experiment for variant in load_variants(path).each]

    plans = [compile_plan(experiment, placeholder_lookups(experiment)) for experiment in experiments]

    assert {plan.name for plan in plans} == {path.stem}
    told = [each for plan in plans for each in plan.warnings if not each.startswith("stage: ")]
    assert [each for each in told if "still accepts connections" not in each] == []


def test_plan_json_round_trips() -> None:
    """plan.json holds the plan exactly."""
    compiled = plan("{delay: 30ms, loss: {gemodel: {p: 1%, r: 30%}}, rate: 5mbit, slot: {min: 1ms, max: 2ms}}", "both")

    assert Plan.model_validate_json(compiled.model_dump_json()) == compiled


def test_the_drain_lets_the_longest_streams_end() -> None:
    """Of numbers of tokens from a distribution, those that 1 of 10,000 requests asks for; the plan keeps it exactly."""
    text = FILE.format(netem="{delay: 30ms}", direction="down")
    spread = compile_plan(parse(text.replace("output-tokens: 50", "output-tokens: {median: 50, p99: 500}"), "x.yaml"))
    interval = parse(text, "x.yaml").server.token_interval

    assert (spread.drain - plan().drain) / interval == pytest.approx(50 * 10 ** (3.719 / 2.326) - 50, rel=0.01)
    assert Plan.model_validate_json(spread.model_dump_json()) == spread


def test_plan_json_is_deterministic() -> None:
    """Sets are sorted in the file, so that two plans can be compared line by line."""
    needed = json.loads(plan(direction="up").model_dump_json())["needs"]
    assert len(needed) > 4
    assert needed == sorted(needed)


def test_every_phase_sets_every_knob() -> None:
    """Knobs without a fault in a phase are set to None, so that no phase depends on the one before it."""
    compiled = plan()
    parameter = Knob("sysctl", "client", "net.ipv4.tcp_slow_start_after_idle")

    settings = [{change.knob: change.setting for change in phase.changes} for phase in compiled.phases]

    assert all(set(setting) == {DOWN, parameter} for setting in settings)
    assert [setting[parameter] for setting in settings] == [None, None, Sysctl("0"), None]
    assert [isinstance(setting[DOWN], Netem) for setting in settings] == [False, True, True, False]


@pytest.mark.parametrize(("direction", "knobs"), [("down", {DOWN}), ("up", {UP}), ("both", {DOWN, UP})])
def test_each_direction_has_its_own_qdisc_on_the_router(direction: str, knobs: set[Knob]) -> None:
    """`up` uses an ifb, which is created (and needed) only then."""
    compiled = plan(direction=direction)

    shaped = {c.knob for phase in compiled.phases for c in phase.changes if isinstance(c.setting, Netem)}

    assert shaped == knobs
    assert ("ifb" in compiled.needs) == (UP in knobs)
    assert any(change.knob.kind == "ifb" for change in compiled.stage) == (UP in knobs)


def test_both_directions_have_different_seeds() -> None:
    """Two qdiscs of one fault have the same setting and different seeds."""
    one, other = (c.setting for c in plan("{loss: 1%}", "both").phases[1].changes if isinstance(c.setting, Netem))

    assert one.seed != other.seed
    assert replace(one, seed=None) == replace(other, seed=None)


def test_the_limit_follows_rate_times_delay() -> None:
    """Without a limit of the author, the queue holds the bandwidth-delay product."""
    slow, fat = plan("{delay: 10ms, rate: 1mbit}"), plan("{delay: 500ms, rate: 1gbit}")

    limits = [c.setting.limit for p in (slow, fat) for c in p.phases[1].changes if isinstance(c.setting, Netem)]

    assert limits[0] == 1000
    assert limits[1] > 500e-3 * 1e9 / 8 / 1514


def test_expectations_describe_measurable_effects() -> None:
    """Loss and delay as counters and handshakes show them; there is no expectation where queueing decides."""
    exact, queued = plan("{delay: 30ms, loss: 2%}", "both"), plan("{delay: 30ms, rate: 1mbit}")

    expectation, shaped = exact.expectations[1], queued.expectations[1]

    assert expectation.rtt == 60_000_000
    assert [effect.loss for effect in expectation.effects] == pytest.approx([0.02, 0.02])
    assert shaped.rtt is None


@pytest.mark.parametrize(
    ("netem", "words"),
    [
        ("{loss: {share: 1%, correlation: 25%}}", "write gemodel"),
        ("{delay: 100ms, limit: 5}", "limit 5 is below"),
        ("{delay: 5ms, jitter: 10ms}", "delays below zero become zero"),
        ("{delay: 50ms, jitter: 30ms}", "overtake each other"),
    ],
)
def test_pitfalls_of_netem_are_warned_of(netem: str, words: str) -> None:
    """Each known pitfall of netem is named before a run, with what to write instead."""
    assert any(words in warning for warning in plan(netem).warnings)


@pytest.mark.parametrize(
    ("netem", "asked", "kernel"),
    [("{loss: 0.0001%}", "0.0001%", "0.0001000008%"), ("{rate: 8001bit}", "8001bit", "8000bit")],
)
def test_roundings_are_shown(netem: str, asked: str, kernel: str) -> None:
    """Values that the kernel cannot represent are shown with the values that it uses."""
    (rounding,) = plan(netem).roundings

    assert (rounding.asked, rounding.kernel) == (asked, kernel)


@pytest.mark.parametrize(
    ("timeline", "expected"),
    [
        ("[{baseline: 10s}, {wifi: 10s}, {recovery: 10s}]", 10 * 10**9),
        ("[{warm-up: 2s}, {baseline: 10s}, {wifi: 10s}]", 12 * 10**9),
        ("[{wifi: 10s}, {baseline: 10s}]", 0),
        ("[{baseline: 10s}, {recovery: 5s}]", None),
    ],
)
def test_a_plan_knows_when_its_first_fault_begins(timeline: str, expected: int | None) -> None:
    """Until then, requests that all fail alike stop the run; without a fault that is always so."""
    assert made_plan(timeline=timeline).fault_free == expected
