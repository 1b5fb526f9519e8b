"""Draws docs/images/loss-first-token.svg: what a terminal shows of docs/examples/loss-first-token.json.

`picture.py` writes the file, `picture.py --check` says whether it is the one that it would write. The picture needs no
font and no script from elsewhere, so that a code host shows it.
"""

from __future__ import annotations

import io
import re
import sys
from pathlib import Path

import reference
from rich.console import Console
from rich.terminal_theme import MONOKAI
from rich.text import Text

EXAMPLE = "loss-first-token"
PICTURE = Path(__file__).parents[1] / "images" / f"{EXAMPLE}.svg"
FONT = "'Fira Code', 'DejaVu Sans Mono', Menlo, Consolas, 'Liberation Mono', monospace"
LEFT_OUT = ("Objectives", "Faults, requested")
"""Sections that README.md quotes as text instead."""


def picture() -> str:
    """The SVG."""
    screen = Console(file=io.StringIO(), width=76, force_terminal=True, color_system="truecolor")
    with screen.capture() as capture:
        reference.render(EXAMPLE, screen)
    paper = Console(file=io.StringIO(), width=76, record=True, force_terminal=True, color_system="truecolor")
    paper.print(Text.assemble(("$ ", "dim"), (f"chaoskit run experiments/{EXAMPLE}.yaml", "bold")))
    paper.print()
    for section in _sections(capture.get()):
        paper.print(Text.from_ansi(section), end="\n\n")
    drawn = paper.export_svg(title="chaoskit", theme=MONOKAI, unique_id="chaoskit")
    drawn = re.sub(r"@font-face \{.*?\}\s*", "", drawn, flags=re.DOTALL)
    return re.sub(r"font-family: [^;]+;", f"font-family: {FONT};", drawn)


def _sections(text: str) -> list[str]:
    """The report without what is left out, and without where its records are."""
    plain = re.compile(r"\x1b\[[0-9;]*m")
    parts = re.split(r"\n[ \t]*\n", text.strip())
    kept = [part for part in parts if not plain.sub("", part).startswith(LEFT_OUT)]
    kept[-1] = kept[-1].rpartition("\n")[2]
    return ["\n".join(line.rstrip() for line in part.splitlines()) for part in kept]


def main() -> int:
    """Write or check."""
    drawn = picture()
    if "--check" in sys.argv:
        return 0 if PICTURE.read_text() == drawn else 1
    PICTURE.write_text(drawn)
    return 0


if __name__ == "__main__":
    sys.exit(main())
