"""Tests the choice of a network namespace, by keys of a file and by options."""

from __future__ import annotations

import re
from typing import Any

import pytest

from chaoskit.errors import SpecError
from chaoskit.spec.injection import Injection
from chaoskit.spec.matrix import parse_variants
from chaoskit.spec.network_namespace import NamespaceChoice
from chaoskit.spec.options import namespace_choice

FILE = """\
name: x
question: x?
stage: {target: "http://192.0.2.7:8000", netns: blue}
workload: {request-rate: 1/s}
faults: {slow: {direction: down, netem: {delay: 5ms}}}
timeline: [{baseline: 2s}, {slow: 2s}]
"""


@pytest.mark.parametrize(
    ("words", "option", "name"),
    [
        ({}, "", ""),
        ({"netns": "blue"}, "--netns blue", "the network namespace blue"),
        ({"netns": "/proc/42/ns/net"}, "--netns /proc/42/ns/net", "the network namespace /proc/42/ns/net"),
        ({"pid": "42"}, "--pid 42", "the network namespace of process 42"),
        ({"container": "web-1"}, "--container web-1", "the network namespace of container web-1"),
    ],
)
def test_a_choice_is_written_as_an_option_and_for_people(words: dict[str, Any], option: str, name: str) -> None:
    """The option enters the same namespace; the name says which it is."""
    found = NamespaceChoice.model_validate(words)

    assert (found.namespace_option, found.namespace_name) == (option, name)


@pytest.mark.parametrize(
    ("given", "sentence"),
    [
        (("blue", "42", None), "--netns and --pid each choose a network namespace; remove all but one"),
        (("blue", "42", "web"), "--netns and --pid and --container each choose"),
        (("..", None, None), "--netns: found '..', expected a name that ip netns shows, or a path"),
        (("-blue", None, None), "--netns: found '-blue', expected a name"),
        (("", None, None), "--netns: found '', expected a name"),
        ((None, "1.5", None), "--pid: found '1.5', expected a whole number"),
        ((None, "0", None), "--pid: found '0', expected 1 or more"),
        ((None, "4194305", None), "--pid: found '4194305', expected 4194304 or less"),
        ((None, None, "a/../b"), "--container: found 'a/../b', expected a container's name or id"),
        ((None, None, "web?all=1"), "--container: found 'web?all=1', expected a container's name or id"),
    ],
)
def test_mistakes_get_a_sentence(given: tuple[str | None, str | None, str | None], sentence: str) -> None:
    """Each mistake names its option, what was found and what was expected."""
    with pytest.raises(SpecError, match=re.escape(sentence)):
        namespace_choice(*given)


def test_an_injection_keeps_its_namespace() -> None:
    """As its lease shows it, so that the same injection can be repeated in the same namespace."""
    words = {"container": "web", "to": ["192.0.2.7:443"], "down": {"delay": "5ms"}, "for": "9s"}

    assert Injection.model_validate(words).written()["container"] == "web"


def test_a_matrix_is_in_one_namespace() -> None:
    """Variants in different ones are refused with the line of the matrix; one for all is not."""
    with pytest.raises(SpecError, match=r"x\.yaml:7: matrix: the variants are in different network namespaces"):
        parse_variants(FILE + "matrix: {stage.netns: [blue, green]}\n", "x.yaml")
    assert len(parse_variants(FILE + "matrix: {faults.slow.netem.delay: [5ms, 6ms]}\n", "x.yaml").each) == 2
