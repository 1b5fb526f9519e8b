"""Mistakes on the command line are answered in one sentence of chaoskit's own, with what to type."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator

import pytest
import typer
from cli_words import LIBRARY_PHRASES, chaoskit
from typer.core import TyperGroup, TyperOption

from chaoskit.cli.app import app


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ("run", "FILE is missing; write chaoskit run FILE"),
        ("validate", "FILE... is missing; write chaoskit validate FILE..."),
        ("rnu x.yaml", "'rnu' is no command of chaoskit; did you mean run?"),
        ("kernel foo", "'foo' is no command of chaoskit kernel; expected one of build, status, remove"),
        ("run --ot x y", "chaoskit run has no option --ot; did you mean --out?"),
        ("--wrong", "chaoskit has no option --wrong"),
        ("run -x y", "chaoskit run has no option -x"),
        ("run x --out", "--out has no value; write --out PATH"),
        ("exec --down", "--down has no value; write --down FAULT"),
        ("plan x --json=3", "--json takes no value; write it alone"),
        ("run x --substrate docker", "--substrate: found 'docker', expected auto, here or uml"),
        ("probe http://x --requests 0", "--requests: found '0', expected a whole number, 1"),
        ("probe http://x --requests many", "--requests: found 'many', expected a whole number, 1"),
        ("probe http://x --burstiness much", "--burstiness: found 'much', expected a number"),
        ("serve --port 99999", "--port: found '99999', expected a whole number, 0 to 65535"),
        ("run x y z", "'y' is one word too many; chaoskit run takes FILE"),
        ("schema x", "'x' is one word too many; chaoskit schema takes options only"),
        ("exec curl -v http://x", "write -- before the command: chaoskit exec --down 'delay 80ms' -- curl -v http://x"),
        ("exec curl", "write -- before the command: chaoskit exec --down 'delay 80ms' -- curl"),
        ("exec x.yaml pytest -q", "write -- before the command: chaoskit exec x.yaml -- pytest -q"),
        ("exec --down 'loss 1%' curl -s x", "write -- before the command: chaoskit exec --down 'loss 1%' -- curl -s x"),
        ("exec x.yaml --fault wifi", "no command given; write it after --: chaoskit exec"),
        ("inject --down -- delay 80ms", "--down has no value; write it before --: --down FAULT"),
        ("inject --for 3s -- curl x", "chaoskit inject runs no command after --; this does: chaoskit exec"),
    ],
)
def test_a_mistake_is_answered_with_what_to_type(line: str, said: str) -> None:
    """Exit code 2, nothing on stdout, and no phrase of a library."""
    done = chaoskit(*shlex.split(line))

    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.startswith(f"chaoskit: {said}")
    assert not LIBRARY_PHRASES.search(done.stderr)
    assert all(text == text.rstrip() for text in done.stderr.splitlines())


def _commands(group: TyperGroup, path: tuple[str, ...] = ()) -> Iterator[tuple[str, ...]]:
    yield path
    for name, each in group.commands.items():
        if isinstance(each, TyperGroup):
            yield from _commands(each, (*path, name))
        else:
            yield (*path, name)


ROOT = typer.main.get_command(app)
assert isinstance(ROOT, TyperGroup)
COMMANDS = list(_commands(ROOT))


@pytest.mark.parametrize("columns", ["60", "80", "120", "200"])
@pytest.mark.parametrize("path", COMMANDS, ids=" ".join)
def test_help_fits_the_screen(path: tuple[str, ...], columns: str) -> None:
    """No line is wider than the terminal, ends in blanks, or shows a type of Python."""
    done = chaoskit(*path, "--help", COLUMNS=columns)

    assert done.returncode == 0
    assert max(map(len, done.stdout.splitlines())) <= int(columns)
    assert all(line == line.rstrip() for line in done.stdout.splitlines())
    assert not re.search(r"<\w|None|\bPath\b|\{FILE", done.stdout)


@pytest.mark.parametrize("path", COMMANDS, ids=" ".join)
def test_every_option_is_explained(path: tuple[str, ...]) -> None:
    """Each has a sentence, which ends in a full stop."""
    command = ROOT
    for name in path:
        assert isinstance(command, TyperGroup)
        command = command.commands[name]

    unsaid = [
        each.opts
        for each in command.params
        if isinstance(each, TyperOption) and not (each.help or "").endswith((".", "…"))
    ]

    assert unsaid == []
