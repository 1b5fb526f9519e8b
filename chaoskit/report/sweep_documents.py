"""Writes what a sweep measured as a document, in the formats that a sweep has."""

from __future__ import annotations

import io
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import BinaryIO

from chaoskit.analysis.sweep_points import SweepMeasurement
from chaoskit.analysis.tables import sweep_points as points
from chaoskit.errors import RefusedError, SpecError
from chaoskit.folder import display_path
from chaoskit.report import formats
from chaoskit.report.formats.destinations import replace_file
from chaoskit.report.html import sweep_page
from chaoskit.report.screen import Screen
from chaoskit.report.sweep_console import render
from chaoskit.terminal import ascii_json, complain, note

_WIDTH = 100  # columns


@dataclass(frozen=True)
class Document:
    """A format: its file in the folder of a sweep, how it is written, and whether it is text."""

    file: str
    write: Callable[[SweepMeasurement, BinaryIO], None]
    is_text: bool = True


def _console(found: SweepMeasurement, file: BinaryIO) -> None:
    text = io.TextIOWrapper(file, "utf-8", "backslashreplace", write_through=True)
    render(found, Screen(text, _WIDTH))
    text.detach()


def _json(found: SweepMeasurement, file: BinaryIO) -> None:
    file.write(ascii_json(found.model_dump_json(indent=1)).encode("ascii") + b"\n")


def _table(form: str, found: SweepMeasurement, file: BinaryIO) -> None:
    table = formats.table_format(form).begin(points.SCHEMA, points.axes(found), file)
    for point in found.points:
        table.add(point.values, points.rows(point))
    table.close()


def _plot(kind: str, found: SweepMeasurement, file: BinaryIO) -> None:
    from chaoskit.report.plots import doses, figures  # here, not at the top: they load an extra

    figures.save(doses.figure(found), file, kind)


def _html(found: SweepMeasurement, file: BinaryIO) -> None:
    picture = io.BytesIO()
    _plot("svg", found, picture)
    file.writelines(piece.encode() for piece in sweep_page.render(found, picture.getvalue()))


DOCUMENTS = {
    "console": Document("report.txt", _console),
    "json": Document("report.json", _json),
    "csv": Document("points.csv", partial(_table, "csv")),
    "parquet": Document("points.parquet", partial(_table, "parquet"), is_text=False),
    "png": Document("doses.png", partial(_plot, "png"), is_text=False),
    "svg": Document("doses.svg", partial(_plot, "svg")),
    "html": Document("report.html", _html),
}
"""By the name of the format, as for runs."""


def chosen(names: Sequence[str]) -> tuple[str, ...]:
    """Those of these names, each once. Raises SpecError for one that a sweep does not have, RefusedError as of runs."""
    found = formats.chosen(names)
    for name in found:
        if name not in DOCUMENTS:
            raise SpecError(f"{name} shows runs, and not sweeps, for which there are {', '.join(DOCUMENTS)}")
    if "html" in found:
        formats.chosen(["svg"])  # its picture needs the same library
    return found


def write_documents(names: Sequence[str], found: SweepMeasurement, folder: Path) -> None:
    """Write these into the sweep's folder, and say so. What cannot be written is said."""
    for name in names:
        document = DOCUMENTS[name]
        try:
            replace_file(folder / document.file, document.file, partial(document.write, found))
        except (SpecError, RefusedError) as error:
            complain(f"no {document.file}: {error}")
        else:
            note(f"wrote {display_path(folder / document.file)}")
