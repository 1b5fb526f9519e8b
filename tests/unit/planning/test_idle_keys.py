"""Keys of a gateway that change nothing, and models that take no request, are told before anything runs."""

from __future__ import annotations

from pathlib import Path

import pytest
import shipped

from chaoskit.conduct.file_check import check
from chaoskit.planning.compile import compile_plan
from chaoskit.spec.load import parse
from chaoskit.spec.matrix import load_variants, parse_variants
from chaoskit.spec.stage import InterfaceStage

EXPERIMENTS = Path(__file__).parents[3] / "experiments"
FILE = """\
name: x
question: Which keys change something?
stage:
  lab: service
  hosts:
    gateway:
      gateway:
        workflows:
          chat:
            - generate
        admission: {policy: shed, max-in-flight: 24}
        degradation:
          - {max-tokens: 80, at: 0.6, release: 0.3}
    vectors: {retrieval: true}
    tools: {tool: true}
    model: {reference: {engine: {profile: llama-3-8b-a100}}}
  target: http://gateway:8000/v1/chat/completions
workload: {request-rate: 10/s, prompt-size: 1kB, output-tokens: 40}
classes:
  premium: {share: 50%, priority: 1}
  batch: {share: 50%, priority: 0}
timeline: [{baseline: 20s}]
"""
DOES_NOTHING = ("does nothing", "is refused")


def said(text: str) -> list[str]:
    """The warnings of these kinds."""
    warnings = compile_plan(parse(text, "x.yaml")).warnings
    return [each for each in warnings if any(words in each for words in DOES_NOTHING)]


def with_step(step: str) -> str:
    """The file with another step."""
    return FILE.replace("max-tokens: 80", step)


def with_stages(*stages: str) -> str:
    """The file with these stages before `generate`."""
    return FILE.replace(
        "            - generate\n", "".join(f"            - {each}\n" for each in (*stages, "generate"))
    )


def test_nothing_is_said_of_keys_that_do_something() -> None:
    """Nor of a step that some workflow can take."""
    assert said(FILE) == []
    assert said(with_stages("retrieve").replace("max-tokens: 80", "breadth: 40%")) == []
    assert said(with_stages("{tools: {calls: {p50: 1, p95: 2}}}").replace("max-tokens: 80", "plan: single-tool")) == []
    assert said(with_stages("{retrieve: {retries: 1, backoff: 10ms}}")) == []


@pytest.mark.parametrize(
    ("policy", "keys", "told"),
    [
        (
            "shed",
            "limiter: {name: gradient2}",
            "limiter does nothing with policy: shed (x.yaml:11); write policy: gradient",
        ),
        (
            "fcfs",
            "thresholds: {batch: 0.6}",
            "thresholds does nothing with policy: fcfs (x.yaml:11); write policy: shed or",
        ),
        ("gradient", "max-queue: 7", "max-queue does nothing with policy: gradient (x.yaml:11); write policy: fcfs or"),
    ],
)
def test_a_key_of_another_policy_is_told(policy: str, keys: str, told: str) -> None:
    """With its line, and both ways out."""
    text = FILE.replace("policy: shed", f"policy: {policy}, {keys}")
    (warning,) = said(text if policy != "gradient" else text.replace(", max-in-flight: 24", ""))

    assert warning.startswith(f"gateway: {told}")
    assert warning.endswith(", or remove it")


def test_a_key_that_a_matrix_needs_is_not_told() -> None:
    """Its variants differ in the policy alone."""
    text = FILE.replace("policy: shed", "policy: shed, limiter: {name: gradient2}")
    for matrix in (
        "stage.hosts.gateway.gateway.admission.policy: [shed, gradient]",
        "stage.hosts.tools.tool: [true]",
    ):
        variants = parse_variants(f"{text}matrix: {{{matrix}}}\n", "x.yaml")

        warnings = check([each.experiment for each in variants.each]).warnings

        assert any("limiter does nothing" in each for each in warnings) is matrix.startswith("stage.hosts.tools")


@pytest.mark.parametrize(
    ("text", "told"),
    [
        (with_step("breadth: 40%"), "the step breadth does nothing, for no workflow retrieves (x.yaml:13); remove it"),
        (with_step("plan: single-tool"), "the step single-tool does nothing, for no workflow has tools (x.yaml:13)"),
        (
            with_stages("tools").replace("max-tokens: 80", "plan: single-tool"),
            "the step single-tool does nothing, for no workflow calls more than one tool (x.yaml:14)",
        ),
        (
            with_stages("{retrieve: {backoff: 10ms}}"),
            "backoff does nothing without retries (x.yaml:10); write retries: 1, or remove it",
        ),
    ],
)
def test_a_step_and_a_wait_that_never_come_are_told(text: str, told: str) -> None:
    """With what is missing."""
    (warning,) = said(text)

    assert warning.startswith(f"gateway: {told}")


@pytest.mark.parametrize(
    ("engine", "told"),
    [
        ("kv-cache-tokens: 50", "takes 48 tokens, and a usual request has 250 in its prompt and 40 for its answer"),
        (
            "kv-cache-tokens: 50, output-tokens: 10",
            "takes 48 tokens, and a usual request has 250 in its prompt and 10 ",
        ),
        ("max-model-len: 280", "write max-model-len: 300 or more"),
        ("kv-cache-tokens: 320", ""),
        ("kv-cache-tokens: 50, prompt-tokens: 20, output-tokens: 10", ""),
    ],
)
def test_a_model_that_takes_no_request_is_told(engine: str, told: str) -> None:
    """In a service lab and in the edge lab, with the size that would do."""
    service = FILE.replace("profile: llama-3-8b-a100", f"profile: llama-3-8b-a100, {engine}")
    stage = service[service.index("stage:") : service.index("workload:")]
    edge = service.replace(stage, f"stage: {{lab: edge}}\nserver: {{engine: {{profile: llama-3-8b-a100, {engine}}}}}\n")

    for text, where in ((service, "the engine of model"), (edge, "server.engine")):
        found = said(text)
        assert len(found) == bool(told)
        assert all(each.startswith(where) and told in each for each in found)


def test_no_file_of_the_project_has_an_idle_key() -> None:
    """All their variants."""
    for file in shipped.FILES:
        experiments = [variant.experiment for variant in load_variants(file).each]
        for each in (each for each in experiments if not isinstance(each.stage, InterfaceStage)):
            told = compile_plan(each).warnings
            assert [line for line in told if any(words in line for words in DOES_NOTHING)] == [], file
