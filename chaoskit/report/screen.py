"""Draws styled text on a terminal, literally: no markup, no emoji, no links.

A screen escapes the text of every segment just before it is written, and keeps chaoskit's own styles and cursor
movements. `report.styles.styled` escapes earlier, so that widths are right and a value is one line.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Iterable
from typing import TextIO, cast

from rich.cells import cell_len
from rich.console import Console, ConsoleOptions, RenderableType
from rich.live import Live
from rich.segment import Segment
from rich.text import Text

from chaoskit.report.styles import styled
from chaoskit.terminal import StyledFile, printable_lines, say

_SECOND_COLUMN = re.compile(r" *(?:(\S+(?: \S+)? {2,}))?")


class Screen(Console):
    """A console on a stream: standard output, unless another one is given."""

    def __init__(self, stream: TextIO | None = None, width: int | None = None) -> None:
        file = cast("TextIO", StyledFile(stream or sys.stdout))
        super().__init__(file=file, width=width, markup=False, emoji=False, highlight=False)

    def render(self, renderable: RenderableType, options: ConsoleOptions | None = None) -> Iterable[Segment]:
        """As rich renders it, without escape sequences in the text, and with wrapped lines indented."""
        chosen = options or self.options
        may_wrap = not chosen.no_wrap and chosen.max_width == self.width  # it is no cell of a table
        if may_wrap and isinstance(renderable, Text) and not renderable.no_wrap:
            renderable = hanging(self, renderable, chosen.max_width)
        for segment in super().render(renderable, options):
            yield segment if segment.control else segment._replace(text=printable_lines(segment.text))


def progress_screen() -> Screen:
    """On standard error: what is told while a command works. Standard output is its result."""
    return Screen(sys.stderr)


def hanging(console: Console, text: Text, width: int) -> Text:
    """The text in lines of that width; those after the first are indented under what the first one says.

    That is where its second column begins, `Takes   12 s`, or two further than its own indentation.
    """
    if "\n" in text.plain or cell_len(text.plain) <= width or text.justify not in (None, "default", "left"):
        return text
    column = _SECOND_COLUMN.match(text.plain)
    indent = len(column[0]) if column and column[1] else width
    if indent > width // 2:
        indent = min(len(text.plain) - len(text.plain.lstrip(" ")) + 2, width // 2)
    first, *_ = text.wrap(console, width)
    rest = text[len(first.plain) :]
    rest = rest[len(rest.plain) - len(rest.plain.lstrip()) :]
    below = [Text(" " * indent) + line for line in rest.wrap(console, width - indent)]
    found = Text("\n", end=text.end).join([first, *below])
    found.rstrip()
    return found


def say_wrapped(*lines: str) -> None:
    """Write these lines to standard output; on a terminal a long one is wrapped between words, and indented.

    A line that is a command to type, after `type: `, is left in one piece, so that it can be copied.
    """
    screen = Screen()
    for line in lines:
        if screen.is_terminal and not line.lstrip().startswith("type: "):
            screen.print(styled(line), soft_wrap=False)
        else:
            say(line)


def live_display(console: Console) -> Live | None:
    """A display that is redrawn in place; None without a terminal.

    Output that is printed meanwhile is not redirected: rich would interpret the escapes in it as styles and links.
    """
    if not console.is_terminal:
        return None
    return Live(console=console, auto_refresh=False, transient=True, redirect_stdout=False, redirect_stderr=False)


def cropped_line(text: str) -> Text:
    """A line for `live_display`, cropped to the width of the screen."""
    line = styled(text)
    line.no_wrap, line.overflow = True, "ellipsis"
    return line
