"""Writes untrusted text into Markdown: as prose or as code, in tables, within a number of bytes.

Rules: nothing in a text is obeyed by CommonMark, GitHub or GitLab: no markup, HTML, link, mention, reference or
formula. A reference and an address are broken by a zero-width space, because these are looked for after the
markup was read, where a backslash is gone. Code has escapes for the signs that would end it.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence

from chaoskit.terminal import printable, printable_begin
from chaoskit.units import counted

MOST_BYTES = 900_000
"""GitHub takes 1 MiB of a step's summary, and shows nothing of a longer one."""
_MOST_PROSE, _MOST_CODE = 2000, 300  # characters
_MOST_WARNINGS = 30
_BREAKS = str.maketrans("\r\n\t", "   ")
_MARKUP = re.compile(r"[\\`*_{}\[\]|~$^]")
_HTML = str.maketrans({"&": "&amp;", "<": "&lt;", ">": "&gt;"})
_REFERENCE = re.compile(r"(?<=[@#!%~])(?=\w)|(?<=GH-)(?=\d)|(?<=:)(?=//)|(?<=www)(?=\.)", re.IGNORECASE)
_ENDS_CODE = str.maketrans({"`": r"\x60", "|": r"\x7c"})


def prose(text: str) -> str:
    """On one line, in the font of what is around it."""
    plain = printable_begin(text.translate(_BREAKS), _MOST_PROSE)
    parts = (_MARKUP.sub(r"\\\g<0>", part.translate(_HTML)) for part in _REFERENCE.split(plain))
    return "&#8203;".join(parts)


def code(text: str) -> str:
    """On one line, in a typewriter's font; nothing where there is no text."""
    plain = printable_begin(text.translate(_BREAKS), _MOST_CODE).translate(_ENDS_CODE)
    return f"`{plain}`" if plain.strip() else ""


def block(text: str, language: str = "") -> str:
    """Lines as they are, between fences that no line of them ends."""
    lines = [printable(line.rstrip("\r")) for line in text.rstrip("\n").split("\n")]
    longest = max((len(found) for line in lines for found in re.findall("`+", line)), default=0)
    fence = "`" * max(3, longest + 1)
    return "\n".join([f"{fence}{language}", *lines, fence])


def table(header: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """Of cells that are Markdown already; the first column is aligned to the left, the others to the right."""
    align = ["---", *["---:"] * (len(header) - 1)]
    return "\n".join(f"| {' | '.join(row)} |" for row in (header, align, *rows))


def folded(title: str, body: str) -> str:
    """A body that is shown by a click on its title, which is Markdown already."""
    return f"<details><summary>{title}</summary>\n\n{body}\n\n</details>"


def warning_list(warnings: Sequence[str]) -> str:
    """The first of them, each an item of a list."""
    lines = [f"- {prose(each)}" for each in warnings[:_MOST_WARNINGS]]
    return "Warnings:\n\n" + "\n".join(lines) + more(len(warnings), "warning", _MOST_WARNINGS)


def more(count: int, noun: str, most: int) -> str:
    """A paragraph of its own: how many of them are left out, of which `most` are shown; nothing where none is."""
    return f"\n\n{counted(count - most, f'more {noun}')}." if count > most else ""


def bounded(parts: Iterable[tuple[str, str]], most: int = MOST_BYTES) -> str:
    """The parts with an empty line between, as far as they fit; the names of those that do not are told."""
    taken: list[str] = []
    left_out: list[str] = []
    size = 0
    for name, part in parts:
        needed = len(part.encode()) + 2
        if left_out or size + needed > most:
            left_out.append(name)
        else:
            taken.append(part)
            size += needed
    if left_out:
        names = ", ".join(dict.fromkeys(left_out[:20]))
        more = ", ..." if len(left_out) > 20 else ""
        taken.append(f"Left out, because a summary may have 1 MiB: {names}{more}.")
    return "\n\n".join(taken) + "\n"
