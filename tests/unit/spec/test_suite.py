"""A suite file is read with all its experiments, or refused with a sentence for each mistake."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
import shipped
from suites import write_experiment, write_suite

from chaoskit.errors import SpecError
from chaoskit.spec.json_schema import suite_schema
from chaoskit.spec.load import SUITE_KEY
from chaoskit.spec.matrix import load_variants
from chaoskit.spec.stage import InterfaceStage
from chaoskit.spec.suite_load import is_suite_file, load_suite

MATRIX = "matrix:\n  faults.away.netem.delay: [10ms, 100ms]\n"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A folder with two experiments and a matrix."""
    write_experiment(tmp_path, "one")
    write_experiment(tmp_path, "two")
    path = write_experiment(tmp_path, "three")
    path.write_text(path.read_text() + MATRIX)
    return tmp_path


def test_a_path_is_a_run_and_a_pattern_is_several(folder: Path) -> None:
    """Sorted, relative to the suite file; the suite itself is passed over."""
    loaded = load_suite(write_suite(folder, "'*.yaml'"))

    assert [run.name for run in loaded.runs] == ["one", "three", "two"]
    assert [run.file.parent for run in loaded.runs] == [folder] * 3


def test_an_entry_says_what_is_special_about_its_run(folder: Path) -> None:
    """Name, variants, values, owner, hypothesis, expectation, commands; the question is no hypothesis."""
    entry = (
        "{file: three.yaml, name: far, variants: [delay=100ms, delay=10ms], set: {workload.max-concurrency: 3}, "
        "expect: broken, hypothesis: it is far, until-decided: 1m, before: [[true]], "
        "after: [{run: [true], timeout: 5s}]}"
    )
    far, near, one = load_suite(write_suite(folder, entry, "one.yaml", more="owner: me\n")).runs

    assert (far.name, near.name, one.name) == ("far.delay=100ms", "far.delay=10ms", "one")
    assert (far.owner, far.hypothesis, far.expect, str(far.until_decided)) == ("me", "it is far", "broken", "60s")
    assert far.variants.named(far.variant).experiment.workload.max_concurrency == 3
    assert (far.before[0].run, str(far.after[0].timeout)) == (("true",), "5s")
    assert (one.hypothesis, one.question, one.expect, str(one.length)) == ("", "Is it so?", "met", "4s")


def test_a_shuffled_suite_has_the_order_of_its_seed(folder: Path) -> None:
    """The same for the same seed, and another for another one."""
    orders = {
        seed: [run.name for run in load_suite(write_suite(folder, "'*.yaml'", more=_shuffled(seed))).runs]
        for seed in (*range(8), 0)
    }

    assert len({tuple(order) for order in orders.values()}) > 1
    assert orders[0] == [run.name for run in load_suite(write_suite(folder, "'*.yaml'", more=_shuffled(0))).runs]


def _shuffled(seed: int) -> str:
    return f"order: shuffled\nseed: {seed}\n"


@pytest.mark.parametrize(
    ("entries", "more", "sentence"),
    [
        (["oen.yaml"], "", "gameday.yaml:3: experiments.0: {}/oen.yaml does not exist; did you mean {}/one.yaml?"),
        (
            ["one.yaml", "{file: zzz/*.yaml}"],
            "",
            "gameday.yaml:4: experiments.1.file: 'zzz/*.yaml' matches no experiment",
        ),
        (["one.yaml", "one.yaml"], "", "gameday.yaml:4: experiments.1: two runs are called one: {}/one.yaml and, in"),
        (
            ["gameday.yaml"],
            "",
            "gameday.yaml:3: experiments.0: {}/gameday.yaml is a suite, and a suite holds experiments",
        ),
        (["other.yaml"], "", "gameday.yaml:3: experiments.0: {}/other.yaml is a suite"),
        (
            ["{file: one.yaml, expct: met}"],
            "",
            "gameday.yaml:3: experiments.0.expct: unknown key; did you mean expect?",
        ),
        (
            ["{file: one.yaml, expect: mett}"],
            "",
            "experiments.0.expect: found 'mett', expected 'met' or 'broken'; did you",
        ),
        (["{file: '*.yaml', name: x}"], "", "gameday.yaml:3: experiments.0.name: would name 3 files alike"),
        (["{file: three.yaml, variants: [delay=1ms]}"], "", "experiments.0.variants: 'delay=1ms' is no variant of"),
        (["{file: one.yaml, variants: [x]}"], "", "experiments.0.variants: {}/one.yaml has no matrix"),
        (["{file: one.yaml, set: {workload.x: 1}}"], "", "gameday.yaml:3: experiments.0.set.workload.x: unknown key"),
        (
            ["one.yaml", "{file: two.yaml, set: {workload.request-rat: 4/s}}"],
            "",
            "did you mean request-rate? (set in {}/two",
        ),
        (
            ["{file: one.yaml, set: {workload.max-concurrency: x}}"],
            "",
            "gameday.yaml:3: experiments.0.set.workload.max-c",
        ),
        (
            ["{file: one.yaml, set: {faults.zzz.netem.loss: 1%}}"],
            "",
            "gameday.yaml:3: experiments.0.set.faults.zzz.netem",
        ),
        (
            ["{file: three.yaml, set: {faults.away.netem: {delay: 1ms}}}"],
            "",
            "gameday.yaml:3: experiments.0.set.faults.away",
        ),
        (["{file: broken.yaml, set: {workload.max-concurrency: 3}}"], "", "{}/broken.yaml:2: question: "),
        (["{file: one.yaml, set: {timeline: [{baseline: 1s}]}}"], "", "gameday.yaml:3: experiments.0.set"),
        (
            ["{file: one.yaml, set: {objectives: []}, expect: broken}"],
            "",
            "has no objectives, and so cannot be broken",
        ),
        (["broken.yaml"], "", "{}/broken.yaml:2: question: "),
        (
            ["one.yaml"],
            "before: [make]\n",
            "gameday.yaml:4: before: found a list of 1, expected a list of commands; write [[make]]",
        ),
        (
            ["one.yaml"],
            "after: [docker, compose, up]\n",
            "4: after: found a list of 3, expected a list of commands; write [[d",
        ),
        (["one.yaml"], "after: [make x, make y]\n", "expected a list of commands; write [[make, x], [make, y]]"),
        (["one.yaml"], "after: make x\n", "after: found 'make x', expected a list of commands; write [[make, x]]"),
        (
            ["one.yaml"],
            "after: [[make], make x]\n",
            "after.1: found 'make x', expected a command as a list of its words",
        ),
        (
            ["{file: one.yaml, before: [make, x]}"],
            "",
            "experiments.0.before: found a list of 2, expected a list of com",
        ),
        (["one.yaml"], "budgt: 1h\n", "gameday.yaml:4: budgt: unknown key; did you mean budget?"),
        (["one.yaml"], "budget: 1\n", "gameday.yaml:4: budget: "),
        (
            ["one.yaml"],
            "fail-on: [brokn]\n",
            "fail-on.0: found 'brokn', expected 'broken', 'undecided', 'error' or 'not-run'",
        ),
        (["one.yaml"], "notify: {run: [cat], on: [begin]}\n", "notify.on.0: found 'begin', expected 'end' or 'change'"),
    ],
)
def test_a_mistake_is_told_with_its_line(folder: Path, entries: list[str], more: str, sentence: str) -> None:
    """One sentence, with what was probably meant."""
    (folder / "other.yaml").write_text("name: other\nexperiments: [one.yaml]\n")
    broken = (folder / "one.yaml").read_text().replace("question: Is it so?", "question: []")
    (folder / "broken.yaml").write_text(broken) if "broken.yaml" in str(entries) else None

    with pytest.raises(SpecError) as caught:
        load_suite(write_suite(folder, *entries, more=more))

    assert sentence.replace("{}", str(folder)) in str(caught.value)


def test_the_words_of_one_command_are_one_mistake(folder: Path) -> None:
    """Not one for each word."""
    with pytest.raises(SpecError) as caught:
        load_suite(write_suite(folder, "one.yaml", more="before: [docker, compose, up]\n"))

    assert len(str(caught.value).splitlines()) == 1


@pytest.mark.parametrize("key", ["experimnts", "experiment", "Experiments", "experiments"])
def test_a_file_whose_key_is_mistyped_is_still_a_suite(folder: Path, key: str) -> None:
    """So that `validate` says what is wrong with a suite."""
    path = write_suite(folder, "one.yaml")
    path.write_text(path.read_text().replace("experiments", key))

    assert is_suite_file(path)
    assert not is_suite_file(folder / "one.yaml")
    if key != "experiments":
        with pytest.raises(SpecError, match="unknown key; did you mean experiments"):
            load_suite(path)


def test_all_mistakes_are_told_at_once(folder: Path) -> None:
    """Those of several entries."""
    with pytest.raises(SpecError) as caught:
        load_suite(write_suite(folder, "none.yaml", "{file: one.yaml, set: {x: 1}}", "'*.txt'"))

    assert len(str(caught.value).splitlines()) == 3


def test_a_suite_and_an_experiment_are_not_taken_for_each_other(folder: Path) -> None:
    """The sentence has the command for the other."""
    with pytest.raises(SpecError, match=r"one\.yaml is an experiment, and a suite is expected: chaoskit run "):
        load_suite(folder / "one.yaml")
    with pytest.raises(SpecError, match=r"gameday\.yaml is a suite of experiments: chaoskit gameday "):
        load_variants(write_suite(folder, "one.yaml"))


def test_only_names_runs(folder: Path) -> None:
    """Another word is refused with the nearest name."""
    loaded = load_suite(write_suite(folder, "'*.yaml'"))

    assert [run.name for run in loaded.only(["two", "one"])] == ["one", "two"]
    with pytest.raises(SpecError, match=r"--only: 'tow' is no run of .*; did you mean two?"):
        loaded.only(["tow"])


def test_the_fingerprint_is_that_of_the_suite_and_its_experiments(folder: Path) -> None:
    """A changed experiment is another suite."""
    file = write_suite(folder, "one.yaml")
    before = load_suite(file).fingerprint
    write_experiment(folder, "one", delay="6ms")

    assert load_suite(file).fingerprint != before


def test_the_json_schema_has_every_key(folder: Path) -> None:
    """That of the suite, and of an entry, which may be a plain path."""
    drawn = suite_schema()

    assert set(drawn["required"]) == {"name", SUITE_KEY}
    assert {"budget", "order", "fail-on", "notify", "abort", "before", "after"} <= set(drawn["properties"])
    assert {"set", "expect", "until-decided", "variants"} <= set(drawn["$defs"]["Entry"]["properties"])


def test_the_shipped_suite_has_every_included_experiment_in_a_lab() -> None:
    """With the end that the experiment's first comment names; those of an endpoint of the user's are left out."""
    loaded = {run.file: run for run in load_suite(shipped.SUITE).runs}
    in_a_lab = {path for path in shipped.FILES if not is_on_interface(path)}

    assert set(loaded) == in_a_lab
    expected = {
        path: "broken" if re.search(r"BROKEN\s+(# )?on purpose", path.read_text()) else "met" for path in in_a_lab
    }
    assert {path: run.expect for path, run in loaded.items()} == expected


def is_on_interface(path: Path) -> bool:
    """Whether it needs a real interface."""
    return isinstance(load_variants(path).each[0].experiment.stage, InterfaceStage)
