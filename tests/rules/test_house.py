"""The house keeps its order: who may import whom, and where each third-party name lives."""

from __future__ import annotations

import ast
import re
import sys
from pathlib import Path

import pytest
from modules import modules
from sources import FILES, PACKAGE, imports, name_of, trees

MAP = (PACKAGE / "README.md").read_text()
LEVELS = {
    name: int(row.group(1))
    for row in re.finditer(r"^\| *(\d+) \|([^|]*)\|", MAP, re.MULTILINE)
    for name in re.findall(r"`(\w+)/?`", row.group(2))
}
HOMES = {
    row.group(1): re.findall(r"`([\w/]+)`", row.group(2))
    for row in re.finditer(r"^\| `(\w+)` \|([^|]*)\|", MAP, re.MULTILINE)
}


def room(path: Path) -> str:
    """The package or top-level module that a file belongs to."""
    return path.relative_to(PACKAGE).parts[0].removesuffix(".py")


def test_imports_run_downwards() -> None:
    """A module imports only from strictly lower levels and from its own package."""
    upward = [
        f"{name_of(path)} (level {LEVELS[here]}) imports {name} (level {LEVELS[other]})"
        for path in FILES
        if (here := room(path)) not in ("__init__", "__main__")
        for name in imports(path)
        if name.startswith("chaoskit.") and (other := name.split(".")[1]) != here and LEVELS[other] >= LEVELS[here]
    ]

    assert upward == []


def test_third_party_names_stay_at_home() -> None:
    """Every third-party name, and `time` and `random`, is imported only in the homes the map gives it."""
    strays = []
    for path in FILES:
        tops = {name.split(".")[0] for name in imports(path)} - {"chaoskit", "__future__"}
        foreign = {name for name in tops if name not in sys.stdlib_module_names or name in HOMES}
        module = name_of(path).removesuffix(".py")
        strays += [
            f"{module} imports {name}"
            for name in foreign
            if not any(_lives(module, home) for home in HOMES.get(name, []))
        ]

    assert strays == []


def _lives(module: str, home: str) -> bool:
    return module == home or module.startswith(home.rstrip("/") + "/")


def test_the_map_names_every_room_and_no_other() -> None:
    """chaoskit/README.md's levels are exactly the packages and modules that exist."""
    there = {room(path) for path in FILES} - {"__init__", "__main__"}

    assert set(LEVELS) == there


def test_homes_are_lived_in() -> None:
    """Every home in the map imports the name that it is given for."""
    lived = {
        (name.split(".")[0], home)
        for path in FILES
        for name in imports(path)
        for home in HOMES.get(name.split(".")[0], [])
        if _lives(name_of(path).removesuffix(".py"), home)
    }

    assert lived == {(name, home) for name, homes in HOMES.items() for home in homes}


def test_modules_are_a_sitting() -> None:
    """No module is longer than 400 lines, and each opens with what it promises."""
    assert [name_of(path) for path in FILES if len(path.read_text().splitlines()) > 400] == []
    assert [name for name, sentence in modules() if not sentence] == []


@pytest.mark.parametrize("path", sorted((PACKAGE / "cli").glob("*.py")), ids=lambda path: path.name)
def test_commands_are_short(path: Path) -> None:
    """A command's file is words and exit codes: under 80 lines, nothing heavy at its top."""
    text = path.read_text()
    top = {
        name.split(".")[0]
        for node in ast.parse(text).body
        if isinstance(node, ast.Import | ast.ImportFrom)
        for name in ([alias.name for alias in node.names] if isinstance(node, ast.Import) else [node.module or ""])
    }

    assert len(text.splitlines()) < 80
    assert not top & {"httpx", "pyroute2", "scapy", "pydantic", "numpy", "yaml", "asyncio"}


def test_programs_are_started_by_one_door() -> None:
    """`programs` alone knows this interpreter and looks for tools; nobody starts a tool by its bare name.

    A name would be looked for wherever PATH says, and a Python started in any other way loads code from the current
    directory. The command that a user gave to `exec` is looked for as his shell would.
    """
    strays = {
        name_of(path): node.lineno
        for path, tree in trees()
        if room(path) != "programs"
        for node in ast.walk(tree)
        if isinstance(node, ast.expr | ast.stmt) and _starts_by_itself(node)
    }

    assert set(strays) <= {"conduct/user_command.py"}, strays


def _starts_by_itself(node: ast.AST) -> bool:
    match node:
        case ast.Attribute(value=ast.Name(id="sys"), attr="executable"):
            return True
        case ast.ImportFrom(module="sys" | "shutil" | "subprocess", names=names):
            return not {"executable", "which", "run", "Popen", "call"}.isdisjoint(alias.name for alias in names)
        case ast.Call(func=ast.Attribute(value=ast.Name(id="shutil"), attr="which")):
            return True
        case ast.Call(func=ast.Attribute(value=ast.Name(id="subprocess")), args=[ast.List(elts=[first, *_]), *_]):
            return isinstance(first, ast.Constant)
        case ast.Call(func=ast.Attribute(value=ast.Name(id="os"), attr="system" | "popen")):
            return True
    return False


@pytest.mark.parametrize(
    "name", ["Makefile", "README.md", "CHANGELOG.md", "pyproject.toml", "docs", "experiments", ".ci"]
)
def test_no_file_holds_both_sides_of_a_merge(name: str) -> None:
    """Where Python would not notice."""
    top = PACKAGE.parent / name
    found = [top] if top.is_file() else [path for path in top.rglob("*") if path.suffix in (".md", ".yaml", ".txt", "")]

    assert [
        path for path in found if path.is_file() and re.search(rb"^(<{7}|>{7}) ", path.read_bytes(), re.MULTILINE)
    ] == []
