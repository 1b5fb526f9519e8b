"""Chooses what a page tells of one run beside its pictures, in the words of the terminal's report."""

from __future__ import annotations

import io
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace

from rich.console import RenderableType

from chaoskit.analysis.formatting import format_value
from chaoskit.analysis.machine import Machine
from chaoskit.analysis.provenance import Provenance
from chaoskit.analysis.result import Result
from chaoskit.report import beside, looks, retries
from chaoskit.report.chains import chain_sections
from chaoskit.report.compression import side_by_side
from chaoskit.report.console import (
    UNBOUNDED_WIDTH,
    closing_rows,
    failure_rows,
    fault_rows,
    intermediary_rows,
    number_tables,
    path_mtu_rows,
)
from chaoskit.report.html.blocks import Block, Cell, Grid, Lines, blocks, two_columns, word_rows
from chaoskit.report.kernel_counters import counter_rows
from chaoskit.report.model_queue import queue_tables
from chaoskit.report.screen import Screen
from chaoskit.report.stalls import other_rows, stall_rows

Rows = Iterable[tuple[RenderableType, RenderableType]]


@dataclass(frozen=True)
class Section:
    """A title with its blocks."""

    title: str
    blocks: tuple[Block, ...]


def wide_console() -> Screen:
    """One on which no table is too wide."""
    return Screen(io.StringIO(), UNBOUNDED_WIDTH)


def numbers(result: Result) -> tuple[Block, ...]:
    """The phases side by side, with all intervals, and what is to be known about the numbers."""
    return tuple(_below(block) for each in number_tables(result, wide_console()) for block in blocks(each))


def _below(block: Block) -> Block:
    """With the interval of a number on a line of its own."""
    if not isinstance(block, Grid):
        return block
    return replace(block, rows=tuple(tuple(map(_in_two_lines, row)) for row in block.rows))


def _in_two_lines(cell: Cell) -> Cell:
    if len(cell.lines) != 1 or len(cell.lines[0]) != 1:
        return cell
    ((text, style),) = cell.lines[0]
    number, opening, interval = text.partition(" (")
    return replace(cell, lines=(((number, style),), (("(" + interval, "interval"),))) if opening else cell


def titled(found: Sequence[Block]) -> Iterator[tuple[Block, ...]]:
    """Each table together with the line before it, its title; other lines alone."""
    for before, block, after in zip([None, *found], found, [*found[1:], None], strict=False):
        if isinstance(block, Grid):
            yield (before, block) if isinstance(before, Lines) else (block,)
        elif not isinstance(after, Grid):
            yield (block,)


def causes(result: Result) -> Iterator[Section]:
    """Whose the stalls, the interruptions and the late first tokens are."""
    if any(phase.stall_attribution.stalls for phase in result.phases):
        yield _of_rows("Whose the stalls are", stall_rows(result))
    yield from _if_any("Interruptions and late first tokens", other_rows(result))
    yield from _if_any("Interrupted streams", failure_rows(result.phases))
    yield from _if_any("Who ended them", closing_rows(result.phases))
    yield from _if_any("Between client and server", intermediary_rows(result))


def faults(result: Result) -> Iterator[Section]:
    """What was asked of each phase, and whether it came about."""
    yield from _if_any("Faults, requested and measured", fault_rows(result))


def network(result: Result) -> Iterator[Section]:
    """What happened to packets and connections."""
    yield from _if_any("Path MTU", path_mtu_rows(result.phases))
    yield from _if_any("Kernel counters, as nstat names them", counter_rows(result.phases))


def service(result: Result) -> Iterator[Section]:
    """What hosts, hops and models did."""
    for title, body in chain_sections(result, two_columns, lambda _: True):
        yield Section(title, tuple(blocks(body)))
    if result.models:
        yield Section("Model queue", tuple(blocks(queue_tables(result.models))))
    if result.workloads:
        yield _of_rows("Other workloads", beside.rows(result.workloads))
    if any(phase.metrics.retries for phase in result.phases):
        yield _of_rows("Users who asked again", retries.rows(result.phases))
    if result.compression:
        yield Section("With and without compression", tuple(blocks(side_by_side(result.compression))))
    if result.until_decided is not None:
        yield _of_rows(looks.title(result, result.until_decided), looks.rows(result, result.until_decided))


def machine(result: Result) -> Grid:
    """What the run was made with, and on."""
    rows = [
        ("target", result.target),
        ("model", result.model or ""),
        ("protocol", result.protocol or ""),
        *(("condition", each) for each in result.conditions),
        ("clock", result.clock),
        ("length", format_value(result.seconds * 1000, "ms")),
        ("seed", str(result.seed)),
        ("kernel under test", result.kernel),
        *(_provenance(result.provenance) if result.provenance else [("chaoskit", result.chaoskit)]),
        *(_machine(result.machine) if result.machine else []),
    ]
    return Grid((), (), tuple((_cell(word, True), _cell(text)) for word, text in rows if text))


def _provenance(made: Provenance) -> Iterator[tuple[str, str]]:
    yield "started", f"{made.started} ({made.time_zone})" if made.started else ""
    commit = f", commit {made.chaoskit_commit}" if made.chaoskit_commit else ""
    yield "chaoskit", f"{made.chaoskit}{commit}"
    changed = ", changed since" if made.is_modified else ""
    yield "experiment file", made.file or ""
    yield "its commit", f"{made.commit}{changed}" if made.commit else ""
    yield "its SHA-256", made.sha256 or ""
    yield "machine's kernel", made.kernel
    yield "Python", made.python
    yield "libraries", ", ".join(f"{name} {version}" for name, version in made.libraries.items())


def _machine(found: Machine) -> Iterator[tuple[str, str]]:
    yield "processors", str(found.processors)
    if found.steal is not None:
        yield "load", " to ".join(f"{each:.1f}" for each in found.load)
        yield "steal", format_value(found.steal, "share")
    yield "clock source", found.clock_source
    yield "client's link", found.link
    yield "offloads", ", ".join(f"{name} {'on' if on else 'off'}" for name, on in found.offloads.items())
    yield "sysctls", ", ".join(f"{name} = {value}" for name, value in found.sysctls.items())
    for place, values in found.others.items():
        yield f"sysctls of {place}", ", ".join(f"{name} = {value}" for name, value in values.items())


def _if_any(title: str, rows: Rows) -> Iterator[Section]:
    found = list(rows)
    if found:
        yield _of_rows(title, found)


def _of_rows(title: str, rows: Rows) -> Section:
    return Section(title, (word_rows(rows),))


def _cell(text: str, is_head: bool = False) -> Cell:
    return Cell((((text, ""),),), is_head=is_head)
