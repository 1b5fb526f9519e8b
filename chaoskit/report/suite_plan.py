"""Renders what a suite would run: each run with its time, where it runs, and what is expected of it."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass

from rich.console import Console
from rich.padding import Padding
from rich.text import Text

from chaoskit.report.styles import safe, styled, titled
from chaoskit.report.table import plain_table
from chaoskit.spec.suite import Suite, SuiteCommand
from chaoskit.terminal import ascii_json
from chaoskit.units import Duration, counted

_NS = 10**9


@dataclass(frozen=True)
class Row:
    """One run: `length` in ns, how many experiments it has (those of a matrix), and the warnings of its file."""

    name: str
    file: str
    experiments: int
    length: int
    is_virtual: bool
    expect: str
    owner: str
    command: str
    warnings: tuple[str, ...] = ()


def render(suite: Suite, file: str, rows: Sequence[Row], console: Console) -> None:
    """Print it. `file`: that of the suite."""
    console.print(titled(suite.name, f"  {counted(len(rows), 'run')}{', ' + suite.order if rows[1:] else ''}"))
    console.print(titled("Takes", f"   {_time(rows)}{_budget(suite)}"))
    table = plain_table()
    for header in ("run", "for", "time", "expected"):
        table.add_column(
            header, header_style="dim", justify="right" if header == "for" else "left", no_wrap=header == "for"
        )
    for row in rows:
        count = f" ({counted(row.experiments, 'variant')})" if row.experiments > 1 else ""
        time = "virtual" if row.is_virtual else "real, alone"
        table.add_row(styled(f"{row.name}{count}"), Duration(row.length).spaced(), time, row.expect)
    console.print(Padding(table, (1, 0, 0, 2)))
    for title, commands in (("Before", suite.before), ("After", suite.after)):
        for command in commands:
            console.print(titled(title, f"  {_shown(command)}"))
    if warnings := sum(len(row.warnings) for row in rows):
        console.print(Text(f"{counted(warnings, 'warning')}: chaoskit validate {safe(file)}", "dim"))


def as_json(suite: Suite, rows: Sequence[Row]) -> str:
    """The same for programs; times in seconds."""
    runs = [{**asdict(row), "length": row.length / _NS} for row in rows]
    whole = {"name": suite.name, "owner": suite.owner, "order": suite.order, "runs": runs}
    return ascii_json(json.dumps(whole, indent=2))


def _time(rows: Sequence[Row]) -> str:
    """Of the real clock and of virtual time."""
    kinds = {"of real time": False, "of virtual time, which passes faster": True}
    parts = []
    for words, is_virtual in kinds.items():
        total = sum(row.length for row in rows if row.is_virtual is is_virtual)
        if total:
            parts.append(f"{Duration(total).spaced()} {words}")
    return " and ".join(parts)


def _budget(suite: Suite) -> str:
    return f"; the budget is {suite.budget.spaced()}" if suite.budget is not None else ""


def _shown(command: SuiteCommand) -> str:
    return f"{' '.join(command.run)} (at most {command.timeout})"
