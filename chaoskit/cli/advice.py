"""Leaves out advice that names an option which the command does not have.

Rules: a message names an option either with its program, `chaoskit run FILE --substrate uml`, which fits everywhere, or
bare, `run as root, or --substrate uml`, for the command that runs. A bare one stands in a clause of its own, after
`, or`, `, then`, `, for example`, `;` or `:`, and the sentence is whole without it.
"""

from __future__ import annotations

import re
from collections.abc import Collection

_OPTION = re.compile(r"(?<![\w-])--[a-z][a-z-]*[a-z]")
_CLAUSE = re.compile(r"(?:, or |, then |, for example |; or |; |: )(?=[^,;:\n]*--[a-z])[^,;:\n]*")
_PROGRAM = re.compile(r"\b(?:chaoskit|docker|podman|pip|curl|sudo|python|make)\b[^`']*$")


def bare_options(text: str) -> list[str]:
    """The options in this text that are not those of a program named before them."""
    return [found[0] for found in _OPTION.finditer(text) if not _PROGRAM.search(text[: found.start()])]


def fitting(sentence: str, options: Collection[str]) -> str:
    """The sentence without clauses that name an option that is not among these."""

    def kept(clause: re.Match[str]) -> str:
        return clause[0] if all(option in options for option in bare_options(clause[0])) else ""

    return _CLAUSE.sub(kept, sentence)
