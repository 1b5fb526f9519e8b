"""From a file to what it describes, or to sentences that say where and what is wrong.

Rules: every scalar is read as the text that stands there, so that `1.1`, `on` and `50` mean what they look
like and units are never guessed; a key given twice is an error; aliases work, but a file that unfolds to
more than 10,000 values, or into itself, is refused.
"""

from __future__ import annotations

import sys
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar

import yaml
from pydantic import ValidationError
from pydantic_core import ErrorDetails

from chaoskit.errors import SpecError
from chaoskit.faults.schema import SpecModel
from chaoskit.spec.diagnostics import complaint, show
from chaoskit.spec.experiment import Experiment
from chaoskit.spec.injection import Injection

_MOST_BYTES, _MOST_VALUES = 1 << 20, 10_000
_NOTHING = ("", "~", "null", "Null", "NULL")
Where = tuple[str | int, ...]
Root = TypeVar("Root", bound=SpecModel)


@dataclass(frozen=True)
class Sort:
    """What a file should be, for messages: its noun, the keys it has first, and where to take one from."""

    noun: str
    start: str
    model: str


EXPERIMENT = Sort("an experiment", "name: and question:", "copy one of experiments/")
INJECTION = Sort("an injection", "to:, down: and for:", "take what chaoskit status --json prints")


def load(path: Path) -> Experiment:
    """The experiment in this file. Raises SpecError with one line for each fault found."""
    return parse(text_of(path, EXPERIMENT), str(path))


def parse(text: str, name: str) -> Experiment:
    """As `load`, of a text that is called `name` in messages."""
    told = document(text, name, EXPERIMENT)
    if "matrix" in told.words:
        raise told.wrong(f"several experiments, and this takes one; chaoskit plan {name} names them", ("matrix",))
    return told.read_as(Experiment)


def load_injection(path: Path) -> Injection:
    """The injection in this file, or the one that is in force in what `chaoskit status --json` printed.

    Raises SpecError with one line for each fault found.
    """
    told = document(text_of(path, INJECTION), name_of(path), INJECTION)
    if "leases" in told.words:
        return told.read_as(Injection, _only_lease(told))
    return told.read_as(Injection, ("injection",) if isinstance(told.words.get("injection"), dict) else ())


def _only_lease(told: Document) -> Where:
    leases = told.words["leases"]
    injections = [
        (number, str(lease.get("id")))
        for number, lease in enumerate(leases if isinstance(leases, list) else ())
        if isinstance(lease, dict) and isinstance(lease.get("injection"), dict)
    ]
    if not injections:
        raise told.wrong("no injection is in force there; write one of your own, with to:, down: and for:", ("leases",))
    if len(injections) > 1:
        names = ", ".join(name for _, name in injections)
        raise told.wrong(
            f"{len(injections)} injections, and one is put in force at a time; choose one: "
            f"chaoskit status {injections[0][1]} --json (there are {names})",
            ("leases",),
        )
    return "leases", injections[0][0], "injection"


def text_of(path: Path, sort: Sort) -> str:
    """What this file holds; `-` is the standard input. Raises SpecError."""
    name = name_of(path)
    try:
        if str(path) == "-":
            raw = sys.stdin.buffer.read(_MOST_BYTES + 1)
        else:
            with path.open("rb") as file:
                raw = file.read(_MOST_BYTES + 1)
        text = raw.decode()
    except OSError as error:
        raise SpecError(f"{name}: {error.strerror}; give the path of {sort.noun} file") from None
    except UnicodeDecodeError as error:
        raise SpecError(f"{name}: byte {error.start} is not UTF-8; {sort.noun} is a YAML text") from None
    if len(raw) > _MOST_BYTES:
        raise SpecError(f"{name}: longer than 1 MiB; {sort.noun} is a page of YAML")
    return text


def name_of(path: Path) -> str:
    """What a file is called in messages."""
    return "standard input" if str(path) == "-" else str(path)


def document(text: str, name: str, sort: Sort) -> Document:
    """The words of a text that is called `name` in messages. YAML, and so JSON. Raises SpecError."""
    tree = _Tree(name)
    try:
        root = yaml.compose(text, yaml.SafeLoader)
    except yaml.MarkedYAMLError as error:
        line = error.problem_mark.line + 1 if error.problem_mark else 1
        raise SpecError(f"{name}:{line}: not YAML: {error.problem or error.context}") from None
    except yaml.YAMLError as error:
        raise SpecError(f"{name}: not YAML: {error}") from None
    except RecursionError:
        raise SpecError(f"{name}: nested too deeply; {sort.noun} is a page of YAML") from None
    if root is None or (isinstance(root, yaml.ScalarNode) and not root.value):
        raise SpecError(f"{name}:1: empty; start with {sort.start}, or {sort.model}")
    words = tree.plain(root)
    if not isinstance(words, dict):
        raise SpecError(f"{name}:1: found {show(words)}, expected keys such as {sort.start}")
    return Document(words, tree)


@dataclass(frozen=True)
class Document:
    """The words of a file, every scalar a text, and where they stood."""

    words: dict[str, Any]
    tree: _Tree

    def read_as(self, model: type[Root], within: Where = ()) -> Root:
        """What stands at this path of it. Raises SpecError with one line for each fault found."""
        part: Any = self.words
        for step in within:
            part = part[step]
        try:
            return model.model_validate(part)
        except ValidationError as error:
            faults = misreadings(error.errors(), self.words, within)
            raise SpecError("\n".join(str(self.wrong(said, where)) for where, said in faults.items())) from None

    def wrong(self, sentence: str, where: Where = ()) -> SpecError:
        """An error about what stands there: file, line, dotted path, what was found, what was expected."""
        return SpecError(f"{self.tree.at(where)}: {dotted(where)}: {sentence}")

    def has(self, where: Where) -> bool:
        """Whether something stands there."""
        return where in self.tree.lines


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
                raise SpecError(f"{self.name}:{line}: {dotted(where)}: a key must be a word")
            if key.value in words:
                first = self.lines[(*where, key.value)]
                path = dotted((*where, key.value))
                raise SpecError(f"{self.name}:{line}: {path}: given twice, first in line {first}; keep one")
            words[key.value] = self.plain(value, (*where, key.value))
            self.lines[(*where, key.value)] = line
        return words

    def at(self, where: Where) -> str:
        """file:line of the value, or of the nearest one around it."""
        while where and where not in self.lines:
            where = where[:-1]
        return f"{self.name}:{self.lines.get(where, 1)}"


def misreadings(errors: Iterable[ErrorDetails], words: Any, within: Where = ()) -> dict[Where, str]:
    """For each place that is wrong, what was found and what was expected.

    Of the alternatives that a place could have been, the first one speaks.
    """
    said: dict[Where, str] = {}
    for error in errors:
        where, value = _follow((*within, *error["loc"], *error.get("ctx", {}).get("below", ())), words)
        said_of_it = complaint(error, value)
        if error["type"] == "missing":
            key = str(error["loc"][-1])
            where, said_of_it = (*where, key), f"missing; add {key}: ..."
        said.setdefault(where, said_of_it)
    return said


def written(words: dict[str, Any]) -> str:
    """These words as a text that reads as them again."""
    return yaml.dump(words, Dumper=_Writer, sort_keys=False, allow_unicode=True, width=110)


class _Writer(yaml.SafeDumper):
    """Every scalar is a text, and stands as it is where that is possible."""

    yaml_implicit_resolvers = {}  # noqa: RUF012


def _scalar(writer: yaml.SafeDumper, value: str | None) -> yaml.ScalarNode:
    if value is None:
        return writer.represent_scalar("tag:yaml.org,2002:str", "null")
    style = '"' if value in _NOTHING or not value.isprintable() else None
    return writer.represent_scalar("tag:yaml.org,2002:str", value, style)


_Writer.add_representer(str, _scalar)
_Writer.add_representer(type(None), _scalar)


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


def dotted(where: Where) -> str:
    """A place as people write it."""
    return ".".join(str(step) for step in where) or "the file"
