"""The grammar of objectives: phase, traffic class and workflow, in any order, and what is said of mistakes."""

from __future__ import annotations

import re
from itertools import permutations

import pytest

from chaoskit.errors import SpecError
from chaoskit.spec.objectives import Objective, parse, pattern
from chaoskit.spec.options import objectives
from chaoskit.spec.populations import population_mismatches

CLAUSES = ("during vpn", "for premium", "of support")


def about(found: Objective) -> tuple[str | None, str | None, str | None]:
    """Its phase, class and workflow."""
    return found.phase, found.traffic_class, found.workflow


@pytest.mark.parametrize("order", list(permutations(CLAUSES)))
@pytest.mark.parametrize("before", range(4))
def test_clauses_stand_in_any_order_on_either_side(order: tuple[str, ...], before: int) -> None:
    """All of them mean the same, and the pattern of the schema takes them."""
    sentence = " ".join(("toolchain_p95", *order[:before], "< 4s", *order[before:]))

    found = parse(sentence)

    assert about(found) == ("vpn", "premium", "support")
    assert (found.metric, found.operator, found.bound, found.text) == ("toolchain_p95", "<", 4e9, sentence)
    assert found.clauses == " during vpn for premium of support"
    assert re.search(pattern(), sentence)


@pytest.mark.parametrize("order", list(permutations(("within 30s", "after surge", "for premium", "of chat"))))
def test_recovery_is_a_sentence_of_its_own(order: tuple[str, ...]) -> None:
    """In any order, it is an objective for the time from the end of the phase."""
    sentence = " ".join(("recovers", *order))

    found = parse(sentence)

    assert about(found) == ("surge", "premium", "chat")
    assert (found.metric, found.operator, found.bound) == ("recovery_time", "<=", 30e9)
    assert re.search(pattern(), sentence)


def test_a_multiple_is_of_the_same_requests() -> None:
    """A class and a workflow are those of both phases."""
    found = parse("ttft_p95 during surge for premium < 2x baseline")

    assert about(found) == ("surge", "premium", None)
    assert (found.factor, found.reference) == (2.0, "baseline")


@pytest.mark.parametrize(
    ("sentence", "told"),
    [
        ("ttft_p95 during a during b < 4s", "names two phases; one is enough"),
        ("ttft_p95 for a < 4s for b", "names two traffic classes; one is enough"),
        ("ttft_p95 of a of b < 4s", "names two workflows; one is enough"),
        ("recovers within 30s within 40s after surge", "names two times; one is enough"),
        ("recovers within 30s", "does not say after; write for example 'recovers within 30s after surge'"),
        ("recovers within 9s of chat", "write for example 'recovers within 9s after surge of chat'"),
        ("recovers after spike", "does not say within; write for example 'recovers within 30s after spike'"),
        ("recovers quickly", "write for example 'recovers within 30s after surge'"),
        ("recovers within 30 after surge", "'30' has no unit; write 30ms or 30s"),
        ("goodput is back within 30s after surge", "write recovers within 30s after surge"),
        ("recovery_time < 30s after surge", "write recovery_time < 30s during surge"),
        ("ttft_p95 < 300% of baseline", "write ttft_p95 < 3x baseline"),
        ("ttft_p95 < 3 times of baseline", "write ttft_p95 < 3x baseline"),
        ("ttft_p95 under 800ms in wifi for x", "write ttft_p95 < 800ms during wifi for x"),
        ("gen_ai.workflow.duration < 4s", "did you mean toolchain_p95?"),
        ("fallback_rate < 4%", "did you mean retrieval_fallback_ratio?"),
        ("toolchain < 4s", "did you mean toolchain_p95?"),
    ],
)
def test_a_mistake_is_answered_with_what_to_type(sentence: str, told: str) -> None:
    """And the pattern of the schema refuses it as well."""
    with pytest.raises(ValueError, match=re.escape(told)):
        parse(sentence)

    assert not re.search(pattern(), sentence)


FILE = {
    "classes": {"premium": {}, "batch": {}},
    "workload": {"demand": {"chat": "30%"}},
    "stage": {"hosts": {"gateway": {"gateway": {"workflows": {"support": []}}}, "model": {}}},
}


@pytest.mark.parametrize(
    ("sentence", "told"),
    [
        ("ttft_p95 < 4s for premum", "'premum' is no class; did you mean premium?"),
        ("ttft_p95 < 4s of suport", "'suport' is no workflow; did you mean support?"),
        ("ttft_p95 < 4s for wifi", "'wifi' is a phase and no class; write during wifi"),
        ("stall_ratio < 50% of wifi", "'wifi' is a phase and no workflow; write during wifi"),
    ],
)
def test_an_unknown_name_is_told(sentence: str, told: str) -> None:
    """In the objectives of the file, and of its other workloads."""
    words = FILE | {"objectives": [sentence], "workloads": {"other": {"objectives": ["ttft_p95 < 1s", sentence]}}}

    assert [*population_mismatches(words, ["wifi"])] == [
        (told, ("objectives", 0)), (told, ("workloads", "other", "objectives", 1)),
    ]  # fmt: skip
    assert not [*population_mismatches(FILE | {"objectives": ["ttft_p95 < 4s of chat for batch"]}, ["wifi"])]


def test_a_file_without_classes_says_so() -> None:
    """Instead of an empty list of names."""
    (told,) = population_mismatches({"objectives": ["ttft_p95 < 4s for premium"]}, [])

    assert told[0] == "'premium' is no class: this file has none; remove for premium"


@pytest.mark.parametrize(
    ("sentence", "what"), [("ttft_p95 < 4s for premium", "a traffic class"), ("ttft_p95 < 4s of chat", "a workflow")]
)
def test_a_probe_has_neither(sentence: str, what: str) -> None:
    """Its requests are all alike."""
    with pytest.raises(SpecError, match=f"names {what}, and a probe has none; remove it"):
        objectives([sentence])
