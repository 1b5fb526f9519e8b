"""Text for a screen: what a server said cannot move the cursor, and every terminal can show the signs."""

from __future__ import annotations

from rich.text import Text

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
_PLAIN = str.maketrans(
    {"×": "x", "≈": "~", "–": "-", "∞": "inf", "·": ",", "…": ".."} | dict(zip("▁▂▃▄▅▆▇█", "_.,-=+*#", strict=True))
)


def safe(text: str) -> str:
    """The text on one line, without anything that a terminal would obey: controls, escapes, bidi marks."""
    return "".join(sign if sign.isprintable() else "\ufffd" if sign not in "\r\n\t" else " " for sign in text)


def ascii_only(text: str) -> str:
    """The same for a terminal that has no other signs."""
    return text.translate(_PLAIN).encode("ascii", "replace").decode()


def styled(text: str, style: str = "") -> Text:
    """A piece of text that is never read as markup."""
    return Text(safe(text), style=style)
