"""The tiers of a lab in an experiment file: what is refused, with the line and what to type."""

from __future__ import annotations

import re

import pytest

from chaoskit.errors import SpecError
from chaoskit.planning.compile import compile_plan
from chaoskit.planning.model import Plan
from chaoskit.planning.tier_settings import tier_settings
from chaoskit.spec.experiment import Experiment
from chaoskit.spec.load import parse
from chaoskit.spec.stage import ServiceStage
from chaoskit.tiers.settings import (
    CallTimers,
    Count,
    GatewaySettings,
    GenerateStage,
    PolicyStage,
    RetrieveStage,
    ToolsStage,
)

FILE = """\
name: x
question: What is refused?
stage:
  lab: service
  hosts:
    gateway:
      gateway:
        model: model
        workflows:
          support:
          - policy
          - retrieve: {k: 8, deadline: 400ms, fallback: [cached, no-context]}
          - tools: {calls: {p50: 2, p95: 9}, per-try: 1s, retries: 2, hedge-after: 300ms}
          - workflow: chat
          chat: [generate]
    guard: {policy: true}
    vectors: {retrieval: {latency: 20ms}}
    tools: {tool: true}
    model: {reference: true}
  target: http://gateway:8000/v1/chat/completions
workload: {request-rate: 3/s}
timeline: [{baseline: 20s}]
"""


def refused(old: str, new: str) -> str:
    """What is said of the file with this change."""
    assert old in FILE
    with pytest.raises(SpecError) as error:
        parse(FILE.replace(old, new), "x.yaml")
    return str(error.value)


@pytest.mark.parametrize(
    ("old", "new", "sentence"),
    [
        ("- policy\n", "- polcy\n", r"x.yaml:11: .*'polcy' is no stage; did you mean policy\?"),
        ("- policy\n", "- chat\n", r"x.yaml:11: .*'chat' is no stage; expected one of .*, generate, workflow: NAME"),
        ("calls: {", "mcp: true, calls: {", r"x.yaml:13: .*tools.mcp: .*did you mean protocol\?"),
        ("model: model\n", "model: model\n        admission: shde\n", r"x.yaml:9: .*found .shde.* did you mean shed"),
        ("- policy\n", "- {policy: {}, tools: {}}\n", r"x.yaml:11: .* stages of their own"),
        ("{k: 8,", "{k: 8, from: vectrs,", r"x.yaml:12: .*'vectrs' is no host of this lab; did you mean vectors\?"),
        ("[cached, no-context]", "elsewhere", r"x.yaml:12: .*'elsewhere' is no host of this lab"),
        ("[cached, no-context]", "none", r"x.yaml:12: .*'none' is .*; expected one of vectors, cached, no-context"),
        ("[cached, no-context]", "nocontext", r"x.yaml:12: .*did you mean no-context\?"),
        ("[cached, no-context]", "guard", r"x.yaml:12: .*guard is a host with policy, and retrieve asks .* retrieval"),
        ("- policy\n", "- policy: {from: vectors}\n", r"x.yaml:11: .*with retrieval, .* policy; expected one of guard"),
        ("chat: [generate]", "chat: [{generate: {model: [model, tools]}}]", r"model.1: tools is a host with tool, and"),
        ("model: model", "model: vectors", r"x.yaml:8: .*vectors is a host with retrieval, and generate asks one with"),
        ("[cached, no-context]", "[no-context, cached]", r"x.yaml:12: .*cached is never reached: no-context always"),
        ("- workflow: chat", "- workflow: chta", r"x.yaml:14: .*there is no workflow 'chta'; did you mean chat\?"),
        ("chat: [generate]", "chat: [{workflow: support}]", r"x.yaml:1[05]: .*a loop: support -> chat -> support"),
        ("chat: [generate]", "chat: [generate, policy]", r"x.yaml:1[05]: .*nothing answers the client: end it with"),
        ("model: model", "model: gateway", r"x.yaml:8: .*a loop: gateway -> gateway; let one of them"),
        ("model: model", "model: modle:9", r"x.yaml:8: .*'modle' is no host of this lab; did you mean model\?"),
        ("model: model", "model: https://model", r"x.yaml:8: .*expected a host such as model or model:8000"),
        (
            "    tools: {tool: true}\n",
            "",
            r"x.yaml:13: .*no host has tool; add one, or name a host of yours: from: HOST",
        ),
        ("    tools: {", "    more: {tool: true}\n    tools: {", r"several hosts have tool; say which one: from: more"),
        (
            "guard: {policy: true}",
            "guard: {policy: true, tool: true}",
            r"x.yaml:16: .*one host has one of policy and tool",
        ),
        ("guard: {policy: true}", "guard: {policy: true, ready: 80}", r"x.yaml:16: .*this is chaoskit's own policy"),
        ("p95: 9", "p95: 1", r"x.yaml:13: .*p95 1 is below the median 2"),
        ("latency: 20ms", "latency: {median: 9ms, p99: 1ms}", r"x.yaml:17: .*p99 1ms is below the median 9ms"),
    ],
)
def test_mistakes_are_answered_with_their_line(old: str, new: str, sentence: str) -> None:
    """One sentence: what is wrong, and what to type."""
    assert re.search(sentence, refused(old, new)), refused(old, new)


def test_the_settings_say_what_the_file_says() -> None:
    """A stage without hosts asks the one of its kind; a workflow within another is its stages."""
    plan = Plan.model_validate_json(compile_plan(parse(FILE, "x.yaml")).model_dump_json())

    found = tier_settings(plan, next(host for host in plan.hosts if host.name == "gateway"))

    assert isinstance(found, GatewaySettings)
    assert found.workflows == {
        "support": (
            PolicyStage(("guard",)),
            RetrieveStage(("vectors",), 8, CallTimers(deadline=4 * 10**8), ("cached", "no-context")),
            ToolsStage(("tools",), Count(2, 9), timers=CallTimers(per_try=10**9, retries=2, hedge_after=3 * 10**8)),
            GenerateStage(("model",)),
        ),
        "chat": (GenerateStage(("model",)),),
    }
    assert set(found.addresses) == {"gateway", "guard", "vectors", "tools", "model"}


def test_what_is_written_loads_again() -> None:
    """The same hosts."""
    experiment = parse(FILE, "x.yaml")

    assert isinstance(experiment.stage, ServiceStage)
    again = Experiment.model_validate(experiment.written())
    assert isinstance(again.stage, ServiceStage)
    assert again.stage.hosts == experiment.stage.hosts
