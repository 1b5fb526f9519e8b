"""What the README says is so."""

from __future__ import annotations

import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest

from chaoskit.plan.compile import compile_plan
from chaoskit.spec.load import parse

TOP = Path(__file__).parents[2]
README = (TOP / "README.md").read_text()
BLOCKS = re.findall(r"```(\w+)\n(.*?)```", README, re.DOTALL)
COMMANDS = sorted(
    {
        " ".join(shlex.split(line.replace("\\\n", " "), comments=True)[:2])
        for kind, text in BLOCKS
        if kind == "sh"
        for line in text.replace("\\\n", " ").splitlines()
        if line.startswith("chaoskit ")
    }
)


def test_help_texts_are_those_of_the_program() -> None:
    """The README's help texts were generated from this very code."""
    answer = subprocess.run(
        [sys.executable, "-m", "cogapp", "--check", "--diff", str(TOP / "README.md")],
        capture_output=True,
        text=True,
        check=False,
    )

    assert answer.returncode == 0, answer.stdout + answer.stderr


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_of_the_readme_exists(command: str) -> None:
    """Each `chaoskit ...` line names a command that there is."""
    words = [sys.executable, "-m", "chaoskit", *command.split()[1:], "--help"]

    assert subprocess.run(words, capture_output=True, check=False).returncode == 0


def test_the_experiment_of_the_readme_is_one() -> None:
    """The example loads and compiles as it stands."""
    (text,) = (text for kind, text in BLOCKS if kind == "yaml")

    assert compile_plan(parse(text, "README.md")).name == "first-token-under-loss"


def test_every_experiment_is_in_the_readme() -> None:
    """The table of experiments is complete, and no link is dead."""
    linked = set(re.findall(r"\]\((experiments/[\w-]+\.yaml)\)", README))

    assert linked == {f"experiments/{path.name}" for path in (TOP / "experiments").glob("*.yaml")}
