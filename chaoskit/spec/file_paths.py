"""Lists the dotted paths of an experiment file: those of its values, and those that could be added.

Only the words of the file are read, which need not be valid: a path is looked up while a command is typed.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from chaoskit.spec.experiment import Experiment
from chaoskit.spec.key_lines import MATRIX
from chaoskit.spec.known_keys import keys_below, places
from chaoskit.spec.load import Location, dotted_path

FIXED = ("name", "question", MATRIX)
"""Keys that nothing sets."""


def could_follow(begun: str, words: dict[str, Any]) -> list[str]:
    """The paths that could be meant by this beginning of one: those of values, and keys that the file has not yet."""
    varied = words.get(MATRIX)
    values = [dotted_path(where) for where, value in _nodes(words) if not isinstance(value, dict | list)]
    above = tuple(begun.split(".")[:-1])
    part: Any = next((value for where, value in _nodes(words) if _texts(where) == above), {} if above else words)
    added = keys_below(above, places(Experiment)) if isinstance(part, dict) else []
    new = [".".join((*above, key)) for key in added if key not in part and key not in FIXED]
    return list(dict.fromkeys([*(varied if isinstance(varied, dict) else ()), *values, *new]))


def ending_with(steps: Sequence[str], words: dict[str, Any]) -> list[str]:
    """The paths whose last keys are these, of values and of what has keys itself."""
    return [dotted_path(where) for where, _ in _nodes(words) if _texts(where)[-len(steps) :] == tuple(steps)]


def is_key_of_file(step: str) -> bool:
    """Whether it may stand at the top of an experiment file; - and _ are the same."""
    known = {field.alias or name for name, field in Experiment.model_fields.items()}
    return step.replace("_", "-") in known


def _nodes(part: Any, where: Location = ()) -> Iterator[tuple[Location, Any]]:
    """The location of everything below, with what stands there."""
    pairs = part.items() if isinstance(part, dict) else enumerate(part) if isinstance(part, list) else ()
    for step, below in pairs:
        if where or step not in FIXED:
            yield (*where, step), below
            yield from _nodes(below, (*where, step))


def _texts(where: Location) -> tuple[str, ...]:
    return tuple(map(str, where))
