"""Renders the timers of a service lab: who waits for whom, how long, and where that is set."""

from __future__ import annotations

from collections.abc import Sequence

from rich.table import Table

from chaoskit.planning.model import PlannedTimer
from chaoskit.report.styles import styled
from chaoskit.units import Duration


def timer_table(timers: Sequence[PlannedTimer]) -> Table:
    """One row for each; a pair of hosts is named in its first row."""
    table = Table(box=None, padding=(0, 2, 0, 0), header_style="dim")
    for column in ("host", "timer", "runs out", "set by"):
        table.add_column(column, no_wrap=column in ("timer", "runs out"))
    former = ""
    for each in timers:
        pair = each.host if each.callee is None else f"{each.host} -> {each.callee}"
        value = "never" if each.value is None else Duration(each.value).spaced()
        table.add_row(styled("" if pair == former else pair), each.kind, value, styled(each.source))
        former = pair
    return table
