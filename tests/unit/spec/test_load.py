"""Tests that errors in a file give file, line, path, what was found and what was expected."""

from __future__ import annotations

import re
from pathlib import Path

import jsonschema
import pytest
import yaml
from mistaken_files import GOOD, MISTAKES

from chaoskit.errors import SpecError
from chaoskit.spec.experiment import Experiment
from chaoskit.spec.load import load, parse


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


def test_an_unknown_key_hides_no_other_mistake() -> None:
    """What is beside it is told too, and nothing that follows from it, such as a key that is missing now."""
    wrong = GOOD.replace("request-rate:", "request_rate:").replace("4kB", "4k").replace("idle: 5s", "idel: 5s")

    lines = sentence(wrong).splitlines()

    assert [line.partition(": ")[2].partition(":")[0] for line in lines] == [
        "workload.request_rate",
        "workload.prompt-size",
        "workload.timeouts.idel",
    ]


@pytest.mark.parametrize("there", ["my-gate.yaml", "my-gate.yml"])
@pytest.mark.parametrize("given", ["my-gate", "my-gate.yaml", "my-gate.yml", "my-gate.json"])
def test_a_file_beside_is_suggested(there: str, given: str, tmp_path: Path) -> None:
    """A name without its ending, or with another one, is answered with the file that exists."""
    (tmp_path / there).write_text(GOOD)
    if there == given:
        return

    with pytest.raises(SpecError) as refused:
        load(tmp_path / given)

    assert str(refused.value) == f"{tmp_path / given}: No such file or directory; did you mean {tmp_path / there}?"
