"""Renders what a suite would run: each run with its time, where it runs, and what is expected of it."""

from __future__ import annotations

import json
import shlex
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from typing import Any

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
    """One run: `length` in ns, how many experiments it has (those of a matrix), the warnings of its file, commands."""

    name: str
    file: str
    experiments: int
    length: int
    is_virtual: bool
    expect: str
    owner: str
    command: str
    warnings: tuple[str, ...] = ()
    before: tuple[SuiteCommand, ...] = ()
    after: tuple[SuiteCommand, ...] = ()


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
    for title, words in _conditions(suite, rows):
        console.print(titled(title, f"  {safe(words)}"))
    if warnings := sum(len(row.warnings) for row in rows):
        console.print(Text(f"{counted(warnings, 'warning')}: chaoskit validate {safe(file)}", "dim"))


def as_json(suite: Suite, rows: Sequence[Row]) -> str:
    """The same for programs; times in seconds."""
    runs = [
        {**asdict(row), "length": row.length / _NS, "before": _told(row.before), "after": _told(row.after)}
        for row in rows
    ]
    whole = {"name": suite.name, "owner": suite.owner, "order": suite.order}
    commands = {"before": _told(suite.before), "after": _told(suite.after)}
    abort = {"broken": suite.abort.broken, "errors": suite.abort.errors, "unless": _keys_or_none(suite.abort.unless)}
    notify = None if suite.notify is None else {**_command_keys(suite.notify), "on": suite.notify.on}
    return ascii_json(json.dumps({**whole, **commands, "abort": abort, "notify": notify, "runs": runs}, indent=2))


def _told(commands: Sequence[SuiteCommand]) -> list[dict[str, Any]]:
    return [_command_keys(each) for each in commands]


def _keys_or_none(command: SuiteCommand | None) -> dict[str, Any] | None:
    return None if command is None else _command_keys(command)


def _command_keys(command: SuiteCommand) -> dict[str, Any]:
    return {"run": command.run, "timeout": command.timeout / _NS}


def _conditions(suite: Suite, rows: Sequence[Row]) -> Iterator[tuple[str, str]]:
    """The commands of the suite in the order in which they run, and what ends it early."""
    yield from (("Before", _shown(each)) for each in suite.before)
    abort = suite.abort
    if abort.broken is not None:
        yield "Abort", f"after {counted(abort.broken, 'run')} that did not end as expected"
    if abort.errors is not None:
        yield "Abort", f"after {counted(abort.errors, 'run')} that ended with an error"
    if abort.unless is not None:
        yield "Abort", f"unless {_shown(abort.unless)} succeeds before each run"
    for row in rows:
        yield from ((f"Before {row.name}", _shown(each)) for each in row.before)
        yield from ((f"After {row.name}", _shown(each)) for each in row.after)
    yield from (("After", _shown(each)) for each in suite.after)
    if suite.notify is not None:
        when = {"end": "at the end", "change": "when the exit code so far changes"}
        yield "Notify", f"{_shown(suite.notify)}, {' and '.join(when[each] for each in suite.notify.on)}"


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
    return f"{shlex.join(command.run)} (at most {command.timeout})"
