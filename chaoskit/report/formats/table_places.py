"""Decides which table of a run is asked for, and where several of them can be."""

from __future__ import annotations

from collections.abc import Sequence
from difflib import get_close_matches
from pathlib import Path

from chaoskit.analysis.tables.table_columns import SCHEMAS
from chaoskit.errors import SpecError
from chaoskit.report.formats import FORMATS, table_format

_OTHER_ARCHIVES = (".gz", ".tar", ".tgz", ".bz2", ".xz", ".7z")


def require_table(formats: Sequence[str], table: str | None) -> None:
    """Raises SpecError where this is no table, or it is not of one format that has tables."""
    names = [schema.name for schema in SCHEMAS]
    if table is None:
        return
    if len(formats) > 1 or not FORMATS[formats[0]].has_tables:
        why = "one table is of one format" if len(formats) > 1 else f"{formats[0]} has no tables"
        others = " or ".join(f"--format {name}" for name, row in FORMATS.items() if row.has_tables)
        raise SpecError(f"--table: {why}; write {others}")
    if table not in names:
        near = get_close_matches(table.lower(), names, n=1, cutoff=0.5)
        advice = f"did you mean {near[0]}?" if near else f"there are {', '.join(names)}"
        raise SpecError(f"--table: {table!r} is no table of a run; {advice}")


def require_place(format: str, out: Path | None) -> None:
    """Raises SpecError where several tables would be one file, or nothing says where they shall be."""
    names = ", ".join(schema.name for schema in SCHEMAS)
    choice = f"choose a folder, -o DIR, an archive, -o FILE.zip, or one table, --table NAME: {names}"
    if out is None:
        raise SpecError(f"{format} is a file for each table; {choice}")
    if out.suffix in _OTHER_ARCHIVES:
        raise SpecError(f"{out} is no kind of archive that chaoskit writes; {choice}")
    if out.suffix == table_format(format).suffix:
        raise SpecError(f"{out} would be one file, and {format} is one for each table; {choice}")
