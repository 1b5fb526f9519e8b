"""Phases with a demand of their own: what they mean, and what is said of mistakes."""

from __future__ import annotations

import json
from typing import Any

import pytest

from chaoskit.errors import SpecError
from chaoskit.planning.compile import compile_plan
from chaoskit.spec.experiment import Experiment
from chaoskit.spec.load import parse

RATE = {"request-rate": "5/s"}
SERVICE = {
    "lab": "service",
    "hosts": {
        "gateway": {"gateway": {"workflows": {"support": ["policy", "generate"], "chat": ["generate"]}}},
        "guard": {"policy": "true"},
        "model": {"reference": "true"},
    },
    "target": "http://gateway:8000/v1/chat/completions",
}


def loaded(timeline: list[Any], workload: dict[str, Any] | None = None, **more: Any) -> Experiment:
    """A file with two faults."""
    netem = {"link": "client-router", "netem": {"delay": "30ms"}}
    words = {
        "name": "made-up",
        "question": "What is in force?",
        "stage": {"lab": "edge"},
        "workload": workload or RATE,
        "faults": {"wifi": {**netem, "direction": "down"}, "vpn": {**netem, "direction": "up"}},
        "timeline": timeline,
        **more,
    }
    return parse(json.dumps(words), "made.yaml")


@pytest.mark.parametrize(
    ("span", "faults", "demand"),
    [
        ({"wifi": "10s"}, ("wifi",), 1),
        ({"wifi": {"for": "10s", "demand": "5x"}}, ("wifi",), 5),
        ({"wifi+vpn": {"for": "10s", "demand": "0.5x"}}, ("wifi", "vpn"), 0.5),
        ({"month-end": {"for": "10s", "demand": "3x"}}, (), 3),
        ({"incident": {"for": "10s", "demand": "3x", "faults": ["wifi", "vpn"]}}, ("wifi", "vpn"), 3),
        ({"incident": {"for": "10s", "faults": "wifi+vpn"}}, ("wifi", "vpn"), 1),
        ({"recovery": {"for": "10s", "demand": "0x"}}, (), 0),
    ],
)
def test_a_phase_has_its_faults_and_its_demand(span: dict[str, Any], faults: tuple[str, ...], demand: float) -> None:
    """By its name, or by its keys; and the plan has both."""
    experiment = loaded([{"baseline": "10s"}, span])
    phase = compile_plan(experiment).phases[1]

    assert (experiment.timeline[1].faults, experiment.timeline[1].demand) == (faults, demand)
    assert (phase.faults, phase.demand) == (faults, demand)
    assert compile_plan(experiment).surges == ((10**10, 1.0), (10**10, demand))
    assert Experiment.model_validate(experiment.written()) == experiment


@pytest.mark.parametrize(
    ("span", "answer"),
    [
        ({"wfi": {"for": "10s", "demand": "5x"}}, "'wfi' is neither a fault nor a clean phase; did you mean wifi?"),
        ({"surge": {"for": "10s"}}, "'surge' is neither a fault nor a clean phase"),
        ({"surge": {"for": "10s", "demand": "5"}}, "'5' is no multiple; write 5x"),
        ({"surge": {"for": "10s", "demand": "500%"}}, "'500%' is no multiple; write for example 5x"),
        ({"surge": {"for": "10", "demand": "5x"}}, "'10' has no unit; write 10s"),
        ({"surge": {"length": "10s", "demand": "5x"}}, "unknown key 'length' of a phase; expected one of for, demand"),
        ({"surge": {"demand": "5x"}}, "the phase surge lacks its length; write for: 30s"),
        ({"surge": {"for": "10s", "demand": "5x", "faults": ["wif"]}}, "'wif' is neither a fault"),
        ({"surge": {"for": "10s", "demand": "-2x"}}, "'-2x' is no multiple"),
        ({"surge": {"for": "10s", "demand": "9000x"}}, "expected 1000 or less"),
        ({"baseline": {"for": "10s", "demand": "5x", "faults": ["wifi"]}}, "baseline is a phase without a fault"),
        ({"wifi": {"for": "10s", "faults": ["vpn"]}}, "its name says the fault wifi, and its faults say another"),
    ],
)
def test_mistakes_are_answered_with_what_to_write(span: dict[str, Any], answer: str) -> None:
    """At the line of the phase."""
    with pytest.raises(SpecError, match=r"made.yaml:\d+: timeline") as said:
        loaded([{"baseline": "10s"}, span])

    assert answer in str(said.value)


def test_phases_of_one_name_are_alike() -> None:
    """Else their streams could not be counted together."""
    with pytest.raises(SpecError, match="a phase wifi before it has another demand or other faults"):
        loaded([{"wifi": "10s"}, {"wifi": {"for": "10s", "demand": "5x"}}])


@pytest.mark.parametrize(
    ("workload", "answer"),
    [
        ({"max-concurrency": "8"}, "demand: 5x multiplies a rate, and the workload has max-concurrency: 8"),
        ({"request-rate": "5000/s"}, "5x of 5000/s is more than the maximum, 10000/s"),
    ],
)
def test_a_surge_needs_a_rate(workload: dict[str, str], answer: str) -> None:
    """Which a closed loop has not, and which has a limit."""
    with pytest.raises(SpecError, match=answer):
        loaded([{"baseline": "10s"}, {"surge": {"for": "10s", "demand": "5x"}}], workload)


@pytest.mark.parametrize(
    ("workload", "answer"),
    [
        ({"demand": {"suport": "100%"}}, "gateway has no workflow 'suport'; did you mean support?"),
        ({"demand": {"chat": {"share": "100%", "model": "big"}}}, "write carry: {workflow: header x-workflow}"),
        ({"carry": {"workflow": "header x-w"}}, "no workflows in this file; write demand: in workload"),
        ({"demand": {"chat": {"share": "100%", "class": "gold"}}}, "'gold' is no class of this file"),
    ],
)
def test_workflows_are_those_of_the_gateway(workload: dict[str, Any], answer: str) -> None:
    """A name that the reference gateway does not know would be asked of its first one."""
    with pytest.raises(SpecError, match=answer):
        loaded([{"baseline": "10s"}], RATE | workload, stage=SERVICE, faults={})


def test_a_header_of_the_stage_is_not_taken() -> None:
    """Nor that of the class."""
    demand = RATE | {"demand": {"chat": "100%"}, "carry": {"workflow": "header x-team"}}

    with pytest.raises(SpecError, match="the header x-team says something else as well"):
        loaded([{"baseline": "10s"}], demand, stage=SERVICE | {"headers": {"X-Team": "a"}}, faults={})


def test_an_endpoint_is_not_told_of_workflows_unless_the_file_says_how() -> None:
    """In a lab their default is the model's name, which a provider would not know."""
    demand = RATE | {"demand": {"chat": "100%"}}
    real = {"target": "https://api.example.com/v1", "model": "m", "interface": "eth0"}

    assert loaded([{"baseline": "10s"}], demand, stage=real, faults={}).workload.carry.workflow == "none"
    assert loaded([{"baseline": "10s"}], demand, stage=SERVICE, faults={}).workload.carry.workflow == "model"
    told = demand | {"carry": {"workflow": "model"}}
    assert loaded([{"baseline": "10s"}], told, stage=real, faults={}).workload.carry.workflow == "model"
