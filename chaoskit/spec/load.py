"""Loads YAML files into experiments and injections, with file and line in every error.

Rules: every scalar is read as its text, so that `1.1`, `on` and `50` mean what they look like and units are never
guessed; a duplicate key is an error; aliases work, but a file that expands to more than 10,000 values, or contains
itself, is refused.
"""

from __future__ import annotations

import difflib
import sys
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar

import yaml
from pydantic import ValidationError
from pydantic_core import ErrorDetails

from chaoskit.errors import SpecError
from chaoskit.faults.schema import FROM_FILE, SpecModel
from chaoskit.spec.asking import QuotedText
from chaoskit.spec.diagnostics import brief, describe_error
from chaoskit.spec.experiment import Experiment
from chaoskit.spec.injection import Injection
from chaoskit.spec.key_lines import KeyLines
from chaoskit.spec.known_keys import Path as KeyPath
from chaoskit.spec.known_keys import places
from chaoskit.spec.misnamed_files import meant_instead
from chaoskit.spec.named_files import beside, missing_files
from chaoskit.spec.yaml_errors import describe_yaml_error

SUITE_KEY = "experiments"
"""The key that a suite has, and an experiment has not."""
_MAX_BYTES, _MAX_VALUES = 1 << 20, 10_000
_ALIKE = 0.8  # of two keys of which one is the other, mistyped
_NULLS = ("", "~", "null", "Null", "NULL")
_EXAMPLES = {
    "stage": "{lab: edge}",
    "workload": "{request-rate: 8/s}",
    "timeline": "[{baseline: 20s}]",
    "direction": "down, or up, or both",
}
Location = tuple[str | int, ...]
Root = TypeVar("Root", bound=SpecModel)


@dataclass(frozen=True)
class DocumentKind:
    """What a file should be, for messages: a noun, its first keys, and where to get an example."""

    noun: str
    start: str
    model: str


EXPERIMENT = DocumentKind("an experiment", "name: and question:", "let chaoskit init write one")
INJECTION = DocumentKind("an injection", "to:, down: and for:", "take what chaoskit status --json prints")


def is_suite(words: dict[str, Any]) -> bool:
    """Whether a document with these keys is a suite of experiments; also where that key is mistyped."""
    return "timeline" not in words and bool(difflib.get_close_matches(SUITE_KEY, words, 1, _ALIKE))


def load(path: Path) -> Experiment:
    """The experiment in this file. Raises SpecError with one line for each error found."""
    return parse(read_text(path, EXPERIMENT), str(path))


def parse(text: str, name: str) -> Experiment:
    """As `load`, for a text that messages call `name`."""
    document = parse_document(text, name, EXPERIMENT)
    with document.every_error():
        if "matrix" in document.words:
            raise document.error_at(f"several experiments, expected one; chaoskit plan {name} lists them", ("matrix",))
        return document.read_experiment()


def load_injection(path: Path) -> Injection:
    """The injection in this file, or in the output of `chaoskit status --json`, if that has exactly one.

    Raises SpecError with one line for each error found.
    """
    document = parse_document(read_text(path, INJECTION), display_name(path), INJECTION)
    if "timeline" in document.words:
        raise SpecError(f"{display_name(path)} is an experiment, not the keys of an injection: chaoskit run {path}")
    with document.every_error():
        if "leases" in document.words:
            return document.read_as(Injection, _only_lease(document))
        return document.read_as(Injection, ("injection",) if isinstance(document.words.get("injection"), dict) else ())


def _only_lease(document: Document) -> Location:
    leases = document.words["leases"]
    injections = [
        (number, str(lease.get("id")))
        for number, lease in enumerate(leases if isinstance(leases, list) else ())
        if isinstance(lease, dict) and isinstance(lease.get("injection"), dict)
    ]
    if not injections:
        raise document.error_at("it contains no injection; write one, with to:, down: and for:", ("leases",))
    if len(injections) > 1:
        names = ", ".join(name for _, name in injections)
        raise document.error_at(
            f"{len(injections)} injections, and one is expected; choose one: "
            f"chaoskit status {injections[0][1]} --json (there are {names})",
            ("leases",),
        )
    return "leases", injections[0][0], "injection"


def read_text(path: Path, kind: DocumentKind) -> str:
    """The text of this file; `-` is the standard input. Raises SpecError."""
    name = display_name(path)
    try:
        if str(path) == "-":
            raw = sys.stdin.buffer.read(_MAX_BYTES + 1)
        else:
            with path.open("rb") as file:
                raw = file.read(_MAX_BYTES + 1)
        text = raw.decode()
    except FileNotFoundError as error:
        if beside := next((each for each in _with_endings(path) if each.is_file()), None):
            raise SpecError(f"{name}: {error.strerror}; did you mean {beside}?") from None
        meant = meant_instead(path) if kind is EXPERIMENT else f"give the path of {kind.noun} file"
        raise SpecError(f"{name}: {error.strerror}; {meant}") from None
    except OSError as error:
        is_folder = kind is EXPERIMENT and path.is_dir()
        meant = meant_instead(path) if is_folder else f"give the path of {kind.noun} file"
        raise SpecError(f"{name}: {error.strerror}; {meant}") from None
    except UnicodeDecodeError as error:
        raise SpecError(f"{name}: byte {error.start} is not UTF-8; {kind.noun} is a YAML file") from None
    if len(raw) > _MAX_BYTES:
        raise SpecError(f"{name}: longer than 1 MiB; {kind.noun} is a short YAML file")
    return text


def _with_endings(path: Path) -> Iterator[Path]:
    """The same name with the endings of a YAML file, in its folder."""
    for ending in (".yaml", ".yml"):
        for stem in dict.fromkeys((path.name, path.stem)):
            if stem:
                yield path.with_name(stem + ending)


def display_name(path: Path) -> str:
    """The name of a file in messages."""
    return "standard input" if str(path) == "-" else str(path)


def parse_document(text: str, name: str, kind: DocumentKind) -> Document:
    """The keys and values of a text that messages call `name`. YAML, and so JSON. Raises SpecError."""
    tree = _Tree(name)
    try:
        root = yaml.compose(text, yaml.SafeLoader)
    except yaml.YAMLError as error:
        line, sentence = describe_yaml_error(error, text)
        raise SpecError(f"{name}:{line}: not YAML: {sentence}") from None
    except RecursionError:
        raise SpecError(f"{name}: nested too deeply; {kind.noun} is a short YAML file") from None
    if root is None or (isinstance(root, yaml.ScalarNode) and not root.value):
        raise SpecError(f"{name}:1: empty; start with {kind.start}, or {kind.model}")
    words = tree.to_plain(root)
    if not isinstance(words, dict):
        raise SpecError(f"{name}:1: found {brief(words)}, expected keys such as {kind.start}")
    return Document(words, tree)


@dataclass(frozen=True)
class Document:
    """The content of a file, every scalar as text, and the line of each value.

    `given`: what put a value there that the file does not have, in words: `--vary workload.request-rate`.
    """

    words: dict[str, Any]
    tree: _Tree
    given: Mapping[Location, str] = field(default_factory=dict)

    def read_as(self, model: type[Root], within: Location = ()) -> Root:
        """The part at this path as a `model`. Raises SpecError with one line for each error found."""
        part: Any = self.words
        for step in within:
            part = part[step]
        try:
            return model.model_validate(part, context=FROM_FILE)
        except ValidationError as error:
            found = describe_errors(error.errors(), self.words, within, places(model))
            raise SpecError(
                "\n".join(str(self.error_at(sentence, where)) for where, sentence in found.items())
            ) from None

    def read_experiment(self) -> Experiment:
        """The experiment, with whole paths. Raises SpecError as `read_as`, and for a missing file of prompts."""
        experiment = beside(self.read_as(Experiment), self.tree.name).with_lines(self.key_lines)
        missing = [str(self.error_at(sentence, where)) for where, sentence in missing_files(experiment)]
        if missing:
            raise SpecError("\n".join(missing))
        return experiment

    @property
    def key_lines(self) -> KeyLines:
        """Where the keys stand, in the file without its folder, as files beside it are named."""
        return KeyLines(Path(self.tree.name).name, self.tree.lines)

    @contextmanager
    def every_error(self) -> Iterator[None]:
        """Raises SpecError with the duplicate keys, and with what is raised inside, by line."""
        found = self.tree.duplicates
        try:
            yield
        except SpecError as error:
            found = [*found, *str(error).splitlines()]
        if found:
            raise SpecError("\n".join(sorted(dict.fromkeys(found), key=self._line)))

    def _line(self, sentence: str) -> int:
        number = sentence.removeprefix(f"{self.tree.name}:").partition(":")[0]
        return int(number) if number.isdecimal() else 0

    def error_at(self, sentence: str, where: Location = ()) -> SpecError:
        """An error about that location: file, line, dotted path, and the sentence; of a given value, what gave it."""
        for length in range(len(where), 0, -1):
            if (giver := self.given.get(where[:length])) is not None:
                below = f"{dotted_path(where[length:])}: " if where[length:] else ""
                return SpecError(f"{giver}: {below}{sentence}")
        return SpecError(f"{self.place(where)}: {sentence}")

    def place(self, where: Location) -> str:
        """That location in words: file, line and dotted path."""
        return f"{self.tree.at(where)}: {dotted_path(where)}"

    def has(self, where: Location) -> bool:
        """Whether the file has a value there."""
        return where in self.tree.lines


@dataclass
class _Tree:
    """The line of each value, by its path from the root, and an error for each duplicate key."""

    name: str
    lines: dict[Location, int] = field(default_factory=dict)
    duplicates: list[str] = field(default_factory=list)
    open: set[int] = field(default_factory=set)

    def to_plain(self, node: yaml.Node, where: Location = ()) -> Any:
        self.lines[where] = node.start_mark.line + 1
        if len(self.lines) > _MAX_VALUES or id(node) in self.open:
            raise SpecError(f"{self.at(where)}: aliases expand to more than {_MAX_VALUES} values; write them out")
        self.open.add(id(node))
        try:
            match node:
                case yaml.ScalarNode():
                    if node.style is not None:
                        return QuotedText(node.value)
                    return None if node.value in _NULLS else node.value
                case yaml.SequenceNode():
                    return [self.to_plain(child, (*where, i)) for i, child in enumerate(node.value)]
                case _:
                    return self._mapping(node, where)
        finally:
            self.open.discard(id(node))

    def _mapping(self, node: yaml.Node, where: Location) -> dict[str, Any]:
        words: dict[str, Any] = {}
        for key, value in node.value:
            line = key.start_mark.line + 1
            if not isinstance(key, yaml.ScalarNode):
                raise SpecError(
                    f"{self.name}:{line}: {dotted_path(where)}: a key must be a plain text; put it in quotes"
                )
            if key.value in words:
                first = self.lines[(*where, key.value)]
                path = dotted_path((*where, key.value))
                self.duplicates.append(f"{self.name}:{line}: {path}: duplicate key, first in line {first}; keep one")
                continue
            words[key.value] = self.to_plain(value, (*where, key.value))
            self.lines[(*where, key.value)] = line
        return words

    def at(self, where: Location) -> str:
        """file:line of the value, or of the nearest enclosing one."""
        while where and where not in self.lines:
            where = where[:-1]
        return f"{self.name}:{self.lines.get(where, 1)}"


def describe_errors(
    errors: Iterable[ErrorDetails], words: Any, within: Location = (), known: Iterable[KeyPath] = ()
) -> dict[Location, str]:
    """For each location with an error, what was found and what was expected. `known`: the paths of all keys.

    If a value could be one of several types, the error of the first one counts.
    """
    sentences: dict[Location, str] = {}
    errors = list(errors)
    for error in errors:
        if error["type"] == "too_short" and any(_is_below(each["loc"], error["loc"]) for each in errors):
            continue  # only what is right was counted
        where, value = _resolve((*within, *error["loc"], *error.get("ctx", {}).get("below", ())), words)
        sentence = describe_error({**error, "loc": where}, value, known)
        if error["type"] == "missing":
            key = error["loc"][-1]
            if isinstance(key, int):
                sentence = f"found a list of {key}, expected more"
            else:
                where, sentence = (*where, key), f"missing; add {key}: {_EXAMPLES.get(key, '...')}"
        sentences.setdefault(where, sentence)
    return sentences


def _is_below(loc: Location, place: Location) -> bool:
    return len(loc) > len(place) and loc[: len(place)] == place


def to_yaml(words: dict[str, Any]) -> str:
    """These keys and values as a YAML text that loads to the same."""
    return yaml.dump(words, Dumper=_Writer, sort_keys=False, allow_unicode=True, width=110)


class _Writer(yaml.SafeDumper):
    """Writes every scalar as text, unquoted where that is possible."""

    yaml_implicit_resolvers = {}  # noqa: RUF012


def _scalar(writer: yaml.SafeDumper, value: str | None) -> yaml.ScalarNode:
    if value is None:
        return writer.represent_scalar("tag:yaml.org,2002:str", "null")
    style = '"' if value in _NULLS or not value.isprintable() else None
    return writer.represent_scalar("tag:yaml.org,2002:str", value, style)


def _quoted(writer: yaml.SafeDumper, value: QuotedText) -> yaml.ScalarNode:
    return writer.represent_scalar("tag:yaml.org,2002:str", str(value), '"')


_Writer.add_representer(str, _scalar)
_Writer.add_representer(QuotedText, _quoted)
_Writer.add_representer(type(None), _scalar)


def _resolve(loc: Location, words: Any) -> tuple[Location, Any]:
    """The part of an error's location that exists in the file (the rest names alternatives), and its value."""
    where: Location = ()
    for step in loc:
        match words:
            case dict() if step in words:
                where, words = (*where, step), words[step]
            case list() if isinstance(step, int) and step < len(words):
                where, words = (*where, step), words[step]
    return where, words


def dotted_path(where: Location) -> str:
    """A location as a dotted path."""
    return ".".join(str(step) for step in where) or "the file"
