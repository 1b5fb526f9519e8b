"""What a workload holds where its file says nothing, by the kind of its stage."""

from __future__ import annotations

import pytest

from chaoskit.cli.timeout_options import TimeoutOptions
from chaoskit.spec.experiment import Experiment
from chaoskit.spec.load import parse
from chaoskit.spec.matrix import parse_variants
from chaoskit.spec.options import workload
from chaoskit.units import Duration

FILE = """\
name: x
question: x?
stage: {stage}
workload: {{max-concurrency: 1{more}}}
timeline: [{{baseline: 2s}}]
"""
LAB, TARGET = "{lab: edge}", "{target: https://api.example.com/v1}"


def experiment(stage: str, more: str = "") -> Experiment:
    """One with this stage and more keys of its workload."""
    return parse(FILE.format(stage=stage, more=more), "x.yaml")


def test_the_timeouts_of_a_target_are_those_of_a_probe() -> None:
    """They are longer than the timers of proxies, 50 and 60 s; those of a lab, where there are none, are short."""
    probe = workload(TimeoutOptions().given() | {"max-concurrency": 1}).timeouts
    target, lab = experiment(TARGET).workload.timeouts, experiment(LAB).workload.timeouts

    assert (target.first_token, target.idle, target.connect) == (probe.first_token, probe.idle, probe.connect)
    assert target.first_token > Duration.parse("60s")
    assert (lab.first_token, lab.idle) == (Duration.parse("10s"), Duration.parse("5s"))


@pytest.mark.parametrize("stage", [LAB, TARGET])
def test_timeouts_that_are_given_are_kept(stage: str) -> None:
    """Also those that are a lab's defaults; the other one keeps its default."""
    given = experiment(stage, ", timeouts: {first-token: 10s, connect: 1s}").workload.timeouts

    assert (given.first_token, given.connect) == (Duration.parse("10s"), Duration.parse("1s"))
    assert given.idle == experiment(stage).workload.timeouts.idle


def test_each_variant_has_the_timeouts_of_its_own_stage() -> None:
    """A matrix may measure a lab and a target."""
    text = FILE.format(stage=LAB, more="") + f"matrix: {{stage: [{LAB}, {TARGET}]}}\n"

    idle = [variant.experiment.workload.timeouts.idle for variant in parse_variants(text, "x.yaml").each]

    assert idle == [Duration.parse("5s"), Duration.parse("65s")]
