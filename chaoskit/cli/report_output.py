"""Loads the runs of `chaoskit report` and puts the report where it belongs."""

from __future__ import annotations

from collections.abc import Sequence
from difflib import get_close_matches
from pathlib import Path

from chaoskit.analysis.tables.table_columns import SCHEMAS
from chaoskit.errors import RefusedError, SpecError
from chaoskit.report.formats import FORMATS, chosen, destinations, source, table_format
from chaoskit.report.formats.console_text import show as show_on
from chaoskit.report.formats.source import Source
from chaoskit.report.headline import headline, word
from chaoskit.report.screen import Screen
from chaoskit.terminal import note
from chaoskit.units import counted

_STANDARD_OUTPUT = Path("-")


def load(runs: Sequence[Path], format: str) -> list[Source]:
    """These runs. Raises SpecError where the format cannot show them, RefusedError where one has not ended."""
    (name,) = chosen([format])[:1]
    row = FORMATS[name]
    if len(runs) > 1 and not row.holds_several:
        others = ", ".join(each for each, other in FORMATS.items() if other.holds_several)
        raise SpecError(f"{name} holds one run, and {len(runs)} are given; several fit in {others}")
    found = [source.load(run) for run in runs]
    running = next((each.path for each in found if each.is_running), None)
    if running is not None and not row.shows_running:
        raise RefusedError(
            f"{running} has not ended yet; wait for it, or see what it measured until now: chaoskit report {running}"
        )
    return found


def show(sources: Sequence[Source], format: str, out: Path | None, table: str | None = None) -> None:
    """On the screen, on standard output, in a file, or in a folder."""
    is_file = out is not None and out != _STANDARD_OUTPUT
    if FORMATS[format].has_tables and table is None:
        _require_place(format, out)
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
        destinations.write_output(format, sources, Screen().file.isatty(), table)


def require_table(format: str, table: str | None) -> None:
    """Raises SpecError where this is no table, or the format has none."""
    names = [schema.name for schema in SCHEMAS]
    if table is None:
        return
    if format in FORMATS and not FORMATS[format].has_tables:
        others = " or ".join(f"--format {name}" for name, row in FORMATS.items() if row.has_tables)
        raise SpecError(f"--table: {format} has no tables; write {others}")
    if table not in names:
        near = get_close_matches(table.lower(), names, n=1, cutoff=0.5)
        advice = f"did you mean {near[0]}?" if near else f"there are {', '.join(names)}"
        raise SpecError(f"--table: {table!r} is no table of a run; {advice}")


def _require_place(format: str, out: Path | None) -> None:
    """Raises SpecError where several tables would be one file, or nothing says where they shall be."""
    names = ", ".join(schema.name for schema in SCHEMAS)
    choice = f"choose a folder, -o DIR, an archive, -o FILE.zip, or one table, --table NAME: {names}"
    if out is None:
        raise SpecError(f"{format} is a file for each table; {choice}")
    if out.suffix == table_format(format).suffix:
        raise SpecError(f"{out} would be one file, and {format} is one for each table; {choice}")
