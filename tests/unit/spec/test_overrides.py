"""Values of an experiment file are replaced by others, and checked like those of a file of its own."""

from __future__ import annotations

import re
from typing import Any

import pytest

from chaoskit.errors import SpecError
from chaoskit.spec.matrix import parse_variants, vary
from chaoskit.spec.overrides import heading, parse_settings, parse_variations, settings_in, words_of

FILE = """\
name: small
question: Which value counts?
stage: {lab: edge}
workload: {request-rate: 8/s, prompt-size: 1kB}
faults:
  wifi: {link: client-router, direction: down, netem: {loss: 1%}}
timeline: [{baseline: 5s}, {wifi: 5s}]
"""
MATRIX = FILE + "matrix:\n  faults.wifi.netem.loss: [1%, 2%]\n"


def test_the_experiment_has_the_values_that_were_set() -> None:
    """Of keys that the file has, and of those that it lacks; numbers, texts, lists and keys."""
    set_ = {"workload.request-rate": "4/s", "seed": 7, "timeline.1": {"wifi": "9s"}, "server.token-interval": "10ms"}

    (variant,) = parse_variants(FILE, "small.yaml", set_).each

    assert str(variant.experiment.workload.request_rate) == "4/s"
    assert variant.experiment.seed == 7
    assert str(variant.experiment.timeline[1].length) == "9s"
    assert str(variant.experiment.server.token_interval) == "10ms"


def test_the_text_that_is_kept_loads_to_the_same_experiment() -> None:
    """So that a run directory holds what was run."""
    found = parse_variants(FILE, "small.yaml", {"seed": 7, "workload.prompt-size": "2kB"})

    again = parse_variants(found.text, "small.yaml")

    assert again.each[0].experiment == found.each[0].experiment
    assert found.text.startswith("# --set seed=7 --set workload.prompt-size=2kB\n")


@pytest.mark.parametrize(
    ("values", "settings"),
    [
        ({"seed": 7, "question": "Is it, a=b, 'so'?"}, ("seed=7", "question=Is it, a=b, 'so'?")),
        ({"objectives": ["ttft_p95 < 1s"]}, ('objectives=["ttft_p95 < 1s"]',)),
        ({"question": "Is it\nso?"}, ()),
    ],
)
def test_the_heading_tells_what_was_set(values: dict[str, object], settings: tuple[str, ...]) -> None:
    """So that a report can say how to repeat the run; what cannot stand on a line is not told by halves."""
    text = heading(values)

    assert settings_in(f"{text}name: x\n") == settings
    assert re.fullmatch("# --set .*\n", text)


@pytest.mark.parametrize("text", ["name: x\n", "# --set\n", "# --set seed\n", "# --set 'a\n", "# --out a=b\n", ""])
def test_another_comment_sets_nothing(text: str) -> None:
    """Whatever stands in it."""
    assert settings_in(text) == ()


def test_every_variant_has_the_values() -> None:
    """A matrix stays one."""
    found = parse_variants(MATRIX, "small.yaml", {"workload.request-rate": "4/s"})

    assert [str(each.experiment.workload.request_rate) for each in found.each] == ["4/s", "4/s"]
    assert len(parse_variants(found.text, "small.yaml").each) == 2


def test_a_value_takes_the_place_of_what_the_matrix_has() -> None:
    """With one for each of its axes the file is a single experiment, whatever the matrix's size."""
    wide = MATRIX + f"  seed: [{', '.join(map(str, range(100)))}]\n"

    one = parse_variants(wide, "small.yaml", {"seed": 5})
    both = parse_variants(wide, "small.yaml", {"seed": 5, "faults.wifi.netem.loss": "3%"})

    assert [each.name for each in one.each] == ["loss=1%", "loss=2%"]
    assert {each.experiment.seed for each in one.each} == {5}
    assert (both.axes, both.each[0].experiment.seed) == ((), 5)
    assert parse_variants(both.text, "small.yaml").axes == ()


def test_further_axes_take_the_place_of_the_matrix_s_own() -> None:
    """Or stand beside them, after them; so many variants are allowed."""
    found = vary(MATRIX, "small.yaml", {}, {"seed": ["1", "2"], "faults.wifi.netem.loss": ["3%"]}, 2)

    assert [each.name for each in found.each] == ["loss=3%,seed=1", "loss=3%,seed=2"]
    assert found.each[1].settings == {"faults.wifi.netem.loss": "3%", "seed": "2"}
    with pytest.raises(SpecError, match=r"1 x 3 = 3 variants, and at most 2 are allowed; remove some values"):
        vary(MATRIX, "small.yaml", {}, {"seed": ["1", "2", "3"], "faults.wifi.netem.loss": ["3%"]}, 2)


@pytest.mark.parametrize(
    ("path", "values", "sentence"),
    [
        ("faults.wifi.netem.loss", ["1%", "x"], "'x' is not a share; write for example 1%"),
        ("faults.wifi.netem.loss", ["1%", "1%"], "'1%' is given twice; keep one"),
        ("faults.wifi.netem.loss", ["1%", {"gemodel": {"p": "2"}}], "gemodel.p: '2' has no unit; write 2%"),
        ("faults.wify.netem.loss", ["1%"], "no fault is called 'wify'; did you mean wifi?"),
        ("faults.wifi.netem.los", ["1%", "2%"], "unknown key; did you mean loss?"),
    ],
)
def test_a_wrong_variation_is_told_at_its_option(path: str, values: list[Any], sentence: str) -> None:
    """And at no line of the file, which does not have it."""
    with pytest.raises(SpecError) as caught:
        vary(FILE, "small.yaml", {"seed": "8"}, {path: values}, 9)

    assert str(caught.value) == f"--vary {path}: {sentence}"


def test_a_variation_does_not_replace_a_value_that_was_set() -> None:
    """One above it may be set: what is varied is then a part of it."""
    with pytest.raises(SpecError) as caught:
        vary(FILE, "small.yaml", {"faults.wifi.netem.loss": "9%"}, {"faults.wifi.netem": [{"loss": "1%"}]}, 9)
    above = vary(FILE, "small.yaml", {"faults.wifi.netem": {"delay": "9ms"}}, {"faults.wifi.netem.loss": ["1%"]}, 9)

    assert str(caught.value) == (
        "--vary faults.wifi.netem replaces what --set faults.wifi.netem.loss gives; leave one of them out"
    )
    assert "delay: 9ms" in above.each[0].text
    assert "loss: 1%" in above.each[0].text


def test_variations_are_paths_and_lists() -> None:
    """What has braces, brackets or quotes is YAML."""
    found = parse_variations(["a.b=0%, 1%", "seed=7", "c=[{x: 1}, 'a,b']"])

    assert found == {"a.b": ["0%", "1%"], "seed": ["7"], "c": [[{"x": "1"}, "a,b"]]}


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        (["seed"], "expected PATH=VALUE,VALUE,..."),
        (["seed="], "expected PATH=VALUE,VALUE,..."),
        (["seed=1,,2"], "has an empty value"),
        (["seed=1", "seed=2"], "seed is given twice"),
        (["seed=[1"], "--vary seed"),
    ],
)
def test_a_variation_that_cannot_be_read_is_told(options: list[str], sentence: str) -> None:
    """With what is expected."""
    with pytest.raises(SpecError) as caught:
        parse_variations(options)

    assert sentence in str(caught.value)


@pytest.mark.parametrize(
    ("text", "values", "sentence"),
    [
        (FILE, {"workload.request-rate": "fast"}, "workload.request-rate=fast: 'fast' is not a frequency; write"),
        (FILE, {"faults.wifi.netem": {"loss": "x"}}, "faults.wifi.netem={loss: x}: loss: 'x' is not a share; write"),
        (FILE, {"faults": None, "seed": "8"}, "(with faults=null, seed=8 set)"),
        (FILE, {"workload.reqest-rate": "4/s"}, "did you mean request-rate?"),
        (FILE, {"faults.wify.netem.loss": "1%"}, "cannot set faults.wify.netem.loss: no fault is called 'wify'"),
        (FILE, {"name": "other"}, "cannot set name"),
        (FILE, {"timeline.9": "1s"}, "timeline is a list of 2"),
        (MATRIX, {"faults.wifi.netem": {"loss": "3%"}}, "the matrix varies faults.wifi.netem.loss; set that"),
    ],
)
def test_a_value_that_cannot_be_is_told_with_what_was_set(text: str, values: dict[str, Any], sentence: str) -> None:
    """One sentence, as for the file itself."""
    with pytest.raises(SpecError) as caught:
        parse_variants(text, "small.yaml", values)

    assert sentence in str(caught.value)


def test_options_are_keys_and_values() -> None:
    """A value may hold `=`; one in braces or brackets is YAML."""
    found = parse_settings(["seed=7", "workload.headers={x-a: b=c}", "objectives=[ttft_p50 < 1s]", "question=a=b"])

    assert found == {
        "seed": "7",
        "workload.headers": {"x-a": "b=c"},
        "objectives": ["ttft_p50 < 1s"],
        "question": "a=b",
    }


@pytest.mark.parametrize(
    "values",
    [
        {"seed": 7, "timeline.1": {"wifi": "9s"}},
        {"objectives": ["ttft_p50 < 1s", "ttft_p95 during wifi < 2x baseline, always: so"], "server": None},
        {"workload.headers": {"x-a": 'b="c", d', "x y": "null"}},
    ],
)
def test_what_was_set_is_written_as_options_that_set_the_same(values: dict[str, Any]) -> None:
    """So that a person can repeat a run of a suite."""
    assert parse_settings(words_of(values)) == {
        key: str(value) if isinstance(value, int) else value for key, value in values.items()
    }


@pytest.mark.parametrize("options", [["seed"], ["=7"], ["seed=1", "seed=2"], ["seed={"]])
def test_a_wrong_option_is_refused(options: list[str]) -> None:
    """With what is expected."""
    with pytest.raises(SpecError, match=r"^--set"):
        parse_settings(options)
