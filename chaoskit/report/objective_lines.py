"""Finds the line of an experiment file on which an objective stands."""

from __future__ import annotations

from chaoskit.errors import SpecError
from chaoskit.spec.load import EXPERIMENT, parse_document

_KEY = "objectives"


def objective_lines(text: str | None) -> dict[str, int]:
    """The line of each objective of this file, by its words with single spaces; none of a text that is no file."""
    if text is None:
        return {}
    try:
        document = parse_document(text, "", EXPERIMENT)
    except SpecError:
        return {}
    found: dict[str, int] = {}
    for where, line in document.tree.lines.items():
        if len(where) > 1 and where[-2] == _KEY:
            words = document.words
            for step in where:
                words = words[step]  # type: ignore[index]  # the path is one of the file
            if isinstance(words, str):
                found.setdefault(" ".join(words.split()), line)
    return found
