"""Defines how configuration files are read, by the paths that commands and configurations have."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Protocol

from chaoskit.errors import SpecError


class Files(Protocol):
    """The files that a host sees. Paths are absolute, or relative to the folder that it is started in."""

    def read(self, path: str) -> str:
        """The text of this file. Raises SpecError."""

    def matching(self, pattern: str) -> tuple[str, ...]:
        """The paths of the files that match a shell pattern, sorted; none where there are none."""


class Texts:
    """Files that are texts in memory, by path."""

    def __init__(self, texts: dict[str, str]) -> None:
        self._texts = texts

    def read(self, path: str) -> str:
        """The text of this path. Raises SpecError."""
        if path not in self._texts:
            raise SpecError(f"{path}: no such file")
        return self._texts[path]

    def matching(self, pattern: str) -> tuple[str, ...]:
        """As of `Files`; a pattern has stars alone."""
        parts = pattern.split("*")
        return tuple(sorted(path for path in self._texts if _fits(path, parts)))


def _fits(path: str, parts: Iterable[str]) -> bool:
    first, *rest = parts
    if not rest:
        return path == first
    return path.startswith(first) and path.endswith(rest[-1]) and len(path) >= len(first) + len(rest[-1])
