"""The modules of chaoskit as files: their names, their trees, and what each imports."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import chaoskit

PACKAGE = Path(chaoskit.__file__).parent
FILES = sorted(PACKAGE.rglob("*.py"))


def name_of(path: Path) -> str:
    """`analysis/network/path_mtu.py`."""
    return str(path.relative_to(PACKAGE))


def trees() -> Iterator[tuple[Path, ast.Module]]:
    """Each file with its tree, one after the other: all trees together are large."""
    return ((path, ast.parse(path.read_text())) for path in FILES)


def imports(path: Path) -> tuple[str, ...]:
    """Every module that a file imports, wherever in the file."""
    return tuple(_imported(path))


def members(path: Path, module: str) -> tuple[str, ...]:
    """What a file imports from this module by name."""
    return _imported(path)[module]


@cache
def _imported(path: Path) -> dict[str, tuple[str, ...]]:
    found: dict[str, tuple[str, ...]] = {}
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            found |= {alias.name: found.get(alias.name, ()) for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            found[node.module] = (*found.get(node.module, ()), *(alias.name for alias in node.names))
    return found
