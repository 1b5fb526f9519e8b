"""Classes of requests in a file: their shares, how they are sent, and what is said of mistakes."""

from __future__ import annotations

from collections import Counter

import pytest
from mistaken_files import GOOD

from chaoskit.errors import SpecError
from chaoskit.planning.compile import compile_plan
from chaoskit.spec.classes import draw, only
from chaoskit.spec.experiment import Experiment
from chaoskit.spec.load import parse
from chaoskit.units import Share

CLASSES = """
classes:
  premium: {share: 20%, priority: 2}
  standard: {share: 50%, priority: 1}
  batch: {share: 30%, priority: 0}
"""
FILE = GOOD + CLASSES


def read(old: str = "", new: str = "", carry: str = "") -> Experiment:
    """The file with one thing changed."""
    text = FILE.replace(old, new, 1) if old else FILE
    assert not old or text != FILE
    return parse(
        text.replace("workload:\n", f"workload:\n  carry: {{class: {carry}}}\n", 1) if carry else text, "x.yaml"
    )


def test_classes_are_drawn_with_their_shares() -> None:
    """Ten thousand conversations have the classes in the shares of the file, within four standard deviations."""
    classes = read().classes

    counts = Counter(draw(classes, 7, number) for number in range(10_000))

    assert set(counts) == set(classes)
    for name, each in classes.items():
        share = each.share / Share.largest
        assert abs(counts[name] - 10_000 * share) < 4 * (10_000 * share * (1 - share)) ** 0.5


def test_a_class_follows_from_the_seed_and_the_number() -> None:
    """The same seed draws the same classes, another one others."""
    classes = read().classes
    one, same, other = ([draw(classes, seed, number) for number in range(50)] for seed in (1, 1, 2))

    assert one == same
    assert one != other
    assert draw({}, 1, 0) is None


@pytest.mark.parametrize(
    ("old", "new", "carry", "answer"),
    [
        (
            "share: 30%",
            "share: 40%",
            "",
            "classes.batch.share: the shares add up to 110%, and make 100% together; write share: 30% at batch",
        ),
        ("share: 50%", "share: 90%", "", "classes.batch.share: the shares add up to 140%"),
        (
            "50%, priority: 1}\n  batch: {share: 30%",
            "80%, priority: 1}\n  batch: {share: 0%",
            "",
            "classes.batch.share: nobody sends batch: its share is 0%; give it one, or remove it",
        ),
        (
            "standard: {share: 50%, priority: 1}",
            "standard: {share: 49.99%, priority: 1}\n  rare: {share: 0.01%, priority: 5}",
            "",
            "nobody may send rare; write a larger share, or a higher request-rate",
        ),
        ("priority: 2", "priority: high", "", "classes.premium.priority: found 'high'"),
        (", priority: 2", "", "", "classes.premium.priority: missing; add priority"),
        ("premium:", "Premium tier:", "", "classes.Premium tier"),
        ("", "", "cookie", "workload.carry.class: 'cookie' is no place for a class; write service_tier, priority, or"),
        (
            "",
            "",
            "headr x-class",
            "workload.carry.class: 'headr x-class' is no place for a class; did you mean header?",
        ),
        ("", "", "header", "workload.carry.class: 'header' is no place for a class; write service_tier"),
        ("premium: {", "premium: {sent-as: first, ", "priority", "'first' is no integer, as vLLM's priority is"),
    ],
)
def test_each_mistake_is_answered_at_its_line(old: str, new: str, carry: str, answer: str) -> None:
    """It gets one line with the place, and what to write."""
    with pytest.raises(SpecError) as caught:
        read(old, new, carry)

    said = str(caught.value)
    assert said.startswith("x.yaml:")
    assert answer in said
    assert len(said.splitlines()) == 1


def test_another_workload_may_be_of_one_class() -> None:
    """All its requests are; the class needs no share of the others then. Its name has to be known."""
    lone = FILE.replace("50%, priority: 1}\n  batch: {share: 30%", "80%, priority: 1}\n  batch: {share: 0%")
    others = "\nworkloads:\n  reports: {request-rate: 1/s, class: batch}\n"

    plan = compile_plan(parse(lone + others, "x.yaml"))

    assert plan.workloads[0].traffic_class == "batch"
    assert {draw(only(plan.classes, "batch"), 3, number) for number in range(50)} == {"batch"}
    with pytest.raises(SpecError, match=r"'bach' is no class of this file; did you mean batch\?"):
        parse(FILE + others.replace("batch", "bach"), "x.yaml")


def test_a_place_without_classes_is_told() -> None:
    """`carry: {class: ...}` in a file without classes is a mistake."""
    with pytest.raises(SpecError, match=r"no classes in this file; write classes: at its top, or remove carry"):
        parse(GOOD.replace("workload:\n", "workload:\n  carry: {class: service_tier}\n", 1), "x.yaml")


def test_a_field_that_the_extra_body_has_too_is_told() -> None:
    """Two values for one field are a mistake."""
    text = FILE.replace(
        "workload:\n", "workload:\n  carry: {class: service_tier}\n  extra-body: {service_tier: flex}\n"
    )

    with pytest.raises(SpecError, match=r"extra-body has service_tier as well; remove one of them"):
        parse(text, "x.yaml")


@pytest.mark.parametrize(
    ("old", "new", "carry", "warning"),
    [
        (
            "",
            "",
            "priority",
            "lower priorities first, so they are sent the other way round: premium as -2, standard as -1",
        ),
        (
            "premium: {",
            "premium: {sent-as: 5, ",
            "priority",
            "classes.premium: sent as 5, and served after standard (-1)",
        ),
        (
            "premium: {",
            "premium: {sent-as: batch, ",
            "",
            "premium and batch are all sent as batch: the target cannot tell",
        ),
        ("", "", "header x-gateway-inference-objective", "is the former name of x-llm-d-inference-objective"),
    ],
)
def test_what_may_be_meant_otherwise_is_a_warning(old: str, new: str, carry: str, warning: str) -> None:
    """The plan says so, and the experiment can run."""
    warnings = compile_plan(read(old, new, carry)).warnings

    assert any(warning in each for each in warnings), warnings


def test_a_file_loads_again_from_what_it_writes() -> None:
    """Classes and their carriage are written with their units."""
    experiment = read(carry="field metadata.tier")

    again = Experiment.model_validate(experiment.written())

    assert again == experiment
