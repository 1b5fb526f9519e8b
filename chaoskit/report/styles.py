"""Escapes and styles text for a terminal: on one line, never interpreted as markup."""

from __future__ import annotations

from rich.text import Text

from chaoskit.terminal import printable, shortened

VERDICT_STYLES = {
    "met": "bold green",
    "none": "bold",
    "broken": "bold red",
    "undecided": "bold magenta",
    "achieved": "green",
    "not-achieved": "bold red",
    "too-few-packets": "magenta",
    "not-exercised": "bold",
    "not-measured": "magenta",
}
_MOST = 10_000  # characters
_BREAKS = str.maketrans("\r\n\t", "   ")


def safe(text: str) -> str:
    """The text on one line, without escape sequences; the begin of one that nobody would read to its end."""
    return printable(shortened(text, _MOST).translate(_BREAKS))


def styled(text: str, style: str = "") -> Text:
    """Escaped text in this style, never interpreted as markup."""
    return Text(safe(text), style=style)


def titled(title: str, rest: str, style: str = "bold") -> Text:
    """A line that begins with a word in this style."""
    return Text.assemble((safe(title), style), safe(rest))


def caveat(confidence: str, reason: str) -> str:
    """A line with what limits the confidence; nothing without a reason."""
    return f"\n{'uncertain' if confidence == 'none' else confidence}: {safe(reason)}" if reason else ""
