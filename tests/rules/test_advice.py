"""Advice names only options that the command has, whatever module it comes from."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest
import typer
from typer.core import TyperGroup

import chaoskit
from chaoskit.cli.advice import bare_options, fitting
from chaoskit.cli.app import app

HOUSE = Path(chaoskit.__file__).parent
ROOT = typer.main.get_command(app)
assert isinstance(ROOT, TyperGroup)
COMMANDS = {
    name: {option for each in command.params for option in each.opts} for name, command in ROOT.commands.items()
}
OURS = set().union(*COMMANDS.values())


@cache
def _tree(path: Path) -> ast.Module:
    return ast.parse(path.read_text())


@cache
def _next(path: Path) -> tuple[Path, ...]:
    """The modules that a module imports, wherever in it."""
    found: list[Path] = []
    for name in imports(path):
        place = HOUSE.joinpath(*name.split(".")[1:])
        found += [place.with_suffix(".py"), place / "__init__.py", *_members(path, place)]
    return tuple(found)


def _texts(path: Path) -> Iterator[tuple[int, str]]:
    """Every text of a module but its docstrings, with `{}` for what is filled in."""
    tree = _tree(path)
    inside: set[ast.AST] = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.JoinedStr):
            inside |= set(node.values)
            parts = (str(part.value) if isinstance(part, ast.Constant) else "{}" for part in node.values)
            yield node.lineno, "".join(parts)
        elif isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant):
            inside.add(node.value)
        elif isinstance(node, ast.Constant) and isinstance(node.value, str) and node not in inside:
            yield node.lineno, node.value


def imports(path: Path) -> Iterator[str]:
    """Every module that a file imports, wherever in the file."""
    for node in ast.walk(_tree(path)):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            yield node.module


def _reached(command: str) -> set[Path]:
    """The modules that a command imports, whatever imports them."""
    found: set[Path] = set()
    waiting = [HOUSE / "cli" / f"{command}.py"]
    while waiting:
        path = waiting.pop()
        if path not in found and path.exists() and path != HOUSE / "__init__.py":  # which imports when it is asked to
            found.add(path)
            waiting += _next(path)
    return found


def _members(path: Path, place: Path) -> Iterator[Path]:
    """The modules of a package that are imported by `from package import module`."""
    for node in ast.walk(_tree(path)):
        if isinstance(node, ast.ImportFrom) and HOUSE.joinpath(*(node.module or "").split(".")[1:]) == place:
            yield from (place / f"{alias.name}.py" for alias in node.names)


ONLY_OF = {"planning/decidability.py": ("probe",)}
"""Modules that others import too, for something else: the commands that show their messages."""
ADVICE = [
    pytest.param(command, text, id=f"{command}-{path.relative_to(HOUSE)}:{line}")
    for command in sorted(COMMANDS)
    for path in sorted(_reached(command))
    if path.parent.name != "cli" and command in ONLY_OF.get(str(path.relative_to(HOUSE)), COMMANDS)
    for line, text in _texts(path)
    if " " in text and OURS & set(bare_options(text))
]


def test_there_is_advice() -> None:
    """The search finds it, in modules of several commands."""
    assert len(ADVICE) > 40


@pytest.mark.parametrize(("command", "text"), ADVICE)
def test_a_command_shows_no_option_that_it_does_not_have(command: str, text: str) -> None:
    """What is left of a message has only options of the command that imports its module.

    A text that begins with its option, `--variant: ...`, answers whoever gave that one.
    """
    left = fitting(text, COMMANDS[command])

    strange = [option for option in bare_options(left) if option in OURS - COMMANDS[command]]
    assert not strange or left.startswith(strange[0]), left


@pytest.mark.parametrize(
    ("command", "sentence", "left"),
    [
        ("run", "no netem: sudo modprobe sch_netem, or --substrate uml", None),
        ("inject", "no netem: sudo modprobe sch_netem, or --substrate uml", "no netem: sudo modprobe sch_netem"),
        ("pmtu", "no rights: run as root, or --substrate uml", "no rights: run as root"),
        ("validate", "/x is not empty; give another --out", "/x is not empty"),
        ("run", "/x is not empty; give another --out", None),
        ("status", "crashed: chaoskit run FILE --substrate uml, or see the log", None),
        ("plan", "in a container: docker run --cap-add SYS_ADMIN", None),
    ],
)
def test_an_alternative_is_left_out_whole(command: str, sentence: str, left: str | None) -> None:
    """The rest is still a sentence, and what names its program stays."""
    assert fitting(sentence, COMMANDS[command]) == (sentence if left is None else left)
