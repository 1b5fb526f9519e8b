"""Tests that errors in a file give file, line, path, what was found and what was expected."""

from __future__ import annotations

import re
from pathlib import Path

import jsonschema
import pytest
import yaml

from chaoskit.errors import SpecError
from chaoskit.spec.experiment import Experiment
from chaoskit.spec.load import load, parse

GOOD = """\
name: loss
question: How much?
stage: {lab: edge}
workload:
  protocol: openai-chat
  http: 1.1
  request-rate: 2/s
  prompt-size: 4kB
  output-tokens: 120
  timeouts: {connect: 5s, first-token: 10s, idle: 5s}
server:
  first-token: {median: 150ms, p99: 400ms}
  token-interval: 20ms
faults:
  wifi:
    link: client-router
    direction: down
    netem: {delay: 30ms, jitter: 5ms, distribution: paretonormal, loss: {gemodel: {p: 1%, r: 30%}}}
timeline: [{baseline: 20s}, {wifi: 30s}, {recovery: 10s}]
objectives:
  - ttft_p95 < 800ms during wifi
  - interruption_rate <= 1%
  - ttft_p95 during wifi < 3x baseline
seed: 42
"""
# what is replaced, by what, and the sentence that must answer it
MISTAKES = [
    ("delay: 30ms", "delay: 30", "x.yaml:18: faults.wifi.netem.delay: '30' has no unit"),
    ("delay: 30ms", "dealy: 30ms", "x.yaml:18: faults.wifi.netem.dealy: unknown key; did you mean delay?"),
    (
        "delay: 30ms",
        "delay: -30ms",
        "x.yaml:18: faults.wifi.netem.delay: '-30ms' is too small;",
    ),
    ("p: 1%", "p: 120%", "x.yaml:18: faults.wifi.netem.loss.gemodel.p: '120%' is too large;"),
    (
        "loss: {gemodel: {p: 1%, r: 30%}}",
        "loss: 101%",
        "x.yaml:18: faults.wifi.netem.loss: '101%' is too large;",
    ),
    ("r: 30%}}", "r: 30%}, share: 1%}", "x.yaml:18: faults.wifi.netem.loss: give exactly one of share, gemodel"),
    ("paretonormal", "gauss", "x.yaml:18: faults.wifi.netem.distribution: found 'gauss', expected 'uniform'"),
    ("jitter: 5ms, ", "", "x.yaml:18: faults.wifi.netem: distribution needs a jitter"),
    ("prompt-size: 4kB", "prompt-size: 4ms", "x.yaml:8: workload.prompt-size: '4ms' has the unit 'ms'"),
    ("request-rate: 2/s", "burstiness: 1.0", "x.yaml:4: workload: give either request-rate"),
    ("direction: down", "direction: in", "x.yaml:17: faults.wifi.direction: found 'in', expected 'down', 'up' or"),
    ("link: client-router", "link: client-sever", "x.yaml:16: faults.wifi.link: found 'client-sever', expected"),
    ("workload:", "work-load:", "x.yaml:4: work-load: unknown key; did you mean workload?"),
    (
        "{wifi: 30s}",
        "{wfi: 30s}",
        "x.yaml:19: timeline.1: 'wfi' is neither a fault nor a clean phase; did you mean wifi",
    ),
    ("{wifi: 30s}", "{wifi: 30}", "x.yaml:19: timeline.1: '30' has no unit"),
    ("{wifi: 30s}", "{wifi: 3ms}", "x.yaml:19: timeline.1: 3ms is too short"),
    ("{wifi: 30s}", "{wifi+wifi: 30s}", "x.yaml:19: timeline.1: wifi+wifi sets qdisc to-client in router twice"),
    ("{wifi: 30s}", "{wifi: 30s, recovery: 3s}", "x.yaml:19: timeline.1: a phase is one name and its length"),
    ("< 800ms during wifi", "< 800ms during wfi", "x.yaml:21: objectives.0: 'wfi' is no phase of the timeline; did"),
    ("< 800ms during", "< 800 during", "x.yaml:21: objectives.0: '800' has no unit"),
    ("< 3x baseline", "< 3x bseline", "x.yaml:23: objectives.2: 'bseline' is no phase of the timeline; did you mean"),
    ("ttft_p95 <", "tfft_p95 <", "x.yaml:21: objectives.0: 'tfft_p95' is not a metric; did you mean ttft_p95?"),
    ("- interruption_rate <= 1%", "- be quick", "x.yaml:22: objectives.1: 'be quick' is not an objective; write for"),
    ("seed: 42", "seed: many", "x.yaml:24: seed: found 'many', expected a whole number"),
    ("seed: 42", "seed: 1\nseed: 2", "x.yaml:25: seed: duplicate key, first in line 24"),
    ("name: loss", "name: Loss_1", "x.yaml:1: name: found 'Loss_1', expected lower-case letters"),
    ("question: How much?\n", "", "x.yaml:1: question: missing; add question: ..."),
    ("lab: edge", "lab: egde", "x.yaml:3: stage.lab: found 'egde', expected 'edge'"),
    ("stage: {lab: edge}", "stage: edge", "x.yaml:3: stage: found 'edge', expected keys below it"),
    ("p99: 400ms", "p99: 40ms", "x.yaml:12: server.first-token: p99 40ms is below the median 150ms"),
    ("http: 1.1", "http: 3", "x.yaml:6: workload.http: found '3', expected '1.1' or '2'"),
    ("  wifi:\n    link", "  baseline:\n    link", "x.yaml:15: faults.baseline: 'baseline' cannot name a fault"),
]


def sentence(text: str) -> str:
    """What is said about this file."""
    with pytest.raises(SpecError) as caught:
        parse(text, "x.yaml")
    return str(caught.value)


def test_the_file_of_the_documentation_loads() -> None:
    """A good file becomes an experiment with every quantity in base units."""
    experiment = parse(GOOD, "x.yaml")

    assert experiment.workload.http == "1.1"
    assert experiment.workload.prompt_size == 4000
    assert experiment.timeline[1].faults == ("wifi",)
    assert [o.bound for o in experiment.objectives] == [800e6, 1e7, None]
    assert experiment.objectives[2].factor == 3


@pytest.mark.parametrize(
    ("right", "wrong", "answer"), MISTAKES, ids=[wrong[:30] or right for right, wrong, _ in MISTAKES]
)
def test_each_mistake_is_answered_at_its_line(right: str, wrong: str, answer: str) -> None:
    """Every common mistake gets one line: file, line, dotted path, what was found, what was expected."""
    assert right in GOOD

    said = sentence(GOOD.replace(right, wrong, 1))

    assert said.startswith(answer)
    assert len(said.splitlines()) == 1


def test_all_errors_of_a_file_are_reported_at_once() -> None:
    """Two mistakes in different places give two lines."""
    said = sentence(GOOD.replace("30ms", "30").replace("seed: 42", "seed: x"))

    assert [re.match(r"x.yaml:(\d+)", line).group(1) for line in said.splitlines()] == ["18", "24"]  # type: ignore[union-attr]


@pytest.mark.parametrize("text", ["", "# nothing\n", "---\n"])
def test_an_empty_file_is_reported_as_empty(text: str) -> None:
    """Nothing to read is not a stack trace."""
    assert "empty" in sentence(text)


@pytest.mark.parametrize("text", ["- a\n- b\n", "just words\n"])
def test_a_file_without_keys_gets_a_hint(text: str) -> None:
    """A list or a text is not an experiment."""
    assert "expected keys such as name" in sentence(text)


@pytest.mark.parametrize("text", ["a: [", "a: b: c", "\ta: b", "%YAML 9", "a: *nowhere"])
def test_invalid_yaml_is_reported_with_its_line(text: str) -> None:
    """A syntax error names the line and what the parser met."""
    assert re.match(r"x\.yaml:\d+: not YAML", sentence(text))


def test_aliases_cannot_expand_without_limit() -> None:
    """Nine levels of nine aliases each, or an alias of itself, are refused at once."""
    levels = ["a0: &a0 [x, x, x, x, x, x, x, x, x]"]
    levels += [f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 9)}]" for n in range(1, 10)]

    assert "aliases expand" in sentence("\n".join(levels))
    assert "aliases expand" in sentence("a: &a [*a]")


def test_deep_nesting_is_refused() -> None:
    """Ten thousand brackets do not end in a stack trace."""
    assert sentence("[" * 10_000).startswith("x.yaml")


def test_a_missing_binary_or_huge_file_is_refused(tmp_path: Path) -> None:
    """The path and the reason, never a traceback."""
    binary, huge = tmp_path / "b.yaml", tmp_path / "h.yaml"
    binary.write_bytes(b"\xff\xfe\x00")
    huge.write_text("# " + "x" * (1 << 20) + "\n")

    for path, words in [
        (tmp_path / "none.yaml", "No such file"),
        (binary, "UTF-8"),
        (huge, "1 MiB"),
        (tmp_path, "director"),
    ]:
        with pytest.raises(SpecError, match=words):
            load(path)


def test_the_schema_for_editors_agrees_with_the_loader() -> None:
    """The good file passes the JSON Schema, and a mistyped key and a missing unit do not."""
    schema = Experiment.model_json_schema(by_alias=True)
    as_text = yaml.load(GOOD.replace("seed: 42", "seed: 42").replace("http: 1.1", 'http: "1.1"'), yaml.SafeLoader)

    jsonschema.validate(as_text, schema)

    for path, wrong in [("workload", {"prompt-sise": "4kB"}), ("workload", {"prompt-size": "4"})]:
        with pytest.raises(jsonschema.ValidationError):
            jsonschema.validate(as_text | {path: as_text[path] | wrong}, schema)
