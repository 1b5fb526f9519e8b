"""Loads the runs of `chaoskit report` and puts the report where it belongs."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from pathlib import Path

from chaoskit.errors import RefusedError, SpecError
from chaoskit.report.formats import FORMATS, destinations, require_ending, source
from chaoskit.report.formats.console_text import show as show_on
from chaoskit.report.formats.destinations import STANDARD_OUTPUT, write_each, write_usual
from chaoskit.report.formats.source import Source
from chaoskit.report.formats.table_places import require_place
from chaoskit.report.headline import headline, word
from chaoskit.report.screen import Screen
from chaoskit.terminal import note
from chaoskit.units import counted


def load(runs: Sequence[Path], formats: Sequence[str]) -> list[Source]:
    """These runs. Raises SpecError where a format cannot show them, RefusedError where one has not ended."""
    alone = next((each for each in formats if not FORMATS[each].holds_several), None)
    if len(runs) > 1 and alone is not None:
        others = ", ".join(each for each, other in FORMATS.items() if other.holds_several)
        raise SpecError(f"{alone} holds one run, and {len(runs)} are given; several fit in {others}")
    twice = next((run for at, run in enumerate(runs) if run.resolve() in {each.resolve() for each in runs[:at]}), None)
    if twice is not None:
        raise SpecError(f"{twice} is given twice; keep one")
    found = source.labelled([source.load(run) for run in runs])
    running = next((each.path for each in found if each.is_running), None)
    if running is not None and not all(FORMATS[each].shows_running for each in formats):
        raise RefusedError(
            f"{running} has not ended yet; wait for it, or see what it measured until now: chaoskit report {running}"
        )
    return found


def show(sources: Sequence[Source], formats: Sequence[str], out: Path | None, table: str | None = None) -> None:
    """On the screen, on standard output, in a file, or in a folder; several formats in a folder."""
    (format, *others) = formats
    if others:
        write_each({FORMATS[each].file: partial(write_usual, each, sources) for each in formats}, out)
        return
    is_file = out is not None and out != STANDARD_OUTPUT
    if out is not None and is_file and (table is not None or not FORMATS[format].has_tables):
        require_ending(format, out)
    if FORMATS[format].has_tables and table is None:
        require_place(format, out)
    if out is not None and is_file:
        if FORMATS[format].has_tables and table is None and out.suffix != ".zip":
            destinations.write_folder(format, sources, out)
        else:
            destinations.write_file(format, sources, out, table)
        found = [f"{word(each.found)}, {headline(each.found)}" for each in sources]
        note(f"{out}: {found[0]}" if len(found) == 1 else f"{out}: {counted(len(found), 'run')}")
    elif format == "console":
        show_on(sources, Screen())
    else:
        destinations.write_output(format, sources, table)
