"""Admission and degradation of the gateway in a file: what they mean, and what is said of mistakes."""

from __future__ import annotations

import pytest

from chaoskit.errors import SpecError
from chaoskit.planning.compile import compile_plan
from chaoskit.planning.tier_settings import tier_settings
from chaoskit.spec.experiment import Experiment
from chaoskit.spec.load import parse
from chaoskit.spec.stage import ServiceStage
from chaoskit.tiers.ladder import Step
from chaoskit.tiers.settings import GatewaySettings

FILE = """
name: tiers
question: Who is admitted?
stage:
  lab: service
  hosts:
    gateway:
      gateway:
        workflows: {chat: [generate], jobs: [generate]}
        admission: {policy: shed, max-in-flight: 24}
        degradation:
          steps:
            - {breadth: 40%, at: 0.6, release: 0.3}
            - {plan: single-tool, at: 0.8, release: 0.6}
            - {max-tokens: 80, at: 1, release: 0.8}
    model: {reference: {engine: {profile: llama-3-8b-a100}}, replicas: 2}
  target: http://gateway:8000/v1/chat/completions
workload: {request-rate: 10/s}
classes:
  premium: {share: 20%, priority: 2}
  standard: {share: 50%, priority: 1, budget: 8}
  batch: {share: 30%, priority: 0}
timeline: [{baseline: 20s}]
"""


def read(old: str = "", new: str = "") -> Experiment:
    """The file with one thing changed."""
    text = FILE.replace(old, new, 1)
    assert not old or text != FILE
    return parse(text, "x.yaml")


def settings(experiment: Experiment) -> GatewaySettings:
    """What the gateway gets."""
    plan = compile_plan(experiment)
    (host,) = (each for each in plan.hosts if each.name == "gateway")
    found = tier_settings(plan, host)
    assert isinstance(found, GatewaySettings)
    return found


def test_the_keys_become_settings() -> None:
    """Classes are ranks; thresholds that are not given spread from 0.6 to 1; each replica's metrics are read."""
    found = settings(read()).controls

    assert [(rank.name, rank.priority, rank.budget) for rank in found.admission.ranks] == [
        ("premium", 2, None),
        ("standard", 1, 8),
        ("batch", 0, None),
    ]
    assert found.admission.thresholds == {"standard": 1.0, "batch": 0.6}
    assert found.models == ("model-1:8000", "model-2:8000")
    assert found.needs_telemetry
    assert found.carriage is not None
    assert found.carriage.name == "x-llm-d-inference-objective"
    assert found.ladder is not None
    assert found.ladder.steps == (
        Step("breadth", 0.6, 0.3, breadth=0.4),
        Step("single-tool", 0.8, 0.6),
        Step("concise", 1.0, 0.8, max_tokens=80),
    )


def test_a_list_of_steps_is_a_ladder_in_short() -> None:
    """With the usual signal and times."""
    start = FILE.index("        degradation:")
    short = "        degradation: [{breadth: 40%, at: 0.6, release: 0.3}]\n"

    found = settings(parse(FILE[:start] + short + FILE[FILE.index("    model:") :], "x.yaml")).controls

    assert found.ladder is not None
    assert (found.ladder.signal, found.ladder.hold) == ("saturation", 5 * 10**9)
    assert found.ladder.steps == (Step("breadth", 0.6, 0.3, breadth=0.4),)


def test_a_gateway_without_keys_admits_all() -> None:
    """And reads no metrics."""
    start = FILE.index("        admission:")
    text = FILE[:start] + FILE[FILE.index("    model:") :]

    found = settings(parse(text, "x.yaml")).controls

    assert (found.admission.policy, found.ladder, found.needs_telemetry) == ("none", None, False)


def test_a_ladder_of_first_tokens_has_times() -> None:
    """Its levels are durations."""
    text = FILE.replace("degradation:\n", "degradation:\n          signal: first-token\n")
    for old, new in (
        ("at: 0.6, release: 0.3", "at: 2s, release: 900ms"),
        ("at: 0.8, release: 0.6", "at: 3s, release: 2s"),
    ):
        text = text.replace(old, new)
    ladder = settings(parse(text.replace("at: 1, release: 0.8", "at: 5s, release: 4s"), "x.yaml")).controls.ladder

    assert ladder is not None
    assert [(step.trigger, step.release) for step in ladder.steps] == [(2e9, 9e8), (3e9, 2e9), (5e9, 4e9)]


ADMISSION, LADDER = "stage.hosts.gateway.gateway.admission", "stage.hosts.gateway.gateway.degradation"


@pytest.mark.parametrize(
    ("old", "new", "answer"),
    [
        (
            "at: 0.8, release: 0.6",
            "at: 0.8, release: 0.5",
            f"{LADDER}.steps.1.release: 0.5 to 0.8 overlaps 0.3 to 0.6 of the step before; write release: 0.6 or more",
        ),
        (
            "at: 0.8, release: 0.6",
            "at: 0.6, release: 0.6",
            f"{LADDER}.steps.1.release: released at 0.6, and in force from 0.6 on: it would switch without end; "
            "write a release below 0.6",
        ),
        (
            "at: 0.8, release: 0.6",
            "at: 0.5, release: 0.4",
            f"{LADDER}.steps.1.at: its trigger 0.5 is not above that of the step before, 0.6; write them in rising",
        ),
        ("{plan: single-tool,", "{breadth: 20%,", f"{LADDER}.steps.1: the same measure as steps.0; keep one of them"),
        ("{plan: single-tool,", "{plan: none,", f"{LADDER}.steps.1.plan: found 'none', expected"),
        ("{plan: single-tool, ", "{", f"{LADDER}.steps.1: does nothing; write one of breadth: 40%"),
        (
            "{plan: single-tool, ",
            "{plan: single-tool, max-tokens: 5, ",
            f"{LADDER}.steps.1: plan and max-tokens are two",
        ),
        ("at: 0.8", "at: 2s", f"{LADDER}.steps.1.at: 2s is a time, and saturation is a number; write for example 0.8"),
        ("at: 0.8", "at: high", f"{LADDER}.steps.1.at: found 'high', expected a number such as 0.8"),
        ("breadth: 40%", "breadth: 3", "'3' has no unit"),
        ("steps:", "signal: cpu\n          steps:", f"{LADDER}.signal: found 'cpu', expected"),
        ("policy: shed", "policy: lifo", f"{ADMISSION}.policy: found 'lifo', expected"),
        (
            "max-in-flight: 24}",
            "thresholds: {bach: 0.6}}",
            f"{ADMISSION}.thresholds.bach: 'bach' is no class of this file; did you mean batch?",
        ),
        (
            "max-in-flight: 24}",
            "thresholds: {standard: 0.5, batch: 0.6}}",
            f"{ADMISSION}.thresholds.standard: standard is more important than batch, and is shed before it; write 0.6",
        ),
        (
            "max-in-flight: 24}",
            "thresholds: {standard: 0.5}}",
            f"{ADMISSION}.thresholds.standard: standard is more important than batch, and is shed before it; give",
        ),
        ("max-in-flight: 24}", "retry-after: 1500ms}", f"{ADMISSION}.retry-after: Retry-After is in whole seconds"),
        (
            "max-in-flight: 24}",
            "limiter: {least: 30}}",
            f"{ADMISSION}.limiter: least, first-limit and most are 30, 20, 200; write them in rising order",
        ),
        (
            "{engine: {profile: llama-3-8b-a100}}",
            "true",
            f"{ADMISSION}.policy: shed goes by the model's saturation, and model is no engine, which would tell it; "
            "write engine: at model, or policy: priority and max-in-flight",
        ),
        (
            "max-in-flight: 24}",
            "max-inflight: 24}",
            f"{ADMISSION}.max-inflight: unknown key; did you mean max-in-flight?",
        ),
    ],
)
def test_each_mistake_is_answered_at_its_line(old: str, new: str, answer: str) -> None:
    """It gets one line with the place, and what to write."""
    with pytest.raises(SpecError) as caught:
        read(old, new)

    said = str(caught.value)
    assert said.startswith("x.yaml:")
    assert answer in said
    assert len(said.splitlines()) == (2 if new == "true" else 1)  # the ladder goes by it as well


def test_a_policy_for_classes_needs_classes() -> None:
    """Without any all requests are alike."""
    start = FILE.index("classes:\n")
    text = FILE[:start] + FILE[FILE.index("timeline:") :]

    with pytest.raises(SpecError, match=r"shed needs classes to tell requests apart; write classes: at the top"):
        parse(text, "x.yaml")
    assert parse(text.replace("policy: shed", "policy: fcfs"), "x.yaml").classes == {}


def test_a_queue_without_a_number_needs_an_engine_too() -> None:
    """Its room is the model's; a program may have metrics, and a number needs none."""
    start = FILE.index("        degradation:")
    text = FILE[:start] + FILE[FILE.index("    model:") :]
    text = text.replace("{engine: {profile: llama-3-8b-a100}}", "true")
    for policy in ("fcfs", "priority"):
        with pytest.raises(SpecError, match=rf"without max-in-flight {policy} goes by the model's saturation"):
            parse(text.replace("policy: shed, max-in-flight: 24", f"policy: {policy}"), "x.yaml")
        assert parse(text.replace("policy: shed", f"policy: {policy}"), "x.yaml")
    program = text.replace("{reference: true,", "{run: my-model, ready: 8000,")
    assert parse(program.replace("[generate]", "[{generate: {model: model}}]"), "x.yaml")


def test_a_class_that_no_workflow_of_the_demand_has_is_told() -> None:
    """Where each of them has a class of its own."""
    demand = "{chat: {share: 50%, class: premium}, jobs: {share: 50%, class: batch}}"
    text = FILE.replace("workload: {", f"workload: {{demand: {demand}, ")

    with pytest.raises(SpecError, match=r"classes.standard: nobody sends standard: every workflow of demand has"):
        parse(text, "x.yaml")
    assert parse(text.replace(", class: batch", ""), "x.yaml")


def test_a_file_loads_again_from_what_it_writes() -> None:
    """With all keys of admission and degradation."""
    experiment = read()

    again = Experiment.model_validate(experiment.written())

    assert isinstance(experiment.stage, ServiceStage)
    assert isinstance(again.stage, ServiceStage)
    assert again.stage.hosts == experiment.stage.hosts
