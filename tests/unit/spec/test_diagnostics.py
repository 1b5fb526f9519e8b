"""Errors are described in chaoskit's own words, whatever the library says."""

from __future__ import annotations

import copy
from collections.abc import Iterator
from typing import Any, cast

import pytest
import yaml
from cli_words import LIBRARY_PHRASES
from hypothesis import given, settings
from hypothesis import strategies as st
from mistaken_files import GOOD, MISTAKES
from pydantic import BaseModel
from pydantic_core import ErrorDetails
from pydantic_core._pydantic_core import list_all_errors

from chaoskit.errors import SpecError
from chaoskit.spec.diagnostics import describe_error
from chaoskit.spec.exec import ExecFaults
from chaoskit.spec.experiment import Experiment
from chaoskit.spec.injection import Injection
from chaoskit.spec.load import parse

VAGUE = "which does not fit here"
OF_KINDS = {
    "bool": {"bool_type", "bool_parsing"},
    "float": {"float_type", "float_parsing"},
    "int": {"int_type", "int_parsing", "int_from_float", "int_parsing_size"},
    "list": {"list_type"},
    "tuple": {"tuple_type"},
    "dict": {"dict_type"},
    "literal": {"literal_error"},
    "str": {"string_type"},
    "model": {"model_type", "model_attributes_type"},
    "model-fields": {"extra_forbidden"},
    "function-plain": {"value_error"},
    "function-wrap": {"misplaced"},
    "function-before": {"value_error", "misplaced"},
    "function-after": {"value_error", "misplaced"},
}
OF_LIMITS = {
    "ge": {"greater_than_equal"},
    "gt": {"greater_than"},
    "le": {"less_than_equal"},
    "lt": {"less_than"},
    "pattern": {"string_pattern_mismatch"},
    "min_length": {"too_short", "string_too_short"},
    "max_length": {"too_long"},
}
PLAIN = {"any", "default", "definition-ref", "definitions", "model-field", "nullable", "tagged-union", "union"}
"""Kinds of a schema that pass on the errors of what they hold."""


def _kinds(part: Any, seen: set[int]) -> Iterator[dict[str, Any]]:
    if id(part) in seen:
        return
    seen.add(id(part))
    if isinstance(part, dict):
        if isinstance(part.get("type"), str):
            yield part
        for below in part.values():
            yield from _kinds(below, seen)
    elif isinstance(part, list | tuple):
        for each in part:
            yield from _kinds(each, seen)


def raisable(model: type[BaseModel]) -> set[str]:
    """The types of error that a model can raise."""
    found: set[str] = set()
    for part in _kinds(model.__pydantic_core_schema__, set()):
        kind = part["type"]
        if kind in OF_KINDS:
            found |= OF_KINDS[kind]
        elif kind not in (*PLAIN, "no-info", "with-info", "string"):
            raise AssertionError(f"which errors has {kind}?")
        for limit, types in OF_LIMITS.items():
            if limit in part:
                found |= types
    return found


EVERY: dict[str, Any] = {error["type"]: error for error in list_all_errors()}


def described(kind: str) -> str:
    """What is said of an error of this type, with the library's own example."""
    example = EVERY.get(kind, {})
    context = dict(example.get("example_context") or {}) | {"sentence": "no such thing", "below": ()}
    error = {
        "type": kind,
        "loc": ("key",),
        "msg": example.get("example_message_python", ""),
        "input": "3x",
        "ctx": context,
    }
    return describe_error(cast(ErrorDetails, error), "3x")


@pytest.mark.parametrize("model", [Experiment, Injection, ExecFaults])
def test_every_error_that_a_model_can_raise_has_a_sentence(model: type[BaseModel]) -> None:
    """No kind of error is described only vaguely."""
    kinds = raisable(model)

    assert len(kinds) > 8
    assert [kind for kind in sorted(kinds) if VAGUE in described(kind)] == []


@pytest.mark.parametrize("kind", sorted(EVERY))
def test_no_error_is_described_in_the_words_of_the_library(kind: str) -> None:
    """Of all types of error that there are, raised or not."""
    if kind not in ("value_error", "assertion_error"):  # they hold a sentence of our own
        assert not LIBRARY_PHRASES.search(described(kind))


def _locations(part: Any, where: tuple[str | int, ...] = ()) -> Iterator[tuple[str | int, ...]]:
    yield where
    inside = part.items() if isinstance(part, dict) else enumerate(part) if isinstance(part, list) else ()
    for key, below in inside:
        yield from _locations(below, (*where, key))


BASE = yaml.safe_load(GOOD)
WRONG: st.SearchStrategy[Any] = st.sampled_from(
    ["", "x", [], {}, ["x"], {"x": "y"}, [[]], [{}], 3, -1, 10**30, 1.5, True, None, [None], "\x00"]
)


@settings(max_examples=300, deadline=None)
@given(where=st.sampled_from(list(_locations(BASE))[1:]), value=WRONG)
def test_no_mistake_in_a_file_shows_a_library(where: tuple[str | int, ...], value: Any) -> None:
    """Anything anywhere is answered with sentences that name a line, are not vague, and do not repeat one another."""
    words = copy.deepcopy(BASE)
    parent: Any = words
    for step in where[:-1]:
        parent = parent[step]
    parent[where[-1]] = copy.deepcopy(value)

    try:
        parse(yaml.safe_dump(words, sort_keys=False), "x.yaml")
    except SpecError as error:
        said = str(error)
        assert not LIBRARY_PHRASES.search(said), said
        assert VAGUE not in said
        lines = said.splitlines()
        assert len(set(lines)) == len(lines)
        assert all(line.startswith("x.yaml:") and line == line.rstrip() for line in lines), said


@pytest.mark.parametrize(("right", "wrong", "answer"), MISTAKES, ids=range(len(MISTAKES)))
def test_a_mistake_is_told_once(right: str, wrong: str, answer: str) -> None:
    """One sentence for each, and none that follows from it."""
    with pytest.raises(SpecError) as caught:
        parse(GOOD.replace(right, wrong, 1), "x.yaml")

    assert str(caught.value).startswith(answer)
    assert len(str(caught.value).splitlines()) == 1
