"""Advice names only options that the command has, whatever module it comes from."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest
import typer
from sources import PACKAGE, imports, members
from typer.core import TyperGroup

from chaoskit.cli.advice import bare_options, fitting
from chaoskit.cli.app import app

ROOT = typer.main.get_command(app)
assert isinstance(ROOT, TyperGroup)
COMMANDS = {
    name: {option for each in command.params for option in each.opts} for name, command in ROOT.commands.items()
}
OURS = set().union(*COMMANDS.values())


@cache
def _next(path: Path) -> tuple[Path, ...]:
    """The modules that a module imports, wherever in it, and those of a package that it imports by their names."""
    found: list[Path] = []
    for name in imports(path):
        place = PACKAGE.joinpath(*name.split(".")[1:])
        found += [
            place.with_suffix(".py"),
            place / "__init__.py",
            *(place / f"{each}.py" for each in members(path, name)),
        ]
    return tuple(found)


@cache
def _advice(path: Path) -> tuple[tuple[int, str], ...]:
    """The texts of a module that name options of ours, each with its line, and with `{}` for what is filled in."""
    return tuple((line, text) for line, text in _texts(path) if " " in text and OURS & set(bare_options(text)))


def _texts(path: Path) -> Iterator[tuple[int, str]]:
    """Every text of a module but its docstrings."""
    inside: set[ast.AST] = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.JoinedStr):
            inside |= set(node.values)
            parts = (str(part.value) if isinstance(part, ast.Constant) else "{}" for part in node.values)
            yield node.lineno, "".join(parts)
        elif isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant):
            inside.add(node.value)
        elif isinstance(node, ast.Constant) and isinstance(node.value, str) and node not in inside:
            yield node.lineno, node.value


def _reached(command: str) -> set[Path]:
    """The modules that a command imports, whatever imports them."""
    found: set[Path] = set()
    waiting = [PACKAGE / "cli" / f"{command}.py"]
    while waiting:
        path = waiting.pop()
        if path not in found and path.exists() and path != PACKAGE / "__init__.py":  # which imports when it is asked to
            found.add(path)
            waiting += _next(path)
    return found


ONLY_OF = {"planning/decidability.py": ("probe",)}
"""Modules that others import too, for something else: the commands that show their messages."""
ADVICE = [
    (command, f"{path.relative_to(PACKAGE)}:{line}", text)
    for command in sorted(COMMANDS)
    for path in sorted(_reached(command))
    if path.parent.name != "cli" and command in ONLY_OF.get(str(path.relative_to(PACKAGE)), COMMANDS)
    for line, text in _advice(path)
]


def test_there_is_advice() -> None:
    """The search finds it, in modules of several commands."""
    assert len(ADVICE) > 40


def test_a_command_shows_no_option_that_it_does_not_have() -> None:
    """What is left of a message has only options of the command that imports its module.

    A text that begins with its option, `--variant: ...`, answers whoever gave that one.
    """
    wrong = []
    for command, place, text in ADVICE:
        left = fitting(text, COMMANDS[command])
        strange = [option for option in bare_options(left) if option in OURS - COMMANDS[command]]
        if strange and not left.startswith(strange[0]):
            wrong.append((command, place, left))

    assert wrong == []


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
