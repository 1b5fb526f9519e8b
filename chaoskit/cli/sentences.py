"""Knows the values of several words: a fault in tc's syntax, an objective."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator
from typing import NamedTuple


class Sentence(NamedTuple):
    """A value of several words: its options, which words it has, which ones begin it, whether a text is a whole one."""

    options: tuple[str, ...]
    has_word: Callable[[str], bool]
    begins: Callable[[str], bool]
    is_whole: Callable[[str], bool]

    def with_following(self, value: str, words: list[str]) -> str:
        """The value and what follows of it, which is taken from `words`."""
        while words and self.has_word(words[0]):
            value = f"{value} {words.pop(0)}"
        return value


def sentences_of(options: Collection[str]) -> Iterator[Sentence]:
    """Those that a command with these options takes."""
    if "--down" in options:
        from chaoskit.faults.tc_parse import begins_netem, is_netem, is_netem_word

        yield Sentence(("--down", "--up"), is_netem_word, begins_netem, is_netem)
    if "--objective" in options:
        from chaoskit.spec.objectives import begins_objective, is_objective, is_objective_word

        yield Sentence(("--objective",), is_objective_word, begins_objective, is_objective)
