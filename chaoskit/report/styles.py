"""Text for a screen: on one line, and never read as markup."""

from __future__ import annotations

from rich.text import Text

from chaoskit.terminal import printable

JUDGED = {
    "met": "bold green",
    "none": "bold",
    "broken": "bold red",
    "undecided": "bold magenta",
    "achieved": "green",
    "not-achieved": "bold red",
    "too-few-packets-to-tell": "magenta",
    "nothing-to-hit": "bold",
}
_BREAKS = str.maketrans("\r\n\t", "   ")


def safe(text: str) -> str:
    """The text on one line, without anything that a terminal would obey."""
    return printable(text.translate(_BREAKS))


def styled(text: str, style: str = "") -> Text:
    """A piece of text that is never read as markup."""
    return Text(safe(text), style=style)


def titled(title: str, rest: str, style: str = "bold") -> Text:
    """A line that begins with a word in this style."""
    return Text.assemble((safe(title), style), safe(rest))
