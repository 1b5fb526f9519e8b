"""Turns what is rendered on a terminal into blocks of a page: the same words in tables of HTML.

A `Lines` is some text with its styles, a `Grid` a table; a template writes both. Texts are plain, and escaped there.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise

from rich.console import Group, RenderableType
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

_STYLES = ("bold", "dim", "red", "green", "magenta", "yellow")

Piece = tuple[str, str]
"""A text, and the names of its styles."""


@dataclass(frozen=True)
class Lines:
    """Lines of text, each in pieces."""

    lines: tuple[tuple[Piece, ...], ...]


@dataclass(frozen=True)
class Cell:
    """A cell of a table; `head` cells name their row."""

    lines: tuple[tuple[Piece, ...], ...]
    label: str = ""
    is_right: bool = False
    is_head: bool = False

    @property
    def is_blank(self) -> bool:
        """Whether there is nothing to read in it."""
        return not any(text for line in self.lines for text, _ in line)


@dataclass(frozen=True)
class Grid:
    """A table; without `heads` it is words with their texts."""

    heads: tuple[str, ...]
    right: tuple[bool, ...]
    rows: tuple[tuple[Cell, ...], ...]


Block = Lines | Grid


def blocks(found: RenderableType) -> Iterator[Block]:
    """The blocks of what is rendered."""
    match found:
        case Group():
            for each in found.renderables:
                yield from blocks(each)
        case Padding():
            yield from blocks(found.renderable)
        case Table():
            yield _grid(found)
        case Text() | str():
            yield Lines(_lines(found))
        case _:
            raise TypeError(f"{type(found).__name__} has no place in a page")


def word_rows(rows: Iterable[tuple[RenderableType, RenderableType]]) -> Grid:
    """Words with their texts; a text may have a table or a group in it, whose lines follow one another."""
    return Grid((), (), tuple((Cell(_all_lines(word), is_head=True), Cell(_all_lines(rest))) for word, rest in rows))


def two_columns(rows: Iterable[tuple[RenderableType, RenderableType]]) -> RenderableType:
    """The same as something rendered."""
    table = Table.grid()
    table.add_column()
    table.add_column()
    for word, rest in rows:
        table.add_row(word, rest)
    return table


def _grid(table: Table) -> Grid:
    heads = tuple(_plain(column.header) for column in table.columns)
    labels = _labels(heads)
    right = tuple(column.justify == "right" for column in table.columns)
    columns = [list(column.cells) for column in table.columns]
    has_heads = any(heads)
    rows = tuple(
        tuple(
            Cell(_all_lines(cell), labels[place] if place else "", right[place], place == 0)
            for place, cell in enumerate(row)
        )
        for row in zip(*columns, strict=True)
    )
    return Grid(heads if has_heads else (), right, rows)


def _labels(heads: Sequence[str]) -> list[str]:
    """What a cell says of its column where it stands alone: of columns with one name also the one before these."""
    found, before = list[str](), ""
    for head in heads:
        is_repeated = heads.count(head) > 1
        found.append(f"{head}, {before}" if is_repeated and head and before else head)
        before = before if is_repeated else head
    return found


def _all_lines(found: RenderableType) -> tuple[tuple[Piece, ...], ...]:
    """All text in it, line by line; a row of a table is one line."""
    lines: list[tuple[Piece, ...]] = []
    for block in blocks(found):
        if isinstance(block, Lines):
            lines += block.lines
            continue
        for row in block.rows:
            pieces: list[Piece] = []
            for cell in row:
                spoken = [piece for line in cell.lines for piece in line]
                pieces += [*([(" ", "")] if pieces and spoken else []), *spoken]
            lines.append(tuple(pieces))
    return tuple(lines)


def _plain(found: RenderableType) -> str:
    return found.plain if isinstance(found, Text) else str(found)


def _lines(found: Text | str) -> tuple[tuple[Piece, ...], ...]:
    text = Text(found) if isinstance(found, str) else found
    return tuple(tuple(_pieces(line)) for line in text.split("\n", allow_blank=True))


def _pieces(line: Text) -> Iterator[Piece]:
    """Its text, cut where a style begins or ends."""
    cuts = {0, len(line.plain), *(end for span in line.spans for end in (span.start, span.end))}
    for begin, end in pairwise(sorted(cut for cut in cuts if cut <= len(line.plain))):
        styles = [str(line.style), *(str(span.style) for span in line.spans if span.start <= begin < span.end)]
        yield line.plain[begin:end], _names(styles)


def _names(styles: Iterable[str]) -> str:
    """The last word on each counts: `not bold` takes it away."""
    found: dict[str, None] = {}
    for style in styles:
        words = style.split()
        for before, word in zip(["", *words], words, strict=False):
            if word in _STYLES:
                found.pop(word, None)
                if before != "not":
                    found[word] = None
    return " ".join(found)
