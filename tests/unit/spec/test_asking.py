"""What a file says about requests: bodies, prompts, keys, headers, proxies."""

from __future__ import annotations

from pathlib import Path

import pytest

from chaoskit.errors import SpecError
from chaoskit.probe.target import endpoint
from chaoskit.spec.experiment import Experiment
from chaoskit.spec.load import load, parse
from chaoskit.spec.matrix import load_variants, parse_variants
from chaoskit.spec.stage import InterfaceStage

FILE = """
name: gate
question: Does it work?
stage:
  target: http://192.0.2.1:8000/v1
  {stage}
workload:
  max-concurrency: 1
  {workload}
timeline: [{{baseline: 5s}}]
"""


def experiment(stage: str = "", workload: str = "") -> Experiment:
    """The experiment with these keys."""
    return parse(FILE.format(stage=stage, workload=workload), "gate.yaml")


def stage_of(words: str) -> InterfaceStage:
    """The stage with these keys."""
    stage = experiment(words).stage
    assert isinstance(stage, InterfaceStage)
    return stage


BODY = 'extra-body: {temperature: 0.5, n: 1, on: true, user: "007", big: 1e3, stop: ["a", b, "1"], x: {y: null}}'


def test_a_body_has_the_types_of_json() -> None:
    """A plain scalar is what JSON has for it, one in quotes is a text; in a matrix too, and in plan.json."""
    body = experiment(workload=BODY).workload.extra_body
    text = FILE.format(stage="", workload=BODY) + "matrix:\n  workload.extra-body.temperature: [0, 1]\n"

    assert body == {
        "temperature": 0.5, "n": 1, "on": True, "user": "007", "big": 1000.0, "stop": ["a", "b", "1"], "x": {"y": None}
    }  # fmt: skip
    assert type(body["n"]) is int
    variants = parse_variants(text, "gate.yaml").each
    assert [each.experiment.workload.extra_body["temperature"] for each in variants] == [0, 1]
    again = parse(variants[0].text, "gate.yaml").workload
    assert again.extra_body == variants[0].experiment.workload.extra_body
    assert type(again).model_validate_json(again.model_dump_json()) == again


def test_paths_are_relative_to_their_file(tmp_path: Path) -> None:
    """A relative path is that of the file, wherever the command runs."""
    path = tmp_path / "gate.yaml"
    (tmp_path / "p").mkdir()
    (tmp_path / "p/x.jsonl").touch()
    path.write_text(FILE.format(stage="ca-file: ca.pem\n  key-file: ~/key", workload="prompts: p/x.jsonl"))
    found = load(path)

    assert found.workload.prompts == str(tmp_path / "p/x.jsonl")
    assert isinstance(found.stage, InterfaceStage)
    assert (found.stage.ca_file, found.stage.key_file) == (str(tmp_path / "ca.pem"), "~/key")


def test_a_missing_file_of_prompts_is_told_where_it_is_named(tmp_path: Path) -> None:
    """With file and line: of the workload, of another one, and of a value of the matrix."""
    service = (
        "name: x\nquestion: x?\nstage:\n  lab: service\n  hosts: {model: {reference: true}}\n"
        "  target: http://model:8000/v1/chat/completions\nworkload: {request-rate: 2/s, prompts: a.jsonl}\n"
        "workloads:\n  bulk: {max-concurrency: 1, prompts: b.jsonl}\ntimeline: [{baseline: 9s}]\n"
    )
    plain, varied = tmp_path / "plain.yaml", tmp_path / "varied.yaml"
    plain.write_text(service)
    varied.write_text(service + "matrix:\n  workload.prompts: [c.jsonl, d.jsonl]\n")
    for there in ("b.jsonl", "c.jsonl"):
        (tmp_path / there).touch()

    with pytest.raises(SpecError) as refused:
        load(plain)
    assert str(refused.value) == (f"{plain}:7: workload.prompts: {tmp_path}/a.jsonl does not exist; give a JSONL file")
    (tmp_path / "b.jsonl").unlink()
    (tmp_path / "b.jsonl").mkdir()
    with pytest.raises(SpecError, match=rf":9: workloads\.bulk\.prompts: {tmp_path}/b\.jsonl is no file; give a JSONL"):
        load(plain)
    (tmp_path / "b.jsonl").rmdir()
    (tmp_path / "b.jsonl").touch()
    with pytest.raises(SpecError) as refused:
        load_variants(varied)
    assert str(refused.value) == (
        f"{varied}:12: matrix.workload.prompts.1: {tmp_path}/d.jsonl does not exist; give a JSONL file"
    )


def test_headers_come_from_the_environment(tmp_path: Path) -> None:
    """A header's value is a text, or that of a variable; keys come from files; nothing of it is in the file."""
    found = stage_of("headers: {X-Org: {env: ORG}, X-Team: blue}\n  key-file: k\n  key-header: api-key")
    target = endpoint(found.target, found.access, {"ORG": "secret"})

    assert target.header_env == {"X-Org": "ORG"}
    assert target.headers == {"X-Team": "blue"}
    assert (target.key_file, target.key_header) == (Path.cwd() / "k", "api-key")
    assert found.variables == ("ORG",)
    assert "secret" not in repr(target)


def test_faults_hit_the_traffic_to_the_proxy() -> None:
    """With a proxy the connections go to it, and so do the faults; one in a variable must be named."""
    found = stage_of("proxy: http://192.0.2.9:3128")

    assert [str(to) for to in found.to] == ["192.0.2.9:3128"]
    assert found.connected_host == "192.0.2.9"
    with pytest.raises(SpecError, match=r"stage.proxy: the traffic to this proxy is not known: add to: HOST:PORT"):
        stage_of("proxy: {env: HTTPS_PROXY}")
    named = stage_of("proxy: {env: HTTPS_PROXY}\n  to: 192.0.2.9:3128")
    assert endpoint(named.target, named.access, {"HTTPS_PROXY": "http://u:p@192.0.2.9:3128"}).proxy is not None


@pytest.mark.parametrize(
    ("stage", "workload", "sentence"),
    [
        ("headers: {authorization: Bearer x}", "", "stage.headers: authorization: what looks like a secret"),
        ("headers: {x-a: }", "", "stage.headers.x-a: no value"),
        ("headers: {x-a: {env: a-b}}", "", "stage.headers.x-a.env: not the name of an environment variable"),
        ("proxy: http://u:very-secret@h:1", "", "stage.proxy: a user name or password before its host"),
        ("key-env: A\n  key-file: b", "", "exclude each other"),
        ("", "prompt-size: {median: 2kB, p99: 1kB}", "workload.prompt-size: p99 1kB is below the median 2kB"),
        ("", "prompt-size: 1kB\n  turns: 0", "workload.turns: found '0', expected 1 or more"),
        ("", "prompt-size: 2kB\n  prompts: x", "remove prompt-size, or prompts"),
        ("", "extra-body: [1]", "workload.extra-body: not a JSON object"),
        ("", "extra-body: {metadata: {key: sk-0123456789abc}}", "workload.extra-body: what looks like a key"),
    ],
)
def test_bad_keys_are_named(stage: str, workload: str, sentence: str) -> None:
    """File, line, key, what is wrong; never a secret."""
    with pytest.raises(SpecError) as error:
        experiment(stage, workload)

    assert sentence in str(error.value)
    assert "very-secret" not in str(error.value)
    assert "sk-0123456789abc" not in str(error.value)
