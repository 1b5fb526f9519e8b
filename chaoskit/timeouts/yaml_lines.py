"""Reads YAML, and so JSON, as a tree in which every value knows its line; nothing is interpreted."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass

import yaml

from chaoskit.errors import SpecError

_NULLS = ("", "~", "null", "Null", "NULL")
_MAX_BYTES, _MAX_CHILDREN = 256_000, 1000


@dataclass(frozen=True)
class Value:
    """A value of a document, or nothing where there is none. `file` is for messages."""

    file: str
    node: yaml.Node | None
    line: int

    @property
    def place(self) -> str:
        """`envoy.yaml:14`."""
        return f"{self.file}:{self.line}"

    @property
    def is_there(self) -> bool:
        """Whether the document has it, and it is not null."""
        return not (self.node is None or (isinstance(self.node, yaml.ScalarNode) and self.node.value in _NULLS))

    @property
    def text(self) -> str:
        """A scalar, as it is written; "" of all else."""
        return str(self.node.value) if self.is_there and isinstance(self.node, yaml.ScalarNode) else ""

    def __getitem__(self, path: str) -> Value:
        """The value at this path of keys (`a.b`), each in snake_case or lowerCamelCase."""
        found = self
        for key in path.split("."):
            found = found._child(key)
        return found

    def _child(self, key: str) -> Value:
        if isinstance(self.node, yaml.MappingNode):
            for name, value in self.node.value:
                if isinstance(name, yaml.ScalarNode) and key in (name.value, _snake(name.value)):
                    return Value(self.file, value, name.start_mark.line + 1)
        return Value(self.file, None, self.line)

    def keys(self) -> Iterator[tuple[str, Value]]:
        """Every key with its value, of a mapping."""
        if isinstance(self.node, yaml.MappingNode):
            for name, value in self.node.value[:_MAX_CHILDREN]:
                if isinstance(name, yaml.ScalarNode):
                    yield name.value, Value(self.file, value, name.start_mark.line + 1)

    def __iter__(self) -> Iterator[Value]:
        """The items of a list; of all else none."""
        if isinstance(self.node, yaml.SequenceNode):
            for each in self.node.value[:_MAX_CHILDREN]:
                yield Value(self.file, each, each.start_mark.line + 1)


def compose(text: str, file: str) -> Value:
    """The document of this text. Raises SpecError."""
    if len(text) > _MAX_BYTES:
        raise SpecError(f"{file}: longer than {_MAX_BYTES // 1000} kB")
    try:
        node = yaml.compose(text, yaml.SafeLoader)
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        raise SpecError(f"{file}{f':{mark.line + 1}' if mark else ''}: not YAML") from None
    except RecursionError:
        raise SpecError(f"{file}: nested too deeply") from None
    if not isinstance(node, yaml.MappingNode):
        raise SpecError(f"{file}: holds no keys")
    return Value(file, node, 1)


def _snake(key: str) -> str:
    return re.sub(r"(?<=[a-z0-9])[A-Z]", lambda found: f"_{found[0]}", key).lower()
