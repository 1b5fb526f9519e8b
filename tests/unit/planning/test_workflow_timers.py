"""Timers of a gateway's stages against each other, the client's and what tiers take: found before anything runs."""

from __future__ import annotations

from typing import Any

import pytest

from chaoskit.conduct.lab_timers import with_timers
from chaoskit.planning.compile import compile_plan
from chaoskit.planning.model import Plan
from chaoskit.spec.key_lines import KeyLines
from chaoskit.spec.load import parse
from chaoskit.spec.matrix import parse_variants

FILE = """\
name: x
question: What is said of its timers?
stage:
  lab: service
  hosts:
    gateway: {{gateway: {{workflows: {{support: [{stages}, generate]}}}}}}
    guard: {{policy: true}}
    vectors: {{retrieval: true}}
    spare: {{retrieval: true}}
    tools: {{tool: true}}
    model: {{reference: true}}
  target: http://gateway:8000/v1/chat/completions
workload: {{request-rate: 3/s, timeouts: {{first-token: 5s}}}}
timeline: [{{baseline: 20s}}]
objectives: ["{objective}"]
"""


def planned(*stages: str, objective: str = "interruption_rate < 5%") -> Plan:
    """The plan of a gateway with these stages before `generate`."""
    experiment = parse(FILE.format(stages=", ".join(stages), objective=objective), "x.yaml")
    return with_timers(compile_plan(experiment), experiment.key_lines)


def said(*stages: str, **keys: Any) -> list[str]:
    """What is said of these stages."""
    plan = planned(*stages, **keys)
    return [each for each in (*plan.warnings, *plan.advice) if "gateway" in each]


def retrieve(keys: str) -> str:
    """A retrieve stage with these keys."""
    return "{retrieve: {from: vectors, " + keys + "}}"


def test_nothing_is_said_of_a_sound_workflow() -> None:
    """Each stage within what is around it."""
    assert said("policy", retrieve("deadline: 400ms, fallback: no-context"), "{tools: {deadline: 1s}}") == []


@pytest.mark.parametrize(
    ("stage", "sentence"),
    [
        (retrieve("deadline: 6s, fallback: no-context"), "the fallback is never reached in time"),
        (retrieve("deadline: 3s, fallback: spare"), "the fallback is never reached in time"),
        (retrieve("deadline: 3s, fallback: spare"), "tries vectors and then spare for 3s each (deadline in x.yaml:6, "),
        (retrieve("fallback: no-context"), "nothing ends a retrieval that hangs; write deadline: 1s in x.yaml:6"),
        (retrieve("deadline: 5s"), "both wait 5s"),
        (retrieve("per-try: 2s, retries: 2"), "tries vectors 3 times 2s"),
        (retrieve("per-try: 400ms, retries: 2, deadline: 1s"), "the last tries never happen"),
        ("{tools: {calls: {p50: 2, p95: 9}, deadline: 2s}}", "tries tools 9 times 2s"),
        ("{tools: {per-try: 100ms}}", "an answer of tools takes 200ms (latency median 200ms)"),
        ("{policy: {deadline: 2ms}}", "an answer of guard takes 8ms (latency median 8ms)"),
    ],
)
def test_each_pattern_is_told_with_what_to_write(stage: str, sentence: str) -> None:
    """The timer with its place, what it contradicts, and a line to write."""
    found = [each for each in said(stage) if sentence in each]

    assert found, said(stage)
    assert all("; write " in each and each.endswith(" in x.yaml:6") for each in found)


def test_stages_in_turn_are_added_up() -> None:
    """Each fits into the objective, and together they do not."""
    stages = ("{policy: {deadline: 1s}}", retrieve("deadline: 1s"), "{tools: {deadline: 1s}}")

    (told,) = (each for each in said(*stages, objective="ttft_p90 < 2500ms") if "in turn" in each)
    assert "guard (1s) and vectors (1s) and tools (1s) in turn, up to 3s in all" in told


def test_the_plan_lists_the_timers() -> None:
    """By caller and callee, with their places."""
    rows = [row for row in planned(retrieve("deadline: 400ms, connect: 1s")).timers if row.host == "gateway"]

    assert [(row.callee, row.kind, row.value, row.source) for row in rows] == [
        ("vectors", "connect", 10**9, "connect in x.yaml:6"),
        ("vectors", "total", 4 * 10**8, "deadline in x.yaml:6"),
    ]


SPREAD = """\
name: x
question: Where does each timer stand?
stage:
  lab: service
  hosts:
    gateway:
      gateway:
        workflows:
          support:
            - policy
            - retrieve:
                from: vectors
                deadline: 6s
                fallback: no-context
            - generate
    guard: {policy: true}
    vectors: {retrieval: true}
    model: {reference: true}
  target: http://gateway:8000/v1/chat/completions
workload:
  request-rate: 3/s
  timeouts: {first-token: 5s}
timeline: [{baseline: 20s}]
"""


def test_each_timer_has_its_own_line() -> None:
    """Of the stage, and of the client; a variant's as well; what a file does not have has its keys."""
    matrix = "matrix: {workload.request-rate: [1/s, 2/s]}\n"
    whole, *variants = (
        each.experiment for text in (SPREAD, SPREAD + matrix) for each in parse_variants(text, "a/x.yaml").each
    )

    (told,) = {
        sentence
        for each in (whole, *variants)
        for sentence in with_timers(compile_plan(each), each.key_lines).warnings
        if "falls back" in sentence
    }

    assert told == (
        "gateway falls back on no-context after 6s (deadline in x.yaml:13), and client waits 5s for gateway "
        "(first-token in x.yaml:22): the fallback is never reached in time; write deadline: 1.6s in x.yaml:13"
    )
    assert whole.key_lines.place(("workload", "timeouts"), "idle") == "x.yaml:22"
    assert whole.key_lines.place(("workload", "users"), "retry") == "workload.users"
    assert whole == whole.with_lines(KeyLines())
