"""Draws the pictures of README.md in docs/images: what a terminal shows of reports in docs/examples.

`picture.py` writes the files, `picture.py --check` says whether they are the ones that it would write. The pictures
need no font and no script from elsewhere, so that a code host shows them.
"""

from __future__ import annotations

import io
import re
import sys
from dataclasses import dataclass
from pathlib import Path

import reference
from rich.console import Console
from rich.terminal_theme import MONOKAI
from rich.text import Text

IMAGES = Path(__file__).parents[1] / "images"
FONT = "'Fira Code', 'DejaVu Sans Mono', Menlo, Consolas, 'Liberation Mono', monospace"


@dataclass(frozen=True)
class Picture:
    """A report, the command that prints it, and the sections that are not shown."""

    example: str
    command: str
    left_out: tuple[str, ...]


PICTURES = (
    Picture("loss-first-token", "chaoskit run experiments/loss-first-token.yaml", ("Objectives", "Faults, requested")),
    Picture(
        "nginx-untouched",
        "chaoskit run experiments/service/nginx-read-timeout.yaml --variant run.4=nginx-untouched.conf",
        ("baseline ", "*", "40 streams", "Warnings", "Median", "Stall"),
    ),
)


def picture(shown: Picture) -> str:
    """The SVG."""
    screen = Console(file=io.StringIO(), width=76, force_terminal=True, color_system="truecolor")
    with screen.capture() as capture:
        reference.render(shown.example, screen)
    paper = Console(file=io.StringIO(), width=76, record=True, force_terminal=True, color_system="truecolor")
    paper.print(Text.assemble(("$ ", "dim"), (shown.command, "bold")))
    paper.print()
    for section in _sections(capture.get(), shown.left_out):
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
    drawn = {IMAGES / f"{each.example}.svg": picture(each) for each in PICTURES}
    if "--check" in sys.argv:
        return 0 if all(path.read_text() == text for path, text in drawn.items()) else 1
    for path, text in drawn.items():
        path.write_text(text)
    return 0


if __name__ == "__main__":
    sys.exit(main())
