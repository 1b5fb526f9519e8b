"""Shows how answers came with compression and without it, side by side."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from rich.console import Group, RenderableType
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from chaoskit.analysis.formatting import format_value
from chaoskit.analysis.result import Delivery
from chaoskit.report.styles import safe, styled


def side_by_side(sides: Sequence[Delivery]) -> RenderableType:
    """A table with a column for each, and what limits it."""
    table = Table(box=None, padding=(0, 2, 0, 0), header_style="dim")
    table.add_column("median of an answer")
    for side in sides:
        table.add_column(safe(side.coding), justify="right")
    for name, *cells in _rows(*sides):
        table.add_row(name, *cells)
    notes = ["the answers without compression came after the others, and count nowhere else"]
    notes += filter(None, (side.remark for side in sides))
    return Padding(Group(table, styled("\n".join(notes), "dim")), (0, 0, 0, 2))


def _rows(*sides: Delivery) -> Iterator[tuple[Text | str, ...]]:
    yield ("first token", *(format_value(side.first_token_ms, "ms") for side in sides))
    yield ("longest gap", *(format_value(side.longest_gap_ms, "ms") for side in sides))
    yield ("reads with tokens", *(format_value(side.reads, "count") for side in sides))
    yield ("bursts", *(format_value(side.bursts, "count") for side in sides))
    yield ("events", *(format_value(side.events, "count") for side in sides))
    yield ("answers", *(str(side.streams) for side in sides))
