"""Only `terminal` and `report/screen` print."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest
from sources import PACKAGE, name_of, trees

PRINTER, SCREEN = "terminal.py", "report/screen.py"
MODULES = {
    **dict.fromkeys(("logging", "pprint", "warnings", "getpass", "curses", "readline", "faulthandler"), PRINTER),
    **dict.fromkeys((f"rich.{name}" for name in ("live", "progress", "status", "prompt", "pretty")), SCREEN),
    **dict.fromkeys((f"rich.{name}" for name in ("markup", "ansi", "emoji", "traceback", "logging")), SCREEN),
}
"""Modules that write to a terminal, or parse styles in a text, and the one file that may import them."""

CALLS = {
    **dict.fromkeys(("print", "input", "breakpoint"), PRINTER),
    **dict.fromkeys(("echo", "secho", "echo_via_pager", "confirm", "prompt"), PRINTER),
    **dict.fromkeys(("print_exc", "print_exception", "print_last", "print_stack", "print_tb"), PRINTER),
    **dict.fromkeys(("Console", "get_console", "from_markup", "from_ansi", "render_str"), SCREEN),
}
"""The same for functions."""

STREAMS = ("stdout", "stderr", "__stdout__", "__stderr__")
NAMED = {
    (PRINTER, "stdout"): "it is the printer",
    (PRINTER, "stderr"): "it is the printer",
    (SCREEN, "stdout"): "it is the printer of styled text",
    (SCREEN, "stderr"): "it is the printer of styled text",
    ("cli/plan.py", "stdout"): "for a screen",
    ("cli/plan.py", "stderr"): "for a screen",
    ("cli/pmtu.py", "stderr"): "for a screen",
    ("conduct/worker.py", "stderr"): "flushed before a process ends",
    ("conduct/supervisor.py", "stdout"): "flushed before a fork",
    ("engine/watchdog_process.py", "stderr"): "flushed before a process ends",
    ("substrate/exec.py", "stdout"): "a command's own output, byte by byte",
    ("substrate/exec.py", "stderr"): "a command's own output, byte by byte",
}
"""The files that may use a standard stream, and why."""


def imported(tree: ast.AST) -> Iterator[str]:
    """Every imported module and name."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            yield node.module
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


def called(tree: ast.AST) -> Iterator[str]:
    """The last name of every call, without `print` methods, which are those of a given console."""
    for node in ast.walk(tree):
        match node:
            case ast.Call(func=ast.Name(id=name)):
                yield name
            case ast.Call(func=ast.Attribute(attr=name)) if name != "print":
                yield name


def streams(tree: ast.AST) -> Iterator[str]:
    """Uses of standard streams, and writes to descriptors 1 and 2."""
    for node in ast.walk(tree):
        match node:
            case ast.Attribute(value=ast.Name(id="sys"), attr=name) if name in STREAMS:
                yield name
            case ast.Call(func=ast.Attribute(attr="write" | "writev" | "fdopen"), args=[ast.Constant(value=1 | 2), *_]):
                yield "descriptor"
            case ast.Constant(value="/dev/tty" | "/dev/stdout" | "/dev/stderr"):
                yield "device"


def violations(path: Path, tree: ast.AST) -> set[str]:
    """Everything that this file uses and may not."""
    here = name_of(path)
    modules = {name for name in imported(tree) if MODULES.get(name, here) != here}
    calls = {name for name in called(tree) if CALLS.get(name, here) != here}
    of_sys = {name for name in imported(tree) if name.removeprefix("sys.") in STREAMS}
    return modules | calls | of_sys | {name for name in streams(tree) if (here, name) not in NAMED}


def test_only_the_printer_prints() -> None:
    """No other module prints, echoes, logs, warns, prints a traceback, makes a console, or takes a standard stream."""
    found = {name_of(path): violations(path, tree) for path, tree in trees()}

    assert {name: strays for name, strays in found.items() if strays} == {}


def test_every_exception_is_needed() -> None:
    """Every file in the table of exceptions uses its stream."""
    named = {(name_of(path), name) for path, tree in trees() for name in streams(tree)}

    assert named == set(NAMED)


@pytest.mark.parametrize(
    "line",
    [
        "print(x)",
        "typer.echo(x)",
        "sys.stderr.write(x)",
        "os.write(2, x)",
        "os.fdopen(1)",
        "open('/dev/tty')",
        "from sys import stdout",
        "Console()",
        "rich.console.Console(stderr=True)",
        "from rich.live import Live",
        "from rich import progress",
        "import logging",
        "traceback.print_exc()",
        "Text.from_markup(x)",
    ],
)
def test_each_way_to_print_is_found(line: str) -> None:
    """The rule finds every one of these."""
    assert violations(PACKAGE / "cli" / "validate.py", ast.parse(line))
