"""Draws the pictures of docs/images: what a terminal shows of the runs in docs/examples.

`picture.py` writes the files, `picture.py --check` says whether they are those that it would write. A picture needs no
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

FILES = {"loss-first-token": "experiments/loss-first-token.yaml", "my-gateway": "my-gateway.yaml"}
"""The experiments, and their files as people type them."""

IMAGES = Path(__file__).parents[1] / "images"
FONT = "'Fira Code', 'DejaVu Sans Mono', Menlo, Consolas, 'Liberation Mono', monospace"
LEFT_OUT = {
    "loss-first-token": ("Objectives", "Faults, requested"),
    "my-gateway": ("Objectives", "Interrupted", "Stall attribution", "Between client", "Faults, requested"),
}
"""Sections that README.md quotes as text instead, or has no room for."""


def picture(name: str) -> str:
    """The SVG of an example."""
    screen = Console(file=io.StringIO(), width=76, force_terminal=True, color_system="truecolor")
    with screen.capture() as capture:
        reference.render(name, screen)
    paper = Console(file=io.StringIO(), width=76, record=True, force_terminal=True, color_system="truecolor")
    paper.print(Text.assemble(("$ ", "dim"), (f"chaoskit run {FILES[name]}", "bold")))
    paper.print()
    for section in _sections(capture.get(), LEFT_OUT[name]):
        paper.print(Text.from_ansi(section), end="\n\n")
    drawn = paper.export_svg(title="chaoskit", theme=MONOKAI, unique_id="chaoskit")
    drawn = re.sub(r"@font-face \{.*?\}\s*", "", drawn, flags=re.DOTALL)
    return re.sub(r"font-family: [^;]+;", f"font-family: {FONT};", drawn)


def _sections(text: str, left_out: tuple[str, ...]) -> list[str]:
    """The report without what is left out, and without where its records are."""
    plain = re.compile(r"\x1b\[[0-9;]*m")
    parts = re.split(r"\n[ \t]*\n", text.strip())
    kept = [part for part in parts if not plain.sub("", part).startswith(left_out)]
    kept[-1] = kept[-1].rpartition("\n")[2]
    return ["\n".join(line.rstrip() for line in part.splitlines()) for part in kept]


def main() -> int:
    """Write or check."""
    drawn = {IMAGES / f"{name}.svg": picture(name) for name in FILES}
    if "--check" in sys.argv:
        return 0 if all(path.read_text() == text for path, text in drawn.items()) else 1
    for path, text in drawn.items():
        path.write_text(text)
    return 0


if __name__ == "__main__":
    sys.exit(main())
