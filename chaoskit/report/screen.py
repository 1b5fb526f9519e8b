"""The one place where something is drawn with styles. Its text is shown literally: no markup, no emoji, no links.

A screen escapes the text of every segment just before it is written, whoever made it, and keeps the styles and cursor
movements, which are ours. `report.words.styled` escapes earlier, so that widths are right and a value is one line.
"""

from __future__ import annotations

import sys
from collections.abc import Iterable
from typing import TextIO, cast

from rich.console import Console, ConsoleOptions, RenderableType
from rich.live import Live
from rich.segment import Segment
from rich.text import Text

from chaoskit.report.styles import styled
from chaoskit.terminal import StyledFile, printable_lines


class Screen(Console):
    """A console on a stream: standard output, unless another one is given."""

    def __init__(self, stream: TextIO | None = None, width: int | None = None) -> None:
        file = cast("TextIO", StyledFile(stream or sys.stdout))
        super().__init__(file=file, width=width, markup=False, emoji=False, highlight=False)

    def render(self, renderable: RenderableType, options: ConsoleOptions | None = None) -> Iterable[Segment]:
        """As rich does it, with nothing in the text that a terminal would obey."""
        for segment in super().render(renderable, options):
            yield segment if segment.control else segment._replace(text=printable_lines(segment.text))


def live(console: Console) -> Live | None:
    """What changes in place; None where that is no terminal.

    What is printed meanwhile is not drawn by rich, which would read the escapes in it as styles and links.
    """
    if not console.is_terminal:
        return None
    return Live(console=console, auto_refresh=False, transient=True, redirect_stdout=False, redirect_stderr=False)


def one_line(text: str) -> Text:
    """For `live`: never longer than the screen is wide."""
    line = styled(text)
    line.no_wrap, line.overflow = True, "ellipsis"
    return line
