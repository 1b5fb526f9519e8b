"""From a file to an `Experiment`, or to sentences that say where and what is wrong.

Rules: every scalar is read as the text that stands there, so that `1.1`, `on` and `50` mean what they look
like and units are never guessed; a key given twice is an error; aliases work, but a file that unfolds to
more than 10,000 values, or into itself, is refused.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml
from pydantic import ValidationError
from pydantic_core import ErrorDetails

from chaoskit.errors import SpecError
from chaoskit.spec.complaints import complaint, show
from chaoskit.spec.model import Experiment

_MOST_BYTES, _MOST_VALUES = 1 << 20, 10_000
_NOTHING = ("", "~", "null", "Null", "NULL")
Where = tuple[str | int, ...]


def load(path: Path) -> Experiment:
    """The experiment in this file. Raises SpecError with one line for each fault found."""
    try:
        with path.open("rb") as file:
            raw = file.read(_MOST_BYTES + 1)
        text = raw.decode()
    except OSError as error:
        raise SpecError(f"{path}: {error.strerror}; give the path of an experiment file") from None
    except UnicodeDecodeError as error:
        raise SpecError(f"{path}: byte {error.start} is not UTF-8; an experiment is a YAML text") from None
    if len(raw) > _MOST_BYTES:
        raise SpecError(f"{path}: longer than 1 MiB; an experiment is a page of YAML")
    return parse(text, str(path))


def parse(text: str, name: str) -> Experiment:
    """As `load`, of a text that is called `name` in messages."""
    tree = _Tree(name)
    try:
        root = yaml.compose(text, yaml.SafeLoader)
    except yaml.MarkedYAMLError as error:
        line = error.problem_mark.line + 1 if error.problem_mark else 1
        raise SpecError(f"{name}:{line}: not YAML: {error.problem or error.context}") from None
    except yaml.YAMLError as error:
        raise SpecError(f"{name}: not YAML: {error}") from None
    except RecursionError:
        raise SpecError(f"{name}: nested too deeply; an experiment is a page of YAML") from None
    if root is None or (isinstance(root, yaml.ScalarNode) and not root.value):
        raise SpecError(f"{name}:1: empty; start with name: and question:, or copy one of experiments/")
    words = tree.plain(root)
    if not isinstance(words, dict):
        raise SpecError(f"{name}:1: found {show(words)}, expected keys such as name: and question:")
    try:
        return Experiment.model_validate(words)
    except ValidationError as error:
        raise SpecError("\n".join(tree.sentences(error.errors(), words))) from None


@dataclass
class _Tree:
    """Where each value stood. Keys are paths from the root."""

    name: str
    lines: dict[Where, int] = field(default_factory=dict)
    open: set[int] = field(default_factory=set)

    def plain(self, node: yaml.Node, where: Where = ()) -> Any:
        self.lines[where] = node.start_mark.line + 1
        if len(self.lines) > _MOST_VALUES or id(node) in self.open:
            raise SpecError(f"{self.at(where)}: aliases unfold to more than {_MOST_VALUES} values; write them out")
        self.open.add(id(node))
        try:
            match node:
                case yaml.ScalarNode():
                    return None if node.style is None and node.value in _NOTHING else node.value
                case yaml.SequenceNode():
                    return [self.plain(child, (*where, i)) for i, child in enumerate(node.value)]
                case _:
                    return self._mapping(node, where)
        finally:
            self.open.discard(id(node))

    def _mapping(self, node: yaml.Node, where: Where) -> dict[str, Any]:
        words: dict[str, Any] = {}
        for key, value in node.value:
            line = key.start_mark.line + 1
            if not isinstance(key, yaml.ScalarNode):
                raise SpecError(f"{self.name}:{line}: {_dotted(where)}: a key must be a word")
            if key.value in words:
                first = self.lines[(*where, key.value)]
                path = _dotted((*where, key.value))
                raise SpecError(f"{self.name}:{line}: {path}: given twice, first in line {first}; keep one")
            words[key.value] = self.plain(value, (*where, key.value))
            self.lines[(*where, key.value)] = line
        return words

    def at(self, where: Where) -> str:
        """file:line of the value, or of the nearest one around it."""
        while where and where not in self.lines:
            where = where[:-1]
        return f"{self.name}:{self.lines.get(where, 1)}"

    def sentences(self, errors: Iterable[ErrorDetails], words: Any) -> Iterable[str]:
        """A line for each place that is wrong: file, line, dotted path, what was found, what was expected.

        Of the alternatives that a place could have been, the first one speaks.
        """
        said: dict[Where, str] = {}
        for error in errors:
            where, value = _follow((*error["loc"], *error.get("ctx", {}).get("below", ())), words)
            said_of_it = complaint(error, value)
            if error["type"] == "missing":
                key = str(error["loc"][-1])
                where, said_of_it = (*where, key), f"missing; add {key}: ..."
            said.setdefault(where, f"{self.at(where)}: {_dotted(where)}: {said_of_it}")
        return said.values()


def _follow(loc: Where, words: Any) -> tuple[Where, Any]:
    """The part of an error's location that stands in the file (the rest are names of alternatives), and its value."""
    where: Where = ()
    for step in loc:
        match words:
            case dict() if step in words:
                where, words = (*where, step), words[step]
            case list() if isinstance(step, int) and step < len(words):
                where, words = (*where, step), words[step]
    return where, words


def _dotted(where: Where) -> str:
    return ".".join(str(step) for step in where) or "the file"
