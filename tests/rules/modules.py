"""Prints every module of chaoskit with the first sentence of its docstring.

python3 tests/rules/modules.py
"""

from __future__ import annotations

import ast
import sys
from collections.abc import Iterator
from pathlib import Path

PACKAGE = Path(__file__).parents[2] / "chaoskit"


def modules() -> Iterator[tuple[str, str]]:
    """The path of each module, without its suffix, and the first line of its docstring ("" when it has none)."""
    for path in sorted(PACKAGE.rglob("*.py")):
        name = str(path.relative_to(PACKAGE)).removesuffix(".py").removesuffix("/__init__")
        docstring = ast.get_docstring(ast.parse(path.read_text())) or ""
        yield name, docstring.partition("\n")[0]


def main() -> int:
    """Print one line for each."""
    found = dict(modules())
    width = max(map(len, found))
    for name, sentence in found.items():
        print(f"{name:{width}}  {sentence}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
