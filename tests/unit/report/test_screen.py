"""What is printed fits the screen: wrapped lines stand under what they continue, and no line ends in blanks."""

from __future__ import annotations

import io
import os
import pty
import subprocess
import sys

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.table import Table
from rich.text import Text

from chaoskit.report.screen import Screen


def printed(text: Text | Table, width: int) -> list[str]:
    """The lines of it on a screen of that width."""
    file = io.StringIO()
    Screen(file, width=width).print(text)
    return file.getvalue().split("\n")[:-1]


@pytest.mark.parametrize(
    ("line", "shown"),
    [
        ("  - one two three four", ["  - one two", "    three four"]),
        ("At   12 s in phases", ["At   12 s in", "     phases"]),
        ("Takes   12 s in phases", ["Takes   12 s in", "  phases"]),
        ("warning the first one two", ["warning the", "  first one two"]),
        ("short", ["short"]),
    ],
)
def test_wrapped_lines_stand_under_their_beginning(line: str, shown: list[str]) -> None:
    """Under the bullet's text, under the second column, or two further in."""
    assert printed(Text(line), 15) == shown


@given(st.text(st.sampled_from("ab  -"), max_size=120), st.integers(10, 100))
def test_no_word_is_lost_and_no_line_ends_in_blanks(line: str, width: int) -> None:
    """Whatever is printed, at any width."""
    shown = printed(Text(line), width)

    assert "".join("".join(shown).split()) == "".join(line.split())
    assert all(each == each.rstrip() and len(each) <= width for each in shown)


def test_a_table_has_no_blanks_at_the_ends() -> None:
    """Cells are padded within, not at the end of a line."""
    table = Table(box=None, padding=(0, 2, 0, 0))
    for name in ("a", "longer"):
        table.add_column(name)
    table.add_row("x", "y")

    assert all(line == line.rstrip() for line in printed(table, 40))


def test_a_cell_wraps_within_its_column() -> None:
    """Its lines begin where the first one does."""
    table = Table.grid(padding=(0, 2, 0, 0))
    table.add_row(Text("MET"), Text("one two three"))

    assert printed(table, 15) == ["MET  one two", "     three"]


def test_long_lines_are_wrapped_on_a_terminal_alone() -> None:
    """Between words, and indented; a command to type stays whole, and so does everything in a pipe."""
    lines = ["  warning: one two three four five six", "  type: modprobe -a one two three four five six"]
    code = f"from chaoskit.report.screen import say_wrapped; say_wrapped(*{lines!r})"
    master, slave = pty.openpty()
    environment = os.environ | {"COLUMNS": "30"}

    with os.fdopen(master, "rb", buffering=0) as screen:
        subprocess.run([sys.executable, "-c", code], stdout=slave, check=True, env=environment)
        on_terminal = screen.read(1000).decode().splitlines()
        os.close(slave)
    piped = subprocess.run([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True, check=True, env=environment)

    assert on_terminal == ["  warning: one two three four", "    five six", lines[1]]
    assert piped.stdout.splitlines() == lines
