"""A text that is no YAML is answered with the line of the mistake, and what to write."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from mistaken_files import GOOD

from chaoskit.errors import SpecError
from chaoskit.spec.load import parse


@pytest.mark.parametrize(
    ("before", "after", "told"),
    [
        ("  request-rate", "\trequest-rate", "7: not YAML: a tab; write spaces"),
        ("request-rate: ", "request-rate:\t", "7: not YAML: a tab; write spaces"),
        ("seed: 42", "seed: 42\n---\nname: b", "25: not YAML: one file has one document, and a second begins here"),
        ("seed: 42", "seed: 42: 43", "24: not YAML: a second colon, or a wrong indent"),
        ("question: How much?", "question: How: much?", "2: not YAML: a second colon, or a wrong indent; put a text"),
        ("question: How much?", 'question: "How much?', '2: not YAML: a text begins with " here and never ends'),
        ("question: How much?", 'question: "\\q"', "2: not YAML: 'q\"' after a backslash; write"),
        ("question: How much?", "question: @me", '2: not YAML: a text that begins with @ needs quotes: "@me"'),
        ("question: How much?", "question: *me", "2: not YAML: * begins an alias of YAML; a text needs quotes"),
        ("question: How much?", "question: \x07", "2: not YAML: the character '\\x07' is not allowed; remove it"),
        ("  prompt-size", " prompt-size", "8: not YAML: the indent fits no line above"),
        ("prompt-size: 4kB", "prompt-size 4kB", "8: not YAML: 'prompt-size 4kB' has no colon; write key: value"),
        ("{lab: edge}", "{lab: edge", "3: not YAML: { is not closed as it should be; write a comma between"),
        ("[{baseline", "[[{baseline", "19: not YAML: [ is not closed as it should be"),
        ("loss: {gemodel", "loss: %", "18: not YAML: a text that begins with % needs quotes"),
    ],
)
def test_a_mistake_of_syntax_is_answered_with_what_to_write(before: str, after: str, told: str) -> None:
    """By the characters where the reader stopped."""
    assert before in GOOD
    with pytest.raises(SpecError) as refused:
        parse(GOOD.replace(before, after, 1), "x.yaml")

    assert str(refused.value).startswith(f"x.yaml:{told}")


@settings(max_examples=300, deadline=None)
@given(
    at=st.integers(0, len(GOOD)),
    cut=st.integers(0, 3),
    put=st.text(st.sampled_from("\t\n '\"[]{},:*&!@`%#|>-\\\x07a"), max_size=3),
)
def test_every_broken_text_is_answered_with_lines(at: int, cut: int, put: str) -> None:
    """Whatever is typed anywhere: each sentence names a line of the file, and is one line."""
    text = GOOD[:at] + put + GOOD[at + cut :]

    try:
        parse(text, "x.yaml")
    except SpecError as error:
        for line in str(error).splitlines():
            place, number, sentence = line.split(":", 2)
            assert place == "x.yaml"
            assert 1 <= int(number) <= text.count("\n") + 2
            assert sentence.strip()
